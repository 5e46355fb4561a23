package files

import (
	"context"
	"errors"
	"sync"
	"time"

	"cdc/event"
	"cdc/sinks"
	"cdc/sinks/queue"
)

// Sink is a sinks.Sink, sinks.Positioner and sinks.Starter.
type Sink struct {
	w   *writer
	q   *queue.Queue
	opt Options

	once    sync.Once
	closing error

	mu    sync.Mutex
	place sinks.Place // durable
	holds bool
	stop  func() // ends what removes old files
}

var (
	_ sinks.Sink       = (*Sink)(nil)
	_ sinks.Positioner = (*Sink)(nil)
	_ sinks.Starter    = (*Sink)(nil)
)

// Open opens a sink on a folder, finishes the publication that a crash left half done, and removes what was not published. A remote place is only looked at until Start. Faults:
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
	s := &Sink{opt: opt}
	s.w = newWriter(store, &opt, tmpl, s.moved)
	if err := s.w.open(ctx); err != nil {
		return nil, errors.Join(s.w.why(ctx, err), store.Close())
	}
	if opt.Store == nil {
		if err := finishUpkeep(ctx, store, opt.OpenKeeper); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	s.q = queue.New(worker{s.w}, "the files sink was closed")
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

// Start tells where the stream is read from; see sinks.Starter. A remote place is taken over here, and what Open does on a folder is done: fault.SinkMoved where another
// process has published since Open, and nothing was taken over.
func (s *Sink) Start(ctx context.Context, base sinks.Place) error {
	if err := s.q.Do(ctx, func(ctx context.Context) error { return s.w.why(ctx, s.w.start(ctx, base)) }); err != nil {
		return err
	}
	s.retain()
	return nil
}

// Check reports whether the folder can be written: it makes a file, links it and removes both. It is for a sink that is not in use.
func (s *Sink) Check(ctx context.Context) error {
	return s.q.Do(ctx, s.w.check)
}

// Write queues b. It returns early with the context's error, or with the fault that ended the sink.
func (s *Sink) Write(ctx context.Context, b *event.Batch, ack func(error)) error {
	return s.q.Write(ctx, b, ack)
}

// Flush publishes every complete transaction of the batches that Write has taken, and returns when they were acked.
func (s *Sink) Flush(ctx context.Context) error { return s.q.Flush(ctx) }

// Close stops writing. What was not published is dropped, and its batches are acked with fault.SinkClosed.
func (s *Sink) Close() error {
	s.once.Do(func() {
		s.q.Close()
		s.mu.Lock()
		stop := s.stop
		s.mu.Unlock()
		if stop != nil {
			stop()
		}
		s.closing = s.w.close()
	})
	return s.closing
}

// worker is a writer for its queue.
type worker struct{ w *writer }

// Take encodes a batch to temporary files.
func (x worker) Take(ctx context.Context, b *event.Batch, ack func(error)) error {
	defer b.Release()
	return x.w.why(ctx, x.w.take(ctx, b, ack))
}

// Flush publishes.
func (x worker) Flush(ctx context.Context) error { return x.w.why(ctx, x.w.publish(ctx)) }

// Due is when the oldest change has waited long enough.
func (x worker) Due() time.Time { return x.w.deadline() }

// Fail acks all that was not published.
func (x worker) Fail(ctx context.Context, err error) { x.w.fail(ctx, err) }
