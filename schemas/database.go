package schemas

// createDatabase reads what follows CREATE DATABASE.
func (x *interpreter) createDatabase(replace bool) {
	// With IF NOT EXISTS nothing is said about a database that was there unseen.
	unsure := x.ifNotExists() && !replace
	n := Name{Database: x.database()}
	if x.err != nil || n.Database == "" {
		x.ddl.Kind = Unparsed
		return
	}
	n = x.named(n)
	_, _, known := x.catalog.Database(n.Database)
	if unsure && known {
		return
	}
	unsure = unsure && !x.catalog.everything()
	var opt tableOptions
	x.databaseOptions(&opt)
	if x.err != nil {
		x.ddl.Kind = Unparsed
		opt = tableOptions{} // the database is there all the same, with defaults that are not known
	}
	pair := x.byID(x.ddl.ServerCollation)
	if opt.said {
		pair = x.databaseCharset(&opt, pair)
	}
	if x.err != nil || unsure {
		pair = pairing{}
	}
	if replace && (known || x.catalog.hasTables(n.Database)) {
		x.step(Entry{Kind: DropDatabase, Name: n})
	}
	x.step(Entry{Kind: PutDatabase, Name: n, Charset: pair.charset, Collation: pair.collation, Partial: unsure})
}

func (x *interpreter) databaseCharset(opt *tableOptions, server pairing) pairing {
	cs, coll := opt.charset, opt.collation
	if coll == "DEFAULT" {
		coll = ""
	}
	return x.completed(cs, coll, server)
}

// completed completes the CHARACTER SET and COLLATE of a table or database, either of which may be missing; DEFAULT is that of the thing
// around.
func (x *interpreter) completed(cs, coll string, around pairing) pairing {
	switch {
	case coll != "" && cs == "DEFAULT":
		return x.pair("", coll, around)
	case coll != "":
		return x.pair(cs, coll, around)
	case cs == "DEFAULT" && x.maria() && around.charset != "":
		return x.compiled(around.charset)
	case cs == "DEFAULT":
		return around
	case cs != "":
		return x.pair(cs, "", around)
	case around.charset != "" && x.maria(): // COLLATE DEFAULT
		return x.byDefault(around.charset)
	default:
		return around
	}
}

// databaseOptions reads the options of CREATE and ALTER DATABASE.
func (x *interpreter) databaseOptions(opt *tableOptions) {
	for x.err == nil && !x.eof() && !x.isPunct(';') {
		switch {
		case x.accept("DEFAULT", "ENCRYPTION"), x.accept("ENCRYPTION"), x.accept("READ", "ONLY"), x.accept("COMMENT"):
			x.punct('=')
			x.value()
		case x.accept("UPGRADE", "DATA", "DIRECTORY", "NAME"):
		default:
			if !x.isAny("DEFAULT", "CHARACTER", "CHARSET", "CHAR", "COLLATE") || !x.option(opt) {
				x.fail("an option of a database expected")
			}
		}
	}
	x.end()
}

// alterDatabase reads what follows ALTER DATABASE.
func (x *interpreter) alterDatabase() {
	x.ddl.Kind = AlterDatabase
	db := x.ddl.Database
	if !(x.tok.kind == tokWord && x.isAny("DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "READ", "ENCRYPTION", "COMMENT")) {
		db = x.database()
	} else if x.noted != nil { // it stands nowhere
		x.noted.ref(Ref{From: x.tok.start, To: x.tok.start, Name: Name{Database: db}})
	}
	n := x.named(Name{Database: db})
	var opt tableOptions
	x.databaseOptions(&opt)
	cs, coll, known := x.catalog.Database(n.Database)
	partial := !x.catalog.whole(n.Database)
	switch {
	case x.err != nil:
		x.ddl.Kind = Unparsed
		if known {
			x.step(Entry{Kind: PutDatabase, Name: n, Partial: partial})
		}
	case opt.said:
		server := x.byID(x.ddl.ServerCollation)
		if opt.charset == "" && opt.collation != "" {
			server = pairing{cs, coll}
		}
		pair := x.databaseCharset(&opt, server)
		x.step(Entry{Kind: PutDatabase, Name: n, Charset: pair.charset, Collation: pair.collation, Partial: partial})
	}
}
