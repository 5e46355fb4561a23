package statement

import (
	"bytes"

	"cdc/event"
	"cdc/format"
)

// Merger takes the changes of transactions that are committed together, and writes what they come to: one change for each row that they touch, in few
// statements of many rows. It holds the images, not the batches that these belong to. The zero value is ready for use.
//
// The changes of a row follow one another in its key: what the before image says of it is what the after image before it said. So rows of one table are
// independent of each other where its key is all that can conflict: Target.Merge says that of a table. Its deletes come first then, its inserts last.
//
// What the server finds is still counted. A row that was inserted and deleted again must not be there. Rows that are updated together are written by INSERT
// ... ON DUPLICATE KEY UPDATE, which counts 2 for a row that it changes and 1 for one that it makes, or that is as it should become already: there either
// is a conflict, which the caller finds by going through the changes one by one.
type Merger struct {
	sets  []*mergeSet
	spare []*mergeSet
	key   []byte
	bytes int // of the text, about
}

// mergeSet holds the rows of one table of the target.
type mergeSet struct {
	table *Table
	keys  map[string]int // index in rows
	rows  []merged
}

// merged is what the changes of a row come to.
type merged struct {
	op            event.Op
	gone          bool // it was inserted and deleted again: after is what it was
	whole         bool // the after image gives each column
	before, after event.Row
}

// wideMost is how many bytes of text that an update leaves as it is are written once more, so that the update is one of many in a statement.
const wideMost = 512

// Add takes a change, whose images must stay valid until the next Write or Reset, and reports that it did. False says that the caller writes it: the table is
// not one whose rows may be merged, or the change is not one that others can be merged with. What was taken of that table is written to w then, and so
// it is where the change must not be merged with what was taken.
func (m *Merger) Add(w *Writer, t *Table, op event.Op, before, after event.Row) (bool, error) {
	s := m.find(t)
	if s != nil && s.table != t { // another version, or another table that goes to the same
		if err := m.part(w, s); err != nil {
			return false, err
		}
	}
	if !t.merge || op != event.Insert && op != event.Update && op != event.Delete {
		return false, nil
	}
	if s == nil {
		s = m.set(t)
	}
	s.table = t
	if m.take(s, op, before, after) {
		return true, nil
	}
	if len(s.rows) == 0 {
		return false, nil
	}
	if err := m.part(w, s); err != nil {
		return false, err
	}
	return m.take(s, op, before, after), nil
}

// take adds a change to those of its row, where it can be.
func (m *Merger) take(s *mergeSet, op event.Op, before, after event.Row) bool {
	t, image := s.table, before
	if op == event.Insert {
		image = after
	}
	var err error
	if m.key, err = t.appendKey(m.key[:0], image); err != nil {
		return false // of which the caller hears again
	}
	whole := false
	if op == event.Update {
		for _, i := range t.key {
			if c := after.Cells[i]; c.Kind() != event.Absent && !format.SameCell(before, before.Cells[i], after, c) {
				return false // it becomes another row
			}
		}
		whole = t.whole(after)
	}
	n, known := s.keys[string(m.key)]
	if !known {
		s.keys[string(m.key)] = len(s.rows)
		s.rows = append(s.rows, merged{op: op, whole: whole, before: before, after: after})
		m.bytes += t.width(before, after)
		return true
	}
	switch r := &s.rows[n]; {
	case r.gone || r.op == event.Delete || op == event.Insert:
		return false
	case op == event.Delete && r.op == event.Insert:
		r.gone = true
	case op == event.Delete:
		r.op, r.after = event.Delete, event.Row{}
	case !whole:
		return false
	default:
		r.after, r.whole = after, r.whole || r.op == event.Update
		m.bytes += t.width(event.Row{}, after)
	}
	return true
}

// whole reports that an image gives all columns that a statement may write.
func (t *Table) whole(after event.Row) bool {
	for i, c := range after.Cells {
		if t.cols[i].write && (c.Kind() == event.Absent || c.Kind() == event.JSONDiff) {
			return false
		}
	}
	return true
}

// width is about how much text a change makes.
func (t *Table) width(before, after event.Row) int {
	image := after
	if image.IsZero() {
		image = before
	}
	n := 0
	for _, c := range image.Cells {
		n += 8
		if c.Kind().InArena() {
			n += c.Len()
		}
	}
	return n
}

// find gives the set of a table's name, nil where there is none.
func (m *Merger) find(t *Table) *mergeSet {
	for _, s := range m.sets {
		if s.table == t || bytes.Equal(s.table.name, t.name) {
			return s
		}
	}
	return nil
}

// set makes one.
func (m *Merger) set(t *Table) *mergeSet {
	var s *mergeSet
	if n := len(m.spare); n > 0 {
		s, m.spare = m.spare[n-1], m.spare[:n-1]
	} else {
		s = &mergeSet{keys: map[string]int{}}
	}
	s.table = t
	m.sets = append(m.sets, s)
	return s
}

