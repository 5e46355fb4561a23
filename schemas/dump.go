package schemas

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/gtid"
)

// DumpOptions say how a dump is to be read.
type DumpOptions struct {
	// Flavor and Version are of the server that the dump was made of. A Version of 0 takes both from the dump's own head.
	Flavor  gtid.Flavor
	Version uint32
	// Database is where tables belong that stand before the first USE, as in a dump of a single database.
	Database string
	// FoldNames is as in Catalog.
	FoldNames bool
}

// maxDumpStatement bounds a statement of a dump that is kept, in bytes. Rows are not kept.
const maxDumpStatement = 16 << 20

// ParseDump reads the output of mysqldump or mariadb-dump, or any run of CREATE statements, and gives an entry for each database and each
// table that is there at its end. Rows, triggers, routines and views are passed over as they are read: memory is bounded by the longest
// CREATE statement. An error is a fault.SchemaDumpInvalid with the line, or that of the reader.
func ParseDump(r io.Reader, o DumpOptions) ([]Entry, error) {
	d := dump{in: bufio.NewReaderSize(r, 1<<16), line: 1, delimiter: ";", options: o}
	if o.Version != 0 {
		d.begin(o.Flavor, o.Version)
	}
	for {
		text, line, err := d.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if strings.TrimSpace(text) != "" {
			if err := d.statement(text, line); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) {
			return d.entries(), nil
		}
	}
}

type dump struct {
	in        *bufio.Reader
	line      int
	delimiter string
	options   DumpOptions
	catalog   *Catalog
	st        Statement
	buf       []byte
}

func (d *dump) begin(flavor gtid.Flavor, version uint32) {
	if d.catalog != nil {
		return
	}
	d.catalog = NewCatalog(flavor, version)
	d.catalog.FoldNames = d.options.FoldNames
	d.catalog.Replay(&Entry{Kind: PutDatabase}) // nothing else exists
	d.st = Statement{Database: d.options.Database, Flavor: flavor, Version: version}
}

var dumpVersion = regexp.MustCompile(`(\d+)\.(\d+)\.(\d+)`)

// head learns from a comment what server the dump is of.
func (d *dump) head(comment string) {
	if d.catalog != nil || !strings.HasPrefix(comment, "-- Server version") {
		return
	}
	m := dumpVersion.FindStringSubmatch(comment)
	if m == nil {
		return
	}
	var v uint32
	for _, part := range m[1:] {
		n, _ := strconv.ParseUint(part, 10, 16)
		v = v*100 + uint32(min(n, 99))
	}
	flavor := gtid.MySQL
	if strings.Contains(comment, "MariaDB") {
		flavor = gtid.MariaDB
	}
	d.begin(flavor, v)
}

// next gives the next statement and the line where it begins. Of INSERT and REPLACE it gives nothing.
func (d *dump) next() (string, int, error) {
	d.buf = d.buf[:0]
	start := 0
	skip := false
	quote := byte(0)
	for {
		c, err := d.in.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && quote != 0 {
				return "", 0, d.fault(start, "a quote has no end")
			}
			if skip {
				return "", start, err
			}
			return string(d.buf), start, err
		}
		if c == '\n' {
			d.line++
		}
		if quote == 0 && len(d.buf) == 0 && !skip {
			if isSpace(c) {
				continue
			}
			start = d.line
		}
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' && d.st.SQLMode&modeNoBackslashEscapes == 0 {
				d.keep(c, skip)
				if c, err = d.in.ReadByte(); err != nil {
					continue
				}
				if c == '\n' {
					d.line++
				}
			} else if c == quote {
				quote = 0 // a doubled quote opens the next one at once
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '#' || c == '-' && d.comes("- ", "-\n", "-\t", "-\r"):
			if err := d.comment(c); err != nil && !errors.Is(err, io.EOF) {
				return "", start, err
			}
			c = '\n'
		case c == '/' && d.comes("*") && !d.comes("*!", "*M!"):
			if err := d.block(); err != nil {
				return "", start, err
			}
			c = ' '
		case c == d.delimiter[0] && d.comes(d.delimiter[1:]):
			_, _ = d.in.Discard(len(d.delimiter) - 1)
			if skip {
				return "", start, nil
			}
			return string(d.buf), start, nil
		}
		d.keep(c, skip)
		if !skip && len(d.buf) == 10 && quote == 0 {
			if word := strings.ToUpper(string(d.buf[:10])); word == "DELIMITER " {
				line, err := d.in.ReadString('\n')
				d.line++
				if d.delimiter = strings.TrimSpace(line); d.delimiter == "" {
					return "", start, d.fault(start, "DELIMITER without one")
				}
				return "", start, err
			}
		}
		if n := len(d.buf); !skip && (n == 7 || n == 8) && isSpace(c) {
			if word := strings.ToUpper(string(d.buf[:n-1])); word == "INSERT" || word == "REPLACE" {
				skip = true
				d.buf = d.buf[:0]
			}
		}
		if len(d.buf) > maxDumpStatement {
			return "", start, d.fault(start, "a statement of more than %d bytes", maxDumpStatement)
		}
	}
}

