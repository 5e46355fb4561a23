package plain_test

import (
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// benchBatch has a thousand updates of six columns in two hundred transactions.
func benchBatch() *event.Batch {
	tab := &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.BigInt, Unsigned: true},
		{Name: "state", Type: schemas.VarChar, Length: 20, Charset: "utf8mb4"},
		{Name: "amount", Type: schemas.Decimal, Precision: 12, Scale: 2},
		{Name: "at", Type: schemas.Timestamp, Fsp: 6},
		{Name: "kind", Type: schemas.Enum, Members: []string{"web", "phone"}},
		{Name: "doc", Type: schemas.JSON},
	}}
	row := func(n int64, state string) []batchtest.Value {
		return []batchtest.Value{
			batchtest.Uint(uint64(n)), batchtest.Text(state), batchtest.Decimal("1234.56"), batchtest.Num(event.Timestamp, batchtest.Commit+n),
			batchtest.Num(event.Enum, 2), batchtest.JSON(`{"a": [1, 2, 3]}`),
		}
	}
	w := batchtest.NewWriter(nil)
	for i := range int64(1000) {
		if i%5 == 0 {
			w.Begin(batchtest.Txn(uint64(i)))
		}
		w.Update(tab, row(i, "new"), row(i, "paid"))
	}
	return w.Batch()
}

func encodeAll(tb testing.TB, e format.Encoder, out *format.Out, b *event.Batch) {
	out.Reset()
	for i := range b.Changes {
		if err := e.Change(out, b, i); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestAllocs(t *testing.T) {
	b := benchBatch()
	for _, o := range []plain.Options{{}, {Keys: true}} {
		e := plain.New(o)
		var out format.Out
		encodeAll(t, e, &out, b)
		if n := testing.AllocsPerRun(10, func() { encodeAll(t, e, &out, b) }); n != 0 {
			t.Errorf("%+v: %v allocations for %d rows", o, n, len(b.Changes))
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	batch := benchBatch()
	e := plain.New(plain.Options{})
	var out format.Out
	encodeAll(b, e, &out, batch)
	b.SetBytes(int64(len(out.Buf) / len(batch.Changes)))
	i := 0
	for b.Loop() {
		if i == len(batch.Changes) {
			out.Reset()
			i = 0
		}
		if err := e.Change(&out, batch, i); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
