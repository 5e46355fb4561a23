package dependency

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// model is the dumb answer: node j waits for an earlier node i that is not done where any lock of the one conflicts with a lock of the other.
type model struct {
	locks   [][]Lock
	barrier []bool
	done    []bool
}

func (m *model) conflict(i, j int) bool {
	if m.barrier[i] || m.barrier[j] {
		return true
	}
	for _, a := range m.locks[i] {
		for _, b := range m.locks[j] {
			if a.Name == b.Name && (a.Mode != b.Mode || a.Mode == Exclusive) {
				return true
			}
		}
	}
	return false
}

func (m *model) ready(j int) bool {
	for i := range j {
		if !m.done[i] && m.conflict(i, j) {
			return false
		}
	}
	return true
}

// TestTracker runs random transactions in random order of completion: at every moment exactly those are ready which the model lets run.
func TestTracker(t *testing.T) {
	for seed := range uint64(3000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			limit := 1 << 20
			if r.IntN(4) == 0 {
				limit = 1 + r.IntN(40)
			}
			tr := New(limit)
			m := &model{}
			var nodes []*Node
			index := map[*Node]int{}
			ready := map[int]bool{}
			names := 1 + r.IntN(12)
			held := 0 // by active nodes, as the tracker counts them
			var pool []*Node
			compare := func() {
				t.Helper()
				active := 0
				for j := range nodes {
					if m.done[j] {
						continue
					}
					active++
					if want := m.ready(j); want != ready[j] {
						t.Fatalf("node %d of %d: ready %v, the model says %v", j, len(nodes), ready[j], want)
					}
					if (nodes[j].Waiting() == 0) != ready[j] {
						t.Fatalf("node %d waits for %d and is ready: %v", j, nodes[j].Waiting(), ready[j])
					}
				}
				if tr.Active() != active {
					t.Fatalf("%d active, want %d", tr.Active(), active)
				}
			}
			add := func() {
				var locks []Lock
				for range r.IntN(6) {
					locks = append(locks, Lock{Name: uint64(r.IntN(names)), Mode: Mode(r.IntN(3))})
				}
				n := &Node{}
				if len(pool) > 0 && r.IntN(2) == 0 {
					n, pool = pool[len(pool)-1], pool[:len(pool)-1]
				}
				barrier := r.IntN(20) == 0
				j := len(nodes)
				nodes, m.locks, m.done = append(nodes, n), append(m.locks, locks), append(m.done, false)
				index[n] = j
				var ok bool
				if barrier {
					ok = tr.Barrier(n)
				} else {
					barrier = held+len(locks) > limit
					ok = tr.Add(n, locks)
				}
				if barrier {
					m.locks[j] = nil
				}
				held += len(m.locks[j])
				m.barrier = append(m.barrier, barrier)
				ready[j] = ok
			}
			for range 60 {
				var run []int
				for j := range nodes {
					if ready[j] && !m.done[j] {
						run = append(run, j)
					}
				}
				if len(run) == 0 || r.IntN(3) > 0 && len(nodes) < 40 {
					if len(nodes) == 40 {
						break
					}
					add()
				} else {
					j := run[r.IntN(len(run))]
					m.done[j] = true
					held -= len(m.locks[j])
					last := -1
					for _, n := range tr.Done(nodes[j], nil) {
						k := index[n]
						if k < last {
							t.Fatalf("node %d came after %d", k, last)
						}
						last = k
						ready[k] = true
					}
					pool = append(pool, nodes[j])
					nodes[j] = &Node{}
				}
				compare()
			}
			for { // to the end: nothing may be left behind
				j := -1
				for k := range nodes {
					if ready[k] && !m.done[k] {
						j = k
						break
					}
				}
				if j < 0 {
					break
				}
				m.done[j] = true
				for _, n := range tr.Done(nodes[j], nil) {
					ready[index[n]] = true
				}
			}
			if tr.Active() != 0 || len(tr.names) != 0 || tr.held != 0 || tr.first != nil || tr.last != nil || tr.barrier != nil {
				t.Fatalf("left behind: %d nodes, %d names, %d locks", tr.Active(), len(tr.names), tr.held)
			}
		})
	}
}

func BenchmarkTracker(b *testing.B) {
	tr := New(1 << 20)
	nodes := make([]Node, 256)
	locks := make([]Lock, 12)
	var ready []*Node
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := &nodes[i%len(nodes)]
		if n.active {
			ready = tr.Done(n, ready[:0])
		}
		for k := range locks {
			locks[k] = Lock{Name: uint64(i*16+k) * 0x9e3779b97f4a7c15, Mode: Mode(k % 4 / 3)}
		}
		locks[11] = Lock{Name: 1, Mode: Shared}
		tr.Add(n, locks)
	}
}
