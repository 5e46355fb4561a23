package schemas

import (
	"fmt"
	"strconv"
	"strings"

	"cdc/gtid"
)

// parser reads statements. It looks one token ahead. The first thing that is not understood sticks in err, and everything after it is read as
// the end of the statement.
type parser struct {
	lexer
	tok  token // the next token
	last int   // where the one before it ends
	err  error
	// implicitTimestamp is explicit_defaults_for_timestamp=OFF: a TIMESTAMP is NOT NULL unless it says otherwise.
	implicitTimestamp bool

	noted *notes // where names stand, for Outline; nil where nobody asks
}

func (p *parser) start(st *Statement, flavor gtid.Flavor, version uint32) {
	p.lexer = lexer{src: st.Text, mode: st.SQLMode, flavor: flavor, version: version}
	p.tok = p.next()
}

func (p *parser) maria() bool { return p.flavor == gtid.MariaDB }

// mysql reports MySQL of at least a version.
func (p *parser) mysql(version uint32) bool { return p.flavor == gtid.MySQL && p.version >= version }

func (p *parser) advance() token {
	t := p.tok
	p.last = t.end
	p.tok = p.next()
	return t
}

// fail records that the statement is not understood. The message says what was met.
func (p *parser) fail(format string, args ...any) {
	if p.err != nil {
		return
	}
	what := fmt.Sprintf(format, args...)
	near := p.src[min(p.tok.start, len(p.src)):]
	if len(near) > 60 {
		near = strings.ToValidUTF8(near[:60], "") + "..."
	}
	if near == "" {
		near = "the end"
	}
	p.err = fmt.Errorf("%s near %q", what, near)
	p.tok = token{start: len(p.src), end: len(p.src)}
	p.pos = len(p.src)
}

// doubt is fail for what reads well, but of which it is not known what a server makes of it.
func (p *parser) doubt(format string, args ...any) {
	if p.noted == nil {
		p.fail(format, args...)
	}
}

// mark and reset are for the few places where more than one token must be looked at.
type mark struct {
	lexer lexer
	tok   token
	last  int
	refs  int
}

func (p *parser) mark() mark {
	m := mark{lexer: p.lexer, tok: p.tok, last: p.last}
	if p.noted != nil {
		m.refs = len(p.noted.refs)
	}
	return m
}

func (p *parser) reset(m mark) {
	if p.err == nil {
		p.lexer, p.tok, p.last = m.lexer, m.tok, m.last
		if p.noted != nil {
			p.noted.refs = p.noted.refs[:m.refs]
		}
	}
}

func (p *parser) eof() bool { return p.tok.kind == tokEOF }

// is reports whether the next token is the keyword, given in upper case.
func (p *parser) is(word string) bool { return p.tok.kind == tokWord && sameWord(p.tok.text, word) }

func (p *parser) isAny(words ...string) bool {
	for _, w := range words {
		if p.is(w) {
			return true
		}
	}
	return false
}

// accept passes the keywords if they come next in this order.
func (p *parser) accept(words ...string) bool {
	if !p.is(words[0]) {
		return false
	}
	m := p.mark()
	p.advance()
	for _, w := range words[1:] {
		if !p.is(w) {
			p.reset(m)
			return false
		}
		p.advance()
	}
	return true
}

