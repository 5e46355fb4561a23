package pipeline

import (
	"strings"

	"cdc/event/sqltext"
	"cdc/schemas"
	"cdc/transform"
)

// statement takes a DDL statement through the transforms: tables that they drop or rename are dropped and renamed in it, with their columns. It
// gives nil where nothing of it is carried. What it was given stays as it is: the stream's history has it too.
func (c *chain) statement(d *schemas.DDL) (*schemas.DDL, error) {
	out := *d
	out.Names = append([]schemas.Name(nil), d.Names...)
	if len(c.steps) > 0 && out.Original == nil {
		out.Original = d
	}
	out.Entries = append([]schemas.Entry(nil), d.Entries...)
	out.Before = append([]*schemas.Table(nil), d.Before...)
	for len(out.Before) < len(out.Entries) {
		out.Before = append(out.Before, nil)
	}
	dropped := false
	for i, b := range c.steps {
		if f, ok := b.step.Transform.(transform.Forgetter); ok {
			for k := range out.Entries {
				switch e := &out.Entries[k]; e.Kind {
				case schemas.DropTable, schemas.DropDatabase:
					f.Forget(e.Name)
				}
			}
		}
		namer, named := b.step.Transform.(transform.Namer)
		if named {
			kept := out.Names[:0]
			for _, n := range out.Names {
				to, keep := namer.Name(n)
				if keep {
					kept = append(kept, to)
				}
				dropped = dropped || !keep
			}
			out.Names = kept
			if len(kept) == 0 {
				return nil, nil
			}
		}
		entries := make([]schemas.Entry, 0, len(out.Entries))
		befores := make([]*schemas.Table, 0, len(out.Entries))
		for k, e := range out.Entries {
			if e.Kind == schemas.ForgetTable {
				e.Table = nil // what it may be, under the names and with the columns before this step
			}
			old := c.formerly(i, out.Before[k])
			if e.Kind == schemas.PutTable && e.Table != nil {
				if named {
					if _, keep := namer.Name(e.Name); !keep {
						continue
					}
				}
				g, err := c.bind(i, e.Table)
				if err != nil {
					return nil, err
				}
				for _, t := range g.Tables {
					e.Table, e.Name = t, schemas.Name{Database: t.Database, Table: t.Name}
					entries, befores = append(entries, e), append(befores, old)
				}
				continue
			}
			if named {
				to, keep := namer.Name(e.Name)
				if !keep {
					continue
				}
				e.Name = to
			}
			entries, befores = append(entries, e), append(befores, old)
		}
		out.Entries, out.Before = entries, befores
	}
	switch {
	case dropped:
		out.Text = partly(&out)
	case c.hides&transform.HidesValues != 0:
		out.Text = transform.Redact(out.Text, out.SQLMode)
	}
	if c.hides&transform.HidesValues != 0 {
		hide(&out)
	}
	if dropped || c.hides&transform.HidesValues != 0 {
		for i := range out.Entries {
			out.Entries[i].Statement, out.Entries[i].Reason = "", ""
		}
	}
	return &out, nil
}

// hide takes the literals out of the statement as the source logged it.
func hide(d *schemas.DDL) {
	o := *d.Original
	o.Text = transform.Redact(o.Text, o.SQLMode)
	o.Entries = append([]schemas.Entry(nil), o.Entries...)
	for i := range o.Entries {
		o.Entries[i].Statement, o.Entries[i].Reason = "", ""
	}
	d.Original, d.Hidden = &o, transform.Redacted(o.Text)
}

// formerly gives what became of the version of a table that a statement changed; nil where there was none, or it does not fit.
func (c *chain) formerly(i int, t *schemas.Table) *schemas.Table {
	if t == nil {
		return nil
	}
	g, err := c.bind(i, t)
	if err != nil || len(g.Tables) == 0 {
		return nil
	}
	return g.Tables[0]
}

// partly is the text of a statement that also names tables which are not carried.
func partly(d *schemas.DDL) string {
	var b strings.Builder
	if d.Kind == schemas.DropTables {
		b.WriteString("DROP TABLE ")
		for i, n := range d.Names {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(sqltext.Name(n.Database) + "." + sqltext.Name(n.Table))
		}
		return b.String()
	}
	b.WriteString("/* a statement that also names tables which are not carried */")
	return b.String()
}
