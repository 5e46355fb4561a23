package csv

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/format/rows"
)

// text appends a value that may need quotes (RFC 4180, section 2): one that holds a quote, a delimiter or a line end, that is empty, or that would be taken for NULL.
func (e *Encoder) text(dst, s []byte) []byte {
	quotes := len(s) == 0 || string(s) == e.o.Null
	for _, c := range s {
		if e.special[c] {
			quotes = true
			break
		}
	}
	if !quotes {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c == '"' {
			dst = append(append(dst, s[from:i+1]...), '"')
			from = i + 1
		}
	}
	return append(append(dst, s[from:]...), '"')
}

// finish puts what was appended behind start into quotes where it needs them. It is for values that are made in place and seldom do.
func (e *Encoder) finish(dst []byte, start int) []byte {
	s := dst[start:]
	plain := len(s) > 0 && string(s) != e.o.Null
	for _, c := range s {
		if e.special[c] {
			plain = false
			break
		}
	}
	if plain {
		return dst
	}
	e.scratch = append(e.scratch[:0], s...)
	return e.text(dst[:start], e.scratch)
}

func (e *Encoder) bytes(dst, b []byte) []byte {
	if e.hex {
		return hex.AppendEncode(dst, b)
	}
	return base64.StdEncoding.AppendEncode(dst, b)
}

// value appends one value.
func (e *Encoder) value(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() == event.Null {
		return append(dst, e.o.Null...), nil
	}
	if c.Kind() == event.String && col.kind == event.String {
		s, err := rows.Text(col.def, row.Bytes(c), c.Flags(), e.o.Text == TextReplace)
		if err != nil {
			return dst, err
		}
		return e.text(dst, s), nil
	}
	start := len(dst)
	dst, err := e.raw(dst, col, row, c)
	if err != nil {
		return dst, err
	}
	return e.finish(dst, start), nil
}

// raw appends one value as it is between quotes.
func (e *Encoder) raw(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != col.kind {
		if c.Kind() == event.JSONBinary && col.kind == event.JSON {
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
	case event.Decimal, event.JSON:
		return append(dst, row.Bytes(c)...), nil
	case event.Float32:
		return float(dst, float64(c.Float32()), 32), nil
	case event.Float64:
		return float(dst, c.Float64(), 64), nil
	case event.Bytes, event.Geometry:
		return e.bytes(dst, row.Bytes(c)), nil
	case event.Date:
		return jsonenc.AppendDate(dst, c.Civil()), nil
	case event.DateTime:
		return jsonenc.AppendDateTime(dst, c.Civil(), 'T', col.fsp), nil
	case event.Timestamp:
		if c.Flags()&event.ZeroTime != 0 {
			dst = jsonenc.AppendDateTime(dst, event.Civil{}, 'T', col.fsp)
		} else {
			dst = jsonenc.AppendTimestamp(dst, c.Int64(), 'T', col.fsp)
		}
		return append(dst, 'Z'), nil
	case event.Time:
		return jsonenc.AppendDuration(dst, c.Int64(), col.fsp), nil
	case event.Enum:
		switch v := c.Uint64(); {
		case v == 0:
			return dst, nil
		case v <= uint64(len(col.def.Members)):
			return append(dst, col.def.Members[v-1]...), nil
		}
		return dst, format.NoMember(col.def)
	case event.SetBits:
		if n := len(col.def.Members); n < 64 && c.Uint64()>>n != 0 {
			return dst, format.NoMember(col.def)
		}
		return celltext.AppendSet(dst, c.Uint64(), col.def), nil
	}
	return special(dst, col, row.Bytes(c))
}

func float(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return jsonenc.AppendFloat(dst, f, bits)
}

// special appends the types that are rare.
func special(dst []byte, col *column, b []byte) ([]byte, error) {
	switch {
	case col.kind == event.Vector && len(b)%4 == 0:
		dst = append(dst, '[')
		for i := 0; i < len(b); i += 4 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = float(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))), 32)
		}
		return append(dst, ']'), nil
	case col.kind == event.UUID && len(b) == 16:
		return celltext.AppendUUID(dst, b), nil
	case col.kind == event.INET6 && len(b) == 16:
		return celltext.AppendINET6(dst, b), nil
	case col.kind == event.INET4 && len(b) == 4:
		return jsonenc.AppendINET4(dst, [4]byte(b)), nil
	}
	return dst, format.BadBytes(col.def, len(b))
}
