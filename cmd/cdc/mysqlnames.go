package main

import (
	"strings"

	"cdc/schemas"
	"cdc/transform"
)

// wholeDatabase reports whether a stream carries all tables of a database of the source, under their own names: only then does a statement on the database
// as a whole concern the stream alone.
func (c *Config) wholeDatabase(s *StreamConfig, fold bool, db string) bool {
	for i := range s.Transforms {
		if t := &s.Transforms[i]; t.Include != nil || t.Exclude != nil || t.Route != nil && t.Route.To != "" {
			return false
		}
	}
	takes, chosen := false, false
	for _, p := range c.Source.Tables {
		drop := strings.HasPrefix(p, "!")
		sel, err := schemas.ParseSelector([]string{strings.TrimPrefix(p, "!")})
		if err != nil {
			return false
		}
		if fold {
			sel = sel.Folded()
		}
		fits := sel.MatchDatabase(db)
		if drop && fits {
			return false
		}
		_, table, _ := schemas.CutDot(p)
		chosen = chosen || !drop
		takes = takes || !drop && fits && table == "%"
	}
	if !chosen {
		var all *schemas.Selector
		return all.MatchDatabase(db)
	}
	return takes
}

// sharedTable reports whether several tables of the source may come to one of the target. Where routes do not prove the opposite it is so: a statement
// such as DROP TABLE, which is about one of them, would hit all. rename is that of renames.
func sharedTable(s *StreamConfig, rename func(schemas.Name) (schemas.Name, bool), to schemas.Name) bool {
	var routes []*transform.RouteConfig
	for i := range s.Transforms {
		if r := s.Transforms[i].Route; r != nil && r.To != "" {
			routes = append(routes, r)
		}
	}
	from := -1
	for i, r := range routes {
		if !reaches(r.To, to) {
			continue
		}
		if from >= 0 || !oneToOne(r) {
			return true
		}
		from = i
	}
	if from < 0 {
		return false
	}
	// A table that has this name at the source may come to it too, by its own name.
	if same, keep := rename(to); keep && same == to {
		return true
	}
	// And what an earlier route gave another name may be what this one takes.
	for _, r := range routes[:from] {
		a, _, _ := schemas.CutDot(r.To)
		b, _, _ := schemas.CutDot(routes[from].Match)
		if strings.Contains(a, "{") || wildcards(b) || strings.HasPrefix(routes[from].Match, "regexp:") || a == b {
			return true
		}
	}
	return false
}

// reaches reports whether a route's target may be this name.
func reaches(target string, to schemas.Name) bool {
	sel, err := schemas.ParseSelector([]string{braces.ReplaceAllString(strings.NewReplacer("%", `\%`, "_", `\_`).Replace(target), "%")})
	return err != nil || sel.Match(to.Database, to.Table)
}

// oneToOne reports whether a route by itself brings no two tables to one name.
func oneToOne(r *transform.RouteConfig) bool {
	db, table, ok := schemas.CutDot(r.Match)
	if strings.HasPrefix(r.Match, "regexp:") || !ok {
		db, table = "%", "%"
	}
	return (!wildcards(db) || strings.Contains(r.To, "{database}")) && (!wildcards(table) || strings.Contains(r.To, "{table}"))
}

// wildcards reports whether a part of a pattern fits more than one name.
func wildcards(p string) bool {
	return strings.ContainsAny(strings.NewReplacer(`\_`, "", `\%`, "").Replace(p), "%_")
}
