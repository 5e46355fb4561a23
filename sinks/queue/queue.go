package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"cdc/event"
	"cdc/fault"
)

// length is how many batches wait for the worker. They are in the caller's memory budget; more would only add to the latency.
const length = 4

// Worker does the work of a sink. The context of its methods ends with Close.
type Worker interface {
	// Take writes a batch. It releases b, and calls ack when the batch is durable, or keeps ack for a later call.
	Take(ctx context.Context, b *event.Batch, ack func(error)) error
	// Flush makes durable what can be, of the batches taken so far.
	Flush(ctx context.Context) error
	// Fail is called once, when nothing else will be: after an error of the others, or after Close. It calls every ack that was kept.
	Fail(ctx context.Context, err error)
}

// Timed is implemented by workers that are to be flushed at a time.
type Timed interface {
	// Due is when Flush is to be called at the latest; zero where nothing waits for it.
	Due() time.Time
}

// Queue hands batches to a worker.
type Queue struct {
	worker Worker
	due    func() time.Time
	after  string // what the fault says after Close
	queue  chan item
	calls  chan call
	stop   context.CancelFunc
	ended  <-chan struct{} // closed by stop
	done   chan struct{}   // closed when the goroutine has ended
	failed atomic.Pointer[error]
	gap    bool // a Write was given up, or the queue closed: what follows would leave a hole

	writing sync.RWMutex // held for reading by Write, so that Close knows when nobody sends any more
	once    sync.Once
}

type item struct {
	b   *event.Batch
	ack func(error)
}

type call struct {
	do    func(context.Context) error
	drain bool // take what is queued first
	reply chan error
}

// New starts a queue. closed is the text of fault.SinkClosed, which everything gets after Close.
func New(w Worker, closed string) *Queue {
	ctx, stop := context.WithCancel(context.Background())
	q := &Queue{
		worker: w, after: closed, queue: make(chan item, length), calls: make(chan call), stop: stop, ended: ctx.Done(), done: make(chan struct{}),
		due: func() time.Time { return time.Time{} },
	}
	if t, ok := w.(Timed); ok {
		q.due = t.Due
	}
	go q.run(ctx)
	return q
}

func (q *Queue) closed() error { return fault.New(fault.SinkClosed, "%s", q.after) }

// Write queues b. It returns early with the context's error, or with the fault that ended the sink; b is released then.
func (q *Queue) Write(ctx context.Context, b *event.Batch, ack func(error)) error {
	q.writing.RLock()
	defer q.writing.RUnlock()
	if err := q.err(); err != nil {
		b.Release()
		return err
	}
	select {
	case q.queue <- item{b, ack}: // also where the context has ended: there is room
		return nil
	default:
	}
	select {
	case q.queue <- item{b, ack}:
		return nil
	case <-ctx.Done():
		q.gap = true
		b.Release()
		return ctx.Err()
	case <-q.ended:
		b.Release()
		return q.closed()
	}
}

func (q *Queue) err() error {
	if p := q.failed.Load(); p != nil {
		return *p
	}
	select {
	case <-q.ended:
		return q.closed()
	default:
	}
	if q.gap {
		return fault.New(fault.SinkClosed, "an earlier write was cancelled")
	}
	return nil
}

// Flush has the worker take what is queued, and flush.
func (q *Queue) Flush(ctx context.Context) error { return q.call(ctx, true, q.worker.Flush) }

// Do calls do in the worker's goroutine. A fault of it leaves the sink as it was; any other error ends it.
func (q *Queue) Do(ctx context.Context, do func(context.Context) error) error {
	return q.call(ctx, false, do)
}

func (q *Queue) call(ctx context.Context, drain bool, do func(context.Context) error) error {
	c := call{do: do, drain: drain, reply: make(chan error, 1)}
	select {
	case q.calls <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-q.ended:
		return q.closed()
	}
	select {
	case err := <-c.reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops the worker and waits for it. What is queued is given back with fault.SinkClosed.
func (q *Queue) Close() {
	q.once.Do(func() {
		q.stop()
		q.writing.Lock() // waits for a Write that is under way
		q.gap = true     // and from here on nobody sends
		q.writing.Unlock()
		<-q.done
		q.refuse(q.closed())
	})
}

// refuse gives back the batches that are queued.
func (q *Queue) refuse(err error) {
	for {
		select {
		case it := <-q.queue:
			it.b.Release()
			it.ack(err)
		default:
			return
		}
	}
}

func (q *Queue) run(ctx context.Context) {
	defer close(q.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	err := q.loop(ctx, timer)
	if ctx.Err() != nil {
		err = q.closed()
	}
	q.failed.Store(&err)
	q.worker.Fail(ctx, err)
	for { // everything that comes now gets the same answer
		q.refuse(err)
		select {
		case it := <-q.queue:
			it.b.Release()
			it.ack(err)
		case c := <-q.calls:
			c.reply <- err
		case <-ctx.Done():
			return
		}
	}
}

// loop returns the error that ends the sink.
func (q *Queue) loop(ctx context.Context, timer *time.Timer) error {
	for ctx.Err() == nil {
		var tick <-chan time.Time
		if at := q.due(); !at.IsZero() {
			timer.Reset(time.Until(at))
			tick = timer.C
		}
		var err error
		select {
		case it := <-q.queue:
			err = q.worker.Take(ctx, it.b, it.ack)
		case c := <-q.calls:
			err = q.answer(ctx, c)
		case <-tick:
			err = q.worker.Flush(ctx)
		case <-ctx.Done():
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// answer makes a call. Its error is one that ends the sink.
func (q *Queue) answer(ctx context.Context, c call) error {
	var err error
	for n := len(q.queue); c.drain && n > 0 && err == nil; n-- {
		it := <-q.queue
		err = q.worker.Take(ctx, it.b, it.ack)
	}
	if err == nil {
		err = c.do(ctx)
	}
	if err != nil && c.drain {
		failure := err
		if ctx.Err() != nil {
			failure = q.closed()
		}
		q.failed.Store(&failure) // before the caller hears of it: his next Write is refused
	}
	c.reply <- err
	if _, ok := fault.As(err); ok && !c.drain {
		return nil
	}
	return err
}
