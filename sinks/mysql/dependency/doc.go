// Package dependency says which transactions may be applied side by side. It is pure: no goroutine, clock or connection; the sink's scheduler
// calls it from one goroutine.
//
// A transaction is a Node. It is added in commit order with the locks that it needs, and becomes ready when no node before it holds a lock
// that conflicts with one of its own. When it was applied it is done, which may make others ready:
//
//	if t.Add(n, locks) {
//		run(n)
//	}
//	...
//	for _, n := range t.Done(n, ready[:0]) {
//		run(n)
//	}
//
// A lock is a 64-bit name, exclusive, shared, or bulk, which is a second way of being shared. What the names stand for is the caller's affair: rows by the values of their unique keys and
// of the parents that they refer to (package writeset), databases, sessions. Two names that collide cost speed, never order. An exclusive lock
// waits for all nodes before it that hold the name; any other only for those that hold it in another mode. Nothing else makes a node wait: what does not
// conflict may run, however far apart it is. (MySQL's replica keeps one number per transaction instead, its last_committed, and so also waits
// for whatever lies between; see rpl_trx_tracking.cc in the server's source.)
//
// A Barrier conflicts with everything: DDL, a transaction whose end was not read yet, one with more locks than the limit.
//
// Memory is bounded by the locks of nodes that are not done: a name without a holder is forgotten.
package dependency
