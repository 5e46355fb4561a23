package avro_test

import (
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// benchTable is a table of twelve columns of the usual types.
func benchTable() *schemas.Table {
	text := func(name string, n uint32) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.VarChar, Length: n, Charset: "utf8mb4", Nullable: true}
	}
	return &schemas.Table{
		Database: "shop", Name: "orders", PrimaryKey: []int{0}, Origin: schemas.FromDDL,
		Columns: []schemas.Column{
			{Name: "id", Type: schemas.BigInt, Unsigned: true},
			{Name: "customer_id", Type: schemas.Int},
			text("state", 20),
			{Name: "amount", Type: schemas.Decimal, Precision: 12, Scale: 2},
			{Name: "created_at", Type: schemas.DateTime, Fsp: 6},
			{Name: "updated_at", Type: schemas.Timestamp, Fsp: 3},
			text("email", 200),
			{Name: "quantity", Type: schemas.SmallInt},
			{Name: "kind", Type: schemas.Enum, Members: []string{"web", "phone", "shop"}},
			{Name: "weight", Type: schemas.Double, Nullable: true},
			text("note", 200),
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

// allTypesBatch has an insert and a delete for each round of the edges of every type.
func allTypesBatch(t testing.TB, e format.Encoder) *event.Batch {
	t.Helper()
	tab := batchtest.AllTypes()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for n := range 8 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			all := batchtest.Edges(&tab.Columns[i])
			row[i] = all[n%len(all)]
		}
		w.Insert(tab, row...).Delete(tab, row...)
	}
	b := w.Batch()
	prepare(t, e, b)
	for i := range b.Changes { // some edges are errors, which may allocate
		var out format.Out
		if err := e.Change(&out, b, i); err != nil {
			t.Logf("left out: %v", err)
		}
	}
	return b
}

func prepare(t testing.TB, e format.Encoder, b *event.Batch) {
	t.Helper()
	for _, tab := range b.Tables {
		if err := e.(format.Preparer).Prepare(t.Context(), tab, "topic"); err != nil {
			t.Fatal(err)
		}
	}
}

func newEncoder(t testing.TB, o avro.Options) *avro.Encoder {
	t.Helper()
	o.Registrar, o.Keys = &registrar{}, true
	e, err := avro.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// encodeAll encodes what can be encoded.
func encodeAll(e format.Encoder, out *format.Out, b *event.Batch) (refused int) {
	out.Reset()
	for i := range b.Changes {
		if err := e.Change(out, b, i); err != nil {
			refused++
		}
	}
	return refused
}

func TestAllocs(t *testing.T) {
	for _, o := range []avro.Options{
		{Shape: avro.Envelope},
		{Shape: avro.Envelope, Debezium: debezium.Options{BigintUnsigned: debezium.BigintPrecise, Time: debezium.TimeISO, Binary: debezium.BinaryHex, ZeroDates: debezium.ZeroDateNull}},
		{Shape: avro.Flat, ZeroDates: debezium.ZeroDateNull},
	} {
		e := newEncoder(t, o)
		b := benchBatch()
		prepare(t, e, b)
		var out format.Out
		if n := encodeAll(e, &out, b); n > 0 {
			t.Fatalf("%d changes are refused", n)
		}
		if n := testing.AllocsPerRun(10, func() { encodeAll(e, &out, b) }); n != 0 {
			t.Errorf("%+v: %v allocations for %d rows", o, n, len(b.Changes))
		}
		b = allTypesBatch(t, e)
		if refused := encodeAll(e, &out, b); refused == 0 {
			if n := testing.AllocsPerRun(10, func() { encodeAll(e, &out, b) }); n != 0 {
				t.Errorf("%+v: %v allocations for every type", o, n)
			}
		} else if o.Shape == avro.Flat {
			t.Errorf("%d flat records of every type are refused", refused)
		}
	}
}

func benchmark(b *testing.B, o avro.Options) {
	e, batch := newEncoder(b, o), benchBatch()
	prepare(b, e, batch)
	var out format.Out
	encodeAll(e, &out, batch)
	b.ReportAllocs()
	b.SetBytes(int64(len(out.Buf) / len(batch.Changes)))
	b.ResetTimer()
	for i := 0; i < b.N; i += len(batch.Changes) {
		encodeAll(e, &out, batch)
	}
}

func BenchmarkEnvelope(b *testing.B) { benchmark(b, avro.Options{Shape: avro.Envelope}) }

func BenchmarkFlat(b *testing.B) { benchmark(b, avro.Options{Shape: avro.Flat}) }
