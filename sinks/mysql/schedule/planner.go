package schedule

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/mysql/dependency"
	"cdc/sinks/mysql/writeset"
)

// Table is what a mode needs to know of a table of the target.
type Table struct {
	Keys writeset.Table
	// Databases are those that a change of a row reaches: its own, and those of parents and children by foreign keys.
	Databases []string
}

// Planner cuts batches and orders transactions. It is not safe for concurrent use.
type Planner struct {
	by      By
	tables  func(*schemas.Table) *Table
	tracker *dependency.Tracker
	clock   clock
	locks   writeset.Builder
	known   []*Table // of the batch's tables
	nodes   []*dependency.Node
	group   int // most transactions of a unit
	fits    func(*Unit, Part) bool
	last    *Unit   // that transactions of the same batch may still join
	changes int     // in it
	fresh   []*Unit // made by the last Add
	open    *Unit   // whose last part has not come
	order   uint64
	active  int
}

// groupChanges bounds the changes of a unit of several transactions.
const groupChanges = 1000

// New makes a planner, whose units have one transaction each. limit bounds the number of locks that it keeps, as the size of the history of writesets
// does in MySQL; tables gives what is known of the target's table for a table version, and must give the same for the same version.
func New(by By, limit int, tables func(*schemas.Table) *Table) *Planner {
	return &Planner{by: by, group: 1, tables: tables, tracker: dependency.New(limit)}
}

// Group lets up to most transactions that follow one another in a batch become one unit, where fits allows a transaction to join those that are in it.
func (p *Planner) Group(most int, fits func(*Unit, Part) bool) { p.group, p.fits = max(most, 1), fits }

// Active is the number of transactions that were added and are not done.
func (p *Planner) Active() int { return p.active }

// Fresh gives the units that the last Add made, in order, valid until the next.
func (p *Planner) Fresh() []*Unit { return p.fresh }

// Open gives the unit whose last part has not come yet, nil where there is none.
func (p *Planner) Open() *Unit { return p.open }

// Add takes the transactions of b, each with a reference of its own to b, and appends to ready those that may run now. Where b goes on with a
// transaction that began before it, its part is added to that unit, which may be running already: the caller tells its worker. owner goes into
// each Part.
func (p *Planner) Add(b *event.Batch, owner any, ready []*Unit) []*Unit {
	p.known, p.fresh = p.known[:0], p.fresh[:0]
	for i := range b.Txns {
		t := &b.Txns[i]
		b.Retain()
		part := Part{Batch: b, Txn: i, Owner: owner}
		if u := p.open; u != nil && !t.Begin {
			u.Parts = append(u.Parts, part)
			if t.End {
				u.Complete, p.open = true, nil
			}
			continue
		}
		alone := !t.End || b.DDL != nil || truncates(b, t)
		if u := p.last; u != nil && !alone && p.joins(u, part) {
			u.Parts = append(u.Parts, part)
			p.collect(u, b, t)
			continue
		}
		ready = p.close(ready)
		u := &Unit{Order: p.order, Parts: []Part{part}, Complete: t.End, DDL: b.DDL, Alone: alone}
		p.fresh = append(p.fresh, u)
		u.node.Owner = u
		p.order++
		p.active++
		if !t.End {
			p.open = u
		}
		p.last = u
		p.locks.Reset()
		p.changes = 0
		p.collect(u, b, t)
	}
	return p.close(ready)
}

// joins reports that a transaction may become a part of the unit before it.
func (p *Planner) joins(u *Unit, part Part) bool {
	t := &part.Batch.Txns[part.Txn]
	if u.Alone || len(u.Parts) >= p.group || p.changes+int(t.Last-t.First) > groupChanges || !p.fits(u, part) {
		return false
	}
	if p.by != LogicalClock {
		return true
	}
	// Those of MariaDB have only the id of their group commit to go by.
	return u.file == t.File && (u.sequence > 0 && t.Sequence > 0 || u.sequence == 0 && t.Sequence == 0 && u.committed == t.Committed)
}

// collect adds what a transaction needs to that of its unit.
func (p *Planner) collect(u *Unit, b *event.Batch, t *event.Txn) {
	p.changes += int(t.Last - t.First)
	switch {
	case p.by == LogicalClock:
		if len(u.Parts) == 1 {
			u.file, u.committed, u.sequence = t.File, t.Committed, t.Sequence
		} else if u.sequence > 0 {
			u.committed = max(u.committed, min(t.Committed, u.sequence-1)) // all up to there, besides those of its own unit
		}
	case u.Alone:
	case p.by == Database:
		p.databases(b, t)
	case t.Chunk && (p.by == Writeset || p.by == WritesetSession):
		last := -1
		for i := t.First; i < t.Last; i++ {
			if at := int(b.Changes[i].Table); at != last {
				last = at
				p.locks.Chunk(&p.table(b, uint16(at)).Keys)
			}
		}
	case p.by == Writeset || p.by == WritesetSession:
		if p.by == WritesetSession {
			p.locks.Exclusive(session(t))
		}
		for i := t.First; i < t.Last; i++ {
			p.locks.Row(&p.table(b, b.Changes[i].Table).Keys, b.Before(int(i)), b.After(int(i)))
		}
	default:
		p.locks.Exclusive(0)
	}
}

// close puts the last unit in its place among the others: nothing joins it any more.
func (p *Planner) close(ready []*Unit) []*Unit {
	u := p.last
	p.last = nil
	switch {
	case u == nil:
		return ready
	case p.by == LogicalClock:
		return p.clock.add(u, ready)
	case u.Alone && p.tracker.Barrier(&u.node), !u.Alone && p.tracker.Add(&u.node, p.locks.Locks()):
		return append(ready, u)
	}
	return ready
}

// Done ends a unit that was committed at the target, and appends to ready those that may run now, in their order.
func (p *Planner) Done(u *Unit, ready []*Unit) []*Unit {
	p.active--
	if p.by == LogicalClock {
		return p.clock.finish(u, ready)
	}
	p.nodes = p.tracker.Done(&u.node, p.nodes[:0])
	for _, n := range p.nodes {
		ready = append(ready, n.Owner.(*Unit)) // as Add set it
	}
	return ready
}

func truncates(b *event.Batch, t *event.Txn) bool {
	for i := t.First; i < t.Last; i++ {
		if b.Changes[i].Op == event.Truncate {
			return true
		}
	}
	return false
}

func (p *Planner) databases(b *event.Batch, t *event.Txn) {
	last := -1
	for i := t.First; i < t.Last; i++ {
		if at := int(b.Changes[i].Table); at != last {
			last = at
			for _, name := range p.table(b, uint16(at)).Databases {
				p.locks.Exclusive(xxhash.Sum64String(name))
			}
		}
	}
}

// table gives what is known of a table of the batch.
func (p *Planner) table(b *event.Batch, i uint16) *Table {
	for len(p.known) <= int(i) {
		p.known = append(p.known, nil)
	}
	if p.known[i] == nil {
		p.known[i] = p.tables(b.Tables[i])
	}
	return p.known[i]
}

// session names a session of the source. One whose thread is not known is taken for the same as all others of that server.
func session(t *event.Txn) uint64 {
	var buf [9]byte
	buf[0] = 's'
	binary.LittleEndian.PutUint32(buf[1:], t.ServerID)
	binary.LittleEndian.PutUint32(buf[5:], t.Thread)
	return xxhash.Sum64(buf[:])
}
