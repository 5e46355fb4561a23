package image

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cdc/event"
	"cdc/schemas"
)

// recorded is a rows event with its table map.
type recorded struct {
	typ      byte
	table    string
	tableMap []byte
	rows     []byte
}

// decodeRow decodes one row of an event and renders its last image.
func decodeRow(p *Plan, typ byte, images, before, after []byte) (texts []string, n int, err error) {
	cells, arena, n, err := p.Decode(images, before, nil, nil)
	if err != nil {
		return nil, 0, err
	}
	if isUpdate(typ) {
		decode := p.Decode
		if typ == partialUpdateEvent {
			decode = p.DecodePartial
		}
		var m int
		if cells, arena, m, err = decode(images[n:], after, cells[:0:0], arena[:0:0]); err != nil {
			return nil, 0, err
		}
		n += m
	}
	return show(p, cells, arena), n, nil
}

// maxGolden keeps large values out of the recorded corpus.
const maxGolden = 1200

// writeGolden records events and what SELECT gave: a line with the table, the type, table map and rows in hex, and the quoted text.
func writeGolden(t *testing.T, kind string, record []recorded, want map[string][]string) {
	t.Helper()
	var b strings.Builder
	row := make(map[string]int)
	for _, r := range record {
		i := row[r.table]
		row[r.table]++
		if len(r.rows) > maxGolden || i >= len(want[r.table]) {
			continue
		}
		fmt.Fprintf(&b, "%s %d %x %x %q\n", r.table, r.typ, r.tableMap, r.rows, want[r.table][i])
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", kind+".golden"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writePartial(t *testing.T, record []recorded) {
	t.Helper()
	var b strings.Builder
	for _, r := range record {
		if r.typ == partialUpdateEvent {
			fmt.Fprintf(&b, "%s %d %x %x\n", r.table, r.typ, r.tableMap, r.rows)
		}
	}
	if err := os.WriteFile(filepath.Join("testdata", "partial.hex"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readRecorded reads the lines of a recorded file; want is empty where there is none.
func readRecorded(t testing.TB, path string) (record []recorded, want []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		parts := strings.SplitN(sc.Text(), " ", 5)
		typ, err := strconv.Atoi(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		r := recorded{typ: byte(typ), table: parts[0]}
		if r.tableMap, err = hex.DecodeString(parts[2]); err != nil {
			t.Fatal(err)
		}
		if r.rows, err = hex.DecodeString(parts[3]); err != nil {
			t.Fatal(err)
		}
		text := ""
		if len(parts) > 4 {
			if text, err = strconv.Unquote(parts[4]); err != nil {
				t.Fatal(err)
			}
		}
		record, want = append(record, r), append(want, text)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return record, want
}

// The events recorded from the real servers decode to what their SELECT gave.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) != 5 {
		t.Fatalf("recorded files: %v, %v", files, err)
	}
	tables := make(map[string]*schemas.Table)
	for _, c := range typeCases() {
		tables[c.name] = c.table("types")
	}
	for _, f := range files {
		record, want := readRecorded(t, f)
		if len(record) < 300 {
			t.Errorf("%s: only %d events", f, len(record))
		}
		for i, r := range record {
			m, err := parseTableMap(r.tableMap)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Compile(tables[r.table], m.wire, Options{})
			if err != nil {
				t.Errorf("%s %s: %v", f, r.table, err)
				continue
			}
			_, before, after, images := rows(r.typ, r.rows)
			got, n, err := decodeRow(p, r.typ, images, before, after)
			if err != nil || n != len(images) {
				t.Errorf("%s %s: %d of %d bytes, %v", f, r.table, n, len(images), err)
				continue
			}
			if got[1] != want[i] {
				t.Errorf("%s %s: got %q, want %q", f, r.table, got[1], want[i])
			}
			cutShort(t, p, images, before)
		}
	}
}

// cutShort sees to it that no prefix of an image is taken for a whole one.
func cutShort(t *testing.T, p *Plan, image, present []byte) {
	t.Helper()
	cells, arena := make([]event.Cell, 1, 8), make([]byte, 1, 64)
	for n := range image {
		c, a, _, err := p.Decode(image[:n:n], present, cells, arena)
		if err == nil {
			t.Fatalf("%s: %d bytes of %d were enough", p.table.Name, n, len(image))
		}
		if len(c) != 1 || len(a) != 1 {
			t.Fatalf("%s: %d cells and %d bytes left after an error", p.table.Name, len(c), len(a))
		}
	}
}
