// Package image turns the row images of rows events into cells.
//
// A row image is a bitmap of the columns that are NULL and the values of the others, one behind the other, without types or lengths of its
// own: the table map says how each is laid out, and the table's definition what it means. Compile joins the two into a Plan, once per table
// version and table map; Decode runs the plan over one image at a time:
//
//	plan, err := image.Compile(table, wire, image.Options{MaxRow: 64 << 20})
//	for len(rows) > 0 {
//		cells, arena, n, err = plan.Decode(rows, present, cells, arena)
//		rows = rows[n:]
//	}
//
// Everything is appended to the caller's cells and arena, so that a row costs no allocation. Nothing found in the data is believed: each
// length is compared with what is there before it is used, JSON nesting is bounded, and compressed values may not grow beyond Options.MaxRow.
// The package knows no network, file or clock.
//
// What a value becomes:
//
//   - text is UTF-8; bytes that are not valid in the column's character set are kept as they are, flagged event.Raw. Where the character
//     set is not known (a table map without metadata and no definition), everything but ASCII is Raw;
//   - BINARY(n) has the zero bytes back that the server cuts off;
//   - DECIMAL is the text that the server prints, to the last digit;
//   - JSON is the text that the server prints: keys in their stored order, a space behind comma and colon;
//   - a partial JSON update stays the vector of differences as it was logged, see package jsonbin;
//   - columns that the image leaves out are event.Absent.
//
// Formats: MySQL source, libs/mysql/binlog/event/rows_event.h and sql/field.cc (Field::pack); strings/decimal.cc (decimal2bin);
// mysys/my_time.cc (my_datetime_packed_to_binary); MariaDB source, sql/field.cc and sql/field_comp.cc.
package image
