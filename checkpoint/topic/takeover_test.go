package topic

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"cdc/checkpoint"
	"cdc/fault"
)

// ledger is what all owners were told to be saved.
type ledger struct {
	opening sync.Mutex // so that turns are in the order in which the brokers gave the topic away

	mu    sync.Mutex
	acked uint64 // the highest number
	owner int    // who opened the topic last; 0 for nobody
	turns int
	bad   []string
}

// candidate is one process on a machine of its own.
type candidate struct {
	o     ElectOptions
	book  *ledger
	cut   *cutter
	local *folder
	turn  int
}

// run stands until it is the owner, and then counts on until it is cut off or shut out. It gives what ended it.
func (c *candidate) run(ctx context.Context, most uint64) (owned bool, err error) {
	c.o.Dialer.Net = c.cut.dial
	tenure, err := Elect(ctx, c.o)
	if err != nil {
		return false, err
	}
	defer tenure.Close()
	c.book.opening.Lock()
	s, err := Open(ctx, c.o.Options)
	if err != nil {
		c.book.opening.Unlock()
		return false, err
	}
	defer s.Close()
	// Whoever had the topic before cannot save any more, whatever it thinks.
	c.book.mu.Lock()
	c.book.turns++
	c.turn = c.book.turns
	c.book.owner = c.turn
	acked := c.book.acked
	c.book.mu.Unlock()
	c.book.opening.Unlock()
	both, err := Beside(ctx, s, c.local)
	if err != nil {
		return true, err
	}
	r, err := both.Load(ctx, "s")
	if err != nil && !errors.Is(err, checkpoint.ErrNone) {
		return true, err
	}
	if r.Rows < acked {
		c.book.note("an owner began at %d, and %d had been saved", r.Rows, acked)
	}
	for n := r.Rows + 1; n <= most; n++ {
		c.book.mu.Lock()
		out := c.book.owner != c.turn // another one has opened the topic before this save began
		c.book.mu.Unlock()
		if err := both.Save(ctx, "s", checkpoint.Record{Rows: n}); err != nil {
			return true, err
		}
		c.book.mu.Lock()
		if out {
			c.book.bad = append(c.book.bad, "one that was shut out has saved")
		}
		c.book.acked = max(c.book.acked, n)
		c.book.mu.Unlock()
	}
	return true, nil
}

func (b *ledger) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, fault.New(fault.PipelineInternal, format, args...).Text)
}

// Owners are cut off from the brokers at any moment, or go on while the group takes them for dead; the next one begins at or behind what was acknowledged,
// and nothing that the former does then counts.
func TestTakeover(t *testing.T) {
	brokers := newCluster(t).ListenAddrs()
	book := &ledger{}
	const turns = 12
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	machines := []*folder{{}, {}, {}}
	var mu sync.Mutex
	var working []*candidate
	for i := range machines {
		wg.Go(func() {
			for ctx.Err() == nil {
				c := &candidate{book: book, cut: &cutter{}, local: machines[i]}
				c.o = ElectOptions{Options: options(brokers, "takeover"), Group: "takeover", Session: 300 * time.Millisecond}
				c.o.Patience, c.o.Writer = 200*time.Millisecond, string(rune('a'+i))
				mu.Lock()
				working = append(working, c)
				mu.Unlock()
				_, err := c.run(ctx, 1<<40)
				if err != nil && ctx.Err() == nil && !fault.Has(err, fault.StateFenced) && !fault.Has(err, fault.StateUnreachable) {
					book.note("machine %d: %v", i, err)
				}
			}
		})
	}
	// Each owner is let work for some saves, then it ends: by its connections, or by another that opens the topic although it lives.
	reached := uint64(0)
	for range turns {
		want := reached + 1 + rand.Uint64N(20)
		for {
			book.mu.Lock()
			reached = book.acked
			owner, bad := book.owner, len(book.bad)
			book.mu.Unlock()
			if reached >= want || bad > 0 {
				mu.Lock()
				for _, c := range working {
					c.book.mu.Lock()
					mine := c.turn == owner && owner > 0
					c.book.mu.Unlock()
					if mine {
						c.cut.cut()
					}
				}
				mu.Unlock()
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("at %d of %d", reached, want)
			}
		}
		if rand.IntN(3) == 0 {
			s, err := Open(ctx, options(brokers, "takeover"))
			if err == nil {
				_ = s.Close()
			}
		}
	}
	cancel()
	wg.Wait()
	for _, b := range book.bad {
		t.Error(b)
	}
	t.Logf("%d owners, %d saves", book.turns, book.acked)
}
