package image

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// all is a bitmap of n set bits.
func all(n int) []byte {
	b := make([]byte, (n+7)/8)
	for i := range n {
		b[i/8] |= 1 << (i % 8)
	}
	return b
}

func compileModel(t testing.TB, cols []modelColumn, o Options) *Plan {
	t.Helper()
	types, meta, nulls, _ := modelMap(1, cols)
	w, err := ParseWire(types, meta, nulls)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(modelTable(cols), w, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Rows of random columns, with random NULLs and random columns left out, come back as the model's text.
func TestDecodeModel(t *testing.T) {
	every := modelColumns()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		cols := every
		if seed > 0 {
			cols = make([]modelColumn, 1+r.IntN(40))
			for i := range cols {
				cols[i] = every[r.IntN(len(every))]
			}
		}
		p := compileModel(t, cols, Options{})
		for range 10 {
			present := all(len(cols))
			if r.IntN(2) == 0 {
				for i := range present {
					present[i] &= byte(r.Uint32())
				}
			}
			row := modelImage(r, cols, present, []float64{0, 0.3, 1}[r.IntN(3)])
			tail := []byte("next row")
			cells, arena, n, err := p.Decode(append(slices.Clone(row.bytes), tail...), present, []event.Cell{{}, {}}, []byte("before"))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if n != len(row.bytes) || len(cells) != 2+len(cols) || !bytes.HasPrefix(arena, []byte("before")) {
				t.Fatalf("seed %d: %d of %d bytes, %d cells for %d columns", seed, n, len(row.bytes), len(cells)-2, len(cols))
			}
			for i, got := range show(p, cells[2:], arena) {
				if got != row.texts[i] {
					t.Fatalf("seed %d: %s: got %q, want %q", seed, p.table.Columns[i].ColumnType(), got, row.texts[i])
				}
			}
			cut := row.bytes[:r.IntN(len(row.bytes)+1)]
			if _, _, _, err := p.Decode(cut[:len(cut):len(cut)], present, nil, nil); err == nil && len(cut) < len(row.bytes) {
				t.Fatalf("seed %d: %d of %d bytes were enough", seed, len(cut), len(row.bytes))
			}
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	cols := shopColumns(unicode(50))
	p := compileModel(t, cols, Options{})
	r := rand.New(rand.NewPCG(1, 2))
	present := all(len(cols))
	row := modelImage(r, cols, present, 0.1)
	cells, arena := make([]event.Cell, 0, len(cols)), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, err := p.Decode(row.bytes, present, cells, arena); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecodePartial(t *testing.T) {
	record, _ := readRecorded(t, "testdata/partial.hex")
	want := []string{
		`1 | <diff replace $.a "short"; insert $.n [1.5, "x"];> | <diff> | 7`,
		`1 | <diff remove $.b[1]; remove $.c;> | [9, 2, 3] | 7`,
		`1 | <diff> | {"whole": 1} | 7`,
		`2 | <null> | <null> | 9`,
	}
	table := &schemas.Table{Database: "d", Name: "p", Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.JSON}, {Name: "w", Type: schemas.JSON}, {Name: "x", Type: schemas.Int},
	}}
	if len(record) != len(want) {
		t.Fatalf("%d events", len(record))
	}
	for i, r := range record {
		m, err := parseTableMap(r.tableMap)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Compile(table, m.wire, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, before, after, images := rows(r.typ, r.rows)
		texts, n, err := decodeRow(p, r.typ, images, before, after)
		if err != nil || n != len(images) {
			t.Fatalf("%d of %d bytes, %v", n, len(images), err)
		}
		if got := strings.Join(texts, " | "); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
		_, _, n, err = p.Decode(images, before, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for end := n; end < len(images); end++ {
			if _, _, _, err := p.DecodePartial(images[n:end:end], after, nil, nil); err == nil {
				t.Errorf("%d of %d bytes were enough", end, len(images))
			}
		}
	}
	p := compileModel(t, []modelColumn{modelYear()}, Options{})
	if _, _, _, err := p.DecodePartial([]byte{2, 0, 0, 0}, []byte{1}, nil, nil); !fault.Has(err, fault.BinlogMalformed) {
		t.Errorf("unknown value options: %v", err)
	}
	// Without the option's bit it is an image like any other.
	if cells, _, n, err := p.DecodePartial([]byte{0, 0, 7}, []byte{1}, nil, nil); err != nil || n != 3 || cells[0].Uint64() != 1907 {
		t.Errorf("got %v, %d, %v", cells, n, err)
	}
}

func TestDecodeText(t *testing.T) {
	column := func(cs string) *Plan {
		return compileModel(t, []modelColumn{modelString(WireVarChar, schemas.Column{Type: schemas.VarChar, Length: 10, Charset: cs}, 10*map[string]int{"": 1, "latin1": 1, "ascii": 1, "utf8mb3": 3, "utf8mb4": 4}[cs], nil)}, Options{})
	}
	for _, c := range []struct{ charset, in, want string }{
		{"latin1", "h\xe4", "hä"},
		{"utf8mb4", "h\xe4", "<raw 68e4>"},
		{"utf8mb3", "hä", "hä"},
		{"utf8mb3", "😀", "<raw f09f9880>"},
		{"ascii", "ok", "ok"},
		{"ascii", "\x80", "<raw 80>"},
		{"", "ok", "ok"},
		{"", "hä", "<raw 68c3a4>"},
	} {
		p := column(c.charset)
		cells, arena, _, err := p.Decode(append([]byte{0, byte(len(c.in))}, c.in...), []byte{1}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(p, cells, arena)[0]; got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.charset, c.in, got, c.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	one := []byte{1}
	json := modelColumn{col: schemas.Column{Type: schemas.JSON}, typ: WireJSON, meta: []byte{4}}
	packed := modelColumn{col: schemas.Column{Type: schemas.Blob}, typ: WireBlobPacked, meta: []byte{2}}
	for _, c := range []struct {
		name string
		col  modelColumn
		in   string
		max  int
		code fault.Code
	}{
		{"no bitmap", modelYear(), "", 0, fault.BinlogMalformed},
		{"no value", modelYear(), "\x00", 0, fault.BinlogMalformed},
		{"enum beyond members", modelEnum(3), "\x00\x04", 0, fault.SchemaMismatch},
		{"set beyond members", modelSet(7), "\x00\x80", 0, fault.SchemaMismatch},
		{"bits beyond column", modelBit(7), "\x00\x80", 0, fault.BinlogMalformed},
		{"decimal with too many digits", modelDecimal(9, 0), "\x00\xff\xff\xff\xff", 0, fault.BinlogMalformed},
		{"datetime below zero", modelDateTime(0), "\x00\x00\x00\x00\x00\x00", 0, fault.BinlogMalformed},
		{"hour 31", modelDateTime(0), "\x00\x80\x00\x01\xf0\x00", 0, fault.BinlogMalformed},
		{"minute 63", modelTime(0), "\x00\x80\x0f\xc0", 0, fault.BinlogMalformed},
		{"string longer than the rest", modelString(WireVarChar, schemas.Column{Type: schemas.VarBinary, Length: 300}, 300, nil), "\x00\xff\xffx", 0, fault.BinlogMalformed},
		{"binary longer than column", modelString(WireString, schemas.Column{Type: schemas.Binary, Length: 2}, 2, nil), "\x00\x03abc", 0, fault.BinlogMalformed},
		{"blob of 4 GiB", modelBlob(schemas.LongBlob, "", 4, nil), "\x00\xff\xff\xff\xffx", 0, fault.BinlogMalformed},
		{"json", json, "\x00\x02\x00\x00\x00\x00\x01", 0, fault.BinlogMalformed},
		{"row limit", modelBlob(schemas.Blob, "", 2, nil), "\x00\x05\x00abcde", 7, fault.BinlogRowLimit},
		{"value limit", modelBlob(schemas.LongBlob, "", 4, nil), "\x00\x64\x00\x00\x00" + strings.Repeat("x", 100), 99, fault.BinlogRowLimit},
		{"compressed beyond the limit", packed, "\x00\x06\x00\x84\x7f\xff\xff\xffx", 0, fault.BinlogRowLimit},
		{"compressed with unknown method", packed, "\x00\x02\x00\x91\x05", 0, fault.BinlogMalformed},
		{"compressed nonsense", packed, "\x00\x06\x00\x81\x05nope", 0, fault.BinlogMalformed},
	} {
		p := compileModel(t, []modelColumn{c.col}, Options{MaxRow: c.max})
		cells, arena, n, err := p.Decode([]byte(c.in), one, nil, nil)
		if !fault.Has(err, c.code) || n != 0 || len(cells) != 0 || len(arena) != 0 {
			t.Errorf("%s: got %d cells, %d bytes, n %d, %v", c.name, len(cells), len(arena), n, err)
		}
		if f, ok := fault.As(err); ok && f.Where.Table != "d.t" {
			t.Errorf("%s: no table in %v", c.name, err)
		}
	}
	p := compileModel(t, []modelColumn{modelYear()}, Options{})
	if _, _, _, err := p.Decode([]byte{0, 0}, nil, nil, nil); !fault.Has(err, fault.BinlogMalformed) {
		t.Errorf("no bitmap of columns: %v", err)
	}
}

func TestCompileMismatch(t *testing.T) {
	year := modelYear()
	for _, c := range []struct {
		name string
		wire modelColumn
		col  schemas.Column
	}{
		{"type", year, schemas.Column{Type: schemas.Int}},
		{"decimal", modelDecimal(10, 2), schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 3}},
		{"fsp", modelTime(3), schemas.Column{Type: schemas.Time, Fsp: 4}},
		{"bits", modelBit(8), schemas.Column{Type: schemas.Bit, Length: 9}},
		{"length", modelString(WireVarChar, schemas.Column{}, 40, nil), schemas.Column{Type: schemas.VarChar, Length: 40, Charset: "utf8mb4"}},
		{"char for varchar", modelString(WireString, schemas.Column{}, 40, nil), schemas.Column{Type: schemas.VarChar, Length: 40, Charset: "latin1"}},
		{"enum size", modelEnum(300), schemas.Column{Type: schemas.Enum, Members: []string{"a"}}},
		{"set size", modelSet(9), schemas.Column{Type: schemas.Set, Members: []string{"a"}}},
		{"text", modelBlob(schemas.Text, "", 2, nil), schemas.Column{Type: schemas.MediumText, Charset: "utf8mb4"}},
		{"enum for char", modelEnum(3), schemas.Column{Type: schemas.Char, Length: 1, Charset: "latin1"}},
	} {
		types, meta, nulls, _ := modelMap(1, []modelColumn{year, c.wire})
		w, err := ParseWire(types, meta, nulls)
		if err != nil {
			t.Fatal(err)
		}
		c.col.Name = "here"
		_, err = Compile(&schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{year.col, c.col}}, w, Options{})
		if !fault.Has(err, fault.SchemaMismatch) || !strings.Contains(err.Error(), "column 2 (here) is "+c.col.ColumnType()) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err = Compile(&schemas.Table{Columns: []schemas.Column{year.col}}, w, Options{}); !fault.Has(err, fault.SchemaMismatch) {
			t.Errorf("%s: a column less: %v", c.name, err)
		}
	}
	w := Wire{Types: []byte{WireBlob}, Meta: []uint16{2}}
	if _, err := Compile(&schemas.Table{Columns: []schemas.Column{{Type: schemas.Text, Charset: "klingon"}}}, w, Options{}); !fault.Has(err, fault.BinlogCharset) {
		t.Errorf("unknown character set: %v", err)
	}
}

func TestParseWire(t *testing.T) {
	w, err := ParseWire([]byte{WireString, WireString, WireString, WireString, WireBit, WireDecimal, WireVarString}, []byte{
		0xfe, 40, 0xce, 0xfc, WireEnum, 2, 0, 255, 3, 1, 10, 4, 0x2c, 1,
	}, []byte{0})
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte{WireString, WireString, WireEnum, WireString, WireBit, WireDecimal, WireVarString}; !bytes.Equal(w.Types, want) {
		t.Errorf("types %v, want %v", w.Types, want)
	}
	if want := []uint16{40, 1020, 2, 255, 11, 10<<8 | 4, 300}; !slices.Equal(w.Meta, want) {
		t.Errorf("meta %v, want %v", w.Meta, want)
	}
	for _, c := range []struct{ types, meta, nulls string }{
		{"\x01", "", ""},
		{"\xf6", "\x01", "\x00"},
		{"\x01", "\x01", "\x00"},
		{"\x63", "", "\x00"},
	} {
		if _, err := ParseWire([]byte(c.types), []byte(c.meta), []byte(c.nulls)); !fault.Has(err, fault.BinlogMalformed) {
			t.Errorf("%x %x %x: %v", c.types, c.meta, c.nulls, err)
		}
	}
}
