package verify

import (
	"fmt"

	"cdc/schemas"
	"cdc/transform"
)

// Map follows a table of the source through the transforms of a stream: what it is called behind them, and which columns are still what they were.
func Map(t *schemas.Table, steps []transform.Step) (Pair, error) {
	p := Pair{Source: t}
	now := t
	from := make([]int, len(t.Columns)) // columns of now, as those of t; -1 where they were changed
	for i := range from {
		from[i] = i
	}
	for _, s := range steps {
		b, err := s.Transform.Bind(now)
		if err != nil {
			return p, err
		}
		switch {
		case len(b.Tables) == 0:
			p.Skip = s.Name + " drops it"
			return p, nil
		case len(b.Tables) > 1:
			p.Skip = s.Name + " makes several tables of it"
			return p, nil
		case b.Func != nil && b.Tables[0] == now:
			p.Skip = s.Name + " may drop some of its rows, and the servers cannot say which"
			return p, nil
		}
		out := b.Tables[0]
		next := make([]int, len(out.Columns))
		for k := range next {
			i := k
			if b.From != nil {
				i = int(b.From[k])
			}
			next[k] = -1
			if i >= 0 && i < len(from) {
				next[k] = from[i]
			}
		}
		arrives := map[int]bool{}
		for _, i := range next {
			arrives[i] = true
		}
		for k, i := range from {
			if i >= 0 && !arrives[i] {
				p.LeftOut = append(p.LeftOut, fmt.Sprintf("%s (%s)", now.Columns[k].Name, s.Name))
			}
		}
		now, from = out, next
	}
	p.Target = schemas.Name{Database: now.Database, Table: now.Name}
	for k, i := range from {
		if i < 0 {
			p.Made = append(p.Made, now.Columns[k].Name)
		} else if !t.Columns[i].Hidden {
			p.Columns = append(p.Columns, Mapped{Source: i, Name: now.Columns[k].Name})
		}
	}
	return p, nil
}
