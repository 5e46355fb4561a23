package transform

import (
	"strconv"
	"time"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/schemas"
)

// kindOf is the class of a column's values that are not NULL, known before any row.
func kindOf(c *schemas.Column) class {
	switch {
	case c.Type.IsInteger(), c.Type == schemas.Year, c.Type == schemas.Bit:
		return isInt
	}
	switch c.Type {
	case schemas.Decimal:
		return isDecimal
	case schemas.Float, schemas.Double:
		return isFloat
	case schemas.Date:
		return isDate
	case schemas.DateTime:
		return isDateTime
	case schemas.Timestamp:
		return isMoment
	case schemas.Time:
		return isTime
	case schemas.JSON:
		return isJSON
	}
	return isText
}

// load makes a value of a cell, without copying its text where it is in the arena. scratch takes the text of kinds that have none there.
func load(c event.Cell, r event.Row, col *schemas.Column, scratch *[]byte) value {
	switch c.Kind() {
	case event.Absent:
		return value{}
	case event.Null:
		return null()
	case event.Int:
		return value{class: isInt, n: uint64(c.Int64())}
	case event.Uint, event.Year, event.Bits:
		return unsigned(c.Uint64())
	case event.Float32:
		return float(float64(c.Float32()))
	case event.Float64:
		return float(c.Float64())
	case event.Decimal:
		return value{class: isDecimal, s: viewString(r.Bytes(c))}
	case event.String, event.Bytes, event.Geometry, event.Vector:
		return text(viewString(r.Bytes(c)))
	case event.Enum:
		if n := c.Uint64(); n > 0 && n <= uint64(len(col.Members)) {
			return text(col.Members[n-1])
		}
		return text("")
	case event.Date:
		return value{class: isDate, n: c.Civil().Pack()}
	case event.DateTime:
		return value{class: isDateTime, n: c.Civil().Pack()}
	case event.Timestamp:
		if c.Flags()&event.ZeroTime != 0 {
			return value{class: isDateTime}
		}
		return value{class: isMoment, n: uint64(c.Int64())}
	case event.Time:
		return value{class: isTime, n: uint64(c.Int64())}
	case event.JSON:
		return value{class: isJSON, s: viewString(r.Bytes(c))}
	case event.JSONBinary:
		start := len(*scratch)
		*scratch = celltext.Text(*scratch, c, r, col)
		return value{class: isJSON, s: viewString((*scratch)[start:])}
	case event.JSONDiff:
		return value{why: inPart}
	}
	start := len(*scratch) // SET, UUID, INET: several columns of a row share the buffer
	*scratch = celltext.Text(*scratch, c, r, col)
	return text(viewString((*scratch)[start:]))
}

func civilOfMicros(us int64) event.Civil {
	t := time.UnixMicro(us).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return event.Civil{Year: year, Month: int(month), Day: day, Hour: hour, Minute: minute, Second: second, Micro: t.Nanosecond() / 1000}
}

// canonical appends the text of a value by which equal values of any two columns are equal bytes: what SELECT prints, but without the padding
// of ZEROFILL, with all digits of a float, without zeros at the end of fractions, TIMESTAMP in UTC. JSON is as it is printed.
func canonical(dst []byte, c event.Cell, r event.Row, col *schemas.Column) []byte {
	switch c.Kind() {
	case event.Int:
		return strconv.AppendInt(dst, c.Int64(), 10)
	case event.Uint, event.Bits, event.Year:
		return strconv.AppendUint(dst, c.Uint64(), 10)
	case event.Float32:
		return strconv.AppendFloat(dst, float64(c.Float32()), 'g', -1, 32)
	case event.Float64:
		return strconv.AppendFloat(dst, c.Float64(), 'g', -1, 64)
	case event.Decimal:
		return trimDecimal(dst, r.Bytes(c))
	case event.DateTime:
		return trimFraction(celltext.AppendDateTime(dst, c.Civil(), 6))
	case event.Timestamp:
		return trimFraction(celltext.AppendTimestamp(dst, c, 6))
	case event.Time:
		return trimFraction(celltext.AppendTime(dst, c.Int64(), 6))
	}
	return celltext.Text(dst, c, r, col)
}

func trimFraction(dst []byte) []byte {
	n := len(dst)
	for dst[n-1] == '0' {
		n--
	}
	if dst[n-1] == '.' { // it always has one: six digits were asked for
		n--
	}
	return dst[:n]
}

// appendValue appends the text of a value of an expression.
func appendValue(dst []byte, v value) []byte {
	switch v.class {
	case isBool:
		return strconv.AppendUint(dst, v.n, 10)
	case isInt:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case isUint:
		return strconv.AppendUint(dst, v.n, 10)
	case isFloat:
		return strconv.AppendFloat(dst, v.f, 'g', -1, 64)
	case isDate:
		return celltext.AppendDate(dst, v.civil())
	case isDateTime, isMoment:
		return trimFraction(celltext.AppendDateTime(dst, v.civil(), 6))
	case isTime:
		return trimFraction(celltext.AppendTime(dst, int64(v.n), 6))
	}
	return append(dst, v.s...)
}
