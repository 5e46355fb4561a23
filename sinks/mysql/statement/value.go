package statement

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/event/sqltext"
)

// AppendValue appends the literal of one cell of row r, or of what else gives exactly its value:
//
//	integers, YEAR, BIT        digits
//	FLOAT, DOUBLE              the shortest digits that give the same double, with an exponent, which makes them a double and not a DECIMAL; -0 is a
//	                           string
//	DECIMAL                    its digits
//	text, ENUM, SET            a string; ENUM 0, which is no member, is the number 0
//	text that is not valid     the bytes in hexadecimal, which the server takes as they are or refuses
//	binary types               a string of bytes
//	dates and times            a string, TIMESTAMP in UTC
//	JSON                       its text, or an expression where it holds values of SQL types; in MariaDB its text
//	GEOMETRY, VECTOR           the bytes in hexadecimal, in the server's own form
//
// An absent cell, and a difference of a JSON document, have no literal.
func (t *Table) AppendValue(dst []byte, i int, r event.Row) ([]byte, error) {
	c := r.Cells[i]
	switch c.Kind() {
	case event.Null:
		return append(dst, "NULL"...), nil
	case event.Int:
		return sqltext.AppendInt(dst, c.Int64()), nil
	case event.Uint, event.Bits:
		return sqltext.AppendUint(dst, c.Uint64()), nil
	case event.Year:
		// As a number 0 is 2000 in some versions, and 1 to 99 are two digits of a year everywhere.
		return append(celltext.Text(append(dst, '\''), c, r, t.cols[i].Column), '\''), nil
	case event.Float32:
		return appendDouble(dst, float64(c.Float32()))
	case event.Float64:
		return appendDouble(dst, c.Float64())
	case event.Decimal:
		return append(dst, r.Bytes(c)...), nil
	case event.Date, event.DateTime, event.Timestamp, event.Time, event.UUID, event.INET6, event.INET4:
		return append(celltext.Text(append(dst, '\''), c, r, t.cols[i].Column), '\''), nil
	case event.Enum:
		n, members := c.Uint64(), t.cols[i].Members
		if n == 0 {
			return append(dst, '0'), nil
		}
		if n > uint64(len(members)) {
			return dst, fmt.Errorf("column %s: the ENUM has no member %d", t.cols[i].Name, n)
		}
		return sqltext.AppendString(dst, members[n-1]), nil
	case event.SetBits:
		col := t.cols[i].Column
		if n := len(col.Members); n < 64 && c.Uint64()>>n != 0 {
			return dst, fmt.Errorf("column %s: the SET has %d members, the value is %d", col.Name, n, c.Uint64())
		}
		at := len(dst)
		dst = celltext.AppendSet(append(dst, '\''), c.Uint64(), col)
		return sqltext.CloseString(dst, at), nil
	case event.String:
		if c.Flags()&event.Raw != 0 {
			return appendHex(dst, r.Bytes(c)), nil
		}
		return sqltext.AppendString(dst, r.Bytes(c)), nil
	case event.Bytes:
		return sqltext.AppendString(append(dst, "_binary"...), r.Bytes(c)), nil
	case event.JSON:
		return sqltext.AppendString(dst, r.Bytes(c)), nil
	case event.JSONBinary:
		return t.appendJSON(dst, r.Bytes(c))
	case event.Geometry, event.Vector:
		return appendHex(dst, r.Bytes(c)), nil
	}
	return dst, fmt.Errorf("column %s: a value of kind %s has no literal", t.cols[i].Name, c.Kind())
}

// appendJSON appends a document in MySQL's binary form.
func (t *Table) appendJSON(dst, doc []byte) ([]byte, error) {
	at := len(dst)
	if t.json && jsonbin.HasSQLTypes(doc) {
		return jsonbin.AppendExpression(dst, doc)
	}
	dst, err := jsonbin.AppendText(append(dst, '\''), doc, jsonbin.MaxText)
	if err != nil {
		return dst[:at], err
	}
	return sqltext.CloseString(dst, at), nil
}

// appendDouble appends a double so that the server's parser gives the same one back.
func appendDouble(dst []byte, v float64) ([]byte, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dst, fmt.Errorf("no column holds the number %g", v)
	}
	if v == 0 && math.Signbit(v) {
		return append(dst, "'-0'"...), nil // MariaDB takes the number -0 for 0, and before 11 the string too, which are equal
	}
	return strconv.AppendFloat(dst, v, 'e', -1, 64), nil
}

func appendHex(dst, s []byte) []byte {
	return append(hex.AppendEncode(append(dst, 'x', '\''), s), '\'')
}

// isJSON reports a column of the type JSON at the target, which MariaDB does not have.
func (t *Table) isJSON(i int) bool { return t.cols[i].json }
