package transform

import (
	"cdc/internal/settings"
	"cdc/schemas"
)

// tableChoice is include and exclude.
type tableChoice struct {
	patterns []string
	drop     bool
	sel      *schemas.Selector
}

func (c tableChoice) validate(path string) []settings.Problem {
	if len(c.patterns) == 0 {
		return problem(path, "names no table")
	}
	for _, p := range c.patterns {
		if _, err := schemas.ParseSelector([]string{p}); err != nil {
			return problem(path, "%v", err)
		}
	}
	return nil
}

func (c tableChoice) open() (Transform, error) {
	var err error
	c.sel, err = selector(c.patterns)
	return &c, err
}

// Bind drops a table whole or passes it.
func (c *tableChoice) Bind(t *schemas.Table) (Binding, error) {
	if c.sel.Match(t.Database, t.Name) != c.drop {
		return pass(t), nil
	}
	return Binding{Func: drop, Open: make([]bool, len(t.Columns))}, nil
}

// Name is that of Namer. A database as a whole is dropped where no table of it could be carried.
func (c *tableChoice) Name(n schemas.Name) (schemas.Name, bool) {
	switch {
	case n.Table != "":
		return n, c.sel.Match(n.Database, n.Table) != c.drop
	case c.drop:
		return n, !c.sel.Match(n.Database, "") // only a pattern for all tables matches the empty name
	}
	return n, c.sel.MatchDatabase(n.Database)
}

// Hides is that of Hider: a statement on one table may show rows of another.
func (c *tableChoice) Hides() Hidden { return HidesRows }
