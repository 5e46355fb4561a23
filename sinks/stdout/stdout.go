package stdout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/sinks"
	"cdc/sinks/queue"
)

// ErrBrokenPipe says that nobody reads the output any more. It is no fault: `cdc tail ... | head` ends this way.
var ErrBrokenPipe = errors.New("the reader of the output is gone")

const (
	bufLen  = 64 << 10
	keepOut = 1 << 20 // the largest buffer that is kept for the next batch
)

// Options of a sink.
type Options struct {
	Encoder func() format.Encoder
	Budget  *event.Budget // charged for the buffer; nil charges nobody
}

// Sink is a sinks.Sink.
type Sink struct {
	q    *queue.Queue
	w    *worker
	once sync.Once
}

var _ sinks.Sink = (*Sink)(nil)

// worker writes the batches of a queue.
type worker struct {
	enc     format.Encoder
	budget  *event.Budget
	out     format.Out
	buf     []byte // lines that wait for the writer
	charged int
	pump    chan []byte // to the goroutine that calls the writer
	written chan error
}

const closed = "the output was closed"

// New makes a sink that writes to w. Close does not close w.
func New(w io.Writer, opt Options) *Sink {
	x := &worker{enc: opt.Encoder(), budget: opt.Budget, pump: make(chan []byte), written: make(chan error, 1)}
	go x.feed(w)
	return &Sink{q: queue.New(x, closed), w: x}
}

// Write queues b.
func (s *Sink) Write(ctx context.Context, b *event.Batch, ack func(error)) error {
	return s.q.Write(ctx, b, ack)
}

// Flush returns when the batches that Write has taken were written and acked.
func (s *Sink) Flush(ctx context.Context) error { return s.q.Flush(ctx) }

// Close ends the sink; what was not written yet is dropped.
func (s *Sink) Close() error {
	s.once.Do(func() {
		s.q.Close()
		close(s.w.pump)
	})
	return nil
}

// feed calls the writer. It is apart from the queue's goroutine so that this can end while the writer hangs.
func (x *worker) feed(w io.Writer) {
	for p := range x.pump {
		n, err := w.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		x.written <- err // has room: nothing else is handed over before it was read
	}
}

// Take writes a batch and acks it. The batch is released before the last bytes are on their way.
func (x *worker) Take(ctx context.Context, b *event.Batch, ack func(error)) error {
	err := x.encode(ctx, b)
	b.Release()
	if err == nil {
		err = x.send(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = fault.New(fault.SinkClosed, closed)
	}
	ack(err)
	return err
}

// Flush has nothing to do: each batch was written when it was taken.
func (x *worker) Flush(context.Context) error { return nil }

// Fail gives the memory back.
func (x *worker) Fail(context.Context, error) { x.charge(-x.charged) }

func (x *worker) encode(ctx context.Context, b *event.Batch) error {
	if b.DDL != nil {
		x.out.Reset()
		if err := x.enc.DDL(&x.out, b); err != nil {
			return err
		}
		x.lines()
	}
	for i := range b.Changes {
		x.out.Reset()
		if err := x.enc.Change(&x.out, b, i); err != nil {
			return err
		}
		if x.lines(); len(x.buf) >= bufLen {
			if err := x.send(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines appends the encoded records to the buffer.
func (x *worker) lines() {
	for i := range x.out.Recs {
		r := &x.out.Recs[i]
		if r.Tombstone {
			continue // stands for nothing without its key
		}
		x.buf = append(x.buf, x.out.Buf[r.Value.Start:r.Value.End]...)
		x.buf = append(x.buf, '\n')
	}
	x.charge(cap(x.buf) + cap(x.out.Buf) - x.charged)
}

// send waits until the writer has taken the buffer.
func (x *worker) send(ctx context.Context) error {
	if len(x.buf) == 0 {
		return nil
	}
	select {
	case x.pump <- x.buf:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-x.written:
		if err != nil {
			return writeError(err)
		}
	case <-ctx.Done():
		return ctx.Err() // the writer may still read the buffer, which is not used again
	}
	x.buf = x.buf[:0]
	if x.charged > keepOut {
		x.buf, x.out = nil, format.Out{}
		x.charge(-x.charged)
	}
	return nil
}

func (x *worker) charge(n int) {
	x.charged += n
	if x.budget == nil || n == 0 {
		return
	}
	if n > 0 {
		x.budget.Charge(int64(n))
	} else {
		x.budget.Credit(int64(-n))
	}
}

func writeError(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("%w: %w", ErrBrokenPipe, err)
	}
	return fault.New(fault.SinkWrite, "write the output: %w", err)
}
