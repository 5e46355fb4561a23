package event

import (
	"math"

	"cdc/fault"
	"cdc/schemas"
)

// Builder rewrites the changes of one batch in place: transforms read the batch and say what becomes of each change. It shares the batch's
// cells and arena, so that what is kept is not copied. Use: NewBuilder, then for each change exactly one Next and any number of Keep, Emit and
// Derive (none drops the change), then Finish. It is not safe for concurrent use.
type Builder struct {
	b       *Batch
	changes []Change
	first   []int32 // new First of each Txn
	tables  []*schemas.Table
	cur     Change
	mark    int // changes before those of the current one
	sub     int
	err     error
	dead    []DeadLetter
}

// DeadLetter is a change that a transform could not handle, kept aside by policy. Columns whose value no sink would have seen are Absent in its
// images, and named in Masked: whoever writes it cannot show too much.
type DeadLetter struct {
	Change Change         // still in the batch's cells; its Table means nothing, see the field below
	Table  *schemas.Table // as it was at the step that failed
	Step   string         // which step that was, as in transforms[2].filter
	Reason error          // without values
	Masked []string       // names of columns that are left out or were masked before
}

// NewBuilder starts to rewrite b. scratch is an earlier builder whose memory may be reused, or nil.
func NewBuilder(b *Batch, scratch *Builder) *Builder {
	if scratch == nil {
		scratch = &Builder{}
	}
	*scratch = Builder{b: b, changes: scratch.changes[:0], first: scratch.first[:0], tables: scratch.tables[:0], dead: scratch.dead[:0]}
	return scratch
}

// Next goes on to change i of the batch; changes are visited in order. The records of one row, also those that an earlier transform made of it,
// are counted in one sequence.
func (w *Builder) Next(i int) {
	c := w.b.Changes[i]
	txn := w.b.Groups[c.Group].Txn
	if i == 0 || c.Row != w.cur.Row || w.b.Groups[w.cur.Group].Txn != txn {
		w.sub = 0
	}
	w.cur = c
	w.mark = len(w.changes)
	w.begin(txn + 1)
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

// add appends a change derived from the current one.
func (w *Builder) add(c Change, t uint16) {
	if w.sub > math.MaxUint8 {
		w.err = fault.New(fault.TransformError, "more than %d records of one row", math.MaxUint8+1)
		return
	}
	c.Table, c.Sub = t, uint8(w.sub)
	w.sub++
	w.changes = append(w.changes, c)
}

// Keep keeps the current change with its images as they are, as a change of table t, which has as many columns.
func (w *Builder) Keep(t uint16) { w.add(w.cur, t) }

// Emit adds a change derived from the current one, with images of absent cells for table t to be filled by Set.
func (w *Builder) Emit(t uint16, op Op, before, after bool) {
	c := w.cur
	c.Op, c.before, c.after = op, 0, 0
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
	w.add(c, t)
}

// Derive adds the current change as one of table t, with images whose column i is column from[i] of the present ones, or absent where that is
// negative. The images are new: SetBefore and SetAfter change them and nothing else.
func (w *Builder) Derive(t uint16, from []int32) {
	c := w.cur
	c.before, c.after = w.derive(c.before, from), w.derive(c.after, from)
	w.add(c, t)
}

func (w *Builder) derive(at uint32, from []int32) uint32 {
	if at == 0 {
		return 0
	}
	cells := w.b.cells
	to := uint32(len(cells))
	for _, f := range from {
		if f < 0 {
			cells = append(cells, Cell{})
			continue
		}
		cells = append(cells, cells[at+uint32(f)])
	}
	w.b.cells = cells
	return to
}

// SetBefore sets a cell of the before image of the change that Emit or Derive added last.
func (w *Builder) SetBefore(column int, c Cell) {
	w.b.cells[w.changes[len(w.changes)-1].before+uint32(column)] = c
}

// SetAfter sets a cell of the after image of the change that Emit or Derive added last.
func (w *Builder) SetAfter(column int, c Cell) {
	w.b.cells[w.changes[len(w.changes)-1].after+uint32(column)] = c
}

// Text stores bytes in the arena and gives a cell of them.
func (w *Builder) Text(k Kind, s []byte) Cell {
	t := w.b.AddText(s)
	return ArenaCell(k, int(t.Off), int(t.Len), 0)
}

// Made is how many records were made of the current change.
func (w *Builder) Made() int { return len(w.changes) - w.mark }

// Undo takes back what was made of the current change.
func (w *Builder) Undo() {
	w.sub -= len(w.changes) - w.mark
	w.changes = w.changes[:w.mark]
}

// Dead sets the current change aside, and takes back what was made of it. d says why; hidden, which may be nil, says which columns of the
// table are to be left out of its images.
func (w *Builder) Dead(d DeadLetter, hidden []bool) {
	w.Undo()
	c := w.cur
	d.Table = w.b.Tables[c.Table]
	c.before, c.after = w.hide(c.before, hidden, len(d.Table.Columns)), w.hide(c.after, hidden, len(d.Table.Columns))
	d.Change = c
	w.dead = append(w.dead, d)
}

func (w *Builder) hide(at uint32, hidden []bool, n int) uint32 {
	if at == 0 {
		return 0
	}
	cells := w.b.cells
	to := uint32(len(cells))
	for i := range n {
		c := cells[at+uint32(i)]
		if i < len(hidden) && hidden[i] {
			c = Cell{}
		}
		cells = append(cells, c)
	}
	w.b.cells = cells
	return to
}

// Finish puts the rewritten changes into the batch, and what was set aside behind its Dead.
func (w *Builder) Finish() error {
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
	w.b.Dead = append(w.b.Dead, w.dead...)
	clear(w.dead)
	w.dead = w.dead[:0]
	return w.err
}

// Letter gives a batch that holds dead letter i of b and nothing else, so that an encoder can write its change. It shares the memory of b, is
// valid as long as b, and is not released.
func (b *Batch) Letter(i int) *Batch {
	d := &b.Dead[i]
	c := d.Change
	c.Table = 0
	return &Batch{
		Seq: b.Seq, Tables: []*schemas.Table{d.Table}, Txns: b.Txns, Groups: b.Groups, Changes: []Change{c}, Received: b.Received,
		cells: b.cells, arena: b.arena,
	}
}

// DeadBefore is the row before the change of a dead letter of this batch; zero where there is none.
func (b *Batch) DeadBefore(d *DeadLetter) Row { return b.image(d.Change.before, len(d.Table.Columns)) }

// DeadAfter is the row after the change of a dead letter of this batch; zero where there is none.
func (b *Batch) DeadAfter(d *DeadLetter) Row { return b.image(d.Change.after, len(d.Table.Columns)) }
