// Package binlog makes batches of changes from the raw events of a binary log, as MySQL (5.6 and later) and MariaDB (10.0 and later) write them.
//
// It is pure: bytes in, batches out, without network, file, clock or log. Whoever reads a connection or a file owns the loop:
//
//	a := binlog.NewAssembler(cfg)
//	a.Seek(file, 4) // a server says it by itself
//	b := pool.Get()
//	for each raw event {
//		for {
//			again, err := a.Push(b, raw)
//			if err != nil { ... }
//			if !again { break }
//			hand over b; b = pool.Get()
//		}
//		if a.Full(b) || nothing more to read at once {
//			hand over b; b = pool.Get()
//		}
//	}
//
// A batch may be cut after any Push, also inside a transaction. When a connection breaks, Reconnected is called, the new connection is opened at
// Where (or behind the completed GTIDs), and what comes twice is dropped: nobody downstream can tell.
//
// # Transactions
//
// Each transaction gives a Txn, also one without a wanted change; its parts in several batches have Begin and End on the outer edges only.
// The batch's position moves when a transaction ends, and outside of transactions with rotations and heartbeats. A batch with DDL of a
// selected table holds nothing else but its Txn, whose End is false where rows follow (CREATE TABLE ... SELECT is one transaction).
//
//	MySQL     GTID  BEGIN  TABLE_MAP  ROWS ...  XID | COMMIT | ROLLBACK
//	          GTID  statement
//	          GTID  TRANSACTION_PAYLOAD(BEGIN ... XID)
//	          GTID  XA START  ...  XA END  XA_PREPARE      later, under its own GTID: XA COMMIT | XA ROLLBACK
//	MariaDB   GTID  TABLE_MAP  ROWS ...  XID | COMMIT | ROLLBACK
//	          GTID(standalone)  statement
//	          GTID(prepared XA)  ...  XA_PREPARE            later: GTID(completed XA)  XA COMMIT | XA ROLLBACK
//
// Before MySQL 5.7 there is no GTID event without GTIDs; the first statement begins the transaction.
//
// Row numbers count the selected changes of a transaction as they are in the log, so that a change has the same number after a restart and on
// every replica.
//
// # What was rolled back
//
// A server logs changes that it rolled back when something beside them cannot be rolled back, such as a temporary table: the group then holds
// SAVEPOINT and ROLLBACK TO, or ends with ROLLBACK. A replica repeats both, and so does the assembler: it takes the changes back. In row format
// none of them is of a table without transactions, since those are logged at once in a group of their own. If a part was handed out before the
// rollback was read, which needs a transaction larger than a batch, that is fault.SourceRollback.
//
// # XA
//
// The rows of a prepared transaction go to a spool file, which is synced at XA PREPARE and named in the batch that ends the PREPARE. They come out
// at XA COMMIT, under its GTID. See xa.go for the file's format. An XA COMMIT of a transaction whose PREPARE was not read is fault.BinlogXASpool.
//
// # What a table looks like
//
// A table map is looked up by its bytes, so that new table ids and new connections cost nothing. For one that was not seen before, or after
// DDL, the columns are those of the catalog where they contradict nothing that the map says by itself; else those of FULL metadata, which then
// go to the history; else what Config.Unknown answers. If nothing fits, the table stops with SchemaUnknown, SchemaMismatch or SchemaDDL. Rows of
// tables that are not selected are never looked at, but their checksums are verified.
//
// # Trust
//
// Nothing in an event is believed: lengths are compared with what is there, decompression is bounded by the declared size and by
// Config.MaxPayload, names of files are checked, unknown events without the ignorable flag are fault.BinlogUnknownEvent. Changes in statement
// format are fault.SourceStatementFormat. Every fault says file, offset and GTID.
//
// Formats: MySQL source, libs/mysql/binlog/event and sql/log_event.cc; MySQL source documentation, "Replication Protocol" and "Library:
// Serialization"; MariaDB source, sql/log_event.h, and its knowledge base, "Replication Protocol".
package binlog
