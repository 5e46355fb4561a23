package parquet_test

import (
	"io"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/parquet"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// BenchmarkFile encodes and packs rows of twelve columns of the usual types: one operation is one row in a file.
func BenchmarkFile(b *testing.B) {
	text := func(name string) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.VarChar, Length: 200, Charset: "utf8mb4", Nullable: true}
	}
	tab := &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.BigInt, Unsigned: true},
		{Name: "customer_id", Type: schemas.Int},
		text("state"),
		{Name: "amount", Type: schemas.Decimal, Precision: 12, Scale: 2},
		{Name: "created_at", Type: schemas.DateTime, Fsp: 6},
		{Name: "updated_at", Type: schemas.Timestamp, Fsp: 3},
		text("email"),
		{Name: "quantity", Type: schemas.SmallInt},
		{Name: "kind", Type: schemas.Enum, Members: []string{"web", "phone", "shop"}},
		{Name: "weight", Type: schemas.Double, Nullable: true},
		text("note"),
		{Name: "born", Type: schemas.Date, Nullable: true},
	}}
	w := batchtest.NewWriter(nil)
	for i := range int64(1000) {
		if i%5 == 0 {
			w.Begin(batchtest.Txn(uint64(i)))
		}
		w.Insert(tab, batchtest.Uint(uint64(1000000+i)), batchtest.Int(4711+i), batchtest.Text("new"), batchtest.Decimal("1234.56"),
			batchtest.DateTime(event.Civil{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5, Micro: 678901}),
			batchtest.Num(event.Timestamp, batchtest.Commit+1000*i), batchtest.Text("somebody@example.com"), batchtest.Int(12), batchtest.Num(event.Enum, 2),
			batchtest.Double(12.5), batchtest.Text("leave it with the neighbour, please"), batchtest.Date(1980, 5, 17))
	}
	batch := w.End().Batch()
	e, err := parquet.New(parquet.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := e.File(tab).Pack(io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	var out format.Out
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		out.Reset()
		if err := e.Change(&out, batch, n%1000); err != nil {
			b.Fatal(err)
		}
		if err := p.Add(out.Bytes(out.Recs[0].Value)); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}
