package check

import (
	"fmt"
	"slices"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
)

// grant is a line of SHOW GRANTS.
type grant struct {
	privileges      []string // upper case, without column lists
	database, table string   // as written, unquoted: "*" and "*" are everything; the database is a pattern
	option          bool     // WITH GRANT OPTION
	revoke          bool     // a partial revoke of MySQL
}

// parseGrant reads lines such as
//
//	GRANT SELECT, REPLICATION SLAVE ON *.* TO `cdc`@`%`
//	GRANT SELECT (`id`), INSERT ON `shop`.`orders` TO `cdc`@`%` WITH GRANT OPTION
//	REVOKE SELECT ON `secret`.* FROM `cdc`@`%`
//
// ok is false for roles and proxies.
func parseGrant(line string) (g grant, ok bool) {
	rest, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		if rest, g.revoke = strings.CutPrefix(line, "REVOKE "); !g.revoke {
			return g, false
		}
	}
	list, rest, ok := strings.Cut(rest, " ON ")
	if !ok || list == "PROXY" {
		return g, false
	}
	g.database, rest = identifier(rest)
	rest, ok = strings.CutPrefix(rest, ".")
	if !ok {
		return g, false // ON PROCEDURE, ON FUNCTION
	}
	g.table, rest = identifier(rest)
	g.option = strings.HasSuffix(rest, " WITH GRANT OPTION")
	depth, start := 0, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ',' && depth == 0:
			name, _, _ := strings.Cut(list[start:i], "(")
			g.privileges = append(g.privileges, strings.ToUpper(strings.TrimSpace(name)))
			start = i + 1
		case list[i] == '(':
			depth++
		case list[i] == ')':
			depth--
		}
	}
	return g, true
}

// identifier takes a name or * off the beginning.
func identifier(s string) (name, rest string) {
	if !strings.HasPrefix(s, "`") {
		i := strings.IndexAny(s, ". ")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == '`' {
			if i+1 == len(s) || s[i+1] != '`' {
				return b.String(), s[i+1:]
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

func (g *grant) everywhere() bool { return g.database == "*" }

func (g *grant) has(privilege string) bool {
	return slices.Contains(g.privileges, privilege) || slices.Contains(g.privileges, "ALL PRIVILEGES") || slices.Contains(g.privileges, "ALL")
}

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
	var all []grant
	for _, line := range f.Grants {
		if g, ok := parseGrant(line); ok {
			all = append(all, g)
		}
	}
	global := func(names ...string) bool {
		return slices.ContainsFunc(all, func(g grant) bool {
			return !g.revoke && g.everywhere() && slices.ContainsFunc(names, g.has)
		})
	}
	fine := true
	slave, client := wanted(f.Server.Flavor, f.Server.Number())
	for _, p := range [][]string{{slave}, {client, "REPLICATION CLIENT", "SUPER"}} {
		if !global(p...) {
			fine = false
			l.fail(fault.SourceGrantMissing, "grants", fmt.Sprintf("GRANT %s ON *.* TO %s;", p[0], f.Account), "%s is missing", p[0])
		}
	}
	if missing := unread(all, w.Patterns); len(missing) > 0 {
		fine = false
		cure := make([]string, len(missing))
		for i, on := range missing {
			cure[i] = fmt.Sprintf("GRANT SELECT ON %s TO %s;", on, f.Account)
		}
		if f.Variables["binlog_row_metadata"] == "FULL" {
			l.warn("grants", strings.Join(cure, " "), "SELECT is missing on %s: the names of columns are in the stream, but keys and foreign keys cannot be checked",
				strings.Join(missing, ", "))
		} else {
			l.fail(fault.SourceGrantMissing, "grants", strings.Join(cure, " ")+" Or "+set(f, "binlog_row_metadata", "FULL"),
				"SELECT is missing on %s: the columns of its tables cannot be read", strings.Join(missing, ", "))
		}
	}
	if fine {
		l.pass("grants", "all that is needed: %s, %s, and SELECT on the captured tables", slave, client)
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

// unread lists the targets that no grant covers.
func unread(all []grant, patterns []string) []string {
	var out []string
	for _, on := range targets(patterns) {
		db, rest := identifier(on)
		table, _ := identifier(strings.TrimPrefix(rest, "."))
		name := unescape(db)
		covered := false
		revoked := false
		for _, g := range all {
			if !g.has("SELECT") {
				continue
			}
			switch {
			case g.revoke:
				revoked = revoked || g.database == name
			case g.everywhere():
				covered = true
			case on == "*.*":
				// All databases are wanted, and some are granted: those are what is captured, which a wide pattern may mean.
				covered = covered || g.table == "*"
			case g.table == "*":
				sel, err := schemas.ParseSelector([]string{strings.ReplaceAll(g.database, ".", `\.`) + ".%"})
				covered = covered || err == nil && sel.Match(name, "t")
			default:
				covered = covered || unescape(g.database) == name && (g.table == table || table == "*")
			}
		}
		if !covered || revoked {
			out = append(out, on)
		}
	}
	return out
}

// excess names what a reader has no use for.
func (l *list) excess(f *source.Facts, w Wishes, all []grant) {
	want := targets(w.Patterns)
	var names, cures []string
	for _, g := range all {
		if g.revoke {
			continue
		}
		on := "`" + strings.ReplaceAll(g.database, "`", "``") + "`.*"
		switch {
		case g.everywhere():
			on = "*.*"
		case g.table != "*":
			on = "`" + strings.ReplaceAll(g.database, "`", "``") + "`.`" + strings.ReplaceAll(g.table, "`", "``") + "`"
		}
		var bad []string
		for _, p := range g.privileges {
			switch {
			case slices.Contains(modest, p):
			case p == "SELECT" && (want[0] == "*.*" || !g.everywhere()):
			default:
				bad = append(bad, p)
			}
		}
		if g.option {
			bad = append(bad, "GRANT OPTION")
		}
		if len(bad) == 0 {
			continue
		}
		names = append(names, some(bad)+" on "+on)
		cures = append(cures, fmt.Sprintf("REVOKE %s ON %s FROM %s;", strings.Join(bad, ", "), on, f.Account))
	}
	if len(names) == 0 {
		l.pass("excess grants", "none")
		return
	}
	l.hint("excess grants", "use an account of its own, made by `cdc check FILE --grants`; or "+strings.Join(cures, " "), "the account may do what is not needed: %s", strings.Join(names, "; "))
}

// GrantFor is an account that Grants makes.
type GrantFor struct {
	Flavor   gtid.Flavor
	User     string
	Host     string // "%" where empty
	TLS      bool   // the configuration encrypts: the account may then require it
	Patterns []string
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
		out = append(out, fmt.Sprintf("GRANT SELECT ON %s TO %s;", on, account))
	}
	return out
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
