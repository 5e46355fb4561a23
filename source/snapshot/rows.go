package snapshot

import (
	"cdc/event"
	"cdc/schemas"
)

// Alias is what a query must call the table of a Rows.
const Alias = alias

// Rows makes cells of the rows of queries, as a snapshot does: for who compares tables. The session must be one of UTC, with an empty sql_mode or one that
// allows any date, and character_set_results=NULL.
type Rows struct{ r *reader }

// NewRows prepares for a version of a table. A fault with code BinlogCharset says that one of its character sets is not known.
func NewRows(t *schemas.Table) (*Rows, error) {
	r, err := newReader(t, nil)
	return &Rows{r}, err
}

// List is what to put behind SELECT, in a query whose table has the name Alias.
func (r *Rows) List() string { return r.r.selects }

// Append adds a row of such a query to a batch, which has its transaction, its group and the table: as one change for each of ops, all with the one image. A
// delete has it before, an update before and after, the others after.
func (r *Rows) Append(b *event.Batch, table uint16, row [][]byte, ops ...event.Op) error {
	at, err := r.r.image(b, row)
	if err != nil {
		return err
	}
	for i, op := range ops {
		before, after := uint32(0), at
		switch op {
		case event.Delete:
			before, after = at, 0
		case event.Update:
			before = at
		}
		b.AddChange(op, table, uint32(i), before, after)
	}
	return nil
}
