// Package statement writes row changes as SQL text for a MySQL or MariaDB target. It is pure: the sink sends what it writes.
//
//	t, err := statement.NewTable(table, statement.MySQL)
//	...
//	w.Reset()
//	for each change of a transaction {
//		err := w.Change(t, op, before, after)
//	}
//	send(w.Text()) // one round trip: statements with ";" between them
//	for i, s := range w.Statements() {
//		// the i-th result must have found s.Rows rows
//	}
//
// Neighbouring inserts into one table become one INSERT of many rows, and neighbouring deletes by key one DELETE ... IN. Updates and whatever
// has no key stay one statement per row, in the order of the changes.
//
// # The session that runs them
//
// The text means what it says only in a session with these settings, which Session gives: UTC, utf8mb4, and a sql_mode that keeps a value as it
// is or refuses it. CLIENT_FOUND_ROWS must be set, so that an update that finds its row as it should become counts as one that found it.
//
// # Values
//
// A value arrives as it left, or the server refuses it: text by bytes, DECIMAL by digits, FLOAT by the double that is exactly its value, ENUM and SET
// by name, JSON with the SQL types inside of it. What each kind becomes is in AppendValue.
//
// # Which row
//
// A row is found by the values that its before image holds of the primary key, or else of a unique key without NULL. A table without such a key is
// searched by the whole before image, compared by bytes and not by collation, with LIMIT 1: rows that are equal in every byte stand for each other.
// An image that lacks what is needed is an error, never a wider search.
package statement
