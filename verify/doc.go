// Package verify compares the tables of a target with those of the source while both are written to, and repairs what differs.
//
//	pair, err := verify.Map(table, steps)          // what the stream's transforms make of the table
//	report, err := verify.Run(ctx, verify.Options{Source: a, Target: b, Reached: place, Changed: print}, pairs, nil)
//	if err == nil { err = report.Fault() }         // nil: everything that was to be compared is equal
//
// # Chunks
//
// A table is cut into ranges of its primary key (or of its shortest unique key without NULL). Each server is asked one query for each: how many
// rows it has there, and the XOR of a digest of each row; see sumQuery. Ranges are compared as each server orders keys. Where two servers order texts in different
// ways, a row may lie in another range of the target: then both ranges differ, are looked at closely, and the row is found by its key. The
// ranges cover every row of both sides in any order.
//
// # The text of a row
//
// It must be the same on all versions of MySQL and MariaDB, and different for different rows; rowText says how it is built and column.value what
// each type becomes: numbers without padding, FLOAT and DOUBLE by the shortest digits of the double, TIMESTAMP in UTC, ENUM and SET by number where the members are
// the same and else by name, text by its bytes or, where the character sets differ, in utf8mb4, binary types, geometries and vectors by their bytes (a geometry with
// its SRID), generated and invisible columns like others. NULL is not the empty text. Large columns are hashed by themselves, since a server gives NULL for
// a text above max_allowed_packet.
//
// JSON of servers which print it in different ways is compared twice: by text within a chunk, and where that differs, by value, here. So such chunks cost more,
// and a document that is equal is never a difference.
//
// # Transforms
//
// What a stream filters, masks or computes no server can tell. Rows of such a table come here, with the digests that the server made of the columns that arrive
// unchanged; each row goes through the stream's transforms as a row of a snapshot, and its digest is that of both; see through. The rows of the target
// come here too. Everything else, ranges, looks and repair, is the same.
//
// Tables of the source that come to one are compared as one: the digests of a range of all of them are joined.
//
// # How sure it is
//
// Two different chunks have one digest by chance with a probability of 2^-256 where both servers are MySQL 8.0 or later, and of 2^-60 else: with a billion chunks that all
// differ, one in a billion runs would miss one of them. That is for errors, not for an enemy: whoever may choose rows can make an XOR what he likes. A CRC-32 of each
// row, as other tools have it, does not see that two rows have swapped the values of a column: CRC is linear, and the XOR of all rows stays as it was.
//
// # The fence
//
// The source is read in a consistent snapshot, with a place (GTID set, or file and offset) that holds all of it; the target is read when it
// has reached that place. It may be further on by then. So a chunk that differs is narrowed to rows, and rows are looked at again at newer
// places; see settle for when a difference counts. A row that is equal at one look is equal.
//
// # Repair
//
// Rows are repaired in small transactions at the target that lock them, read the source anew, wait for the stream, write, compare, and commit; see repair.
package verify
