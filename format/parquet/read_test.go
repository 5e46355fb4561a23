package parquet_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format/parquet"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// Rows of every type that are read and written again are the same values in the file, for a reader that is not ours.
func TestReadAndWrite(t *testing.T) {
	tab := batchtest.AllTypes()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for n := range 40 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			all := batchtest.Edges(&tab.Columns[i])
			row[i] = all[n%len(all)]
		}
		w.Insert(tab, row...).Delete(tab, row...)
	}
	b := w.Change(event.Truncate, tab, nil, nil).End().Batch()
	file, n := pack(t, parquet.Options{ZeroDates: parquet.ZeroDateNull, RowGroup: 20_000}, b)
	r, err := parquet.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows() != int64(n) || r.Table().FullName() != tab.FullName() || len(r.Table().Columns) != len(tab.Columns) {
		t.Fatalf("%d rows of %s", r.Rows(), r.Table().FullName())
	}
	var copied bytes.Buffer
	to, err := parquet.NewWriter(parquet.Options{}, &copied, r.Table())
	if err != nil {
		t.Fatal(err)
	}
	ops := map[event.Op]int{}
	for {
		op, row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ops[op]++
		if err := to.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(to.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if ops[event.Insert] == 0 || ops[event.Insert] != ops[event.Delete] || ops[event.Truncate] != 1 {
		t.Errorf("operations: %v", ops)
	}
	before, after := readRows(t, open(t, file)), readRows(t, open(t, copied.Bytes()))
	if len(before) != len(after) {
		t.Fatalf("%d rows became %d", len(before), len(after))
	}
	for i := range before {
		for c := range tab.Columns {
			x, y := before[i][c], after[i][c]
			if x.IsNull() != y.IsNull() || x.Kind() != y.Kind() || !bytes.Equal(x.Bytes(), y.Bytes()) {
				t.Fatalf("row %d, column %s: %v became %v", i, tab.Columns[c].Name, x, y)
			}
		}
	}
}

// What is no such file, or only a part of one, is an error.
func TestReadDamaged(t *testing.T) {
	tab := &schemas.Table{Database: "shop", Name: "t", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}, PrimaryKey: []int{0}}
	file, _ := pack(t, parquet.Options{}, batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, batchtest.Int(1)).End().Batch())
	for _, n := range []int{0, 4, len(file) / 2, len(file) - 1} {
		if _, err := parquet.NewReader(bytes.NewReader(file[:n]), int64(n)); err == nil {
			t.Errorf("the first %d bytes are taken", n)
		}
	}
	without := bytes.ReplaceAll(file, []byte("cdc.schema"), []byte("cdc.nothin"))
	if _, err := parquet.NewReader(bytes.NewReader(without), int64(len(without))); !fault.Has(err, fault.MaterializeFormat) {
		t.Errorf("without a definition: %v", err)
	}
}

func column(typ schemas.Type, change func(c *schemas.Column)) *schemas.Column {
	c := &schemas.Column{Name: "c", Type: typ, Nullable: true}
	if typ.IsText() {
		c.Charset, c.Length = "utf8mb4", 20
	}
	if typ == schemas.Decimal {
		c.Precision, c.Scale = 10, 2
	}
	if change != nil {
		change(c)
	}
	return c
}

func digits(p, s uint8) func(*schemas.Column) {
	return func(c *schemas.Column) { c.Precision, c.Scale = p, s }
}

func unsigned(c *schemas.Column) { c.Unsigned = true }

func length(n uint32) func(*schemas.Column) { return func(c *schemas.Column) { c.Length = n } }

func members(m ...string) func(*schemas.Column) { return func(c *schemas.Column) { c.Members = m } }

