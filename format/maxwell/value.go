package maxwell

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

// value appends one value.
func (e *Encoder) value(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != col.kind {
		switch c.Kind() {
		case event.Null:
			return append(dst, "null"...), nil
		case event.JSONBinary:
			if col.kind == event.JSON {
				out, err := jsonbin.AppendCompact(dst, row.Bytes(c), jsonbin.MaxText)
				if err != nil {
					return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
				}
				return out, nil
			}
		case event.JSONDiff:
			return dst, fault.New(fault.FormatValue, "column %s was updated in part, which this format cannot say", col.def.Name).
				Hint("SET GLOBAL binlog_row_value_options='' on the source, or use format plain")
		}
		return dst, format.WrongKind(col.def, c.Kind())
	}
	switch col.kind {
	case event.Int:
		return jsonenc.AppendInt(dst, c.Int64()), nil
	case event.Uint, event.Year, event.Bits:
		return jsonenc.AppendUint(dst, c.Uint64()), nil
	case event.String:
		if c.Flags()&event.Raw == 0 {
			if out, ok := jsonenc.AppendSurrogates(dst, row.Bytes(c)); ok {
				return out, nil
			}
		}
		return e.invalidText(dst, col, row.Bytes(c))
	case event.Decimal:
		return appendDecimal(dst, row.Bytes(c)), nil
	case event.Float32:
		return float(dst, col, float64(c.Float32()), 32)
	case event.Float64:
		return float(dst, col, c.Float64(), 64)
	case event.Bytes:
		return jsonenc.AppendBase64(dst, row.Bytes(c)), nil
	case event.Date, event.DateTime, event.Timestamp:
		return e.date(dst, col, c), nil
	case event.Time:
		return append(jsonenc.AppendDuration(append(dst, '"'), c.Int64(), int(col.fsp)), '"'), nil
	case event.Enum, event.SetBits:
		return members(dst, col, c.Uint64())
	case event.JSON:
		return document(dst, col, row.Bytes(c))
	}
	return special(dst, col, row.Bytes(c))
}

func float(dst []byte, col *column, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fault.New(fault.FormatValue, "column %s: the value is not a JSON number", col.def.Name)
	}
	return jsonenc.AppendJavaFloat(dst, f, bits), nil
}

func (e *Encoder) invalidText(dst []byte, col *column, s []byte) ([]byte, error) {
	if e.o.Text == TextReplace {
		return jsonenc.AppendSurrogateText(dst, string(s)), nil
	}
	return dst, fault.New(fault.FormatValue, "column %s: the text is not valid in character set %s", col.def.Name, col.def.Charset).
		Hint("repair the row on the source, or set invalid_text: replace, or use format plain, which keeps the bytes")
}

// zeroDate reports a date that is no day of the calendar.
func zeroDate(col *column, c event.Cell) bool {
	switch {
	case c.Kind() != col.kind:
		return false
	case col.kind == event.Timestamp:
		return c.Flags()&event.ZeroTime != 0
	case col.kind == event.Date || col.kind == event.DateTime:
		_, ok := jsonenc.Days(c.Civil())
		return !ok
	}
	return false
}

// date appends a DATE, DATETIME or TIMESTAMP (in UTC).
func (e *Encoder) date(dst []byte, col *column, c event.Cell) []byte {
	if e.o.NullZero && zeroDate(col, c) {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	switch {
	case col.kind == event.Date:
		dst = jsonenc.AppendDate(dst, c.Civil())
	case col.kind == event.DateTime:
		dst = jsonenc.AppendDateTime(dst, c.Civil(), ' ', int(col.fsp))
	case c.Flags()&event.ZeroTime != 0:
		dst = jsonenc.AppendDateTime(dst, event.Civil{}, ' ', int(col.fsp))
	default:
		dst = jsonenc.AppendTimestamp(dst, c.Int64(), ' ', int(col.fsp))
	}
	return append(dst, '"')
}

// appendDecimal appends a DECIMAL as a number, spelled as java.math.BigDecimal.toString does: as it is, but with an exponent where the first
// digit is more than six places behind the point.
func appendDecimal(dst, text []byte) []byte {
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) < 9 || digits[0] != '0' || digits[1] != '.' || string(digits[2:8]) != "000000" { // 0.0000001 is the largest such one
		return append(dst, text...)
	}
	scale := len(digits) - 2
	first := 2
	for first < len(digits)-1 && digits[first] == '0' {
		first++
	}
	significant := digits[first:]
	if len(significant) == 1 && significant[0] == '0' { // zero: it has its scale and no sign
		return jsonenc.AppendUint(append(dst, "0E-"...), uint64(scale))
	}
	if len(digits) != len(text) {
		dst = append(dst, '-')
	}
	dst = append(dst, significant[0])
	if len(significant) > 1 {
		dst = append(append(dst, '.'), significant[1:]...)
	}
	return jsonenc.AppendUint(append(dst, "E-"...), uint64(first-1))
}

// members appends an ENUM as text and a SET as an array.
func members(dst []byte, col *column, v uint64) ([]byte, error) {
	n := len(col.members)
	if col.kind == event.Enum {
		switch {
		case v == 0:
			return append(dst, '"', '"'), nil
		case v <= uint64(n):
			return append(dst, col.members[v-1]...), nil
		}
	} else if n >= 64 || v>>n == 0 {
		dst = append(dst, '[')
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
		return append(dst, ']'), nil
	}
	return dst, format.NoMember(col.def)
}

// document embeds a JSON document without the spaces that the server prints behind commas and colons.
func document(dst []byte, col *column, s []byte) ([]byte, error) {
	if len(s) == 0 || !utf8.Valid(s) {
		return dst, fault.New(fault.FormatValue, "column %s: the document is not text in UTF-8", col.def.Name)
	}
	return format.AppendCompact(dst, s), nil
}

// special appends the types that are rare, from their bytes.
func special(dst []byte, col *column, b []byte) ([]byte, error) {
	switch {
	case col.kind == event.Geometry && len(b) >= 4:
		if out, ok := appendWKT(append(dst, '"'), b[4:]); ok {
			return append(out, '"'), nil
		}
	case col.kind == event.Vector && len(b)%4 == 0: // Maxwell knows none: as VECTOR_TO_STRING and other tools have it
		out := append(dst, '[')
		for i := 0; i < len(b); i += 4 {
			if i > 0 {
				out = append(out, ',')
			}
			var err error
			if out, err = float(out, col, float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))), 32); err != nil {
				return dst, err
			}
		}
		return append(out, ']'), nil
	case col.kind == event.UUID && len(b) == 16:
		return append(celltext.AppendUUID(append(dst, '"'), b), '"'), nil
	case col.kind == event.INET6 && len(b) == 16:
		return append(celltext.AppendINET6(append(dst, '"'), b), '"'), nil
	case col.kind == event.INET4 && len(b) == 4:
		return append(jsonenc.AppendINET4(append(dst, '"'), [4]byte(b)), '"'), nil
	}
	return dst, format.BadBytes(col.def, len(b))
}
