package transform

import (
	"fmt"
	"strings"

	"cdc/event"
	"cdc/internal/settings"
	"cdc/schemas"
)

// ComputeConfig adds a column, or replaces one.
type ComputeConfig struct {
	Tables []string `yaml:"tables" jsonschema_description:"Tables, as patterns database.table. Default: all."`
	Column string   `yaml:"column" jsonschema_description:"Name of the column; one of this name is replaced, else it is added behind the others."`
	Type   string   `yaml:"type" jsonschema_description:"Type of the column as in CREATE TABLE, such as decimal(10,2) or varchar(40). Its values may be NULL."`
	Value  string   `yaml:"value" jsonschema_description:"An expression. It is worked out for the before and for the after image; row is that image."`
}

func (c *ComputeConfig) validate(path string) []settings.Problem {
	var out []settings.Problem
	if _, err := parseTables(c.Tables); err != nil {
		out = append(out, problem(path+".tables", "%v", err)...)
	}
	if c.Column == "" || strings.TrimSpace(c.Column) != c.Column {
		out = append(out, problem(path+".column", "%q is no name of a column", c.Column)...)
	}
	if _, err := c.parseType(); err != nil {
		out = append(out, problem(path+".type", "%v", err)...)
	}
	if err := checkExpression(c.Value, false); err != nil {
		out = append(out, problem(path+".value", "%v", err)...)
	}
	return out
}

func (c *ComputeConfig) parseType() (schemas.Column, error) {
	col, err := schemas.ParseType(c.Type)
	if err != nil {
		return col, fmt.Errorf("%q is no type: %w", c.Type, err)
	}
	switch col.Type {
	case schemas.Geometry, schemas.Vector, schemas.UUID, schemas.INET6, schemas.INET4, schemas.TypeUnknown:
		return col, fmt.Errorf("values of type %s cannot be computed", c.Type)
	}
	col.Name, col.Nullable, col.Auto = c.Column, true, false
	return col, nil
}

func (c *ComputeConfig) open() (Transform, error) {
	sel, err := parseTables(c.Tables)
	if err != nil {
		return nil, err
	}
	col, err := c.parseType()
	if err != nil {
		return nil, err
	}
	e, err := parse(c.Value)
	return &compute{tables: sel, column: col, value: e}, err
}

type compute struct {
	tables tables
	column schemas.Column
	value  *expression
	scope  scope
	buf    []byte
}

// Idle is that of Idler.
func (c *compute) Idle() []string { return c.tables.idle() }

// Bind compiles the expression for the table.
func (c *compute) Bind(t *schemas.Table) (Binding, error) {
	if !c.tables.match(t) || nameless(t) {
		return pass(t), nil
	}
	value, err := c.value.bind(t, false)
	if err != nil {
		return Binding{}, expressionFault(t, "compute.value", err)
	}
	cols := same(t)
	at := t.Column(c.column.Name)
	if at >= 0 && isKey(t, at) {
		return Binding{}, tableFault(t, "compute: column %s is of the key, and rows could become one", c.column.Name).Hint("give the new column another name")
	}
	if at < 0 {
		at = len(cols)
		cols = append(cols, derived{})
	}
	cols[at] = derived{Column: c.column, from: -1}
	from, open := mapping(t, cols)
	col := &c.column
	fill := func(s *scope, image event.Row, out *event.Builder) (cell event.Cell, err error) {
		s.own = image
		v := value(s)
		if s.err != nil {
			if s.absent { // the image does not hold what is needed: nor can it hold this
				s.err, s.absent = nil, false
				return event.Cell{}, nil
			}
			return cell, s.fault("compute.value")
		}
		if v.class == isAbsent {
			return event.Cell{}, nil
		}
		made, err := convert(v, col, c.buf)
		if err != nil {
			return cell, fmt.Errorf("compute.value for column %s of type %s: %w", col.Name, col.ColumnType(), err)
		}
		if made.text != nil {
			c.buf = made.text
		}
		return made.put(out), nil
	}
	return Binding{
		Tables: []*schemas.Table{derive(t, cols, false)}, From: from, Open: open,
		Func: func(in *event.Batch, i int, tables []uint16, out *event.Builder) error {
			s := &c.scope
			s.reset(in, i)
			out.Derive(tables[0], from)
			if !s.before.IsZero() {
				cell, err := fill(s, s.before, out)
				if err != nil {
					return err
				}
				out.SetBefore(at, cell)
			}
			if !s.after.IsZero() {
				cell, err := fill(s, s.after, out)
				if err != nil {
					return err
				}
				out.SetAfter(at, cell)
			}
			return nil
		},
	}, nil
}