// Values are converted where no server changes one, and nowhere else.
func TestConvert(t *testing.T) {
	same, refused := []byte("as it is"), []byte("refused")
	tests := []struct {
		name     string
		from, to *schemas.Column
		v, want  []byte
	}{
		{"int to bigint", column(schemas.Int, nil), column(schemas.BigInt, nil), []byte{0xfe, 0xff, 0xff, 0xff}, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"unsigned to bigint", column(schemas.Int, unsigned), column(schemas.BigInt, nil), []byte{0xfe, 0xff, 0xff, 0xff}, []byte{0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0}},
		{"tinyint to int", column(schemas.TinyInt, nil), column(schemas.Int, nil), nil, same},
		{"int to tinyint", column(schemas.Int, nil), column(schemas.TinyInt, nil), nil, refused},
		{"int to unsigned", column(schemas.Int, nil), column(schemas.BigInt, unsigned), nil, refused},
		{"unsigned to int of its width", column(schemas.Int, unsigned), column(schemas.Int, nil), nil, refused},
		{"decimal, more digits", column(schemas.Decimal, digits(5, 2)), column(schemas.Decimal, digits(12, 4)), []byte{0xff, 0xff, 0xff, 0xff}, []byte{0x9c, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"decimal of 20 digits", column(schemas.Decimal, digits(9, 0)), column(schemas.Decimal, digits(20, 1)), []byte{0xff, 0xff, 0xff, 0xff}, append(bytes.Repeat([]byte{0xff}, 8), 0xf6)},
		{"decimal that is text", column(schemas.Decimal, digits(5, 2)), column(schemas.Decimal, digits(60, 4)), []byte{0xfb, 0xff, 0xff, 0xff}, []byte("-0.0500")},
		{"decimal text, more digits", column(schemas.Decimal, digits(40, 0)), column(schemas.Decimal, digits(60, 2)), []byte("-12"), []byte("-12.00")},
		{"decimal, fewer before the point", column(schemas.Decimal, digits(10, 2)), column(schemas.Decimal, digits(10, 3)), nil, refused},
		{"varchar", column(schemas.VarChar, length(20)), column(schemas.VarChar, length(30)), nil, same},
		{"varchar, shorter", column(schemas.VarChar, length(20)), column(schemas.VarChar, length(10)), nil, refused},
		{"varchar to text", column(schemas.VarChar, length(20)), column(schemas.Text, nil), nil, same},
		{"varchar to a text that is too small", column(schemas.VarChar, length(200)), column(schemas.TinyText, nil), nil, refused},
		{"varchar to char", column(schemas.VarChar, length(20)), column(schemas.Char, length(20)), nil, refused},
		{"char to varchar", column(schemas.Char, length(20)), column(schemas.VarChar, length(20)), nil, same},
		{"to utf8mb4", column(schemas.VarChar, func(c *schemas.Column) { c.Charset = "latin1" }), column(schemas.VarChar, nil), nil, same},
		{"from utf8mb4", column(schemas.VarChar, nil), column(schemas.VarChar, func(c *schemas.Column) { c.Charset = "latin1" }), nil, refused},
		{"enum, one more in the middle", column(schemas.Enum, members("a", "b")), column(schemas.Enum, members("a", "x", "b")), nil, same},
		{"enum, one less", column(schemas.Enum, members("a", "b")), column(schemas.Enum, members("a")), nil, refused},
		{"set, one more", column(schemas.Set, members("a", "b")), column(schemas.Set, members("a", "b", "c")), nil, same},
		{"set in another order", column(schemas.Set, members("a", "b")), column(schemas.Set, members("b", "a")), nil, refused},
		{"binary pads", column(schemas.Binary, length(2)), column(schemas.Binary, length(4)), nil, refused},
		{"bit(1) to bit(8)", column(schemas.Bit, length(1)), column(schemas.Bit, length(8)), []byte{1}, []byte{1, 0, 0, 0, 0, 0, 0, 0}},
		{"float to double", column(schemas.Float, nil), column(schemas.Double, nil), nil, refused},
		{"datetime to timestamp", column(schemas.DateTime, nil), column(schemas.Timestamp, nil), nil, refused},
		{"fewer digits of a second", column(schemas.DateTime, func(c *schemas.Column) { c.Fsp = 6 }), column(schemas.DateTime, nil), nil, refused},
		{"json to text", column(schemas.JSON, nil), column(schemas.LongText, nil), nil, refused},
		{"nothing but a name", column(schemas.Vector, length(3)), column(schemas.Vector, func(c *schemas.Column) { c.Length, c.Name = 3, "x" }), nil, same},
	}
	for _, x := range tests {
		f, why := parquet.Convert(x.from, x.to)
		switch {
		case why != "":
			if !slices.Equal(x.want, refused) {
				t.Errorf("%s: %s", x.name, why)
			}
		case f == nil:
			if !slices.Equal(x.want, same) {
				t.Errorf("%s: as it is", x.name)
			}
		default:
			if got, err := f(x.v); err != nil || !slices.Equal(got, x.want) {
				t.Errorf("%s: %x, %v, want %x", x.name, got, err, x.want)
			}
		}
	}
}

func TestFilled(t *testing.T) {
	def := func(typ schemas.Type, text string, change func(*schemas.Column)) *schemas.Column {
		return column(typ, func(c *schemas.Column) {
			c.HasDefault, c.Default, c.Nullable = true, text, false
			if change != nil {
				change(c)
			}
		})
	}
	needed := func(c *schemas.Column) { c.Nullable = false }
	tests := []struct {
		name string
		c    *schemas.Column
		want []byte
		ok   bool
	}{
		{"none", column(schemas.Int, nil), nil, true},
		{"int", def(schemas.Int, "-2", nil), []byte{0xfe, 0xff, 0xff, 0xff}, true},
		{"unsigned", def(schemas.BigInt, "18446744073709551615", unsigned), bytes.Repeat([]byte{0xff}, 8), true},
		{"not null", column(schemas.SmallInt, needed), []byte{0, 0, 0, 0}, true},
		{"text", def(schemas.VarChar, "é", nil), []byte("é"), true},
		{"text that may be in another charset", def(schemas.VarChar, "é", func(c *schemas.Column) { c.Charset = "latin1" }), nil, false},
		{"not null text", column(schemas.Text, needed), []byte{}, true},
		{"decimal", def(schemas.Decimal, "1.5", nil), []byte{150, 0, 0, 0, 0, 0, 0, 0}, true},
		{"decimal that would be rounded", def(schemas.Decimal, "1.555", nil), nil, false},
		{"enum", def(schemas.Enum, "b", members("a", "b")), []byte("b"), true},
		{"enum without", column(schemas.Enum, func(c *schemas.Column) { c.Nullable, c.Members = false, []string{"a"} }), nil, false},
		{"time", def(schemas.DateTime, "2024-01-02", nil), nil, false},
		{"auto", column(schemas.Int, func(c *schemas.Column) { c.Auto = true }), nil, false},
		{"generated", column(schemas.Int, func(c *schemas.Column) { c.Generated = schemas.Stored }), nil, false},
	}
	for _, x := range tests {
		got, ok := parquet.Filled(x.c)
		if ok != x.ok || ok && (!slices.Equal(got, x.want) || (got == nil) != (x.want == nil)) {
			t.Errorf("%s: %x, %t, want %x", x.name, got, ok, x.want)
		}
	}
}
