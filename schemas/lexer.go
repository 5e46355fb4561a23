package schemas

import (
	"strings"
	"unicode/utf8"

	"cdc/gtid"
)

// Bits of sql_mode that change how a statement reads, numbered as in the query event's status variable Q_SQL_MODE_CODE.
const (
	modeRealAsFloat        = 1 << 0
	modeANSIQuotes         = 1 << 2
	modeOracle             = 1 << 9 // MariaDB; MySQL up to 5.7 has the bit too, but reads nothing in another way for it
	modeMaxDB              = 1 << 12
	modeNoBackslashEscapes = 1 << 20
	modeUTF8MB4            = 1 << 33 // INTERPRET_UTF8_AS_UTF8MB4 of MySQL 9; in MariaDB the bit is SIMULTANEOUS_ASSIGNMENT
)

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokWord             // an identifier or keyword without quotes
	tokQuoted           // an identifier in quotes
	tokString           // a character string; also N'..' and _charset'..'
	tokNumber           //
	tokHex              // X'..', 0x..: text is the bytes
	tokBit              // b'..', 0b..: text is the bytes
	tokPunct            // one byte of anything else
)

// token is one lexical element. Its text is the value: unquoted, unescaped.
type token struct {
	kind       tokenKind
	text       string
	charset    string // of a string with an introducer
	start, end int    // in the source
}

// lexer splits a statement into tokens the way the servers' lexers do (sql_lex.cc): it looks into executable comments where the server that
// wrote the statement did. It is a small value: copying it is a bookmark.
type lexer struct {
	src     string
	pos     int
	mode    uint64
	flavor  gtid.Flavor
	version uint32
	inside  bool // an executable comment is open
	broken  bool // a quote or comment has no end: what follows is not read
}

func isDigit(b byte) bool { return b-'0' <= 9 }

func isSpace(b byte) bool { return b == ' ' || b-'\t' <= '\r'-'\t' }

func isIdent(b byte) bool {
	return isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z' || b == '_' || b == '$' || b >= utf8.RuneSelf
}

func isHex(b byte) bool { return isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'f' }

func (l *lexer) at(i int) byte {
	if i < len(l.src) {
		return l.src[i]
	}
	return 0
}

// skipSpace passes white space and comments.
func (l *lexer) skipSpace() {
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case isSpace(c):
			l.pos++
		case c == '#':
			l.skipLine()
		case c == '-' && l.at(l.pos+1) == '-' && (l.pos+2 >= len(l.src) || l.src[l.pos+2] <= ' ' || l.src[l.pos+2] == 0x7f):
			l.skipLine()
		case c == '/' && l.at(l.pos+1) == '*':
			l.openComment()
		case c == '*' && l.at(l.pos+1) == '/' && l.inside:
			l.inside = false
			l.pos += 2
		default:
			return
		}
	}
}

func (l *lexer) skipLine() {
	if i := strings.IndexByte(l.src[l.pos:], '\n'); i >= 0 {
		l.pos += i + 1
	} else {
		l.pos = len(l.src)
	}
}

// openComment passes a comment, or only its opening where the server executes what is in it. MySQL Reference Manual, "Comments"; MariaDB
// documentation, "Comment Syntax".
func (l *lexer) openComment() {
	at := l.pos + 2
	maria := false
	if l.flavor == gtid.MariaDB && l.at(at) == 'M' && l.at(at+1) == '!' {
		maria = true
		at++
	}
	if l.at(at) != '!' || l.inside {
		l.pos += 2
		l.skipComment(false)
		return
	}
	at++
	digits := 0
	for digits < 6 && isDigit(l.at(at+digits)) {
		digits++
	}
	if digits == 6 && l.flavor == gtid.MySQL && l.version < 80000 {
		digits = 5
	}
	if digits >= 5 {
		var v uint32
		for i := range digits {
			v = v*10 + uint32(l.src[at+i]-'0')
		}
		// MariaDB leaves alone what is meant for a MySQL that it never was.
		foreign := l.flavor == gtid.MariaDB && !maria && v >= 50700 && v <= 99999
		if v > l.version || foreign {
			l.pos = at
			l.skipComment(true)
			return
		}
		at += digits
	}
	l.inside = true
	l.pos = at
}

