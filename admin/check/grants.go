package check

import (
	"fmt"
	"slices"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
)

// What a reader may have without question.
var modest = []string{"USAGE", "REPLICATION SLAVE", "REPLICATION CLIENT", "BINLOG MONITOR", "REPLICA MONITOR", "SLAVE MONITOR", "REPLICATION MASTER ADMIN"}

// wanted names the two privileges of a reader in the words of the server.
func wanted(flavor gtid.Flavor, version uint32) (slave, client string) {
	if flavor == gtid.MariaDB && version >= 100502 {
		return "REPLICATION SLAVE", "BINLOG MONITOR"
	}
	return "REPLICATION SLAVE", "REPLICATION CLIENT"
}

// grants compares what the account may do with what it needs.
func (l *list) grants(f *source.Facts, w Wishes) {
	var all []session.Grant
	for _, line := range f.Grants {
		if g, ok := session.ParseGrant(line); ok {
			all = append(all, g)
		}
	}
	global := func(names ...string) bool {
		return slices.ContainsFunc(all, func(g session.Grant) bool {
			return !g.Revoke && g.Everywhere() && slices.ContainsFunc(names, g.Has)
		})
	}
	fine := true
	slave, client := wanted(f.Server.Flavor, f.Server.Number())
	for _, p := range [][]string{{slave}, {client, "REPLICATION CLIENT", "SUPER"}} {
		if !global(p...) {
			fine = false
			l.Fail(fault.SourceGrantMissing, "grants", fmt.Sprintf("GRANT %s ON *.* TO %s;", p[0], f.Account), "%s is missing", p[0])
		}
	}
	if missing := uncovered(all, "SELECT", w.Patterns); len(missing) > 0 {
		fine = false
		cure := make([]string, len(missing))
		for i, on := range missing {
			cure[i] = fmt.Sprintf("GRANT SELECT ON %s TO %s;", on, f.Account)
		}
		if f.Variables["binlog_row_metadata"] == "FULL" {
			l.Warn("grants", strings.Join(cure, " "), "SELECT is missing on %s: the names of columns are in the stream, but keys and foreign keys cannot be checked",
				strings.Join(missing, ", "))
		} else {
			l.Fail(fault.SourceGrantMissing, "grants", strings.Join(cure, " ")+" Or "+set(f, "binlog_row_metadata", "FULL"),
				"SELECT is missing on %s: the columns of its tables cannot be read", strings.Join(missing, ", "))
		}
	}
	if missing := uncovered(all, "LOCK TABLES", w.Patterns); w.Locks && len(missing) > 0 {
		on := strings.Join(missing, ", ")
		switch {
		case w.LockTables:
			fine = false
			l.Fail(fault.SourceGrantMissing, "grants", fmt.Sprintf("GRANT LOCK TABLES on %s to %s", on, f.Account), "a classic snapshot locks tables without transactions: LOCK TABLES is missing on %s", on)
		case !global("RELOAD", "FLUSH_TABLES"):
			fine = false
			l.Fail(fault.SourceGrantMissing, "grants", fmt.Sprintf("GRANT RELOAD ON *.* TO %[1]s; or GRANT LOCK TABLES on %[2]s to it", f.Account, on),
				"a classic snapshot begins under a lock: RELOAD is missing, and LOCK TABLES on %s", on)
		}
	}
	if fine {
		l.Pass("grants", "all that is needed: %s, %s, and SELECT on the captured tables", slave, client)
	}
	l.excess(f, w, all)
}

// targets gives what SELECT is needed on, as a GRANT names it, by the patterns that take tables in: everything, databases, single tables.
func targets(patterns []string) []string {
	var out []string
	takes := false
	for _, p := range patterns {
		if strings.HasPrefix(p, "!") {
			continue
		}
		takes = true
		db, table := cutPattern(p)
		on := "*.*"
		switch {
		case strings.Contains(strings.NewReplacer(`\_`, "", `\%`, "").Replace(db), "%"):
		case wildTable(table):
			// An underscore is so common in names that it is taken for itself.
			on = "`" + grantDatabase(db) + "`.*"
		default:
			on = "`" + strings.ReplaceAll(unescape(db), "`", "``") + "`.`" + strings.ReplaceAll(unescape(table), "`", "``") + "`"
		}
		if !slices.Contains(out, on) {
			out = append(out, on)
		}
	}
	if !takes || slices.Contains(out, "*.*") {
		return []string{"*.*"}
	}
	// A table of a database that is wanted whole needs no line of its own.
	return slices.DeleteFunc(out, func(on string) bool {
		db, table, _ := strings.Cut(on, "`.")
		return table != "*" && slices.Contains(out, db+"`.*")
	})
}

func wildTable(table string) bool {
	return strings.ContainsAny(strings.NewReplacer(`\_`, "", `\%`, "").Replace(table), "%_")
}

