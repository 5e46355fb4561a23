package sinktest

import (
	"context"
	"math/rand/v2"
	"testing"
)

// Script is a made-up stream for tests that a sink has of its own, where the target stops at a step that only that sink knows.
type Script struct {
	Acked func(txns int) // if set, called with the number of transactions that are acked, whenever it grows
	s     *stream
}

// NewScript makes a stream of n transactions, named by GTIDs of "mysql" or "mariadb", or by "file" and offset.
func NewScript(kind string, seed uint64, n int) *Script {
	return &Script{s: newStream(identities[kind], seed, n)}
}

// Life opens a sink on a target and writes the stream to it from behind the first from transactions, flushing now and then, to its end or
// to the first error. Whatever the target holds after Open and Start is compared with the sink's place. seed decides about batches and flushes. It
// gives the number of transactions that are acked by now: where the next life starts.
func (s *Script) Life(t testing.TB, target Target, from int, seed uint64) (acked int, err error) {
	t.Helper()
	r, err := begin(t, Harness{}, target, s.s, from)
	if err != nil {
		return from, err
	}
	r.acks.moved = s.Acked
	err = s.write(r, rand.New(rand.NewPCG(seed, 5)))
	cerr := r.sink.Close()
	if err == nil {
		err = cerr
	}
	r.wantNoMemory()
	acked, _ = r.acks.prefix()
	return acked, err
}

func (s *Script) write(r *run, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for _, c := range s.s.cuts(rng, r.from) {
		b := s.s.batch(&r.pool, c, r.seq, r.held)
		r.seq++
		ack, undo := r.acks.add(c.done)
		if err := r.sink.Write(ctx, b, ack); err != nil {
			undo()
			return err
		}
		if rng.IntN(8) == 0 {
			if err := r.sink.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return r.sink.Flush(ctx)
}

// Check fails the test unless the target holds every change of the stream once, in order.
func (s *Script) Check(t testing.TB, target Target) {
	t.Helper()
	(&run{t: t, stream: s.s}).wantAll(target.Delivered(t))
}
