package pipeline

import (
	"slices"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/transform"
)

// chain runs the transforms of a stream, one after the other over whole batches.
type chain struct {
	steps  []*binder
	hides  transform.Hidden
	masked map[*schemas.Table][]bool // columns of derived tables that hold masked values
	bound  int                       // bindings there are
	spare  []schemas.Name            // tables that no step touches

	filtered, dead uint64 // changes that were dropped, and set aside
}

// maxBound is how many bindings are kept. A table version that was altered or dropped never comes again, so they are all thrown away now and then.
const maxBound = 8192

func newChain(steps []transform.Step) *chain {
	c := &chain{masked: map[*schemas.Table][]bool{}}
	for _, s := range steps {
		c.steps = append(c.steps, &binder{step: s, tables: map[*schemas.Table]*binding{}})
		if h, ok := s.Transform.(transform.Hider); ok {
			c.hides |= h.Hides()
		}
	}
	return c
}

// apply transforms a batch in place.
func (c *chain) apply(b *event.Batch, scratch *event.Builder) (*event.Builder, error) {
	if c.hides != 0 {
		for i := range b.Groups {
			b.Groups[i].Query = event.Text{} // one statement may touch many tables, so that no table's is safe
		}
	}
	if b.DDL != nil {
		if c.bound > maxBound {
			c.forget()
		}
		d, err := c.statement(b.DDL)
		if err != nil {
			return scratch, at(err, &b.Txns[0], "")
		}
		b.DDL = d
	}
	for i := range c.steps {
		if len(b.Changes) == 0 {
			break
		}
		var err error
		if scratch, err = c.run(i, b, scratch); err != nil {
			return scratch, err
		}
	}
	return scratch, nil
}

// forget drops all bindings.
func (c *chain) forget() {
	for _, d := range c.steps {
		clear(d.tables)
	}
	clear(c.masked)
	c.bound = 0
}

// binder is one step and what it is bound to.
type binder struct {
	step   transform.Step
	tables map[*schemas.Table]*binding
	index  []*binding // of the present batch, by table
	out    []uint16   // indexes of the tables of all bindings
	start  []int      // where those of a binding begin in out
}

type binding struct {
	transform.Binding
	hidden []bool   // what a dead letter of this step must not show
	names  []string // the columns of it, and those that were masked before
	looked bool     // both are known
}

// bind gives what step i does with a table.
func (c *chain) bind(i int, t *schemas.Table) (*binding, error) {
	d := c.steps[i]
	if g := d.tables[t]; g != nil {
		return g, nil
	}
	b := transform.Binding{Tables: []*schemas.Table{t}}
	if !slices.Contains(c.spare, schemas.Name{Database: t.Database, Table: t.Name}) {
		var err error
		if b, err = d.step.Transform.Bind(t); err != nil {
			return nil, err
		}
	}
	g := &binding{Binding: b}
	d.tables[t] = g
	c.bound++
	if was := c.masked[t]; was != nil || len(b.Masked) > 0 {
		for k, out := range b.Tables {
			if out == t {
				continue
			}
			now := make([]bool, len(out.Columns))
			for j := range now {
				from := j
				if k == 0 && b.From != nil {
					from = int(b.From[j])
				}
				now[j] = from >= 0 && from < len(was) && was[from]
			}
			for _, name := range b.Masked {
				if j := out.Column(name); j >= 0 {
					now[j] = true
				}
			}
			c.masked[out] = now
		}
	}
	return g, nil
}

// run runs one step over a batch.
func (c *chain) run(i int, b *event.Batch, scratch *event.Builder) (*event.Builder, error) {
	d := c.steps[i]
	d.index = d.index[:0]
	work := false
	for _, t := range b.Tables {
		g, err := c.bind(i, t)
		if err != nil {
			return scratch, at(err, &b.Txns[0], t.FullName())
		}
		work = work || g.Func != nil
		d.index = append(d.index, g)
	}
	if !work { // names at most: nothing per row
		for k, g := range d.index {
			b.Tables[k] = g.Tables[0]
		}
		return scratch, nil
	}
	w := event.NewBuilder(b, scratch)
	d.out, d.start = d.out[:0], d.start[:0]
	for _, g := range d.index {
		d.start = append(d.start, len(d.out))
		for _, t := range g.Tables {
			d.out = append(d.out, w.Table(t))
		}
	}
	for k := range b.Changes {
		t := b.Changes[k].Table
		w.Next(k)
		g := d.index[t]
		tables := d.out[d.start[t] : d.start[t]+len(g.Tables)]
		if g.Func == nil {
			w.Keep(tables[0])
			continue
		}
		err := g.Func(b, k, tables, w)
		switch {
		case err == nil:
			if w.Made() == 0 {
				c.filtered++
			}
			continue
		case !d.step.Dead || !ofRow(err):
			return w, c.failed(d, b, k, err)
		}
		c.look(i, b.Tables[t], g)
		w.Dead(event.DeadLetter{Step: d.step.Name, Reason: c.failed(d, b, k, err), Masked: g.names}, g.hidden)
		c.dead++
	}
	if err := w.Finish(); err != nil {
		return w, at(err, &b.Txns[0], "")
	}
	return w, nil
}

// ofRow reports an error that belongs to one row.
func ofRow(err error) bool {
	f, ok := fault.As(err)
	return !ok || f.Class() == fault.Data
}

// failed gives the fault of a row: which step, which table, which transaction.
func (c *chain) failed(d *binder, b *event.Batch, k int, err error) error {
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.TransformError, "%w", err)
	}
	g := *f // a step may give one error for many rows
	g.Text = d.step.Name + ": " + g.Text
	return at(&g, b.Txn(&b.Changes[k]), b.Tables[b.Changes[k].Table].FullName())
}

// at says where a fault was met.
func at(err error, t *event.Txn, table string) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	where := fault.Where{Table: table, GTID: t.GTID.String()}
	if t.GTID.IsZero() {
		where.GTID, where.File, where.Offset = "", t.File, t.Off
	}
	if f.Where.Table != "" {
		where.Table = ""
	}
	_ = f.At(where) // it changes f itself, which err holds
	return err
}

// look works out what a dead letter of step i must not show: whatever no sink would have seen in clear.
func (c *chain) look(i int, t *schemas.Table, g *binding) {
	if g.looked {
		return
	}
	g.looked = true
	g.hidden = c.open(i, t)
	was := c.masked[t]
	for k := range g.hidden {
		g.hidden[k] = !g.hidden[k]
		if g.hidden[k] || k < len(was) && was[k] {
			g.names = append(g.names, t.Columns[k].Name)
		}
	}
}

// open says which columns of a table that comes to step i leave the last step in clear.
func (c *chain) open(i int, t *schemas.Table) []bool {
	out := make([]bool, len(t.Columns))
	if i == len(c.steps) {
		for k := range out {
			out[k] = true
		}
		return out
	}
	g, err := c.bind(i, t)
	if err != nil || len(g.Tables) == 0 {
		return out
	}
	rest := c.open(i+1, g.Tables[0])
	for k, ok := range rest {
		from := k
		if g.From != nil {
			from = int(g.From[k])
		}
		if from >= 0 && from < len(out) && ok && (g.Open == nil || g.Open[from]) {
			out[from] = true
		}
	}
	return out
}
