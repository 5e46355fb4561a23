// Package jsonbin reads MySQL's binary JSON: the documents that row images hold, and the vectors of differences that partial updates log
// (binlog_row_value_options=PARTIAL_JSON).
//
// AppendText writes a document as the server prints it: keys in their stored order, a space behind each comma and colon, doubles with a point
// or an exponent, dates and times quoted with six digits of the second, and other SQL values as "base64:typeN:...". MySQL 5.7 prints a double
// without a fraction as an integer (1), later versions as 1.0; this package always does the latter, which is the one that keeps the type.
//
// Next takes the first difference off a JSONDiff cell:
//
//	for len(b) > 0 {
//		d, b, err = jsonbin.Next(b)
//		// d.Op at d.Path; d.Value is a document for AppendText, empty for Remove
//	}
//
// Nothing in the data is believed: offsets and lengths are checked, nesting is bounded, and so is the text of a document whose values
// overlap, which no server writes.
//
// Formats: MySQL source, sql-common/json_binary.h, sql-common/json_dom.cc (Json_wrapper::to_string) and sql/json_diff.h.
package jsonbin
