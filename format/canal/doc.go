// Package canal writes changes as the flat JSON messages that Canal's server (1.1.7) sends to Kafka, so that their consumers need no change.
//
//	{"data":[{"id":"1","state":"paid"}],"database":"shop","es":1704164645123,"gtid":"24bc7850-…:7","id":5,"isDdl":false,
//	 "mysqlType":{"id":"bigint unsigned","state":"varchar(20)"},"old":[{"state":"new"}],"pkNames":["id"],"sql":"",
//	 "sqlType":{"id":-5,"state":12},"table":"orders","ts":1704164645173,"type":"UPDATE"}
//
// All values are text, as Canal's parser prints them: an ENUM is its number, a SET and a BIT the number of its bits, a BLOB, BINARY and spatial
// value (SRID and WKB) has a character for each byte (ISO 8859-1), a TIMESTAMP is in the zone that time_zone names (Canal: that of its host).
// mysqlType is the type as information_schema of MySQL 8 has it, sqlType a constant of java.sql.Types: where an unsigned integer is beyond the
// signed type of its size that of the next larger type, as there. type is INSERT, UPDATE or DELETE; a row of a snapshot is an INSERT. id
// numbers the batches of one run. old has what an update changed, [{}] where that is nothing.
//
// Every message has one row, which is what Flink reads; Canal puts the rows of one event into one message, and each row into data and old.
// Differences that can be seen:
//
//   - es is the commit time (Canal: the second of the statement), ts when the batch was read (Canal: when the message was made);
//   - gtid is that of the transaction (Canal: empty, or with gtidon=true the set of all up to it);
//   - text of any character set is right (Canal reads all as that of its connection), and an error where it is not valid in its character set,
//     unless invalid_text says otherwise;
//   - where the image after an update leaves a column out that the one before it has, data has it (Canal: not);
//   - partial updates of JSON documents are an error (Canal: an expression of JSON_SET in the place of the document);
//   - a VECTOR is the text of an array (Canal: null), UUID, INET6 and INET4 are text (Canal: bytes).
//
// Canal's records have no keys. Where a sink asks for them, a key is the object of the primary key's columns, {"id":"1"}, and a change of the
// primary key is a DELETE under the old key and an INSERT under the new one; primary_key_change: update writes one UPDATE under the new key.
//
// DDL statements are messages with isDdl true and the type CREATE, ALTER, ERASE, RENAME, CINDEX, DINDEX, or QUERY for all others, one for each
// statement, with the first table that it names (of a RENAME, the new name). An ALTER TABLE that only adds or drops an index is an ALTER here
// (Canal: CINDEX or DINDEX). TRUNCATE is a change of its table, in the same form; truncate: skip leaves it out, for readers such as Flink's
// that stop at it.
//
// Taken from Canal's sources: protocol/FlatMessage, connector/core/producer/MQMessageUtils, parse/inbound/mysql/dbsync/LogEventConvert,
// dbsync/binlog/event/RowsLogBuffer. docs/formats.md shows every type.
package canal
