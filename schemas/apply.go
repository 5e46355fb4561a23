package schemas

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cdc/gtid"
)

// Apply interprets one statement, changes the catalog accordingly, and says what it did. It never guesses: a statement on a table that is not
// understood makes the table Forgotten, with an entry that carries the statement; one that names no table is OtherDDL or Unparsed, without an
// entry. Work and memory are linear in the length of the text and in the size of the tables named. The error is for a catalog or a statement
// that is not whole (nil); no text makes one.
func (c *Catalog) Apply(st *Statement) (*DDL, error) {
	if c == nil || st == nil {
		return nil, errNothing
	}
	x := interpreter{catalog: c, ddl: &DDL{Statement: *st}}
	x.charsets = charsets{flavor: c.flavor, version: c.version, st: st}
	if st.Version != 0 {
		x.charsets.flavor, x.charsets.version = st.Flavor, st.Version
	}
	x.parser.start(st, x.charsets.flavor, x.charsets.version)
	x.implicitTimestamp = c.implicitTimestamp(st, x.charsets.flavor, x.charsets.version)
	x.statement()
	return x.ddl, nil
}

// implicitTimestamp says what explicit_defaults_for_timestamp was: as the event says, else as the server's setting is known, else as its
// version has it by default.
func (c *Catalog) implicitTimestamp(st *Statement, flavor gtid.Flavor, version uint32) bool {
	switch {
	case st.ExplicitTimestamp != 0:
		return st.ExplicitTimestamp == 1
	case c.ExplicitTimestamp != 0:
		return c.ExplicitTimestamp == 1
	case flavor == gtid.MariaDB:
		return version < 101000
	default:
		return version < 80002
	}
}

// interpreter is one statement on its way into the catalog.
type interpreter struct {
	parser
	charsets
	catalog *Catalog
	ddl     *DDL
}

func (x *interpreter) statement() {
	for x.accept("SET", "STATEMENT") { // MariaDB: SET STATEMENT variable=value, .. FOR statement
		for !x.eof() && !x.accept("FOR") {
			if x.isPunct('(') {
				x.parens()
			} else {
				x.advance()
			}
		}
	}
	switch {
	case x.accept("CREATE"):
		x.create()
	case x.accept("ALTER"):
		x.alter()
	case x.accept("DROP"):
		x.drop()
	case x.accept("RENAME"):
		x.rename()
	case x.accept("TRUNCATE"):
		x.truncate()
	}
}

// step records an entry and does it.
func (x *interpreter) step(e Entry) {
	e.Statement = x.excerpt()
	if e.Table != nil {
		x.catalog.Intern(e.Table)
		e.Name = Name{e.Table.Database, e.Table.Name}
	} else {
		e.Name = Name{x.catalog.strings.of(e.Name.Database), x.catalog.strings.of(e.Name.Table)}
	}
	before, _ := x.catalog.Table(e.Name.Database, e.Name.Table)
	x.catalog.Replay(&e)
	x.ddl.Entries, x.ddl.Before = append(x.ddl.Entries, e), append(x.ddl.Before, before)
}

