package sinktest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"cdc/event"
	"cdc/sinks"
)

// run is one life of a sink.
type run struct {
	t      testing.TB
	h      Harness
	target Target
	stream *stream
	sink   sinks.Sink
	budget *event.Budget
	pool   event.Pool
	acks   *acks
	from   int // transactions before the place where reading began
	seq    uint64
	held   func(i int) bool
	seen   []Record // of earlier lives, for sinks that show changes at once
}

// start opens a sink on a target, reading from behind the first from transactions.
func start(t testing.TB, h Harness, target Target, s *stream, from int) *run {
	t.Helper()
	r, err := begin(t, h, target, s, from)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return r
}

func begin(t testing.TB, h Harness, target Target, s *stream, from int) (*run, error) {
	t.Helper()
	r := &run{t: t, h: h, target: target, stream: s, acks: &acks{t: t, from: from}, from: from, held: func(int) bool { return false }}
	r.budget = event.NewBudget(1 << 30)
	r.pool.Budget = r.budget
	sink, err := target.Open(t.Context(), r.budget)
	if err != nil {
		return nil, err
	}
	r.sink = sink
	t.Cleanup(func() { _ = sink.Close() })
	if p, ok := sink.(sinks.Positioner); ok {
		place, holds, err := p.Position(t.Context())
		if err != nil {
			return nil, err
		}
		if holds {
			r.held = func(i int) bool { return s.holds(place, i) }
		}
		for i := range from {
			if !r.held(i) {
				t.Fatalf("transaction %d was acked and is not in the sink's place %v", i, place)
			}
		}
	}
	if st, ok := sink.(sinks.Starter); ok {
		if err := st.Start(t.Context(), s.place(from)); err != nil {
			_ = sink.Close()
			return nil, err
		}
	}
	if _, ok := sink.(sinks.Positioner); ok { // what was decided on is seen by now
		r.wantSame(target.Delivered(t), s.expected(r.heldCount()))
	}
	return r, nil
}

// heldCount is the number of transactions in the sink's place, which must be the first ones.
func (r *run) heldCount() int {
	n := 0
	for n < len(r.stream.txns) && r.held(n) {
		n++
	}
	for i := n; i < len(r.stream.txns); i++ {
		if r.held(i) {
			r.t.Fatalf("the place has transaction %d and not %d", i, n)
		}
	}
	return n
}

func (r *run) write(c cut) {
	r.t.Helper()
	b := r.stream.batch(&r.pool, c, r.seq, r.held)
	r.seq++
	ack, _ := r.acks.add(c.done)
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.sink.Write(ctx, b, ack); err != nil {
		r.t.Fatalf("write: %v", err)
	}
}

func (r *run) flush() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.sink.Flush(ctx); err != nil {
		r.t.Fatalf("flush: %v", err)
	}
}

// crash kills the process at this moment and opens a sink on what is left. The checkpoint, which is saved now and then, is up to lag
// transactions behind what was acked.
func (r *run) crash(lag int) *run {
	r.t.Helper()
	target := r.target.Crash(r.t)
	from, _ := r.acks.prefix() // after the crash: what is acked until then counts
	from = max(r.from, from-lag)
	next := start(r.t, r.h, target, r.stream, from)
	if r.h.AtOnce {
		next.seen = append(r.seen, r.target.Delivered(r.t)...)
	}
	return next
}

// finish writes the rest of the stream and looks at all of it.
func (r *run) finish(seed uint64) {
	r.t.Helper()
	for _, c := range r.stream.cuts(rand.New(rand.NewPCG(seed, 11)), r.from) {
		r.write(c)
	}
	r.flush()
	r.wantAcked(len(r.acks.got))
	r.wantAll(r.target.Delivered(r.t))
	r.end()
}

func (r *run) close() {
	r.t.Helper()
	if err := r.sink.Close(); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// end closes the sink, and looks whether it gave everything back.
func (r *run) end() {
	r.t.Helper()
	r.close()
	r.wantNoMemory()
}

func (r *run) wantNoMemory() {
	r.t.Helper()
	if used, _, _ := r.budget.Used(); used != 0 {
		r.t.Errorf("%d bytes of the memory budget are still in use", used)
	}
}

// wantAcked asks for the first n batches to be acked, and no other.
func (r *run) wantAcked(n int) {
	r.t.Helper()
	r.acks.mu.Lock()
	defer r.acks.mu.Unlock()
	for i, a := range r.acks.got {
		if want := min(max(n-i, 0), 1); a.count != want && !(r.h.AtOnce && a.count == 1) {
			r.t.Errorf("batch %d was acked %d times, want %d", i, a.count, want)
		}
	}
}

// wantAll asks for every change of the stream: once, or for sinks that show changes at once, at least once.
func (r *run) wantAll(got []Record) {
	r.t.Helper()
	want := r.stream.expected(len(r.stream.txns))
	if r.h.AtOnce {
		seen := map[Record]bool{}
		var firsts []Record
		for _, g := range append(r.seen, got...) {
			if !seen[g] {
				seen[g] = true
				firsts = append(firsts, g)
			}
		}
		got = firsts
	}
	r.wantSame(got, want)
}

func (r *run) wantSame(got, want []Record) {
	r.t.Helper()
	g, w := byTable(got), byTable(want)
	for name := range g {
		if _, ok := w[name]; !ok {
			r.t.Fatalf("table %s has %d changes, want none", name, len(g[name]))
		}
	}
	for name, list := range w {
		for i, rec := range list {
			if i >= len(g[name]) {
				r.t.Fatalf("table %s: %d changes, want %d; missing %v", name, len(g[name]), len(list), rec)
			}
			if g[name][i] != rec {
				r.t.Fatalf("table %s: change %d is %v, want %v", name, i, g[name][i], rec)
			}
		}
		if len(g[name]) > len(list) {
			r.t.Fatalf("table %s: %d changes, want %d; too many: %v", name, len(g[name]), len(list), g[name][len(list)])
		}
	}
}

// acks keeps account of the acks of one life.
type acks struct {
	t    testing.TB
	mu   sync.Mutex
	from int
	got  []ack
	next int // the batch whose ack comes next

	moved func(txns int)
}

type ack struct {
	count int
	err   error
	done  int // transactions complete behind the batch
}

// add gives the ack function of the next batch, and one that takes it back where Write did not take the batch.
func (a *acks) add(done int) (fn func(error), undo func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := len(a.got)
	a.got = append(a.got, ack{done: done})
	fn = func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got[i].count++
		a.got[i].err = err
		if a.got[i].count > 1 {
			a.t.Errorf("batch %d was acked again", i)
		}
		if i != a.next && err == nil {
			a.t.Errorf("batch %d was acked before batch %d", i, a.next)
		}
		a.next = i + 1
		if err == nil && a.moved != nil {
			a.moved(a.got[i].done)
		}
	}
	undo = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = a.got[:i]
	}
	return fn, undo
}

// prefix gives the number of transactions that are behind the acked batches, and the number of these: the checkpoint of a pipeline.
func (a *acks) prefix() (txns, batches int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	txns = a.from
	for _, x := range a.got {
		if x.count == 0 || x.err != nil {
			break
		}
		txns = max(txns, x.done)
		batches++
	}
	return txns, batches
}
