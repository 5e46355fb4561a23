package transform

import (
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// Condition is an expression that says of each change whether it is meant, for commands that look at changes without a pipeline. It is that of a
// filter's where.
type Condition struct{ where *expression }

// ParseCondition reads an expression. Its error says what is wrong with it whatever the table.
func ParseCondition(source string) (*Condition, error) {
	if err := checkExpression(source, true); err != nil {
		return nil, err
	}
	e, err := parse(source)
	return &Condition{e}, err
}

// Bind compiles the condition for a table version. What it gives is not safe for concurrent use; its error is a fault of the row, and shows no value
// of it.
func (c *Condition) Bind(t *schemas.Table) (func(b *event.Batch, i int) (bool, error), error) {
	where, err := c.where.bind(t, true)
	if err != nil {
		return nil, fault.New(fault.TransformTable, "%s: %s", t.FullName(), err.Error()).At(fault.Where{Table: t.FullName()}).
			Hint("mend the expression, or choose only tables that it fits")
	}
	s := &scope{}
	return func(b *event.Batch, i int) (bool, error) {
		s.reset(b, i)
		v := where(s)
		if s.err != nil {
			return false, s.fault("where")
		}
		return v.isTrue(), nil
	}, nil
}
