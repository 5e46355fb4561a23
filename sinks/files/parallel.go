package files

import (
	"sync"
	"sync/atomic"
)

// syncers is how many fsyncs run at a time. A journal commits those that wait together, so a thousand files need far fewer than a thousand
// commits; more gains little.
const syncers = 16

// each calls f with 0 to n-1, several at a time where there are many, and gives the first error. Few are done in order.
func each(n int, f func(i int) error) error {
	if n > syncers {
		return together(n, f)
	}
	for i := range n {
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// together is each where already few are worth it: what is waited for is a network.
func together(n int, f func(i int) error) error {
	var (
		wait  sync.WaitGroup
		next  atomic.Int64
		mu    sync.Mutex
		first error
	)
	for range min(n, syncers) {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				mu.Lock()
				failed := first != nil
				mu.Unlock()
				if i >= n || failed {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wait.Wait()
	return first
}
