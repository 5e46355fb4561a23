package flashback

import (
	"encoding/binary"
	"slices"
	"time"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// DefaultNetMemory is how much memory the images of a net effect may take.
const DefaultNetMemory = 256 << 20

// net gathers what became of each row, by its key: what it was before the first of the chosen changes, and what it is behind the last. One statement for
// each row then takes all of them back.
//
// The chain has to be whole: what a change found in the row must be what the chosen change before it has left. Otherwise somebody else has changed the row
// in between, and the one statement would take that back too, without a word.
//
// A change of the key is the end of one row and the beginning of another.
type net struct {
	most  int64
	loose bool // some of the changes ran without a check of foreign keys
	rows  map[string]*netRow
	album event.Album
	key   []byte
	seq   uint64
}

// netRow is what became of a row. before is nil where it was not there, after where it is gone.
type netRow struct {
	t             *schemas.Table
	at            *table
	before, after []event.Cell
	seq           uint64 // of its last change
}

func newNet(most int64) *net {
	if most <= 0 {
		most = DefaultNetMemory
	}
	return &net{most: most, rows: map[string]*netRow{}}
}

// change takes a change in. Its images have all columns.
func (n *net) change(t *schemas.Table, at *table, op event.Op, before, after event.Row) error {
	keys := format.KeyColumns(t)
	if keys == nil {
		return fault.New(fault.RecoveryTable, "the table has no key, by which the changes of a row could be put together").Hint("leave --net out, or the table by --tables")
	}
	for _, r := range [2]event.Row{before, after} {
		for i, c := range r.Cells {
			if c.Kind() == event.Absent || c.Kind() == event.JSONDiff {
				return fault.New(fault.RecoveryImage, "column %s is not in the image as a whole, so that changes cannot be put together", t.Columns[i].Name).Hint("leave --net out")
			}
		}
	}
	if op == event.Update && !format.Rekeyed(before, after, keys) {
		return n.step(t, at, keys, before, before, after)
	}
	if !before.IsZero() {
		if err := n.step(t, at, keys, before, before, event.Row{}); err != nil {
			return err
		}
	}
	if !after.IsZero() {
		return n.step(t, at, keys, after, event.Row{}, after)
	}
	return nil
}

// step makes a row what it is after, if it is what it was before. named is one of them that is there.
func (n *net) step(t *schemas.Table, at *table, keys []int, named, before, after event.Row) error {
	n.key = append(n.key[:0], t.FullName()...)
	for _, k := range keys {
		n.key = append(n.key, 0, 0, 0, 0)
		from := len(n.key)
		n.key = celltext.Text(n.key, named.Cells[k], named, &t.Columns[k])
		binary.BigEndian.PutUint32(n.key[from-4:], uint32(len(n.key)-from))
	}
	n.seq++
	row := n.rows[string(n.key)]
	if row == nil {
		row = &netRow{t: t, at: at, before: n.keep(before)}
		n.rows[string(n.key)] = row
	} else {
		if row.at != at && !alike(row.t, t) {
			return fault.New(fault.RecoveryDDL, "the table was changed by a statement between changes of one row").Hint("leave --net out")
		}
		found := n.keep(before)
		same := n.same(row.after, found)
		if found != nil {
			n.album.Drop(found)
		}
		if !same {
			return fault.New(fault.RecoveryConflict, "the row was changed in between by something that was not chosen, which one statement for all its changes would take back too").
				Hint("choose that as well, or leave --net out")
		}
	}
	row.after, row.seq = n.keep(after), n.seq
	if row.before == nil && row.after == nil {
		delete(n.rows, string(n.key))
	}
	if n.album.Size() > n.most {
		return fault.New(fault.RecoverySpace, "the rows take more than %d MiB of memory", n.most>>20).Hint("choose fewer changes, or leave --net out, which needs no memory for rows")
	}
	return nil
}

// alike reports that the images of one version of a table are images of the other.
func alike(a, b *schemas.Table) bool {
	return slices.EqualFunc(a.Columns, b.Columns, func(x, y schemas.Column) bool {
		return x.Name == y.Name && x.Type == y.Type && x.Length == y.Length && x.Unsigned == y.Unsigned && x.Charset == y.Charset && slices.Equal(x.Members, y.Members)
	})
}

func (n *net) keep(r event.Row) []event.Cell {
	if r.IsZero() {
		return nil
	}
	return n.album.Keep(r)
}

func (n *net) same(x, y []event.Cell) bool {
	if (x == nil) != (y == nil) {
		return false
	}
	a, b := n.album.Row(x), n.album.Row(y)
	for i := range x {
		if !format.SameCell(a, x[i], b, y[i]) {
			return false
		}
	}
	return true
}

// writeNet writes what undoes the net effect into the temporary file, as one transaction: on the way back rows are first taken away, then changed, then put back,
// each in the reverse order of their last changes, so that keys are free when they are needed.
func (c *collector) writeNet() error {
	if len(c.net.rows) == 0 {
		return nil
	}
	rows := make([]*netRow, 0, len(c.net.rows))
	for _, r := range c.net.rows {
		rows = append(rows, r)
	}
	phase := func(r *netRow) int {
		switch {
		case r.after == nil:
			return 0
		case r.before != nil:
			return 1
		}
		return 2
	}
	slices.SortFunc(rows, func(a, b *netRow) int {
		if p := phase(a) - phase(b); p != 0 {
			return p
		}
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	if err := c.u.spill.add([]byte{recBegin}); err != nil {
		return err
	}
	for _, r := range rows {
		op := [...]event.Op{event.Delete, event.Update, event.Insert}[phase(r)]
		wrote, err := c.statement(r.at, op, c.net.album.Row(r.before), c.net.album.Row(r.after))
		if err != nil {
			return err
		}
		if !wrote {
			continue
		}
		c.rows++
		if err := c.u.spill.add(c.rec); err != nil {
			return err
		}
	}
	checks := byte('1')
	if c.o.NoForeignKeys || c.net.loose {
		checks = '0'
	}
	if err := c.u.spill.add([]byte{recChecks, checks}); err != nil {
		return err
	}
	rec := append(c.rec[:0], recTxn)
	rec = c.u.Until.AppendFormat(rec, "2006-01-02 15:04:05.000000")
	c.rec = append(rec, " net effect of the chosen transactions since "...)
	c.rec = c.u.From.AppendFormat(c.rec, time.DateTime)
	return c.u.spill.add(c.rec)
}
