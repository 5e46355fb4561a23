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
