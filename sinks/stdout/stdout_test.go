package stdout_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/sinks"
	"cdc/sinks/sinktest"
	"cdc/sinks/stdout"
)

// screen is a writer that can be held up and broken.
type screen struct {
	mu    sync.Mutex
	data  bytes.Buffer
	wait  chan struct{}
	fault error
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	wait := s.wait
	s.mu.Unlock()
	if wait != nil {
		<-wait // as a pipe does, whatever the sink wants
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return 0, s.fault
	}
	return s.data.Write(p)
}

func (s *screen) Open(_ context.Context, budget *event.Budget) (sinks.Sink, error) {
	return stdout.New(s, stdout.Options{Encoder: sinktest.NewEncoder, Budget: budget}), nil
}

func (s *screen) Delivered(t testing.TB) []sinktest.Record {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []sinktest.Record
	for line := range bytes.Lines(s.data.Bytes()) {
		r, ok, err := sinktest.Parse(bytes.TrimSuffix(line, []byte{'\n'}))
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			list = append(list, r)
		}
	}
	return list
}

func (s *screen) Crash(testing.TB) sinktest.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = errors.New("the process is gone")
	next := &screen{}
	next.data.Write(s.data.Bytes())
	return next
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		New:    func(testing.TB) sinktest.Target { return &screen{} },
		AtOnce: true,
		Block: func(_ testing.TB, target sinktest.Target) func() {
			s, wait := target.(*screen), make(chan struct{})
			s.mu.Lock()
			s.wait = wait
			s.mu.Unlock()
			return sync.OnceFunc(func() {
				s.mu.Lock()
				s.wait = nil
				s.mu.Unlock()
				close(wait)
			})
		},
		Break: func(_ testing.TB, target sinktest.Target) {
			s := target.(*screen)
			s.mu.Lock()
			s.fault = errors.New("input/output error")
			s.mu.Unlock()
		},
	})
}

// one makes a batch of a single statement, which is one line.
func one(pool *event.Pool) *event.Batch {
	b := pool.Get()
	b.Txns = append(b.Txns, event.Txn{Begin: true, End: true})
	b.DDL = sinktest.Statement()
	return b
}

func TestBrokenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	pr, pw := io.Pipe()
	pr.Close()
	for _, out := range []io.Writer{w, pw} {
		s := stdout.New(out, stdout.Options{Encoder: sinktest.NewEncoder})
		var pool event.Pool
		acked := make(chan error, 1)
		if err := s.Write(t.Context(), one(&pool), func(err error) { acked <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-acked; !errors.Is(err, stdout.ErrBrokenPipe) {
			t.Errorf("acked with %v, want ErrBrokenPipe", err)
		}
		if err := s.Flush(t.Context()); !errors.Is(err, stdout.ErrBrokenPipe) {
			t.Errorf("flush: %v, want ErrBrokenPipe", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestShortWrite(t *testing.T) {
	s := stdout.New(short{}, stdout.Options{Encoder: sinktest.NewEncoder})
	defer s.Close()
	var pool event.Pool
	acked := make(chan error, 1)
	if err := s.Write(t.Context(), one(&pool), func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-acked; !fault.Has(err, fault.SinkWrite) || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("acked with %v, want a short write", err)
	}
}
