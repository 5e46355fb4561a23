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

// maxwellCase is one of the recorded settings.
type maxwellCase struct {
	name    string
	options maxwell.Options
	known   map[string]string
}

func maxwellCases() []maxwellCase {
	join := func(ms ...map[string]string) map[string]string {
		known := maps.Clone(maxwellKnown)
		for _, m := range ms {
			maps.Copy(known, m)
		}
		return known
	}
	return []maxwellCase{
		{name: "mxw_plain", options: maxwell.Options{DDL: true}, known: join(maxwellDDL, maxwellHash, maxwellPlain, maxwellZero)},
		{name: "mxw_all", options: maxwell.Options{
			DDL: true, Position: true, ServerID: true, ThreadID: true, Query: true, PrimaryKeys: true, PrimaryNames: true, XOffset: true, KeyFormat: maxwell.KeyArray,
		}, known: join(maxwellDDL, maxwellAll, maxwellZero)},
		{name: "mxw_gtid", options: maxwell.Options{GTID: true, Nulls: no(), NullZero: true, CommitInfo: no()}, known: join(maxwellHash)},
	}
}

func TestMaxwell(t *testing.T) {
	for _, c := range maxwellCases() {
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
			d := &differ{t: t, known: c.known, used: map[string]bool{}}
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
