package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cdc/event"
	"cdc/format"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// keyed encodes the row (id, n, v) as a record with the key id and the value "n v".
type keyed struct{}

func (keyed) Change(o *format.Out, b *event.Batch, i int) error {
	c, row := &b.Changes[i], b.After(i)
	r := format.Rec{Change: int32(i), Table: c.Table}
	r.Key.Start = len(o.Buf)
	o.Buf = strconv.AppendInt(o.Buf, row.Cells[0].Int64(), 10)
	r.Key.End, r.Value.Start = len(o.Buf), len(o.Buf)
	o.Buf = append(strconv.AppendInt(o.Buf, row.Cells[1].Int64(), 10), ' ')
	o.Buf = append(o.Buf, row.Bytes(row.Cells[2])...)
	r.Value.End = len(o.Buf)
	o.Recs = append(o.Recs, r)
	return nil
}

func (keyed) DDL(o *format.Out, b *event.Batch) error {
	o.Recs = append(o.Recs, format.Rec{Role: format.SchemaChange, Change: -1, Value: format.Span{Start: len(o.Buf), End: len(o.Buf) + len(b.DDL.Text)}})
	o.Buf = append(o.Buf, b.DDL.Text...)
	return nil
}

func (keyed) Txn(o *format.Out, b *event.Batch, i int, end bool) error {
	start := len(o.Buf)
	o.Buf = fmt.Appendf(o.Buf, "%s %v", b.Txns[i].GTID, end)
	o.Recs = append(o.Recs, format.Rec{Role: format.Transaction, Change: -1, Value: format.Span{Start: start, End: len(o.Buf)}})
	return nil
}

func (keyed) Heartbeat(o *format.Out, pos event.Position, now int64) error {
	start := len(o.Buf)
	o.Buf = fmt.Appendf(o.Buf, "%s %d %v", pos.GTIDs, pos.Offset, now > 0)
	o.Recs = append(o.Recs, format.Rec{Role: format.Heartbeat, Change: -1, Value: format.Span{Start: start, End: len(o.Buf)}})
	return nil
}

func newKeyed() format.Encoder { return keyed{} }

// tableOf is a table for keyed.
func tableOf(db, name string) *schemas.Table {
	return &schemas.Table{
		Database: db, Name: name, PrimaryKey: []int{0},
		Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt}, {Name: "n", Type: schemas.BigInt}, {Name: "v", Type: schemas.LongText}},
	}
}

// load writes numbered rows of some keys to a sink.
type load struct {
	t     testing.TB
	s     *kafka.Sink
	table *schemas.Table
	text  string
	n     int // rows written
	txns  uint64
	acked atomic.Int64
	err   atomic.Pointer[error]
}

func newLoad(t testing.TB, o kafka.Options, name string) *load {
	t.Helper()
	o.Encoder = newKeyed
	s, err := kafka.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &load{t: t, s: s, table: tableOf("shop", name), text: strings.Repeat("x", 100)}
}

const keys = 53

// write writes a batch of so many rows in one transaction.
func (l *load) write(rows int) error {
	w := batchtest.NewWriter(nil)
	l.txns++
	w.Begin(batchtest.Txn(l.txns))
	for range rows {
		w.Insert(l.table, batchtest.Int(int64(l.n%keys)), batchtest.Int(int64(l.n)), batchtest.Text(l.text))
		l.n++
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), longest)
	defer cancel()
	return l.s.Write(ctx, w.Batch(), func(err error) {
		if err != nil {
			l.err.CompareAndSwap(nil, &err)
			return
		}
		l.acked.Add(int64(rows))
	})
}

func (l *load) mustWrite(rows int) {
	l.t.Helper()
	if err := l.write(rows); err != nil {
		l.t.Fatalf("write: %v", err)
	}
}

// flush waits until all is acked.
func (l *load) flush() error {
	ctx, cancel := context.WithTimeout(l.t.Context(), longest)
	defer cancel()
	return l.s.Flush(ctx)
}

// failure waits for the fault that ends the sink.
func (l *load) failure() error {
	if err := l.write(1); err != nil {
		return err
	}
	return l.flush()
}

// longest is how long a test waits for something that will come.
const longest = 3 * time.Minute

// poll waits until a condition holds.
func poll(ctx context.Context, t testing.TB, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("it never comes")
		}
	}
}
