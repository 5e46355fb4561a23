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
//
//	cat := schemas.NewCatalog(flavor, version)
//	err := history.Rewind(ctx, stream, seq, func(e *schemas.Entry) error { cat.Replay(e); return nil })
//	...
//	ddl, err := cat.Apply(statement)              // of a query event
//	seq = schemas.Number(ddl.Entries, seq)        // then into the batch
//	...
//	t, state := cat.Table(database, name)         // of a table map event
//	if state == schemas.Forgotten {
//		why := cat.Why(database, name)            // the statement, and what of it was not understood
//	}
//
// # What Apply does
//
// The interpreter is written by hand after the servers' own behaviour, and held against it: TestServersStatements runs the statements of
// testdata/*.sql on MySQL 9.7, 8.0.15 and 5.7.22 and MariaDB 11.8 and 10.11, reads the binlog, and compares the catalog with information_schema
// behind every statement and with the columns that rows events name; TestServersRandom does so with generated ones
// (CDC_SEEDS=50 go test -tags servers -run ServersRandom ./schemas).
//
// It never guesses. A table is Forgotten, with an Entry that carries the statement, where a clause or type is not known, where the columns
// come from a query or from a table that is itself not known, and where what the server makes of a statement is not said in the binlog. Known
// cases of the last kind:
//
//   - CREATE TABLE IF NOT EXISTS of a table that may have been there: in a database that the history does not name, or names as Partial.
//   - CREATE TABLE .. LIKE a temporary table, which MySQL logs without its character set.
//   - CONVERT TO CHARACTER SET of an ENUM or SET whose members are not the same bytes in both: the servers damage them.
//   - CONVERT TO together with another DEFAULT CHARACTER SET; on MySQL 8 also COLLATE in front of CHARACTER SET.
//   - A column that is dropped and added anew in one statement while a key keeps it.
//   - RENAME TABLE of MariaDB, which also renames temporary tables and logs that in the same way: a table that was there under one of the names
//     is what it was, or what the statement makes of it. Catalog.Either keeps both, and the next row mostly shows which; see rename.go.
//   - Two columns of ENUM or SET with equal members in a character set of two bytes and more, which MySQL 5.7 damages.
//   - A unique key WITHOUT OVERLAPS (MariaDB); members of ENUM and SET given as bytes beyond ASCII.
//   - A statement that ended with an error, but was logged because it had done a part of its work.
//
// A text column whose character set hangs on the default of a database that is not known has an empty Charset: MySQL 8 says it in each
// table map, and where nothing says it the values cannot be read.
//
// Temporary tables are told by the event's thread-specific flag, not remembered: that survives a restart between CREATE TEMPORARY TABLE and
// the ALTER TABLE that means it.
//
// # What rows carry beyond information_schema
//
// System-versioned tables of MariaDB have row_start and row_end, and a unique key that is kept as a hash has a column DB_ROW_HASH_n, in the rows
// though not in information_schema: such columns are in Table.Columns with Hidden set. A hash is made for a key over a TEXT, a BLOB or more than
// 3072 bytes, and, up to the next ALTER TABLE of any kind, for one over a spatial value and for USING HASH. The limit of 3072 is that of InnoDB with
// its default row format; a key that is a hash in another engine (1000 bytes in MyISAM) shows as a row with one column more than are known. MySQL up to 8.0.15 at least also writes the hidden columns of functional keys (8.0.13 and later); their
// types are those of expressions, so they are not tracked, and rows of such a table do not fit. binlog_row_metadata=FULL cures all of these.
package schemas
