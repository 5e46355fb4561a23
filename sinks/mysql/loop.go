package mysql

import (
	"slices"
	"strings"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/mysql/schedule"
)

// strip takes out of a batch what is not to be applied of its i-th transaction: all of one that the target has or that began there, and changes of
// tables of ours.
//
// A transaction that cdc applied at the source, in the way of tables, begins with its row of applied: that says through which servers it came. Where
// the target is among them it comes back to where it was, and ends here. Otherwise the servers go along with it. A DDL statement is announced by a row of
// statements before it: the next one of its kind and tables is that one.
func (e *engine) strip(b *event.Batch, i int, it *item) {
	t := &b.Txns[i]
	if t.Begin {
		if e.looping = e.books.has(t); e.looping {
			e.count(func(s *Status) { s.Present++ })
		}
	}
	for !e.looping && t.First < t.Last {
		c := &b.Changes[t.First]
		table := b.Tables[c.Table]
		if table.Database != e.opt.Database || !ours(table.Name) {
			break
		}
		switch row := b.After(int(t.First)); {
		case row.IsZero():
		case table.Name == appliedTable:
			e.from(it, i, len(b.Txns), column(table, row, "came"))
		case table.Name == statementsTable:
			if len(e.foretold) == mostForetold {
				e.foretold = e.foretold[:copy(e.foretold, e.foretold[1:])] // one that has failed there
			}
			e.foretold = append(e.foretold, foretold{
				came: column(table, row, "came"), kind: column(table, row, "kind"), tables: column(table, row, "tables"),
			})
		}
		t.First++
	}
	if b.DDL != nil && !e.looping {
		is := foretold{kind: b.DDL.Kind.String(), tables: names(b.DDL)}
		if at := slices.IndexFunc(e.foretold, func(f foretold) bool { return f.kind == is.kind && f.tables == is.tables }); at >= 0 {
			e.from(it, i, len(b.Txns), e.foretold[at].came)
			e.foretold = slices.Delete(e.foretold, at, at+1)
		}
	}
	if e.looping || b.DDL != nil && e.internal(b.DDL) {
		t.First = t.Last
		b.DDL = nil // which is alone with its transaction
	}
}

const mostForetold = 1000

// foretold is a DDL statement that cdc has announced at the source before it carried it out there.
type foretold struct{ came, kind, tables string }

// names lists the tables of a statement, as it is announced.
func names(d *schemas.DDL) string {
	list := make([]string, len(d.Names))
	for i, n := range d.Names {
		list[i] = n.String()
	}
	return strings.Join(list, ",")
}

// from notes through which servers a transaction came: it ends here where the target is one of them.
func (e *engine) from(it *item, i, txns int, came string) {
	e.looping = strings.Contains(" "+came+" ", " "+e.books.self+" ")
	if it.came == nil {
		it.came = make([]string, txns)
	}
	it.came[i] = came
}

// sameWay reports that a transaction came through the same servers as those of a unit: committed together they are one transaction to whoever reads the
// target's binlog, which a loop of servers ends for all of them or for none.
func sameWay(u *schedule.Unit, p schedule.Part) bool {
	if !changes(&p) {
		return true
	}
	for i := len(u.Parts) - 1; i >= 0; i-- {
		if q := &u.Parts[i]; changes(q) {
			return q.Owner.(*item).via(q.Txn) == p.Owner.(*item).via(p.Txn) // as Take gave it
		}
	}
	return true
}

// internal reports a statement that is about tables of ours, or about their database.
func (e *engine) internal(d *schemas.DDL) bool {
	if d.Original != nil {
		d = d.Original
	}
	for _, n := range d.Names {
		if n.Database != e.opt.Database || n.Table != "" && !ours(n.Table) {
			return false
		}
	}
	return len(d.Names) > 0
}

// Tables gives the sink's own tables, by its configuration, that a stream reads besides those of the user's choice, so that transactions which cdc
// applied at the source are known for what they are.
func Tables(c *Config) []schemas.Name {
	database := c.withDefaults().Database
	return []schemas.Name{{Database: database, Table: appliedTable}, {Database: database, Table: statementsTable}}
}

const (
	guardsTable  = "guards"
	streamsTable = "streams"
	appliedTable = "applied"
)

func ours(name string) bool {
	return name == guardsTable || name == streamsTable || name == appliedTable || name == statementsTable
}

// column gives the text of a column, "" where there is none.
func column(t *schemas.Table, row event.Row, name string) string {
	for i := range t.Columns {
		if t.Columns[i].Name == name && i < len(row.Cells) {
			switch c := row.Cells[i]; c.Kind() {
			case event.String, event.Bytes:
				return string(row.Bytes(c))
			}
		}
	}
	return ""
}
