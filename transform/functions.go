package transform

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// function is one that expressions may call.
type function struct {
	least, most int
	build       func(c *compiler, n ast.Node, args []ast.Node) code
}

// functions gives what there is, by name. docs/transforms.md lists them.
func functions() map[string]function {
	return map[string]function{
		"absent":  {1, 1, buildAbsent},
		"len":     {1, 1, buildLen},
		"lower":   {1, 1, textFunction(strings.ToLower)},
		"upper":   {1, 1, textFunction(strings.ToUpper)},
		"trim":    {1, 1, textFunction(strings.TrimSpace)},
		"substr":  {2, 3, buildSubstr},
		"replace": {3, 3, buildReplace},
		"text":    {1, 1, buildText},
		"number":  {1, 1, buildNumber},
		"abs":     {1, 1, buildAbs},
		"round":   {1, 2, buildRound},
		"date":    {1, 1, buildDate},
		"year":    {1, 1, datePart(func(v value) int { return v.civil().Year })},
		"month":   {1, 1, datePart(func(v value) int { return v.civil().Month })},
		"day":     {1, 1, datePart(func(v value) int { return v.civil().Day })},
		"hour":    {1, 1, datePart(func(v value) int { return v.civil().Hour })},
		"json":    {2, 2, buildJSON},
		"has":     {2, 2, buildHas},
	}
}

func (c *compiler) call(n ast.Node, name string, args []ast.Node) code {
	all := functions()
	f, ok := all[name]
	if !ok {
		names := make([]string, 0, len(all))
		for k := range all {
			names = append(names, k)
		}
		sort.Strings(names)
		return c.fail(n, "there is no function %q; there are %s", name, strings.Join(names, ", "))
	}
	if len(args) < f.least || len(args) > f.most {
		return c.fail(n, "%s takes %d to %d arguments, not %d", name, f.least, f.most, len(args))
	}
	return f.build(c, n, args)
}

// buildAbsent asks whether the row image holds a column: the only thing that may be done with one that it does not.
func buildAbsent(c *compiler, n ast.Node, args []ast.Node) code {
	x := c.node(args[0])
	if !x.column {
		return c.fail(n, "absent() is asked of a column, as in absent(before.name)")
	}
	return code{class: isBool, eval: func(s *scope) value { return boolean(x.eval(s).class == isAbsent) }}
}

func buildLen(c *compiler, _ ast.Node, args []ast.Node) code {
	in := c.textOperand(args[0])
	return code{class: isInt, eval: func(s *scope) value {
		v := in(s)
		if v.class != isText {
			return null()
		}
		return integer(int64(utf8.RuneCountInString(v.s)))
	}}
}

// textFunction makes a function of one text, whose result is about as long.
func textFunction(f func(string) string) func(*compiler, ast.Node, []ast.Node) code {
	return func(c *compiler, n ast.Node, args []ast.Node) code {
		in, long, much := c.textOperand(args[0]), errorAt(c.source, n, tooLong), errorAt(c.source, n, tooMuch)
		return code{class: isText, eval: func(s *scope) value {
			v := in(s)
			if v.class != isText {
				return null()
			}
			if len(v.s) > maxResult {
				return s.tooLong(long)
			}
			if !s.spend(madeWork * len(v.s)) {
				return s.tooMuch(much)
			}
			return text(f(v.s))
		}}
	}
}

// numberOperand compiles an operand that must be a number.
func (c *compiler) numberOperand(n ast.Node) eval {
	x := c.node(n)
	if !x.any() && !x.class.number() && x.class != isNull {
		c.fail(n, "a number is needed here, and this is %s", x.class)
	}
	eval, wrong := c.used(n, x), errorAt(c.source, n, "a number is needed here")
	return func(s *scope) value {
		v := eval(s)
		if !v.class.number() && v.class != isNull {
			return s.raise(wrong)
		}
		return v
	}
}

