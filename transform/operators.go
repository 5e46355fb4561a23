package transform

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// condition compiles a part that must be true or false.
func (c *compiler) condition(n ast.Node) eval {
	x := c.node(n)
	if !x.any() && x.class != isBool {
		c.fail(n, "this is %s, and a condition is needed: compare it, as in %s", x.class, "row.active == 1")
	}
	if x.class == isBool {
		return x.eval
	}
	eval, err := c.used(n, x), errorAt(c.source, n, "this is no condition")
	return func(s *scope) value {
		v := eval(s)
		if v.class != isBool {
			return s.raise(err)
		}
		return v
	}
}

func (c *compiler) unary(x *ast.UnaryNode) code {
	switch x.Operator {
	case "!", "not":
		in := c.condition(x.Node)
		return code{class: isBool, eval: func(s *scope) value { return boolean(!in(s).isTrue()) }}
	case "+", "-":
		in := c.node(x.Node)
		if in.fixed != nil && in.class.number() && x.Operator == "-" {
			v, _ := arithmetic('-', integer(0), *in.fixed)
			return constant(v)
		}
		if x.Operator == "+" {
			return in
		}
		return c.arithmetic(x, '-', constant(integer(0)), in, x.Node, x.Node)
	}
	return c.fail(x, "operator %s is not available", x.Operator)
}

func (c *compiler) conditional(x *ast.ConditionalNode) code {
	cond, a, b := c.condition(x.Cond), c.node(x.Exp1), c.node(x.Exp2)
	class := isAbsent
	switch {
	case a.class == b.class, b.class == isNull:
		class = a.class
	case a.class == isNull:
		class = b.class
	case a.class.number() && b.class.number():
		class = isDecimal
	}
	ea, eb := c.used(x.Exp1, a), c.used(x.Exp2, b)
	return code{class: class, eval: func(s *scope) value {
		if cond(s).isTrue() {
			return ea(s)
		}
		return eb(s)
	}}
}

func (c *compiler) binary(x *ast.BinaryNode) code {
	switch x.Operator {
	case "&&", "and":
		l, r := c.condition(x.Left), c.condition(x.Right)
		return code{class: isBool, eval: func(s *scope) value {
			if v := l(s); !v.isTrue() {
				return boolean(false)
			}
			return r(s)
		}}
	case "||", "or":
		l, r := c.condition(x.Left), c.condition(x.Right)
		return code{class: isBool, eval: func(s *scope) value {
			if v := l(s); v.isTrue() || s.err != nil {
				return v
			}
			return r(s)
		}}
	case "in":
		return c.in(x)
	case "==", "!=", "<", "<=", ">", ">=":
		return c.comparison(x)
	case "??":
		l, r := c.node(x.Left), c.node(x.Right)
		el, er := c.used(x.Left, l), c.used(x.Right, r)
		class := isAbsent
		if l.class == r.class || r.class == isNull {
			class = l.class
		} else if l.class.number() && r.class.number() {
			class = isDecimal
		}
		return code{class: class, eval: func(s *scope) value {
			if v := el(s); v.class != isNull || s.err != nil {
				return v
			}
			return er(s)
		}}
	case "+":
		l, r := c.node(x.Left), c.node(x.Right)
		if l.class == isText || r.class == isText || l.any() && r.any() {
			return c.concat(x, l, r)
		}
		return c.arithmetic(x, '+', l, r, x.Left, x.Right)
	case "-", "*", "/", "%":
		return c.arithmetic(x, x.Operator[0], c.node(x.Left), c.node(x.Right), x.Left, x.Right)
	case "contains", "startsWith", "endsWith":
		return c.textTest(x)
	case "matches":
		return c.matches(x)
	}
	return c.fail(x, "operator %s is not available", x.Operator)
}

// together checks that two operands can be compared, and turns text beside a date into one.
func (c *compiler) together(n ast.Node, l, r code) (code, code) {
	turn := func(x, other code) code {
		switch {
		case x.fixed == nil || x.class != isText:
		case other.class.date():
			if v, ok := parseDate(x.fixed.s); ok {
				return constant(v)
			}
			return c.fail(n, "%q is not a date as 2006-01-02 or 2006-01-02 15:04:05", x.fixed.s)
		case other.class == isTime:
			if v, ok := parseTime(x.fixed.s); ok {
				return constant(v)
			}
			return c.fail(n, "%q is not a time as 15:04:05", x.fixed.s)
		}
		return x
	}
	l, r = turn(l, r), turn(r, l)
	a, b := l.class, r.class
	switch {
	case l.any() || r.any() || a == isNull || b == isNull, a == b, a.number() && b.number(), a.date() && b.date():
		if (a == isJSON || b == isJSON) && a != isNull && b != isNull {
			c.fail(n, "JSON cannot be compared as a whole: take a part of it by json(row.NAME, \"$.path\"), or text() of it")
		}
	default:
		c.fail(n, "%s cannot be compared with %s", a, b)
	}
	return l, r
}

