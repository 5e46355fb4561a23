package event

import (
	"sync"
	"sync/atomic"
)

type refs = atomic.Int32

// keepArena and keepCells bound what a returned batch keeps: one batch of a giant row must not pin its memory for ever.
const (
	keepArena = 8 << 20
	keepCells = 512 << 10
)

// Pool lends batches and takes them back. It is safe for concurrent use. The zero Pool is ready.
type Pool struct {
	// Budget, where set, is credited when a batch that was charged to it by Batch.Charge is released for the last time.
	Budget *Budget
	free   sync.Pool
}

// Get gives an empty batch with one reference.
func (p *Pool) Get() *Batch {
	b, _ := p.free.Get().(*Batch)
	if b == nil {
		b = &Batch{}
	}
	b.pool = p
	b.refs.Store(1)
	return b
}

// Charge charges the batch's present memory to the pool's budget, without waiting. It is called once, when the batch is whole; what it
// charged is credited at the last Release.
func (b *Batch) Charge() {
	if b.pool == nil || b.pool.Budget == nil {
		return
	}
	n := b.Bytes() - b.charge
	b.charge += n
	b.pool.Budget.Charge(n)
}

// Retain adds a reference.
func (b *Batch) Retain() { b.refs.Add(1) }

// Release drops a reference. After the last one the batch's memory is credited and reused: no view of it may be used any more.
func (b *Batch) Release() {
	n := b.refs.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		panic("event: batch released twice") // a bug in a sink, which would hand one batch to two owners
	}
	mangle(b)
	p, charge := b.pool, b.charge
	b.reset()
	if p == nil {
		return
	}
	p.free.Put(b)
	if p.Budget != nil {
		p.Budget.Credit(charge)
	}
}

func (b *Batch) reset() {
	clear(b.Tables)
	clear(b.Txns)
	clear(b.History)
	clear(b.XA)
	clear(b.Dead)
	b.Seq, b.DDL, b.Pos, b.Mark, b.Received, b.Copying, b.charge = 0, nil, Position{}, nil, 0, false, 0
	b.Tables, b.Txns, b.Groups, b.Changes = b.Tables[:0], b.Txns[:0], b.Groups[:0], b.Changes[:0]
	b.History, b.XA, b.Dead = b.History[:0], b.XA[:0], b.Dead[:0]
	b.cells, b.arena = b.cells[:0], b.arena[:0]
	if cap(b.arena) > keepArena {
		b.arena = nil
	}
	if cap(b.cells) > keepCells {
		b.cells = nil
	}
	if cap(b.Changes) > keepCells {
		b.Changes, b.Groups, b.Txns = nil, nil, nil
	}
}
