// Package rows is what formats have in common whose records are rows of a table, with some columns behind that say what happened to the row.
//
//	recs, n, err := rows.Of(b, i, keys)
//	for _, r := range recs[:n] {
//		for c := range table.Columns {
//			row, cell, err := r.Cell(&table.Columns[c], c)
//			...
//
// An update has the row as it is after it, a delete as it was before, a TRUNCATE has none. An update that changes the key is two records, a delete under the old key
// and an insert under the new one: otherwise nobody could tell from the files which row it was that became this one.
package rows

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// Meta are the names of the columns behind those of the table, in their order: operation, GTID (NULL without GTIDs), number of the change in its transaction, number
// among the records of one change, commit time where the transaction began, server id, binlog file, and offset of the rows event there.
func Meta() [8]string {
	return [...]string{"__op", "__gtid", "__row", "__sub", "__commit", "__server_id", "__file", "__pos"}
}

// Name gives the name under which a column goes: its own, but for one that would be taken for one of Meta, which gets one more underscore. Readers of files do not
// tell large letters from small ones. No two columns get the same name.
func Name(column string) string {
	bare := strings.TrimLeft(column, "_")
	if len(column)-len(bare) < 2 {
		return column
	}
	for _, m := range Meta() {
		if strings.EqualFold(bare, m[2:]) {
			return "_" + column
		}
	}
	return column
}

// Record is one record of a change.
type Record struct {
	Op   event.Op
	row  event.Row
	fill event.Row // has what row leaves out
}

// Of gives the records of change i, of which there are n. keys are the ordinals of the key's columns.
func Of(b *event.Batch, i int, keys []int) (recs [2]Record, n int, err error) {
	c := &b.Changes[i]
	before, after := b.Before(i), b.After(i)
	switch c.Op {
	case event.Insert, event.Read:
		recs[0] = Record{Op: c.Op, row: after}
	case event.Delete:
		recs[0] = Record{Op: c.Op, row: before}
	case event.Truncate:
		recs[0] = Record{Op: c.Op}
	case event.Update:
		if format.Rekeyed(before, after, keys) {
			recs[0] = Record{Op: event.Delete, row: before}
			recs[1] = Record{Op: event.Insert, row: after, fill: before}
			return recs, 2, nil
		}
		recs[0] = Record{Op: c.Op, row: after, fill: before}
	default:
		return recs, 0, fault.New(fault.FormatValue, "operation %s is none of this format", c.Op)
	}
	return recs, 1, nil
}

// Empty reports a record without a row: of a TRUNCATE.
func (r *Record) Empty() bool { return r.row.IsZero() }

// Cell gives the cell of column c and the row that holds its bytes. A column that no image holds, and one of which only what changed is known, are errors.
func (r *Record) Cell(def *schemas.Column, c int) (*event.Row, event.Cell, error) {
	row, cell := &r.row, r.row.Cells[c]
	if cell.Kind() == event.Absent && !r.fill.IsZero() {
		row, cell = &r.fill, r.fill.Cells[c]
	}
	switch cell.Kind() {
	case event.Absent:
		return row, cell, fault.New(fault.FormatValue, "the row image does not hold column %s, and a record of this format has a value for each column", def.Name).
			Hint("SET GLOBAL binlog_row_image=FULL on the source")
	case event.JSONDiff:
		return row, cell, fault.New(fault.FormatValue, "column %s was updated in part, which this format cannot say", def.Name).
			Hint("SET GLOBAL binlog_row_value_options='' on the source, or use format plain")
	}
	return row, cell, nil
}

// Commit is the time of a transaction that goes into __commit: when it was committed where it began, microseconds since 1970.
func Commit(t *event.Txn) int64 {
	if t.Original != 0 {
		return t.Original
	}
	return t.Commit
}

// Text gives text as UTF-8. What is not valid in its character set has U+FFFD in place of the bytes that are none where replace is set, and is else an error.
func Text(def *schemas.Column, s []byte, flags uint8, replace bool) ([]byte, error) {
	if flags&event.Raw == 0 && utf8.Valid(s) {
		return s, nil
	}
	if replace {
		return bytes.ToValidUTF8(s, []byte("\uFFFD")), nil
	}
	return nil, fault.New(fault.FormatValue, "column %s: the text is not valid in character set %s", def.Name, def.Charset).
		Hint("repair the row on the source, or set invalid_text: replace, or use format plain, which keeps the bytes")
}
