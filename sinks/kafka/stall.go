package kafka

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// stalls keeps who waits for the brokers, and tells the first time that somebody does, and when nobody does any more.
type stalls struct {
	mu   sync.Mutex
	who  map[string]bool
	last error
	tell func(error)
}

// begin notes that who waits.
func (s *stalls) begin(who string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := len(s.who) == 0
	if s.who == nil {
		s.who = map[string]bool{}
	}
	s.who[who] = true
	s.last = err
	if first {
		s.tell(err)
	}
}

// over notes that who goes on.
func (s *stalls) over(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.who[who] {
		return
	}
	delete(s.who, who)
	if len(s.who) == 0 {
		s.last = nil
		s.tell(nil)
	}
}

// now gives why something waits, or nil.
func (s *stalls) now() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// backoff is the pause after so many failures: from 25 ms on twice as long each time, up to 2 s, and shortened at random by up to a half.
func backoff(failures int) time.Duration {
	d := min(25*time.Millisecond<<min(failures, 10), 2*time.Second)
	return d/2 + rand.N(d/2)
}

// persist calls fn until it succeeds or fails with what no other try would mend.
func (s *stalls) persist(ctx context.Context, who string, fn func() error) error {
	for n := 1; ; n++ {
		err := fn()
		if err == nil {
			s.over(who)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f := fatal(err); f != nil {
			return f
		}
		if n > 3 {
			s.begin(who, err)
		}
		select {
		case <-time.After(backoff(n)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