// Bytes is about how long the text will be of what was taken.
func (m *Merger) Bytes() int { return m.bytes }

// Reset forgets what was taken.
func (m *Merger) Reset() {
	for _, s := range m.sets {
		s.reset()
	}
	m.spare = append(m.spare, m.sets...)
	m.sets, m.bytes = m.sets[:0], 0
}

func (s *mergeSet) reset() {
	clear(s.keys)
	clear(s.rows)
	s.rows = s.rows[:0]
}

// Write writes what was taken, and forgets it. The statements do not say which changes they carry out.
func (m *Merger) Write(w *Writer) error {
	defer m.Reset()
	for _, s := range m.sets {
		if err := s.write(w); err != nil {
			return err
		}
	}
	return nil
}

// Part writes what was taken of one table, for a change that comes behind it and is not merged.
func (m *Merger) Part(w *Writer, t *Table) error {
	if s := m.find(t); s != nil {
		return m.part(w, s)
	}
	return nil
}

func (m *Merger) part(w *Writer, s *mergeSet) error {
	defer s.reset()
	return s.write(w)
}

func (s *mergeSet) write(w *Writer) error {
	t := s.table
	w.open = nil
	for i := range s.rows {
		if r := &s.rows[i]; r.op == event.Delete {
			if err := w.Change(t, event.Delete, r.before, event.Row{}); err != nil {
				return err
			}
		}
	}
	w.open = nil
	for i := range s.rows {
		if r := &s.rows[i]; r.gone {
			if err := w.Change(t, event.Delete, r.after, event.Row{}); err != nil {
				return err
			}
			w.list[len(w.list)-1].Rows = 0
		}
	}
	together := s.rows[:0:0]
	for i := range s.rows {
		r := &s.rows[i]
		switch {
		case r.op != event.Update:
		case r.whole && t.changes(r):
			together = append(together, *r)
		default:
			if err := w.Change(t, event.Update, r.before, r.after); err != nil {
				return err
			}
		}
	}
	if len(together) == 1 {
		if err := w.Change(t, event.Update, together[0].before, together[0].after); err != nil {
			return err
		}
		together = nil
	}
	for len(together) > 0 {
		n, err := w.upsert(t, together)
		if err != nil {
			return err
		}
		together = together[n:]
	}
	for i := range s.rows {
		if r := &s.rows[i]; r.op == event.Insert && !r.gone {
			if err := w.Change(t, event.Insert, event.Row{}, r.after); err != nil {
				return err
			}
		}
	}
	return nil
}

// changes reports that an update changes a column, and leaves no long ones as they are.
func (t *Table) changes(r *merged) bool {
	changes, same := false, 0
	for i, c := range r.after.Cells {
		switch {
		case !t.cols[i].write:
		case !format.SameCell(r.before, r.before.Cells[i], r.after, c):
			changes = true
		case c.Kind().InArena():
			same += c.Len()
		}
	}
	return changes && same <= wideMost
}

// upsert adds a statement that updates rows by their key, as many as one takes, and says how many.
func (w *Writer) upsert(t *Table, rows []merged) (n int, err error) {
	w.open = nil
	from := len(w.buf)
	if from > 0 {
		w.buf = append(w.buf, ';')
	}
	s := Statement{From: len(w.buf), First: w.changes}
	verb := w.Verb
	w.Verb = Insert
	err = w.insert(t, rows[0].after)
	w.Verb = verb
	for n = 1; err == nil && n < len(rows) && len(w.buf)-s.From < w.most(); n++ {
		w.buf, err = t.appendRow(append(w.buf, ','), rows[n].after)
	}
	if err != nil {
		w.buf = w.buf[:from]
		return 0, err
	}
	w.buf = append(w.buf, t.updates...)
	w.changes += n
	s.To, s.Last, s.Rows, s.Counted = len(w.buf), w.changes, 2*n, true
	w.list = append(w.list, s)
	return n, nil
}

// newRows is how the rows of an INSERT are called.
const newRows = "made"

// onDuplicate is how an insert of t ends that updates the row which has the key. With alias the rows have a name, which MySQL wants from 8.0.20 on.
func (t *Table) onDuplicate(alias bool) []byte {
	dst := []byte(" ON DUPLICATE KEY UPDATE ")
	if alias {
		dst = []byte(" AS " + newRows + " ON DUPLICATE KEY UPDATE ")
	}
	for i := range t.cols {
		if !t.cols[i].write || t.isKey(i) {
			continue
		}
		name := t.cols[i].name
		dst = append(append(dst, name...), '=')
		if alias {
			dst = append(append(append(dst, newRows+"."...), name...), ',')
		} else {
			dst = append(append(append(dst, "VALUES("...), name...), "),"...)
		}
	}
	return dst[:len(dst)-1]
}

func (t *Table) isKey(i int) bool {
	for _, k := range t.key {
		if k == i {
			return true
		}
	}
	return false
}
