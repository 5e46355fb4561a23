package schemas

import "strings"

// alteration is an ALTER TABLE as it is written. The server does not evaluate its clauses in the order of the text: see evaluate.
type alteration struct {
	columns    []*colSpec // ADD, CHANGE and MODIFY, in order
	drops      []dropSpec
	touches    []touchSpec // ALTER COLUMN, RENAME COLUMN
	keys       []*keySpec
	periods    [][2]string
	renameKeys []renameSpec
	options    tableOptions
	convert    bool // CONVERT TO CHARACTER SET
	rename     *Name
	more       bool  // more than RENAME and what leaves the table's definition alone
	versioning int   // +1 ADD SYSTEM VERSIONING, -1 DROP
	toTable    *Name // CONVERT PARTITION .. TO TABLE (MariaDB): made like this one
	fromTable  *Name // CONVERT TABLE .. TO PARTITION: gone
}

type dropKind uint8

const (
	dropColumn dropKind = iota
	dropKey
	dropPrimary
	dropConstraint
)

type dropSpec struct {
	kind dropKind
	name string
}

// touchSpec changes a column without defining it anew.
type touchSpec struct {
	column      string
	rename      string
	visible     nullness // nullYes: VISIBLE, nullNo: INVISIBLE
	defaultSet  bool
	defaultDrop bool
	value       colSpec
}

type renameSpec struct{ from, to string }

// alter reads what follows ALTER.
func (x *interpreter) alter() {
	for x.acceptAny("ONLINE", "OFFLINE", "IGNORE") {
	}
	switch {
	case x.acceptAny("DATABASE", "SCHEMA"):
		x.alterDatabase()
	case x.accept("TABLE"):
		x.ddl.Kind = AlterTable
		x.ifExists()
		target := x.name(x.ddl.Database)
		if x.err != nil {
			x.ddl.Kind = Unparsed
			return
		}
		target = x.named(target)
		x.waitOption()
		var a alteration
		x.alterClauses(&a)
		x.end()
		x.alterTable(target, &a)
	}
}

// alterTable does what was read.
func (x *interpreter) alterTable(target Name, a *alteration) {
	if x.err == nil {
		for _, n := range []*Name{a.rename, a.toTable, a.fromTable} {
			if n != nil {
				*n = x.named(*n)
			}
		}
	}
	if x.onTemporary(target) {
		return
	}
	if x.ddl.ErrorCode != 0 {
		x.fail("%s", x.failed())
	}
	if x.err != nil {
		to := x.renamedTo()
		x.giveUp()
		if to != nil && x.ddl.ErrorCode == 0 {
			x.move(target, x.named(*to), FromDDL)
		}
		return
	}
	old, state := x.catalog.Table(target.Database, target.Table)
	if len(x.catalog.Either(target.Database, target.Table)) > 0 {
		x.forget(target, x.catalog.Why(target.Database, target.Table).Reason) // both would have to be altered
	}
	if state == Known && (a.more || !x.maria()) {
		t, reason := x.evaluate(old, a)
		switch {
		case reason != "":
			x.forget(target, reason)
		case t != nil:
			x.step(Entry{Kind: PutTable, Table: t})
		}
	}
	if a.toTable != nil {
		t, reason := x.like(*a.toTable, target)
		if reason != "" {
			x.forget(*a.toTable, reason)
		} else {
			x.step(Entry{Kind: PutTable, Table: t})
		}
	}
	if a.fromTable != nil {
		if _, s := x.catalog.Table(a.fromTable.Database, a.fromTable.Table); s != Unknown {
			x.step(Entry{Kind: DropTable, Name: *a.fromTable})
		}
	}
	if a.rename != nil && *a.rename != target {
		x.move(target, *a.rename, FromDDL)
	}
}

