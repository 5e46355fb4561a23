package transform

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"cdc/event"
	"cdc/schemas"
)

const (
	maxExpression = 64 << 10 // bytes of an expression
	maxNodes      = 2000     // of its tree
	maxResult     = 16 << 20 // bytes of text that a function may make
	// maxWork bounds what one expression may cost for one row image, in bytes looked at: an expression of this length has no loops, but each of
	// its functions may go over the whole of a large value. It is some tenths of a second, or two seconds of regular expressions.
	maxWork   = 256 << 20
	madeWork  = 4  // a byte that is made costs as much as so many that are looked at
	regexWork = 12 // and so does one that a regular expression looks at
)

// expression is a parsed expression. It is compiled once for each table version.
type expression struct {
	source string
	tree   ast.Node
}

// place says where in an expression something is wrong, from 1.
type exprError struct {
	line, column int
	text         string
}

func (e *exprError) Error() string {
	if e.line > 1 {
		return fmt.Sprintf("%s (line %d, column %d of the expression)", e.text, e.line, e.column)
	}
	return fmt.Sprintf("%s (column %d of the expression)", e.text, e.column)
}

// parse reads an expression and finds all that is wrong with it whatever the table.
func parse(source string) (*expression, error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("the expression is empty")
	}
	if len(source) > maxExpression {
		return nil, fmt.Errorf("the expression has more than %d bytes", maxExpression)
	}
	cfg := conf.CreateNew()
	cfg.MaxNodes = maxNodes
	tree, err := parser.ParseWithConfig(source, cfg)
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			return nil, &exprError{line: at.Line, column: at.Column + 1, text: at.Message}
		}
		return nil, err
	}
	return &expression{source: source, tree: tree.Node}, nil
}

// scope is what a compiled expression sees of a change. It is reused from row to row.
type scope struct {
	batch         *event.Batch
	change        *event.Change
	before, after event.Row
	own           event.Row // of a computed column: the image that it belongs to; else zero
	buf           []byte    // text of SET, UUID and INET values, and of numbers
	err           *exprError
	absent        bool // err is about an absent column
	limit         bool // err is about the size of a result, or the work for it
	work, most    int  // what was done so far, and may be; 0 is maxWork
}

// eval works out one value. After an error, which it leaves in the scope, its value means nothing.
type eval func(*scope) value

// code is what a part of an expression was compiled to.
type code struct {
	eval   eval
	class  class  // of its values that are not NULL; isAbsent where that is not known before
	fixed  *value // of a constant
	column bool   // it is a column
}

func (c code) any() bool { return c.class == isAbsent }

// compiler compiles one expression for one table.
type compiler struct {
	source string
	table  *schemas.Table // nil to check what does not depend on the table
	err    *exprError
	depth  int
}

// compile gives the evaluation of an expression for a table, or for any where t is nil: then columns are of any type.
func (e *expression) compile(t *schemas.Table) (code, error) {
	c := &compiler{source: e.source, table: t}
	out := c.node(e.tree)
	if c.err != nil {
		return code{}, c.err
	}
	return out, nil
}

func (c *compiler) fail(n ast.Node, format string, args ...any) code {
	if c.err == nil {
		c.err = errorAt(c.source, n, fmt.Sprintf(format, args...))
	}
	return code{eval: func(*scope) value { return null() }}
}

// errorAt finds line and column of a node, whose place is counted in characters.
func errorAt(source string, n ast.Node, text string) *exprError {
	e := &exprError{line: 1, column: 1, text: text}
	for i, r := range []rune(source) {
		if i == n.Location().From {
			break
		}
		if e.column++; r == '\n' {
			e.line, e.column = e.line+1, 1
		}
	}
	return e
}

func constant(v value) code {
	return code{eval: func(*scope) value { return v }, class: v.class, fixed: &v}
}

// node compiles what the grammar allows; what is not listed here does not exist.
func (c *compiler) node(n ast.Node) code {
	if c.depth++; c.depth > 500 {
		return c.fail(n, "the expression is nested too deeply")
	}
	defer func() { c.depth-- }()
	switch x := n.(type) {
	case *ast.NilNode:
		return constant(null())
	case *ast.BoolNode:
		return constant(boolean(x.Value))
	case *ast.IntegerNode:
		return constant(integer(int64(x.Value)))
	case *ast.FloatNode:
		return c.number(x)
	case *ast.StringNode:
		return constant(text(x.Value))
	case *ast.IdentifierNode:
		return c.identifier(x)
	case *ast.MemberNode:
		return c.member(x)
	case *ast.ChainNode:
		return c.fail(n, "?. is not available: use ??, or absent()")
	case *ast.UnaryNode:
		return c.unary(x)
	case *ast.BinaryNode:
		return c.binary(x)
	case *ast.ConditionalNode:
		return c.conditional(x)
	case *ast.CallNode:
		if id, ok := x.Callee.(*ast.IdentifierNode); ok {
			return c.call(n, id.Value, x.Arguments)
		}
	case *ast.BuiltinNode:
		for _, a := range x.Arguments {
			if _, loop := a.(*ast.PredicateNode); loop {
				return c.fail(n, "loops are not available")
			}
		}
		return c.call(n, x.Name, x.Arguments)
	case *ast.ArrayNode:
		return c.fail(n, "a list may only stand behind in")
	case *ast.VariableDeclaratorNode:
		return c.fail(n, "let is not available")
	case *ast.PredicateNode, *ast.PointerNode:
		return c.fail(n, "loops are not available")
	}
	return c.fail(n, "this is not available in an expression")
}

