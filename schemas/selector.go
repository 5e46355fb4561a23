package schemas

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Selector chooses tables by patterns in MySQL's wild syntax, as replicate-wild-do-table and replicate-wild-ignore-table do (manual, "Replica
// Server Options"): % stands for any characters, _ for one, \ takes the next character as it is. A pattern is database.table; a leading ! takes
// away. A table is chosen when it matches any pattern, or when there are only patterns that take away, and matches none of those.
//
// The system databases mysql, sys, information_schema and performance_schema are chosen only by a pattern that names the database without
// wildcards. The zero Selector chooses all others. It is immutable and safe for concurrent use.
type Selector struct {
	take, drop []pattern
	text       []string
	also       []Name // chosen whatever the patterns say
	fold       bool   // names are compared without case
}

type pattern struct {
	database, table string
	plain           bool // the database has no wildcards
}

// ParseSelector reads patterns; its errors name the pattern.
func ParseSelector(patterns []string) (*Selector, error) {
	s := &Selector{text: patterns}
	for _, text := range patterns {
		p := text
		p, away := strings.CutPrefix(p, "!")
		db, table, ok := CutDot(p)
		if !ok || db == "" || table == "" {
			return nil, fmt.Errorf("pattern %q: want database.table, as in shop.%% or !shop.tmp_%%", text)
		}
		pat := pattern{database: db, table: table, plain: !strings.ContainsAny(db, "%_")}
		if strings.HasSuffix(db, `\`) || strings.HasSuffix(table, `\`) {
			return nil, fmt.Errorf("pattern %q: ends with a backslash", text)
		}
		if away {
			s.drop = append(s.drop, pat)
		} else {
			s.take = append(s.take, pat)
		}
	}
	return s, nil
}

// Folded is s for a server that compares names without case (lower_case_table_names 1 or 2), as the server does with its own options. Its hash is
// that of s. nil stays nil.
func (s *Selector) Folded() *Selector {
	if s == nil || s.fold {
		return s
	}
	lower := func(list []pattern) []pattern {
		out := make([]pattern, 0, len(list))
		for _, p := range list {
			out = append(out, pattern{strings.ToLower(p.database), strings.ToLower(p.table), p.plain})
		}
		return out
	}
	also := make([]Name, len(s.also))
	for i, n := range s.also {
		also[i] = Name{Database: strings.ToLower(n.Database), Table: strings.ToLower(n.Table)}
	}
	return &Selector{take: lower(s.take), drop: lower(s.drop), text: s.text, also: also, fold: true}
}

// With chooses some tables besides. The hash stays that of s: they are no choice of the user's.
func (s *Selector) With(names ...Name) *Selector {
	with := Selector{also: names}
	if s != nil {
		with.take, with.drop, with.text, with.fold = s.take, s.drop, s.text, s.fold
	}
	return &with
}

// CutDot splits a pattern at the first dot that is not escaped.
func CutDot(p string) (before, after string, ok bool) {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '.':
			return p[:i], p[i+1:], true
		}
	}
	return "", "", false
}

// Match reports whether a table is chosen.
func (s *Selector) Match(database, table string) bool {
	if s == nil {
		return !systemDatabase(database)
	}
	if s.fold {
		database, table = strings.ToLower(database), strings.ToLower(table)
	}
	if slices.Contains(s.also, Name{Database: database, Table: table}) {
		return true
	}
	system := systemDatabase(database)
	taken := len(s.take) == 0 && !system
	for _, p := range s.take {
		if (!system || p.plain) && wild(p.database, database) && wild(p.table, table) {
			taken = true
			break
		}
	}
	if !taken {
		return false
	}
	for _, p := range s.drop {
		if wild(p.database, database) && wild(p.table, table) {
			return false
		}
	}
	return true
}

// MatchDatabase reports whether any table of a database could be chosen.
func (s *Selector) MatchDatabase(database string) bool {
	system := systemDatabase(database)
	if s == nil || len(s.take) == 0 {
		return !system
	}
	if s.fold {
		database = strings.ToLower(database)
	}
	for _, p := range s.take {
		if (!system || p.plain) && wild(p.database, database) {
			return true
		}
	}
	return slices.ContainsFunc(s.also, func(n Name) bool { return n.Database == database })
}

// Hash names the choice: two selectors with the same patterns in the same order have the same hash.
func (s *Selector) Hash() string {
	h := fnv.New64a()
	if s != nil {
		for _, t := range s.text {
			h.Write([]byte(t))
			h.Write([]byte{0})
		}
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

func systemDatabase(name string) bool {
	switch strings.ToLower(name) {
	case "mysql", "sys", "information_schema", "performance_schema":
		return true
	}
	return false
}

// Wild reports whether a name matches a pattern in the syntax that Selector describes.
func Wild(pattern, name string) bool { return wild(pattern, name) }

// wild matches in time proportional to len(p)*len(s), whatever the pattern.
func wild(p, s string) bool {
	pi, si := 0, 0
	starP, starS := -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == '%':
			starP, starS = pi, si
			pi++
			continue
		case pi < len(p) && p[pi] == '_':
			pi++
			si += runeLen(s[si:])
			continue
		case pi < len(p):
			q := pi
			if p[q] == '\\' && q+1 < len(p) {
				q++
			}
			if p[q] == s[si] {
				pi, si = q+1, si+1
				continue
			}
		}
		if starP < 0 {
			return false
		}
		starS++
		pi, si = starP+1, starS
	}
	for pi < len(p) && p[pi] == '%' {
		pi++
	}
	return pi == len(p)
}

// runeLen is the length of the first UTF-8 character: _ stands for one character, not one byte.
func runeLen(s string) int {
	n := 1
	for n < len(s) && s[n]&0xc0 == 0x80 {
		n++
	}
	return n
}