// renamedTo finds the new name in an ALTER TABLE that was not understood: the table goes on under it.
func (x *interpreter) renamedTo() *Name {
	var p parser
	p.start(&x.ddl.Statement, x.charsets.flavor, x.charsets.version)
	for p.err == nil && !p.eof() {
		switch {
		case !p.accept("RENAME"):
			p.skip()
		case p.isAny("COLUMN", "INDEX", "KEY"):
		default:
			if !p.acceptAny("TO", "AS") {
				p.punct('=')
			}
			if n := p.name(x.ddl.Database); p.err == nil {
				return &n
			}
		}
	}
	return nil
}

// onTemporary reports whether the statement changed a temporary table of its session and not the one that the catalog knows by this name.
// The event's thread-specific flag says that a temporary table was used, and in statements that alter a table it can only be that one; but
// the server sets it for a few functions too, and where these are about nothing is certain.
func (x *interpreter) onTemporary(target Name) bool {
	if !x.ddl.ThreadSpecific {
		return false
	}
	text := strings.ToLower(x.ddl.Text)
	if strings.Contains(text, "connection_id") || strings.Contains(text, "_lock") {
		if x.err == nil {
			x.fail("it may be a temporary table that was altered")
		}
		return false
	}
	x.ddl.Temporary = true
	return true
}

func (x *interpreter) alterClauses(a *alteration) {
	for x.err == nil && !x.eof() && !x.isPunct(';') {
		if !x.alterClause(a) {
			x.fail("the clause is not known")
			return
		}
		if len(a.columns)+len(a.drops)+len(a.touches)+len(a.renameKeys) > 4*maxColumns {
			x.fail("more clauses than columns")
			return
		}
		x.punct(',')
	}
}

// alterClause reads one clause and says whether it is known.
func (x *interpreter) alterClause(a *alteration) bool {
	switch {
	case x.accept("ENABLE", "KEYS"), x.accept("DISABLE", "KEYS"), x.accept("DISCARD", "TABLESPACE"), x.accept("IMPORT", "TABLESPACE"):
		return true
	case x.acceptAny("ALGORITHM", "LOCK"):
		x.punct('=')
		x.value()
		return true
	case x.accept("EXCHANGE", "PARTITION"):
		x.ident()
		x.expect("WITH", "TABLE")
		x.nameAs(RefOther, x.ddl.Database)
		x.rest()
		return true
	case x.accept("TRUNCATE", "PARTITION"), x.accept("ANALYZE", "PARTITION"), x.accept("CHECK", "PARTITION"),
		x.accept("REPAIR", "PARTITION"), x.accept("DISCARD", "PARTITION"), x.accept("IMPORT", "PARTITION"):
		x.rest()
		return true
	case x.accept("RENAME"):
		x.renameClause(a)
		return true
	}
	a.more = true
	switch {
	case x.accept("ADD"):
		x.addClause(a)
	case x.accept("DROP"):
		x.dropClause(a)
	case x.accept("CHANGE"):
		x.accept("COLUMN")
		c := &colSpec{ifExists: x.ifExists()}
		c.change = x.ident()
		c.Name = x.ident()
		x.columnDef(c)
		a.addColumn(c, &x.parser)
	case x.accept("MODIFY"):
		x.accept("COLUMN")
		c := &colSpec{ifExists: x.ifExists()}
		c.Name = x.ident()
		c.change = c.Name
		x.columnDef(c)
		a.addColumn(c, &x.parser)
	case x.accept("ALTER"):
		x.touchClause(a)
	case x.accept("CONVERT"):
		x.convertClause(a)
	case x.accept("ORDER", "BY"):
		x.orderBy()
	case x.accept("FORCE"), x.accept("WITH", "VALIDATION"), x.accept("WITHOUT", "VALIDATION"), x.accept("SECONDARY_LOAD"), x.accept("SECONDARY_UNLOAD"),
		x.accept("UPGRADE", "PARTITIONING"), x.accept("REMOVE", "PARTITIONING"):
	case x.accept("REORGANIZE", "PARTITION"), x.accept("COALESCE", "PARTITION"), x.accept("OPTIMIZE", "PARTITION"), x.accept("REBUILD", "PARTITION"):
		x.rest()
	case x.isAny("AS", "SELECT", "START", "IGNORE", "REPLACE", "VALUES") || x.isPunct('('):
		return false
	default:
		said := a.options
		ok := x.option(&a.options)
		if a.convert {
			x.oneCharset(said, a.options)
		}
		return ok
	}
	return true
}

