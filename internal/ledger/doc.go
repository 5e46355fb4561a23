// Package ledger runs the traffic of a small shop against a server and keeps account of every row change that was committed, so that what was
// delivered can be counted against it: nothing lost, nothing twice, nothing invented, each row's changes in order.
//
// Every insert and update writes a change_id that is used once; a delete is known by the change_id of the row that it removed. A writer notes a
// transaction's changes when the server has said that it is committed. Where the connection broke during COMMIT nobody knows: those changes may be
// delivered, all of a transaction or none, and that is all that is left open.
//
//	l := ledger.New()
//	err := l.Run(ctx, dial, ledger.Options{Writers: 4, DDL: true})  // until ctx ends
//	delivered, err := ledger.ReadFiles("out")
//	verdict := l.Check(delivered)
//
// [ReadTopics] does the same for Kafka. There it also holds each record's key and its headers gtid, row and sub to the row, and each delete to its
// tombstone. [Verdict.OK] is exactly once; [Verdict.AtLeastOnce] forgives repeats, but only those that do no harm.
package ledger
