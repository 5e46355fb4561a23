package parquet_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"testing"

	client "github.com/parquet-go/parquet-go"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/parquet"
	"cdc/internal/batchtest"
	"cdc/internal/settings"
	"cdc/schemas"
)

// pack gives a file of the changes of a batch that a record can be made of, and how many records are in it.
func pack(t testing.TB, o parquet.Options, b *event.Batch) ([]byte, int) {
	t.Helper()
	e, err := parquet.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	p, err := e.File(b.Tables[0]).Pack(&file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var out format.Out
	for i := range b.Changes {
		out.Reset()
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
	if p.Memory() <= 0 {
		t.Error("no memory")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), n
}

func open(t testing.TB, file []byte) *client.File {
	t.Helper()
	f, err := client.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readRows(t testing.TB, f *client.File) (all []client.Row) {
	t.Helper()
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]client.Row, 100)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				all = append(all, row.Clone())
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestValues reads edges of the types that must be exact.
func TestValues(t *testing.T) {
	dec := func(p, s uint8) schemas.Column { return schemas.Column{Type: schemas.Decimal, Precision: p, Scale: s} }
	for _, c := range []struct {
		col  schemas.Column
		v    batchtest.Value
		typ  string
		want string
	}{
		{schemas.Column{Type: schemas.TinyInt, Unsigned: true}, batchtest.Uint(255), "INT(8,false)", "255"},
		{schemas.Column{Type: schemas.BigInt, Unsigned: true}, batchtest.Uint(math.MaxUint64), "INT(64,false)", "18446744073709551615"},
		{schemas.Column{Type: schemas.BigInt}, batchtest.Int(math.MinInt64), "INT(64,true)", "-9223372036854775808"},
		{dec(9, 2), batchtest.Decimal("-9999999.99"), "DECIMAL(9,2)", "-999999999"},
		{dec(18, 0), batchtest.Decimal("999999999999999999"), "DECIMAL(18,0)", "999999999999999999"},
		{dec(38, 2), batchtest.Decimal("-999999999999999999999999999999999999.99"), "DECIMAL(38,2)", "\xb4\xc4\xb3W\xa5y;\x85\xf6u\xdd\xc0\x00\x00\x00\x01"},
		{dec(38, 2), batchtest.Decimal("-0.01"), "DECIMAL(38,2)", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		{dec(20, 1), batchtest.Decimal("1.5"), "DECIMAL(20,1)", "\x00\x00\x00\x00\x00\x00\x00\x00\x0f"},
		{dec(65, 0), batchtest.Decimal("-123"), "STRING", "-123"},
		{schemas.Column{Type: schemas.Timestamp, Fsp: 6}, batchtest.Num(event.Timestamp, 1), "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", "1"},
		{schemas.Column{Type: schemas.Time}, batchtest.Num(event.Time, -1000000), "INT(64,true)", "-1000000"},
		{schemas.Column{Type: schemas.Enum, Members: []string{"a", "b"}}, batchtest.Num(event.Enum, 2), "STRING", "b"},
	} {
		c.col.Name, c.col.Nullable = "c", true
		tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{c.col}}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, c.v).Insert(tab, batchtest.Null()).End().Batch()
		file, n := pack(t, parquet.Options{}, b)
		f := open(t, file)
		if n != 2 {
			t.Errorf("%s: %d records", c.col.ColumnType(), n)
			continue
		}
		got := readRows(t, f)
		leaf := f.Root().Column("c")
		if lt := leaf.Type().LogicalType(); (lt == nil) != (c.typ == "") || lt != nil && lt.String() != c.typ {
			t.Errorf("%s: type %v", c.col.ColumnType(), lt)
		}
		text := got[0][0].String()
		switch v := got[0][0]; {
		case v.Kind() >= client.ByteArray:
			text = string(v.ByteArray())
		case c.v.Kind == event.Uint && v.Kind() == client.Int64:
			text = strconv.FormatUint(v.Uint64(), 10)
		}
		if text != c.want {
			t.Errorf("%s: %q, want %q", c.col.ColumnType(), text, c.want)
		}
		if !got[1][0].IsNull() {
			t.Errorf("%s: NULL came as %v", c.col.ColumnType(), got[1][0])
		}
	}
}

// TestTypes writes every type, with every codec, and reads as many rows; columns are in the order of the table.
func TestTypes(t *testing.T) {
	tab := batchtest.AllTypes()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for n := range 200 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			all := batchtest.Edges(&tab.Columns[i])
			row[i] = all[n%len(all)]
		}
		w.Insert(tab, row...).Update(tab, row, row).Delete(tab, row...)
	}
	w.Change(event.Truncate, tab, nil, nil)
	b := w.End().Batch()
	for _, codec := range []string{"", parquet.CodecSnappy, parquet.CodecGzip, parquet.CodecNone} {
		file, n := pack(t, parquet.Options{Codec: codec, ZeroDates: parquet.ZeroDateNull, RowGroup: settings.Size(40_000)}, b)
		f := open(t, file)
		if got := len(readRows(t, f)); got != n || n < 100 {
			t.Errorf("%d rows, want %d", got, n)
		}
		if len(f.RowGroups()) < 2 {
			t.Errorf("%d row groups", len(f.RowGroups()))
		}
		for i := range tab.Columns {
			if name := f.Root().Columns()[i].Name(); name != tab.Columns[i].Name {
				t.Errorf("column %d is %s, want %s", i, name, tab.Columns[i].Name)
			}
		}
		statistics := 0
		for i := range tab.Columns {
			if s := f.Metadata().RowGroups[0].Columns[i].MetaData.Statistics; len(s.MinValue) > 0 {
				statistics++
			}
		}
		if statistics < len(tab.Columns)/2 {
			t.Errorf("only %d of %d columns have statistics", statistics, len(tab.Columns))
		}
	}
}

