package schemas

import "cdc/gtid"

// ClassifyDML recognises statements that change rows. In row format none of them is in a query event, so one on a captured table means that
// its rows were lost to this stream: binlog_format can be set per session. names holds the tables that may be changed; it is nil where they
// cannot be made out (CALL, SELECT of a function with side effects, DO). CREATE TABLE .. SELECT counts where its rows do not follow as rows
// events. Work ends as soon as the tables are known.
func ClassifyDML(st *Statement) (isDML bool, names []Name) {
	var p parser
	p.start(st, st.Flavor, st.Version)
	if !p.toVerb() {
		return false, nil
	}
	switch {
	case p.accept("INSERT"), p.accept("REPLACE"):
		for p.acceptAny("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO") {
		}
		return true, p.oneName(st.Database)
	case p.accept("UPDATE"):
		for p.acceptAny("LOW_PRIORITY", "IGNORE") {
		}
		return true, p.tableRefs(st.Database, "SET")
	case p.accept("DELETE"):
		for p.acceptAny("LOW_PRIORITY", "QUICK", "IGNORE") {
		}
		return true, p.deleteNames(st.Database)
	case p.accept("LOAD"):
		if !p.acceptAny("DATA", "XML") {
			return false, nil // LOAD INDEX
		}
		for !p.eof() && !p.accept("INTO", "TABLE") {
			p.skip()
		}
		return true, p.oneName(st.Database)
	case p.accept("CALL"), p.accept("DO"), p.accept("SELECT"), p.accept("VALUES"), p.accept("HANDLER"):
		return true, nil
	case p.accept("CREATE"):
		return p.createSelect(st)
	}
	return false, nil
}

// DMLVerb names the kind of a statement that ClassifyDML recognises, for messages that must not show the values in it. It is empty for others.
func DMLVerb(st *Statement) string {
	var p parser
	p.start(st, st.Flavor, st.Version)
	if p.toVerb() {
		for _, verb := range []string{"INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "CALL", "DO", "SELECT", "VALUES", "HANDLER", "CREATE"} {
			if p.is(verb) {
				return verb
			}
		}
	}
	return ""
}

// toVerb passes what may stand before the word that says what a statement does.
func (p *parser) toVerb() bool {
	for p.accept("SET", "STATEMENT") {
		for !p.eof() && !p.accept("FOR") {
			p.skip()
		}
	}
	if p.accept("WITH") && !p.withClauses() {
		return false
	}
	for p.isPunct('(') { // (SELECT ..) UNION ..
		p.advance()
	}
	return true
}

// skip passes a token, or a whole group in parentheses.
func (p *parser) skip() {
	if p.isPunct('(') {
		p.parens()
	} else {
		p.advance()
	}
}

// withClauses passes [RECURSIVE] name [(..)] AS (..), ...
func (p *parser) withClauses() bool {
	p.accept("RECURSIVE")
	for p.err == nil {
		p.ident()
		if p.isPunct('(') {
			p.parens()
		}
		p.expect("AS")
		p.parens()
		if p.accept("CYCLE") { // MariaDB
			for !p.eof() && !p.isAny("RESTRICT", "SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE") && !p.isPunct(',') {
				p.skip()
			}
			p.accept("RESTRICT")
		}
		if !p.punct(',') {
			break
		}
	}
	return p.err == nil
}

// oneName reads the name that comes next.
func (p *parser) oneName(db string) []Name {
	n := p.name(db)
	if p.err != nil {
		return nil
	}
	return []Name{n}
}

// tableRefs reads table references up to a keyword and gives every table named in them, also those that are only joined. Derived tables are
// not looked into: they are not changed.
func (p *parser) tableRefs(db, until string) []Name {
	var names []Name
	expectName := true
	depth := 0
	for p.err == nil && !p.eof() {
		switch {
		case depth == 0 && p.is(until):
			return names
		case p.isPunct('('):
			next := p.peek()
			if expectName && next.kind != tokEOF && !sameWord(next.text, "SELECT") && !sameWord(next.text, "WITH") && !sameWord(next.text, "VALUES") {
				depth++
				p.advance()
				continue
			}
			p.parens()
			expectName = false
		case p.isPunct(')'):
			depth--
			p.advance()
		case p.isPunct(','):
			expectName = true
			p.advance()
		case p.acceptAny("JOIN", "STRAIGHT_JOIN"):
			expectName = true
		case p.is("LATERAL"):
			p.advance()
		case expectName && (p.tok.kind == tokWord || p.tok.kind == tokQuoted || p.isPunct('.')):
			names = append(names, p.name(db))
			expectName = false
		default:
			p.advance()
		}
	}
	if p.err != nil || until == "SET" {
		return nil
	}
	return names
}

// deleteNames reads what follows DELETE: FROM t .., or t1, t2 FROM refs, or FROM t1, t2 USING refs.
func (p *parser) deleteNames(db string) []Name {
	if !p.is("FROM") {
		p.targets()
		p.expect("FROM")
		return p.tableRefs(db, "WHERE")
	}
	p.advance()
	m := p.mark()
	p.targets()
	if p.accept("USING") {
		return p.tableRefs(db, "WHERE")
	}
	p.reset(m)
	return p.oneName(db)
}

// targets passes the names of a DELETE of several tables, which may be aliases.
func (p *parser) targets() {
	for p.err == nil {
		p.ident()
		for p.punct('.') && !p.punct('*') {
			p.ident()
		}
		if !p.punct(',') {
			return
		}
	}
}

// createSelect recognises CREATE TABLE .. SELECT without START TRANSACTION.
func (p *parser) createSelect(st *Statement) (bool, []Name) {
	p.accept("OR", "REPLACE")
	if !p.accept("TABLE") {
		return false, nil // also TEMPORARY, which is nobody's
	}
	p.ifNotExists()
	names := p.oneName(st.Database)
	if names == nil || p.is("LIKE") {
		return false, nil
	}
	for !p.eof() && p.err == nil {
		switch {
		case p.isPunct('('):
			if next := p.peek(); sameWord(next.text, "SELECT") || sameWord(next.text, "WITH") {
				return true, names
			}
			p.parens()
		case p.is("SELECT"), p.is("VALUES") && st.Flavor == gtid.MySQL, p.is("TABLE"):
			return true, names
		default:
			p.advance()
		}
	}
	return false, nil
}
