package pipeline

import (
	"testing"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks"
)

// chunk is a batch of a snapshot with one row.
func chunk(cursor string, rows uint64, end bool) *event.Batch {
	m := &event.Mark{End: end}
	if cursor != "" {
		m.Table = &event.TableCopy{Name: schemas.Name{Database: "d", Table: "t"}, Key: []string{"id"}, Cursor: []string{cursor}, Rows: rows}
	}
	b := &event.Batch{Mark: m, Copying: true}
	b.Txns = append(b.Txns, event.Txn{File: "binlog.000001", Off: 4, Begin: true, End: true, Chunk: true})
	b.Retain()
	return b
}

// A chunk's cursor is in the record when the chunk and all before it were acknowledged, and not earlier.
func TestSnapshotMarks(t *testing.T) {
	c := newCore(checkpoint.Record{}, nil, sinks.Place{}, false, 10)
	first := &event.Batch{Mark: &event.Mark{Begin: &event.Snapshot{State: event.SnapshotRunning}}, Pos: event.Position{File: "binlog.000001", Offset: 4}}
	c.began(first)
	if s := c.rec.Snapshot; s.State != event.SnapshotRunning {
		t.Fatalf("the first record says nothing of the snapshot: %+v", s)
	}
	var slots []*slot
	for _, b := range []*event.Batch{chunk("5", 5, false), chunk("9", 9, false), chunk("", 0, true)} {
		s, err := c.offer(b)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
	}
	if slots[0] == slots[1] {
		t.Fatal("two chunks share a place")
	}
	cursor := func() string {
		if x, ok := c.rec.Snapshot.Of(schemas.Name{Database: "d", Table: "t"}); ok {
			return x.Cursor[0]
		}
		return ""
	}
	c.acked(slots[1], nil)
	if cursor() != "" {
		t.Error("a cursor was taken before the chunks before it were acknowledged")
	}
	c.acked(slots[0], nil)
	if p, ok := c.collect(); cursor() != "9" || !ok || p.rec.Snapshot.Rows != 9 {
		t.Errorf("%+v", c.rec.Snapshot)
	}
	if c.rec.File != "binlog.000001" || c.rec.Offset != 4 {
		t.Errorf("a chunk moved the place to %s:%d", c.rec.File, c.rec.Offset)
	}
	c.acked(slots[2], nil)
	if s := c.rec.Snapshot; s.State != event.SnapshotDone || s.Tables != nil || s.Rows != 9 {
		t.Errorf("%+v", s)
	}
}

// A table in one piece is one place, at its end.
func TestSnapshotParts(t *testing.T) {
	c := newCore(checkpoint.Record{}, nil, sinks.Place{}, false, 10)
	var slots []*slot
	for n := range 3 {
		b := chunk("", uint64(n), false)
		b.Mark.Table = &event.TableCopy{Name: schemas.Name{Database: "d", Table: "t"}, Rows: uint64(n + 1), Done: n == 2}
		b.Mark.Part = n < 2
		b.Txns[0].Begin, b.Txns[0].End = n == 0, n == 2
		s, err := c.offer(b)
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, s)
		c.acked(s, nil)
		if _, moved := c.collect(); moved != (n == 2) {
			t.Errorf("part %d: moved %v", n, moved)
		}
	}
	if slots[0] != slots[1] || slots[1] != slots[2] {
		t.Error("parts of a table do not share a place")
	}
	if x, ok := c.rec.Snapshot.Of(schemas.Name{Database: "d", Table: "t"}); !ok || x.Rows != 3 || !x.Done {
		t.Errorf("%+v", c.rec.Snapshot)
	}
}

// A statement of the stream that ends what is known of a copy is saved with its place, and is left out like any other where the sink has it.
func TestSnapshotMarkOfStatement(t *testing.T) {
	n := schemas.Name{Database: "d", Table: "t"}
	set, err := gtid.Parse(gtid.MySQL, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
	if err != nil {
		t.Fatal(err)
	}
	one, err := gtid.ParseGTID(gtid.MySQL, "3e11fa47-71ca-11e1-9e33-c80aa9429562:5")
	if err != nil {
		t.Fatal(err)
	}
	rec := checkpoint.Record{GTIDs: gtid.NewSet(gtid.MySQL), File: "binlog.000001", Offset: 4, Saved: 1, Snapshot: event.Snapshot{
		State: event.SnapshotRunning, Tables: []event.TableCopy{{Name: n, Rows: 7, Done: true}},
	}}
	c := newCore(rec, nil, sinks.Place{GTIDs: set, File: "binlog.000009", Offset: 4}, true, 10)
	b := &event.Batch{Mark: &event.Mark{Again: []schemas.Name{n}}, DDL: &schemas.DDL{Kind: schemas.RenameTables}}
	b.Txns = append(b.Txns, event.Txn{GTID: one, File: "binlog.000001", Off: 100, Begin: true, End: true})
	b.Pos = event.Position{GTIDs: gtid.NewSet(gtid.MySQL), File: "binlog.000001", Offset: 200}
	b.Pos.GTIDs.Add(one)
	b.Retain()
	s, err := c.offer(b)
	if err != nil || b.DDL != nil {
		t.Errorf("the sink's statement came again: %v", err)
	}
	c.acked(s, nil)
	if _, there := c.rec.Snapshot.Of(n); there || c.rec.Offset != 200 || c.rec.Txns != 1 {
		t.Errorf("%+v", c.rec)
	}
}

// What a sink holds beyond the checkpoint says nothing of a snapshot's rows, nor does a transaction that an operator wants left out.
func TestSnapshotRowsAreNotSkipped(t *testing.T) {
	set, err := gtid.Parse(gtid.MySQL, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
	if err != nil {
		t.Fatal(err)
	}
	c := newCore(checkpoint.Record{GTIDs: gtid.NewSet(gtid.MySQL), File: "binlog.000001", Offset: 4, Saved: 1}, nil,
		sinks.Place{GTIDs: set, File: "binlog.000009", Offset: 4}, true, 10)
	c.drops.list = []Drop{{File: "binlog.000001", Off: 4}}
	b := chunk("5", 1, false)
	b.Tables = []*schemas.Table{{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}}}
	b.Groups = append(b.Groups, event.Group{})
	cells, arena := b.Slabs()
	at := uint32(len(cells))
	b.PutSlabs(append(cells, event.IntCell(5)), arena)
	b.AddChange(event.Read, 0, 0, 0, at)
	if _, err := c.offer(b); err != nil || len(b.Changes) != 1 {
		t.Errorf("%d changes, %v", len(b.Changes), err)
	}
}
