package ocf_test

import (
	"bytes"
	"testing"

	"github.com/linkedin/goavro/v2"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/format/ocf"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func table() *schemas.Table {
	return &schemas.Table{Database: "shop", Name: "orders", Seq: 7, PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int}, {Name: "note", Type: schemas.VarChar, Length: 100, Charset: "utf8mb4", Nullable: true},
	}}
}

// pack gives a file of all changes of a batch that are of its first table, and how many records are in it.
func pack(t testing.TB, e *ocf.Encoder, b *event.Batch) ([]byte, int) {
	t.Helper()
	var file bytes.Buffer
	p, err := e.File(b.Tables[0]).Pack(&file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range b.Changes {
		var out format.Out
		if err := e.Change(&out, b, i); err != nil {
			if !fault.Has(err, fault.FormatValue) {
				t.Fatal(err)
			}
			continue
		}
		for _, r := range out.Recs {
			if err := p.Add(out.Bytes(r.Value)); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), n
}

// TestCodecs reads files of many blocks with goavro's reader, but for zstandard, which it does not know: fastavro reads that in a test with servers.
func TestCodecs(t *testing.T) {
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for i := range int64(500) {
		w.Insert(table(), batchtest.Int(i), batchtest.Text("a note that is much like the one before"))
	}
	b := w.End().Batch()
	for _, codec := range []ocf.Codec{"", ocf.Deflate, ocf.Snappy, ocf.Null} {
		e, err := ocf.New(ocf.Options{Avro: avro.Options{Shape: avro.Flat}, Codec: codec, Block: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // one file after the other
			file, _ := pack(t, e, b)
			r, err := goavro.NewOCFReader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			n := int64(0)
			for ; r.Scan(); n++ {
				got, err := r.Read()
				if err != nil {
					t.Fatal(err)
				}
				if id := got.(map[string]any)["id"].(map[string]any)["int"]; id != int32(n) {
					t.Fatalf("record %d has id %v", n, id)
				}
			}
			if err := r.Err(); err != nil || n != 500 {
				t.Errorf("%s: %d records, %v", codec, n, err)
			}
			if v := string(r.MetaData()["cdc.version"]); v != "7" {
				t.Errorf("version %q", v)
			}
		}
	}
}

// TestTypes reads a file with every type in both shapes.
func TestTypes(t *testing.T) {
	tab := batchtest.AllTypes()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for n := range 8 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			all := batchtest.Edges(&tab.Columns[i])
			row[i] = all[n%len(all)]
		}
		w.Insert(tab, row...).Update(tab, row, row).Delete(tab, row...)
	}
	b := w.End().Batch()
	for _, o := range []avro.Options{
		{Shape: avro.Flat, ZeroDates: debezium.ZeroDateNull}, {Shape: avro.Envelope, Debezium: debezium.Options{Connector: "mysql", TopicPrefix: "p"}},
	} {
		e, err := ocf.New(ocf.Options{Avro: o})
		if err != nil {
			t.Fatal(err)
		}
		file, want := pack(t, e, b)
		r, err := goavro.NewOCFReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; r.Scan(); n++ {
			if _, err := r.Read(); err != nil {
				t.Fatal(err)
			}
		}
		if n != want || n == 0 || r.Err() != nil {
			t.Errorf("shape %d: %d records, want %d: %v", o.Shape, n, want, r.Err())
		}
	}
}

// An update of the key is a delete and an insert in flat records, and one record in an envelope.
func TestRekey(t *testing.T) {
	row := func(id int64) []batchtest.Value { return []batchtest.Value{batchtest.Int(id), batchtest.Null()} }
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Update(table(), row(1), row(2)).Update(table(), row(2), row(2)).End().Batch()
	for _, c := range []struct {
		o    avro.Options
		want int
	}{
		{avro.Options{Shape: avro.Flat}, 3},
		{avro.Options{Shape: avro.Envelope, Debezium: debezium.Options{Connector: "mysql", TopicPrefix: "p"}}, 2},
	} {
		e, err := ocf.New(ocf.Options{Avro: c.o, Codec: ocf.Null})
		if err != nil {
			t.Fatal(err)
		}
		file, n := pack(t, e, b)
		if n != c.want {
			t.Errorf("%d records, want %d", n, c.want)
		}
		if c.o.Shape == avro.Flat && (!bytes.Contains(file, []byte("\x0cdelete")) || !bytes.Contains(file, []byte("\x0cinsert"))) {
			t.Error("no delete and insert")
		}
	}
}

// Rows cost no allocation, neither where they are encoded nor where blocks are made of them.
func TestAllocations(t *testing.T) {
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for i := range int64(100) {
		w.Insert(table(), batchtest.Int(i), batchtest.Text("a note"))
	}
	b := w.End().Batch()
	e, err := ocf.New(ocf.Options{Avro: avro.Options{Shape: avro.Flat}, Codec: ocf.Null})
	if err != nil {
		t.Fatal(err)
	}
	var out format.Out
	if n := testing.AllocsPerRun(20, func() {
		out.Reset()
		for i := range b.Changes {
			if err := e.Change(&out, b, i); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidate(t *testing.T) {
	flat := avro.Options{Shape: avro.Flat}
	for _, o := range []ocf.Options{{Avro: flat, Codec: "gzip"}, {Avro: flat, Block: -1}, {Avro: avro.Options{Shape: avro.Flat, Unsigned: "x"}}} {
		if _, err := ocf.New(o); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
