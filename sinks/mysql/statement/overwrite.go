package statement

import (
	"cdc/event"
	"cdc/format"
)

// Overwrite adds a change of a row of t so that it does not mind what is there: an insert takes the place of whatever rows have one of its unique
// keys, an update makes the row where it is missing, a delete of nothing is none. No statement of it counts rows. A table without a key gets plain
// statements, and an update whose after image is not whole (MINIMAL images, partial JSON) changes the row only where it is there.
func (w *Writer) Overwrite(t *Table, op event.Op, before, after event.Row) error {
	n := len(w.list)
	defer func() {
		for i := max(n-1, 0); i < len(w.list); i++ {
			w.list[i].Rows = -1
		}
	}()
	if t.key == nil {
		w.open = nil
		return w.Change(t, op, before, after)
	}
	verb := w.Verb
	w.Verb = Replace
	defer func() { w.Verb = verb }()
	if op != event.Update {
		return w.Change(t, op, before, after)
	}
	for i, c := range after.Cells {
		if t.cols[i].write && (c.Kind() == event.Absent || c.Kind() == event.JSONDiff) {
			return w.Change(t, op, before, after)
		}
	}
	for _, i := range t.key {
		if !format.SameCell(before, before.Cells[i], after, after.Cells[i]) {
			if err := w.Change(t, event.Delete, before, event.Row{}); err != nil {
				return err
			}
			w.changes-- // the two are one change
			w.open = nil
			break
		}
	}
	return w.Change(t, event.Insert, event.Row{}, after)
}