// buildSubstr takes characters from a place, counted from 1 as in SQL; a negative place counts from the end.
func buildSubstr(c *compiler, _ ast.Node, args []ast.Node) code {
	in, from := c.textOperand(args[0]), c.numberOperand(args[1])
	length := func(*scope) value { return integer(1 << 40) }
	if len(args) == 3 {
		length = c.numberOperand(args[2])
	}
	return code{class: isText, eval: func(s *scope) value {
		v, f, l := in(s), from(s), length(s)
		if v.class != isText || f.class != isInt || l.class != isInt {
			return null()
		}
		chars := int64(utf8.RuneCountInString(v.s))
		start, count := int64(f.n), int64(l.n)
		if start < 0 {
			start += chars + 1
		}
		if start < 1 || start > chars || count <= 0 {
			return text("")
		}
		return text(cutRunes(v.s, start-1, count))
	}}
}

func cutRunes(s string, skip, count int64) string {
	from, to := len(s), len(s)
	var i int64
	for at := range s {
		if i == skip {
			from = at
		}
		if i == skip+count {
			to = at
			break
		}
		i++
	}
	return s[from:to]
}

func buildReplace(c *compiler, n ast.Node, args []ast.Node) code {
	in, from, to := c.textOperand(args[0]), c.textOperand(args[1]), c.textOperand(args[2])
	long, much := errorAt(c.source, n, tooLong), errorAt(c.source, n, tooMuch)
	return code{class: isText, eval: func(s *scope) value {
		v, f, t := in(s), from(s), to(s)
		if v.class != isText || f.class != isText || t.class != isText {
			return null()
		}
		if f.s == "" {
			return v
		}
		if len(t.s) > len(f.s) && len(v.s)+strings.Count(v.s, f.s)*(len(t.s)-len(f.s)) > maxResult {
			return s.tooLong(long)
		}
		if !s.spend(madeWork * (len(v.s) + strings.Count(v.s, f.s)*max(0, len(t.s)-len(f.s)))) {
			return s.tooMuch(much)
		}
		return text(strings.ReplaceAll(v.s, f.s, t.s))
	}}
}

// buildText makes text of any value, as SELECT prints it.
func buildText(c *compiler, _ ast.Node, args []ast.Node) code {
	x := c.node(args[0])
	in := c.used(args[0], x)
	return code{class: isText, eval: func(s *scope) value {
		v := in(s)
		switch v.class {
		case isNull:
			return v
		case isText, isJSON, isDecimal:
			return text(v.s)
		}
		start := len(s.buf)
		s.buf = appendValue(s.buf, v)
		return text(viewString(s.buf[start:]))
	}}
}

// buildNumber reads a number from text; text that is none is an error of the row.
func buildNumber(c *compiler, n ast.Node, args []ast.Node) code {
	x := c.node(args[0])
	in, wrong := c.used(args[0], x), errorAt(c.source, n, "this text is no number")
	if x.fixed != nil && x.class == isText && !isDecimalText(x.fixed.s) {
		return c.fail(n, "%q is no number", x.fixed.s)
	}
	return code{class: isDecimal, eval: func(s *scope) value {
		v := in(s)
		switch {
		case v.class == isNull || v.class.number():
			return v
		case v.class == isText && isDecimalText(v.s) && len(v.s) <= maxNumber:
			return value{class: isDecimal, s: v.s}
		}
		return s.raise(wrong)
	}}
}

func buildAbs(c *compiler, _ ast.Node, args []ast.Node) code {
	in := c.numberOperand(args[0])
	return code{class: isDecimal, eval: func(s *scope) value {
		v := in(s)
		if v.class != isNull && compareNumbers(v, integer(0)) < 0 {
			v, _ = arithmetic('-', integer(0), v)
		}
		return v
	}}
}