// number keeps the digits of a number with a point as they are written.
func (c *compiler) number(x *ast.FloatNode) code {
	runes := []rune(c.source)
	loc := x.Location()
	if loc.From >= 0 && loc.From < loc.To && loc.To <= len(runes) {
		if s := strings.ReplaceAll(string(runes[loc.From:loc.To]), "_", ""); isDecimalText(s) {
			return constant(value{class: isDecimal, s: s})
		}
	}
	return constant(float(x.Value))
}

func (c *compiler) identifier(x *ast.IdentifierNode) code {
	switch x.Value {
	case "op":
		return code{class: isText, eval: func(s *scope) value { return text(s.change.Op.String()) }}
	case "database":
		return code{class: isText, eval: func(s *scope) value { return text(s.batch.Tables[s.change.Table].Database) }}
	case "table":
		return code{class: isText, eval: func(s *scope) value { return text(s.batch.Tables[s.change.Table].Name) }}
	case "gtid":
		return code{class: isText, eval: func(s *scope) value {
			g := s.batch.Txn(s.change).GTID
			if g.IsZero() {
				return null()
			}
			start := len(s.buf)
			s.buf = g.Append(s.buf)
			return text(viewString(s.buf[start:]))
		}}
	case "commit":
		return code{class: isMoment, eval: func(s *scope) value {
			return value{class: isMoment, n: uint64(s.batch.Txn(s.change).Commit)}
		}}
	case "before", "after", "row":
		return c.fail(x, "%s is a row: name a column, as in %s.id", x.Value, x.Value)
	}
	return c.fail(x, "unknown name %q: there are op, database, table, gtid, commit, and columns as before.NAME, after.NAME, row.NAME", x.Value)
}

// member compiles a column: before.NAME, after["NAME"].
func (c *compiler) member(x *ast.MemberNode) code {
	if x.Optional {
		return c.fail(x, "?. is not available: use ??, or absent()")
	}
	id, isID := x.Node.(*ast.IdentifierNode)
	name, isName := x.Property.(*ast.StringNode)
	if !isID || !isName || id.Value != "before" && id.Value != "after" && id.Value != "row" {
		return c.fail(x.Node, "only before.NAME, after.NAME and row.NAME have a point; of JSON use json(row.NAME, \"$.path\")")
	}
	if c.table == nil {
		return code{eval: func(*scope) value { return null() }, column: true}
	}
	at := c.table.Column(name.Value)
	if at < 0 {
		return c.fail(x, "table %s has no column %q: it has %s", c.table.FullName(), name.Value, columnNames(c.table))
	}
	col := &c.table.Columns[at]
	out := code{class: kindOf(col), column: true}
	long := errorAt(c.source, x, tooMuch)
	fetch := func(s *scope, r event.Row) value {
		if r.IsZero() {
			return value{why: noImage}
		}
		had := len(s.buf)
		v := load(r.Cells[at], r, col, &s.buf)
		if made := len(s.buf) - had; made > 0 && !s.spend(madeWork*made) {
			s.buf = s.buf[:had]
			return s.tooMuch(long)
		}
		return v
	}
	switch id.Value {
	case "before":
		out.eval = func(s *scope) value { return fetch(s, s.before) }
	case "after":
		out.eval = func(s *scope) value { return fetch(s, s.after) }
	default:
		out.eval = func(s *scope) value {
			if !s.own.IsZero() {
				return fetch(s, s.own)
			}
			if !s.after.IsZero() && s.after.Cells[at].Kind() != event.Absent {
				return fetch(s, s.after)
			}
			return fetch(s, s.before)
		}
	}
	return out
}

func columnNames(t *schemas.Table) string {
	var b strings.Builder
	for i := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len() > 400 {
			b.WriteString("...")
			break
		}
		b.WriteString(t.Columns[i].Name)
	}
	return b.String()
}

// raise leaves an error of a row in the scope; only the first counts.
func (s *scope) raise(e *exprError) value {
	if s.err == nil {
		s.err = e
	}
	return null()
}

// used gives the evaluation of an operand: an absent column is an error of the row.
func (c *compiler) used(n ast.Node, x code) eval {
	if !x.column && !x.any() {
		return x.eval
	}
	eval := x.eval
	what := "this column"
	if m, ok := n.(*ast.MemberNode); ok {
		what = fmt.Sprintf("%s.%s", m.Node, strings.Trim(m.Property.String(), `"`))
	}
	errs := [...]*exprError{
		noColumn: errorAt(c.source, n, what+" is not in the row image, and absent("+what+") was not asked"),
		noImage:  errorAt(c.source, n, what+" is asked of a change that has no such image: ask op or absent("+what+") first"),
		inPart:   errorAt(c.source, n, what+" was updated in part, so its value is not known"),
	}
	return func(s *scope) value {
		v := eval(s)
		if v.class == isAbsent {
			if s.err == nil {
				s.absent = true
			}
			return s.raise(errs[v.why])
		}
		return v
	}
}
