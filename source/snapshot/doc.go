// Package snapshot copies the rows of tables into the stream of their changes, without a lock and without a right to write on the source.
//
//	src, err := snapshot.Open(ctx, snapshot.Options{Source: stream, Open: login, Flavor: gtid.MySQL, Select: tables, Catalog: catalog})
//	if err != nil { ... }
//	defer src.Close()
//	for {
//		b, err := src.Read(ctx) // a batch of the stream, or of a chunk: b.Mark says which
//		...
//	}
//
// # The algorithm
//
// It is that of DBLog (Andreakis and Papapanagiotou, "DBLog: A Watermark Based Change-Data-Capture Framework", 2020, arXiv 2010.12597), with
// watermarks that need no table on the source. A table is read in chunks, in the order of its key, while the stream goes on:
//
//	                 asked for                                 its turn
//	stream  ────────────┼────────────────────────────────────────┼─────────
//	                    │   changes of rows of the chunk drop     │ what is left of the chunk
//	                    │   these rows from it                    │ is handed over here
//	chunk               └─ low: L ── SELECT ── high: H ───────────┘ the stream has handed over all up to H
//
// L is what is certainly in the rows: gtid_executed, read before them, which the server extends behind the commit in the engine. H is what may be in
// the rows: the end of the binlog, read behind them, where each transaction stands before it is committed in the engine. A transaction that is in L
// leaves the chunk alone. Any other that comes until the chunk's turn may be in its rows or not; the stream has the row as it is after it, so the row
// is dropped from the chunk. When all up to H was handed over, what is left is the newest there is, and is handed over as Reads, between two
// transactions.
//
// Where it could go wrong:
//
//   - The stream may be ahead of queries: a transaction is in the binlog before the engine commits it. If it was handed over before the chunk was
//     asked for, it would drop nothing, and the chunk could bring the old row back. So L is read again until it holds all that was handed over.
//   - Rows are told apart by the bytes of their key and never by collation: each version of a row has the bytes that the change which made it, or ends
//     it, has in an image.
//   - gtid_executed as the high watermark, as in DBLog's successors, misses a transaction that a query sees before its GTID is added. The end
//     of the binlog does not.
//
// MariaDB has no gtid_executed, and gtid_current_pos runs ahead of what queries see. But START TRANSACTION WITH CONSISTENT SNAPSHOT says at which
// place of the binlog its reads stand (binlog_snapshot_file, binlog_snapshot_position), which is L and H in one.
//
// # Order and places
//
// Rows that a table gets while it is copied may lie behind the last row that was there when its copy began: these are in the stream and are not
// read. Until the last chunk was handed over each batch has Copying set: the stream may change rows that were not copied yet, so that a target
// must take an update of a missing row for its insert.
//
// The mark of a chunk's batch says up to which key its table was copied. The pipeline saves it with the place behind the batch, so that a run that
// was killed goes on behind the last acknowledged chunk. The first batch of a new stream has a mark as well, so that the checkpoint knows
// from the beginning that there are rows to copy.
//
// # Tables
//
// The key is the primary key, or a unique key without NULL. A table that has neither is read whole in one consistent read, at a moment in which the
// stream has changed nothing of it, and the stream waits meanwhile. Its batches are one transaction: only the last one's mark says that there are rows. What a statement does to a table while a chunk of it is on its way makes the chunk
// void; it is read again with the new columns, and the table from its beginning where the key was changed.
//
// # Chosen tables
//
// Options.Asked makes it a snapshot of some tables of a stream that began long ago, of all their rows or of those that meet a condition. Then the target is taken to
// have all other tables as they should be: not the batch but the groups of these tables have Copying set, and changes of a table without a key are not held back.
//
// # The classic way
//
// Where the source has no GTIDs, where tables have no transactions, or where the rows of all tables shall be of one moment, there is a second way: OpenViews begins
// consistent reads side by side under a short lock, as mysqldump --single-transaction does, the stream begins at their place, and OpenClassic puts their rows behind it. See
// Views for how the moment is found, and Classic for what happens when it is lost.
//
// # Values
//
// A row is equal, cell by cell, to the same row in the binlog, but for JSON: MySQL's binary JSON cannot be asked for, so that the cell holds the
// document's text. See reader.
package snapshot
