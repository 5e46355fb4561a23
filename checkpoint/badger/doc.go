// Package badger keeps checkpoints in a folder: the record and the schema history of each stream, in a Badger database and, because no
// database is trusted alone with the only thing that a restart depends on, in plain synced files beside it.
//
//	s, err := badger.Open(ctx, "state", badger.Options{Logger: log})
//	defer s.Close()
//	r, err := s.Load(ctx, "orders")            // or checkpoint.ErrNone: a new stream
//	err = s.Rewind(ctx, "orders", r.SchemaSeq, put)
//	...
//	err = s.Append(ctx, "orders", batch.History) // first what the tables look like,
//	err = s.Save(ctx, "orders", r)               // then the place that needs it
//
// # The folder
//
//	format             the version of the folder
//	lock               locked while a process uses the folder; holds its number
//	opening            is there while Badger is being opened
//	badger/            the database
//	streams/NAME/      record.0, record.1: the last two records; history: all entries
//	badger.damaged-N/  a database that could not be read
//
// docs/checkpoint-format.md describes every byte that is not Badger's.
//
// # What is promised
//
// A record is durable when Save returns, entries when Append returns; after a kill or a power failure Load gives the last acknowledged record
// or the one that was being saved, and Rewind all entries that it needs. Any one of the database and the plain files may be lost or damaged, at
// any byte, and nothing changes but a warning: the others say what it said, and it is written anew. With more than that lost the answer is
// fault.CheckpointCorrupt, never an older record that looks like the newest and never a new beginning. Which of several whole records counts,
// and why the newest one is always safe, is said at choose in copies.go; how the copies of a history are compared, in prepare.go.
//
// # What Badger does not do for us
//
//   - On a full file system it dies by SIGBUS in its mapped files, and dies again when opened: free space is looked at before every write, and
//     fault.CheckpointDiskFull comes back while some is left. Retrying is safe.
//   - Some damage makes it panic in goroutines of its own. Tables are therefore read once before it opens them, panics and memory faults in
//     our goroutine become errors, and a file marks the time of opening: after two deaths there, the database is set aside.
//   - A write-ahead log that is damaged in the middle is cut there in silence. The plain copies tell.
//   - It makes files that all may read: their modes are set after each write, in a folder that nobody else can enter from the beginning.
//   - Its value log has to be collected by the user and has lost values. Values above 64 KiB are cut into parts, so it stays empty.
//   - Its read-only mode refuses a folder after a crash. ReadOnly reads the plain files and leaves Badger alone.
//   - After a failed write nobody knows what it holds: every later write fails until the folder is opened anew.
//
// Nothing of Badger's is visible outside of this package.
package badger
