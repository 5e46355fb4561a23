package null_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/sinks"
	"cdc/sinks/null"
	"cdc/sinks/sinktest"
)

// tape is an encoder that remembers what it encoded, in the place of a target.
type tape struct {
	mu     sync.Mutex
	list   []sinktest.Record
	broken bool
	format.Encoder
}

func (p *tape) Change(o *format.Out, b *event.Batch, i int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return errors.New("broken")
	}
	if err := p.Encoder.Change(o, b, i); err != nil {
		return err
	}
	r, _, err := sinktest.Parse(o.Buf)
	p.list = append(p.list, r)
	return err
}

func (p *tape) Open(context.Context, *event.Budget) (sinks.Sink, error) {
	return null.New(func() format.Encoder { return p }), nil
}

func (p *tape) Delivered(testing.TB) []sinktest.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sinktest.Record(nil), p.list...)
}

func (p *tape) Crash(testing.TB) sinktest.Target { return p }

func TestConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		New:    func(testing.TB) sinktest.Target { return &tape{Encoder: sinktest.NewEncoder()} },
		AtOnce: true,
		Break: func(_ testing.TB, target sinktest.Target) {
			p := target.(*tape)
			p.mu.Lock()
			p.broken = true
			p.mu.Unlock()
		},
	})
}

func TestCounts(t *testing.T) {
	s := null.New(nil)
	var pool event.Pool
	b := pool.Get()
	b.Txns = append(b.Txns, event.Txn{Begin: true, End: true}, event.Txn{Begin: true})
	b.Changes = append(b.Changes, event.Change{Op: event.Insert}, event.Change{Op: event.Delete})
	acked := 0
	if err := s.Write(t.Context(), b, func(err error) { acked++ }); err != nil || acked != 1 {
		t.Fatalf("write: %v, %d acks", err, acked)
	}
	if got, want := s.Counts(), (null.Counts{Rows: 2, Txns: 1}); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
}
