package schemas

import (
	"errors"
	"strings"
)

// Role says what a name does in a statement.
type Role uint8

const (
	RefObject   Role = iota // the table or database that the statement is about; what is renamed
	RefNew                  // the new name of a table, or a table that comes to be
	RefLike                 // the table of which a copy is made: CREATE TABLE .. LIKE
	RefParent               // the parent of a foreign key
	RefSequence             // a sequence in the default of a column (MariaDB)
	RefOther                // another table: EXCHANGE PARTITION, CONVERT TABLE .. TO PARTITION, UNION
)

// Ref is a name in a statement.
type Ref struct {
	From, To int // it is Outline.Text[From:To]; empty for ALTER DATABASE without a name, where one may be put
	Name     Name
	Role     Role
}

// Outline is what a statement needs to be run under other names. Names, and where they stand, are those of Text.
type Outline struct {
	// Text is the statement as the server that wrote the binlog has read it: what was in comments that it executes is in it, other comments are
	// not. So another server, of another version, reads the same.
	Text string
	Kind DDLKind
	Refs []Ref // in order; the database of each is known

	Words       []string // the first four, in upper case
	IfExists    bool     // of DROP TABLE, DROP DATABASE and RENAME TABLE
	IfNotExists bool     // of CREATE TABLE and CREATE DATABASE
	Replace     bool     // OR REPLACE

	// Of CREATE TABLE.
	Query     bool // rows come from a SELECT in it
	Rows      bool // START TRANSACTION: rows of a SELECT follow in the same transaction
	RowsAt    int  // where that stands, at the end but for spaces
	Defined   int  // where the definitions end, behind which options stand; 0 where there are none (LIKE)
	Charset   bool // its options say a CHARACTER SET or COLLATE
	OnlyUntil int  // where CHARACTER SET ends, where no COLLATE is said beside it; else 0

	Tablespace bool // of ALTER TABLE: DISCARD or IMPORT of a tablespace, which is rows that no binlog holds
	Timestamps bool // the word TIMESTAMP is in it
	// Introducers are strings of bytes beyond ASCII with a character set before them, whose bytes are those of the session's client.
	Introducers []Introducer
}

// Introducer is a string with a character set before it: _latin1'..'.
type Introducer struct {
	From, Quote, To int // Text[From:Quote] is the character set, Text[Quote:To] the string
	Charset         string
}

// notes collects what a parser meets.
type notes struct {
	refs []Ref
	out  *Outline
}

func (n *notes) ref(r Ref) {
	if n != nil {
		n.refs = append(n.refs, r)
	}
}

func (n *notes) hasQuery() {
	if n != nil {
		n.out.Query = true
	}
}

func (n *notes) defined(at int) {
	if n != nil {
		n.out.Defined = at
	}
}

func (n *notes) options(o *tableOptions) {
	if n == nil {
		return
	}
	n.out.Rows, n.out.RowsAt, n.out.Charset = o.transaction, o.transactionAt, o.said
	if o.said && o.charset != "" && o.collation == "" {
		n.out.OnlyUntil = o.charsetEnd
	}
}

var errNotRead = errors.New("a quote or a comment has no end, or a comment begins or ends inside of a string")

