package event

import "cdc/schemas"

// Builder rewrites the changes of one batch in place: transforms read the batch and say what becomes of each change. It shares the batch's
// cells and arena, so that what is kept is not copied. Use: NewBuilder, then for each change exactly one Next and any number of Keep and Emit
// (none drops the change), then Finish. It is not safe for concurrent use.
type Builder struct {
	b       *Batch
	changes []Change
	first   []int32 // new First of each Txn
	tables  []*schemas.Table
	cur     Change
	sub     uint8
	dead    []DeadLetter
}

// DeadLetter is a change that a transform could not handle, kept aside by policy.
type DeadLetter struct {
	Change Change // still in the batch's cells
	Table  *schemas.Table
	Reason error
}

// NewBuilder starts to rewrite b. scratch is an earlier builder whose memory may be reused, or nil.
func NewBuilder(b *Batch, scratch *Builder) *Builder {
	if scratch == nil {
		scratch = &Builder{}
	}
	*scratch = Builder{b: b, changes: scratch.changes[:0], first: scratch.first[:0], tables: scratch.tables[:0], dead: scratch.dead[:0]}
	return scratch
}

// Next goes on to change i of the batch; changes are visited in order.
func (w *Builder) Next(i int) {
	w.cur = w.b.Changes[i]
	w.sub = 0
	w.begin(w.b.Groups[w.cur.Group].Txn + 1)
}

// begin closes transactions before n.
func (w *Builder) begin(n uint32) {
	for uint32(len(w.first)) < n {
		w.first = append(w.first, int32(len(w.changes)))
	}
}

// Table gives the index of a table version in the rewritten batch.
func (w *Builder) Table(t *schemas.Table) uint16 {
	for i := len(w.tables) - 1; i >= 0; i-- {
		if w.tables[i] == t {
			return uint16(i)
		}
	}
	w.tables = append(w.tables, t)
	return uint16(len(w.tables) - 1)
}

// Keep keeps the current change with its images as they are, as a change of table t, which has as many columns.
func (w *Builder) Keep(t uint16) {
	c := w.cur
	c.Table, c.Sub = t, w.sub
	w.sub++
	w.changes = append(w.changes, c)
}

// Emit adds a change derived from the current one, with images of absent cells for table t to be filled by Set.
func (w *Builder) Emit(t uint16, op Op, before, after bool) {
	c := w.cur
	c.Table, c.Sub, c.Op, c.before, c.after = t, w.sub, op, 0, 0
	w.sub++
	n := len(w.tables[t].Columns)
	image := func() uint32 {
		at := uint32(len(w.b.cells))
		for range n {
			w.b.cells = append(w.b.cells, Cell{})
		}
		return at
	}
	if before {
		c.before = image()
	}
	if after {
		c.after = image()
	}
	w.changes = append(w.changes, c)
}

// SetBefore sets a cell of the before image of the change that Emit added last.
func (w *Builder) SetBefore(column int, c Cell) {
	w.b.cells[w.changes[len(w.changes)-1].before+uint32(column)] = c
}

// SetAfter sets a cell of the after image of the change that Emit added last.
func (w *Builder) SetAfter(column int, c Cell) {
	w.b.cells[w.changes[len(w.changes)-1].after+uint32(column)] = c
}

// Text stores bytes in the arena and gives a cell of them.
func (w *Builder) Text(k Kind, s []byte) Cell {
	t := w.b.AddText(s)
	return ArenaCell(k, int(t.Off), int(t.Len), 0)
}

// Dead sets the current change aside.
func (w *Builder) Dead(reason error) {
	w.dead = append(w.dead, DeadLetter{Change: w.cur, Table: w.b.Tables[w.cur.Table], Reason: reason})
}

// Finish puts the rewritten changes into the batch and gives what was set aside, valid until the batch is released.
func (w *Builder) Finish() []DeadLetter {
	w.begin(uint32(len(w.b.Txns)))
	for i := range w.b.Txns {
		w.b.Txns[i].First = w.first[i]
		if i+1 < len(w.b.Txns) {
			w.b.Txns[i].Last = w.first[i+1]
		} else {
			w.b.Txns[i].Last = int32(len(w.changes))
		}
	}
	w.b.Changes, w.changes = w.changes, w.b.Changes[:0]
	w.b.Tables, w.tables = w.tables, w.b.Tables[:0]
	return w.dead
}
