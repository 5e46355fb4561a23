package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/session"
	"cdc/sinks"
	"cdc/sinks/mysql/ddl"
	"cdc/sinks/mysql/target"
)

// Blueprint is what a target has to have before the first row of a snapshot: databases first, then tables in their order, then the rest.
type Blueprint struct {
	Databases []NewDatabase
	Tables    []NewTable
	Objects   []schemas.Object
	Blind     bool // there may be more objects than the source's account sees
}

// NewDatabase is a database by the target's name.
type NewDatabase struct {
	Name, Charset, Collation string
	Spare                    bool // no table is for it yet: one that the account may not make is left out
}

// NewTable is a table or a sequence of the source.
type NewTable struct {
	DDL *schemas.DDL // the statement that makes it at the source; names and entries as the transforms leave them, with Original where there are any
	// Table is what leaves the transforms, under the target's name; nil where the statement was not understood.
	Table   *schemas.Table
	Derived bool // the transforms change its columns, so that the source's statement would make another table
	Next    string
}

// AppliesDDL reports that statements of the source are carried out at the target.
func (c *Config) AppliesDDL() bool { return c.DDL == "" || c.DDL == ddlApply }

func (n *NewTable) name() schemas.Name {
	switch {
	case n.Table != nil:
		return schemas.Name{Database: n.Table.Database, Table: n.Table.Name}
	case len(n.DDL.Names) > 0:
		return n.DDL.Names[0]
	}
	return schemas.Name{}
}

// Make makes what a target lacks of a blueprint, and tells made of each table. A table that is there is left as it is; where rows cannot be
// applied to it, that is the fault which the sink would stop with. No other fault leaves anything half made: MySQL and MariaDB make a table or
// do not. It is to be called before the sink's Start, and again after a crash.
//
// With gtid_next the statements are not logged at the target where the account may do that, as rows of a snapshot are not. Elsewhere they are
// announced like those of the stream, so that a stream which leads back to the source knows them for what they are. Objects need no announcement: no
// stream carries statements about them. became is told of each.
func Make(ctx context.Context, o Options, bp *Blueprint, made func(schemas.Name), became func(Object)) error {
	return prepared(ctx, o, made, func(ctx context.Context, m *maker) error {
		if err := m.make(ctx, bp); err != nil || len(o.Groups()) == 0 {
			return err
		}
		return m.objects(ctx, bp.Objects, bp.Blind, became)
	})
}

// prepared runs a task in a session that may make things.
func prepared(ctx context.Context, o Options, made func(schemas.Name), task func(context.Context, *maker) error) error {
	o.Config = o.withDefaults()
	e, err := newEngine(o)
	if err != nil {
		return err
	}
	defer e.cancel(nil)
	m := maker{e: e, there: map[string]bool{}, made: made}
	if m.c, err = e.connect(ctx); err != nil {
		return err
	}
	defer m.c.Close()
	if err = m.open(ctx); err == nil {
		err = task(ctx, &m)
	}
	if err != nil {
		_, err = sorted(err)
		return m.c.Fault(err, "ALL", "*.*")
	}
	return nil
}

// maker makes tables, in one session.
type maker struct {
	e       *engine
	c       *session.Session
	books   *books
	logged  bool
	catalog *target.Catalog
	there   map[string]bool // databases, as the server compares names
	made    func(schemas.Name)
}

