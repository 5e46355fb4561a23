package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
)

// Found is what Objects finds.
type Found struct {
	List  []schemas.Object // in an order in which they may be made, but for views that name others
	Blind []string         // of which there may be some that the account does not even see, and for want of what
	Fold  bool             // the server compares names without case
}

// Objects reads the views, routines, events and triggers of a source. A view, routine or event is chosen by sel as if its name were that of a table; a
// trigger with its table. groups are those that are wanted (schemas.ObjectKind.Group). What is seen and may not be read comes without its text.
//
// Nothing is locked: objects are no part of what the snapshot's place promises.
//
// They are read as mysqldump does: character_set_results NULL leaves each text as the bytes of the session that made it, and a session without a default
// database lets the server print all names of a view with theirs.
func Objects(ctx context.Context, s *session.Session, flavor gtid.Flavor, sel *schemas.Selector, groups []string) (*Found, error) {
	r := objectReader{s: s, flavor: flavor, sel: sel, groups: groups}
	if err := r.read(ctx); err != nil {
		return nil, s.Fault(err, "SELECT", "*.*")
	}
	return &Found{List: r.out, Blind: r.blind, Fold: r.fold}, nil
}

type objectReader struct {
	s      *session.Session
	flavor gtid.Flavor
	sel    *schemas.Selector
	groups []string

	version uint32
	fold    bool
	out     []schemas.Object
	blind   []string
}

func (r *objectReader) wants(k schemas.ObjectKind) bool { return slices.Contains(r.groups, k.Group()) }

func (r *objectReader) read(ctx context.Context) error {
	rows, err := r.s.Query(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'lower_case_table_names')")
	if err != nil {
		return err
	}
	for _, v := range rows {
		switch string(v[0]) {
		case "version":
			r.version = (&event.Server{Version: string(v[1])}).Number()
		case "lower_case_table_names":
			if string(v[1]) != "0" {
				r.fold, r.sel = true, r.sel.Folded()
			}
		}
	}
	// Every view is printed in backquotes, and the times of events in zones of their own.
	for _, q := range []string{"SET NAMES utf8mb4", "SET SESSION sql_mode='', sql_quote_show_create=1"} {
		if err := r.s.Exec(ctx, q); err != nil {
			return err
		}
	}
	if err := r.sight(ctx); err != nil {
		return err
	}
	if err := r.list(ctx); err != nil {
		return err
	}
	if err := r.s.Exec(ctx, "SET character_set_results = NULL"); err != nil {
		return err
	}
	for i := range r.out {
		if o := &r.out[i]; o.Why == "" {
			if err := r.text(ctx, o); err != nil {
				return err
			}
		}
	}
	return r.s.Exec(ctx, "SET character_set_results = utf8mb4")
}

// list names them, each kind in an order in which its members may be made.
func (r *objectReader) list(ctx context.Context) error {
	add := func(kind schemas.ObjectKind, db, name, on []byte, enabled bool) {
		o := schemas.Object{Kind: kind, Name: schemas.Name{Database: string(db), Table: string(name)}, Enabled: enabled}
		chosen := o.Name
		if on != nil {
			o.On = schemas.Name{Database: string(db), Table: string(on)}
			chosen = o.On
		}
		if r.sel.Match(chosen.Database, chosen.Table) {
			r.out = append(r.out, o)
		}
	}
	for _, l := range []struct {
		kind schemas.ObjectKind
		text string
		take func(row [][]byte)
	}{
		{schemas.Procedure, "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES ORDER BY ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME", func(row [][]byte) {
			add(schemas.ObjectKind(row[2]), row[0], row[1], nil, false)
		}},
		{schemas.View, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW' ORDER BY TABLE_SCHEMA, TABLE_NAME", func(row [][]byte) {
			add(schemas.View, row[0], row[1], nil, false)
		}},
		{schemas.Event, "SELECT EVENT_SCHEMA, EVENT_NAME, STATUS FROM information_schema.EVENTS ORDER BY EVENT_SCHEMA, EVENT_NAME", func(row [][]byte) {
			add(schemas.Event, row[0], row[1], nil, string(row[2]) == "ENABLED")
		}},
		{schemas.Trigger, "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS " +
			"ORDER BY EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER", func(row [][]byte) {
			add(schemas.Trigger, row[0], row[1], row[2], false)
		}},
	} {
		if !r.wants(l.kind) {
			continue
		}
		if err := r.s.Stream(ctx, l.text, func(row [][]byte) error { l.take(row); return nil }); err != nil {
			return err
		}
	}
	for i := range r.out {
		switch r.out[i].Kind {
		case schemas.View, schemas.Procedure, schemas.Function, schemas.Package, schemas.PackageBody, schemas.Event, schemas.Trigger:
		default:
			r.out[i].Why = "objects of this kind are not carried"
		}
	}
	return nil
}

// columns of SHOW CREATE by kind: text, sql_mode, character_set_client (the two collations follow), time zone; -1 is none.
func showColumns(k schemas.ObjectKind) (text, modes, client, zone int) {
	switch k {
	case schemas.View:
		return 1, -1, 2, -1
	case schemas.Event:
		return 3, 1, 4, 2
	}
	return 2, 1, 3, -1
}

