package transform

import (
	"fmt"
	"strings"

	"cdc/schemas"
)

// selector reads patterns for tables. Names are compared without case whatever the server does: a pattern that hides something must not miss a
// table for its spelling.
func selector(patterns []string) (*schemas.Selector, error) {
	sel, err := schemas.ParseSelector(patterns)
	return sel.Folded(), err
}

// tables chooses tables by patterns; none chooses all.
type tables struct {
	sel  *schemas.Selector
	text []string
	hit  bool // a table was chosen
}

func parseTables(patterns []string) (tables, error) {
	if len(patterns) == 0 {
		return tables{}, nil
	}
	sel, err := selector(patterns)
	return tables{sel: sel, text: patterns}, err
}

func (s *tables) match(t *schemas.Table) bool {
	ok := s.sel == nil || s.sel.Match(t.Database, t.Name)
	s.hit = s.hit || ok
	return ok
}

// idle gives the patterns where they have chosen no table.
func (s *tables) idle() []string {
	if s.hit {
		return nil
	}
	return s.text
}

// idleColumns gives the patterns that have fitted no column.
func idleColumns(patterns []columnPattern) []string {
	var out []string
	for i := range patterns {
		if p := &patterns[i]; !p.hit && !p.away {
			out = append(out, p.text)
		}
	}
	return out
}

// columnPattern chooses columns by database.table.column.
type columnPattern struct {
	text                    string
	database, table, column string
	away                    bool // a leading !
	exact                   bool // without %: the column must be there. Names often hold _, and one that is mistyped must not pass for a wildcard
	hit                     bool // it has fitted a column
}

func parseColumns(patterns []string) ([]columnPattern, error) {
	out := make([]columnPattern, 0, len(patterns))
	for _, text := range patterns {
		p := columnPattern{text: text}
		rest, away := strings.CutPrefix(text, "!")
		p.away = away
		var ok1, ok2 bool
		p.database, rest, ok1 = schemas.CutDot(rest)
		p.table, p.column, ok2 = schemas.CutDot(rest)
		if !ok1 || !ok2 || p.database == "" || p.table == "" || p.column == "" || strings.HasSuffix(p.column, `\`) {
			return nil, fmt.Errorf("pattern %q: want database.table.column, as in shop.users.email or %%.%%.email", text)
		}
		p.exact = !strings.Contains(text, "%")
		p.database, p.table, p.column = fold(p.database), fold(p.table), fold(p.column)
		out = append(out, p)
	}
	return out, nil
}

func (p *columnPattern) ofTable(t *schemas.Table) bool {
	return schemas.Wild(p.database, fold(t.Database)) && schemas.Wild(p.table, fold(t.Name))
}

// matchColumns says which columns of a table are chosen; named says whether a pattern names the table. A pattern without % whose column
// is not there is an error: a mistyped name would leave a column in clear.
func matchColumns(patterns []columnPattern, t *schemas.Table) (chosen []bool, named bool, err error) {
	chosen = make([]bool, len(t.Columns))
	for i := range patterns {
		p := &patterns[i]
		if !p.ofTable(t) {
			continue
		}
		named = named || !p.away
		found := false
		for j := range t.Columns {
			if schemas.Wild(p.column, fold(t.Columns[j].Name)) {
				chosen[j] = !p.away
				found = true
			}
		}
		p.hit = p.hit || found
		if !found && p.exact {
			return nil, false, tableFault(t, "pattern %q: there is no such column; there are %s", p.text, columnNames(t)).
				Hint("mend the name, or use a pattern with %% where the column is not always there")
		}
	}
	return chosen, named, nil
}
