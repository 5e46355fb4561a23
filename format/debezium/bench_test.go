package debezium_test

import (
	"encoding/json"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// benchTable is a table of twelve columns of the usual types.
func benchTable() *schemas.Table {
	text := func(name string, typ schemas.Type, n uint32) schemas.Column {
		return schemas.Column{Name: name, Type: typ, Length: n, Charset: "utf8mb4", Nullable: true}
	}
	return &schemas.Table{
		Database: "shop", Name: "orders", PrimaryKey: []int{0}, Origin: schemas.FromDDL,
		Columns: []schemas.Column{
			{Name: "id", Type: schemas.BigInt, Unsigned: true},
			{Name: "customer_id", Type: schemas.Int},
			text("state", schemas.VarChar, 20),
			{Name: "amount", Type: schemas.Decimal, Precision: 12, Scale: 2},
			{Name: "created_at", Type: schemas.DateTime, Fsp: 6},
			{Name: "updated_at", Type: schemas.Timestamp, Fsp: 3},
			text("email", schemas.VarChar, 200),
			{Name: "quantity", Type: schemas.SmallInt},
			{Name: "kind", Type: schemas.Enum, Members: []string{"web", "phone", "shop"}},
			{Name: "weight", Type: schemas.Double, Nullable: true},
			text("note", schemas.VarChar, 200),
			{Name: "born", Type: schemas.Date, Nullable: true},
		},
	}
}

func benchRow(n int64, state string) []batchtest.Value {
	return []batchtest.Value{
		batchtest.Uint(uint64(1000000 + n)), batchtest.Int(4711 + n), batchtest.Text(state), batchtest.Decimal("1234.56"),
		batchtest.DateTime(event.Civil{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5, Micro: 678901}),
		batchtest.Num(event.Timestamp, batchtest.Commit+1000*n), batchtest.Text("somebody@example.com"), batchtest.Int(12), batchtest.Num(event.Enum, 2),
		batchtest.Double(12.5), batchtest.Text("leave it with the neighbour, please"), batchtest.Date(1980, 5, 17),
	}
}

// benchBatch has a thousand updates in two hundred transactions.
func benchBatch() *event.Batch {
	w, tab := batchtest.NewWriter(nil), benchTable()
	for i := range int64(1000) {
		if i%5 == 0 {
			w.Begin(batchtest.Txn(uint64(i)))
		}
		w.Update(tab, benchRow(i, "new"), benchRow(i, "paid"))
	}
	b := w.Batch()
	b.Received = batchtest.Commit
	return b
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
	for _, o := range []debezium.Options{{}, {Keys: true}, {Schemas: true}, {Keys: true, Transaction: true, BigintUnsigned: debezium.BigintPrecise, Time: debezium.TimeISO}} {
		e := newEncoder(t, o)
		var out format.Out
		encodeAll(t, e, &out, b)
		if n := testing.AllocsPerRun(10, func() { encodeAll(t, e, &out, b) }); n != 0 {
			t.Errorf("%+v: %v allocations for %d rows", o, n, len(b.Changes))
		}
	}
}

// BenchmarkUpdate is the time of one update of twelve columns, before and after image.
func BenchmarkUpdate(b *testing.B) {
	batch := benchBatch()
	for name, o := range map[string]debezium.Options{"payload": {}, "payload+key": {Keys: true}, "schema": {Schemas: true}} {
		b.Run(name, func(b *testing.B) {
			e := newEncoder(b, o)
			var out format.Out
			encodeAll(b, e, &out, batch)
			b.SetBytes(int64(len(out.Buf) / len(batch.Changes)))
			b.ReportAllocs()
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
		})
	}
	b.Run("encoding-json", func(b *testing.B) {
		e := newEncoder(b, debezium.Options{})
		var out format.Out
		if err := e.Change(&out, batch, 0); err != nil {
			b.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(out.Buf, &v); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
