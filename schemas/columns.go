package schemas

import "strings"

// columnDef reads a column's definition behind its name: type and attributes, up to the comma or parenthesis behind it. The position
// (FIRST, AFTER) is read too, where ALTER TABLE has one.
func (p *parser) columnDef(c *colSpec) {
	c.old = -1
	p.dataType(c)
	for p.err == nil && p.attribute(c) {
	}
	if p.err == nil && !p.eof() && !p.isPunct(',') && !p.isPunct(')') && !p.isPunct(';') && !p.isAny("PARTITION", "REMOVE") {
		p.fail("the attribute is not known")
	}
	if c.null == nullUnsaid && c.Type == Timestamp && p.implicitTimestamp {
		c.null = nullNo
	}
	if c.Generated != NotGenerated && c.Type == Timestamp && p.implicitTimestamp && !p.maria() && p.version < 80000 {
		c.null = nullNo // whatever it says
	}
	c.Nullable = c.null != nullNo && !c.primary
}

// attribute reads one attribute of a column, and says whether one was there.
func (p *parser) attribute(c *colSpec) bool {
	if p.tok.kind != tokWord {
		return false
	}
	switch {
	case p.accept("NOT", "NULL"):
		c.null = nullNo
	case p.accept("NULL"):
		c.null = nullYes
	case p.accept("NOT", "SECONDARY"):
	case p.accept("DEFAULT"):
		p.defaultValue(c)
	case p.accept("ON", "UPDATE"):
		c.defaulted = true
		p.ident()
		if p.isPunct('(') {
			p.parens()
		}
	case p.accept("AUTO_INCREMENT"):
		c.Auto, c.null = true, nullNo
	case p.accept("SERIAL", "DEFAULT", "VALUE"):
		c.Auto, c.unique, c.null = true, true, nullNo
	case p.accept("UNIQUE"):
		c.unique = true
		p.acceptAny("KEY", "INDEX")
	case p.accept("PRIMARY", "KEY"), p.accept("PRIMARY"), p.accept("KEY"):
		c.primary = true
	case p.accept("COMMENT"):
		p.punct('=')
		p.text()
	case p.accept("COLLATE"):
		p.punct('=')
		c.collation = p.charsetName()
	case p.accept("GENERATED", "ALWAYS", "AS"), p.accept("AS"):
		p.generated(c)
	case p.accept("CONSTRAINT"):
		if !p.is("CHECK") {
			p.ident()
		}
	case p.accept("CHECK"):
		p.parens()
	case p.accept("ENFORCED"), p.accept("NOT", "ENFORCED"), p.accept("VISIBLE"):
	case p.accept("INVISIBLE"):
		c.Invisible = true
	case p.accept("REFERENCES"):
		c.reference = true
		p.references()
	case p.accept("COLUMN_FORMAT"), p.accept("STORAGE"), p.accept("ENGINE_ATTRIBUTE"), p.accept("SECONDARY_ENGINE_ATTRIBUTE"), p.accept("SRID"), p.accept("REF_SYSTEM_ID"):
		p.punct('=')
		p.advance()
	case p.accept("WITH", "SYSTEM", "VERSIONING"):
		c.versioned = true
	case p.accept("WITHOUT", "SYSTEM", "VERSIONING"):
	case p.maria() && p.accept("COMPRESSED"):
		if p.punct('=') {
			p.advance()
		}
	case p.accept("FIRST"):
		c.first = true
	case p.accept("AFTER"):
		c.after = p.ident()
	case p.charAttribute(c):
	default:
		return p.engineAttribute()
	}
	return true
}

// engineAttribute passes NAME=value, which MariaDB's storage engines may define.
func (p *parser) engineAttribute() bool {
	if next := p.peek(); !p.maria() || next.kind != tokPunct || next.text != "=" {
		return false
	}
	p.advance()
	p.advance()
	p.value()
	return true
}

// value passes a literal or a word, the value of an option.
func (p *parser) value() {
	if p.isPunct('-') || p.isPunct('+') {
		p.advance()
	}
	if p.tok.kind == tokPunct || p.eof() {
		p.fail("a value expected")
		return
	}
	p.advance()
}

// defaultValue reads what follows DEFAULT.
func (p *parser) defaultValue(c *colSpec) {
	c.defaulted = true
	c.HasDefault, c.Default = false, ""
	literal := func(s string) { c.HasDefault, c.Default = true, s }
	switch {
	case p.isPunct('('):
		p.parens()
	case p.isPunct('-'), p.isPunct('+'):
		sign := p.advance().text
		if p.tok.kind != tokNumber {
			p.fail("a number expected")
			return
		}
		literal(decimalText(sign + p.advance().text))
	case p.tok.kind == tokNumber:
		literal(decimalText(p.advance().text))
	case p.tok.kind == tokString, p.tok.kind == tokHex, p.tok.kind == tokBit:
		literal(p.advance().text)
	case p.accept("NULL"):
		c.defaulted = false
	case p.accept("TRUE"):
		literal("1")
	case p.accept("FALSE"):
		literal("0")
	case p.accept("CASE"):
		p.caseExpression()
	case p.accept("NEXT", "VALUE", "FOR"), p.accept("PREVIOUS", "VALUE", "FOR"):
		p.nameAs(RefSequence, "")
	case p.sequence():
	case p.tok.kind == tokWord || p.tok.kind == tokQuoted:
		word := p.advance()
		if p.tok.kind == tokString && (sameWord(word.text, "DATE") || sameWord(word.text, "TIME") || sameWord(word.text, "TIMESTAMP")) {
			literal(p.advance().text)
			return
		}
		for p.punct('.') {
			p.ident()
		}
		if p.isPunct('(') {
			p.parens()
		}
	default:
		p.fail("a default value expected")
	}
}

// caseExpression passes CASE .. END.
func (p *parser) caseExpression() {
	for depth := 1; depth > 0; {
		switch {
		case p.eof():
			p.fail("END expected")
			return
		case p.is("CASE"):
			depth++
		case p.is("END"):
			depth--
		}
		p.advance()
	}
}

// generated reads what follows [GENERATED ALWAYS] AS.
func (p *parser) generated(c *colSpec) {
	switch {
	case p.accept("ROW", "START"):
		c.rowStart, c.null = true, nullNo
		c.Generated = Stored
		return
	case p.accept("ROW", "END"):
		c.rowEnd, c.null = true, nullNo
		c.Generated = Stored
		return
	}
	p.parens()
	c.Generated = Virtual
	switch {
	case p.accept("VIRTUAL"):
	case p.accept("STORED"), p.accept("PERSISTENT"):
		c.Generated = Stored
	}
}

// references passes what follows REFERENCES.
func (p *parser) references() {
	p.nameAs(RefParent, "")
	if p.isPunct('(') {
		p.parens()
	}
	for {
		switch {
		case p.accept("MATCH"):
			p.ident()
		case p.accept("ON", "DELETE"), p.accept("ON", "UPDATE"):
			switch {
			case p.accept("SET", "NULL"), p.accept("SET", "DEFAULT"), p.accept("NO", "ACTION"), p.accept("CASCADE"), p.accept("RESTRICT"):
			default:
				p.fail("an action expected")
				return
			}
		default:
			return
		}
	}
}

// sameName compares the names of columns and keys as the server does, without case.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }
