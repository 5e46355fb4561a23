package statement

import (
	"fmt"

	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/event/sqltext"
	"cdc/format"
)

// Verb is how an insert begins.
type Verb uint8

const (
	// Insert fails where the key is there.
	Insert Verb = iota
	// Replace takes the place of whatever rows have one of the unique keys. How many rows the server counts is then not known beforehand.
	Replace
)

// Statement is one statement of a text.
type Statement struct {
	From, To    int // it is Text()[From:To], without a semicolon
	First, Last int // it carries out the changes First to Last-1, counted since Reset
	Rows        int // how many rows the server must say that it found or inserted; -1 where that is not known beforehand
	// Counted says that the server takes another number of rows for no error: that must be looked at before COMMIT.
	Counted bool
}

// Writer writes the changes of a transaction. The zero value is ready for use; Reset keeps its memory.
type Writer struct {
	// Most is the length in bytes from which a statement of many rows takes no more; 0 is 256 KiB.
	Most int
	Verb Verb

	buf     []byte
	list    []Statement
	changes int

	// The last statement, where more rows may join it.
	open  *Table
	op    event.Op
	given []bool // which columns its rows give
}

// Reset forgets what was written.
func (w *Writer) Reset() {
	w.buf, w.list, w.changes, w.open = w.buf[:0], w.list[:0], 0, nil
}

// Text gives the statements with semicolons between them, valid until the next call of Reset or Change.
func (w *Writer) Text() []byte { return w.buf }

// Statements gives what the text consists of, valid as long.
func (w *Writer) Statements() []Statement { return w.list }

// Change adds a change of a row of t. before and after are its images, as op needs them; their cells are copied. After an error the text is as it was
// before.
func (w *Writer) Change(t *Table, op event.Op, before, after event.Row) error {
	if n := len(w.list); w.open == t && w.op == op && len(w.buf)-w.list[n-1].From < w.most() {
		joined, err := w.join(t, op, before, after)
		if joined || err != nil {
			return err
		}
	}
	w.open = nil
	from := len(w.buf)
	if from > 0 {
		w.buf = append(w.buf, ';')
	}
	s := Statement{From: len(w.buf), First: w.changes, Last: w.changes + 1, Rows: 1}
	var err error
	switch op {
	case event.Insert, event.Read:
		err = w.insert(t, after)
	case event.Update:
		s.Counted = true
		err = w.update(t, before, after)
	case event.Delete:
		s.Counted = true
		err = w.delete(t, before)
	case event.Truncate:
		w.buf = append(append(w.buf, "TRUNCATE TABLE "...), t.name...)
		s.Rows = -1
	default:
		err = fmt.Errorf("no statement does what %s is", op)
	}
	if err != nil {
		w.buf = w.buf[:from]
		return err
	}
	if s.To = len(w.buf); w.Verb == Replace && s.Rows > 0 {
		s.Rows = -1
	}
	w.list = append(w.list, s)
	w.changes++
	if op == event.Insert || op == event.Read || op == event.Delete && t.key != nil && !t.loose {
		w.open, w.op = t, op
	}
	return nil
}

// Plain adds a statement of the caller's that changes no rows, as SET does.
func (w *Writer) Plain(text string) {
	w.open = nil
	if len(w.buf) > 0 {
		w.buf = append(w.buf, ';')
	}
	s := Statement{From: len(w.buf), First: w.changes, Last: w.changes, Rows: -1}
	w.buf = append(w.buf, text...)
	s.To = len(w.buf)
	w.list = append(w.list, s)
}

func (w *Writer) most() int {
	if w.Most > 0 {
		return w.Most
	}
	return 256 << 10
}

// join adds a row to the last statement, where it gives the same columns.
func (w *Writer) join(t *Table, op event.Op, before, after event.Row) (bool, error) {
	at := len(w.buf)
	var err error
	switch {
	case op == event.Delete && t.spelled():
		if s := &w.list[len(w.list)-1]; s.Last-s.First >= spelledMost {
			return false, nil
		}
		if w.buf, _, err = t.appendWhere(append(w.buf, " OR "...), before); err != nil {
			w.buf = w.buf[:at]
			return false, err
		}
	case op == event.Delete:
		w.buf = w.buf[:at-1] // the parenthesis
		w.buf = append(w.buf, ',')
		if w.buf, err = t.appendKey(w.buf, before); err != nil {
			w.buf = append(w.buf[:at-1], ')')
			return false, err
		}
		w.buf = append(w.buf, ')')
	default:
		for i, c := range after.Cells {
			if t.cols[i].write && w.given[i] != (c.Kind() != event.Absent) {
				return false, nil
			}
		}
		if w.buf, err = t.appendRow(append(w.buf, ','), after); err != nil {
			w.buf = w.buf[:at]
			return false, err
		}
	}
	s := &w.list[len(w.list)-1]
	s.To, s.Last = len(w.buf), s.Last+1
	if s.Rows > 0 {
		s.Rows++
	}
	w.changes++
	return true, nil
}

