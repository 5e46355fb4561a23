package target

import (
	"slices"

	"cdc/event"
	"cdc/format"
	"cdc/schemas"
)

// Cascade is a foreign key by which the target itself would change rows of a child along with a table's, and which it was seen to leave undone.
//
// MySQL 9.6 and later carry out foreign keys above the engine, unless innodb_native_foreign_keys is ON, and log what they do. Measured on 9.7.4, beside the
// same server with ON and the same statements:
//
//	parents (id, code), children (parent -> id ON DELETE CASCADE, code -> code ON DELETE SET NULL or CASCADE)
//	DELETE of a parent      once a child was deleted by the first foreign key, those that the second one is for stay as they are
//	parents (code), children (code -> code ON UPDATE CASCADE) with the children 'b' and 'B' of the parent 'B'
//	UPDATE of it to 'b'     is not carried out at all, neither of the key nor of other columns, and the server says that it found the row
//
// A source that logs cascades has logged what it did, and what it did is applied without foreign keys. One that does not needs a target that does the same.
type Cascade struct {
	Name    string
	Child   schemas.Name
	deletes bool  // ON DELETE acts
	updates bool  // ON UPDATE acts
	columns []int // of the version, to which it refers
}

// unsafe gives the foreign keys of that kind that refer to the table.
func (p *planner) unsafe() []Cascade {
	if !p.server.SQLForeignKeys {
		return nil
	}
	var out []Cascade
	for _, f := range p.keys {
		if f.Parent != p.name() || !f.acts() {
			continue
		}
		c := Cascade{Name: f.Name, Child: f.Child, deletes: acting(f.OnDelete), updates: acting(f.OnUpdate)}
		for _, name := range f.Referenced {
			if j := p.at.column(name); j >= 0 && p.from[j] >= 0 {
				c.columns = append(c.columns, p.from[j])
			}
		}
		out = append(out, c)
	}
	return out
}

// Unsafe gives a foreign key that the target would have to carry out along with a change, and may not; nil where there is none.
func (p *Plan) Unsafe(op event.Op, before, after event.Row) *Cascade {
	for i := range p.Cascades {
		c := &p.Cascades[i]
		switch {
		case op == event.Delete && c.deletes:
			return c
		case op == event.Update && c.updates && slices.ContainsFunc(c.columns, func(at int) bool {
			return after.Cells[at].Kind() != event.Absent && !format.SameCell(before, before.Cells[at], after, after.Cells[at])
		}):
			return c
		}
	}
	return nil
}