// oneCharset makes sure that CONVERT TO and DEFAULT CHARACTER SET of one statement, of which each server makes something else, say the same.
func (p *parser) oneCharset(a, b tableOptions) {
	if a.said && b.said && !(strings.EqualFold(a.charset, b.charset) && strings.EqualFold(a.collation, b.collation)) {
		p.doubt("CONVERT TO and DEFAULT CHARACTER SET in one statement")
	}
}

// addColumn adds a column and the keys that its definition makes.
func (a *alteration) addColumn(c *colSpec, p *parser) {
	a.columns = append(a.columns, c)
	a.keys = append(a.keys, c.ownKeys(p)...)
}

func (x *interpreter) addClause(a *alteration) {
	switch {
	case x.accept("PARTITION"):
		x.rest()
		return
	case x.accept("SYSTEM", "VERSIONING"):
		a.versioning = 1
		return
	}
	if !x.accept("COLUMN") {
		if x.is("PERIOD") && (sameWord(x.peek().text, "FOR") || sameWord(x.peek().text, "IF")) {
			a.periods = append(a.periods, x.period())
			return
		}
		if is, k := x.keyClause(); is {
			if k != nil {
				a.keys = append(a.keys, k)
			}
			return
		}
	}
	ifNotExists := x.ifNotExists()
	if x.isPunct('(') {
		cols, keys, periods := x.definitions()
		for _, c := range cols {
			c.ifNotExists = ifNotExists
		}
		a.columns = append(a.columns, cols...)
		a.keys = append(a.keys, keys...)
		a.periods = append(a.periods, periods...)
		return
	}
	c := &colSpec{ifNotExists: ifNotExists}
	c.Name = x.ident()
	x.columnDef(c)
	a.addColumn(c, &x.parser)
}

func (x *interpreter) dropClause(a *alteration) {
	drop := func(kind dropKind) {
		x.ifExists()
		a.drops = append(a.drops, dropSpec{kind, x.ident()})
		x.acceptAny("RESTRICT", "CASCADE")
	}
	switch {
	case x.accept("PRIMARY", "KEY"):
		a.drops = append(a.drops, dropSpec{kind: dropPrimary})
	case x.acceptAny("KEY", "INDEX"):
		drop(dropKey)
	case x.accept("FOREIGN", "KEY"), x.accept("CHECK"):
		x.ifExists()
		x.ident()
	case x.accept("CONSTRAINT"):
		drop(dropConstraint)
	case x.accept("PARTITION"):
		x.rest()
	case x.accept("SYSTEM", "VERSIONING"):
		a.versioning = -1
	case x.is("PERIOD") && (sameWord(x.peek().text, "FOR") || sameWord(x.peek().text, "IF")):
		x.advance()
		x.ifExists()
		x.expect("FOR")
		x.ident()
	default:
		x.accept("COLUMN")
		drop(dropColumn)
	}
}

// touchClause reads what follows ALTER inside an ALTER TABLE.
func (x *interpreter) touchClause(a *alteration) {
	if x.acceptAny("INDEX", "KEY", "CHECK", "CONSTRAINT") {
		x.ifExists()
		x.ident()
		x.accept("NOT")
		if !x.acceptAny("VISIBLE", "INVISIBLE", "IGNORED", "ENFORCED") {
			x.fail("VISIBLE, INVISIBLE, IGNORED or ENFORCED expected")
		}
		return
	}
	x.accept("COLUMN")
	x.ifExists()
	t := touchSpec{column: x.ident()}
	switch {
	case x.accept("SET", "VISIBLE"):
		t.visible = nullYes
	case x.accept("SET", "INVISIBLE"):
		t.visible = nullNo
	case x.accept("SET", "DEFAULT"):
		t.defaultSet = true
		x.defaultValue(&t.value)
	case x.accept("DROP", "DEFAULT"):
		t.defaultDrop = true
	default:
		x.fail("SET or DROP expected")
	}
	a.touches = append(a.touches, t)
}

