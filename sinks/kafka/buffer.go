package kafka

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"cdc/event"
)

// Sizes of the buffers that are kept for the next use.
const (
	minBuffer = 2 << 10
	maxBuffer = 4 << 20
	classes   = 12
)

// buffer is memory that is counted while it is out of the pool.
type buffer struct {
	b     []byte
	class int8 // -1 for one that is larger than those that are kept
}

// buffers lends buffers and counts what is out, here and at the budget. It is safe for concurrent use.
type buffers struct {
	budget *event.Budget
	used   atomic.Int64
	free   [classes]sync.Pool
}

// class of the smallest kept buffer with room for n bytes.
func class(n int) int { return max(0, bits.Len(uint(n-1))-bits.Len(uint(minBuffer-1))) }

// get lends an empty buffer with room for n bytes.
func (p *buffers) get(n int) *buffer {
	if n > maxBuffer {
		p.charge(n)
		return &buffer{b: make([]byte, 0, n), class: -1}
	}
	c := class(n)
	b, _ := p.free[c].Get().(*buffer)
	if b == nil {
		b = &buffer{b: make([]byte, 0, minBuffer<<c), class: int8(c)}
	}
	p.charge(cap(b.b))
	return b
}

// put takes a buffer back; nil is nothing.
func (p *buffers) put(b *buffer) {
	if b == nil {
		return
	}
	p.charge(-cap(b.b))
	if b.class >= 0 {
		b.b = b.b[:0]
		p.free[b.class].Put(b)
	}
}

// grow gives a buffer with b's bytes and room for n more, and takes b back.
func (p *buffers) grow(b *buffer, n int) *buffer {
	g := p.get(max(len(b.b)+n, 2*cap(b.b)))
	g.b = append(g.b, b.b...)
	p.put(b)
	return g
}

func (p *buffers) charge(n int) {
	p.used.Add(int64(n))
	switch {
	case p.budget == nil:
	case n > 0:
		p.budget.Charge(int64(n))
	default:
		p.budget.Credit(int64(-n))
	}
}

// fit gives a buffer for data, which lies in b: b itself, or a smaller one where most of b would be kept for nothing.
func (p *buffers) fit(b *buffer, data []byte) *buffer {
	if cap(data) != cap(b.b) { // it was too small
		p.charge(cap(data) - cap(b.b))
		b.class = -1
	}
	b.b = data
	if cap(data) < 4*max(len(data), minBuffer) {
		return b
	}
	small := p.get(len(data))
	small.b = append(small.b, data...)
	p.put(b)
	return small
}
