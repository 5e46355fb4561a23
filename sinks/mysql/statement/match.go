package statement

import (
	"errors"
	"fmt"

	"cdc/event"
	"cdc/event/sqltext"
)

// ErrAbsent is wrapped by the errors of a change whose image lacks what is needed.
var ErrAbsent = errors.New("absent from the before image (binlog_row_image)")

// spelled reports a key whose values are given column by column, joined by OR. MariaDB reads, and locks, the whole table for (a, b) IN ((1, 2)) with one row.
// It gives up an index for very many rows too (optimizer_max_sel_args).
func (t *Table) spelled() bool { return t.maria && len(t.key) > 1 }

const spelledMost = 200 // rows of one statement

// appendWhere appends the condition that finds the row of a before image, and reports whether it may be true for more rows than one.
func (t *Table) appendWhere(dst []byte, before event.Row) (out []byte, many bool, err error) {
	if t.key != nil {
		for n, i := range t.key {
			if n > 0 {
				dst = append(dst, " AND "...)
			}
			if t.loose && t.prefix[n] > 0 {
				dst = sqltext.AppendInt(append(append(append(dst, "LEFT("...), t.cols[i].name...), ','), int64(t.prefix[n]))
				dst = append(dst, ")=LEFT("...)
				if dst, err = t.appendKeyValue(dst, i, before); err != nil {
					return dst, false, err
				}
				dst = append(sqltext.AppendInt(append(dst, ','), int64(t.prefix[n])), ')')
				continue
			}
			dst = append(append(dst, t.cols[i].name...), '=')
			if dst, err = t.appendKeyValue(dst, i, before); err != nil {
				return dst, false, err
			}
		}
		return dst, false, nil
	}
	first := true
	for i := range t.cols {
		if !t.cols[i].write {
			continue // it follows from the others
		}
		if !first {
			dst = append(dst, " AND "...)
		}
		first = false
		if dst, err = t.appendSame(dst, i, before); err != nil {
			return dst, false, err
		}
	}
	return dst, true, nil
}

// appendKeyValue appends the value of a key's column, which must be there.
func (t *Table) appendKeyValue(dst []byte, i int, before event.Row) ([]byte, error) {
	switch before.Cells[i].Kind() {
	case event.Absent:
		return dst, fmt.Errorf("column %s of the key is %w", t.cols[i].Name, ErrAbsent)
	case event.Null:
		return dst, fmt.Errorf("column %s of the key is NULL in the before image", t.cols[i].Name)
	}
	return t.AppendValue(dst, i, before)
}

// appendSame appends a comparison of one column with its cell by bytes: under a collation two values that differ may be equal, and the row
// that a search without a key finds would be another one.
func (t *Table) appendSame(dst []byte, i int, r event.Row) ([]byte, error) {
	col, c := &t.cols[i], r.Cells[i]
	switch c.Kind() {
	case event.Absent:
		return dst, fmt.Errorf("the table has no key, and column %s is %w", col.Name, ErrAbsent)
	case event.Null:
		return append(append(dst, col.name...), " IS NULL"...), nil
	case event.Enum, event.SetBits:
		dst = append(append(dst, col.name...), "+0<=>"...)
		return appendUint(dst, c), nil
	case event.Geometry, event.Vector:
		dst = append(append(append(dst, "HEX("...), col.name...), ")<=>HEX("...)
		dst = appendHex(dst, r.Bytes(c))
		return append(dst, ')'), nil
	case event.String, event.JSON, event.JSONBinary:
		if t.isJSON(i) {
			dst = append(append(append(dst, "CAST(CAST("...), col.name...), " AS CHAR CHARACTER SET utf8mb4) AS BINARY)<=>CAST(CAST(CAST("...)
			dst, err := t.AppendValue(dst, i, r)
			return append(dst, " AS JSON) AS CHAR CHARACTER SET utf8mb4) AS BINARY)"...), err
		}
		if c.Kind() != event.String {
			break
		}
		if c.Flags()&event.Raw != 0 {
			dst = append(append(append(dst, "CAST("...), col.name...), " AS BINARY)<=>"...)
			return appendHex(dst, r.Bytes(c)), nil
		}
		dst = append(append(append(dst, "CAST(CONVERT("...), col.name...), " USING utf8mb4) AS BINARY)<=>"...)
		return sqltext.AppendString(append(dst, "_binary"...), r.Bytes(c)), nil
	}
	return t.AppendValue(append(append(dst, col.name...), "<=>"...), i, r)
}
