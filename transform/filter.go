package transform

import (
	"cdc/event"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/schemas"
)

// FilterConfig carries only some changes.
type FilterConfig struct {
	Tables   []string `yaml:"tables" jsonschema_description:"Tables, as patterns database.table. Default: all."`
	Where    string   `yaml:"where" jsonschema_description:"An expression: changes for which it is true are carried as they are, all others are dropped."`
	Truncate string   `yaml:"truncate" jsonschema:"enum=pass,enum=drop" jsonschema_description:"What becomes of TRUNCATE TABLE, which has no row to look at: pass or drop. Default pass."`
}

func (c *FilterConfig) validate(path string) []settings.Problem {
	var out []settings.Problem
	if _, err := parseTables(c.Tables); err != nil {
		out = append(out, problem(path+".tables", "%v", err)...)
	}
	if err := checkExpression(c.Where, true); err != nil {
		out = append(out, problem(path+".where", "%v", err)...)
	}
	switch c.Truncate {
	case "", "pass", "drop":
	default:
		out = append(out, problem(path+".truncate", "%q is neither pass nor drop", c.Truncate)...)
	}
	return out
}

// checkExpression finds what is wrong with an expression whatever the table.
func checkExpression(source string, condition bool) error {
	e, err := parse(source)
	if err != nil {
		return err
	}
	_, err = e.bind(nil, condition)
	return err
}

// bind compiles an expression for a table; condition says that it must be true or false.
func (e *expression) bind(t *schemas.Table, condition bool) (eval, error) {
	if !condition {
		c, err := e.compile(t)
		return c.eval, err
	}
	c := &compiler{source: e.source, table: t}
	f := c.condition(e.tree)
	if c.err != nil {
		return nil, c.err
	}
	return f, nil
}

func (c *FilterConfig) open() (Transform, error) {
	sel, err := parseTables(c.Tables)
	if err != nil {
		return nil, err
	}
	e, err := parse(c.Where)
	return &filter{cfg: c, tables: sel, where: e}, err
}

type filter struct {
	cfg    *FilterConfig
	tables tables
	where  *expression
	scope  scope
}

// Idle is that of Idler.
func (f *filter) Idle() []string { return f.tables.idle() }

// Hides is that of Hider: a statement shows rows that were dropped.
func (f *filter) Hides() Hidden { return HidesRows }

// Bind compiles the expression for the table.
func (f *filter) Bind(t *schemas.Table) (Binding, error) {
	if !f.tables.match(t) {
		return pass(t), nil
	}
	if nameless(t) && f.cfg.Truncate != "drop" {
		return pass(t), nil
	}
	where, err := f.where.bind(t, true)
	if err != nil && !nameless(t) {
		return Binding{}, expressionFault(t, "filter.where", err)
	}
	return Binding{Tables: []*schemas.Table{t}, Func: func(in *event.Batch, i int, tables []uint16, out *event.Builder) error {
		c := &in.Changes[i]
		if c.Op == event.Truncate {
			if f.cfg.Truncate != "drop" {
				out.Keep(tables[0])
			}
			return nil
		}
		s := &f.scope
		s.reset(in, i)
		v := where(s)
		if s.err != nil {
			return s.fault("filter.where")
		}
		if v.isTrue() {
			out.Keep(tables[0])
		}
		return nil
	}}, nil
}

// reset looks at a change.
func (s *scope) reset(b *event.Batch, i int) {
	*s = scope{batch: b, change: &b.Changes[i], before: b.Before(i), after: b.After(i), buf: s.buf[:0], most: s.most}
}

// fault gives the error of a row.
func (s *scope) fault(what string) error {
	code := fault.TransformError
	if s.limit {
		code = fault.TransformLimit
	}
	return fault.New(code, "%s: %s", what, s.err.Error())
}

func expressionFault(t *schemas.Table, what string, err error) error {
	return tableFault(t, "%s: %s", what, err.Error()).Hint("mend the expression, or narrow it by tables: to those that it fits")
}
