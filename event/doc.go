// Package event holds what flows through a pipeline: batches of row changes in commit order.
//
// A Batch is a run of changes with everything they refer to: the table versions, the transactions, the rows events (groups), the changes,
// and their values. Values are 16-byte pointer-free cells over one arena per batch, so that a batch of a hundred thousand values is a
// handful of allocations, all of them reused: the garbage collector has nothing to look at, and a row costs no allocation at all.
//
//	for t := range b.Txns {
//		for i := b.Txns[t].First; i < b.Txns[t].Last; i++ {
//			c := &b.Changes[i]
//			table := b.Tables[c.Table]
//			before, after := b.Before(int(i)), b.After(int(i))
//		}
//	}
//	b.Release()
//
// Ownership: a batch has one owner at a time and is handed on by passing the pointer. Rows, cells and byte slices taken from it are views
// that are valid until Release; in race builds a released batch is overwritten, so that a use after release shows. Who needs a batch longer
// than its owner calls Retain first.
//
// Absent, NULL and a value are three different things. A MINIMAL row image leaves columns out: they are Absent, which is the zero Kind, and
// must never be written as NULL.
package event