// buildRound rounds to digits behind the point, half away from zero as the server does with DECIMAL.
func buildRound(c *compiler, n ast.Node, args []ast.Node) code {
	in, digits := c.numberOperand(args[0]), constant(integer(0)).eval
	if len(args) == 2 {
		digits = c.numberOperand(args[1])
	}
	wrong := errorAt(c.source, n, "round() takes 0 to 30 digits")
	return code{class: isDecimal, eval: func(s *scope) value {
		v, d := in(s), digits(s)
		switch {
		case v.class == isNull || d.class == isNull || v.class == isInt || v.class == isUint:
			return v
		case d.class != isInt || d.n > 30:
			return s.raise(wrong)
		case v.class == isFloat:
			return value{class: isDecimal, s: rescale(floatDigits(v.f), int(d.n))}
		}
		return value{class: isDecimal, s: rescale(v.s, int(d.n))}
	}}
}

// buildDate reads a date or a date and time.
func buildDate(c *compiler, n ast.Node, args []ast.Node) code {
	x := c.node(args[0])
	in, wrong := c.used(args[0], x), errorAt(c.source, n, "this is not a date as 2006-01-02 or 2006-01-02 15:04:05")
	if x.fixed != nil && x.class == isText {
		v, ok := parseDate(x.fixed.s)
		if !ok {
			return c.fail(n, "%q is not a date as 2006-01-02 or 2006-01-02 15:04:05", x.fixed.s)
		}
		return constant(v)
	}
	return code{class: isDateTime, eval: func(s *scope) value {
		v := in(s)
		switch {
		case v.class == isNull:
			return v
		case v.class.date():
			u := v.civil()
			u.Hour, u.Minute, u.Second, u.Micro = 0, 0, 0, 0
			return value{class: isDate, n: u.Pack()}
		case v.class == isText:
			if d, ok := parseDate(v.s); ok {
				return d
			}
		}
		return s.raise(wrong)
	}}
}

func datePart(part func(value) int) func(*compiler, ast.Node, []ast.Node) code {
	return func(c *compiler, n ast.Node, args []ast.Node) code {
		x := c.node(args[0])
		if !x.any() && !x.class.date() && x.class != isNull {
			return c.fail(n, "a date is needed here, and this is %s: use date()", x.class)
		}
		in, wrong := c.used(args[0], x), errorAt(c.source, n, "a date is needed here")
		return code{class: isInt, eval: func(s *scope) value {
			v := in(s)
			switch {
			case v.class == isNull:
				return v
			case !v.class.date():
				return s.raise(wrong)
			}
			return integer(int64(part(v)))
		}}
	}
}

// buildJSON takes a part of a document: text, a number, a condition or nil; objects and lists come as their text. What is not there is nil.
func buildJSON(c *compiler, n ast.Node, args []ast.Node) code {
	x := c.node(args[0])
	if !x.any() && x.class != isJSON && x.class != isText && x.class != isNull {
		return c.fail(n, "json() takes a JSON column or text, and this is %s", x.class)
	}
	lit, ok := args[1].(*ast.StringNode)
	if !ok {
		return c.fail(n, "the path is written in quotes, as in json(row.doc, \"$.name\")")
	}
	path, err := parsePath(lit.Value)
	if err != nil {
		return c.fail(args[1], "%v", err)
	}
	in, wrong, long := c.used(args[0], x), errorAt(c.source, n, "this is not JSON"), errorAt(c.source, n, tooMuch)
	return code{eval: func(s *scope) value {
		v := in(s)
		if v.class == isNull {
			return v
		}
		if v.class != isJSON && v.class != isText {
			return s.raise(wrong)
		}
		if !s.spend(len(v.s)) {
			return s.tooMuch(long)
		}
		out, ok := path.find(v.s)
		if !ok {
			return s.raise(wrong)
		}
		return out
	}}
}

// buildHas asks whether a SET, or any text of names with commas between, has a member.
func buildHas(c *compiler, _ ast.Node, args []ast.Node) code {
	in, member := c.textOperand(args[0]), c.textOperand(args[1])
	return code{class: isBool, eval: func(s *scope) value {
		v, m := in(s), member(s)
		if v.class != isText || m.class != isText || v.s == "" {
			return boolean(false)
		}
		for rest := v.s; ; {
			name, more, ok := strings.Cut(rest, ",")
			if name == m.s {
				return boolean(true)
			}
			if !ok {
				return boolean(false)
			}
			rest = more
		}
	}}
}
