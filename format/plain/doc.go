// Package plain writes changes as compact JSON, one object for each, in which nothing is lost and nothing is invented: what a change was can
// be read back from it, and every row can be replayed.
//
//	{"op":"update","db":"shop","table":"orders","gtid":"24bc7850-…:7","row":0,"sub":0,"server":1,"file":"binlog.000007","txn":1000,"pos":1100,
//	 "ts":"2024-01-02T03:04:05.123456Z","before":{"id":1,"state":"new"},"after":{"id":1,"state":"paid"}}
//
// op is insert, update, delete, truncate, read (a row of a snapshot) or ddl. (gtid, row, sub) names the change, on every replica and after
// every restart; without GTIDs (file, txn, row, sub) does, on one server. txn is the offset of the transaction's first event in file, pos that
// of the rows event. ts is the commit time. server is the server_id where the transaction began. query is the statement, if asked for.
//
// before and after hold the columns of the row images, in the order of the table:
//
//   - a column that the image does not hold is left out; NULL is null;
//   - integers, FLOAT, DOUBLE, YEAR and BIT are numbers, with all their digits; DECIMAL is text, since readers make doubles of numbers;
//   - text is text; one that is not valid in its character set is {"raw":"<base64>"};
//   - BINARY, VARBINARY and BLOBs are base64;
//   - DATE, TIME and DATETIME are as the server prints them, with T between date and time; TIMESTAMP is in UTC and ends in Z; zero dates are
//     written as they are: "0000-00-00", "2024-00-00", "0000-00-00T00:00:00Z";
//   - ENUM is the member's text and 0 the number for the error value; SET is the members with commas between, which no member can hold; where
//     the members are not known, both are numbers;
//   - JSON documents are embedded as they are, in the server's spelling;
//   - a spatial value is {"srid":4326,"wkb":"<base64>"}; a VECTOR an array of numbers; UUID, INET6 and INET4 are text.
//
// A column that was updated in part (JSON_SET and its kin with binlog_row_value_options=PARTIAL_JSON) is not in after but in partial, with the
// steps that make the new document of the old one: {"partial":{"doc":[{"op":"replace","path":"$.a","value":7}]}}; op is replace, insert or
// remove, as in MySQL's Json_diff.
//
// A DDL statement is an object with op ddl, the statement, its default database and what else its meaning depends on, and the tables that it
// names:
//
//	{"op":"ddl","db":"shop","gtid":"…","server":1,"file":"binlog.000007","txn":900,"ts":"…","ddl":"ALTER TABLE …","tables":[{"db":"shop","table":"orders"}],
//	 "session":{"sql_mode":1168113696,"client":255,"connection":255,"server":255,"database":255,"time_zone":"SYSTEM"}}
//
// A record's key, where keys are asked for, is the object of the primary key's columns. A change of the primary key is one record under the
// new key and, before it, a tombstone under the old one; a delete is followed by a tombstone.
package plain
