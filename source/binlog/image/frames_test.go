package image

import (
	"encoding/binary"
	"errors"
	"fmt"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/schemas"
)

// Just enough of the binlog's framing for tests: events of a file with the default header and checksums.

const (
	tableMapEvent      = 19
	partialUpdateEvent = 39
)

// isRows tells rows events, of version 2 or 1.
func isRows(t byte) bool { return t >= 23 && t <= 25 || t >= 30 && t <= 32 || t == partialUpdateEvent }

// isUpdate tells rows events with two images a row.
func isUpdate(t byte) bool { return t == 24 || t == 31 || t == partialUpdateEvent }

// events calls f with each event's type and body, without checksum.
func events(file []byte, f func(t byte, body []byte) error) error {
	if len(file) < 4 {
		return errors.New("no binlog")
	}
	for b := file[4:]; len(b) >= 19; {
		t, size := b[4], int(binary.LittleEndian.Uint32(b[9:]))
		if size < 19+4 || size > len(b) {
			return fmt.Errorf("event of type %d with %d of %d bytes", t, size, len(b))
		}
		if err := f(t, b[19:size-4]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

type tableMap struct {
	id       uint64
	db, name string
	wire     Wire
}

func parseTableMap(b []byte) (tableMap, error) {
	m := tableMap{id: littleEndian(b[:6])}
	b = b[8:]
	m.db, b = string(b[1:1+b[0]]), b[2+b[0]:]
	m.name, b = string(b[1:1+b[0]]), b[2+b[0]:]
	n, size := lenenc(b)
	types := b[size : size+int(n)]
	b = b[size+int(n):]
	metaLen, size := lenenc(b)
	meta := b[size : size+int(metaLen)]
	nulls := b[size+int(metaLen):][:(n+7)/8]
	var err error
	m.wire, err = ParseWire(types, meta, nulls)
	return m, err
}

// rows gives the table id, the bitmaps and the images of a rows event.
func rows(t byte, b []byte) (id uint64, before, after, images []byte) {
	id = littleEndian(b[:6])
	b = b[8:]
	if t >= 30 {
		b = b[binary.LittleEndian.Uint16(b):]
	}
	n, size := lenenc(b)
	b = b[size:]
	bitmap := int(n+7) / 8
	before, b = b[:bitmap], b[bitmap:]
	if isUpdate(t) {
		after, b = b[:bitmap], b[bitmap:]
	}
	return id, before, after, b
}

// show renders an image, one text a column; what has no text is named.
func show(p *Plan, cells []event.Cell, arena []byte) []string {
	b := &event.Batch{Tables: []*schemas.Table{p.Table()}, Txns: make([]event.Txn, 1), Groups: make([]event.Group, 1)}
	held, _ := b.Slabs()
	b.PutSlabs(append(held, cells...), arena)
	b.AddChange(event.Insert, 0, 0, 0, uint32(len(held)))
	r := b.After(0)
	var out []string
	for i, c := range r.Cells {
		switch {
		case c.Kind() == event.Absent:
			out = append(out, "<absent>")
		case c.IsNull():
			out = append(out, "<null>")
		case c.Kind() == event.JSONDiff:
			out = append(out, showDiff(r.Bytes(c)))
		case c.Flags()&event.Raw != 0:
			out = append(out, fmt.Sprintf("<raw %x>", r.Bytes(c)))
		default:
			out = append(out, string(celltext.Text(nil, c, r, &p.Table().Columns[i])))
		}
	}
	return out
}

func showDiff(b []byte) string {
	out := "<diff"
	for len(b) > 0 {
		d, rest, err := jsonbin.Next(b)
		if err != nil {
			return out + " " + err.Error() + ">"
		}
		b = rest
		out += fmt.Sprintf(" %s %s", d.Op, d.Path)
		if d.Op != jsonbin.Remove {
			text, err := jsonbin.AppendText(nil, d.Value, 1<<20)
			if err != nil {
				return out + " " + err.Error() + ">"
			}
			out += " " + string(text)
		}
		out += ";"
	}
	return out + ">"
}
