package event

import (
	"slices"
	"strings"

	"cdc/schemas"
)

// Snapshot is how far a snapshot of a stream's tables is, as a checkpoint keeps it. The zero Snapshot is none.
type Snapshot struct {
	State  SnapshotState
	ID     string      // tells it from every other snapshot of the stream; "" in a checkpoint that an older version wrote
	Tables []TableCopy // those that were begun, by name; empty once the snapshot is over
	Rows   uint64      // of all tables
	// Asked is what an operator asked for, while that is being copied; nil for the snapshot of all tables, which the configuration asks for.
	Asked *Asked
	// Before is, of one that was asked for, the state that was there when it began, and is there again when it is over.
	Before SnapshotState
}

// Asked says which rows an operator wants to be copied anew. It is not changed once it was made.
type Asked struct {
	Tables []schemas.Name
	Where  string // an SQL condition that rows have to meet; "" takes all
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
	ID    string         // of the snapshot
	Begin *Snapshot      // from here on the snapshot is this one, whatever is known of another; a run begins with it
	Table *TableCopy     // nil where the batch holds no chunk
	Part  bool           // more of the table comes, in the same transaction: nothing is further than it was
	Again []schemas.Name // tables that came under these names meanwhile: what is known of their copies counts no more
	End   bool           // the snapshot is over
	// Low and High are the watermarks between which the chunk was read, in words: the transactions of Low are in its rows, and the stream has
	// handed over everything up to High before it.
	Low, High string
}

// Then is the snapshot after a mark. It shares no list with s.
func (s Snapshot) Then(m *Mark) Snapshot {
	if m == nil || m.Part {
		return s
	}
	if m.Begin != nil {
		s = *m.Begin
	}
	for _, n := range m.Again {
		if at, found := s.find(n); found {
			s.Tables = slices.Delete(slices.Clone(s.Tables), at, at+1)
		}
	}
	if t := m.Table; t != nil {
		at, found := s.find(t.Name)
		s.Tables = slices.Clone(s.Tables)
		if found {
			s.Rows += t.Rows - min(t.Rows, s.Tables[at].Rows)
			s.Tables[at] = *t
		} else {
			s.Rows += t.Rows
			s.Tables = slices.Insert(s.Tables, at, *t)
		}
	}
	if m.End {
		s = s.Ended()
	}
	return s
}

// Ended is the snapshot when it is over.
func (s Snapshot) Ended() Snapshot {
	if s.Asked != nil {
		return Snapshot{State: s.Before, ID: s.ID, Rows: s.Rows}
	}
	return Snapshot{State: SnapshotDone, ID: s.ID, Rows: s.Rows}
}

// Of gives how far the copy of a table is.
func (s *Snapshot) Of(n schemas.Name) (TableCopy, bool) {
	at, found := s.find(n)
	if !found {
		return TableCopy{}, false
	}
	return s.Tables[at], true
}

func (s *Snapshot) find(n schemas.Name) (at int, found bool) {
	return slices.BinarySearchFunc(s.Tables, n, func(x TableCopy, n schemas.Name) int { return compareNames(x.Name, n) })
}

func compareNames(a, b schemas.Name) int {
	if c := strings.Compare(a.Database, b.Database); c != 0 {
		return c
	}
	return strings.Compare(a.Table, b.Table)
}
