package verify

import (
	"fmt"
	"slices"

	"cdc/event"
	"cdc/schemas"
	"cdc/transform"
)

// Pair is a table of the source and what it is at the target.
type Pair struct {
	Source  *schemas.Table
	Target  schemas.Name
	Columns []Mapped // of the source that arrive unchanged
	LeftOut []string // columns that do not arrive, each with the reason
	Made    []Made   // columns of the target that the stream masks or computes
	Skip    string   // why the table cannot be compared
	Dropped bool     // the stream does not carry it

	// Filtered says that a step may drop some of the rows.
	Filtered bool
	// Changes says that it depends on the change whether a row is carried, and not on the row alone: then a row that only the target has may have been left there.
	Changes bool

	out   *schemas.Table      // what the transforms make of Source
	steps []transform.Binding // one for each step
}

// Mapped is a column of the source and its name at the target.
type Mapped struct {
	Source int
	Name   string
}

// Made is a column that the stream makes.
type Made struct {
	Name string
	By   string // the step
	Why  string // it cannot be made again from the row; "" where it can
	out  int    // in Pair.out
}

// Map follows a table of the source through the transforms of a stream: what it is called behind them, which columns are still what they were, and how the
// others are made.
func Map(t *schemas.Table, steps []transform.Step) (Pair, error) {
	p := Pair{Source: t}
	now := t
	from := make([]int, len(t.Columns)) // columns of now, as those of t; -1 where they were changed
	for i := range from {
		from[i] = i
	}
	by := map[int]Made{} // columns of now that were changed
	unsure := ""         // the step that made a column of which a row does not tell
	for _, s := range steps {
		b, err := s.Transform.Bind(now)
		if err != nil {
			return p, err
		}
		var needs transform.Need
		if n, ok := s.Transform.(transform.Needy); ok && b.Func != nil {
			needs = n.Needs()
		}
		switch {
		case len(b.Tables) == 0:
			p.Skip, p.Dropped = s.Name+" drops it", true
			return p, nil
		case len(b.Tables) > 1:
			p.Skip = s.Name + " makes several tables of it"
			return p, nil
		case b.Func != nil && b.Tables[0] == now:
			if needs&transform.NeedsTransaction != 0 || unsure != "" {
				p.Skip = s.Name + " chooses rows by the transactions that changed them, which rows do not tell"
				return p, nil
			}
			p.Filtered, p.Changes = true, p.Changes || needs != 0
		}
		p.steps = append(p.steps, b)
		out := b.Tables[0]
		next := make([]int, len(out.Columns))
		made := map[int]Made{}
		arrives := map[int]bool{}
		for k := range next {
			i := k
			if b.From != nil {
				i = int(b.From[k])
			}
			next[k] = -1
			if i >= 0 && i < len(from) {
				next[k] = from[i]
				arrives[i] = true
			}
			switch m, was := by[i]; {
			case i >= 0 && was:
				made[k] = m
			case i < 0:
				m = Made{By: s.Name}
				if needs != 0 || unsure != "" {
					m.Why = "it depends on the change, and not on the row alone"
				}
				made[k] = m
			}
		}
		if needs != 0 && out != now {
			unsure = s.Name
		}
		for k := range from {
			if n := now.Columns[k].Name; !arrives[k] && out.Column(n) < 0 && !now.Columns[k].Hidden {
				p.LeftOut = append(p.LeftOut, fmt.Sprintf("%s (%s)", n, s.Name))
			}
		}
		now, from, by = out, next, made
	}
	p.out, p.Target = now, schemas.Name{Database: now.Database, Table: now.Name}
	for k, i := range from {
		if m, ok := by[k]; ok || i < 0 {
			m.Name, m.out = now.Columns[k].Name, k
			p.Made = append(p.Made, m)
		} else if !t.Columns[i].Hidden {
			p.Columns = append(p.Columns, Mapped{Source: i, Name: now.Columns[k].Name})
		}
	}
	return p, nil
}

// own reports that rows have to go through the transforms here: no server can say what they become.
func (p *Pair) own() bool {
	return p.Filtered || slices.ContainsFunc(p.Made, func(m Made) bool { return m.Why == "" })
}

// ops are as what a row has to pass a filter. One that looks at the change may carry an insert and not an update.
func (p *Pair) ops() []event.Op {
	if p.Changes {
		return []event.Op{event.Read, event.Insert, event.Update}
	}
	return []event.Op{event.Read}
}
