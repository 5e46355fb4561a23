package envelope_test

import (
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/source/kafka/envelope"
)

// BenchmarkAppend reads an update of a row of twelve columns.
func BenchmarkAppend(b *testing.B) {
	table := &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}}
	var row []batchtest.Value
	add := func(name string, c schemas.Column, v batchtest.Value) {
		c.Name = name
		if c.Type.IsText() {
			c.Charset, c.Collation = "utf8mb4", "utf8mb4_0900_ai_ci"
		}
		table.Columns, row = append(table.Columns, c), append(row, v)
	}
	add("id", schemas.Column{Type: schemas.BigInt}, batchtest.Int(123456789))
	add("customer", schemas.Column{Type: schemas.BigInt}, batchtest.Int(987654))
	add("state", schemas.Column{Type: schemas.Enum, Members: []string{"new", "paid", "sent"}}, batchtest.Num(event.Enum, 2))
	add("total", schemas.Column{Type: schemas.Decimal, Precision: 12, Scale: 2}, batchtest.Decimal("1234.50"))
	add("note", schemas.Column{Type: schemas.Text, Nullable: true}, batchtest.Text("to be left at the door of the neighbour, who is always in"))
	add("placed", schemas.Column{Type: schemas.DateTime, Fsp: 6}, batchtest.DateTime(event.Civil{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5, Micro: 123456}))
	add("sent", schemas.Column{Type: schemas.Timestamp, Nullable: true}, batchtest.Null())
	add("weight", schemas.Column{Type: schemas.Double}, batchtest.Double(12.75))
	add("street", schemas.Column{Type: schemas.VarChar, Length: 100}, batchtest.Text("Unter den Linden 77"))
	add("city", schemas.Column{Type: schemas.VarChar, Length: 100}, batchtest.Text("Berlin"))
	add("zip", schemas.Column{Type: schemas.Int}, batchtest.Int(10117))
	add("hash", schemas.Column{Type: schemas.Binary, Length: 16}, batchtest.Bytes("0123456789abcdef"))
	after := append([]batchtest.Value(nil), row...)
	after[2] = batchtest.Num(event.Enum, 3)
	in := batchtest.NewWriter(nil).Begin(batchtest.Txn(7)).Update(table, row, after).End().Batch()
	enc, err := debezium.New(debezium.Options{Keys: true, Schemas: true})
	if err != nil {
		b.Fatal(err)
	}
	var out format.Out
	if err := enc.Change(&out, in, 0); err != nil {
		b.Fatal(err)
	}
	key, value := out.Bytes(out.Recs[0].Key), out.Bytes(out.Recs[0].Value)
	d, pool := envelope.New(envelope.Options{}), &event.Pool{}
	got := pool.Get()
	b.ReportAllocs()
	b.SetBytes(int64(len(key) + len(value)))
	for b.Loop() {
		if err := d.Append(got, at(1), key, value); err != nil {
			b.Fatal(err)
		}
		if len(got.Changes) == 1000 {
			got.Release()
			got = pool.Get()
		}
	}
	got.Release()
}
