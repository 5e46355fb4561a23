package mysql

import (
	"fmt"
	"slices"
	"strings"

	"cdc/schemas"
	"cdc/session"
	"cdc/sinks/mysql/ddl"
)

// need is what the account must be allowed on one database of the target.
type need struct {
	database   string
	privileges []string
}

// What the statements of the sink ask for. ALTER TABLE needs CREATE and INSERT too, RENAME needs ALTER and DROP, TRUNCATE needs DROP, and a foreign
// key needs REFERENCES on the parent.
var (
	ofRows = []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	ofDDL  = []string{"CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"}
	// Without TRIGGER the triggers of a table cannot be seen, and so not be refused.
	ofTriggers = "TRIGGER"
	ofOurs     = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"}
	// What is made anew is dropped first.
	ofObjects = map[string][]string{
		groupViews: {"CREATE VIEW", "SHOW VIEW"}, groupRoutines: {"CREATE ROUTINE", "ALTER ROUTINE"}, groupEvents: {"EVENT"}, groupTriggers: {ofTriggers},
	}
)

// extras lists what making objects needs beside: on the databases, and on all for a DEFINER that is not the account. Rows need none of it.
func (o *Options) extras(databases []string) (out []need, definer bool) {
	if !o.Copies || o.DDL != ddlApply {
		return nil, false
	}
	var privileges []string
	for _, g := range o.Groups() {
		for _, p := range ofObjects[g] {
			if p != ofTriggers || o.Triggers != triggersRefuse { // which sees them by it already
				privileges = append(privileges, p)
			}
		}
		definer = o.Definer != ddl.DefinerCurrent
	}
	for _, db := range databases {
		if db != o.Database && privileges != nil {
			out = append(out, need{db, privileges})
		}
	}
	return out, definer
}

// needs lists what the sink needs on the databases of the tables that it applies to, and on its own.
func (c *Config) needs(databases []string) []need {
	privileges := slices.Clone(ofRows)
	if c.DDL == ddlApply {
		privileges = append(privileges, ofDDL...)
	}
	if c.Triggers == triggersRefuse {
		privileges = append(privileges, ofTriggers)
	}
	var out []need
	for _, db := range databases {
		if db == c.Database {
			continue
		}
		out = append(out, need{db, privileges})
	}
	ours := slices.Clone(ofOurs)
	if slices.Contains(databases, c.Database) {
		ours = slices.Clone(privileges)
		if c.DDL != ddlApply {
			ours = append(ours, "CREATE")
		}
	}
	return append(out, need{c.Database, ours})
}

// Grants gives the statements that create an account which may apply to databases of the target what the configuration wants, and no more. A database
// is named as a pattern of source.tables has it: a percent sign stands for any text. Nobody is asked anything, so what only one kind of server needs
// says so in a comment. The password is left to the reader.
func Grants(o Options, databases []string) []string {
	o.Config = o.withDefaults()
	account := session.Quote(o.User) + "@'%'"
	require := ""
	if o.TLS.Mode != session.TLSDisabled {
		require = " REQUIRE SSL"
	}
	out := []string{"CREATE USER " + account + " IDENTIFIED BY 'choose-a-password'" + require + ";"}
	extras, definer := o.extras(databases)
	for _, n := range o.needs(databases) {
		if i := slices.IndexFunc(extras, func(x need) bool { return x.database == n.database }); i >= 0 {
			n.privileges = append(slices.Clone(n.privileges), extras[i].privileges...)
		}
		out = append(out, fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(n.privileges, ", "), grantOn(n.database, n.database != o.Database), account))
	}
	var why []string
	if o.ExactlyOnce != exactTable {
		why = append(why, "exactly_once: gtid_next")
	}
	if o.DDL == ddlApply {
		why = append(why, "DDL")
	}
	if why != nil {
		out = append(out,
			"-- for "+strings.Join(why, " and ")+", where the target is MySQL 8.0.14 or later (before: GRANT SUPER ON *.*; not for MariaDB):",
			fmt.Sprintf("GRANT %s ON *.* TO %s;", ofGTID, account))
	}
	if o.Copies && o.ExactlyOnce != exactTable {
		out = append(out,
			"-- for gtid_purged, so that the target's GTID set has what the snapshot stands for (MySQL 8.0 and later, with exactly_once: gtid_next):",
			fmt.Sprintf("GRANT %s ON *.* TO %s;", ofPurged, account))
	}
	if definer {
		out = append(out,
			"-- for the DEFINER of views, routines, events and triggers, where the target is MySQL 8.2 or later (8.0: SET_USER_ID; before: SUPER; MariaDB: SET USER):",
			fmt.Sprintf("GRANT %s ON *.* TO %s;", strings.Join(ofDefiner, ", "), account),
			"-- and, where a DEFINER is an administrator such as root, whose rights what is made then has: GRANT "+ofSystem+" ON *.* TO "+account+";")
	}
	return out
}

// What lets an account name another as the DEFINER, also one that the target does not have yet, as mysqldump's output does; and what sets gtid_purged.
var ofDefiner = []string{"SET_ANY_DEFINER", "ALLOW_NONEXISTENT_DEFINER"}