// ReadOutline reads a statement. The error says what of it was not understood; the outline then has Text and Words, and whatever was read of the rest.
func ReadOutline(st *Statement) (*Outline, error) {
	o := &Outline{}
	if err := o.clean(st); err != nil {
		return o, err
	}
	plain := *st
	plain.Text, plain.ErrorCode, plain.ThreadSpecific = o.Text, 0, false
	o.tokens(&plain)
	o.existence(&plain)
	// All databases are known to hold no table, so that IF NOT EXISTS does not keep it from reading on.
	c := NewCatalog(st.Flavor, st.Version)
	var x *interpreter
	for range 2 {
		x = &interpreter{catalog: c, ddl: &DDL{Statement: plain}}
		x.charsets = charsets{flavor: st.Flavor, version: st.Version, st: &x.ddl.Statement}
		x.parser.start(&plain, st.Flavor, st.Version)
		x.noted = &notes{out: o}
		x.statement()
		c = NewCatalog(st.Flavor, st.Version)
		for _, n := range x.ddl.Names {
			c.databases[n.Database] = database{}
		}
	}
	o.Kind, o.Refs = x.ddl.Kind, x.noted.refs
	if x.err == nil && x.broken {
		x.err = errNotRead
	}
	for i := range o.Refs {
		r := &o.Refs[i]
		if r.Name.Database != "" {
			continue
		}
		r.Name.Database = st.Database
		if r.Role == RefParent && o.Refs[0].Name.Table != "" { // beside its child
			r.Name.Database = o.Refs[0].Name.Database
		}
	}
	return o, x.err
}

// clean writes Text: the tokens of the statement, with a space where anything stood between them.
func (o *Outline) clean(st *Statement) error {
	l := lexer{src: st.Text, mode: st.SQLMode, flavor: st.Flavor, version: st.Version}
	var b strings.Builder
	last, gap := 0, false
	for {
		l.skipSpace()
		inside := l.inside
		t := l.next()
		if l.broken || l.inside != inside {
			return errNotRead
		}
		if t.kind == tokEOF {
			break
		}
		if t.start > last && b.Len() > 0 {
			b.WriteByte(' ')
			gap = true
		}
		if t.kind == tokPunct && t.text == ";" {
			last = t.end
			continue
		}
		if text := b.String(); t.kind == tokPunct && t.text == "-" && strings.HasSuffix(text, "-") {
			b.WriteByte(' ') // or it would begin a comment with what follows
		}
		gap = false
		b.WriteString(st.Text[t.start:t.end])
		last = t.end
	}
	o.Text = b.String()
	if gap {
		o.Text = strings.TrimRight(o.Text, " ")
	}
	return nil
}

// tokens looks for words and for strings with a character set.
func (o *Outline) tokens(st *Statement) {
	last := "" // word
	l := lexer{src: st.Text, mode: st.SQLMode, flavor: st.Flavor, version: st.Version}
	for {
		t := l.next()
		switch {
		case t.kind == tokEOF:
			return
		case t.kind == tokWord:
			if len(o.Words) < 4 {
				o.Words = append(o.Words, strings.ToUpper(t.text))
			}
			o.Tablespace = o.Tablespace || sameWord(t.text, "TABLESPACE") && (sameWord(last, "DISCARD") || sameWord(last, "IMPORT")) ||
				sameWord(t.text, "PARTITION") && (sameWord(last, "DISCARD") || sameWord(last, "IMPORT"))
			last = t.text
			o.Timestamps = o.Timestamps || sameWord(t.text, "TIMESTAMP")
		case t.kind == tokString && t.charset != "" && st.Text[t.start] == '_':
			quote := t.start + 1 + len(t.charset)
			for quote < t.end && isSpace(st.Text[quote]) {
				quote++
			}
			if strings.ContainsFunc(st.Text[quote:t.end], func(r rune) bool { return r >= 0x80 }) {
				o.Introducers = append(o.Introducers, Introducer{From: t.start, Quote: quote, To: t.end, Charset: strings.ToLower(t.charset)})
			}
		}
	}
}

// existence reads IF EXISTS, IF NOT EXISTS and OR REPLACE at the head of a statement.
func (o *Outline) existence(st *Statement) {
	var p parser
	p.start(st, st.Flavor, st.Version)
	p.toVerb()
	verb := p.advance().text
	if p.accept("OR", "REPLACE") {
		o.Replace = true
	}
	p.accept("TEMPORARY")
	p.acceptAny("TABLE", "TABLES", "SEQUENCE", "DATABASE", "SCHEMA")
	if sameWord(verb, "CREATE") {
		o.IfNotExists = p.ifNotExists()
	} else {
		o.IfExists = p.ifExists()
	}
}
