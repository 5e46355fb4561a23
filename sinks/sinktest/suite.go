package sinktest

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks"
)

// Target is a durable place that sinks are opened on, one after the other.
type Target interface {
	// Open opens a sink with the suite's encoder. budget is charged with what the sink copies.
	Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error)
	// Delivered reads back what a reader of the target sees now, for each table in order.
	Delivered(t testing.TB) []Record
	// Crash gives the target as it would be had the process been killed now, and so frees it from the sinks that are open. These, and this
	// Target, are not used any more, except that the sinks are closed.
	Crash(t testing.TB) Target
}

// Harness says how to test a sink.
type Harness struct {
	New func(t testing.TB) Target
	// AtOnce is set for sinks that show changes as they are written and cannot know after a crash what they wrote: a transaction may be
	// visible in part, and comes again in full.
	AtOnce bool
	// Stride, for targets that are slow to make, kills at every Stride-th step only; 0 is each.
	Stride int
	// Block, where set, makes the target take nothing until the returned function is called.
	Block func(t testing.TB, target Target) (unblock func())
	// Break, where set, makes every later operation of the target fail.
	Break func(t testing.TB, target Target)
}

// patience is how long the suite waits for what must come at once. It is no measure of speed.
const patience = 2 * time.Minute

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for name, kind := range identities {
		t.Run(name, func(t *testing.T) {
			t.Run("order", func(t *testing.T) { testOrder(t, h, kind) })
			t.Run("kill at every step", func(t *testing.T) { testKill(t, h, kind) })
			t.Run("kill again and again", func(t *testing.T) { testKillOften(t, h, kind) })
		})
	}
	t.Run("empty batches", func(t *testing.T) { testEmpty(t, h) })
	t.Run("unfinished transaction", func(t *testing.T) { testUnfinished(t, h) })
	t.Run("flush of nothing", func(t *testing.T) { testFlushNothing(t, h) })
	t.Run("close without flush", func(t *testing.T) { testClose(t, h) })
	if h.Block != nil {
		t.Run("slow", func(t *testing.T) { testSlow(t, h) })
		t.Run("close while blocked", func(t *testing.T) { testCloseBlocked(t, h) })
	}
	if h.Break != nil {
		t.Run("failing", func(t *testing.T) { testFailing(t, h) })
	}
}

// testOrder writes a stream and reads it back.
func testOrder(t *testing.T, h Harness, kind identity) {
	r := start(t, h, h.New(t), newStream(kind, 1, 60), 0)
	for _, c := range r.stream.cuts(rand.New(rand.NewPCG(1, 1)), 0) {
		r.write(c)
	}
	r.flush()
	r.wantAcked(len(r.acks.got))
	r.wantAll(r.target.Delivered(t))
	r.end()
}

// testKill kills the sink after each number of batches, flushed before or not.
func testKill(t *testing.T, h Harness, kind identity) {
	s := newStream(kind, 2, 14)
	steps := len(s.cuts(rand.New(rand.NewPCG(2, 0)), 0))
	for k := 0; k <= steps; k += max(h.Stride, 1) {
		for _, flushAt := range []int{-1, k / 2, k} {
			r := start(t, h, h.New(t), s, 0)
			cuts := s.cuts(rand.New(rand.NewPCG(2, 0)), 0)
			for i, c := range cuts[:k] {
				if i == flushAt {
					r.flush()
				}
				r.write(c)
			}
			if flushAt == k {
				r.flush()
			}
			r = r.crash(0)
			r.finish(uint64(k))
		}
	}
}

// testKillOften kills one stream many times.
func testKillOften(t *testing.T, h Harness, kind identity) {
	for seed := range uint64(4/max(h.Stride, 1) + 1) {
		s := newStream(kind, 100+seed, 60)
		rng := rand.New(rand.NewPCG(seed, 3))
		r := start(t, h, h.New(t), s, 0)
		for range 12 {
			cuts := s.cuts(rng, r.from)
			for _, c := range cuts[:rng.IntN(len(cuts)/2+1)] {
				r.write(c)
				if rng.IntN(6) == 0 {
					r.flush()
				}
			}
			r = r.crash(rng.IntN(10))
		}
		r.finish(seed)
	}
}

// testEmpty writes batches in which nothing is.
func testEmpty(t *testing.T, h Harness) {
	r := start(t, h, h.New(t), newStream(mysqlGTIDs, 4, 10), 0)
	r.write(cut{idle: true})
	r.write(cut{idle: true, moves: true})
	r.flush()
	r.wantAcked(2)
	for _, c := range r.stream.cuts(rand.New(rand.NewPCG(4, 4)), 0) {
		r.write(c)
		r.write(cut{idle: true})
	}
	r.flush()
	r.wantAcked(len(r.acks.got))
	r.wantAll(r.target.Delivered(t))
	r.end()
}

// unfinished gives a stream of two transactions of which the second is in two pieces.
func unfinished() (s *stream, first, half, rest cut) {
	s = newStream(mysqlGTIDs, 5, 0)
	for i := range 2 {
		s.txns = append(s.txns, txn{
			id: gtid.GTID{UUID: uuids[0], Seq: uint64(i + 1)}, file: "binlog.000001", off: uint64(i+1) * 200, next: uint64(i+2) * 200,
			rows: []int{0, 1, 0, 2}, ddl: -1,
		})
	}
	first = cut{parts: []part{{txn: 0, to: 4, begin: true, end: true}, {txn: 1, to: 1, begin: true}}, done: 1}
	half = cut{parts: []part{{txn: 1, from: 1, to: 3}}, done: 1}
	rest = cut{parts: []part{{txn: 1, from: 3, to: 4, end: true}}, done: 2}
	return s, first, half, rest
}