const ofPurged = "SYSTEM_VARIABLES_ADMIN"

// ofSystem is asked for where the DEFINER has it himself. It is not granted by default: it lets the account touch other administrators.
const ofSystem = "SYSTEM_USER"

// What gtid_next needs, and what keeps the sink's own table out of the binlog: SESSION_VARIABLES_ADMIN came with MySQL 8.0.14. REPLICATION_APPLIER, of
// 8.0.18, is for gtid_next alone.
const (
	ofGTID    = "SESSION_VARIABLES_ADMIN"
	ofGTIDOld = "SUPER"
)

// grantOn names a database as GRANT wants it, where _ and % are wildcards unless they are escaped; a pattern keeps its percent signs.
func grantOn(db string, pattern bool) string {
	if pattern && db == "%" {
		return "*.*"
	}
	escape := []string{`\`, `\\`, "_", `\_`, "`", "``"}
	if !pattern {
		escape = append(escape, "%", `\%`)
	}
	return "`" + strings.NewReplacer(escape...).Replace(db) + "`.*"
}

// rights is what the account was granted.
type rights struct {
	grants []session.Grant
	fold   func(string) string
}

func parseRights(lines []string, fold func(string) string) *rights {
	r := &rights{fold: fold}
	for _, line := range lines {
		if g, ok := session.ParseGrant(line); ok {
			r.grants = append(r.grants, g)
		}
	}
	return r
}

// everywhere reports a privilege on all databases.
func (r *rights) everywhere(privileges ...string) bool {
	return slices.ContainsFunc(r.grants, func(g session.Grant) bool {
		return !g.Revoke && g.Everywhere() && slices.ContainsFunc(privileges, g.Has)
	})
}

// covers reports whether a grant is of a database.
func (r *rights) covers(g *session.Grant, db string) bool { return g.Covers(db, r.fold) }

// has reports a privilege on a whole database, or else on each of these tables of it.
func (r *rights) has(privilege, db string, tables []string) bool {
	whole := false
	for i := range r.grants {
		g := &r.grants[i]
		if g.Table != "*" || !g.Has(privilege) || !r.covers(g, db) {
			continue
		}
		if g.Revoke {
			return false
		}
		whole = true
	}
	if whole || len(tables) == 0 {
		return whole
	}
	for _, t := range tables {
		if !slices.ContainsFunc(r.grants, func(g session.Grant) bool {
			return g.Table != "*" && g.Has(privilege) && r.covers(&g, db) && r.fold(g.Table) == r.fold(t)
		}) {
			return false
		}
	}
	return true
}

// missing lists, as a GRANT names them, the privileges that the account lacks of what is needed.
func (r *rights) missing(needs []need, tables []*schemas.Table) []need {
	var out []need
	for _, n := range needs {
		var names []string
		for _, t := range tables {
			if t.Database == n.database {
				names = append(names, t.Name)
			}
		}
		var lacks []string
		for _, p := range n.privileges {
			of := names
			if !slices.Contains(ofRows, p) && p != ofTriggers {
				of = nil // a table that is yet to be made has no grants of its own
			}
			if !r.has(p, n.database, of) {
				lacks = append(lacks, p)
			}
		}
		if lacks != nil {
			out = append(out, need{n.database, lacks})
		}
	}
	return out
}

// What an account of the sink may have on all databases without question: the ways by which versions let it set gtid_next or leave the binlog out, write
// to a server that is read-only, and see what runs.
var modest = []string{
	"USAGE", "REPLICATION_APPLIER", "SESSION_VARIABLES_ADMIN", "TRANSACTION_GTID_TAG", "CONNECTION_ADMIN", "BINLOG ADMIN", "BINLOG REPLAY", "READ_ONLY ADMIN",
	"READ ONLY ADMIN", "REPLICATION CLIENT", "BINLOG MONITOR", "PROCESS",
}

// excess lists what was granted and is not needed, with the statements that take it away. everywhere is what may be granted on all databases.
func (r *rights) excess(needs []need, everywhere []string, account string) (names, cures []string) {
	for i := range r.grants {
		g := &r.grants[i]
		if g.Revoke {
			continue
		}
		var bad []string
		for _, p := range g.Privileges {
			fine := slices.Contains(modest, p) || slices.Contains(everywhere, p)
			for _, n := range needs {
				fine = fine || !g.Everywhere() && r.covers(g, n.database) && (slices.Contains(n.privileges, p) || p == ofTriggers)
			}
			if !fine {
				bad = append(bad, p)
			}
		}
		if g.Option {
			bad = append(bad, "GRANT OPTION")
		}
		if bad == nil {
			continue
		}
		shown := bad
		if len(shown) > 6 {
			shown = append(slices.Clone(shown[:5]), fmt.Sprintf("%d more", len(bad)-5))
		}
		names = append(names, strings.Join(shown, ", ")+" on "+g.On())
		cures = append(cures, fmt.Sprintf("REVOKE %s ON %s FROM %s;", strings.Join(bad, ", "), g.On(), account))
	}
	return names, cures
}