func (c *compiler) comparison(x *ast.BinaryNode) code {
	l, r := c.together(x, c.node(x.Left), c.node(x.Right))
	el, er := c.used(x.Left, l), c.used(x.Right, r)
	mixed, long := errorAt(c.source, x, "values of these two types cannot be compared"), errorAt(c.source, x, tooMuch)
	var test func(order int) bool
	switch x.Operator {
	case "==", "!=":
		want := x.Operator == "=="
		return code{class: isBool, eval: func(s *scope) value {
			a, b := el(s), er(s)
			if a.class == isNull || b.class == isNull {
				return boolean((a.class == b.class) == want)
			}
			order, ok := compare(a, b)
			if !ok {
				return s.raise(mixed)
			}
			if !s.spend(min(len(a.s), len(b.s))) {
				return s.tooMuch(long)
			}
			return boolean((order == 0) == want)
		}}
	case "<":
		test = func(o int) bool { return o < 0 }
	case "<=":
		test = func(o int) bool { return o <= 0 }
	case ">":
		test = func(o int) bool { return o > 0 }
	default:
		test = func(o int) bool { return o >= 0 }
	}
	return code{class: isBool, eval: func(s *scope) value {
		a, b := el(s), er(s)
		if a.class == isNull || b.class == isNull {
			return boolean(false)
		}
		order, ok := compare(a, b)
		if !ok {
			return s.raise(mixed)
		}
		if !s.spend(min(len(a.s), len(b.s))) {
			return s.tooMuch(long)
		}
		return boolean(test(order))
	}}
}

// in compiles membership in a list that is written out.
func (c *compiler) in(x *ast.BinaryNode) code {
	list, ok := x.Right.(*ast.ArrayNode)
	if !ok {
		return c.fail(x, "behind in stands a list, as in [1, 2, 3]")
	}
	l := c.node(x.Left)
	el := c.used(x.Left, l)
	evals := make([]eval, 0, len(list.Nodes))
	texts := map[string]struct{}{}
	for _, n := range list.Nodes {
		_, r := c.together(n, l, c.node(n))
		evals = append(evals, c.used(n, r))
		if r.fixed != nil && r.class == isText {
			texts[r.fixed.s] = struct{}{}
		}
	}
	if len(list.Nodes) > 8 && len(texts) > 0 && l.class == isText { // all of them are text then, or nil
		all := true
		for _, n := range list.Nodes {
			_, is := n.(*ast.StringNode)
			all = all && is
		}
		if all {
			return code{class: isBool, eval: func(s *scope) value {
				v := el(s)
				_, found := texts[v.s]
				return boolean(found && v.class == isText)
			}}
		}
	}
	mixed, long := errorAt(c.source, x, "values of these two types cannot be compared"), errorAt(c.source, x, tooMuch)
	return code{class: isBool, eval: func(s *scope) value {
		a := el(s)
		for _, e := range evals {
			b := e(s)
			if a.class == isNull || b.class == isNull {
				if a.class == b.class {
					return boolean(true)
				}
				continue
			}
			order, ok := compare(a, b)
			if !ok {
				return s.raise(mixed)
			}
			if !s.spend(min(len(a.s), len(b.s))) {
				return s.tooMuch(long)
			}
			if order == 0 {
				return boolean(true)
			}
		}
		return boolean(false)
	}}
}

func (c *compiler) arithmetic(n ast.Node, op byte, l, r code, ln, rn ast.Node) code {
	for _, x := range [...]code{l, r} {
		if !x.any() && !x.class.number() && x.class != isNull {
			return c.fail(n, "%c needs numbers, and this is %s", op, x.class)
		}
	}
	el, er := c.used(ln, l), c.used(rn, r)
	wrong, long := errorAt(c.source, n, string(op)+" needs numbers"), errorAt(c.source, n, tooMuch)
	class := isDecimal
	if l.class == isFloat || r.class == isFloat {
		class = isFloat
	}
	return code{class: class, eval: func(s *scope) value {
		a, b := el(s), er(s)
		if a.class == isNull || b.class == isNull {
			return null()
		}
		if !a.class.number() || !b.class.number() {
			return s.raise(wrong)
		}
		if (len(a.s) > maxDigits || len(b.s) > maxDigits) && !s.spend((len(a.s)+1)*(len(b.s)+1)) {
			return s.tooMuch(long)
		}
		v, bad := arithmetic(op, a, b)
		if bad != "" {
			return s.raise(&exprError{line: wrong.line, column: wrong.column, text: bad})
		}
		return v
	}}
}

