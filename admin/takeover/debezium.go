package takeover

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// offset is a value of Debezium's offsets.
type offset struct {
	File     *string `json:"file"`
	Pos      uint64  `json:"pos"`
	GTIDs    string  `json:"gtids"`
	Event    uint64  `json:"event"`
	Row      uint64  `json:"row"`
	Seconds  int64   `json:"ts_sec"`
	ServerID uint32  `json:"server_id"`

	Snapshot  any  `json:"snapshot"` // true, or from 3.0 on its kind
	Completed bool `json:"snapshot_completed"`
	// Tables of a snapshot that runs beside the stream.
	Incremental string `json:"incremental_snapshot_collections"`
}

// Debezium reads the places of Debezium's connectors: the file of a standalone Kafka Connect worker (offset.storage.file.filename), or the records of the
// topic of a distributed one (offset.storage.topic), a line each with the key, a tab and the value, as Kafka's console consumer prints them with
// print.key=true. Of records with one key the last one counts.
func Debezium(data []byte) ([]Place, error) {
	pairs, err := javaMap(data)
	if !bytes.HasPrefix(data, []byte(javaMagic)) {
		pairs, err = offsetLines(data)
	}
	if err != nil {
		return nil, unreadable(PeerDebezium, "%w", err)
	}
	var out []Place
	for _, p := range pairs {
		if p.value == nil {
			continue
		}
		place, ok, err := debeziumPlace(p)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, place)
		}
	}
	return out, nil
}

// offsetLines reads the records of a topic.
func offsetLines(data []byte) ([]javaPair, error) {
	var out []javaPair
	at := map[string]int{}
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		key, value, ok := bytes.Cut(line, []byte("\t"))
		if !ok {
			return nil, errors.New("want lines of a key, a tab and a value, as kafka-console-consumer prints them with --property print.key=true")
		}
		if string(value) == "null" {
			value = nil
		}
		i, known := at[string(key)]
		if !known {
			i = len(out)
			at[string(key)] = i
			out = append(out, javaPair{key: key})
		}
		out[i].value = value
	}
	return out, nil
}

// debeziumPlace reads one offset; ok is false for that of a connector of another kind.
func debeziumPlace(p javaPair) (place Place, ok bool, err error) {
	var key []json.RawMessage // the name of the connector, and its partition
	var name string
	var partition struct {
		Server string `json:"server"`
	}
	if err := json.Unmarshal(p.key, &key); err != nil || len(key) != 2 || json.Unmarshal(key[0], &name) != nil {
		return place, false, unreadable(PeerDebezium, "the key %.200q is not [CONNECTOR, {\"server\": PREFIX}]", p.key)
	}
	_ = json.Unmarshal(key[1], &partition) // that of other connectors may be anything
	var o offset
	if err := json.Unmarshal(p.value, &o); err != nil || o.File == nil {
		if partition.Server != "" && bytes.Contains(p.value, []byte(`"file"`)) {
			return place, false, unreadable(PeerDebezium, "the offset of %q is not understood: %.500q", name, p.value)
		}
		return place, false, nil
	}
	place = Place{Peer: PeerDebezium, Name: name, File: *o.File, Offset: o.Pos, GTIDs: o.GTIDs, Events: o.Event, Rows: o.Row, ServerID: o.ServerID}
	if o.Seconds > 0 {
		place.Time = time.Unix(o.Seconds, 0)
	}
	switch s := o.Snapshot.(type) {
	case nil:
	case bool:
		if s && !o.Completed {
			place.Copying = "snapshot"
		}
	default:
		if !o.Completed {
			place.Copying = "snapshot"
		}
	}
	if o.Incremental != "" && o.Incremental != "[]" {
		place.Copying = "incremental snapshot"
	}
	return place, true, nil
}
