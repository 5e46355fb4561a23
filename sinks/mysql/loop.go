package mysql

import (
	"slices"
	"strings"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/mysql/schedule"
)

// strip takes out of a batch what is not to be applied of its i-th transaction: all of one that the target has or that began there, and changes of
// tables of ours.
//
// A transaction that cdc applied at the source, in the way of tables, begins with its row of applied: that says through which servers it came. Where
// the target is among them it comes back to where it was, and ends here. Otherwise the servers go along with it. A DDL statement is announced by a row of
// statements before it: see foretold.
func (e *engine) strip(b *event.Batch, i int, it *item) {
	t := &b.Txns[i]
	if t.Begin {
		if e.looping = e.books.has(t) || e.books.hasPiece(b); e.looping {
			e.count(func(s *Status) { s.Present++ })
		}
	}
	for t.First < t.Last {
		c := &b.Changes[t.First]
		table := b.Tables[c.Table]
		if table.Database != e.opt.Database || !ours(table.Name) {
			break
		}
		switch row := b.After(int(t.First)); {
		case table.Name == statementsTable: // also where the target has the transaction: the statement may be one that it lacks
			before := b.Before(int(t.First))
			switch c.Op {
			case event.Insert:
				e.foretold.add(foretold{
					Stream: column(table, row, "stream"), Name: column(table, row, "name"), Came: column(table, row, "came"),
					Kind: column(table, row, "kind"), Tables: column(table, row, "tables"), Session: number(table, row, "session"),
				})
			case event.Update: // whose image may have no more than the session
				e.foretold.again(column(table, before, "stream"), column(table, before, "name"), number(table, row, "session"))
			case event.Delete:
				e.foretold.drop(column(table, before, "stream"), column(table, before, "name"))
			}
			it.foretold = slices.Clone(e.foretold)
			it.foretells = true
		case !row.IsZero() && table.Name == appliedTable && !e.looping:
			e.from(it, i, len(b.Txns), column(table, row, "came"))
		}
		t.First++
	}
	if b.DDL != nil && !e.looping {
		if f := e.foretold.find(b.DDL, t.Thread); f != nil {
			e.from(it, i, len(b.Txns), f.Came)
		}
	}
	if began := t.GTID.UUID; t.Begin && !e.looping && !e.books.gtid && !began.IsZero() && !e.books.from.IsZero() && began != e.books.from {
		e.abroad(it, i, len(b.Txns), began)
	}
	if e.looping || b.DDL != nil && e.internal(b.DDL) {
		t.First = t.Last
		b.DDL = nil // which is alone with its transaction
	}
}

// from notes through which servers a transaction came: it ends here where the target is one of them.
func (e *engine) from(it *item, i, txns int, came string) {
	e.looping = !e.opt.Restored && strings.Contains(" "+came+" ", " "+e.books.self+" ")
	if it.came == nil {
		it.came = make([]string, txns)
	}
	it.came[i] = came
}

// abroad notes that a transaction has the GTID of another server than the one that it is read from: it was applied there under that, by cdc or by a replica.
// Where the target is that server has told already.
func (e *engine) abroad(it *item, i, txns int, began gtid.UUID) {
	if began != e.began.uuid {
		e.began.uuid, e.began.name = began, began.String()
	}
	came := it.via(i)
	if came != "" {
		came += " "
	}
	e.from(it, i, txns, came+e.began.name)
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
	return name == guardsTable || name == streamsTable || name == appliedTable || name == statementsTable || name == piecesTable || name == objectsTable
}

// number gives the value of a column, 0 where there is none.
func number(t *schemas.Table, row event.Row, name string) uint64 {
	for i := range t.Columns {
		if t.Columns[i].Name == name && i < len(row.Cells) {
			switch c := row.Cells[i]; c.Kind() {
			case event.Uint:
				return c.Uint64()
			case event.Int:
				return uint64(c.Int64())
			}
		}
	}
	return 0
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
