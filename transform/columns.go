package transform

import (
	"strings"

	"cdc/event"
	"cdc/internal/settings"
	"cdc/schemas"
)

// drop drops every change.
func drop(*event.Batch, int, []uint16, *event.Builder) error { return nil }

// columnChoice is include_columns and exclude_columns.
type columnChoice struct {
	patterns []string
	drop     bool
	columns  []columnPattern
}

func (c columnChoice) validate(path string) []settings.Problem {
	if len(c.patterns) == 0 {
		return problem(path, "names no column")
	}
	_, err := parseColumns(c.patterns)
	return problemOf(path, err)
}

func (c columnChoice) open() (Transform, error) {
	var err error
	c.columns, err = parseColumns(c.patterns)
	return &c, err
}

// Bind leaves columns out.
func (c *columnChoice) Bind(t *schemas.Table) (Binding, error) {
	if nameless(t) {
		return pass(t), nil
	}
	chosen, named, err := matchColumns(c.columns, t)
	if err != nil || !named {
		return pass(t), err
	}
	var cols []derived
	for _, d := range same(t) {
		if chosen[d.from] != c.drop {
			cols = append(cols, d)
		}
	}
	if len(cols) == len(t.Columns) {
		return pass(t), nil
	}
	if len(cols) == 0 {
		return Binding{}, tableFault(t, "no column would be left").Hint("leave the table out by exclude")
	}
	return project(t, cols, nil)
}

// Idle is that of Idler.
func (c *columnChoice) Idle() []string { return idleColumns(c.columns) }

// Hides is that of Hider.
func (c *columnChoice) Hides() Hidden { return HidesRows | HidesValues }

// ProjectConfig carries some columns.
type ProjectConfig struct {
	Tables  []string `yaml:"tables" jsonschema_description:"Tables, as patterns database.table. Default: all."`
	Columns []string `yaml:"columns" jsonschema_description:"The columns to carry, in this order. Each of the tables has all of them."`
	Key     []string `yaml:"key" jsonschema_description:"Columns that tell the rows apart, where those of the source's primary key are left out."`
}

func (c *ProjectConfig) validate(path string) []settings.Problem {
	var out []settings.Problem
	if _, err := parseTables(c.Tables); err != nil {
		out = append(out, problem(path+".tables", "%v", err)...)
	}
	if len(c.Columns) == 0 {
		out = append(out, problem(path+".columns", "names no column")...)
	}
	seen := map[string]bool{}
	for _, name := range c.Columns {
		if seen[fold(name)] {
			out = append(out, problem(path+".columns", "%q is named twice", name)...)
		}
		seen[fold(name)] = true
	}
	for _, name := range c.Key {
		if !seen[fold(name)] {
			out = append(out, problem(path+".key", "%q is not one of columns", name)...)
		}
	}
	return out
}

func (c *ProjectConfig) open() (Transform, error) {
	sel, err := parseTables(c.Tables)
	return &projection{cfg: c, tables: sel}, err
}

type projection struct {
	cfg    *ProjectConfig
	tables tables
}

// Bind carries the columns named.
func (p *projection) Bind(t *schemas.Table) (Binding, error) {
	if !p.tables.match(t) || nameless(t) {
		return pass(t), nil
	}
	all := same(t)
	var cols []derived
	for _, name := range p.cfg.Columns {
		i := t.Column(name)
		if i < 0 {
			return Binding{}, tableFault(t, "project: there is no column %q; there are %s", name, columnNames(t)).
				Hint("mend project.columns, or narrow project.tables to tables that have all of them")
		}
		cols = append(cols, all[i])
	}
	return project(t, cols, p.cfg.Key)
}

// Idle is that of Idler.
func (p *projection) Idle() []string { return p.tables.idle() }

// Hides is that of Hider.
func (p *projection) Hides() Hidden { return HidesRows | HidesValues }

// project binds a table to some of its columns. key names those that tell rows apart where it is not empty.
func project(t *schemas.Table, cols []derived, key []string) (Binding, error) {
	if len(key) == 0 {
		for i := range t.Columns {
			lost := isKey(t, i)
			for _, d := range cols {
				lost = lost && d.from != i
			}
			if lost {
				return Binding{}, tableFault(t, "column %s is of the key, and without it rows could not be told apart", t.Columns[i].Name).
					Hint("carry the column, masked by hmac if it must be hidden, or name another key: project: {columns: [...], key: [...]}")
			}
		}
	}
	out := derive(t, cols, false)
	if len(key) > 0 {
		out.PrimaryKey = nil
		parts := schemas.Key{Name: "PRIMARY"}
		for _, name := range key {
			i := out.Column(name)
			if i < 0 || out.Columns[i].Nullable {
				return Binding{}, tableFault(t, "column %s may be NULL, and cannot be of a key", name).Hint("mend project.key")
			}
			out.PrimaryKey = append(out.PrimaryKey, i)
			parts.Parts = append(parts.Parts, schemas.KeyPart{Column: i})
		}
		unique := []schemas.Key{parts}
		for _, k := range out.Unique {
			if k.Name != "PRIMARY" {
				unique = append(unique, k)
			}
		}
		out.Unique = unique
	}
	from, open := mapping(t, cols)
	return Binding{Tables: []*schemas.Table{out}, From: from, Open: open, Func: copier(from)}, nil
}

// copier copies columns in one loop, without an allocation.
func copier(from []int32) Func {
	return func(_ *event.Batch, _ int, tables []uint16, out *event.Builder) error {
		out.Derive(tables[0], from)
		return nil
	}
}

// RenameConfig renames columns.
type RenameConfig struct {
	Tables  []string          `yaml:"tables" jsonschema_description:"Tables, as patterns database.table. Default: all."`
	Columns map[string]string `yaml:"columns" jsonschema_description:"Old name to new name. Each of the tables has all of them."`
}

func (c *RenameConfig) validate(path string) []settings.Problem {
	var out []settings.Problem
	if _, err := parseTables(c.Tables); err != nil {
		out = append(out, problem(path+".tables", "%v", err)...)
	}
	if len(c.Columns) == 0 {
		out = append(out, problem(path+".columns", "names no column")...)
	}
	for old, name := range c.Columns {
		if name == "" || strings.TrimSpace(name) != name {
			out = append(out, problem(path+".columns", "%q is no new name for %s", name, old)...)
		}
	}
	return out
}

func (c *RenameConfig) open() (Transform, error) {
	sel, err := parseTables(c.Tables)
	return &renaming{cfg: c, tables: sel}, err
}

type renaming struct {
	cfg    *RenameConfig
	tables tables
}

// Idle is that of Idler.
func (r *renaming) Idle() []string { return r.tables.idle() }

// Bind gives the table with other names, which costs nothing per row.
func (r *renaming) Bind(t *schemas.Table) (Binding, error) {
	if !r.tables.match(t) || nameless(t) {
		return pass(t), nil
	}
	cols := same(t)
	for old, name := range r.cfg.Columns {
		i := t.Column(old)
		if i < 0 {
			return Binding{}, tableFault(t, "rename: there is no column %q; there are %s", old, columnNames(t)).
				Hint("mend rename.columns, or narrow rename.tables to tables that have all of them")
		}
		cols[i].Name = name
	}
	seen := map[string]bool{}
	for _, c := range cols {
		if seen[fold(c.Name)] {
			return Binding{}, tableFault(t, "rename: two columns would be called %q", c.Name)
		}
		seen[fold(c.Name)] = true
	}
	return Binding{Tables: []*schemas.Table{derive(t, cols, true)}}, nil
}
