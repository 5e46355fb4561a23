package session

import (
	"context"
	"slices"
	"strings"
)

// Grant is a line of SHOW GRANTS.
type Grant struct {
	Privileges      []string // upper case, without column lists
	Database, Table string   // as written, unquoted: "*" and "*" are everything; the database is a pattern
	Option          bool     // WITH GRANT OPTION
	Revoke          bool     // a partial revoke of MySQL
}

// ParseGrant reads lines such as
//
//	GRANT SELECT, REPLICATION SLAVE ON *.* TO `cdc`@`%`
//	GRANT SELECT (`id`), INSERT ON `shop`.`orders` TO `cdc`@`%` WITH GRANT OPTION
//	REVOKE SELECT ON `secret`.* FROM `cdc`@`%`
//
// ok is false for roles, proxies and routines.
func ParseGrant(line string) (g Grant, ok bool) {
	rest, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		if rest, g.Revoke = strings.CutPrefix(line, "REVOKE "); !g.Revoke {
			return g, false
		}
	}
	list, rest, ok := strings.Cut(rest, " ON ")
	if !ok || list == "PROXY" {
		return g, false
	}
	g.Database, rest = CutName(rest)
	rest, ok = strings.CutPrefix(rest, ".")
	if !ok {
		return g, false // ON PROCEDURE, ON FUNCTION
	}
	g.Table, rest = CutName(rest)
	g.Option = strings.HasSuffix(rest, " WITH GRANT OPTION")
	depth, start := 0, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ',' && depth == 0:
			name, _, _ := strings.Cut(list[start:i], "(")
			g.Privileges = append(g.Privileges, strings.ToUpper(strings.TrimSpace(name)))
			start = i + 1
		case list[i] == '(':
			depth++
		case list[i] == ')':
			depth--
		}
	}
	return g, true
}

// CutName takes a name, in backquotes or not, or * off the beginning.
func CutName(s string) (name, rest string) {
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

// On names what the grant is on, as a GRANT or REVOKE of it does.
func (g *Grant) On() string {
	if g.Everywhere() {
		return "*.*"
	}
	quoted := func(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
	if g.Table == "*" {
		return quoted(g.Database) + ".*"
	}
	return quoted(g.Database) + "." + quoted(g.Table)
}

// Covers reports whether the grant is of a database: its own is a pattern, but for a partial revoke. fold makes names equal that the server takes for
// equal; nil compares them as they are.
func (g *Grant) Covers(database string, fold func(string) string) bool {
	if g.Everywhere() {
		return true
	}
	own := g.Database
	if fold != nil {
		own, database = fold(own), fold(database)
	}
	if g.Revoke {
		return own == database
	}
	return like(own, database)
}

// like matches a database against the pattern of a grant: _ is any character, % any text, and a backslash makes either stand for itself.
func like(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	var match func(i, j int) bool
	match = func(i, j int) bool {
		for ; i < len(p); i++ {
			switch {
			case p[i] == '%':
				for ; j <= len(n); j++ {
					if match(i+1, j) {
						return true
					}
				}
				return false
			case p[i] == '_' && j < len(n):
			case p[i] == '\\' && i+1 < len(p) && j < len(n) && p[i+1] == n[j]:
				i++
			case j < len(n) && p[i] == n[j]:
			default:
				return false
			}
			j++
		}
		return j == len(n)
	}
	return match(0, 0)
}

// Everywhere reports a grant on all databases.
func (g *Grant) Everywhere() bool { return g.Database == "*" }

// Has reports whether the grant has a privilege, by name or as one of all.
func (g *Grant) Has(privilege string) bool {
	return slices.Contains(g.Privileges, privilege) || slices.Contains(g.Privileges, "ALL PRIVILEGES") || slices.Contains(g.Privileges, "ALL")
}

// Grants lists what the account may do, as ParseGrant reads it. MySQL shows the privileges of active roles only where they are named; MariaDB shows
// them by itself.
func (s *Session) Grants(ctx context.Context) ([]string, error) {
	statement := "SHOW GRANTS"
	if !strings.Contains(strings.ToLower(s.Version), "mariadb") {
		// MySQL 5.7 has neither roles nor this function, and says so.
		if roles, err := s.One(ctx, "SELECT CURRENT_ROLE()"); err == nil && roles != "" && roles != "NONE" {
			statement = "SHOW GRANTS FOR CURRENT_USER() USING " + roles
		}
	}
	rows, err := s.Query(ctx, statement)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rows {
		if len(r) > 0 {
			// MariaDB shows the hash of the password here.
			line, _, _ := strings.Cut(string(r[0]), " IDENTIFIED BY PASSWORD ")
			out = append(out, line)
		}
	}
	return out, nil
}
