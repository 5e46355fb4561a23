package mysql

import (
	"container/heap"
	"testing"

	"cdc/sinks/mysql/schedule"
)

// A worker goes on with a transaction only behind the one that it commits: that one waits for all before it.
func TestFollower(t *testing.T) {
	for _, c := range []struct {
		what    string
		ordered bool
		done    uint64 // transactions before it are done
		ready   []uint64
		waiting []uint64 // with nobody, and not ready
		idle    int
		of      uint64
		want    int // order, -1 for none
	}{
		{"the next", true, 5, []uint64{6}, nil, 0, 5, 6},
		{"one that was ready late", true, 5, []uint64{7}, nil, 0, 10, -1},
		{"any, where the order does not count", false, 5, []uint64{7}, nil, 0, 10, 7},
		{"one before it waits for another", true, 5, []uint64{8}, []uint64{7}, 0, 5, -1},
		{"another worker has nothing to do", true, 5, []uint64{6}, nil, 1, 5, -1},
		{"too far ahead", true, 5, []uint64{9}, nil, 0, 5, -1},
	} {
		t.Run(c.what, func(t *testing.T) {
			e := &engine{idle: c.idle}
			e.opt.Parallel.Workers, e.opt.Parallel.PreserveCommitOrder = 2, &c.ordered
			for order := c.done; order < c.done+8; order++ {
				e.units = append(e.units, &schedule.Unit{Order: order, Taken: true})
			}
			for _, order := range c.waiting {
				e.units[order-c.done].Taken = false
			}
			for _, order := range c.ready {
				u := e.units[order-c.done]
				u.Taken = false
				heap.Push(&e.ready, u)
			}
			u := e.follower(e.units[c.of-c.done])
			if got := -1; u != nil {
				got = int(u.Order)
				if got != c.want || !u.Taken {
					t.Errorf("goes on with %d, want %d", got, c.want)
				}
			} else if c.want >= 0 {
				t.Errorf("goes on with none, want %d", c.want)
			}
		})
	}
}
