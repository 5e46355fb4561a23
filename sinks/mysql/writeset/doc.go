// Package writeset names what a row change conflicts with: the values of the unique keys that its images hold, and the parents that it refers
// to. It is pure. Two changes whose locks do not conflict may be applied in either order; see package dependency for what is done with them.
//
// The idea is the writeset of MySQL's group replication and of binlog_transaction_dependency_tracking=WRITESET (rpl_write_set_handler.cc in the
// server's source): a hash for each unique key of both images. It differs in these:
//
//   - The keys are those of the target, where the conflict would be, which may have others than the source.
//   - A text value under a collation that is not plain bytes has many spellings ('cafe', 'CAFÉ' and 'cafe ' may be one key), and lower case is
//     no collation. A value of ASCII letters and signs is folded to one spelling; any other takes the whole index for itself. That is never wrong
//     and slow only where such keys are.
//   - A row whose image leaves out a part of a key (MINIMAL images) takes the whole index where the key's value may have changed.
//   - A table without a unique key is one lock: its changes stay in order among themselves.
//   - A foreign key takes the parent's key, shared: children of one parent run side by side, but never beside a change of the parent.
package writeset
