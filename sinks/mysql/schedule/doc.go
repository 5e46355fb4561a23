// Package schedule cuts batches into transactions and says which of them may be applied side by side. It is pure: the sink's goroutine calls it, and
// hands what is ready to its workers.
//
//	ready = p.Add(b, owner, ready[:0])      // for each batch, in order
//	ready = p.Done(u, ready[:0])     // when u was committed at the target
//
// A Unit is one transaction, or a few that follow one another in the stream and are to be committed together: a target never shows a state then that the
// source did not have, and pays for one commit. What may run beside it is chosen by By:
//
//   - Serial: nothing. The order of the source, one after the other.
//   - Database: transactions of other databases, as replica_parallel_type=DATABASE does. A transaction that touches several databases waits for
//     all of them.
//   - LogicalClock: what ran side by side at the source, by last_committed and sequence_number of its GTID events (MySQL 5.7 and later), or by the
//     commit id of MariaDB's group commit. The numbers begin anew in each binlog file, so a new file waits for the one before.
//   - Writeset: what shares no key, by our own reckoning over the unique keys of the target, both images, and foreign keys; see package writeset.
//   - WritesetSession: as Writeset, and the transactions of one session of the source stay in order.
//
// DDL, TRUNCATE, and a transaction whose end was not read yet run alone in every mode: all before them are done, and nothing after them has begun.
// So a large transaction can be applied while it is still being read.
package schedule
