package transform

import (
	"github.com/expr-lang/expr/ast"
)

// Need says what a step looks at besides the row: who compares tables has the rows as they are, and not how they came to be so.
type Need uint8

// A change is an insert or an update from some other row, and it came in a transaction.
const (
	NeedsChange      Need = 1 << iota // op, before; and after where the step has an image of its own
	NeedsTransaction                  // gtid, commit
)

// Needy is implemented by transforms that have expressions.
type Needy interface {
	Needs() Need
}

// Needs is that of Needy.
func (f *filter) Needs() Need { return f.where.needs() }

// Needs is that of Needy.
func (c *compute) Needs() Need { return c.value.needs() }

func (e *expression) needs() Need {
	var n Need
	ast.Walk(&e.tree, visitor(func(node ast.Node) {
		id, ok := node.(*ast.IdentifierNode)
		if !ok {
			return
		}
		switch id.Value {
		case "op", "before", "after":
			n |= NeedsChange
		case "gtid", "commit":
			n |= NeedsTransaction
		}
	}))
	return n
}

type visitor func(ast.Node)

// Visit is that of ast.Visitor.
func (v visitor) Visit(node *ast.Node) { v(*node) }
