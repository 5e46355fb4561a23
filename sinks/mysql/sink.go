package mysql

import (
	"context"

	"cdc/event"
	"cdc/fault"
	"cdc/sinks"
	"cdc/sinks/queue"
)

// Sink is a sinks.Sink.
type Sink struct {
	engine *engine
	q      *queue.Queue
}

var (
	_ sinks.Sink    = (*Sink)(nil)
	_ sinks.Starter = (*Sink)(nil)
	_ sinks.Resumer = (*Sink)(nil)
)

// Open makes a sink. It does not connect: Start does.
func Open(o Options) (*Sink, error) {
	o.Config = o.withDefaults()
	e, err := newEngine(o)
	if err != nil {
		return nil, err
	}
	return &Sink{engine: e, q: queue.New(e, "the sink was closed")}, nil
}

// Start connects, settles how transactions are applied exactly once, and reads what the target has. base is where the stream is read from; a target that
// lacks what lies before it answers with fault.SinkBehind.
func (s *Sink) Start(ctx context.Context, base sinks.Place) error {
	if err := s.engine.start(ctx, base); err != nil {
		return err
	}
	return s.engine.tally(ctx)
}

// State gives what the next run wants to find at the target.
func (s *Sink) State(seq uint64) ([]byte, error) {
	if b := s.engine.accounts(); b != nil {
		return b.state(seq)
	}
	return s.engine.opt.State, nil
}

// Write queues b.
func (s *Sink) Write(ctx context.Context, b *event.Batch, ack func(error)) error {
	return s.q.Write(ctx, b, ack)
}

// Flush returns when all transactions that are complete were committed.
func (s *Sink) Flush(ctx context.Context) error { return s.q.Flush(ctx) }

// Close ends the sink. What was not committed is rolled back by the server.
func (s *Sink) Close() error {
	s.engine.fail(fault.New(fault.SinkClosed, "the sink was closed"))
	s.q.Close()
	s.engine.wg.Wait()
	return nil
}

// Status is what an operator wants to know of the sink.
type Status struct {
	ExactlyOnce string // gtid_next or table; empty before it is settled
	Parallel    string // the mode
	Workers     int
	Active      int    // transactions that were taken in and are not done
	Applied     uint64 // transactions that were committed
	Present     uint64 // that the target had already, or that began there
	Conflicts   uint64 // changes that on_conflict left out or carried out otherwise
	// Objects are the views, routines, events and triggers of the source, counted by what became of them, as of the start. Not to be changed.
	Objects map[string]int
	Retries uint64 // transactions that were carried out again, after a deadlock or a lost connection
}

// Status says how the sink works. It may be called at any time.
func (s *Sink) Status() Status {
	e := s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	st := e.stats
	st.Parallel, st.Workers, st.Active = e.by.String(), e.opt.Parallel.Workers, len(e.units)
	if e.open {
		st.ExactlyOnce = e.books.mode()
	}
	return st
}