// skipComment passes the rest of a comment. One that is executable but not executed may hold comments of its own.
func (l *lexer) skipComment(nested bool) {
	for l.pos < len(l.src) {
		switch {
		case l.src[l.pos] == '*' && l.at(l.pos+1) == '/':
			l.pos += 2
			return
		case nested && l.src[l.pos] == '/' && l.at(l.pos+1) == '*':
			l.pos += 2
			l.skipComment(false)
		default:
			l.pos++
		}
	}
	l.broken = true
}

// next gives the next token.
func (l *lexer) next() token {
	l.skipSpace()
	t := token{start: l.pos}
	if l.broken || l.pos >= len(l.src) {
		l.pos = len(l.src)
		t.start, t.end = l.pos, l.pos
		return t
	}
	c := l.src[l.pos]
	switch {
	case c == '`', c == '"' && l.mode&modeANSIQuotes != 0:
		t.kind, t.text = tokQuoted, l.quoted(c, false)
	case c == '\'', c == '"':
		t.kind, t.text = tokString, l.strings(c)
	case (c == 'x' || c == 'X') && l.at(l.pos+1) == '\'':
		l.pos++
		t.kind, t.text = tokHex, fromHex(l.quoted('\'', false))
	case (c == 'b' || c == 'B') && l.at(l.pos+1) == '\'':
		l.pos++
		t.kind, t.text = tokBit, fromBits(l.quoted('\'', false))
	case (c == 'n' || c == 'N') && l.at(l.pos+1) == '\'':
		l.pos++
		t.kind, t.charset, t.text = tokString, "utf8mb3", l.strings('\'')
	case isDigit(c), c == '.' && isDigit(l.at(l.pos+1)):
		l.number(&t)
	case isIdent(c):
		l.word(&t)
	default:
		t.kind, t.text = tokPunct, l.src[l.pos:l.pos+1]
		l.pos++
	}
	t.end = l.pos
	return t
}

// word reads an identifier, or a string with a character set introducer.
func (l *lexer) word(t *token) {
	start := l.pos
	for l.pos < len(l.src) && isIdent(l.src[l.pos]) {
		l.pos++
	}
	t.kind, t.text = tokWord, l.src[start:l.pos]
	if t.text[0] != '_' || len(t.text) < 2 {
		return
	}
	mark := *l
	l.skipSpace()
	switch c := l.at(l.pos); {
	case c == '\'', c == '"' && l.mode&modeANSIQuotes == 0:
		t.kind, t.charset, t.text = tokString, t.text[1:], l.strings(c)
	case (c == 'x' || c == 'X' || c == 'b' || c == 'B') && l.at(l.pos+1) == '\'', c == '0' && (l.at(l.pos+1) == 'x' || l.at(l.pos+1) == 'b'):
		value := l.next()
		t.kind, t.charset, t.text = value.kind, t.text[1:], value.text
	default:
		*l = mark
	}
}

// number reads a number, 0x.., 0b.., or an identifier that begins with digits.
func (l *lexer) number(t *token) {
	start := l.pos
	for l.pos < len(l.src) && isIdent(l.src[l.pos]) {
		l.pos++
	}
	run := l.src[start:l.pos]
	t.kind, t.text = tokNumber, run
	if len(run) > 2 && run[0] == '0' && run[1] == 'x' && all(run[2:], isHex) {
		t.kind, t.text = tokHex, fromHex(run[2:])
		return
	}
	if len(run) > 2 && run[0] == '0' && run[1] == 'b' && all(run[2:], func(b byte) bool { return b|1 == '1' }) {
		t.kind, t.text = tokBit, fromBits(run[2:])
		return
	}
	digits := 0
	for digits < len(run) && isDigit(run[digits]) {
		digits++
	}
	if digits < len(run) && !exponent(run[digits:], l.at(l.pos), l.at(l.pos+1)) {
		t.kind = tokWord
		return
	}
	if digits == len(run) && l.at(l.pos) == '.' {
		l.pos++
		for isDigit(l.at(l.pos)) {
			l.pos++
		}
		if c := l.at(l.pos); (c == 'e' || c == 'E') && (isDigit(l.at(l.pos+1)) || (l.at(l.pos+1) == '-' || l.at(l.pos+1) == '+') && isDigit(l.at(l.pos+2))) {
			l.pos++
		} else {
			t.text = l.src[start:l.pos]
			return
		}
	}
	if c := l.at(l.pos); c == '+' || c == '-' {
		if last := l.src[l.pos-1]; last|0x20 == 'e' && isDigit(l.at(l.pos+1)) {
			l.pos++
		}
	}
	for isDigit(l.at(l.pos)) {
		l.pos++
	}
	t.text = l.src[start:l.pos]
}

