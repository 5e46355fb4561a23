package parquet

import (
	"encoding/binary"
	"math"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/format/rows"
	"cdc/schemas"
)

// physical is how a value is held: the types of Parquet that are used here.
type physical uint8

const (
	boolean physical = iota
	int32s
	int64s
	float
	double
	byteArray
	fixed
)

// column is what is known of a column before any row.
type column struct {
	def   *schemas.Column
	name  string
	kind  event.Kind
	phys  physical
	width int // of a fixed one, bytes
	scale int // of a decimal
}

// maxDigits is the precision of the widest DECIMAL that the usual readers have.
const maxDigits = 38

// columnsOf gives the columns of the table.
func columnsOf(t *schemas.Table) []column {
	all := make([]column, len(t.Columns))
	for i := range t.Columns {
		def := &t.Columns[i]
		c := column{def: def, name: rows.Name(def.Name), kind: event.KindOf(def), phys: byteArray}
		switch c.kind {
		case event.Int, event.Uint:
			c.phys = int32s
			if def.Type == schemas.BigInt {
				c.phys = int64s
			}
		case event.Year, event.Date:
			c.phys = int32s
		case event.Float32:
			c.phys = float
		case event.Float64:
			c.phys = double
		case event.DateTime, event.Timestamp, event.Time:
			c.phys = int64s
		case event.Bits:
			c.phys = int64s
			if def.Length <= 1 {
				c.phys = boolean
			}
		case event.Decimal:
			c.scale = int(def.Scale)
			switch p := int(def.Precision); {
			case p <= 9:
				c.phys = int32s
			case p <= 18:
				c.phys = int64s
			case p <= maxDigits:
				c.phys, c.width = fixed, decimalWidth(p)
			}
		case event.UUID:
			c.phys, c.width = fixed, 16
		}
		all[i] = c
	}
	return all
}

// decimalWidth is how many bytes of two's complement hold every number of so many digits.
func decimalWidth(digits int) int {
	return int(math.Ceil((float64(digits)*math.Log2(10) + 1) / 8))
}

// value appends a value that is not NULL.
func (e *Encoder) value(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != col.kind && !(c.Kind() == event.JSONBinary && col.kind == event.JSON) {
		return dst, format.WrongKind(col.def, c.Kind())
	}
	dst = append(dst, value)
	switch c.Kind() {
	case event.Int:
		return number(dst, col, c.Int64()), nil
	case event.Uint, event.Year:
		return number(dst, col, int64(c.Uint64())), nil
	case event.Bits:
		if col.phys == boolean {
			return append(dst, byte(min(c.Uint64(), 1))), nil
		}
		return append64(dst, int64(c.Uint64())), nil
	case event.Float32:
		return append32(dst, int32(math.Float32bits(c.Float32()))), nil
	case event.Float64:
		return append64(dst, int64(math.Float64bits(c.Float64()))), nil
	case event.Time:
		return append64(dst, c.Int64()), nil
	case event.Date, event.DateTime, event.Timestamp:
		return e.date(dst, col, c)
	case event.Decimal:
		return decimal(dst, col, row.Bytes(c))
	case event.String:
		s, err := rows.Text(col.def, row.Bytes(c), c.Flags(), e.o.Text == TextReplace)
		return appendBytes(dst, s), err
	case event.Bytes, event.Geometry, event.JSON:
		return appendBytes(dst, row.Bytes(c)), nil
	case event.Enum:
		switch v := c.Uint64(); {
		case v == 0:
			return append(dst, 0), nil
		case v <= uint64(len(col.def.Members)):
			return appendBytes(dst, col.def.Members[v-1]), nil
		}
		return dst, format.NoMember(col.def)
	case event.SetBits:
		if n := len(col.def.Members); n < 64 && c.Uint64()>>n != 0 {
			return dst, format.NoMember(col.def)
		}
		e.scratch = celltext.AppendSet(e.scratch[:0], c.Uint64(), col.def)
		return appendBytes(dst, e.scratch), nil
	}
	return e.special(dst, col, row.Bytes(c), c.Kind())
}

func number(dst []byte, col *column, v int64) []byte {
	if col.phys == int64s {
		return append64(dst, v)
	}
	return append32(dst, int32(v)) // the bits of an unsigned one
}

// date appends a DATE as days, and a DATETIME or TIMESTAMP as microseconds. What is no day of the calendar is NULL or an error.
func (e *Encoder) date(dst []byte, col *column, c event.Cell) ([]byte, error) {
	var v int64
	var ok bool
	switch col.kind {
	case event.Date:
		v, ok = jsonenc.Days(c.Civil())
	case event.DateTime:
		v, ok = jsonenc.Micros(c.Civil())
	default:
		v, ok = c.Int64(), c.Flags()&event.ZeroTime == 0
	}
	switch {
	case !ok && e.o.ZeroDates == ZeroDateNull:
		dst[len(dst)-1] = null
		return dst, nil
	case !ok:
		return dst, fault.New(fault.FormatValue, "column %s holds a date that is no day of the calendar", col.def.Name).
			Hint("set zero_dates: null, or use format plain")
	}
	return number(dst, col, v), nil
}

// special appends the types that are rare, as text.
func (e *Encoder) special(dst []byte, col *column, b []byte, kind event.Kind) ([]byte, error) {
	s := e.scratch[:0]
	switch {
	case kind == event.JSONBinary:
		var err error
		if s, err = jsonbin.AppendText(s, b, jsonbin.MaxText); err != nil {
			return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
		}
	case kind == event.Vector && len(b)%4 == 0:
		s = append(s, '[')
		for i := 0; i < len(b); i += 4 {
			if i > 0 {
				s = append(s, ',')
			}
			s = jsonenc.AppendFloat(s, float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))), 32)
		}
		s = append(s, ']')
	case kind == event.UUID && len(b) == 16:
		return append(dst, b...), nil
	case kind == event.INET6 && len(b) == 16:
		s = celltext.AppendINET6(s, b)
	case kind == event.INET4 && len(b) == 4:
		s = jsonenc.AppendINET4(s, [4]byte(b))
	default:
		return dst, format.BadBytes(col.def, len(b))
	}
	e.scratch = s
	return appendBytes(dst, s), nil
}
