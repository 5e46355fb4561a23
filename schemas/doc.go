// Package schemas knows what the tables of the source looked like at each moment of the binlog.
//
// A Table is one immutable version of one table: its columns, keys and character sets. It is never changed after it was made; a DDL
// statement makes a new one. A Catalog holds the versions that are current at one place of the stream, and is moved on by three things,
// in the order in which they are believed:
//
//  1. the table map event's own metadata (binlog_row_metadata=FULL), which names everything needed to decode a row;
//  2. DDL statements found in the stream, interpreted by Catalog.Apply;
//  3. a reading of information_schema, made by the live source where a fence proves that it is the schema of that moment.
//
// Each of these is an Entry of the history. Entries are numbered, immutable, and travel with the batches: the committer saves the entries
// of a batch before the position that lies behind them, so after any crash the catalog is rebuilt as of exactly the position where reading
// starts again.
package schemas