// exponent reports whether s, with the two bytes that follow it, is the exponent of a number.
func exponent(s string, next, after byte) bool {
	if s[0]|0x20 != 'e' {
		return false
	}
	if len(s) == 1 {
		return (next == '+' || next == '-') && isDigit(after)
	}
	return all(s[1:], isDigit)
}

func all(s string, f func(byte) bool) bool {
	for i := range len(s) {
		if !f(s[i]) {
			return false
		}
	}
	return true
}

// strings reads a string and those that follow it: 'a' 'b' is 'ab'.
func (l *lexer) strings(q byte) string {
	escapes := l.mode&modeNoBackslashEscapes == 0
	s := l.quoted(q, escapes)
	var joined []byte
	for {
		mark := *l
		l.skipSpace()
		c := l.at(l.pos)
		if l.broken || c != '\'' && (c != '"' || l.mode&modeANSIQuotes != 0) {
			*l = mark
			if joined != nil {
				return string(joined)
			}
			return s
		}
		if joined == nil {
			joined = []byte(s)
		}
		joined = append(joined, l.quoted(c, escapes)...)
	}
}

// quoted reads from one quote to the next. The quote itself is written twice, or behind a backslash where escapes says so.
func (l *lexer) quoted(q byte, escapes bool) string {
	l.pos++
	start := l.pos
	var b []byte
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case c == q && l.at(l.pos+1) == q:
			b = append(b, l.src[start:l.pos+1]...)
			l.pos += 2
			start = l.pos
		case c == q:
			s := l.src[start:l.pos]
			l.pos++
			if b == nil {
				return s
			}
			return string(append(b, s...))
		case c == '\\' && escapes && l.pos+1 < len(l.src):
			b = append(b, l.src[start:l.pos]...)
			b = unescape(b, l.src[l.pos+1])
			l.pos += 2
			start = l.pos
		default:
			l.pos++
		}
	}
	l.broken = true
	return ""
}

// unescape appends what a backslash and c stand for. MySQL Reference Manual, "String Literals".
func unescape(b []byte, c byte) []byte {
	switch c {
	case '0':
		return append(b, 0)
	case 'b':
		return append(b, '\b')
	case 'n':
		return append(b, '\n')
	case 'r':
		return append(b, '\r')
	case 't':
		return append(b, '\t')
	case 'Z':
		return append(b, 0x1a)
	case '%', '_':
		return append(b, '\\', c)
	default:
		return append(b, c)
	}
}

func fromHex(s string) string {
	b := make([]byte, 0, len(s)/2+1)
	for i := -(len(s) & 1); i < len(s); i += 2 {
		var v byte
		for j := max(i, 0); j < i+2; j++ {
			c := s[j]
			switch {
			case isDigit(c):
				v = v<<4 | (c - '0')
			case isHex(c):
				v = v<<4 | (c | 0x20 - 'a' + 10)
			}
		}
		b = append(b, v)
	}
	return string(b)
}

func fromBits(s string) string {
	b := make([]byte, (len(s)+7)/8)
	for i := range len(s) {
		if s[len(s)-1-i] == '1' {
			b[len(b)-1-i/8] |= 1 << (i % 8)
		}
	}
	return string(b)
}

// sameWord compares a word with a keyword, given in upper case, without case in ASCII.
func sameWord(s, upper string) bool {
	if len(s) != len(upper) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c-'a' < 26 {
			c -= 0x20
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
