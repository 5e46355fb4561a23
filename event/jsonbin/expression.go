package jsonbin

import (
	"encoding/binary"
	"math"
	"strconv"

	"cdc/event/sqltext"
)

// HasSQLTypes reports that a document holds values of SQL types (DECIMAL, dates and times, bytes), which its text does not tell from others.
// Malformed documents have none.
func HasSQLTypes(doc []byte) bool {
	return len(doc) > 0 && hasSQLTypes(doc[0], doc[1:], 1)
}

func hasSQLTypes(t byte, b []byte, depth int) bool {
	switch t {
	case opaqueValue:
		return true
	case smallObject, largeObject, smallArray, largeArray:
		c, ok := open(b, t == largeObject || t == largeArray, t <= largeObject)
		if !ok || depth > maxDepth {
			return false
		}
		for i := range c.count {
			if t, v, ok := c.value(i); ok && hasSQLTypes(t, v, depth+1) {
				return true
			}
		}
	}
	return false
}

// AppendExpression appends an SQL expression of type JSON that gives the document with the types of its values: JSON_OBJECT and JSON_ARRAY
// around literals and casts. It is for MySQL sessions in utf8mb4 that take backslashes as escapes. Values of SQL types other than DECIMAL and
// those of dates and times have no literal that keeps the type: they become the string that SELECT shows.
//
// After an error dst is as it was.
func AppendExpression(dst, doc []byte) ([]byte, error) {
	if len(doc) == 0 {
		return append(dst, "CAST('null' AS JSON)"...), nil
	}
	w := writer{dst: dst, end: len(dst) + MaxText, quote: "'", growth: growth}
	var ok bool
	switch doc[0] {
	case smallObject, largeObject, smallArray, largeArray:
		ok = w.expression(doc[0], doc[1:], 1)
	default: // a scalar by itself would be a value of its SQL type
		w.dst = append(w.dst, "JSON_EXTRACT(JSON_ARRAY("...)
		ok = w.expression(doc[0], doc[1:], 1)
		w.dst = append(w.dst, "),'$[0]')"...)
	}
	if !ok {
		return dst, errDocument
	}
	return w.dst, nil
}

func (w *writer) expression(t byte, b []byte, depth int) bool {
	if len(w.dst) > w.end {
		return false
	}
	switch t {
	case smallObject, largeObject, smallArray, largeArray:
		c, ok := open(b, t == largeObject || t == largeArray, t <= largeObject)
		if !ok || depth > maxDepth {
			return false
		}
		if t <= largeObject {
			w.dst = append(w.dst, "JSON_OBJECT("...)
		} else {
			w.dst = append(w.dst, "JSON_ARRAY("...)
		}
		for i := range c.count {
			if i > 0 {
				w.dst = append(w.dst, ',')
			}
			if t <= largeObject {
				key, ok := c.key(i)
				if !ok {
					return false
				}
				w.dst = sqltext.AppendString(w.dst, key)
				w.dst = append(w.dst, ',')
			}
			t, v, ok := c.value(i)
			if !ok || !w.expression(t, v, depth+1) {
				return false
			}
		}
		w.dst = append(w.dst, ')')
		return true
	case uint16Value, uint32Value, uint64Value:
		w.dst = append(w.dst, "CAST("...)
		ok := w.value(t, b, depth)
		w.dst = append(w.dst, " AS UNSIGNED)"...)
		return ok
	case doubleValue:
		if len(b) < 8 {
			return false
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
		w.dst = strconv.AppendFloat(w.dst, v, 'e', -1, 64)
		return true
	case stringValue:
		s, ok := varString(b)
		w.dst = sqltext.AppendString(w.dst, s)
		return ok
	case opaqueValue:
		if len(b) < 1 {
			return false
		}
		s, ok := varString(b[1:])
		return ok && w.sqlOpaque(b[0], s)
	}
	return w.value(t, b, depth) // the literals null, true and false, and signed integers, are as in JSON
}

func (w *writer) sqlOpaque(t byte, b []byte) bool {
	switch t {
	case sqlNewDecimal:
		w.dst = append(w.dst, "CAST("...)
		at := len(w.dst)
		if !w.opaque(t, b) {
			return false
		}
		digits, scale, point := uint64(0), uint64(0), false
		for _, c := range w.dst[at:] {
			switch {
			case c == '.':
				point = true
			case c != '-':
				digits++
				if point {
					scale++
				}
			}
		}
		w.dst = sqltext.AppendUint(append(w.dst, " AS DECIMAL("...), digits)
		w.dst = sqltext.AppendUint(append(w.dst, ','), scale)
		w.dst = append(w.dst, "))"...)
		return true
	case sqlDate, sqlTime, sqlDateTime, sqlTimestamp:
		w.dst = append(w.dst, "CAST("...)
		if !w.opaque(t, b) {
			return false
		}
		as := " AS DATETIME(6))"
		if t == sqlDate {
			as = " AS DATE)"
		} else if t == sqlTime {
			as = " AS TIME(6))"
		}
		w.dst = append(w.dst, as...)
		return true
	}
	return w.opaque(t, b)
}
