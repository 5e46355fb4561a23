package event

import (
	"slices"
	"strings"

	"cdc/schemas"
)

// Snapshot is how far a snapshot of a stream's tables is, as a checkpoint keeps it. The zero Snapshot is none.
type Snapshot struct {
	State  SnapshotState
	Tables []TableCopy // those that were begun, by name; empty once the snapshot is over
	Rows   uint64      // of all tables
}

// SnapshotState says whether there is a snapshot.
type SnapshotState uint8

// States of a snapshot.
const (
	SnapshotNone    SnapshotState = iota
	SnapshotRunning               // rows are still to be copied
	SnapshotDone                  // all were
	numSnapshotStates
)

// Valid reports one of the states above.
func (s SnapshotState) Valid() bool { return s < numSnapshotStates }

func (s SnapshotState) String() string {
	switch s {
	case SnapshotRunning:
		return "running"
	case SnapshotDone:
		return "done"
	}
	return "none"
}

// TableCopy is how far the copy of one table is. The rows up to and including the cursor were handed over.
type TableCopy struct {
	Name   schemas.Name
	Key    []string // the columns of the key by which its rows are read, in key order; empty for a table that is read in one piece
	Cursor []string // the key's values of the last row that was handed over, as SQL literals; nil before the first
	Until  []string // those of the last row that was there when the copy began; rows behind it came later, and are in the stream
	Rows   uint64
	Done   bool
}

// Mark goes with a batch of a snapshot: once the batch is acknowledged, this is how far the snapshot is.
type Mark struct {
	Begin bool       // a snapshot begins here, and what is known of an earlier one counts no more
	Table *TableCopy // nil where the batch holds no chunk
	Gone  bool       // the table is no longer there: it needs no place
	End   bool       // the snapshot is over
	// Low and High are the watermarks between which the chunk was read, in words: the transactions of Low are in its rows, and the stream has
	// handed over everything up to High before it.
	Low, High string
}

// Then is the snapshot after a mark. It shares no list with s.
func (s Snapshot) Then(m *Mark) Snapshot {
	if m == nil {
		return s
	}
	if m.Begin {
		s = Snapshot{State: SnapshotRunning}
	}
	if t := m.Table; t != nil {
		at, found := slices.BinarySearchFunc(s.Tables, t.Name, func(x TableCopy, n schemas.Name) int { return compareNames(x.Name, n) })
		s.Tables = slices.Clone(s.Tables)
		switch {
		case m.Gone && found:
			s.Tables = slices.Delete(s.Tables, at, at+1)
		case m.Gone:
		case found:
			s.Rows += t.Rows - min(t.Rows, s.Tables[at].Rows)
			s.Tables[at] = *t
		default:
			s.Rows += t.Rows
			s.Tables = slices.Insert(s.Tables, at, *t)
		}
	}
	if m.End {
		s.State, s.Tables = SnapshotDone, nil
	}
	return s
}

// Of gives how far the copy of a table is.
func (s *Snapshot) Of(n schemas.Name) (TableCopy, bool) {
	at, found := slices.BinarySearchFunc(s.Tables, n, func(x TableCopy, n schemas.Name) int { return compareNames(x.Name, n) })
	if !found {
		return TableCopy{}, false
	}
	return s.Tables[at], true
}

func compareNames(a, b schemas.Name) int {
	if c := strings.Compare(a.Database, b.Database); c != 0 {
		return c
	}
	return strings.Compare(a.Table, b.Table)
}
