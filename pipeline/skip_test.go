package pipeline

import (
	"testing"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/gtid"
	"cdc/sinks"
)

// A stream that goes by file reads transactions that have GTIDs all the same, of which neither place says anything.
func TestSkipByFileOfTransactionsWithGTIDs(t *testing.T) {
	place := sinks.Place{File: "f.2", Offset: 300}
	for name, ids := range map[string][2]gtid.GTID{
		"none":    {},
		"mysql":   {{UUID: simUUID, Seq: 1}, {UUID: simUUID, Seq: 2}},
		"mariadb": {{Flavor: gtid.MariaDB, Server: 1, Seq: 1}, {Flavor: gtid.MariaDB, Server: 1, Seq: 2}},
	} {
		s := newSkipper(place, &checkpoint.Record{File: "f.2", Offset: 100})
		if s == nil {
			t.Fatal("nothing is skipped")
		}
		if !s.has(&event.Txn{GTID: ids[0], File: "f.2", Off: 200}) {
			t.Errorf("%s: what the sink holds is delivered again", name)
		}
		if s.has(&event.Txn{GTID: ids[1], File: "f.2", Off: 300}) {
			t.Errorf("%s: what the sink does not hold is left out", name)
		}
	}
}