func (x *interpreter) renameClause(a *alteration) {
	switch {
	case x.accept("COLUMN"):
		a.more = true
		x.ifExists()
		t := touchSpec{column: x.ident()}
		x.expect("TO")
		t.rename = x.ident()
		a.touches = append(a.touches, t)
	case x.acceptAny("INDEX", "KEY"):
		a.more = true
		x.ifExists()
		r := renameSpec{from: x.ident()}
		x.expect("TO")
		r.to = x.ident()
		a.renameKeys = append(a.renameKeys, r)
	default:
		if !x.acceptAny("TO", "AS") {
			x.punct('=')
		}
		n := x.nameAs(RefNew, x.ddl.Database)
		a.rename = &n
	}
}

func (x *interpreter) convertClause(a *alteration) {
	switch {
	case x.accept("TO", "CHARACTER", "SET"), x.accept("TO", "CHARSET"), x.accept("TO", "CHAR", "SET"):
		said := a.options
		a.convert, a.options = true, tableOptions{said: true, charset: x.charsetName()}
		if x.accept("COLLATE") {
			x.punct('=')
			a.options.collation = x.charsetName()
		}
		x.oneCharset(said, a.options)
	case x.accept("PARTITION"):
		x.ident()
		x.expect("TO", "TABLE")
		n := x.nameAs(RefNew, x.ddl.Database)
		a.toTable = &n
		x.rest()
	case x.accept("TABLE"):
		n := x.nameAs(RefOther, x.ddl.Database)
		a.fromTable = &n
		x.rest()
	default:
		x.fail("the clause is not known")
	}
}

// orderBy passes ORDER BY's columns, up to the comma before the next clause.
func (x *interpreter) orderBy() {
	for x.err == nil {
		x.dotted("")
		for x.punct('.') {
			x.ident()
		}
		x.acceptAny("ASC", "DESC")
		if !x.isPunct(',') {
			return
		}
		if next := x.peek(); next.kind == tokWord {
			for _, verb := range []string{"ADD", "DROP", "CHANGE", "MODIFY", "ALTER", "RENAME", "CONVERT", "ENGINE", "ALGORITHM", "LOCK", "DEFAULT", "CHARACTER"} {
				if sameWord(next.text, verb) {
					return
				}
			}
		}
		x.advance()
	}
}

// createIndex reads what follows CREATE [UNIQUE] INDEX.
func (x *interpreter) createIndex(kind keyKind, replace bool) {
	x.ddl.Kind = CreateIndex
	k := &keySpec{kind: kind, ifNotExists: x.ifNotExists()}
	k.name = x.ident()
	x.keyOptions(k)
	x.expect("ON")
	target := x.name(x.ddl.Database)
	if x.err != nil {
		x.ddl.Kind = Unparsed
		return
	}
	target = x.named(target)
	x.keyParts(k)
	x.keyOptions(k)
	x.waitOption()
	x.indexOptions()
	x.end()
	a := &alteration{keys: []*keySpec{k}, more: true}
	if replace {
		a.drops = []dropSpec{{dropKey, k.name}}
	}
	x.alterTable(target, a)
}

// dropIndex reads what follows DROP INDEX.
func (x *interpreter) dropIndex() {
	x.ddl.Kind = DropIndex
	x.ifExists()
	name := x.ident()
	x.expect("ON")
	target := x.name(x.ddl.Database)
	if x.err != nil {
		x.ddl.Kind = Unparsed
		return
	}
	target = x.named(target)
	x.waitOption()
	x.indexOptions()
	x.end()
	x.alterTable(target, &alteration{drops: []dropSpec{{dropKey, name}}, more: true})
}

func (x *interpreter) indexOptions() {
	for x.acceptAny("ALGORITHM", "LOCK") {
		x.punct('=')
		x.value()
	}
}
