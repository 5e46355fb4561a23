package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var errNothing = errors.New("no statement to interpret, or no catalog")

// create reads what follows CREATE.
func (x *interpreter) create() {
	replace := x.accept("OR", "REPLACE")
	temporary := x.accept("TEMPORARY")
	x.acceptAny("ONLINE", "OFFLINE")
	switch {
	case x.accept("TABLE"):
		x.ddl.Kind, x.ddl.Temporary = CreateTable, temporary
		x.createTable(replace)
	case x.accept("SEQUENCE"):
		x.ddl.Kind, x.ddl.Temporary = CreateTable, temporary
		x.createSequence(replace)
	case x.acceptAny("DATABASE", "SCHEMA"):
		x.ddl.Kind = CreateDatabase
		x.createDatabase(replace)
	case x.accept("UNIQUE", "INDEX"), x.accept("UNIQUE", "KEY"):
		x.createIndex(uniqueKey, replace)
	case x.accept("FULLTEXT", "INDEX"), x.accept("SPATIAL", "INDEX"), x.accept("VECTOR", "INDEX"), x.accept("FULLTEXT", "KEY"), x.accept("SPATIAL", "KEY"),
		x.acceptAny("INDEX", "KEY"):
		x.createIndex(plainKey, replace)
	}
}

// tableOptions is what is said behind the columns of a table.
type tableOptions struct {
	charset, collation string
	said               bool // CHARACTER SET or COLLATE
	engine             string
	versioned          bool
	transaction        bool // START TRANSACTION: a CREATE .. SELECT whose rows follow as rows events
	transactionAt      int  // where it stands
	charsetEnd         int  // where the last CHARACTER SET ends
	query              bool // a SELECT, whose columns are not known
}

func (x *interpreter) createTable(replace bool) {
	quiet := x.ifNotExists()
	target := x.name(x.ddl.Database)
	if x.err != nil {
		x.ddl.Kind = Unparsed
		return
	}
	target = x.named(target)
	if x.ddl.Temporary {
		return
	}
	old, state := x.catalog.Table(target.Database, target.Table)
	if quiet && !replace && state != Unknown {
		if x.ddl.ErrorCode == 0 && (state == Forgotten || old.Origin == FromRename) {
			x.createAgain(target)
		}
		return // it exists: nothing happened
	}
	if x.ddl.ErrorCode != 0 {
		if replace && state != Unknown { // MariaDB drops the old table before it fails to make the new one, and logs that
			x.step(Entry{Kind: DropTable, Name: target})
		}
		return
	}
	if quiet && !replace && !x.catalog.whole(target.Database) {
		x.forget(target, "CREATE TABLE IF NOT EXISTS of a table that may have existed before, with other columns")
		return
	}
	t, reason := x.tableToEnd(target)
	if reason != "" {
		if x.err != nil {
			x.ddl.Kind = Unparsed
		}
		x.forget(target, reason)
		return
	}
	x.step(Entry{Kind: PutTable, Table: t})
}

// tableToEnd reads what follows the name of a new table, up to the end of the statement, or says why that is not known.
func (x *interpreter) tableToEnd(target Name) (*Table, string) {
	t, reason := x.tableBody(target)
	if reason == "" {
		x.end()
	}
	if x.err != nil {
		return nil, x.err.Error()
	}
	return t, reason
}

