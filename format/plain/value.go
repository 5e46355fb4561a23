package plain

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
)

// image appends a row as an object. Where each column begins is kept in e.marks.
func (e *Encoder) image(dst []byte, p *plan, row event.Row) (out []byte, partial bool, err error) {
	start := len(dst)
	e.marks = e.marks[:0]
	for i, c := range row.Cells {
		e.marks = append(e.marks, len(dst))
		col := &p.columns[i]
		switch c.Kind() {
		case event.Absent:
			continue
		case event.JSONDiff:
			partial = true
			continue
		}
		dst = col.key.Append(dst)
		if dst, err = value(dst, col, row, c); err != nil {
			return dst, false, err
		}
	}
	e.marks = append(e.marks, len(dst))
	return object(dst, start), partial, nil
}

// update appends the after image of an update, whose before image was appended last: most columns did not change, and runs of those are
// copied as they were written. It reports whether the row holds partial updates, which are left out.
func (e *Encoder) update(dst []byte, p *plan, before, after event.Row) (out []byte, partial bool, err error) {
	start := len(dst)
	from := 0 // columns from here on are the same and not written yet
	same := func(to int) {
		if at := len(dst); e.marks[from] < e.marks[to] {
			dst = append(dst, dst[e.marks[from]:e.marks[to]]...)
			dst[at] = ',' // the first column of the before image had the brace
		}
	}
	for i, c := range after.Cells {
		if format.SameCell(before, before.Cells[i], after, c) {
			continue
		}
		same(i)
		from = i + 1
		switch c.Kind() {
		case event.Absent:
			continue
		case event.JSONDiff:
			partial = true
			continue
		}
		col := &p.columns[i]
		if dst, err = value(col.key.Append(dst), col, after, c); err != nil {
			return dst, false, err
		}
	}
	same(len(after.Cells))
	return object(dst, start), partial, nil
}

// partials appends the partial updates of a row.
func partials(dst []byte, p *plan, row event.Row) ([]byte, error) {
	start := len(dst)
	for i, c := range row.Cells {
		if c.Kind() != event.JSONDiff {
			continue
		}
		col := &p.columns[i]
		if col.kind != event.JSON {
			return dst, format.WrongKind(col.def, c.Kind())
		}
		dst = col.key.Append(dst)
		var err error
		if dst, err = appendDiffs(dst, row.Bytes(c)); err != nil {
			return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
		}
	}
	return object(dst, start), nil
}

// text appends text, or its bytes where it is not valid.
func text(dst, s []byte, flags uint8) []byte {
	if flags&event.Raw == 0 {
		if out, ok := jsonenc.AppendString(dst, s); ok {
			return out
		}
	}
	return raw(dst, s)
}

func raw(dst, s []byte) []byte {
	return append(jsonenc.AppendBase64(append(dst, `{"raw":`...), s), '}')
}

// value appends one value.
func value(dst []byte, col *column, row event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != col.kind {
		switch {
		case c.Kind() == event.Null:
			return append(dst, "null"...), nil
		case c.Kind() == event.JSONBinary && col.kind == event.JSON:
			out, err := jsonbin.AppendText(dst, row.Bytes(c), jsonbin.MaxText)
			if err != nil {
				return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
			}
			return out, nil
		}
		return dst, format.WrongKind(col.def, c.Kind())
	}
	switch col.kind {
	case event.Int:
		return jsonenc.AppendInt(dst, c.Int64()), nil
	case event.Uint, event.Year, event.Bits:
		return jsonenc.AppendUint(dst, c.Uint64()), nil
	case event.String:
		return text(dst, row.Bytes(c), c.Flags()), nil
	case event.Decimal:
		dst = append(dst, '"')
		dst = append(dst, row.Bytes(c)...)
		return append(dst, '"'), nil
	case event.Float32:
		return float(dst, float64(c.Float32()), 32), nil
	case event.Float64:
		return float(dst, c.Float64(), 64), nil
	case event.Bytes:
		return jsonenc.AppendBase64(dst, row.Bytes(c)), nil
	case event.Date:
		return append(jsonenc.AppendDate(append(dst, '"'), c.Civil()), '"'), nil
	case event.DateTime:
		return append(jsonenc.AppendDateTime(append(dst, '"'), c.Civil(), 'T', int(col.fsp)), '"'), nil
	case event.Timestamp:
		dst = append(dst, '"')
		if c.Flags()&event.ZeroTime != 0 {
			dst = jsonenc.AppendDateTime(dst, event.Civil{}, 'T', int(col.fsp))
		} else {
			dst = jsonenc.AppendTimestamp(dst, c.Int64(), 'T', int(col.fsp))
		}
		return append(dst, 'Z', '"'), nil
	case event.Time:
		return append(jsonenc.AppendDuration(append(dst, '"'), c.Int64(), int(col.fsp)), '"'), nil
	case event.Enum:
		if v := c.Uint64(); v > 0 && v <= uint64(len(col.members)) {
			return append(dst, col.members[v-1]...), nil
		}
		return jsonenc.AppendUint(dst, c.Uint64()), nil
	case event.SetBits:
		return set(dst, col, c.Uint64()), nil
	case event.JSON:
		if !utf8.Valid(row.Bytes(c)) || c.Len() == 0 {
			return dst, fault.New(fault.FormatValue, "column %s: the document is not text in UTF-8", col.def.Name)
		}
		return append(dst, row.Bytes(c)...), nil
	}
	return special(dst, col, row.Bytes(c))
}

// float appends a number, or as text what JSON has no number for. A server stores no such FLOAT or DOUBLE; a VECTOR may hold one.
func float(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	return jsonenc.AppendFloat(dst, f, bits)
}

func set(dst []byte, col *column, v uint64) []byte {
	if n := len(col.members); n == 0 && v != 0 || n < 64 && v>>n != 0 {
		return jsonenc.AppendUint(dst, v)
	}
	dst = append(dst, '"')
	for first, i := true, 0; v != 0; v, i = v>>1, i+1 {
		if v&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, col.members[i]...)
	}
	return append(dst, '"')
}

// special appends the types that are rare.
func special(dst []byte, col *column, b []byte) ([]byte, error) {
	bad := func() ([]byte, error) {
		return dst, fault.New(fault.FormatValue, "column %s: %d bytes are no value of %s", col.def.Name, len(b), col.def.ColumnType())
	}
	switch col.kind {
	case event.Geometry:
		if len(b) < 4 {
			return bad()
		}
		dst = jsonenc.AppendUint(append(dst, `{"srid":`...), uint64(binary.LittleEndian.Uint32(b)))
		return append(jsonenc.AppendBase64(append(dst, `,"wkb":`...), b[4:]), '}'), nil
	case event.Vector:
		if len(b)%4 != 0 {
			return bad()
		}
		dst = append(dst, '[')
		for i := 0; i < len(b); i += 4 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = float(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))), 32)
		}
		return append(dst, ']'), nil
	case event.UUID:
		if len(b) != 16 {
			return bad()
		}
		return append(celltext.AppendUUID(append(dst, '"'), b), '"'), nil
	case event.INET6:
		if len(b) != 16 {
			return bad()
		}
		return append(celltext.AppendINET6(append(dst, '"'), b), '"'), nil
	case event.INET4:
		if len(b) != 4 {
			return bad()
		}
		return append(jsonenc.AppendINET4(append(dst, '"'), [4]byte(b)), '"'), nil
	}
	return bad()
}
