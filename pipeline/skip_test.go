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

// A sink keeps the GTID set of its place when the stream goes on by file. What was published since is not in it.
func TestSkipByFileBehindAnOldGTIDSet(t *testing.T) {
	old := gtid.NewSet(gtid.MySQL)
	old.AddRange(simUUID, "", 1, 6)
	place := sinks.Place{GTIDs: old, File: "f.2", Offset: 300}
	rec := checkpoint.Record{File: "f.2", Offset: 100}
	place.ByFile = true
	s := newSkipper(place, &rec)
	if s == nil {
		t.Fatal("nothing is skipped")
	}
	if !s.has(&event.Txn{GTID: gtid.GTID{UUID: simUUID, Seq: 7}, File: "f.2", Off: 200}) {
		t.Error("what was published before the kill is delivered again")
	}
	if s.has(&event.Txn{GTID: gtid.GTID{UUID: simUUID, Seq: 8}, File: "f.2", Off: 300}) {
		t.Error("what the sink does not hold is left out")
	}
	if s.done(&rec) {
		t.Error("the record is at the sink's place too early")
	}
	rec.Offset = 300
	if !s.done(&rec) {
		t.Error("the record never comes to the sink's place")
	}
}

// Another server that is named inside a transaction ends no place there.
func TestServerAloneEndsNoSlot(t *testing.T) {
	c := newCore(checkpoint.Record{ByHand: true, File: "f.1", Offset: 100}, nil, sinks.Place{}, false, 10)
	acked := func(b *event.Batch) {
		t.Helper()
		s, err := c.offer(b)
		if err != nil {
			t.Fatal(err)
		}
		c.acked(s, nil)
	}
	var list []*event.Batch
	for _, b := range cutBatches(&event.Server{ID: 7})[1:] { // a transaction that ends and one that begins; its middle, with a server
		b.Pos.GTIDs = nil
		list = append(list, b)
	}
	acked(list[0])
	acked(list[1])
	if c.rec.Offset != 300 || c.rec.Server.ID != 0 || len(c.win.slots) != 1 || c.win.slots[0].closed {
		t.Fatalf("record %+v, %d slots", c.rec, len(c.win.slots))
	}
	if c.rec.ByHand {
		t.Error("the record still says that its place was set by hand")
	}
	end := (&event.Pool{}).Get()
	end.Txns = []event.Txn{{End: true}}
	end.Pos = event.Position{File: "g.1", Offset: 50}
	acked(end)
	if c.rec.File != "g.1" || c.rec.Offset != 50 || c.rec.Server.ID != 7 {
		t.Errorf("record %+v", c.rec)
	}
}