// tableBody reads what follows the name of a new table, up to its end.
func (x *interpreter) tableBody(target Name) (*Table, string) {
	if x.accept("LIKE") {
		return x.like(target, x.nameAs(RefLike, x.ddl.Database))
	}
	if m := x.mark(); x.punct('(') {
		if x.accept("LIKE") {
			source := x.nameAs(RefLike, x.ddl.Database)
			x.expectPunct(')')
			return x.like(target, source)
		}
		if x.isAny("SELECT", "WITH", "VALUES", "TABLE") || x.isPunct('(') {
			x.reset(m)
			x.noted.hasQuery()
			return nil, "its columns come from a query"
		}
		x.reset(m)
	}
	var cols []*colSpec
	var keys []*keySpec
	var periods [][2]string
	if x.isPunct('(') {
		cols, keys, periods = x.definitions()
		x.noted.defined(x.last)
	}
	var opt tableOptions
	x.options(&opt)
	if x.err != nil {
		return nil, x.err.Error()
	}
	x.noted.options(&opt)
	if opt.query {
		x.noted.hasQuery()
		return nil, "some of its columns come from a query"
	}
	if len(cols) == 0 {
		return nil, "no columns are named"
	}
	t := &Table{Database: target.Database, Name: target.Table, Origin: FromDDL}
	pair := x.tableCharset(&opt, target.Database)
	t.Charset, t.Collation = pair.charset, pair.collation
	likeTemporary := x.ddl.ThreadSpecific && !opt.said && !x.maria()
	if likeTemporary {
		t.Charset, t.Collation = "", "" // of text columns to come
	}
	for _, c := range cols {
		if likeTemporary && c.Type.IsText() && c.charset == "" && c.collation == "" {
			// MySQL logs CREATE TABLE .. LIKE a temporary table as its columns, but not in which character set.
			return nil, "it may be like a temporary table, whose character set is not said"
		}
		if reason := c.settle(&x.charsets, pair); reason != "" {
			return nil, reason
		}
	}
	t.Versioned = opt.versioned || slices.ContainsFunc(cols, func(c *colSpec) bool { return c.versioned })
	cols = versionColumns(cols, t.Versioned)
	applyPeriods(cols, periods)
	return t, x.finish(t, cols, keys, opt.engine)
}

// finish puts the columns and keys of a statement into the table. engine is empty where the statement does not say it.
func (x *interpreter) finish(t *Table, cols []*colSpec, keys []*keySpec, engine string) string {
	if reason := finish(t, cols, keys); reason != "" {
		return reason
	}
	if x.maria() {
		if x.charsets.version < 100400 || strings.EqualFold(engine, "MEMORY") || strings.EqualFold(engine, "HEAP") { // which has such keys itself
			keys = nil
		}
		addHashes(t, keys)
		return ""
	}
	if x.charsets.version < 80000 {
		return sharedMembers(cols)
	}
	return ""
}

// sharedMembers reports two columns of ENUM or SET whose members MySQL 5.7 damages: it keeps equal lists once, written in hexadecimal digits where
// a character has two bytes or more, and reads the digits once for each of the columns.
func sharedMembers(cols []*colSpec) string {
	for i, c := range cols {
		if c.Type != Enum && c.Type != Set || !wideCharset(c.Charset) {
			continue
		}
		for _, o := range cols[:i] {
			if (o.Type == Enum || o.Type == Set) && wideCharset(o.Charset) && slices.Equal(o.Members, c.Members) {
				return "the servers damage the members of " + o.Name + " and " + c.Name + ", which are the same, in " + c.Charset
			}
		}
	}
	return ""
}

// finish puts columns and keys into the table, without the columns that the server hides.
func finish(t *Table, cols []*colSpec, keys []*keySpec) string {
	if len(cols) > maxColumns {
		return "more columns than a table can have"
	}
	if reason := settleKeys(t, cols, keys); reason != "" {
		return reason
	}
	t.Columns = make([]Column, len(cols))
	for i, c := range cols {
		t.Columns[i] = c.Column
		for _, other := range cols[:i] {
			if sameName(other.Name, c.Name) {
				return fmt.Sprintf("it has two columns %s", c.Name)
			}
		}
	}
	return ""
}

// definitions reads the columns, keys and periods of a table, in parentheses.
func (p *parser) definitions() (cols []*colSpec, keys []*keySpec, periods [][2]string) {
	p.expectPunct('(')
	for p.err == nil {
		if p.is("PERIOD") && sameWord(p.peek().text, "FOR") {
			periods = append(periods, p.period())
		} else if is, k := p.keyClause(); is {
			if k != nil {
				keys = append(keys, k)
			}
		} else {
			c := &colSpec{old: -1}
			c.Name = p.ident()
			p.columnDef(c)
			cols = append(cols, c)
			keys = append(keys, c.ownKeys(p)...)
			if len(cols) > maxColumns {
				p.fail("more columns than a table can have")
			}
		}
		if !p.punct(',') {
			break
		}
	}
	p.expectPunct(')')
	return cols, keys, periods
}

// period reads PERIOD FOR name (start, end).
func (p *parser) period() (columns [2]string) {
	p.advance()
	p.expect("FOR")
	p.ident()
	p.expectPunct('(')
	columns[0] = p.ident()
	p.expectPunct(',')
	columns[1] = p.ident()
	p.expectPunct(')')
	return columns
}

