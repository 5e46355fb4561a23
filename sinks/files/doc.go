// Package files has a sink that writes JSON lines into a folder, each change exactly once, whatever stops the process or the machine.
//
//	encoder := func() format.Encoder { return plain.New(plain.Options{}) }
//	s, err := files.Open(ctx, files.Options{Dir: "out", Stream: "orders", Encoder: encoder, Budget: budget})
//	place, ok, err := s.Position(ctx) // what the folder has: the pipeline leaves it out
//	err = s.Start(ctx, base)          // where the stream is read from
//	err = s.Write(ctx, batch, ack)    // and so on
//	err = s.Flush(ctx)                // publish
//	err = s.Close()
//
// docs/files-sink.md tells users what to expect, docs/files-layout.md describes every file.
//
// # How it works
//
// One goroutine takes the batches from a short queue. It encodes each into one temporary file per table (temp.go), releases it, and keeps its
// ack. At the last end of a transaction in a batch there is a boundary: the position of the batch is folded into the sink's place, and if it
// is time everything up to there is published (publish.go): the temporary files are synced, an intent is written that names them with their
// lengths, checksums and final names and holds the place, the files are linked to their final names, and the intent is renamed to become the
// place. Then the acks are called.
//
// The intent is what makes it exactly once. Batches are cut by time, so the next run would make other files of the same changes, and neither
// names nor contents could tell a file that is there from one that is missing. With the intent on disk the publication is as good as done:
// the next start finishes it (recover.go). Without it nothing is visible. And since the place is in the intent, what is visible and what the
// sink says it holds can never differ.
//
// Keeper is what merges and removes published files, beside the sink and in a process of its own if need be (keeper.go, compact.go, expire.go, upkeep.go). It has a work
// folder of its own and decides by the same protocol; what it shares with the sink is only that it believes the sink's place: no file of a publication is touched
// that the sink might still have to publish.
//
// # Not obvious
//
//   - A boundary is only where a batch says a place, that is at its last end of a transaction: between two transactions of one batch
//     there is no position to keep.
//   - A batch whose last transaction goes on in the next batch has its place published before it can be acked. The checkpoint then lags
//     behind the folder, which is what Position is for.
//   - A publication may be due while rows of an unfinished transaction are in the same files as complete ones. Each file remembers how long
//     it was at the last boundary (mark), and the rest is moved to a new file (split). That costs a copy of at most one file per table,
//     and only then: files that are begun anew at every cut batch would be thousands.
//   - Batches without changes are acked only with the place on disk, at the next publication. So the folder's place is never behind the
//     checkpoint, and Start can take one that is for what it is: a folder that was put back.
//   - A full disk is waited for, except in fsync, which is never tried twice.
package files
