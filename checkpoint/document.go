package checkpoint

import (
	"encoding/json"
	"fmt"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// documentFormat is the version of the JSON text of a Document.
const documentFormat = 4

// Document is everything a checkpoint knows of one stream, for people and for tools: its JSON text is what `cdc checkpoint export` prints and
// what can be read back into another folder.
type Document struct {
	Stream  string
	Record  Record
	History []*schemas.Entry // numbered from 1 up to Record.SchemaSeq
}

type documentJSON struct {
	Format  int               `json:"format"`
	Stream  string            `json:"stream"`
	Record  recordJSON        `json:"record"`
	History []json.RawMessage `json:"history"`
}

type recordJSON struct {
	Flavor    string     `json:"flavor"`
	UUID      string     `json:"server_uuid,omitempty"`
	ServerID  uint32     `json:"server_id,omitempty"`
	Version   string     `json:"server_version,omitempty"`
	Address   string     `json:"address,omitempty"`
	GTIDs     *string    `json:"gtids,omitempty"` // absent without GTIDs, "" for the empty set
	File      string     `json:"file,omitempty"`
	Offset    uint64     `json:"offset,omitempty"`
	Time      int64      `json:"time,omitempty"`
	SchemaSeq uint64     `json:"schema_seq"`
	Selection string     `json:"selection,omitempty"`
	XA        []event.XA `json:"xa,omitempty"`
	SinkState []byte     `json:"sink_state,omitempty"` // base64
	Saved     int64      `json:"saved,omitempty"`
	Rows      uint64     `json:"rows"`
	Txns      uint64     `json:"txns"`
	ByHand    bool       `json:"by_hand,omitempty"`

	Snapshot *event.Snapshot `json:"snapshot,omitempty"`
}

func (r *recordJSON) setSnapshot(s *event.Snapshot) {
	if s.State != event.SnapshotNone || s.ID != "" {
		r.Snapshot = s
	}
}

// MarshalJSON gives the text of a record as in a Document.
func (r Record) MarshalJSON() ([]byte, error) {
	j := recordJSON{
		Flavor: r.Server.Flavor.String(), ServerID: r.Server.ID, Version: r.Server.Version, Address: r.Server.Address,
		File: r.File, Offset: r.Offset, Time: r.Time, SchemaSeq: r.SchemaSeq, Selection: r.Selection,
		XA: r.XA, SinkState: r.SinkState, Saved: r.Saved, Rows: r.Rows, Txns: r.Txns, ByHand: r.ByHand,
	}
	if !r.Server.UUID.IsZero() {
		j.UUID = r.Server.UUID.String()
	}
	if r.GTIDs != nil {
		s := r.GTIDs.String()
		j.GTIDs = &s
	}
	j.setSnapshot(&r.Snapshot)
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Record) UnmarshalJSON(text []byte) error {
	var j recordJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*r = Record{
		Server: event.Server{ID: j.ServerID, Version: j.Version, Address: j.Address},
		File:   j.File, Offset: j.Offset, Time: j.Time, SchemaSeq: j.SchemaSeq, Selection: j.Selection,
		XA: j.XA, SinkState: j.SinkState, Saved: j.Saved, Rows: j.Rows, Txns: j.Txns, ByHand: j.ByHand,
	}
	switch j.Flavor {
	case gtid.MySQL.String():
		r.Server.Flavor = gtid.MySQL
	case gtid.MariaDB.String():
		r.Server.Flavor = gtid.MariaDB
	default:
		return fmt.Errorf("flavor %q: mysql or mariadb", j.Flavor)
	}
	if j.UUID != "" {
		u, err := gtid.ParseUUID(j.UUID)
		if err != nil {
			return err
		}
		r.Server.UUID = u
	}
	if j.GTIDs != nil {
		set, err := gtid.Parse(r.Server.Flavor, *j.GTIDs)
		if err != nil {
			return err
		}
		r.GTIDs = set
	}
	if j.Snapshot != nil {
		r.Snapshot = *j.Snapshot
	}
	return nil
}

// MarshalJSON gives the document's text.
func (d *Document) MarshalJSON() ([]byte, error) {
	j := documentJSON{Format: documentFormat, Stream: d.Stream, History: make([]json.RawMessage, 0, len(d.History))}
	text, err := d.Record.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &j.Record); err != nil {
		return nil, err
	}
	for _, e := range d.History {
		text, err := MarshalEntry(e)
		if err != nil {
			return nil, err
		}
		j.History = append(j.History, text)
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote and checks it as Check does.
func (d *Document) UnmarshalJSON(text []byte) error {
	var j struct {
		documentJSON
		Record Record `json:"record"`
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	if j.Format < 1 || j.Format > documentFormat {
		return fmt.Errorf("a checkpoint text of format %d, known is %d", j.Format, documentFormat)
	}
	if j.Format == 1 {
		j.Record.ByHand = j.Record.SchemaSeq == 0 // as of records of version 1
	}
	*d = Document{Stream: j.Stream, Record: j.Record}
	for i, raw := range j.History {
		e, err := UnmarshalEntry(raw)
		if err != nil {
			return fmt.Errorf("history entry %d: %w", i+1, err)
		}
		d.History = append(d.History, e)
	}
	return d.Check()
}

// Check says whether the document is complete in itself: a usable name, and a history without a hole up to what the record needs.
func (d *Document) Check() error {
	if err := CheckStream(d.Stream); err != nil {
		return err
	}
	for i, e := range d.History {
		if e.Seq != uint64(i)+1 {
			return fmt.Errorf("history entry %d has the number %d", i+1, e.Seq)
		}
	}
	if uint64(len(d.History)) != d.Record.SchemaSeq {
		return fmt.Errorf("the record needs %d history entries, there are %d", d.Record.SchemaSeq, len(d.History))
	}
	return nil
}
