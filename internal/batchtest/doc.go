// Package batchtest makes tables and batches for tests: by hand, and at random with edge values of every type.
//
// By hand, in the order in which a source would:
//
//	w := batchtest.NewWriter(nil)
//	w.Begin(batchtest.Txn(7))
//	w.Insert(table, batchtest.Int(1), batchtest.Text("a"), batchtest.Null())
//	w.Update(table, []batchtest.Value{...}, []batchtest.Value{...})
//	w.End()
//	b := w.Batch()
//
// At random, in a property test, or with a seed by Example:
//
//	rapid.Check(t, func(t *rapid.T) {
//		b := batchtest.Batches(batchtest.Options{Absent: true}).Draw(t, "batch")
//		...
//	})
//	b := batchtest.Batches(batchtest.Options{}).Example(42)
//
// What it draws is what a source could hand over: cells of the kinds that belong to their columns, within the column's range, text in UTF-8,
// rows counted from 0 in each transaction, transactions whole unless Options.Split is set. Odd things that a source may hand over only with
// certain settings are drawn only where Options ask for them.
//
// DecodeJSON and SameJSON compare the JSON that an encoder wrote with a tree that a slow and obvious reference made.
//
// A Value is one value outside of a batch, so that a test can hold what it expects: ValueOf reads it back from a row. AllTypes is one table
// with a column for every type of MySQL and MariaDB, and Edges gives the edge values of any column.
package batchtest
