package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cdc/event"
	"cdc/fault"
)

// hand is a worker that keeps acks until it is flushed, fails where it is told to, and says in what order it was called.
type hand struct {
	mu    sync.Mutex
	kept  []func(error)
	calls string
	fails bool
	due   time.Time
	hold  chan struct{} // Take waits for it; nil waits for nothing
}

var errDisk = errors.New("disk")

func (h *hand) Take(ctx context.Context, b *event.Batch, ack func(error)) error {
	b.Release()
	if h.hold != nil {
		select {
		case <-h.hold:
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls += "t"
	h.kept = append(h.kept, ack)
	if h.due.IsZero() {
		h.due = time.Now().Add(time.Minute)
	}
	if h.fails {
		return errDisk
	}
	return nil
}

func (h *hand) Flush(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls += "f"
	if h.fails {
		return errDisk
	}
	h.answer(nil)
	return nil
}

func (h *hand) Due() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.due
}

func (h *hand) Fail(_ context.Context, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls += "!"
	h.answer(err)
}

func (h *hand) answer(err error) {
	for _, ack := range h.kept {
		ack(err)
	}
	h.kept, h.due = nil, time.Time{}
}

// acks counts answers.
type acks struct {
	mu   sync.Mutex
	all  []error
	pool event.Pool
}

func (a *acks) write(t *testing.T, q *Queue) error {
	t.Helper()
	return q.Write(t.Context(), a.pool.Get(), func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all = append(a.all, err)
	})
}

func (a *acks) want(t *testing.T, want ...error) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) != len(want) {
		t.Fatalf("%d answers: %v, want %v", len(a.all), a.all, want)
	}
	for i := range want {
		if !errors.Is(a.all[i], want[i]) {
			t.Errorf("answer %d: %v, want %v", i, a.all[i], want[i])
		}
	}
}

// What is queued is taken before a Flush, and a Flush comes by itself when it is due.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := &hand{}, &acks{}
		q := New(h, "over")
		defer q.Close()
		for range 3 {
			if err := a.write(t, q); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.want(t, nil, nil, nil)
		if err := a.write(t, q); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		a.want(t, nil, nil, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		a.want(t, nil, nil, nil, nil)
		if h.calls != "tttftf" {
			t.Error(h.calls)
		}
	})
}

// After a failure everything gets its error, a Write at once when Flush has told of it.
func TestFailure(t *testing.T) {
	for _, where := range []string{"take", "flush"} {
		synctest.Test(t, func(t *testing.T) {
			h, a := &hand{fails: where == "take"}, &acks{}
			q := New(h, "over")
			defer q.Close()
			if err := a.write(t, q); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			h.fails = true
			if err := q.Flush(t.Context()); !errors.Is(err, errDisk) {
				t.Error(err)
			}
			if err := a.write(t, q); !errors.Is(err, errDisk) {
				t.Error(err)
			}
			synctest.Wait()
			a.want(t, errDisk)
			if err := q.Do(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, errDisk) {
				t.Error(err)
			}
		})
	}
}

// A fault of Do leaves the sink as it was.
func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := &hand{}, &acks{}
		q := New(h, "over")
		defer q.Close()
		if err := q.Do(t.Context(), func(context.Context) error { return fault.New(fault.SinkConflict, "no") }); !fault.Has(err, fault.SinkConflict) {
			t.Error(err)
		}
		if err := errors.Join(a.write(t, q), q.Flush(t.Context())); err != nil {
			t.Error(err)
		}
		if err := q.Do(t.Context(), func(context.Context) error { return errDisk }); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		synctest.Wait()
		if err := a.write(t, q); !errors.Is(err, errDisk) {
			t.Error(err)
		}
		a.want(t, nil)
	})
}

// A full queue blocks Write; one that is given up lets none follow, and Close gives back what is queued.
func TestGiveUpAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := &hand{hold: make(chan struct{})}, &acks{}
		q := New(h, "over")
		for range length + 1 {
			if err := a.write(t, q); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Write(ctx, a.pool.Get(), func(error) { t.Error("an answer to a write that was refused") }); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := a.write(t, q); !fault.Has(err, fault.SinkClosed) {
			t.Error(err)
		}
		a.want(t)
		q.Close()
		q.Close()
		if len(a.all) != length+1 {
			t.Fatalf("%d answers", len(a.all))
		}
		for _, err := range append(a.all, q.Flush(t.Context()), a.write(t, q)) {
			if f, _ := fault.As(err); !fault.Has(err, fault.SinkClosed) || f.Text != "over" {
				t.Error(err)
			}
		}
	})
}