// Rows cost no allocation until a file is made of them.
func TestAllocations(t *testing.T) {
	tab := batchtest.AllTypes()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for n := range 8 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			all := batchtest.Edges(&tab.Columns[i])
			row[i] = all[n%len(all)]
		}
		w.Insert(tab, row...)
	}
	b := w.End().Batch()
	e, err := parquet.New(parquet.Options{ZeroDates: parquet.ZeroDateNull})
	if err != nil {
		t.Fatal(err)
	}
	var out format.Out
	var good []int
	for i := range b.Changes {
		if err := e.Change(&out, b, i); err == nil {
			good = append(good, i)
		}
	}
	if len(good) == 0 {
		t.Fatal("no row of all types was taken")
	}
	if n := testing.AllocsPerRun(20, func() {
		out.Reset()
		for _, i := range good {
			_ = e.Change(&out, b, i)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A record that is not one is refused, whatever is in it.
func TestDamaged(t *testing.T) {
	tab := batchtest.AllTypes()
	e, err := parquet.New(parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range []string{"", "\x01", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", string(make([]byte, 500))} {
		p, err := e.File(tab).Pack(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Add([]byte(rec)); !fault.Has(err, fault.SinkConflict) {
			t.Errorf("%q: %v", rec, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []parquet.Options{{Codec: "x"}, {RowGroup: -1}, {RowGroup: 2 << 30}, {ZeroDates: "x"}, {Text: "x"}} {
		if _, err := parquet.New(o); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Text has a dictionary where values repeat; where hardly one comes twice it has none. Either way it is what it was.
func TestDictionary(t *testing.T) {
	tab := &schemas.Table{Database: "shop", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int},
		{Name: "few", Type: schemas.VarChar, Length: 200, Charset: "utf8mb4", Nullable: true},
		{Name: "many", Type: schemas.VarChar, Length: 200, Charset: "utf8mb4", Nullable: true},
		{Name: "none", Type: schemas.VarChar, Length: 200, Charset: "utf8mb4", Nullable: true},
	}}
	for _, rows := range []int{3, 700, 2000} {
		w := batchtest.NewWriter(nil)
		w.Begin(batchtest.Txn(1))
		for i := range rows {
			many := batchtest.Text("number " + strconv.Itoa(i))
			if i%7 == 0 {
				many = batchtest.Null()
			}
			w.Insert(tab, batchtest.Int(int64(i)), batchtest.Text("one of "+strconv.Itoa(i%5)), many, batchtest.Null())
		}
		file, _ := pack(t, parquet.Options{}, w.End().Batch())
		f := open(t, file)
		seen := 0
		for _, g := range f.RowGroups() {
			for i := range 4 {
				encodings := f.Metadata().RowGroups[0].Columns[i].MetaData.Encoding
				dictionary := false
				for _, e := range encodings {
					dictionary = dictionary || e.String() == "RLE_DICTIONARY"
				}
				if want := i == 1 || i == 3 || i == 2 && rows < 100; i > 0 && dictionary != want {
					t.Errorf("%d rows: column %d has encodings %v", rows, i, encodings)
				}
			}
			r := g.Rows()
			for buf := make([]client.Row, 64); ; {
				n, err := r.ReadRows(buf)
				for _, values := range buf[:n] {
					id := int(values[0].Int32())
					want := [3]string{"one of " + strconv.Itoa(id%5), "number " + strconv.Itoa(id), ""}
					for i, v := range want {
						if null := i == 2 || i == 1 && id%7 == 0; values[i+1].IsNull() != null || !null && string(values[i+1].ByteArray()) != v {
							t.Fatalf("%d rows: row %d has %v, want %q", rows, id, values[i+1], v)
						}
					}
					seen++
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if seen != rows {
			t.Errorf("%d rows, want %d", seen, rows)
		}
	}
}
