package files

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/sinks"
)

// queueLen is how many batches wait for the encoder. They are in the caller's memory budget; more would only add to the latency.
const queueLen = 4

// Sink is a sinks.Sink, sinks.Positioner and sinks.Starter.
type Sink struct {
	w      *writer
	queue  chan item
	calls  chan call
	stop   context.CancelFunc
	ended  <-chan struct{} // closed by stop
	done   chan struct{}   // closed when the goroutine has ended
	failed atomic.Pointer[error]
	gap    bool // a Write was given up, or the sink closed: what follows would leave a hole

	writing sync.RWMutex // held for reading by Write, so that Close knows when nobody sends any more
	once    sync.Once
	closing error

	mu    sync.Mutex
	place sinks.Place // durable
	holds bool
}

type item struct {
	b   *event.Batch
	ack func(error)
}

type call struct {
	do    func(context.Context) error
	drain bool // do what is queued first
	reply chan error
}

var (
	_ sinks.Sink       = (*Sink)(nil)
	_ sinks.Positioner = (*Sink)(nil)
	_ sinks.Starter    = (*Sink)(nil)
)

// Open opens a sink on a folder, finishes the publication that a crash left half done, and removes what was not published. Faults:
// SinkLocked where another process has the folder, SinkIntent and SinkConflict where what is there does not fit together, SinkDiskFull below
// Options.MinFree, SinkWrite for everything that the system refuses.
func Open(ctx context.Context, opt Options) (*Sink, error) {
	opt.setDefaults()
	if err := opt.validate(); err != nil {
		return nil, err
	}
	tmpl, err := parseTemplate(opt.Template)
	if err != nil {
		return nil, err
	}
	store := opt.Store
	if store == nil {
		if store, err = OpenLocal(opt.Dir, opt.FileMode, opt.DirMode); err != nil {
			return nil, classify("open", opt.Dir, err)
		}
	}
	s := &Sink{queue: make(chan item, queueLen), calls: make(chan call), done: make(chan struct{})}
	s.w = newWriter(store, &opt, tmpl, s.moved)
	if err := s.w.recover(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.ended = stop, run.Done()
	go s.run(run)
	return s, nil
}

// moved is called by the writer when a place has become durable.
func (s *Sink) moved(p sinks.Place) {
	s.mu.Lock()
	s.place, s.holds = p, true
	s.mu.Unlock()
}

// Position gives the place up to which everything is published.
func (s *Sink) Position(context.Context) (sinks.Place, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clonePlace(s.place), s.holds, nil
}

// Start tells where the stream is read from; see sinks.Starter.
func (s *Sink) Start(ctx context.Context, base sinks.Place) error {
	return s.call(ctx, false, func(context.Context) error { return s.w.start(base) })
}

// Check reports whether the folder can be written: it makes a file, links it and removes both. It is for a sink that is not in use.
func (s *Sink) Check(ctx context.Context) error {
	return s.call(ctx, false, s.w.check)
}

// Write queues b. It returns early with the context's error, or with the fault that ended the sink.
func (s *Sink) Write(ctx context.Context, b *event.Batch, ack func(error)) error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	if err := s.err(); err != nil {
		b.Release()
		return err
	}
	select {
	case s.queue <- item{b, ack}:
		return nil
	default:
	}
	select {
	case s.queue <- item{b, ack}:
		return nil
	case <-ctx.Done():
		s.gap = true
		b.Release()
		return ctx.Err()
	case <-s.ended:
		b.Release()
		return closed()
	}
}

func closed() error { return fault.New(fault.SinkClosed, "the files sink was closed") }

func (s *Sink) err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	select {
	case <-s.ended:
		return closed()
	default:
	}
	if s.gap {
		return fault.New(fault.SinkClosed, "an earlier write was cancelled")
	}
	return nil
}

// Flush publishes every complete transaction of the batches that Write has taken, and returns when they were acked.
func (s *Sink) Flush(ctx context.Context) error {
	return s.call(ctx, true, s.w.publish)
}

func (s *Sink) call(ctx context.Context, drain bool, do func(context.Context) error) error {
	c := call{do: do, drain: drain, reply: make(chan error, 1)}
	select {
	case s.calls <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return closed()
	}
	select {
	case err := <-c.reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops writing. What was not published is dropped, and its batches are acked with fault.SinkClosed.
func (s *Sink) Close() error {
	s.once.Do(func() {
		s.stop()
		s.writing.Lock() // waits for a Write that is under way
		s.gap = true     // and from here on nobody sends
		s.writing.Unlock()
		<-s.done
		s.refuse(closed())
		s.closing = s.w.close()
	})
	return s.closing
}

// refuse gives back the batches that are queued.
func (s *Sink) refuse(err error) {
	for {
		select {
		case it := <-s.queue:
			it.b.Release()
			it.ack(err)
		default:
			return
		}
	}
}

func (s *Sink) run(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	err := s.loop(ctx, timer)
	if ctx.Err() != nil {
		err = closed()
	}
	s.failed.Store(&err)
	s.w.fail(ctx, err)
	for { // everything that comes now gets the same answer
		s.refuse(err)
		select {
		case it := <-s.queue:
			it.b.Release()
			it.ack(err)
		case c := <-s.calls:
			c.reply <- err
		case <-ctx.Done():
			return
		}
	}
}

// loop returns the error that ends the sink.
func (s *Sink) loop(ctx context.Context, timer *time.Timer) error {
	for ctx.Err() == nil {
		var tick <-chan time.Time
		if at := s.w.deadline(); !at.IsZero() {
			timer.Reset(time.Until(at))
			tick = timer.C
		}
		var err error
		select {
		case it := <-s.queue:
			err = s.w.take(ctx, it)
		case c := <-s.calls:
			for n := len(s.queue); c.drain && n > 0 && err == nil; n-- {
				err = s.w.take(ctx, <-s.queue)
			}
			if err == nil {
				err = c.do(ctx)
			}
			if failure := err; failure != nil && c.drain {
				s.failed.Store(&failure) // before the caller hears of it: his next Write is refused
			}
			c.reply <- err
			if _, ok := fault.As(err); ok && !c.drain {
				err = nil // a refused Start or Check leaves the sink as it was
			}
		case <-tick:
			err = s.w.publish(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
