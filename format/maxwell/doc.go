// Package maxwell writes changes as the messages of Maxwell's daemon (1.45), so that their consumers need no change.
//
//	{"database":"shop","table":"orders","type":"update","ts":1704164645,"xid":4711,"commit":true,"data":{"id":1,"state":"paid"},"old":{"state":"new"}}
//
// type is insert, update, delete, or bootstrap-insert for a row of a snapshot. data holds the row, old only what an update changed. The options
// have Maxwell's names, and its defaults but for three: primary_key_change, truncate and tombstones, of which Maxwell knows nothing.
//
// A key is {"database":"shop","table":"orders","pk.id":1}, or ["shop","orders",[{"id":1}]] with kafka_key_format: array. With keys, a change of
// the primary key is a delete under the old key and an insert under the new one; primary_key_change: update writes one update under the new
// key, as Maxwell does, after which a consumer that compacts keeps the row under both. Where a table has no primary key, its first unique key
// without NULLs is the key; without one, records have none. Maxwell makes up a _uuid for each change there, which scatters the changes of one
// row over the partitions.
//
// Values are those that the row holds. Where Maxwell writes another one, this package does not:
//
//   - TIME beyond a day or below 0 is written as the server prints it (Maxwell wraps it into a day);
//   - a date with zero parts or a day that its month has not is written as it is (Maxwell: 0000-00-00), null with output_null_zerodates, left
//     out with output_nulls: false too;
//   - BIT of more than 32 bits keeps its upper bits, YEAR 0 is 0 (1900 there), the error value of an ENUM is "" (null there);
//   - text that is not valid in its character set is an error, unless invalid_text says otherwise (replacement characters there);
//   - partial updates of JSON documents are an error.
//
// xid is the number of the engine's commit, which the binlog tells at the end of a transaction. A row that is handed over before that end was
// read, which happens in transactions larger than a batch, has none; its xoffset counts on, and gtid (output_gtid_position) names the
// transaction in every row. xid: gtid writes the number of the GTID instead, which every row has. commit is true on the last row of a
// transaction. No row has it where that row was handed over before the end of the transaction was read: where the connection paused just there,
// where MariaDB rolled the last rows back to a savepoint, or where a transform drops all rows of the last batch. ts is the second of the commit;
// Maxwell's is that of the statement. position is the place of the rows event.
//
// TRUNCATE, of which Maxwell says nothing, is a message of the type table-truncate, with neither data nor old; truncate: skip leaves it out.
// DDL messages (output_ddl) are those of Maxwell: table-create, table-alter, table-drop, database-create, database-alter and database-drop with
// def and old. A RENAME is a table-alter; CREATE INDEX and DROP INDEX have no message. Their keys name the table (Maxwell: a random UUID).
//
// Taken from Maxwell's sources: row/RowMap, row/RowIdentity, row/MaxwellJson, schema/columndef, schema/ddl. docs/formats.md shows every type.
package maxwell