// excerpt gives as much of the statement as an entry keeps. All entries of a statement share it.
func (x *interpreter) excerpt() string {
	if len(x.ddl.Entries) > 0 {
		return x.ddl.Entries[0].Statement
	}
	s := strings.TrimSpace(x.ddl.Text)
	if len(s) > MaxStatement {
		n := MaxStatement
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Clone(s)
}

// named adds an object of the statement.
func (x *interpreter) named(n Name) Name {
	n = x.catalog.fullName(n)
	x.ddl.Names = append(x.ddl.Names, n)
	return n
}

// fullName gives a name as the catalog spells it.
func (c *Catalog) fullName(n Name) Name { return Name{c.fold(n.Database), c.fold(n.Table)} }

// forget makes a table Forgotten, because of what reason says.
func (x *interpreter) forget(n Name, reason string) {
	x.step(Entry{Kind: ForgetTable, Name: n, Reason: reason})
}

// giveUp makes all tables that the statement has named so far Forgotten, where the catalog knows them.
func (x *interpreter) giveUp() {
	x.ddl.Kind = Unparsed
	reason := "not understood"
	if x.err != nil {
		reason = x.err.Error()
	}
	seen := map[Name]bool{}
	for _, n := range x.ddl.Names {
		if _, state := x.catalog.Table(n.Database, n.Table); state != Unknown && !seen[n] {
			seen[n] = true
			x.forget(n, reason)
		}
	}
}

// drop reads what follows DROP.
func (x *interpreter) drop() {
	switch {
	case x.acceptAny("DATABASE", "SCHEMA"):
		x.ddl.Kind = DropDatabases
		x.ifExists()
		n := x.named(Name{Database: x.database()})
		x.end()
		if x.err != nil {
			x.ddl.Kind = Unparsed
			return
		}
		if _, _, ok := x.catalog.Database(n.Database); ok || x.catalog.hasTables(n.Database) {
			x.step(Entry{Kind: DropDatabase, Name: n})
		}
	case x.accept("TEMPORARY"):
		if x.acceptAny("TABLE", "TABLES", "SEQUENCE") {
			x.ddl.Kind, x.ddl.Temporary = DropTables, true
			x.tableList()
		}
	case x.acceptAny("TABLE", "TABLES", "SEQUENCE"):
		x.ddl.Kind = DropTables
		x.tableList()
		x.acceptAny("RESTRICT", "CASCADE")
		x.waitOption()
		x.end()
		if x.err != nil {
			x.giveUp()
			return
		}
		for _, n := range x.ddl.Names {
			_, state := x.catalog.Table(n.Database, n.Table)
			switch {
			case state == Unknown:
			case x.ddl.ErrorCode != 0 && x.ddl.ErrorCode != unknownTable:
				x.forget(n, x.failed())
			default:
				x.step(Entry{Kind: DropTable, Name: n})
			}
		}
	case x.acceptAny("INDEX", "KEY"), x.accept("ONLINE", "INDEX"), x.accept("OFFLINE", "INDEX"):
		x.dropIndex()
	}
}

// unknownTable is ER_BAD_TABLE_ERROR: one of the tables of a DROP TABLE did not exist, and the others are gone.
const unknownTable = 1051

// failed is the reason where a statement that ended with an error may have done its work or not.
func (x *interpreter) failed() string {
	return fmt.Sprintf("the statement ended with error %d, and may have been done in part", x.ddl.ErrorCode)
}

func (c *Catalog) hasTables(db string) bool {
	db = c.fold(db)
	for n := range c.tables {
		if n.Database == db {
			return true
		}
	}
	return false
}

// tableList reads [IF EXISTS] name, name, ...
func (x *interpreter) tableList() {
	x.ifExists()
	for {
		n := x.name(x.ddl.Database)
		if x.err != nil {
			return
		}
		x.named(n)
		x.waitOption()
		if !x.punct(',') {
			return
		}
	}
}

// waitOption passes MariaDB's WAIT n and NOWAIT.
func (p *parser) waitOption() {
	if p.accept("WAIT") {
		p.value()
	} else {
		p.accept("NOWAIT")
	}
}

// rename reads what follows RENAME: pairs of names, done one after the other.
func (x *interpreter) rename() {
	if !x.acceptAny("TABLE", "TABLES") {
		return // USER
	}
	x.ddl.Kind = RenameTables
	x.ifExists()
	for x.err == nil {
		from := x.name(x.ddl.Database)
		x.waitOption()
		x.expect("TO")
		to := x.nameAs(RefNew, x.ddl.Database)
		if x.err != nil {
			break
		}
		x.named(from)
		x.named(to)
		x.waitOption()
		if !x.punct(',') {
			break
		}
	}
	x.end()
	if x.err != nil {
		x.giveUp()
		return
	}
	// Only MariaDB renames temporary tables in this way, and then maybe others in the same statement.
	if x.ddl.ThreadSpecific && x.maria() {
		if len(x.ddl.Names) == 2 {
			x.ddl.Temporary = true
			return
		}
		x.fail("some of the tables may be temporary ones")
	}
	if x.ddl.ErrorCode != 0 {
		x.fail("%s", x.failed())
	}
	if x.err != nil {
		x.giveUp()
		return
	}
	if x.maria() {
		x.renameOrNot()
		return
	}
	for i := 0; i < len(x.ddl.Names); i += 2 {
		x.move(x.ddl.Names[i], x.ddl.Names[i+1], FromDDL)
	}
}

const wasUnknown = ", of which is not known what it looks like: "

// move does one rename.
func (x *interpreter) move(from, to Name, origin Origin) {
	t, state := x.catalog.Table(from.Database, from.Table)
	why := x.catalog.Why(from.Database, from.Table)
	if state != Unknown {
		x.step(Entry{Kind: DropTable, Name: from})
	}
	switch state {
	case Known:
		moved := *t
		moved.Database, moved.Name = to.Database, to.Table
		moved.Origin, moved.Seq = origin, 0
		x.step(Entry{Kind: PutTable, Table: &moved})
	case Forgotten:
		reason := why.Reason // which does not grow with each rename
		if i := strings.LastIndex(reason, wasUnknown); i >= 0 {
			reason = reason[i+len(wasUnknown):]
		}
		x.forget(to, "it was "+from.String()+wasUnknown+reason)
	case Unknown:
		if _, old := x.catalog.Table(to.Database, to.Table); old != Unknown {
			x.forget(to, "it was "+from.String()+", which was not known")
		}
	}
}

func (x *interpreter) truncate() {
	x.accept("TABLE")
	n := x.name(x.ddl.Database)
	if x.err != nil {
		x.ddl.Kind = Unparsed
		return
	}
	x.named(n)
	x.ddl.Kind, x.ddl.Temporary = TruncateTable, x.ddl.ThreadSpecific
}
