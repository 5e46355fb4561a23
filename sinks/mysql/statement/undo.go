package statement

import (
	"fmt"

	"cdc/event"
	"cdc/format"
)

// Undo statements put a row back to what it was before a change. They find the row by its key as it was after the change, and, where guard is set, only
// while what the change has left is still there: each column that an update changed, all columns of a row that was inserted. A row that is another
// by now is not found, and stays as it is. A column that the change did not touch is neither compared nor written, so that a later change of it
// survives. A table without a key is searched by the whole image, with LIMIT 1.
//
// What an image lacks is an error that wraps ErrAbsent.

// AppendUndoInsert appends the statement that takes an inserted row away.
func (t *Table) AppendUndoInsert(dst []byte, after event.Row, guard bool) ([]byte, error) {
	dst = append(append(append(dst, "DELETE FROM "...), t.name...), " WHERE "...)
	dst, many, err := t.appendWhere(dst, after)
	switch {
	case err != nil:
		return dst, err
	case many:
		return append(dst, " LIMIT 1"...), nil
	}
	for i := 0; guard && i < len(t.cols); i++ {
		if dst, err = t.appendGuard(dst, i, after); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// AppendUndoUpdate appends the statement that takes an update back; nothing where no column changed that can be written.
func (t *Table) AppendUndoUpdate(dst []byte, before, after event.Row, guard bool) ([]byte, error) {
	whole := after // what the row was after the change: images may leave out what did not change
	for i, c := range after.Cells {
		if c.Kind() == event.Absent {
			whole.Cells = append([]event.Cell(nil), after.Cells...)
			for j := i; j < len(whole.Cells); j++ {
				if whole.Cells[j].Kind() == event.Absent {
					whole.Cells[j] = before.Cells[j]
				}
			}
			break
		}
	}
	from := len(dst)
	dst = append(append(append(dst, "UPDATE "...), t.name...), " SET "...)
	changed := 0
	var err error
	for i := range t.cols {
		col := &t.cols[i]
		is := t.changed(i, before, after)
		if !col.write || !is && !col.touch {
			continue
		}
		if is {
			changed++
			if before.Cells[i].Kind() == event.Absent {
				return dst[:from], fmt.Errorf("the value that column %s had is %w", col.Name, ErrAbsent)
			}
		}
		if dst[len(dst)-1] != ' ' {
			dst = append(dst, ',')
		}
		dst = append(append(dst, col.name...), '=')
		if !is { // a statement that does not name it would set it to now
			dst = append(dst, col.name...)
			continue
		}
		if dst, err = t.AppendValue(dst, i, before); err != nil {
			return dst[:from], err
		}
	}
	if changed == 0 {
		return dst[:from], nil
	}
	dst, many, err := t.appendWhere(append(dst, " WHERE "...), whole)
	switch {
	case err != nil:
		return dst[:from], err
	case many:
		return append(dst, " LIMIT 1"...), nil
	}
	for i := 0; guard && i < len(t.cols); i++ {
		if !t.changed(i, before, after) {
			continue
		}
		if dst, err = t.appendGuard(dst, i, after); err != nil {
			return dst[:from], err
		}
	}
	return dst, nil
}

func (t *Table) changed(i int, before, after event.Row) bool {
	c := after.Cells[i]
	return c.Kind() != event.Absent && (c.Kind() == event.JSONDiff || !format.SameCell(before, before.Cells[i], after, c))
}

// appendGuard appends a comparison of a column that is none of the key. What the image does not show as a whole is not compared.
func (t *Table) appendGuard(dst []byte, i int, r event.Row) ([]byte, error) {
	if k := r.Cells[i].Kind(); !t.cols[i].write || k == event.Absent || k == event.JSONDiff {
		return dst, nil
	}
	for _, k := range t.key {
		if k == i && !t.cols[i].Type.IsText() { // of text a collation may take two for one
			return dst, nil
		}
	}
	return t.appendSame(append(dst, " AND "...), i, r)
}

// AppendUndoDelete appends what makes a deleted row again: head begins a statement, up to VALUES, and row is what comes behind it. Rows with equal heads may be
// joined by commas.
func (t *Table) AppendUndoDelete(head, row []byte, before event.Row) (newHead, newRow []byte, err error) {
	head = append(append(append(head, "INSERT INTO "...), t.name...), " ("...)
	first := true
	for i, c := range before.Cells {
		if !t.cols[i].write {
			continue
		}
		if c.Kind() == event.Absent {
			return head, row, fmt.Errorf("the value that column %s had is %w", t.cols[i].Name, ErrAbsent)
		}
		if !first {
			head = append(head, ',')
		}
		head, first = append(head, t.cols[i].name...), false
	}
	row, err = t.appendRow(row, before)
	return append(head, ") VALUES "...), row, err
}
