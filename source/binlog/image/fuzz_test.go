package image

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// fuzzPlan has a column of each type, with limits that a hostile row must not pass.
func fuzzPlan(t testing.TB) *Plan {
	cols := modelColumns()
	cols = append(cols,
		modelColumn{col: schemas.Column{Type: schemas.JSON}, typ: WireJSON, meta: []byte{4}},
		modelColumn{col: schemas.Column{Type: schemas.Text, Charset: "gbk"}, typ: WireBlobPacked, meta: []byte{2}},
		modelColumn{col: schemas.Column{Type: schemas.UUID}, typ: WireString, meta: []byte{WireString, 16}},
		modelColumn{col: schemas.Column{Type: schemas.DateTime, Fsp: 3}, typ: WireDateTimeOld},
		modelColumn{col: schemas.Column{Type: schemas.Time, Fsp: 6}, typ: WireTimeOld},
		modelColumn{col: schemas.Column{Type: schemas.Timestamp, Fsp: 5}, typ: WireTimestampOld},
		modelColumn{col: schemas.Column{Type: schemas.DateTime}, typ: WireDateTimeOld},
		modelColumn{col: schemas.Column{Type: schemas.Time}, typ: WireTimeOld},
		modelColumn{col: schemas.Column{Type: schemas.Geometry}, typ: WireGeometry, meta: []byte{4}},
		modelColumn{col: schemas.Column{Type: schemas.VarChar, Length: 50, Charset: "utf16"}, typ: WireVarChar, meta: []byte{200, 0}},
	)
	return compileModel(t, cols, Options{MaxRow: 1 << 16})
}

// check holds what is true of every outcome.
func check(t *testing.T, p *Plan, data []byte, cells []event.Cell, arena []byte, n int, err error) {
	t.Helper()
	if err != nil {
		if _, ok := fault.As(err); !ok || n != 0 || len(cells) != 0 || len(arena) != 0 {
			t.Fatalf("error %v with %d bytes read, %d cells, %d bytes kept", err, n, len(cells), len(arena))
		}
		return
	}
	if n < 0 || n > len(data) || len(cells) != len(p.ops) || len(arena) > 1<<16 {
		t.Fatalf("%d of %d bytes, %d cells for %d columns, %d bytes kept", n, len(data), len(cells), len(p.ops), len(arena))
	}
	show(p, cells, arena) // every cell can be rendered
}

func FuzzDecode(f *testing.F) {
	p := fuzzPlan(f)
	present := all(len(p.ops))
	cols := modelColumns()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		f.Add(modelImage(r, cols, all(len(cols)), 0.5).bytes, present)
		f.Add(append(make([]byte, len(present)), modelImage(r, cols, all(len(cols)), 0).bytes...), present)
	}
	f.Fuzz(func(t *testing.T, data, present []byte) {
		cells, arena, n, err := p.Decode(data, present, nil, nil)
		check(t, p, data, cells, arena, n, err)
	})
}

// FuzzDecodeOne gives every column its turn as the only one.
func FuzzDecodeOne(f *testing.F) {
	p := fuzzPlan(f)
	f.Add(uint16(0), []byte{1, 2, 3})
	f.Add(uint16(len(p.ops)-10), []byte("\x0a\x00\x00\x00\x02\x02\x00\x0a\x00\x05\x01\x00\x04\x01"))
	f.Add(uint16(len(p.ops)-9), []byte("\x05\x00\x00abcd"))
	f.Fuzz(func(t *testing.T, column uint16, value []byte) {
		i := int(column) % len(p.ops)
		present := make([]byte, (len(p.ops)+7)/8)
		present[i/8] |= 1 << (i % 8)
		data := append([]byte{0}, value...)
		cells, arena, n, err := p.Decode(data, present, nil, nil)
		check(t, p, data, cells, arena, n, err)
	})
}

func FuzzDecodePartial(f *testing.F) {
	p := compileModel(f, []modelColumn{
		modelInt(WireLong, schemas.Int, 4, false),
		{col: schemas.Column{Type: schemas.JSON}, typ: WireJSON, meta: []byte{4}},
		{col: schemas.Column{Type: schemas.JSON}, typ: WireJSON, meta: []byte{4}},
		modelInt(WireLong, schemas.Int, 4, false),
	}, Options{MaxRow: 1 << 16})
	record, _ := readRecorded(f, "testdata/partial.hex")
	for _, r := range record {
		_, before, after, images := rows(r.typ, r.rows)
		_, _, n, err := p.Decode(images, before, nil, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(images[n:], after)
	}
	f.Fuzz(func(t *testing.T, data, present []byte) {
		cells, arena, n, err := p.DecodePartial(data, present, nil, nil)
		check(t, p, data, cells, arena, n, err)
	})
}

func FuzzParseWire(f *testing.F) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil {
		f.Fatal(err)
	}
	tables := make(map[string]*schemas.Table)
	for _, c := range typeCases() {
		tables[c.name] = c.table("types")
	}
	record, _ := readRecorded(f, files[0])
	for _, r := range record {
		m, err := parseTableMap(r.tableMap)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.wire.Types, []byte{10, 0, 4}, m.wire.Nullable)
	}
	f.Fuzz(func(t *testing.T, types, meta, nulls []byte) {
		w, err := ParseWire(types, meta, nulls)
		if err != nil {
			return
		}
		if len(w.Types) != len(types) || len(w.Meta) != len(types) {
			t.Fatalf("%d types and %d of metadata for %d columns", len(w.Types), len(w.Meta), len(types))
		}
		for _, table := range tables {
			if len(table.Columns) != len(types) {
				continue
			}
			p, err := Compile(table, w, Options{MaxRow: 1 << 16})
			if err != nil {
				continue
			}
			cells, arena, n, err := p.Decode(meta, all(len(types)), nil, nil)
			check(t, p, meta, cells, arena, n, err)
		}
	})
}
