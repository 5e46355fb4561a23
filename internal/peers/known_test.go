package peers_test

// Differences that are known, by table (* is any) and the path in the record, of which the beginning is enough. They stay, since the peer's value is
// not the row's, or is chance, or comes from something that is not here. A test fails where one of them is gone.

// debeziumKnown holds with all settings. ddl:TABLE is the schema change topic.
var debeziumKnown = map[string]string{
	"ddl:ints value.tableChanges[].table.columns[].jdbcType":      "BOOLEAN, as the statement called it; the server calls it TINYINT(1)",
	"ddl:ints value.tableChanges[].table.columns[].length":        "the same",
	"ddl:ints value.tableChanges[].table.columns[].type":          "the same",
	"ddl:decimals value.tableChanges[].table.columns[].jdbcType":  "NUMERIC, as the statement called it; the server calls it DECIMAL",
	"ddl:decimals value.tableChanges[].table.columns[].type":      "the same",
	"ddl:texts value.tableChanges[].table.columns[].charsetName":  "utf8, as the statement called it; the server calls it utf8mb3",
	"ddl:computed value.tableChanges[].table.columns[].generated": "true there for AUTO_INCREMENT, and false for generated columns",
	"ddl:other value.tableChanges[].table.defaultCharsetName":     "the database's is the server's, which is not known there",
	"ddl:string_key value.source.row":                             "left over from a row before",
	"peers.docs_numbers value.after":                              "numbers in a document have all digits of their binary fraction there",
	"peers.docs_opaque value.after":                               "a DATETIME, TIME and binary value in a document are not spelled as the server does there, a negative TIME wrongly",
	"peers.enum_odd value.after.e":                                "a comma in a value gets a backslash there",
	"peers.floats value.after.f":                                  "Java before 19 prints more digits of a float than it has",
	"peers.ints value.after.bo":                                   "a column that the statement called BOOLEAN is a boolean there; the server calls it TINYINT(1), as Debezium does after a snapshot",
	"peers.ints value.before.bo":                                  "the same",
	"peers.no_key record":                                         "a delete of a table without a key has a tombstone without a key there",
	"peers.null_default value.after":                              "NULL becomes the default there",
	"peers.year_zero value.after.y":                               "YEAR 0 is 1900 there",
}

// debeziumSchemas holds where schemas stand in the messages.
var debeziumSchemas = map[string]string{
	"peers.ints value.schema":         "BOOLEAN, as above",
	"peers.null_default value.schema": "schemas name defaults there, which would be read in the place of NULL",
}

// maxwellKnown holds with all settings, maxwellDDL where there are DDL messages.
var maxwellKnown = map[string]string{
	"peers.floats value.data.f":       "Java before 19 prints more digits of a float than it has",
	"peers.times_far value.data":      "a TIME is wrapped into one day there",
	"peers.year_zero value.data.y":    "YEAR 0 is 1900 there",
	"peers.binaries value.data.b":     "the zero bytes at the end of BINARY are lost there",
	"peers.date_key value.data.b":     "the zero bytes at the end of BINARY are lost there",
	"peers.enum_odd value.data":       "a quote in a value is doubled there; the error value is null there",
	"peers.docs_numbers value.data.j": "a large number is written without an exponent there",
	"peers.docs_opaque value.data.j":  "a DATETIME in a document has the digits that it needs there",
	"peers.unique_key key":            "only a primary key is a key there; the rest has a random one",
	"peers.no_key key":                "a row without a key has a random one there",
}

var maxwellDDL = map[string]string{
	"ddl:* key":                                    "a random UUID there",
	"ddl:* value.ts":                               "the second in which the statement began there, that of its commit here",
	"ddl:texts value.def.columns[].charset":        "utf8, as the statement called it; the server calls it utf8mb3",
	"ddl:enum_odd value.def.columns[].enum-values": "a quote in a value is doubled there",
}

var canalKnown = map[string]string{
	"ddl:* value.gtid":                "gtid is that of the transaction here; there it is empty, or with gtidon the set of all up to it",
	"ddl:* value.es":                  "es is the time of the commit here, there the second in which the statement began",
	"* value.gtid":                    "the same",
	"* value.mysqlType":               "types are as the statement wrote them there, in the words of information_schema here",
	"peers.decimals value.data[].d":   "zeros at the end of a number are lost there",
	"peers.changing value.data[].pri": "zeros at the end of a number are lost there",
	"peers.alike value.data[].price":  "zeros at the end of a number are lost there",
	"peers.floats value.data[].f":     "Java before 19 prints more digits of a float than it has",
	"peers.texts value.data[]":        "text that is not in the character set of the connection is not read there",
	"second.other value.data[].v":     "text that is not in the character set of the connection is not read there",
	"peers.binaries value.data[].b":   "the zero bytes at the end of BINARY are lost there",
	"peers.date_key value.data[].b":   "the zero bytes at the end of BINARY are lost there",
	"peers.docs_numbers value.data":   "numbers in a document are written as Java does there",
	"peers.docs_opaque value.data":    "dates and times in a document are written with date and six digits there",
	"peers.unique_key value.pkNames":  "the server's metadata, which comes first here, calls the first unique key without NULLs the primary one",
	"peers.odd-Name record":           "its decoder gives up a table with a column named größe",
}
