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
	fresh   []*Unit // made by the last Add
	open    *Unit   // whose last part has not come
	order   uint64
	active  int
}

// New makes a planner. limit bounds the number of locks that it keeps, as the size of the history of writesets does in MySQL; tables gives what is
// known of the target's table for a table version, and must give the same for the same version.
func New(by By, limit int, tables func(*schemas.Table) *Table) *Planner {
	return &Planner{by: by, tables: tables, tracker: dependency.New(limit)}
}

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
		u := &Unit{Order: p.order, Parts: []Part{part}, Complete: t.End, DDL: b.DDL}
		p.fresh = append(p.fresh, u)
		u.node.Owner = u
		u.Alone = !t.End || b.DDL != nil || truncates(b, t)
		p.order++
		p.active++
		if !t.End {
			p.open = u
		}
		if p.by == LogicalClock {
			ready = p.clock.add(u, ready)
		} else if p.enter(u, b, t) {
			ready = append(ready, u)
		}
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

// enter gives a unit its locks.
func (p *Planner) enter(u *Unit, b *event.Batch, t *event.Txn) bool {
	if u.Alone {
		return p.tracker.Barrier(&u.node)
	}
	p.locks.Reset()
	switch p.by {
	case Database:
		p.databases(b, t)
	case Writeset, WritesetSession:
		if p.by == WritesetSession {
			p.locks.Exclusive(session(t))
		}
		for i := t.First; i < t.Last; i++ {
			p.locks.Row(&p.table(b, b.Changes[i].Table).Keys, b.Before(int(i)), b.After(int(i)))
		}
	default:
		p.locks.Exclusive(0)
	}
	return p.tracker.Add(&u.node, p.locks.Locks())
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