// ownKeys gives the keys that a column's own definition makes.
func (c *colSpec) ownKeys(p *parser) (keys []*keySpec) {
	part := []partSpec{{column: c.Name}}
	if c.primary {
		keys = append(keys, &keySpec{kind: primaryKey, name: primaryName, parts: part})
	}
	if c.unique {
		keys = append(keys, &keySpec{kind: uniqueKey, parts: part})
	}
	if c.reference && (p.mysql(90000) || p.maria() && p.version >= 100500) {
		keys = append(keys, &keySpec{kind: foreignKey, implicit: true, parts: part})
	}
	return keys
}

// options reads table options, PARTITION BY and what comes behind them, up to the end.
func (x *interpreter) options(opt *tableOptions) {
	for x.err == nil && !x.eof() && !x.isPunct(';') {
		x.punct(',')
		if !x.option(opt) {
			return
		}
	}
}

// option reads one table option and says whether there was one.
func (p *parser) option(opt *tableOptions) bool {
	at := p.tok.start
	switch {
	case p.isPunct('('):
		// UNION=(..) is read below: this is (SELECT ..)
		opt.query = true
		p.rest()
	case p.tok.kind == tokQuoted:
		return p.optionWithEquals()
	case p.tok.kind != tokWord:
		return false
	case p.is("PARTITION") && sameWord(p.peek().text, "BY"):
		p.partitions(opt)
	case p.isAny("AS", "SELECT", "WITH", "VALUES") && !sameWord(p.peek().text, "SYSTEM"), p.isAny("IGNORE", "REPLACE"):
		opt.query = true
		p.rest()
	case p.accept("START", "TRANSACTION"):
		opt.transaction, opt.transactionAt = true, at
	case p.accept("WITH", "SYSTEM", "VERSIONING"):
		opt.versioned = true
	case p.accept("DEFAULT", "CHARACTER", "SET"), p.accept("DEFAULT", "CHARSET"), p.accept("DEFAULT", "CHAR", "SET"),
		p.accept("CHARACTER", "SET"), p.accept("CHARSET"), p.accept("CHAR", "SET"):
		p.punct('=')
		opt.charset, opt.said = p.charsetName(), true
		opt.charsetEnd = p.last
		switch {
		case opt.collation == "" || p.maria() || p.version >= 90000: // both count
		case p.version < 80016:
			opt.collation = "" // the last one counts
		default:
			p.doubt("COLLATE before CHARACTER SET, which MySQL 8 reads in one way or the other")
		}
	case p.accept("DEFAULT", "COLLATE"), p.accept("COLLATE"):
		p.punct('=')
		opt.collation, opt.said = p.charsetName(), true
	case p.accept("UNION"):
		p.punct('=')
		p.expectPunct('(')
		for p.err == nil && !p.isPunct(')') {
			p.nameAs(RefOther, "")
			p.punct(',')
		}
		p.expectPunct(')')
	case p.accept("DATA", "DIRECTORY"), p.accept("INDEX", "DIRECTORY"):
		p.punct('=')
		p.value()
	case p.acceptAny("ENGINE", "TYPE"):
		p.punct('=')
		opt.engine = p.tok.text
		p.value()
	case p.acceptAny("AUTO_INCREMENT", "COMMENT", "ROW_FORMAT", "CHECKSUM", "TABLE_CHECKSUM", "DELAY_KEY_WRITE", "KEY_BLOCK_SIZE",
		"MAX_ROWS", "MIN_ROWS", "AVG_ROW_LENGTH", "PACK_KEYS", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES", "PASSWORD",
		"INSERT_METHOD", "CONNECTION", "TABLESPACE", "STORAGE", "COMPRESSION", "ENCRYPTION", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE",
		"SECONDARY_ENGINE", "AUTOEXTEND_SIZE", "TRANSACTIONAL", "PAGE_CHECKSUM", "SEQUENCE"):
		p.punct('=')
		p.value()
	default:
		return p.optionWithEquals()
	}
	return true
}

// optionWithEquals passes an option that only an engine knows: NAME = value.
func (p *parser) optionWithEquals() bool {
	if next := p.peek(); next.kind != tokPunct || next.text != "=" {
		return false
	}
	p.advance()
	p.advance()
	p.value()
	return true
}

