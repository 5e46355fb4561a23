package avro_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/avro"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// TestSourceBlocks has transactions whose rows are of more tables than source blocks are kept of, also one that nothing is known of: each change becomes
// what a new encoder makes of it.
func TestSourceBlocks(t *testing.T) {
	tables := make([]*schemas.Table, 7)
	for i := range tables {
		tables[i] = benchTable()
		tables[i].Name = fmt.Sprintf("orders%d", i)
	}
	w := batchtest.NewWriter(nil)
	w.Begin(event.Txn{Begin: true, End: true})
	r := rand.New(rand.NewPCG(1, 2))
	for n := range int64(70) {
		if n%14 == 13 {
			w.Begin(batchtest.Txn(uint64(n)))
		}
		tab := tables[r.IntN(1+int(n)%len(tables))]
		switch r.IntN(4) {
		case 0:
			w.Change(event.Truncate, tab, nil, nil)
		case 1:
			w.Change(event.Read, tab, nil, benchRow(n, "new"))
		default:
			w.Update(tab, benchRow(n, "new"), benchRow(n, "paid"))
		}
	}
	b := w.Batch()
	b.Txns[0].Off = 0
	for _, shape := range []avro.Shape{avro.Envelope, avro.Flat} {
		ids := &registrar{} // so that a schema has one id for all
		encoder := func() *avro.Encoder {
			e, err := avro.New(avro.Options{Shape: shape, Registrar: ids, Keys: true})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		one := encoder()
		prepare(t, one, b)
		for i := range b.Changes {
			fresh := encoder()
			if err := fresh.Prepare(t.Context(), b.Tables[b.Changes[i].Table], "topic"); err != nil {
				t.Fatal(err)
			}
			sameBytes(t, one, fresh, b, i)
		}
	}
}

// sameBytes has two encoders make the same of a change.
func sameBytes(t *testing.T, e, other format.Encoder, b *event.Batch, i int) {
	t.Helper()
	var got, want format.Out
	if err := e.Change(&got, b, i); err != nil {
		t.Fatal(err)
	}
	if err := other.Change(&want, b, i); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Buf, want.Buf) {
		t.Fatalf("change %d:\n%q\n%q", i, got.Buf, want.Buf)
	}
}
