package peers_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"cdc/format"
	"cdc/format/maxwell"
	"cdc/internal/peers/golden"
)

func TestMaxwell(t *testing.T) {
	for _, c := range []struct {
		name    string
		options maxwell.Options
		known   map[string]string
	}{
		{name: "mxw_plain", options: maxwell.Options{DDL: true}, known: map[string]string{
			"peers.date_key key.pk.b": "as in the row",
			"* value.xoffset":         "1.22 has xoffset without being asked, 1.45 only with output_xoffset",
		}},
		{name: "mxw_all", options: maxwell.Options{
			DDL: true, Position: true, ServerID: true, ThreadID: true, Query: true, PrimaryKeys: true, PrimaryNames: true, XOffset: true, KeyFormat: maxwell.KeyArray,
		}, known: map[string]string{
			"* value.schema_id":        "the number of a row in the peer's own database",
			"peers.date_key key[][].b": "as in the row", "peers.date_key value.primary_key": "as in the row",
			"peers.unique_key value.primary_key": "only a primary key is a key there",
		}},
		{name: "mxw_gtid", options: maxwell.Options{GTID: true, Nulls: no(), NullZero: true, CommitInfo: no()}, known: map[string]string{
			"peers.date_key key.pk.b": "as in the row",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.options
			o.Keys, o.PKChange, o.Truncate = true, maxwell.PKUpdate, maxwell.TruncateSkip
			ours, theirs := map[string][]golden.Record{}, map[string][]golden.Record{}
			var places []string
			add := func(m map[string][]golden.Record, place string, r golden.Record) {
				if ours[place] == nil && theirs[place] == nil {
					places = append(places, place)
				}
				m[place] = append(m[place], r)
			}
			for _, r := range encode(t, must(maxwell.New(o))) {
				switch {
				case r.err != nil:
					t.Errorf("%s: %v", r.table, r.err)
				case r.role == format.SchemaChange:
					add(ours, "ddl", r.rec)
				default:
					add(ours, r.table, r.rec)
				}
			}
			for _, r := range readGolden(t, c.name) {
				if strings.HasSuffix(r.Topic, "_ddl") {
					add(theirs, "ddl", r)
					continue
				}
				var m struct{ Database, Table string }
				if err := json.Unmarshal(r.Value, &m); err != nil {
					t.Fatal(err)
				}
				add(theirs, m.Database+"."+m.Table, r)
			}
			known := maps.Clone(maxwellKnown)
			if c.options.DDL {
				maps.Copy(known, maxwellDDL)
			}
			if !c.options.NullZero {
				known["peers.part_dates value.data"] = "a date with a zero part is 0000-00-00 there"
			}
			maps.Copy(known, c.known)
			d := &differ{t: t, known: known, used: map[string]bool{}}
			for _, place := range places {
				if place == "ddl" {
					d.statements(ours[place], theirs[place])
				} else {
					d.records(place, ours[place], theirs[place])
				}
			}
			d.end()
		})
	}
}
