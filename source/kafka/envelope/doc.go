// Package envelope reads Debezium's change messages, as Kafka Connect's JsonConverter writes them with schemas, back to changes. It is pure: bytes
// come in, cells go out.
//
//	d := envelope.New(envelope.Options{})
//	err := d.Append(batch, at, key, value) // one transaction with one change, or none for a tombstone
//
// The types come from the message itself, from nothing else: a message without its schema part is fault.SourceMessageSchema. What the schema does not
// say exactly is never guessed: a type that has no exact cell, a number that is none, a field that is missing, is fault.SourceMessageType or
// fault.SourceMessage with the column and the place.
//
// # Types
//
// A schema says less than a column's definition: int16 is TINYINT, TINYINT UNSIGNED or SMALLINT. The table version that is made here has the smallest
// type that holds every value of the schema's type (SMALLINT there), so values are exact and definitions are not. The columns of the record's key,
// which has a schema of its own, are the primary key. docs/scaling-out.md has the table.
//
// # What the messages cannot say
//
//   - The placeholder of an unavailable value looks like a value. It is an error unless Options.Placeholder names what it is; then the column is
//     absent.
//   - A NULL in an optional field with a default is written as the default by a JsonConverter with replace.null.with.default=true, which is its
//     default. Such a value is an error unless Options.Defaults says that the converter does not do so.
//   - The error value of an ENUM and a member that is the empty string are both "". It is the member where there is one.
//
// # Speed
//
// The schema part is by far the larger one, and the same from message to message: where a message begins with the bytes of the one before, its schema
// is not looked at. Values are read by a cursor over the message, straight into the batch's arena.
package envelope
