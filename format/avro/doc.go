// Package avro writes changes in Avro's binary encoding, each with the number of its schema in a schema registry before it, in two shapes.
//
// Envelope is Debezium's: the bytes and the schemas are those that its MySQL and MariaDB connectors give with Confluent's AvroConverter, field for
// field, so that consumers of Debezium's Avro need no change. Its settings, and what is an error here and an invented value there, are those of
// package debezium.
//
// Flat is a row: a field for each column, of the narrowest logical type that holds all of its values, and behind them __op, __gtid, __row, __sub,
// __commit, __server_id, __file and __pos. An update has the row as it is after it, a delete as it was before. Every column may be null in the
// schema, so that an ALTER TABLE that adds, drops or relaxes a column is compatible both ways.
//
//	e, err := avro.New(avro.Options{Shape: avro.Envelope, Keys: true, Registrar: registry})
//	...
//	err = e.Prepare(ctx, table, topic) // registers the schemas, whenever the table is another one
//	err = e.Change(&out, batch, i)
//
// A key or a value is a zero byte, the id of its schema in four bytes, and the data (Confluent's wire format). The id comes from the Registrar, once
// for each table version and topic; a version that no change was seen of is never registered. Where the name of a column, a table or a database is
// none that Avro allows, Escape gives another.
//
// The data is appended by this package's own encoder, by a plan that is made once for each table version. Avro has no form in which it could differ:
// a long has one encoding, a record is its fields. Only arrays may be cut in blocks; here they are one.
//
// Sources: the Avro 1.12 specification; the class AvroData of Confluent's schema-registry 7.9, for how a schema of Kafka Connect becomes one of
// Avro; and for Debezium's schemas those that package debezium names.
package avro