func (c *compiler) concat(n *ast.BinaryNode, l, r code) code {
	for _, x := range [...]code{l, r} {
		if !x.any() && x.class != isText && x.class != isNull {
			return c.fail(n, "+ of text needs text, and this is %s: use text()", x.class)
		}
	}
	el, er := c.used(n.Left, l), c.used(n.Right, r)
	wrong := errorAt(c.source, n, "+ needs two numbers or two texts")
	long, much := errorAt(c.source, n, tooLong), errorAt(c.source, n, tooMuch)
	both := l.any() && r.any()
	class := isText
	if both {
		class = isAbsent
	}
	return code{class: class, eval: func(s *scope) value {
		a, b := el(s), er(s)
		switch {
		case a.class == isNull || b.class == isNull:
			return null()
		case a.class == isText && b.class == isText:
			if len(a.s)+len(b.s) > maxResult {
				return s.tooLong(long)
			}
			if !s.spend(madeWork * (len(a.s) + len(b.s))) {
				return s.tooMuch(much)
			}
			return text(a.s + b.s)
		case both && a.class.number() && b.class.number():
			if v, bad := arithmetic('+', a, b); bad == "" {
				return v
			}
		}
		return s.raise(wrong)
	}}
}

var tooLong = fmt.Sprintf("the result is longer than %d bytes", maxResult)

// tooMuch is what a row says at which an expression costs more than maxWork.
const tooMuch = "the expression takes too much work for this row: its values are too long for so many functions"

const (
	maxDigits = 100  // of a number that arithmetic takes for nothing: no column has more
	maxNumber = 1000 // bytes of a number that is read from text or JSON
)

// spend counts work; false where there was too much of it.
func (s *scope) spend(n int) bool {
	s.work += n
	return s.work <= cmp.Or(s.most, maxWork)
}

func (s *scope) tooMuch(e *exprError) value { return s.tooLong(e) }

func (s *scope) tooLong(e *exprError) value {
	if s.err == nil {
		s.limit = true
	}
	return s.raise(e)
}

// textOperand compiles an operand that must be text.
func (c *compiler) textOperand(n ast.Node) eval {
	x := c.node(n)
	if !x.any() && x.class != isText && x.class != isNull {
		c.fail(n, "text is needed here, and this is %s: use text()", x.class)
	}
	eval, wrong, long := c.used(n, x), errorAt(c.source, n, "text is needed here"), errorAt(c.source, n, tooMuch)
	return func(s *scope) value {
		v := eval(s)
		if v.class != isText && v.class != isNull {
			return s.raise(wrong)
		}
		if !s.spend(len(v.s)) {
			return s.tooMuch(long)
		}
		return v
	}
}

func (c *compiler) textTest(x *ast.BinaryNode) code {
	l, r := c.textOperand(x.Left), c.textOperand(x.Right)
	test := strings.Contains
	switch x.Operator {
	case "startsWith":
		test = strings.HasPrefix
	case "endsWith":
		test = strings.HasSuffix
	}
	return code{class: isBool, eval: func(s *scope) value {
		a, b := l(s), r(s)
		return boolean(a.class == isText && b.class == isText && test(a.s, b.s))
	}}
}

// matches compiles a test against a regular expression, which takes time proportional to the text (RE2).
func (c *compiler) matches(x *ast.BinaryNode) code {
	l := c.textOperand(x.Left)
	pattern, ok := x.Right.(*ast.StringNode)
	if !ok {
		return c.fail(x, "behind matches stands a regular expression in quotes")
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		return c.fail(x.Right, "%v", err)
	}
	long := errorAt(c.source, x, tooMuch)
	return code{class: isBool, eval: func(s *scope) value {
		a := l(s)
		if !s.spend(regexWork * len(a.s)) {
			return s.tooMuch(long)
		}
		return boolean(a.class == isText && re.MatchString(a.s))
	}}
}
