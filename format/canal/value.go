package canal

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
)

// value appends one value: null, or text.
func (e *Encoder) value(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != col.kind {
		switch c.Kind() {
		case event.Null:
			return append(dst, "null"...), nil
		case event.JSONBinary:
			if col.kind == event.JSON {
				out, err := jsonbin.AppendEscaped(append(dst, '"'), row.Bytes(c), jsonbin.MaxText)
				if err != nil {
					return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
				}
				return append(out, '"'), nil
			}
		case event.JSONDiff:
			return dst, fault.New(fault.FormatValue, "column %s was updated in part, which this format cannot say", col.def.Name).
				Hint("SET GLOBAL binlog_row_value_options='' on the source, or use format plain")
		}
		return dst, format.WrongKind(col.def, c.Kind())
	}
	switch col.kind {
	case event.String, event.JSON:
		s := row.Bytes(c)
		if c.Flags()&event.Raw == 0 {
			if out, ok := jsonenc.AppendString(dst, s); ok {
				return out, nil
			}
		}
		if e.o.Text == TextReplace {
			return jsonenc.AppendText(dst, string(s)), nil
		}
		return dst, fault.New(fault.FormatValue, "column %s: the text is not valid in character set %s", col.def.Name, col.def.Charset).
			Hint("repair the row on the source, or set invalid_text: replace, or use format plain, which keeps the bytes")
	case event.Bytes, event.Geometry:
		return appendLatin1(dst, row.Bytes(c)), nil
	}
	dst = append(dst, '"')
	switch col.kind {
	case event.Int:
		dst = jsonenc.AppendInt(dst, c.Int64())
	case event.Uint, event.Bits, event.Enum, event.SetBits:
		dst = jsonenc.AppendUint(dst, c.Uint64())
	case event.Decimal:
		dst = append(dst, row.Bytes(c)...)
	case event.Float32:
		dst = float(dst, float64(c.Float32()), 32)
	case event.Float64:
		dst = float(dst, c.Float64(), 64)
	case event.Year:
		v := c.Uint64()
		dst = append(dst, byte('0'+v/1000%10), byte('0'+v/100%10), byte('0'+v/10%10), byte('0'+v%10))
	case event.Date:
		dst = jsonenc.AppendDate(dst, c.Civil())
	case event.DateTime:
		dst = jsonenc.AppendDateTime(dst, c.Civil(), ' ', int(col.fsp))
	case event.Timestamp:
		dst = e.timestamp(dst, c, int(col.fsp))
	case event.Time:
		dst = jsonenc.AppendDuration(dst, c.Int64(), int(col.fsp))
	default:
		var err error
		if dst, err = special(dst, col, row.Bytes(c)); err != nil {
			return dst, err
		}
	}
	return append(dst, '"'), nil
}

// float appends a number as Java prints it, also those that JSON has no number for: it is text.
func float(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return jsonenc.AppendJavaFloat(dst, f, bits)
}

// timestamp appends a TIMESTAMP in the zone that was asked for.
func (e *Encoder) timestamp(dst []byte, c event.Cell, fsp int) []byte {
	if c.Flags()&event.ZeroTime != 0 {
		return jsonenc.AppendDateTime(dst, event.Civil{}, ' ', fsp)
	}
	micros := c.Int64()
	if e.zone != nil {
		_, offset := time.UnixMicro(micros).In(e.zone).Zone()
		micros += int64(offset) * 1e6
	}
	return jsonenc.AppendTimestamp(dst, micros, ' ', fsp)
}

// appendLatin1 appends bytes as a JSON string with a character for each, that of ISO 8859-1.
func appendLatin1(dst, b []byte) []byte {
	dst = append(dst, '"')
	const hex = "0123456789abcdef"
	for _, c := range b {
		switch {
		case c >= utf8.RuneSelf:
			dst = append(dst, 0xc0|c>>6, 0x80|c&0x3f)
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, '"')
}

// special appends the types that are rare, from their bytes, without quotes.
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