func (w *Writer) insert(t *Table, after event.Row) (err error) {
	verb := "INSERT INTO "
	if w.Verb == Replace {
		verb = "REPLACE INTO "
	}
	w.buf = append(append(append(w.buf, verb...), t.name...), " ("...)
	w.given = w.given[:0]
	first := true
	for i, c := range after.Cells {
		given := t.cols[i].write && c.Kind() != event.Absent
		w.given = append(w.given, given)
		if !given {
			continue
		}
		if !first {
			w.buf = append(w.buf, ',')
		}
		w.buf, first = append(w.buf, t.cols[i].name...), false
	}
	w.buf, err = t.appendRow(append(w.buf, ") VALUES "...), after)
	return err
}

// appendRow appends the values of the columns that a row gives.
func (t *Table) appendRow(dst []byte, after event.Row) (_ []byte, err error) {
	dst = append(dst, '(')
	first := true
	for i, c := range after.Cells {
		if !t.cols[i].write || c.Kind() == event.Absent {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if dst, err = t.AppendValue(dst, i, after); err != nil {
			return dst, err
		}
	}
	return append(dst, ')'), nil
}

func (w *Writer) update(t *Table, before, after event.Row) (err error) {
	w.buf = append(append(append(w.buf, "UPDATE "...), t.name...), " SET "...)
	first := true
	for i, c := range after.Cells {
		col := &t.cols[i]
		if !col.write || c.Kind() == event.Absent && !col.touch {
			continue
		}
		if !col.touch && !col.cut && c.Kind() != event.JSONDiff && format.SameCell(before, before.Cells[i], after, c) {
			continue
		}
		if !first {
			w.buf = append(w.buf, ',')
		}
		first = false
		w.buf = append(append(w.buf, col.name...), '=')
		switch c.Kind() {
		case event.Absent:
			w.buf = append(w.buf, col.name...)
		case event.JSONDiff:
			w.buf, err = t.appendDiff(w.buf, i, after.Bytes(c))
		default:
			w.buf, err = t.AppendValue(w.buf, i, after)
		}
		if err != nil {
			return err
		}
	}
	if first { // nothing is known to differ: the row is looked for all the same
		i := t.firstWritable()
		w.buf = append(append(append(w.buf, t.cols[i].name...), '='), t.cols[i].name...)
	}
	var many bool
	if w.buf, many, err = t.appendWhere(append(w.buf, " WHERE "...), before); err == nil && many {
		w.buf = append(w.buf, " LIMIT 1"...)
	}
	return err
}

func (t *Table) firstWritable() int {
	for i := range t.cols {
		if t.cols[i].write {
			return i
		}
	}
	return 0 // NewTable saw to it that there is one
}

func (w *Writer) delete(t *Table, before event.Row) (err error) {
	w.buf = append(append(append(w.buf, "DELETE FROM "...), t.name...), " WHERE "...)
	if t.key == nil {
		w.buf, _, err = t.appendWhere(w.buf, before)
		w.buf = append(w.buf, " LIMIT 1"...)
		return err
	}
	if t.loose || t.spelled() {
		w.buf, _, err = t.appendWhere(w.buf, before)
		return err
	}
	if len(t.key) > 1 {
		w.buf = append(w.buf, '(')
	}
	for n, i := range t.key {
		if n > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, t.cols[i].name...)
	}
	if len(t.key) > 1 {
		w.buf = append(w.buf, ')')
	}
	w.buf, err = t.appendKey(append(w.buf, " IN ("...), before)
	w.buf = append(w.buf, ')')
	return err
}

// appendKey appends the key's values, in parentheses where they are more than one.
func (t *Table) appendKey(dst []byte, before event.Row) (_ []byte, err error) {
	if len(t.key) > 1 {
		dst = append(dst, '(')
	}
	for n, i := range t.key {
		if n > 0 {
			dst = append(dst, ',')
		}
		if dst, err = t.appendKeyValue(dst, i, before); err != nil {
			return dst, err
		}
	}
	if len(t.key) > 1 {
		dst = append(dst, ')')
	}
	return dst, nil
}

// appendDiff appends the expression that carries out a partial update of a JSON document: each difference is applied to what the one before it
// left, so the first is the innermost.
func (t *Table) appendDiff(dst []byte, i int, diffs []byte) ([]byte, error) {
	at := len(dst)
	dst = append(dst, t.cols[i].name...)
	for len(diffs) > 0 {
		d, rest, err := jsonbin.Next(diffs)
		if err != nil {
			return dst[:at], err
		}
		diffs = rest
		call := "JSON_REPLACE("
		switch {
		case d.Op == jsonbin.Remove:
			call = "JSON_REMOVE("
		case d.Op == jsonbin.Insert && len(d.Path) > 0 && d.Path[len(d.Path)-1] == ']':
			call = "JSON_ARRAY_INSERT("
		case d.Op == jsonbin.Insert:
			call = "JSON_INSERT("
		}
		inner := len(dst) - at
		dst = append(dst, call...)
		copy(dst[at+len(call):], dst[at:at+inner])
		copy(dst[at:], call)
		dst = sqltext.AppendString(append(dst, ','), d.Path)
		if d.Op != jsonbin.Remove {
			dst = append(dst, ',')
			if dst, err = jsonbin.AppendExpression(dst, d.Value); err != nil {
				return dst[:at], err
			}
		}
		dst = append(dst, ')')
	}
	return dst, nil
}

func appendUint(dst []byte, c event.Cell) []byte { return sqltext.AppendUint(dst, c.Uint64()) }
