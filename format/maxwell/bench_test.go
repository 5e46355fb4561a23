package maxwell_test

import (
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// document is {"leave it": "with the neighbour, please"} as the binlog has it.
const document = "\x00\x01\x00\x2e\x00\x0b\x00\x08\x00\x0c\x13\x00leave it\x1awith the neighbour, please"

// benchBatch has a thousand changes of a table of the usual types, in two hundred transactions.
func benchBatch(op event.Op) *event.Batch {
	text := func(name string, n uint32) schemas.Column {
		return schemas.Column{Name: name, Type: schemas.VarChar, Length: n, Charset: "utf8mb4", Nullable: true}
	}
	tab := &schemas.Table{
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
			{Name: "note", Type: schemas.JSON},
			{Name: "tags", Type: schemas.Set, Members: []string{"a", "b", "c"}},
		},
	}
	row := func(n int64, state string) []batchtest.Value {
		return []batchtest.Value{
			batchtest.Uint(uint64(1000000 + n)), batchtest.Int(4711 + n), batchtest.Text(state), batchtest.Decimal("1234.56"),
			batchtest.DateTime(event.Civil{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5, Micro: 678901}),
			batchtest.Num(event.Timestamp, batchtest.Commit+1000*n), batchtest.Text("somebody@example.com"), batchtest.Int(12), batchtest.Num(event.Enum, 2),
			batchtest.Double(12.5), batchtest.Arena(event.JSONBinary, document), batchtest.Num(event.SetBits, 5),
		}
	}
	w := batchtest.NewWriter(nil)
	for i := range int64(1000) {
		if i%5 == 0 {
			w.Begin(batchtest.Txn(uint64(i)))
		}
		switch op {
		case event.Insert:
			w.Insert(tab, row(i, "new")...)
		case event.Delete:
			w.Delete(tab, row(i, "new")...)
		default:
			w.Update(tab, row(i, "new"), row(i, "paid"))
		}
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
	for _, op := range []event.Op{event.Insert, event.Update, event.Delete} {
		b := benchBatch(op)
		for _, o := range []maxwell.Options{
			{},
			{Keys: true, Tombstones: true, KeyFormat: maxwell.KeyArray},
			{Keys: true, XOffset: true, Position: true, GTID: true, ServerID: true, ThreadID: true, PrimaryKeys: true, PrimaryNames: true, Query: true},
		} {
			e := newEncoder(t, o)
			var out format.Out
			encodeAll(t, e, &out, b)
			if n := testing.AllocsPerRun(10, func() { encodeAll(t, e, &out, b) }); n != 0 {
				t.Errorf("%v %+v: %v allocations for %d rows", op, o, n, len(b.Changes))
			}
		}
	}
}

// BenchmarkChange is the time of one change of twelve columns with its key, beside that of the debezium format.
func BenchmarkChange(b *testing.B) {
	deb, err := debezium.New(debezium.Options{Keys: true})
	if err != nil {
		b.Fatal(err)
	}
	for _, op := range []event.Op{event.Insert, event.Update} {
		batch := benchBatch(op)
		for _, x := range []struct {
			name string
			e    format.Encoder
		}{{"maxwell", newEncoder(b, maxwell.Options{Keys: true})}, {"debezium", deb}} {
			b.Run(op.String()+"/"+x.name, func(b *testing.B) {
				var out format.Out
				encodeAll(b, x.e, &out, batch)
				b.SetBytes(int64(len(out.Buf) / len(batch.Changes)))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if i == len(batch.Changes) {
						out.Reset()
						i = 0
					}
					if err := x.e.Change(&out, batch, i); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
	}
}