// open learns who answers, and prepares the session.
func (m *maker) open(ctx context.Context) (err error) {
	e := m.e
	if e.server, err = target.Ask(ctx, m.c.Query); err != nil {
		return err
	}
	if err := e.usable(e.server); err != nil {
		return err
	}
	// A snapshot is of a source with GTIDs: which they are says the first batch, and makes no difference here.
	source := e.opt.Source
	if m.books, err = newBooks(e, sinks.Place{GTIDs: gtid.NewSet(source.Flavor), Server: &source}); err != nil {
		return err
	}
	m.logged = !m.books.gtid || !m.books.skipLog
	m.catalog = target.New(e.server)
	rows, err := m.c.Query(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
	if err != nil {
		return err
	}
	for _, r := range rows {
		m.there[e.server.Fold(string(r[0]))] = true
	}
	if !m.logged {
		if err := m.c.Exec(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
			return err
		}
	}
	m.c.SetPatience(0)
	return nil
}

func (m *maker) make(ctx context.Context, bp *Blueprint) error {
	for i := range bp.Databases {
		if err := m.database(ctx, &bp.Databases[i]); err != nil {
			return err
		}
	}
	for i := range bp.Tables {
		if err := m.table(ctx, &bp.Tables[i], i); err != nil {
			return err
		}
	}
	return nil
}

// Error numbers of the server, from its errmsg file.
const (
	erUnknownCharset   = 1115
	erUnknownCollation = 1273
)

func (m *maker) database(ctx context.Context, d *NewDatabase) error {
	if key := m.e.server.Fold(d.Name); m.there[key] || d.Name == m.e.opt.Database {
		return nil
	}
	text := "CREATE DATABASE IF NOT EXISTS " + sqltext.Name(d.Name)
	if d.Charset != "" {
		text += " DEFAULT CHARACTER SET " + charset.ServerName(m.e.server.Flavor, m.e.server.Version, charset.Normalize(d.Charset))
	}
	full := text
	if d.Collation != "" {
		full += " COLLATE " + charset.ServerName(m.e.server.Flavor, m.e.server.Version, charset.Normalize(d.Collation))
	}
	err := m.announced(ctx, &schemas.DDL{Kind: schemas.CreateDatabase, Names: []schemas.Name{{Database: d.Name}}}, -1, func() error {
		err := m.c.Exec(ctx, full)
		if n := session.Number(err); n == erUnknownCollation || n == erUnknownCharset {
			err = m.c.Exec(ctx, text) // its tables say their own
		}
		return err
	})
	if d.Spare && session.Number(err) == session.ErDBAccessDenied {
		return nil
	}
	if err != nil {
		return m.failed(err, d.Name, text)
	}
	m.there[m.e.server.Fold(d.Name)] = true
	return nil
}

func (m *maker) table(ctx context.Context, n *NewTable, i int) error {
	to := n.name()
	if to.Database == m.e.opt.Database && ours(to.Table) {
		return nil
	}
	if to.Table != "" {
		at, err := m.catalog.Table(ctx, m.c.Query, to)
		if err != nil {
			return err
		}
		if at != nil {
			if n.Table == nil || n.Next != "" {
				return nil
			}
			_, err := m.catalog.Plan(ctx, m.c.Query, n.Table)
			return err
		}
	}
	plan, err := m.plan(n)
	if err != nil {
		return err
	}
	if plan.Skip != "" { // no statement that the source prints is one of those
		return fault.New(fault.TargetCreate, "%s; the statement: %s", plan.Skip, short(n.DDL.Text)).At(fault.Where{Table: to.String(), Server: m.c.Address})
	}
	err = m.announced(ctx, n.DDL, i, func() error { return m.execute(ctx, plan) })
	if err != nil {
		return m.refused(err, n, plan.Text)
	}
	if n.Next != "" {
		if _, err := m.c.Query(ctx, "SELECT SETVAL("+full(to)+", "+n.Next+", 0)"); err != nil {
			return m.failed(err, to.String(), "SELECT SETVAL("+full(to)+", "+n.Next+", 0)")
		}
	}
	m.catalog.Forget(to)
	m.made(to)
	return nil
}

// plan gives the statement that makes a table.
func (m *maker) plan(n *NewTable) (*ddl.Plan, error) {
	if n.Derived && n.Table != nil && len(n.Table.Columns) > 0 {
		return &ddl.Plan{Text: m.derived(n.Table)}, nil
	}
	o := m.e.opt
	plan, err := ddl.Translate(n.DDL, ddl.Options{Rename: o.Rename, Fold: o.Fold, Whole: o.Whole, Shared: o.Shared, Server: m.e.server})
	if f, ok := fault.As(err); ok && f.Code == fault.TargetDDL {
		e := fault.New(fault.TargetCreate, "%s", f.Text).At(f.Where)
		if n.Table != nil {
			e = e.Hint("make it by hand, and start again: a table that is there is left as it is. Its columns and keys: %s", m.derived(n.Table))
		}
		return nil, e
	}
	return plan, err
}

// announced runs a statement, and tells streams that lead back to the source that it is no new one.
func (m *maker) announced(ctx context.Context, d *schemas.DDL, i int, run func() error) error {
	if !m.logged {
		return run()
	}
	b := m.books
	if err := b.table(ctx, m.c, statementsTable, statementsDefinition); err != nil {
		return err
	}
	txn := event.Txn{File: "made", Off: uint64(i + 1)} // no binlog has this name
	if err := b.announce(ctx, m.c, &txn, "", d); err != nil {
		return err
	}
	err := run()
	if m.c.Usable() {
		if bad := m.c.Exec(ctx, string(b.forget(nil, &txn))); err == nil {
			err = bad
		}
	}
	return err
}

func (m *maker) execute(ctx context.Context, plan *ddl.Plan) (err error) {
	defer func() {
		for _, q := range plan.After {
			if bad := m.c.Exec(ctx, q); err == nil {
				err = bad
			}
		}
	}()
	for _, q := range plan.Before {
		if err := m.c.Exec(ctx, q); err != nil {
			return err
		}
	}
	return m.c.Exec(ctx, plan.Text)
}

// refused says why a table could not be made, and which column is to blame, as far as that is known.
func (m *maker) refused(err error, n *NewTable, text string) error {
	if n.Table != nil {
		if why := m.blame(n.Table); why != "" && session.Number(err) != 0 {
			err = fmt.Errorf("%s: %w", why, err)
		}
	}
	return m.failed(err, n.name().String(), text)
}

func (m *maker) failed(err error, name, text string) error {
	if session.Number(err) == 0 || isRetry(err) {
		return err
	}
	code := fault.TargetCreate
	if _, s := sorted(err); fault.Has(s, fault.TargetGrantMissing) {
		code = fault.TargetGrantMissing
	}
	f := fault.New(code, "%w; the statement: %s", err, short(text)).At(fault.Where{Table: name, Server: m.c.Address})
	if code == fault.TargetGrantMissing {
		f = f.Hint("see `cdc check FILE --grants=target`, or make the table by hand and start again")
	}
	return f
}

// blame names the first column whose type or collation the target's family of servers does not have.
func (m *maker) blame(t *schemas.Table) string {
	maria := m.e.server.Flavor == gtid.MariaDB
	for i := range t.Columns {
		c := &t.Columns[i]
		switch c.Type {
		case schemas.UUID, schemas.INET4, schemas.INET6:
			if !maria {
				return fmt.Sprintf("the target has no type for the column %s (%s)", c.Name, c.ColumnType())
			}
		case schemas.Vector:
			if m.e.server.Version < 90000 {
				return fmt.Sprintf("the target has no type for the column %s (%s)", c.Name, c.ColumnType())
			}
		}
		if c.Collation != "" && !ddl.Knows(m.e.server, c.Collation) {
			return fmt.Sprintf("the target does not know the collation of the column %s (%s)", c.Name, c.Collation)
		}
	}
	return ""
}

// derived writes the statement that makes a table of what leaves the transforms: columns, and keys of columns.
func (m *maker) derived(t *schemas.Table) string {
	c := checker{opt: &CheckOptions{Options: m.e.opt}, server: m.e.server}
	var parts []string
	for i := range t.Columns {
		if !t.Columns[i].Hidden {
			parts = append(parts, c.define(&t.Columns[i]))
		}
	}
	key := func(head string, k *schemas.Key) {
		var names []string
		for _, p := range k.Parts {
			if p.Column < 0 || p.Column >= len(t.Columns) || t.Columns[p.Column].Hidden {
				return // an expression, of which nothing is known
			}
			name := sqltext.Name(t.Columns[p.Column].Name)
			if p.Prefix > 0 {
				name += "(" + strconv.Itoa(int(p.Prefix)) + ")"
			}
			names = append(names, name)
		}
		parts = append(parts, head+" ("+strings.Join(names, ", ")+")")
	}
	if len(t.PrimaryKey) > 0 {
		primary := schemas.Key{}
		for _, at := range t.PrimaryKey {
			primary.Parts = append(primary.Parts, schemas.KeyPart{Column: at})
		}
		for i := range t.Unique {
			if t.Unique[i].Name == "PRIMARY" { // with the lengths of its parts
				primary = t.Unique[i]
			}
		}
		key("PRIMARY KEY", &primary)
	}
	for i := range t.Unique {
		if k := &t.Unique[i]; k.Name != "PRIMARY" {
			key("UNIQUE KEY "+sqltext.Name(k.Name), k)
		}
	}
	for i := range t.Plain {
		if k := &t.Plain[i]; !slices.ContainsFunc(k.Parts, func(p schemas.KeyPart) bool { return p.Column >= 0 && special(&t.Columns[p.Column], p) }) {
			key("KEY "+sqltext.Name(k.Name), k)
		}
	}
	text := "CREATE TABLE " + full(schemas.Name{Database: t.Database, Table: t.Name}) + " (" + strings.Join(parts, ", ") + ")"
	if t.Charset != "" {
		text += " DEFAULT CHARACTER SET " + charset.ServerName(m.e.server.Flavor, m.e.server.Version, t.Charset)
		if t.Collation != "" && ddl.Knows(m.e.server, t.Collation) {
			text += " COLLATE " + charset.ServerName(m.e.server.Flavor, m.e.server.Version, t.Collation)
		}
	}
	return text
}

// special reports a part that only a key of a special kind can have, which a version does not tell: SPATIAL, FULLTEXT, of a vector.
func special(c *schemas.Column, p schemas.KeyPart) bool {
	long := c.Type >= schemas.TinyText && c.Type <= schemas.LongBlob
	return c.Type == schemas.Geometry || c.Type == schemas.Vector || long && p.Prefix == 0
}

func full(n schemas.Name) string {
	return string(append(append(sqltext.AppendName(nil, n.Database), '.'), sqltext.AppendName(nil, n.Table)...))
}
