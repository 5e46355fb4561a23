// Package materialize makes the current rows of tables out of the changes that a files sink has published: for each table a set of files with one row per key, as SELECT would
// give them at the source behind the last merged transaction. A second run merges what came since.
//
//	report, err := materialize.Run(ctx, input, materialize.Options{Into: dir, Format: parquet, ...})
//
// # What lies in the folder
//
//	current -> v0000000012          replaced by rename: what readers follow
//	v0000000012/_manifest.json      what was merged, and all that the next run has to know
//	v0000000012/shop/orders/00003-of-00016-v0000000012.parquet
//	v0000000012/shop/orders/00004-of-00016-v0000000009.parquet    a hard link: not touched since version 9
//
// The rows of a table are divided by a hash of their key into 2^n buckets, a file each, so that a run writes only the buckets that were touched and holds one of them in memory
// at a time. A version is written whole under a name that readers do not see, synced, renamed, and then named by the link. So a process that is killed leaves readers what they
// had, and the next run begins again from the version that the link names. A file's name has the version that wrote it: a reader that finds its way through the link again
// while it is replaced finds the file that it looked for, or none, and never another one.
//
// # How changes become rows
//
// The life of a table is a row of stages, one for each definition that it had. In a stage changes are first divided by hash into temporary files, in their order; then each of
// these is read into a map by key. A row that is written replaces the one that is there, so that a row which was copied by a snapshot and changed meanwhile is right in the end.
// What is left at the end of a stage is converted to the definition of the next and goes first into its temporary files. A change of the key ends a stage too: before it rows
// are told apart by the old key, and behind it by the new one.
//
// ALTER TABLE changes rows without logging them. Where the rows that were there can be derived exactly (wider types, new columns with a literal default, columns that are gone) they
// are. Where they cannot, the rows are marked with the reason. A row that is written later, by a change or by a new snapshot of the table, loses the mark; if any is left in the
// end, the run is refused with a fault.MaterializeColumns and the version that is there stays. Nothing is guessed.
//
// Some statements bring rows that no file has, or do not say what they did: a partition that is exchanged, a text that a transform has taken away, a table that has another name in the
// files. There a mark on the rows that are there is not enough: the table itself is refused, with a fault.MaterializeBeginning, until it is seen to be created or emptied.
package materialize
