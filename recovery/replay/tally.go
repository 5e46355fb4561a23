package replay

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"cdc/event"
	"cdc/schemas"
)

// Tally is a sinks.Sink that counts what it gets.
type Tally struct {
	mu     sync.Mutex
	counts Counts
	tables map[schemas.Name]*TableRows
}

// Counts are what a Tally got.
type Counts struct {
	Txns   int // all
	Empty  int // of these, without a change
	Tables []TableRows
	DDL    []string // statements, the first hundred
	DDLs   int
	open   bool // the last transaction has changes
}

// TableRows are the changes of one table, under the name that it has behind the transforms.
type TableRows struct {
	Name                      schemas.Name
	Inserts, Updates, Deletes int
}

// Write counts b.
func (s *Tally) Write(_ context.Context, b *event.Batch, ack func(error)) error {
	s.mu.Lock()
	if s.tables == nil {
		s.tables = map[schemas.Name]*TableRows{}
	}
	for i := range b.Txns {
		t := &b.Txns[i]
		s.counts.open = s.counts.open && !t.Begin || t.First < t.Last || b.DDL != nil
		if !t.End {
			continue
		}
		s.counts.Txns++
		if !s.counts.open {
			s.counts.Empty++
		}
	}
	for i := range b.Changes {
		t := b.Tables[b.Changes[i].Table]
		name := schemas.Name{Database: t.Database, Table: t.Name}
		n := s.tables[name]
		if n == nil {
			n = &TableRows{Name: name}
			s.tables[name] = n
		}
		switch b.Changes[i].Op {
		case event.Update:
			n.Updates++
		case event.Delete:
			n.Deletes++
		default:
			n.Inserts++
		}
	}
	if b.DDL != nil {
		if s.counts.DDLs++; len(s.counts.DDL) < 100 {
			s.counts.DDL = append(s.counts.DDL, b.DDL.Text)
		}
	}
	s.mu.Unlock()
	b.Release()
	ack(nil)
	return nil
}

// Flush does nothing: all was acked.
func (s *Tally) Flush(context.Context) error { return nil }

// Close does nothing.
func (s *Tally) Close() error { return nil }

// Counts gives the counts so far, tables by name.
func (s *Tally) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.counts
	out.DDL = slices.Clone(out.DDL)
	for _, t := range s.tables {
		out.Tables = append(out.Tables, *t)
	}
	slices.SortFunc(out.Tables, func(a, b TableRows) int {
		return cmp.Or(cmp.Compare(a.Name.Database, b.Name.Database), cmp.Compare(a.Name.Table, b.Name.Table))
	})
	return out
}
