// Package debezium writes changes as the messages of Debezium's MySQL and MariaDB connectors (3.x) with Kafka Connect's JsonConverter, so that
// their consumers need no change.
//
// A message is the envelope before, after, source, transaction, op, ts_ms, ts_us, ts_ns; its key is the object of the primary key's columns.
// With Options.Schemas both are wrapped as {"schema":...,"payload":...}. op is c, u, d, r (a row of a snapshot) or t (TRUNCATE). A delete is
// followed by a tombstone. A change of the primary key is a delete under the old key, its tombstone, and a create under the new one; Rec.Peer
// of each holds the other key, without a schema, which Debezium names in the headers __debezium.newkey and __debezium.oldkey. DDL statements
// become messages of the schema change topic, a DROP TABLE one for each table; TRUNCATE has none there, being a change of its table.
//
// The modes are Debezium's, with its names and defaults. Where Debezium writes something that the row does not hold, this package does not,
// and an option says what happens instead:
//
//   - BIGINT UNSIGNED above 2^63-1 with bigint_unsigned_handling_mode long wraps there and is an error here;
//   - zero dates become null or the epoch there and are an error here, unless zero_dates says otherwise;
//   - text that is not valid in its character set gets replacement characters there and is an error here, unless invalid_text says otherwise;
//   - columns that the row image leaves out become null there and get the placeholder of an unavailable value here (text and binary), or are
//     left out (others), see Options.Absent; in the after image of an update an absent column has the value of the before image, if it is there;
//   - NULL in a column with a default becomes the default there and stays null here, for which reason the inline schema names no defaults;
//   - YEAR 0 becomes 1900 there and is 0 here; a comma in an ENUM value gets a backslash there and none here;
//   - a delete of a table without a key has no tombstone here: it would be a record of nothing;
//   - numbers, dates and binary values in a JSON document are spelled as the server prints them, without the spaces that it prints between; in
//     Debezium's stream, not in its snapshots, doubles have all digits of their binary fraction and negative times are wrong;
//   - types are those of the server: of BOOLEAN, NUMERIC and utf8 in a statement Debezium's stream, not its snapshots, keeps the word;
//   - TRUNCATE is left out there by default (skipped.operations=t), and is written here, see Options.Skipped;
//   - partial updates of JSON documents are an error here: Debezium cannot be used with them.
//
// ts_ms, ts_us and ts_ns of the envelope are when the batch was read (Batch.Received), and null from a source without a clock. Those of
// source are the commit time on the server where the transaction began, as Debezium takes it from MySQL's GTID events.
//
// The names and the order of fields, the logical types and their JSON were taken from the sources of Debezium 3.5.0.Final (Envelope,
// SchemaFactory, BinlogSourceInfoStructMaker, BinlogValueConverters, JdbcValueConverters, TemporalPrecisionMode, ConnectTableChangeSerializer)
// and Kafka's JsonConverter. Its bytes are those of JsonConverter 4.1 on Java 19 and later: read and written again there, random records of
// every type come back as they were. (Older Javas sometimes print more digits of a float than it has.) docs/formats.md shows every type.
package debezium
