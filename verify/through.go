package verify

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/schemas"
	"cdc/transform"
)

// RowReader makes cells of rows that a query gives; *snapshot.Rows is one. A session at the source is set so that it reads the same there as for a snapshot.
type RowReader interface {
	// List is what to put behind SELECT, in a query that calls the table t.
	List() string
	// Append adds a row to a batch as one change for each of ops.
	Append(b *event.Batch, table uint16, row [][]byte, ops ...event.Op) error
}

const alias = "t"

// through sends rows of the source through the transforms of the stream, as the stream does, for tables of which the servers cannot say what becomes of a row.
type through struct {
	rows  RowReader
	table *schemas.Table
	steps []transform.Binding
	ops   []event.Op

	mu      *sync.Mutex // of all tables: they share the steps, which have memory of their own, and two goroutines read the source
	pool    event.Pool
	scratch *event.Builder
	failed  error // the first row at which a step fails
	fails   int
}

// row gives the values of columns that the stream makes of a row, as made.text prints them. passes is false where the stream would not carry the row as it is
// now. The values are copies.
func (t *through) row(row [][]byte, columns []column) (values [][]byte, passes bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.pool.Get()
	defer b.Release()
	b.Txns = append(b.Txns, event.Txn{Commit: time.Now().UnixMicro(), Begin: true, End: true})
	b.Groups = append(b.Groups, event.Group{})
	table, _ := b.AddTable(t.table)
	if err := t.rows.Append(b, table, row, t.ops...); err != nil {
		return nil, false, err
	}
	b.Txns[0].Last = int32(len(b.Changes))
	for i := range t.steps {
		if len(b.Changes) == 0 {
			return nil, false, nil
		}
		if err := t.step(&t.steps[i], b); err != nil {
			t.fails++
			if t.failed == nil {
				t.failed = err
			}
			return nil, false, nil // told at the end: the stream stops at such a row, or sets it aside
		}
	}
	if len(b.Changes) < len(t.ops) {
		return nil, false, nil
	}
	after := b.After(0)
	for i := range columns {
		c := &columns[i]
		if !c.made {
			continue
		}
		v, err := c.text(after.Cells[c.out], after)
		if err != nil {
			return nil, false, err
		}
		values = append(values, v)
	}
	return values, true, nil
}

// step runs one step over a batch.
func (t *through) step(g *transform.Binding, b *event.Batch) error {
	if g.Func == nil {
		b.Tables[0] = g.Tables[0]
		return nil
	}
	w := event.NewBuilder(b, t.scratch)
	t.scratch = w
	out := []uint16{w.Table(g.Tables[0])}
	for i := range b.Changes {
		w.Next(i)
		if err := g.Func(b, i, out, w); err != nil {
			return err
		}
	}
	return w.Finish()
}

// errAbsent is of a column that the stream would leave out of a row.
var errAbsent = errors.New("a transform gives a column no value at all")

// comparable reports that what a made column is at the target can be foretold: its type there is that which the transforms gave it.
func (c *column) comparable() bool {
	switch c.form {
	case text:
		return c.src.Type.IsText() && c.dst.Type.IsText()
	case temporal:
		return c.src.Fsp <= c.dst.Fsp
	}
	return true
}

// text gives the value of a made column as plain brings that of the target to; nil is NULL.
func (c *column) text(cell event.Cell, row event.Row) ([]byte, error) {
	switch cell.Kind() {
	case event.Absent:
		return nil, errAbsent
	case event.Null:
		return nil, nil
	}
	col := *c.src
	col.Fsp = c.fsp
	switch k := cell.Kind(); {
	case k == event.Bits, k == event.Year, c.form == ordinal:
		return strconv.AppendUint(nil, cell.Uint64(), 10), nil
	case k == event.Float32:
		return doubleOf(float64(cell.Float32())), nil
	case k == event.Float64:
		return doubleOf(cell.Float64()), nil
	}
	return c.plain(celltext.Text([]byte{}, cell, row, &col)), nil
}

// doubleOf is what plain makes of a double.
func doubleOf(f float64) []byte {
	sign := ""
	if f < 0 {
		sign = "-"
	}
	return []byte(sign + "a" + strconv.FormatFloat(math.Abs(f), 'e', -1, 64))
}

// plain brings a value of a made column, as the target's value expression prints it, to the one text that it has here.
func (c *column) plain(v []byte) []byte {
	if v == nil {
		return nil
	}
	switch c.form {
	case double:
		f, err := strconv.ParseFloat(plainDouble(v), 64)
		if err != nil {
			return bytes.Clone(v)
		}
		return doubleOf(f)
	case digits:
		if c.src.Type == schemas.Decimal {
			if strings.Trim(string(v), "-0.") == "" {
				v = bytes.TrimPrefix(v, []byte("-"))
			}
		}
	case text, raw:
		if c.src.Type == schemas.Char || c.dst.Type == schemas.Char {
			v = bytes.TrimRight(v, " ")
		}
		if c.src.Type == schemas.Binary || c.dst.Type == schemas.Binary {
			v = bytes.TrimRight(v, "\x00")
		}
	}
	return append([]byte{}, v...)
}

// digest is that of a value which plain gave.
func (c *column) digest(v []byte) digest {
	switch {
	case c.form == document:
		return documentDigest(v)
	case v == nil:
		return sha256.Sum256([]byte("\x00NULL"))
	}
	return sha256.Sum256(v)
}

// madeColumns adds the columns that the stream makes to a plan, or says why they are left out.
func (p *plan) madeColumns(dst *schemas.Table, sums bool, compared map[int]bool) {
	for _, m := range p.pair.Made {
		k := dst.Column(m.Name)
		why := m.Why
		switch {
		case k < 0 || dst.Columns[k].Hidden:
			why = "the target has no such column"
		case why == "" && sums:
			why = "the servers cannot make it"
		case why == "":
			c := newColumn(&p.pair.out.Columns[m.out], &dst.Columns[k], false)
			if c.form == raw && plainText(c.src.Type) {
				c.form = text
			}
			c.made, c.out, c.loose = true, m.out, false
			if c.comparable() {
				p.columns = append(p.columns, c)
				compared[k] = true
				continue
			}
			why = "the target has another type"
		}
		if k >= 0 {
			compared[k] = true
		}
		p.leftOut = append(p.leftOut, fmt.Sprintf("%s (%s: %s)", m.Name, m.By, why))
		p.unmade = append(p.unmade, m.Name)
	}
}

// own says that rows travel here, and go through the transforms.
func (p *plan) own() bool { return p.through != nil }

// served are the columns that the servers make digests of.
func (p *plan) served() []column {
	return slices.DeleteFunc(slices.Clone(p.columns), func(c column) bool { return c.made })
}

// madeList is what to select for the made columns: at the target their values, at the source all that the transforms want.
func (p *plan) madeList(target bool) string {
	if !p.own() {
		return ""
	}
	if !target {
		return "," + p.through.rows.List()
	}
	list := ""
	for i := range p.columns {
		if c := &p.columns[i]; c.made {
			list += "," + c.value(true)
		}
	}
	return list
}

// making gives the made values of a row, of which rest is what madeList has selected.
func (p *plan) making(rest [][]byte, target bool) (values [][]byte, passes bool, err error) {
	if !p.own() {
		return nil, true, nil
	}
	if !target {
		return p.through.row(rest, p.columns)
	}
	for i := range p.columns {
		if c := &p.columns[i]; c.made {
			values = append(values, c.plain(rest[len(values)]))
		}
	}
	return values, true, nil
}
