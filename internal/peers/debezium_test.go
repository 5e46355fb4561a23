package peers_test

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/peers/golden"
)

// processed are the times at which a connector handled a change: they stand at the end of the envelope, those of the source do not. handled
// are those of a message of the schema change topic.
var (
	processed = regexp.MustCompile(`"ts_ms":(null|\d+),"ts_us":(null|\d+),"ts_ns":(null|\d+)\}`)
	handled   = regexp.MustCompile(`\},"ts_ms":\d+,"databaseName":`)
)

func debeziumNorm(v []byte) []byte {
	if v == nil {
		return nil
	}
	v = processed.ReplaceAll(v, []byte(`"ts_ms":0,"ts_us":0,"ts_ns":0}`))
	return handled.ReplaceAll(v, []byte(`},"ts_ms":0,"databaseName":`))
}

func no() *bool { b := false; return &b }

// debeziumCase is one of the recorded settings.
type debeziumCase struct {
	name    string
	options debezium.Options
	refused []string // tables whose values the peer falsifies with these settings
	known   map[string]string
}

func debeziumCases() []debeziumCase {
	cases := []debeziumCase{
		{name: "dbz_plain", options: debezium.Options{Transaction: true}, refused: []string{"unsigned_far"}, known: debeziumCounts},
		{name: "dbz_schemas", options: debezium.Options{Schemas: true}, refused: []string{"unsigned_far"}},
		{name: "dbz_string", options: debezium.Options{
			Schemas: true, Decimal: debezium.DecimalString, BigintUnsigned: debezium.BigintPrecise, Time: debezium.TimeConnect, Binary: debezium.BinaryBase64,
		}, refused: []string{"times_far"}},
		{name: "dbz_double", options: debezium.Options{Query: true, Decimal: debezium.DecimalDouble, Time: debezium.TimeISO, Binary: debezium.BinaryHex}, refused: []string{"unsigned_far", "times_far"}},
		{name: "dbz_micros", options: debezium.Options{Time: debezium.TimeMicros, Binary: debezium.BinaryBase64URL, Tombstones: no()}, refused: []string{"unsigned_far"}},
		{name: "dbz_nanos", options: debezium.Options{Schemas: true, Time: debezium.TimeNanos}, refused: []string{"unsigned_far", "dates"}},
	}
	for i := range cases {
		c := &cases[i]
		known := maps.Clone(debeziumKnown)
		if c.options.Schemas {
			maps.Copy(known, debeziumSchemas)
		}
		if c.options.Tombstones != nil {
			delete(known, "peers.no_key record")
		}
		maps.Copy(known, c.known)
		c.known = known
	}
	return cases
}

// heartbeats are ours at the times of the peer's.
func heartbeats(t *testing.T, enc format.Heart, theirs []golden.Record) (ours []golden.Record) {
	for _, r := range theirs {
		at, err := strconv.ParseInt(regexp.MustCompile(`\d+`).FindString(string(r.Value)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		var out format.Out
		if err := enc.Heartbeat(&out, event.Position{}, at*1000); err != nil {
			t.Fatal(err)
		}
		ours = append(ours, golden.Record{Key: out.Bytes(out.Recs[0].Key), Value: out.Bytes(out.Recs[0].Value)})
	}
	return ours
}

func TestDebezium(t *testing.T) {
	for _, c := range debeziumCases() {
		t.Run(c.name, func(t *testing.T) {
			o := c.options
			o.Keys, o.TopicPrefix, o.ZeroDates = true, c.name, debezium.ZeroDateDebezium
			if c.name != "dbz_schemas" {
				o.Skipped = "t"
			}
			ours, refused := map[string][]golden.Record{}, map[string][]error{}
			for _, r := range encode(t, must(debezium.New(o))) {
				topic := c.name
				switch {
				case r.err != nil:
					refused[r.table] = append(refused[r.table], r.err)
					continue
				case r.role == format.Transaction:
					topic += ".transaction"
				case r.role == format.Data:
					topic += "." + strings.ReplaceAll(r.table, "#", "_")
				}
				if r.rec.Headers != nil {
					r.rec.Headers[0][0] = map[bool]string{true: "__debezium.oldkey", false: "__debezium.newkey"}[strings.Contains(string(r.rec.Value), `"op":"c"`)]
				}
				r.rec.Value = debeziumNorm(r.rec.Value)
				ours[topic] = append(ours[topic], r.rec)
			}
			theirs := map[string][]golden.Record{}
			for _, r := range readGolden(t, c.name) {
				r.Value = debeziumNorm(r.Value)
				r.Headers = slices.DeleteFunc(r.Headers, func(h [2]string) bool { return strings.HasPrefix(h[0], "__debezium.context.") })
				theirs[r.Topic] = append(theirs[r.Topic], r)
			}
			var topics []string
			for topic := range theirs {
				topics = append(topics, topic)
			}
			for topic := range ours {
				if theirs[topic] == nil {
					topics = append(topics, topic)
				}
			}
			slices.Sort(topics)
			for _, table := range c.refused {
				wantRefused(t, table, refused["peers."+table])
				delete(theirs, c.name+".peers."+table)
				delete(ours, c.name+".peers."+table)
				delete(refused, "peers."+table)
			}
			for table, errs := range refused {
				t.Errorf("%s: %v", table, errs)
			}
			d := &differ{t: t, known: c.known, used: map[string]bool{}}
			for _, topic := range topics {
				place, table := strings.CutPrefix(topic, c.name+".")
				switch {
				case strings.HasPrefix(topic, "__debezium-heartbeat"):
					d.records("heartbeat", heartbeats(t, must(debezium.New(o)), theirs[topic]), theirs[topic])
				case table:
					d.records(place, ours[topic], theirs[topic])
				default:
					d.statements(ours[topic], theirs[topic])
				}
			}
			d.end()
		})
	}
}