// rest passes everything.
func (p *parser) rest() {
	for !p.eof() {
		p.advance()
	}
}

// partitions passes PARTITION BY with all that belongs to it, and looks for the query that may stand behind it.
func (p *parser) partitions(opt *tableOptions) {
	for p.err == nil && !p.eof() {
		switch {
		case p.isPunct('('):
			if sameWord(p.peek().text, "SELECT") {
				opt.query = true
				p.rest()
				return
			}
			p.parens()
		case p.is("START") && sameWord(p.peek().text, "TRANSACTION"):
			opt.transaction, opt.transactionAt = true, p.tok.start
			p.advance()
			p.advance()
		case p.isAny("SELECT", "AS"):
			opt.query = true
			p.rest()
			return
		case p.isPunct(';'):
			return
		default:
			p.advance()
		}
	}
}

// tableCharset gives the default of a new table.
func (x *interpreter) tableCharset(opt *tableOptions, db string) pairing {
	around := x.databasePair(db)
	if !opt.said {
		return around
	}
	cs, coll := opt.charset, opt.collation
	if coll == "DEFAULT" {
		coll = ""
	}
	return x.completed(cs, coll, around)
}

// databasePair gives the defaults of a database, from the catalog or, for the default database, from the session.
func (x *interpreter) databasePair(db string) pairing {
	cs, coll, ok := x.catalog.Database(db)
	if ok && cs != "" {
		return pairing{cs, coll}
	}
	if x.ddl.DatabaseCollation != 0 && x.catalog.fold(db) == x.catalog.fold(x.ddl.Database) {
		return x.byID(x.ddl.DatabaseCollation)
	}
	return pairing{}
}

// like makes a copy of a table.
func (x *interpreter) like(target, source Name) (*Table, string) {
	if x.err != nil {
		return nil, x.err.Error()
	}
	if x.ddl.ThreadSpecific {
		return nil, "it is like a table that may be a temporary one"
	}
	source = x.catalog.fullName(source)
	old, state := x.catalog.Table(source.Database, source.Table)
	if state != Known {
		return nil, "it is like " + source.String() + ", which is " + state.String()
	}
	t := *old
	t.Database, t.Name, t.Origin, t.Seq = target.Database, target.Table, FromDDL, 0
	if x.maria() {
		t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return isHash(&c) })
		addHashes(&t, nil)
	}
	return &t, ""
}

// createSequence makes a sequence of MariaDB, which is a table with these columns; its rows are in the binlog.
func (x *interpreter) createSequence(replace bool) {
	quiet := x.ifNotExists()
	target := x.name(x.ddl.Database)
	if x.err != nil || !x.maria() {
		x.ddl.Kind = Unparsed
		return
	}
	target = x.named(target)
	if x.ddl.Temporary {
		return
	}
	_, state := x.catalog.Table(target.Database, target.Table)
	if quiet && !replace && state != Unknown {
		return
	}
	if quiet && !replace && !x.catalog.whole(target.Database) {
		x.forget(target, "CREATE SEQUENCE IF NOT EXISTS of a sequence that may have existed before")
		return
	}
	value := Column{Type: BigInt, Width: 21}
	if x.accept("AS") {
		var c colSpec
		x.dataType(&c)
		if x.err != nil {
			x.forget(target, x.err.Error())
			return
		}
		value = c.Column
		value.Width = defaultWidth[c.Type][0] + 1
	}
	t := &Table{Database: target.Database, Name: target.Table, Origin: FromDDL}
	column := func(name string, c Column) {
		c.Name = name
		t.Columns = append(t.Columns, c)
	}
	for _, name := range []string{"next_not_cached_value", "minimum_value", "maximum_value", "start_value"} {
		column(name, value)
	}
	column("increment", Column{Type: BigInt, Width: 21})
	column("cache_size", Column{Type: BigInt, Width: 21, Unsigned: true})
	column("cycle_option", Column{Type: TinyInt, Width: 1, Unsigned: true})
	column("cycle_count", Column{Type: BigInt, Width: 21})
	pair := x.databasePair(target.Database)
	t.Charset, t.Collation = pair.charset, pair.collation
	x.step(Entry{Kind: PutTable, Table: t})
}
