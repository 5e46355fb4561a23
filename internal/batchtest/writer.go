package batchtest

import (
	"fmt"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// Writer fills a batch as a source does.
type Writer struct {
	b    *event.Batch
	row  uint32
	next uint64 // offset of the next event
}

// NewWriter starts a batch from pool, or one of its own where pool is nil.
func NewWriter(pool *event.Pool) *Writer {
	if pool == nil {
		pool = &event.Pool{}
	}
	b := pool.Get()
	b.Pos.File, b.Pos.Offset = "", 0
	return &Writer{b: b, next: 1000}
}

// TestUUID is the server_uuid of the transactions that Txn makes.
const TestUUID = "24bc7850-2c16-11e6-a073-0242ac110002"

// Commit is the commit time of Txn(0): 2024-01-02 03:04:05.123456 UTC, in microseconds.
const Commit = 1704164645123456

// Txn makes a plain whole transaction of MySQL, the seq-th of TestUUID.
func Txn(seq uint64) event.Txn {
	g, err := gtid.ParseGTID(gtid.MySQL, fmt.Sprintf("%s:%d", TestUUID, max(seq, 1)))
	if err != nil {
		panic(err) // the text above is right
	}
	at := Commit + int64(seq)*1000
	return event.Txn{
		GTID: g, File: "binlog.000007", Commit: at, Original: at, ServerID: 223344, Thread: 12, XID: 900 + seq,
		Begin: true, End: true, Committed: int64(seq), Sequence: int64(seq) + 1,
	}
}

// Begin adds a transaction. Its First, Last, and offsets where they are zero, are filled in.
func (w *Writer) Begin(t event.Txn) *Writer {
	t.First, t.Last = int32(len(w.b.Changes)), int32(len(w.b.Changes))
	if t.Off == 0 {
		t.Off = w.next
	}
	w.next = max(w.next, t.Off) + 100
	w.row = 0
	w.b.Txns = append(w.b.Txns, t)
	return w
}

// Row sets the number of the next change in its transaction, for one that goes on from an earlier batch.
func (w *Writer) Row(n uint32) *Writer {
	w.row = n
	return w
}

// Group adds a rows event with the statement that caused it, "" for none.
func (w *Writer) Group(flags uint16, query string) *Writer {
	g := event.Group{Off: w.next, Txn: uint32(len(w.b.Txns) - 1), First: w.row, Flags: flags}
	if query != "" {
		g.Query = w.b.AddText([]byte(query))
	}
	w.next += 100
	w.b.Groups = append(w.b.Groups, g)
	return w
}

// Change adds a change to the last group, making one where the transaction has none. An image is nil for none.
func (w *Writer) Change(op event.Op, table *schemas.Table, before, after []Value) *Writer {
	if n := len(w.b.Groups); n == 0 || int(w.b.Groups[n-1].Txn) != len(w.b.Txns)-1 {
		w.Group(event.GroupStatementEnd, "")
	}
	i, ok := w.b.AddTable(table)
	if !ok {
		panic("batchtest: too many tables") // a bug of the test
	}
	image := func(vs []Value) uint32 {
		if vs == nil {
			return 0
		}
		if len(vs) != len(table.Columns) {
			panic(fmt.Sprintf("batchtest: %d values for %d columns of %s", len(vs), len(table.Columns), table.FullName()))
		}
		cells, arena := w.b.Slabs()
		at := uint32(len(cells))
		for _, v := range vs {
			var c event.Cell
			c, arena = v.Append(arena)
			cells = append(cells, c)
		}
		w.b.PutSlabs(cells, arena)
		return at
	}
	bef, aft := image(before), image(after)
	w.b.AddChange(op, i, w.row, bef, aft)
	w.row++
	return w
}

// Insert adds a row.
func (w *Writer) Insert(table *schemas.Table, after ...Value) *Writer {
	return w.Change(event.Insert, table, nil, after)
}

// Update changes a row.
func (w *Writer) Update(table *schemas.Table, before, after []Value) *Writer {
	return w.Change(event.Update, table, before, after)
}

// Delete removes a row.
func (w *Writer) Delete(table *schemas.Table, before ...Value) *Writer {
	return w.Change(event.Delete, table, before, nil)
}

// End ends the last transaction: its Next and the batch's position are set.
func (w *Writer) End() *Writer {
	t := &w.b.Txns[len(w.b.Txns)-1]
	t.Next = w.next
	if t.End {
		w.b.Pos.File, w.b.Pos.Offset, w.b.Pos.Time = t.File, t.Next, t.Commit
		if !t.GTID.IsZero() {
			if w.b.Pos.GTIDs == nil {
				w.b.Pos.GTIDs = gtid.NewSet(t.GTID.Flavor)
			}
			w.b.Pos.GTIDs.Add(t.GTID)
		}
	}
	return w
}

// Batch gives the batch, with one reference.
func (w *Writer) Batch() *event.Batch { return w.b }