func (p *parser) acceptAny(words ...string) bool {
	if p.isAny(words...) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expect(words ...string) {
	if !p.accept(words...) {
		p.fail("%s expected", strings.Join(words, " "))
	}
}

func (p *parser) isPunct(c byte) bool { return p.tok.kind == tokPunct && p.tok.text[0] == c }

func (p *parser) punct(c byte) bool {
	if p.isPunct(c) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expectPunct(c byte) {
	if !p.punct(c) {
		p.fail("%q expected", c)
	}
}

// peek gives the token behind the next one.
func (p *parser) peek() token {
	l := p.lexer
	return l.next()
}

// ident reads an identifier. Keywords count as such: the server has checked that the statement is sound.
func (p *parser) ident() string {
	if p.tok.kind != tokWord && p.tok.kind != tokQuoted {
		p.fail("a name expected")
		return ""
	}
	return p.advance().text
}

// name reads the name of a table that the statement is about, with or without its database.
func (p *parser) name(db string) Name { return p.nameAs(RefObject, db) }

// nameAs reads a table's name, and notes where it stands.
func (p *parser) nameAs(role Role, db string) Name {
	from := p.tok.start
	n := p.dotted(db)
	if p.err == nil {
		p.noted.ref(Ref{From: from, To: p.last, Name: n, Role: role})
	}
	return n
}

// database reads the name of a database, and notes where it stands.
func (p *parser) database() string {
	from := p.tok.start
	db := p.ident()
	if p.err == nil {
		p.noted.ref(Ref{From: from, To: p.last, Name: Name{Database: db}})
	}
	return db
}

// dotted reads a name of one part or two.
func (p *parser) dotted(db string) Name {
	if p.isPunct('.') { // .t is t
		p.advance()
		return Name{db, p.afterDot()}
	}
	first := p.ident()
	if p.tok.kind == tokNumber && p.tok.start == p.last && strings.HasPrefix(p.tok.text, ".") {
		return Name{first, p.afterDot()}
	}
	if p.isPunct('.') {
		p.dot()
		return Name{first, p.afterDot()}
	}
	return Name{db, first}
}

// dot passes a dot. What stands directly behind it is an identifier even where it looks like a number.
func (p *parser) dot() {
	p.last = p.tok.end
	if l := &p.lexer; isIdent(l.at(l.pos)) {
		start := l.pos
		for l.pos < len(l.src) && isIdent(l.src[l.pos]) {
			l.pos++
		}
		p.tok = token{kind: tokWord, text: l.src[start:l.pos], start: start, end: l.pos}
		return
	}
	p.tok = p.next()
}

// afterDot reads the second part of a name; `.1a` is read by the lexer as a number or the start of one.
func (p *parser) afterDot() string {
	if p.tok.kind == tokNumber {
		start := p.tok.start
		if p.src[start] == '.' {
			start++
		}
		end := start
		for end < len(p.src) && isIdent(p.src[end]) {
			end++
		}
		p.pos = end
		p.last = end
		p.tok = p.next()
		return p.src[start:end]
	}
	return p.ident()
}

// parens passes a group in parentheses, with all that is in it.
func (p *parser) parens() {
	if !p.isPunct('(') {
		p.fail("( expected")
		return
	}
	depth := 0
	for !p.eof() {
		switch {
		case p.isPunct('('):
			depth++
		case p.isPunct(')'):
			depth--
			if depth == 0 {
				p.advance()
				return
			}
		case p.sequence():
			continue
		}
		p.advance()
	}
	p.fail(") expected")
}

// sequence reads NEXT VALUE FOR and NEXTVAL( of MariaDB with the name behind them, where somebody wants to know names.
func (p *parser) sequence() bool {
	if p.noted == nil || p.tok.kind != tokWord || !p.maria() {
		return false
	}
	switch {
	case p.accept("NEXT", "VALUE", "FOR"), p.accept("PREVIOUS", "VALUE", "FOR"):
		p.nameAs(RefSequence, "")
		return true
	case p.isAny("NEXTVAL", "LASTVAL") && p.peek().text == "(":
		p.advance()
		p.advance()
		p.nameAs(RefSequence, "")
		p.expectPunct(')')
		return true
	}
	return false
}

// number reads an unsigned integer of at most 32 bits; larger ones become the largest.
func (p *parser) uint() uint32 {
	if p.tok.kind != tokNumber {
		p.fail("a number expected")
		return 0
	}
	t := p.advance()
	n, err := strconv.ParseUint(t.text, 10, 32)
	if err != nil && n == 0 {
		p.fail("a whole number expected")
	}
	return uint32(n)
}

// end passes the end of the statement.
func (p *parser) end() {
	for p.punct(';') {
	}
	if !p.eof() {
		p.fail("the end of the statement expected")
	}
	if p.broken && p.err == nil {
		p.fail("a quote or a comment has no end")
	}
	if p.inside && p.err == nil {
		p.skipSpace()
	}
}

// ifExists and ifNotExists read the optional phrases.
func (p *parser) ifExists() bool    { return p.accept("IF", "EXISTS") }
func (p *parser) ifNotExists() bool { return p.accept("IF", "NOT", "EXISTS") }

// text reads a string or hexadecimal literal as a string.
func (p *parser) text() string {
	switch p.tok.kind {
	case tokString, tokHex, tokBit:
		return p.advance().text
	default:
		p.fail("a string expected")
		return ""
	}
}
