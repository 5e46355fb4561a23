package target

import (
	"context"
	"slices"

	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks/mysql/schedule"
	"cdc/sinks/mysql/statement"
)

// Catalog keeps what was read of the target's tables, and the plans made of it. It is not safe for concurrent use; the plans that it gives are.
type Catalog struct {
	server *Server
	tables map[schemas.Name]*Table // by folded name; nil for one that is not there
	keys   []*ForeignKey
	read   bool           // the foreign keys were read as a whole
	stale  []schemas.Name // whose foreign keys are to be read again
	plans  map[*schemas.Table]*Plan
}

// Plan says how changes of one table version are applied to the target. It does not change once it was made.
type Plan struct {
	Table     *schemas.Table // the version it is for, with the target's names
	Target    *Table
	Statement *statement.Table
	Schedule  schedule.Table
	Apart     bool            // rows have nothing to do with each other but for the one unique key of the target, by which changes find them
	Cascades  []Cascade       // foreign keys that the target may leave undone
	Triggers  []string        // of the target's table: "name (BEFORE INSERT)"
	Warnings  []fault.Finding // what works, but not well, or may come out otherwise than at the source
}

// New makes an empty catalog of a target.
func New(server *Server) *Catalog {
	return &Catalog{server: server, tables: map[schemas.Name]*Table{}, plans: map[*schemas.Table]*Plan{}}
}

// Server gives what New was given.
func (c *Catalog) Server() *Server { return c.server }

// Plan plans for a table version that has the target's names. What it knows of the target it keeps until Forget; q is asked for the rest.
//
// The target's table is fault.TargetTableMissing where it is not there or is a view, and fault.TargetColumn where its columns do not fit.
func (c *Catalog) Plan(ctx context.Context, q Query, t *schemas.Table) (*Plan, error) {
	if p := c.plans[t]; p != nil {
		return p, nil
	}
	if err := c.foreignKeys(ctx, q); err != nil {
		return nil, err
	}
	at, err := c.table(ctx, q, c.fold(schemas.Name{Database: t.Database, Table: t.Name}))
	if err != nil {
		return nil, err
	}
	p := planner{server: c.server, version: t, at: at, keys: c.keys, parents: map[schemas.Name]*Table{}}
	for _, f := range c.keys {
		if f.Child == p.name() {
			if p.parents[f.Parent], err = c.table(ctx, q, f.Parent); err != nil {
				return nil, err
			}
		}
	}
	plan, err := p.plan()
	if err != nil {
		return nil, err
	}
	c.plans[t] = plan
	return plan, nil
}

// Table gives a table of the target by name, nil where there is none.
func (c *Catalog) Table(ctx context.Context, q Query, n schemas.Name) (*Table, error) {
	return c.table(ctx, q, c.fold(n))
}

// Forget drops what is known of tables which DDL has touched, by the target's names. Without names, or with one without a table, it
// drops everything.
// All plans are made anew, since those of parents and children may hang on it.
func (c *Catalog) Forget(names ...schemas.Name) {
	clear(c.plans)
	if len(names) == 0 || slices.ContainsFunc(names, func(n schemas.Name) bool { return n.Table == "" }) {
		clear(c.tables)
		c.keys, c.stale, c.read = nil, nil, false
		return
	}
	names = slices.Clone(names)
	for i, n := range names {
		n = c.fold(n)
		names[i] = n
		delete(c.tables, n)
		if !slices.Contains(c.stale, n) {
			c.stale = append(c.stale, n)
		}
	}
	// A renamed or dropped parent changes the foreign keys of its children.
	for _, f := range c.keys {
		if slices.Contains(names, f.Parent) && !slices.Contains(c.stale, f.Child) {
			c.stale = append(c.stale, f.Child)
		}
	}
}

func (c *Catalog) fold(n schemas.Name) schemas.Name {
	return schemas.Name{Database: c.server.Fold(n.Database), Table: c.server.Fold(n.Table)}
}

func (c *Catalog) table(ctx context.Context, q Query, n schemas.Name) (*Table, error) {
	if t, ok := c.tables[n]; ok {
		return t, nil
	}
	t, err := c.server.readTable(ctx, q, n)
	if err == nil {
		c.tables[n] = t
	}
	return t, err
}

// foreignKeys brings the foreign keys up to date. Reading all of them makes some versions open each table that there is, so after DDL only those of the
// tables that it touched are read.
func (c *Catalog) foreignKeys(ctx context.Context, q Query) error {
	if !c.read {
		keys, err := c.server.readForeignKeys(ctx, q, nil)
		if err != nil {
			return err
		}
		c.keys, c.read, c.stale = keys, true, nil
		return nil
	}
	for len(c.stale) > 0 {
		n := c.stale[len(c.stale)-1]
		keys, err := c.server.readForeignKeys(ctx, q, &n)
		if err != nil {
			return err
		}
		c.keys = slices.DeleteFunc(c.keys, func(f *ForeignKey) bool { return f.Child == n })
		c.keys = append(c.keys, keys...)
		c.stale = c.stale[:len(c.stale)-1]
	}
	return nil
}
