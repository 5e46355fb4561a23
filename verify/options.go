package verify

import (
	"context"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

// Conn is a session at one of the two servers; *session.Session is one. It is used by one goroutine at a time. Values of rows are the text that
// the server wrote; NULL is nil.
type Conn interface {
	Query(ctx context.Context, statement string) ([][][]byte, error)
	Stream(ctx context.Context, statement string, yield func(row [][]byte) error) error
	Exec(ctx context.Context, statement string) error
	Close()
}

// Side is one of the two servers.
type Side struct {
	Flavor gtid.Flavor
	// Open logs in. Its sessions speak utf8mb4; everything else is set here.
	Open func(ctx context.Context) (Conn, error)
}

// Mark is a place of the source: everything that a snapshot of the source showed is at or before it.
type Mark struct {
	GTIDs  *gtid.Set // nil where the source has no GTIDs
	File   string
	Offset uint64
}

func (m *Mark) String() string {
	if m.GTIDs != nil {
		return m.GTIDs.String()
	}
	return m.File
}

// In reports that a place is at or behind the mark.
func (m *Mark) In(at event.Position) bool {
	if m.GTIDs != nil {
		return at.GTIDs != nil && at.GTIDs.ContainsSet(m.GTIDs)
	}
	return at.File != "" && !event.PlaceBefore(at.File, at.Offset, m.File, m.Offset)
}

// Options of a comparison.
type Options struct {
	Source, Target Side
	// NoGTIDs makes marks of file and offset, for a source with gtid_mode=OFF.
	NoGTIDs bool
	// Reached reports whether the target holds everything up to a mark. c is a session at the target, outside of any transaction.
	Reached func(ctx context.Context, c Conn, m *Mark) (bool, error)

	// Reader makes cells of rows of a table of the source, for those that go through transforms.
	Reader func(*schemas.Table) (RowReader, error)

	Rows  int           // rows of a chunk at most; default 10,000
	Rate  int           // rows per second at most, over all; 0 is as fast as the servers answer
	Wait  time.Duration // how long the target may take to reach a mark; default a minute
	Looks int           // how often a difference must be seen unchanged to count; default 5
	Limit int           // differing rows of a table after which it is left; default 10,000

	// Sums has only the servers compare, by checksums: what the stream filters, masks or computes is left out then.
	Sums bool

	Repair  bool // make statements that put the differing rows right
	Apply   bool // and carry them out
	NoLog   bool // with sql_log_bin=0 at the target
	Changed func(d *Difference) error
	Step    func(p *Progress)
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&o.Rows, 10_000)
	def(&o.Looks, 5)
	def(&o.Limit, 10_000)
	if o.Wait <= 0 {
		o.Wait = time.Minute
	}
	if o.Changed == nil {
		o.Changed = func(*Difference) error { return nil }
	}
	if o.Step == nil {
		o.Step = func(*Progress) {}
	}
	return o
}

// Kind sorts differences.
type Kind string

// Kinds of differences.
const (
	Missing   Kind = "missing"   // at the target
	Extra     Kind = "extra"     // at the target
	Different Kind = "different" // in the columns named
	Unsettled Kind = "unsettled" // it differed at every look, in values that the target goes on changing
	Clash     Kind = "clash"     // several tables of the source that come to one have a row of this key
)

// Difference is a row that differs.
type Difference struct {
	Table   string   `json:"table"`             // at the source
	Target  string   `json:"target,omitempty"`  // where it has another name there
	Kind    Kind     `json:"kind"`              //
	Key     []Value  `json:"key,omitempty"`     // of the columns of the key
	Digest  string   `json:"digest,omitempty"`  // of the whole row, where there is no key
	Copies  int      `json:"copies,omitempty"`  // of the row, where there is no key
	Columns []string `json:"columns,omitempty"` // that differ
	Fix     []string `json:"fix,omitempty"`     // statements that put it right
	Fixed   bool     `json:"fixed,omitempty"`   // they were carried out, and the row was equal before they were committed
	Why     string   `json:"why,omitempty"`     // it was not repaired
}

// Value is the value of a column of a key. Bytes that are no text are given as 0x and hexadecimal digits.
type Value struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Progress says how far a comparison is.
type Progress struct {
	Table        string
	Rows         uint64 // compared of the table
	Estimate     uint64 // rows of the table, as the source estimates it
	AllRows      uint64 // compared of all tables
	AllEstimate  uint64
	Tables, Done int
	Differing    int
	Since        time.Time
	Waiting      bool // for the target to reach a mark
}

// TableReport is the outcome of one table.
type TableReport struct {
	Table     string   `json:"table"`
	Others    []string `json:"others,omitempty"` // tables of the source that come to the same one
	Target    string   `json:"target,omitempty"`
	Rows      uint64   `json:"rows"`               // of the source, without those that a filter drops
	Filtered  uint64   `json:"filtered,omitempty"` // rows of the source that a filter drops
	Kept      int      `json:"kept,omitempty"`     // rows that only the target has, and that a filter may have left there
	Chunks    int      `json:"chunks"`
	Narrowed  int      `json:"narrowed"` // chunks that differed at first sight
	Missing   int      `json:"missing"`
	Extra     int      `json:"extra"`
	Different int      `json:"different"`
	Unsettled int      `json:"unsettled"`
	Clash     int      `json:"clash,omitempty"`
	Fixed     int      `json:"fixed"`
	LeftOut   []string `json:"left_out,omitempty"` // columns that were not compared, each with the reason
	Skipped   string   `json:"skipped,omitempty"`  // the whole table was not compared, and why
	Stopped   string   `json:"stopped,omitempty"`  // it was compared in part
	Seconds   float64  `json:"seconds"`
}

// Differing is how many rows differ and were not repaired.
func (r *TableReport) Differing() int {
	return r.Missing + r.Extra + r.Different + r.Unsettled + r.Clash - r.Fixed
}

// Report is the outcome of a comparison.
type Report struct {
	Tables  []TableReport `json:"tables"`
	Seconds float64       `json:"seconds"`
}

// Fault is nil where everything that was to be compared is equal.
func (r *Report) Fault() error {
	rows, tables, part := 0, 0, 0
	for i := range r.Tables {
		t := &r.Tables[i]
		if n := t.Differing(); n > 0 {
			rows, tables = rows+n, tables+1
		}
		if t.Stopped != "" || t.Skipped != "" {
			part++
		}
	}
	switch {
	case rows > 0:
		return fault.New(fault.VerifyDiffers, "%d rows of %d tables differ", rows, tables)
	case part > 0:
		return fault.New(fault.VerifyPart, "%d tables could not be compared as a whole", part)
	}
	return nil
}
