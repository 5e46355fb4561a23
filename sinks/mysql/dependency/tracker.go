package dependency

import "slices"

// Lock is a name that a transaction holds from Add to Done.
type Lock struct {
	Name uint64
	Mode Mode
}

// Mode says who else may hold a lock. Two nodes hold one name side by side where both have it in the same mode, and that is not Exclusive.
type Mode uint8

const (
	Exclusive Mode = iota
	Shared
	// Bulk is that of chunks of a snapshot.
	Bulk
)

// Node is one transaction. The zero value is ready to be added; a node may be added again after it was done. It belongs to the tracker in
// between.
type Node struct {
	Owner any // what the node stands for: the caller's, not looked at

	waits   int     // nodes before it that are in its way and not done
	next    []*Node // nodes that wait for it
	held    []Lock
	barrier bool
	active  bool
	prev    *Node // the list of active nodes, in the order of Add
	after   *Node
}

// Waiting reports how many nodes are in n's way.
func (n *Node) Waiting() int { return n.waits }

// holders are the nodes that are not done and hold one name: the last exclusive one, those of one mode after it, and those of the other mode in between. Each waits for all
// of the group before its own, so that nodes further back need not be known.
type holders struct {
	exclusive *Node
	before    []*Node
	together  []*Node
	mode      Mode // of together
}

// Tracker orders nodes. The zero value is not usable; see New. It is not safe for concurrent use.
type Tracker struct {
	limit   int
	held    int // locks of active nodes
	nodes   int // active nodes
	names   map[uint64]holders
	first   *Node // active nodes in the order of Add
	last    *Node
	barrier *Node // the last one that is not done
	spare   [][]*Node
}

// New makes a tracker that keeps at most limit locks. A node that would take more waits until nothing else runs, as a barrier: limit bounds
// the memory, not what may be applied.
func New(limit int) *Tracker {
	return &Tracker{limit: max(limit, 1), names: map[uint64]holders{}}
}

// Active is the number of nodes that were added and are not done.
func (t *Tracker) Active() int { return t.nodes }

// Add puts n behind all nodes that were added before it, and reports whether it may run at once. Locks are copied; a name may be there more
// than once, shared and exclusive.
func (t *Tracker) Add(n *Node, locks []Lock) bool {
	if t.held+len(locks) > t.limit {
		return t.Barrier(n)
	}
	t.enter(n)
	if t.barrier != nil {
		t.follow(n, t.barrier)
	}
	n.held = append(n.held[:0], locks...)
	t.held += len(locks)
	for _, l := range locks {
		h := t.names[l.Name]
		last := len(h.together) - 1
		has := last >= 0 && h.together[last] == n
		switch {
		case h.exclusive == n, has && l.Mode == h.mode:
			continue // held already
		case l.Mode == Exclusive, has: // both of the other modes are as good as exclusive
			if last < 0 && h.exclusive != nil {
				t.follow(n, h.exclusive)
			}
			for _, m := range h.together { // they wait for those before them, and so does n where it is the only one
				if m != n {
					t.follow(n, m)
				}
			}
			t.free(h.before)
			t.free(h.together)
			t.names[l.Name] = holders{exclusive: n}
			continue
		case last >= 0 && l.Mode != h.mode:
			t.free(h.before)
			h.before, h.together = h.together, nil
		}
		h.mode = l.Mode
		if len(h.before) == 0 && h.exclusive != nil {
			t.follow(n, h.exclusive)
		}
		for _, m := range h.before {
			t.follow(n, m)
		}
		if h.together == nil && len(t.spare) > 0 {
			h.together, t.spare = t.spare[len(t.spare)-1], t.spare[:len(t.spare)-1]
		}
		h.together = append(h.together, n)
		t.names[l.Name] = h
	}
	return n.waits == 0
}

// Barrier puts n behind all nodes, and all that come after it behind n. It reports whether n may run at once.
func (t *Tracker) Barrier(n *Node) bool {
	for m := t.last; m != nil; m = m.prev {
		t.follow(n, m)
		if m.barrier {
			break // which waits for all before it
		}
	}
	t.enter(n)
	n.barrier = true
	t.barrier = n
	return n.waits == 0
}

// Done ends a node that ran, and appends to ready the nodes that may run now, in the order in which they were added.
func (t *Tracker) Done(n *Node, ready []*Node) []*Node {
	for _, l := range n.held {
		h, ok := t.names[l.Name]
		if !ok {
			continue
		}
		if h.exclusive == n {
			h.exclusive = nil
		}
		h.before, h.together = without(h.before, n), without(h.together, n)
		if h.exclusive == nil && len(h.before) == 0 && len(h.together) == 0 {
			t.free(h.before)
			t.free(h.together)
			delete(t.names, l.Name)
		} else {
			t.names[l.Name] = h
		}
	}
	t.held -= len(n.held)
	n.held = n.held[:0]
	if t.barrier == n {
		t.barrier = nil
	}
	t.leave(n)
	for i, m := range n.next {
		if m.waits--; m.waits == 0 {
			ready = append(ready, m)
		}
		n.next[i] = nil
	}
	n.next = n.next[:0]
	return ready
}

// without takes a node out of a list. Nodes are done nearly in the order in which they came, so it is among the first. The order is kept for the next search.
func without(list []*Node, n *Node) []*Node {
	if i := slices.Index(list, n); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// follow makes n wait for m.
func (t *Tracker) follow(n, m *Node) {
	if k := len(m.next); k > 0 && m.next[k-1] == n {
		return // the edges of one Add come one after the other
	}
	m.next = append(m.next, n)
	n.waits++
}

func (t *Tracker) enter(n *Node) {
	if n.active {
		panic("dependency: a node was added twice") // a bug of the caller, which would apply a transaction in two places
	}
	n.active, n.barrier, n.prev, n.after = true, false, t.last, nil
	if t.last != nil {
		t.last.after = n
	} else {
		t.first = n
	}
	t.last = n
	t.nodes++
}

func (t *Tracker) leave(n *Node) {
	if !n.active || n.waits > 0 {
		panic("dependency: a node is done that did not run") // as above
	}
	if n.prev != nil {
		n.prev.after = n.after
	} else {
		t.first = n.after
	}
	if n.after != nil {
		n.after.prev = n.prev
	} else {
		t.last = n.prev
	}
	n.active, n.prev, n.after = false, nil, nil
	t.nodes--
}

// free keeps the memory of a list for another name.
func (t *Tracker) free(list []*Node) {
	if cap(list) == 0 || len(t.spare) >= 1024 {
		return
	}
	clear(list)
	t.spare = append(t.spare, list[:0])
}
