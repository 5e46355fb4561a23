package ledger

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Op is the first letter of what a change did: i, u or d.
type Op byte

// Change is one row change of the traffic. ID is the change_id that an insert or update wrote, or that a delete removed.
type Change struct {
	Op Op
	ID uint64
}

// Ledger is the account. It is safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex
	committed map[Change]string // the table
	unsure    map[Change]int    // with the number of its transaction
	txns      int
	ddl       int
	broken    int // transactions whose outcome nobody knows
	lastID    uint64
}

// New makes an empty ledger.
func New() *Ledger { return &Ledger{committed: map[Change]string{}, unsure: map[Change]int{}} }

// Counts says how much was committed.
type Counts struct {
	Txns, Rows, DDL, Unsure int
	Tables                  map[string]int
}

// Counts of what was committed so far.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := Counts{Txns: l.txns, Rows: len(l.committed), DDL: l.ddl, Unsure: l.broken, Tables: map[string]int{}}
	for _, t := range l.committed {
		c.Tables[t]++
	}
	return c
}

func (l *Ledger) ids(n int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.lastID + 1
	l.lastID += uint64(n)
	return first
}

type entry struct {
	Change
	table string
}

func (l *Ledger) commit(changes []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns++
	for _, c := range changes {
		l.committed[c.Change] = c.table
	}
}

func (l *Ledger) lost(changes []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken++
	for _, c := range changes {
		l.unsure[c.Change] = l.broken
	}
}

// Delivered is what a reader found.
type Delivered struct {
	Rows    int
	seen    map[Change]int
	tables  map[string]int
	chain   map[string]uint64 // last change_id of each row, repeats left out
	last    map[string]uint64 // the same with repeats: what a consumer that knows nothing of them holds
	Faults  []string          // order violations, at most 20
	ordered int

	// Of topics.
	names      map[string]Change // by gtid, row and sub
	bare       map[string]bool   // keys whose delete waits for its tombstone
	tombstones int
}

// NewDelivered starts a count.
func NewDelivered() *Delivered {
	return &Delivered{
		seen: map[Change]int{}, tables: map[string]int{}, chain: map[string]uint64{}, last: map[string]uint64{}, names: map[string]Change{}, bare: map[string]bool{},
	}
}

// fault counts a violation of order.
func (d *Delivered) fault(format string, args ...any) {
	d.ordered++
	if len(d.Faults) < 20 {
		d.Faults = append(d.Faults, fmt.Sprintf(format, args...))
	}
}

// Tombstones is how many records without a value there were.
func (d *Delivered) Tombstones() int { return d.tombstones }

// Add counts a delivered change, in the order of delivery: the change_id of the row before (0 for an insert) and after (0 for a delete) it.
func (d *Delivered) Add(table, key string, op Op, before, after uint64) {
	d.Rows++
	d.tables[table]++
	c := Change{Op: op, ID: after}
	if op == 'd' {
		c.ID = before
	}
	d.seen[c]++
	if key == "" {
		return // a table without a key has only inserts
	}
	at := table + "/" + key
	if op == 'd' {
		delete(d.last, at)
	} else {
		d.last[at] = after
	}
	if d.seen[c] > 1 {
		return // a repeat is counted as such
	}
	if last := d.chain[at]; last != before {
		d.fault("%s %s: change %d follows %d, its before image says %d", table, key, c.ID, last, before)
	}
	if op == 'd' {
		delete(d.chain, at)
	} else {
		d.chain[at] = after
	}
}

// Verdict compares.
type Verdict struct {
	Committed, Delivered                   int
	Lost, Duplicated, Invented, OutOfOrder int
	Torn                                   int // transactions of unknown outcome that were delivered in part
	Stale                                  int // rows whose last record, repeats included, is not their last change
	Examples                               []string
}

// OK reports that all is well.
func (v Verdict) OK() bool {
	return v.AtLeastOnce() && v.Duplicated == 0
}

// AtLeastOnce is OK but for repeats, which are allowed where those that came first are in order and the last of each row is its last change.
func (v Verdict) AtLeastOnce() bool {
	return v.Lost == 0 && v.Invented == 0 && v.OutOfOrder == 0 && v.Torn == 0 && v.Stale == 0
}

func (v Verdict) String() string {
	s := fmt.Sprintf("%d rows committed, %d delivered: %d lost, %d duplicated, %d invented, %d out of order, %d torn", v.Committed, v.Delivered, v.Lost,
		v.Duplicated, v.Invented, v.OutOfOrder, v.Torn)
	if v.Stale > 0 {
		s += fmt.Sprintf(", %d stale", v.Stale)
	}
	if len(v.Examples) > 0 {
		s += "\n  " + strings.Join(v.Examples, "\n  ")
	}
	return s
}

// Check compares what was delivered with what was committed.
func (l *Ledger) Check(d *Delivered) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := Verdict{Committed: len(l.committed), Delivered: d.Rows, OutOfOrder: d.ordered, Examples: d.Faults}
	example := func(format string, args ...any) {
		if len(v.Examples) < 20 {
			v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
		}
	}
	for c, table := range l.committed {
		if d.seen[c] == 0 {
			v.Lost++
			example("lost: %s %c %d", table, c.Op, c.ID)
		}
	}
	open := map[int][]bool{}
	for c, n := range l.unsure {
		open[n] = append(open[n], d.seen[c] > 0)
	}
	for n, there := range open {
		if slices.Contains(there, true) && slices.Contains(there, false) {
			v.Torn++
			example("torn: transaction %d of unknown outcome", n)
		}
		for _, t := range there {
			if t {
				v.Committed++
			}
		}
	}
	for c, n := range d.seen {
		if n > 1 {
			v.Duplicated += n - 1
			example("%d times: %c %d", n, c.Op, c.ID)
		}
		_, committed := l.committed[c]
		_, unsure := l.unsure[c]
		if !committed && !unsure {
			v.Invented++
			example("never committed: %c %d", c.Op, c.ID)
		}
	}
	for at, id := range d.chain {
		if d.last[at] != id {
			v.Stale++
			example("stale: the last record of %s is change %d, the row's last is %d", at, d.last[at], id)
		}
	}
	for at := range d.last {
		if _, there := d.chain[at]; !there {
			v.Stale++
			example("stale: %s was deleted, and its last record is change %d", at, d.last[at])
		}
	}
	for at := range d.bare {
		v.OutOfOrder++
		example("the delete of %s has no tombstone", at)
	}
	slices.Sort(v.Examples)
	return v
}
