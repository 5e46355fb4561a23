package snapshot

import (
	"errors"
	"slices"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// tableCopy is the copy of one table. What was handed over is behind what was asked for by the chunks that are on their way.
type tableCopy struct {
	copy     event.TableCopy // as of the last chunk that was handed over
	cursor   []string        // as of the last that arrived
	until    []string
	version  *schemas.Table // that query is made for
	query    *query
	row      int64  // bytes of a row, on the average of the last chunk; 0 before the first
	estimate uint64 // rows, by the server's statistics
	tries    int    // chunks in a row that could not be used
	asking   *chunk // of which it is not known yet where it ends
	warned   bool
	came     bool // rows of it may be at the target: this run has handed some over, or an earlier one may have that nobody has noted
}

// errMoved says that only the server knows whether the table is there.
var errMoved = errors.New("the table was renamed, or a temporary table of its name was")

// rewind goes back to what was handed over.
func (t *tableCopy) rewind() { t.cursor, t.until = t.copy.Cursor, t.copy.Until }

// restart begins the table anew.
func (t *tableCopy) restart() {
	t.copy = event.TableCopy{Name: t.copy.Name, Key: t.copy.Key}
	t.rewind()
}

// prepare makes the query for the table as it is at the stream's place. ok is false where the table is gone.
func (t *tableCopy) prepare(m *merge, o *Options) (ok bool, err error) {
	n := t.copy.Name
	version, state := m.catalog.Table(n.Database, n.Table)
	switch {
	case state == schemas.Known:
	case m.wasDropped(n):
		return false, nil
	case m.moved[n]:
		return false, errMoved
	default:
		why := "nothing is known of its columns"
		if e := m.catalog.Why(n.Database, n.Table); e != nil && e.Reason != "" {
			why = e.Reason
		}
		return false, fault.New(fault.SnapshotTable, "the table cannot be copied: %s", why).At(fault.Where{Table: n.String()})
	}
	if t.version == version && t.query != nil {
		return true, nil
	}
	only := ""
	if o.Asked != nil {
		only = o.Asked.Where
	}
	q, err := queryOf(version, only)
	if err != nil {
		return false, err
	}
	t.version, t.query = version, q
	if key := describeKey(q); !slices.Equal(key, t.copy.Key) {
		if t.copy.Cursor != nil {
			if key == nil && o.Once {
				return false, twice(n, "its key was dropped while it was being copied")
			}
			t.restart() // its rows come in another order now
		}
		t.copy.Key = key
	}
	return true, nil
}

// describeKey gives the key's columns with what their order depends on.
func describeKey(q *query) (out []string) {
	for _, k := range q.r.key {
		c := &q.r.table.Columns[k]
		s := c.Name + " " + c.ColumnType()
		if c.Collation != "" {
			s += " " + c.Collation
		}
		out = append(out, s)
	}
	return out
}

// limit gives how many rows to ask for.
func (t *tableCopy) limit(rows int, bytes int64) int {
	if t.query.r.key == nil {
		return 0
	}
	size := t.row
	if size == 0 {
		size = 1024 // until it is known
	}
	return int(min(int64(rows), max(bytes/size, 1)))
}

// plan says what is to be copied, in order.
type plan struct {
	waiting []*tableCopy
	active  []*tableCopy // whose chunks are asked for
	listed  bool
	total   int
	over    int
}

func (p *plan) find(n schemas.Name) *tableCopy {
	for _, t := range p.active {
		if t.copy.Name == n {
			return t
		}
	}
	for _, t := range p.waiting {
		if t.copy.Name == n {
			return t
		}
	}
	return nil
}

// drop takes a table out of those that are asked for.
func (p *plan) drop(t *tableCopy) {
	p.active = slices.DeleteFunc(p.active, func(x *tableCopy) bool { return x == t })
}

// first puts a table before the others.
func (p *plan) first(t *tableCopy) {
	p.drop(t)
	p.active = slices.Insert(p.active, 0, t)
}

// listedTable is a table as the server lists it.
type listedTable struct {
	name   schemas.Name
	engine string
	rows   uint64
}

// fill makes the plan from what the server lists and what an earlier run has done.
func (p *plan) fill(tables []listedTable, s *event.Snapshot) {
	p.listed, p.total = true, len(tables)
	for _, l := range tables {
		c, begun := s.Of(l.name)
		if begun && c.Done {
			p.over++
			continue
		}
		if !begun {
			c = event.TableCopy{Name: l.name}
		}
		t := &tableCopy{copy: c, estimate: l.rows}
		t.rewind()
		if begun {
			p.waiting = slices.Insert(p.waiting, 0, t) // it goes on first
		} else {
			p.waiting = append(p.waiting, t)
		}
	}
}
