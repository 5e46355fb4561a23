package mysql

import (
	"strings"

	"cdc/event"
	"cdc/schemas"
)

// strip takes out of a batch what is not to be applied of its i-th transaction: all of one that the target has or that began there, and changes of
// tables of ours.
//
// A transaction that cdc applied at the source, in the way of tables, begins with its row of applied: that says through which servers it came. Where
// the target is among them it comes back to where it was, and ends here. Otherwise the servers go along with it.
func (e *engine) strip(b *event.Batch, i int, it *item) {
	t := &b.Txns[i]
	if t.Begin {
		e.looping = e.books.has(t)
	}
	for !e.looping && t.First < t.Last {
		c := &b.Changes[t.First]
		table := b.Tables[c.Table]
		if table.Database != e.opt.Database || !ours(table.Name) {
			break
		}
		if table.Name == appliedTable && c.Op == event.Insert {
			came := column(table, b.After(int(t.First)), "came")
			e.looping = strings.Contains(" "+came+" ", " "+e.books.self+" ")
			if it.came == nil {
				it.came = make([]string, len(b.Txns))
			}
			it.came[i] = came
		}
		t.First++
	}
	if e.looping {
		t.First = t.Last
		b.DDL = nil // which is alone with its transaction
	}
}

const (
	guardsTable  = "guards"
	streamsTable = "streams"
	appliedTable = "applied"
)

func ours(name string) bool {
	return name == guardsTable || name == streamsTable || name == appliedTable
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
