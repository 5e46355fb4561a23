package stdout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/sinks"
)

// ErrBrokenPipe says that nobody reads the output any more. It is no fault: `cdc tail ... | head` ends this way.
var ErrBrokenPipe = errors.New("the reader of the output is gone")

const (
	queueLen = 4
	bufLen   = 64 << 10
	keepOut  = 1 << 20 // the largest buffer that is kept for the next batch
)

// Options of a sink.
type Options struct {
	Encoder func() format.Encoder
	Budget  *event.Budget // charged for the buffer; nil charges nobody
}

// Sink is a sinks.Sink.
type Sink struct {
	opt    Options
	enc    format.Encoder
	queue  chan item
	calls  chan chan error
	stop   context.CancelFunc
	ended  <-chan struct{}
	done   chan struct{}
	failed atomic.Pointer[error]
	gap    bool // a Write was given up, or the sink closed: what follows would leave a hole

	writing sync.RWMutex // held for reading by Write, so that Close knows when nobody sends any more
	once    sync.Once

	out     format.Out
	buf     []byte // lines that wait for the writer
	charged int
	pump    chan []byte // to the goroutine that calls the writer
	written chan error
}

type item struct {
	b   *event.Batch
	ack func(error)
}

var _ sinks.Sink = (*Sink)(nil)

// New makes a sink that writes to w. Close does not close w.
func New(w io.Writer, opt Options) *Sink {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sink{
		opt: opt, enc: opt.Encoder(), queue: make(chan item, queueLen), calls: make(chan chan error), stop: stop, ended: ctx.Done(),
		done: make(chan struct{}), pump: make(chan []byte), written: make(chan error, 1),
	}
	go s.feed(w)
	go s.run(ctx)
	return s
}

// feed calls the writer. It is apart from run so that run can end while the writer hangs.
func (s *Sink) feed(w io.Writer) {
	for p := range s.pump {
		n, err := w.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		s.written <- err // has room: nothing else is handed over before it was read
	}
}

// Write queues b.
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

func closed() error { return fault.New(fault.SinkClosed, "the output was closed") }

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

// Flush returns when the batches that Write has taken were written and acked.
func (s *Sink) Flush(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case s.calls <- reply:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return closed()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the sink; what was not written yet is dropped.
func (s *Sink) Close() error {
	s.once.Do(func() {
		s.stop()
		s.writing.Lock() // waits for a Write that is under way
		s.gap = true     // and from here on nobody sends
		s.writing.Unlock()
		<-s.done
		s.refuse(closed())
		close(s.pump)
	})
	return nil
}

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
	err := s.loop(ctx)
	if ctx.Err() != nil {
		err = closed()
	}
	s.failed.Store(&err)
	s.charge(-s.charged)
	for { // everything that comes now gets the same answer
		select {
		case it := <-s.queue:
			it.b.Release()
			it.ack(err)
		case c := <-s.calls:
			c <- err
		case <-ctx.Done():
			s.refuse(err)
			return
		}
	}
}

func (s *Sink) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		var err error
		select {
		case it := <-s.queue:
			err = s.take(ctx, it)
		case c := <-s.calls:
			for n := len(s.queue); n > 0 && err == nil; n-- {
				err = s.take(ctx, <-s.queue)
			}
			c <- err
		case <-ctx.Done():
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// take writes a batch and acks it. The batch is released before the last bytes are on their way.
func (s *Sink) take(ctx context.Context, it item) error {
	err := s.encode(ctx, it.b)
	it.b.Release()
	if err == nil {
		err = s.send(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = closed()
	}
	it.ack(err)
	return err
}

func (s *Sink) encode(ctx context.Context, b *event.Batch) error {
	if b.DDL != nil {
		s.out.Reset()
		if err := s.enc.DDL(&s.out, b); err != nil {
			return err
		}
		s.lines()
	}
	for i := range b.Changes {
		s.out.Reset()
		if err := s.enc.Change(&s.out, b, i); err != nil {
			return err
		}
		if s.lines(); len(s.buf) >= bufLen {
			if err := s.send(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines appends the encoded records to the buffer.
func (s *Sink) lines() {
	for i := range s.out.Recs {
		r := &s.out.Recs[i]
		if r.Tombstone {
			continue // stands for nothing without its key
		}
		s.buf = append(s.buf, s.out.Buf[r.Value.Start:r.Value.End]...)
		s.buf = append(s.buf, '\n')
	}
	s.charge(cap(s.buf) + cap(s.out.Buf) - s.charged)
}

// send waits until the writer has taken the buffer.
func (s *Sink) send(ctx context.Context) error {
	if len(s.buf) == 0 {
		return nil
	}
	select {
	case s.pump <- s.buf:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-s.written:
		if err != nil {
			return writeError(err)
		}
	case <-ctx.Done():
		return ctx.Err() // the writer may still read the buffer, which is not used again
	}
	s.buf = s.buf[:0]
	if s.charged > keepOut {
		s.buf, s.out = nil, format.Out{}
		s.charge(-s.charged)
	}
	return nil
}

func (s *Sink) charge(n int) {
	s.charged += n
	if s.opt.Budget == nil || n == 0 {
		return
	}
	if n > 0 {
		s.opt.Budget.Charge(int64(n))
	} else {
		s.opt.Budget.Credit(int64(-n))
	}
}

func writeError(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("%w: %w", ErrBrokenPipe, err)
	}
	return fault.New(fault.SinkWrite, "write the output: %w", err)
}