func cutPattern(p string) (db, table string) {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '.':
			return p[:i], p[i+1:]
		}
	}
	return p, "%"
}

func unescape(s string) string { return strings.NewReplacer(`\_`, "_", `\%`, "%").Replace(s) }

// grantDatabase writes a database as GRANT wants it, where _ and % are wildcards unless they are escaped.
func grantDatabase(db string) string {
	return strings.NewReplacer("_", `\_`, "%", `\%`, "`", "``").Replace(unescape(db))
}

// uncovered lists the targets on which no grant gives a privilege.
func uncovered(all []session.Grant, privilege string, patterns []string) []string {
	var out []string
	for _, on := range targets(patterns) {
		db, rest := session.CutName(on)
		table, _ := session.CutName(strings.TrimPrefix(rest, "."))
		name := unescape(db)
		covered := false
		revoked := false
		for _, g := range all {
			if !g.Has(privilege) {
				continue
			}
			switch {
			case g.Revoke:
				revoked = revoked || g.Database == name
			case g.Everywhere():
				covered = true
			case on == "*.*":
				// All databases are wanted, and some are granted: those are what is captured, which a wide pattern may mean.
				covered = covered || g.Table == "*"
			case g.Table == "*":
				sel, err := schemas.ParseSelector([]string{strings.ReplaceAll(g.Database, ".", `\.`) + ".%"})
				covered = covered || err == nil && sel.Match(name, "t")
			default:
				covered = covered || unescape(g.Database) == name && (g.Table == table || table == "*")
			}
		}
		if !covered || revoked {
			out = append(out, on)
		}
	}
	return out
}

// excess names what a reader has no use for.
func (l *list) excess(f *source.Facts, w Wishes, all []session.Grant) {
	want := targets(w.Patterns)
	var names, cures []string
	for _, g := range all {
		if g.Revoke {
			continue
		}
		var bad []string
		for _, p := range g.Privileges {
			switch {
			case slices.Contains(modest, p):
			case slices.Contains(w.More, p):
			case p == "SELECT" && (want[0] == "*.*" || !g.Everywhere()):
			case w.Locks && (p == "RELOAD" || p == "FLUSH_TABLES" || p == "LOCK TABLES"):
			default:
				bad = append(bad, p)
			}
		}
		if g.Option {
			bad = append(bad, "GRANT OPTION")
		}
		if len(bad) == 0 {
			continue
		}
		names = append(names, some(bad)+" on "+g.On())
		cures = append(cures, fmt.Sprintf("REVOKE %s ON %s FROM %s;", strings.Join(bad, ", "), g.On(), f.Account))
	}
	if len(names) == 0 {
		l.Pass("excess grants", "none")
		return
	}
	l.Hint("excess grants", "use an account of its own, made by `cdc check FILE --grants`; or "+strings.Join(cures, " "), "the account may do what is not needed: %s", strings.Join(names, "; "))
}

// GrantFor is an account that Grants makes.
type GrantFor struct {
	Flavor   gtid.Flavor
	User     string
	Host     string // "%" where empty
	TLS      bool   // the configuration encrypts: the account may then require it
	Patterns []string
	Locks    bool // a snapshot of some stream begins under a lock
	// LockTables says that it locks tables without transactions too.
	LockTables bool
	// OnDatabase are more privileges on what is captured, and Others more statements, which a snapshot wants that makes views and the like.
	OnDatabase, Others []string
}

// Grants gives the statements that create an account which may read what the configuration captures, and no more. They are those of MySQL 5.7 to
// 9.7, or of MariaDB 10.5 and later. The password is left to the reader.
func Grants(a GrantFor) []string {
	account := quote(a.User) + "@" + quote(orElse(a.Host, "%"))
	slave, client := wanted(a.Flavor, 999999)
	require := ""
	if a.TLS {
		require = " REQUIRE SSL"
	}
	out := []string{
		"CREATE USER " + account + " IDENTIFIED BY 'choose-a-password'" + require + ";",
		fmt.Sprintf("GRANT %s, %s ON *.* TO %s;", slave, client, account),
	}
	for _, on := range targets(a.Patterns) {
		privileges := append([]string{"SELECT"}, a.OnDatabase...)
		if !strings.HasSuffix(on, ".*") { // events are of a database
			privileges = slices.DeleteFunc(privileges, func(p string) bool { return p == "EVENT" })
		}
		out = append(out, fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(privileges, ", "), on, account))
	}
	if a.Locks {
		out = append(out, fmt.Sprintf("GRANT RELOAD ON *.* TO %s; -- for snapshot_way: classic", account))
	}
	if a.LockTables {
		for _, on := range targets(a.Patterns) {
			if db, _, found := strings.Cut(on, "`."); found {
				on = db + "`.*" // the right is one of databases
			}
			if g := fmt.Sprintf("GRANT LOCK TABLES ON %s TO %s; -- for snapshot_lock", on, account); !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return append(out, a.Others...)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
