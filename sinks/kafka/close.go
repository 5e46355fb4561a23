package kafka

import (
	"runtime"

	"cdc/event"
)

// close ends what the goroutines leave.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, t := range s.topics {
		for _, p := range t.partitions {
			if p.timer != nil {
				p.timer.Stop()
			}
		}
	}
}

// workers is how many goroutines compress.
func workers() int { return runtime.GOMAXPROCS(0) }

// share is how much may be on its way: a quarter of the budget, so that batches that wait to be encoded have room too.
func share(budget *event.Budget) int64 {
	const least, most = 2 << 20, 32 << 20
	if budget == nil {
		return most
	}
	_, _, limit := budget.Used()
	return min(max(limit/4, least), most)
}
