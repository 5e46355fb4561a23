// Package mysql applies changes to a MySQL or MariaDB server, each transaction of the source as a transaction of the target, exactly once.
//
//	queue goroutine            workers, a session each
//	Take: strip, plan, order ---> ready ---> text, COMMIT ---> finish: order, acks, place
//
// The parts that can be pure are packages of their own: schedule says which transactions may run side by side, statement writes changes as SQL,
// target knows the tables of the target, ddl what a DDL statement becomes there. This package is the shell around them: sessions, retries, and the
// bookkeeping that makes it exactly once.
//
// # Exactly once
//
// Two ways, see exact.go. With gtid_next a transaction commits at the target under the GTID that it has at the source: the target's own
// gtid_executed is the bookkeeping, also for transactions without a change of ours, which commit empty. With tables, each transaction adds a row
// that names it to the table applied, in the same transaction; rows behind which everything was applied are folded into the table streams once a
// second. Either way a transaction whose COMMIT got no answer is asked for by name and never run blindly again.
//
// # Order
//
// A worker carries out the statements of a transaction, looks at what they found, and commits it. With preserve_commit_order it waits with COMMIT for those
// before it. Only as many transactions as there are workers are under way then, all of them next in line: a later one can so never hold a worker that an
// earlier one needs. Locks that the schedule cannot foresee (gaps of indexes) may still stop an earlier one behind a later one, which waits for it: the server's
// lock wait ends that, and the later ones roll back and begin anew.
//
// # A transaction larger than a batch
//
// It runs alone and is applied while it is being read; its memory is given back piece by piece. What it did can then not be repeated from memory: if the
// target breaks off in the middle, the sink ends with a fault that makes the pipeline start again at its checkpoint.
package mysql