// testUnfinished looks at the target while a transaction is half written.
func testUnfinished(t *testing.T, h Harness) {
	s, first, half, rest := unfinished()
	r := start(t, h, h.New(t), s, 0)
	r.write(first)
	r.flush() // must come back, and show the transaction that has ended
	r.write(half)
	r.flush()
	got := r.target.Delivered(t)
	if !h.AtOnce {
		r.wantSame(got, s.expected(1))
		r.wantAcked(0) // the first batch has a piece of the second transaction
	}
	r.write(rest)
	r.flush()
	r.wantAcked(3)
	r.wantAll(r.target.Delivered(t))
	r.end()

	r = start(t, h, h.New(t), s, 0) // and once more, killed in between
	r.write(first)
	r.flush()
	r.write(half)
	r = r.crash(0)
	if !h.AtOnce {
		r.wantSame(r.target.Delivered(t), s.expected(1))
	}
	r.finish(5)
}

func testFlushNothing(t *testing.T, h Harness) {
	r := start(t, h, h.New(t), newStream(mysqlGTIDs, 6, 5), 0)
	r.flush()
	r.flush()
	r.wantSame(r.target.Delivered(t), nil)
	r.end()
}

// testClose closes a sink that has not been flushed: what was acked stays, the rest comes again.
func testClose(t *testing.T, h Harness) {
	r := start(t, h, h.New(t), newStream(mysqlGTIDs, 7, 30), 0)
	for i, c := range r.stream.cuts(rand.New(rand.NewPCG(7, 7)), 0) {
		if i == 5 {
			r.flush()
		}
		r.write(c)
	}
	r.close()
	b := r.stream.batch(&r.pool, cut{idle: true}, 0, func(int) bool { return false })
	if err := r.sink.Write(t.Context(), b, func(error) { t.Error("a refused batch was acked") }); err == nil {
		t.Error("write after close succeeded")
	}
	r.wantNoMemory()
	if err := r.sink.Flush(t.Context()); err == nil {
		t.Error("flush after close succeeded")
	}
	if err := r.sink.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	from, _ := r.acks.prefix()
	next := start(t, h, r.target, r.stream, from)
	next.seen = r.seen
	next.finish(7)
}

// testSlow blocks the target: Write must block, and come back when its context ends.
func testSlow(t *testing.T, h Harness) {
	s := newStream(mysqlGTIDs, 8, 400)
	r := start(t, h, h.New(t), s, 0)
	unblock := h.Block(t, r.target)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	go func() { _ = r.sink.Flush(ctx) }() // some sinks meet the target only when flushed
	cuts := s.cuts(rand.New(rand.NewPCG(8, 8)), 0)
	var err error
	for _, c := range cuts {
		b := s.batch(&r.pool, c, r.seq, r.held)
		ack, undo := r.acks.add(c.done)
		if err = r.sink.Write(ctx, b, ack); err != nil {
			undo()
			break
		}
	}
	if err == nil {
		err = r.sink.Flush(ctx)
	}
	if err == nil || ctx.Err() == nil {
		t.Fatalf("writing to a blocked target: %v, context %v", err, ctx.Err())
	}
	unblock()
	r.close()
	from, _ := r.acks.prefix()
	next := start(t, h, r.target, s, from)
	next.seen = r.seen
	next.finish(8)
}

// testCloseBlocked closes a sink whose target does not answer. What the sink had given to it may still arrive.
func testCloseBlocked(t *testing.T, h Harness) {
	s := newStream(mysqlGTIDs, 9, 50)
	r := start(t, h, h.New(t), s, 0)
	unblock := h.Block(t, r.target)
	defer unblock()
	flushed := make(chan struct{})
	r.write(s.cuts(rand.New(rand.NewPCG(9, 9)), 0)[0])
	go func() { defer close(flushed); _ = r.sink.Flush(context.WithoutCancel(t.Context())) }() // whatever it says, it has to end
	closed := make(chan struct{})
	go func() { defer close(closed); _ = r.sink.Close() }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("close hangs")
	}
	select {
	case <-flushed:
	case <-time.After(patience):
		t.Fatal("flush hangs in a closed sink")
	}
}

// testFailing breaks the target under the sink.
func testFailing(t *testing.T, h Harness) {
	s := newStream(mysqlGTIDs, 10, 60)
	r := start(t, h, h.New(t), s, 0)
	cuts := s.cuts(rand.New(rand.NewPCG(10, 10)), 0)
	for _, c := range cuts[:4] {
		r.write(c)
	}
	r.flush()
	h.Break(t, r.target)
	var err error
	for _, c := range cuts[4:] {
		b := s.batch(&r.pool, c, r.seq, r.held)
		ack, undo := r.acks.add(c.done)
		if err = r.sink.Write(t.Context(), b, ack); err != nil {
			undo()
			break
		}
		if err = r.sink.Flush(t.Context()); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("neither write nor flush reported that the target fails")
	}
	b := s.batch(&r.pool, cuts[0], r.seq, r.held)
	if err := r.sink.Write(t.Context(), b, func(error) { t.Error("a refused batch was acked") }); err == nil {
		t.Error("write succeeded after the sink had failed")
	}
	_ = r.sink.Close() // may well report the failure
	r.wantNoMemory()
	r.acks.mu.Lock()
	defer r.acks.mu.Unlock()
	if slices.ContainsFunc(r.acks.got[4:], func(a ack) bool { return a.count > 0 && a.err == nil && a.done > r.acks.got[3].done }) {
		t.Error("a batch was acked after the target had failed")
	}
}

// byTable puts the records of each table together, in order.
func byTable(list []Record) map[schemas.Name][]Record {
	m := map[schemas.Name][]Record{}
	for _, r := range list {
		m[r.Table] = append(m[r.Table], r)
	}
	return m
}