// text reads one object.
func (r *objectReader) text(ctx context.Context, o *schemas.Object) error {
	rows, err := r.s.Query(ctx, fmt.Sprintf("SHOW CREATE %s %s.%s", o.Kind, identifier(o.Name.Database), identifier(o.Name.Table)))
	if session.Number(err) != 0 { // it was dropped since, or may not be read, or is broken
		o.Why = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	text, modes, client, zone := showColumns(o.Kind)
	if len(rows) != 1 || len(rows[0]) <= client+1 || o.Kind != schemas.View && len(rows[0]) <= client+2 {
		o.Why = "the server gives no definition"
		return nil
	}
	row := rows[0]
	if row[text] == nil {
		o.Why = "the account may not read its definition"
		return nil
	}
	o.Text, o.Client, o.Connection = string(row[text]), string(row[client]), string(row[client+1])
	if modes >= 0 {
		o.Modes, o.Default = string(row[modes]), string(row[client+2])
	}
	if zone >= 0 {
		o.TimeZone = string(row[zone])
	}
	return nil
}

// sight says what the account does not see. information_schema leaves out, without a word, what an account has no right to.
func (r *objectReader) sight(ctx context.Context) error {
	var databases []string
	if err := r.s.Stream(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME", func(row [][]byte) error {
		if db := string(row[0]); r.sel.MatchDatabase(db) {
			databases = append(databases, db)
		}
		return nil
	}); err != nil {
		return err
	}
	lines, err := r.s.Grants(ctx)
	if err != nil {
		return err
	}
	r.blind = Blind(lines, r.flavor, r.version, databases, r.groups)
	return nil
}

// Blind says, of the lines of SHOW GRANTS, which groups of objects of these databases an account may not see or read, each with the privilege that it lacks.
func Blind(lines []string, flavor gtid.Flavor, version uint32, databases, groups []string) (out []string) {
	has := func(privilege, db, table string) bool {
		found := false
		for _, line := range lines {
			g, ok := session.ParseGrant(line)
			if !ok || !g.Has(privilege) || !g.Everywhere() && !g.Covers(db, nil) || g.Table != "*" && g.Table != table {
				continue
			}
			if g.Revoke {
				return false
			}
			found = true
		}
		return found
	}
	everywhere := func(privilege string) bool {
		return slices.ContainsFunc(lines, func(line string) bool {
			g, ok := session.ParseGrant(line)
			return ok && !g.Revoke && g.Everywhere() && g.Has(privilege)
		})
	}
	lacks := func(group, privilege string, of []string) {
		if len(of) > 0 && slices.Contains(groups, group) {
			out = append(out, fmt.Sprintf("%s of %s, for want of %s", group, strings.Join(of, ", "), privilege))
		}
	}
	without := func(privilege string) (of []string) {
		for _, db := range databases {
			if !has(privilege, db, "*") {
				of = append(of, db)
			}
		}
		return of
	}
	lacks("views", "SHOW VIEW", without("SHOW VIEW"))
	lacks("events", "EVENT", without("EVENT"))
	lacks("triggers", "TRIGGER", without("TRIGGER"))
	switch {
	case flavor == gtid.MySQL && version >= 80020:
		if !everywhere("SHOW_ROUTINE") && !everywhere("SELECT") {
			lacks("routines", "SHOW_ROUTINE", databases)
		}
	case has("SELECT", "mysql", "proc"):
	case flavor == gtid.MariaDB && version >= 110300:
		lacks("routines", "SHOW CREATE ROUTINE", without("SHOW CREATE ROUTINE"))
	default:
		lacks("routines", "SELECT on mysql.proc", databases)
	}
	return out
}

// ObjectPrivileges lists what an account may have for the sake of these groups, in the words of all servers.
func ObjectPrivileges(groups []string) (out []string) {
	for _, g := range groups {
		switch g {
		case "views":
			out = append(out, "SHOW VIEW")
		case "events":
			out = append(out, "EVENT")
		case "triggers":
			out = append(out, "TRIGGER")
		case "routines":
			out = append(out, "SHOW_ROUTINE", "SHOW CREATE ROUTINE")
		}
	}
	return out
}

// ObjectGrants gives the privileges by which Objects sees and reads all of the groups: those on a database, and statements that only some versions have or
// need, for an account, with a comment before each.
func ObjectGrants(flavor gtid.Flavor, groups []string, account string) (onDatabase, others []string) {
	for _, g := range []struct{ group, privilege string }{{"views", "SHOW VIEW"}, {"events", "EVENT"}, {"triggers", "TRIGGER"}} {
		if slices.Contains(groups, g.group) {
			onDatabase = append(onDatabase, g.privilege)
		}
	}
	if slices.Contains(groups, "routines") {
		if flavor == gtid.MariaDB {
			others = append(others, "-- for routines (MariaDB 11.3 and later have SHOW CREATE ROUTINE on a database instead):", "GRANT SELECT ON mysql.proc TO "+account+";")
		} else {
			others = append(others, "-- for routines, where the source is MySQL 8.0.20 or later (before: GRANT SELECT ON mysql.proc):", "GRANT SHOW_ROUTINE ON *.* TO "+account+";")
		}
	}
	return onDatabase, others
}