func (d *dump) keep(c byte, skip bool) {
	if !skip {
		d.buf = append(d.buf, c)
	}
}

// comes reports whether one of the texts comes next.
func (d *dump) comes(texts ...string) bool {
	for _, t := range texts {
		if next, err := d.in.Peek(len(t)); err == nil && string(next) == t {
			return true
		}
	}
	return false
}

// comment passes a comment up to the end of the line.
func (d *dump) comment(first byte) error {
	head := []byte{first}
	for {
		c, err := d.in.ReadByte()
		if err != nil {
			return err
		}
		if c == '\n' {
			d.line++
			d.head(string(head))
			return nil
		}
		if len(head) < 200 {
			head = append(head, c)
		}
	}
}

// block passes a comment that is not executable.
func (d *dump) block() error {
	star := false
	_, _ = d.in.Discard(1)
	for {
		c, err := d.in.ReadByte()
		if err != nil {
			return d.fault(d.line, "a comment has no end")
		}
		if c == '\n' {
			d.line++
		}
		if c == '/' && star {
			return nil
		}
		star = c == '*'
	}
}

func (d *dump) fault(line int, format string, args ...any) error {
	return fault.New(fault.SchemaDumpInvalid, format, args...).At(fault.Where{Line: line})
}

// statement interprets one statement.
func (d *dump) statement(text string, line int) error {
	if d.catalog == nil {
		return d.fault(line, "the dump does not say of which server it is (-- Server version ..), and nothing else does")
	}
	d.st.Text = text
	var p parser
	p.start(&d.st, d.st.Flavor, d.st.Version)
	switch {
	case p.accept("USE"):
		if d.st.Database = p.ident(); p.err != nil {
			return d.fault(line, "USE: %w", p.err)
		}
		return nil
	case p.accept("SET"):
		d.set(&p)
		return nil
	}
	ddl, err := d.catalog.Apply(&d.st)
	if err != nil {
		return d.fault(line, "%w", err)
	}
	for _, n := range ddl.Names {
		if n.Database == "" && (ddl.Kind == CreateTable || ddl.Kind == AlterTable || ddl.Kind == Unparsed) {
			return d.fault(line, "the table %s stands before any USE: name its database", n.Table)
		}
	}
	for i := range ddl.Entries {
		if e := &ddl.Entries[i]; e.Kind == ForgetTable {
			return d.fault(line, "the table %s: %s", e.Name, e.Reason)
		}
	}
	return nil
}

// set looks for SQL_MODE, which changes how the rest reads.
func (d *dump) set(p *parser) {
	for !p.eof() {
		if !p.accept("SQL_MODE") {
			p.advance()
			continue
		}
		if p.punct(':'); !p.punct('=') || p.tok.kind != tokString {
			continue
		}
		d.st.SQLMode = 0
		for _, mode := range strings.Split(strings.ToUpper(p.tok.text), ",") {
			switch strings.TrimSpace(mode) {
			case "ANSI_QUOTES", "ANSI", "ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL":
				d.st.SQLMode |= modeANSIQuotes
			case "NO_BACKSLASH_ESCAPES":
				d.st.SQLMode |= modeNoBackslashEscapes
			}
		}
	}
}

// entries gives what is there at the end.
func (d *dump) entries() []Entry {
	if d.catalog == nil {
		return nil
	}
	var out []Entry
	for _, db := range d.catalog.Databases() {
		cs, coll, _ := d.catalog.Database(db)
		out = append(out, Entry{Kind: PutDatabase, Name: Name{Database: db}, Charset: cs, Collation: coll})
	}
	for _, n := range d.catalog.Names() {
		if t, state := d.catalog.Table(n.Database, n.Table); state == Known {
			copied := *t
			copied.Origin = FromDump
			out = append(out, Entry{Kind: PutTable, Name: n, Table: &copied})
		}
	}
	return out
}

// String gives the kind's name.
func (k EntryKind) String() string {
	switch k {
	case PutTable:
		return "put table"
	case DropTable:
		return "drop table"
	case ForgetTable:
		return "forget table"
	case PutDatabase:
		return "put database"
	case DropDatabase:
		return "drop database"
	default:
		return fmt.Sprintf("entry kind %d", uint8(k))
	}
}
