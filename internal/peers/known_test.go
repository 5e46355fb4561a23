package peers_test

// Differences that are known, by table (* is any) and the path in the record, of which the beginning is enough. They stay, since the peer's value is
// not the row's, or is chance, or comes from something that is not here. A test fails where one of them is gone.

// Reasons that several differences have.
const (
	words   = "types and character sets by the statement's words (BOOLEAN, NUMERIC, utf8); here by the server's (TINYINT(1), DECIMAL, utf8mb3), as Debezium has them after a snapshot"
	boolean = "a column that the statement called BOOLEAN is a boolean; here, and in Debezium after a snapshot, it is the TINYINT(1) that the server made of it"
	java    = "a FLOAT with more digits than it has (Java before 19)"
	padding = "BINARY without the zero bytes at its end"
	zeros   = "DECIMAL without the zeros at its end"
	charset = "text that is not in the character set of the connection, misread"
	es      = "the second in which the statement began; here the time of its commit"
	sets    = "gtid is empty, or with gtidon the set of all transactions up to this one; here it is that of the transaction"
	quotes  = "a quote in a member of an ENUM doubled, its error value as null"
	yearly  = "YEAR 0 as 1900"
	nokey   = "a new random UUID as the key of every change of a table without a primary key, which scatters the changes of a row over the partitions; here its unique key, or none"
)

// debeziumKnown holds with all settings. ddl:TABLE is the schema change topic.
var debeziumKnown = map[string]string{
	"ddl:ints value.tableChanges[].table.columns[].jdbcType":      words,
	"ddl:ints value.tableChanges[].table.columns[].length":        words,
	"ddl:ints value.tableChanges[].table.columns[].type":          words,
	"ddl:decimals value.tableChanges[].table.columns[].jdbcType":  words,
	"ddl:decimals value.tableChanges[].table.columns[].type":      words,
	"ddl:texts value.tableChanges[].table.columns[].charsetName":  words,
	"ddl:computed value.tableChanges[].table.columns[].generated": "true for AUTO_INCREMENT, false for generated columns; here the other way round",
	"ddl:other value.tableChanges[].table.defaultCharsetName":     "null, where a database has the character set of the server",
	"ddl:string_key value.source.row":                             "the number of a row before; here 0",
	"peers.docs_numbers value.after":                              "a DOUBLE in a document with all digits of its binary fraction; here as the server prints it",
	"peers.docs_opaque value.after":                               "a DATETIME, TIME or binary value in a document not as the server prints it, a negative TIME wrong",
	"peers.enum_odd value.after.e":                                "a backslash before a comma in a member of an ENUM, in the value too",
	"peers.floats value.after.f":                                  java,
	"peers.ints value.after.bo":                                   boolean,
	"peers.ints value.before.bo":                                  boolean,
	"peers.no_key record":                                         "a tombstone without a key behind the delete of a row without a key: a record of nothing",
	"peers.null_default value.after":                              "the default of the column in the place of NULL",
	"peers.year_zero value.after.y":                               yearly,
}

// debeziumSchemas holds where schemas stand in the messages.
var debeziumSchemas = map[string]string{
	"peers.ints value.schema":         boolean,
	"peers.null_default value.schema": "defaults in the schema, which a reader puts in the place of NULL",
}

// debeziumCounts holds where transactions are counted.
var debeziumCounts = map[string]string{
	"transaction value": "events that are refused here are counted; the order of the collections is chance",
}

// maxwellKnown holds with all settings, maxwellDDL where there are DDL messages.
var maxwellKnown = map[string]string{
	"peers.floats value.data.f":       java,
	"peers.times_far value.data":      "a TIME wrapped into one day",
	"peers.year_zero value.data.y":    yearly,
	"peers.binaries value.data.b":     padding,
	"peers.date_key value.data.b":     padding,
	"peers.enum_odd value.data":       quotes,
	"peers.docs_numbers value.data.j": "a large number in a document without an exponent; here as the server prints it",
	"peers.docs_opaque value.data.j":  "a DATETIME in a document with the digits that it needs; here as the server prints it",
	"peers.unique_key key":            nokey,
	"peers.no_key key":                nokey,
}

var maxwellDDL = map[string]string{
	"ddl:* key":                                    "a random UUID as the key; here the name of the table",
	"ddl:* value.ts":                               es,
	"ddl:texts value.def.columns[].charset":        words,
	"ddl:enum_odd value.def.columns[].enum-values": quotes,
}

// Those of one setting.
var (
	maxwellHash  = map[string]string{"peers.date_key key.pk.b": padding}
	maxwellPlain = map[string]string{"* value.xoffset": "xoffset without being asked in 1.22; in 1.45 only with output_xoffset, as here"}
	maxwellZero  = map[string]string{"peers.part_dates value.data": "a date with a zero part as 0000-00-00"}
	maxwellAll   = map[string]string{
		"* value.schema_id":                  "schema_id, the number of a row in a database of its own",
		"peers.date_key key[][].b":           padding,
		"peers.date_key value.primary_key":   padding,
		"peers.unique_key value.primary_key": "no primary_key; here, where the server's metadata is read, the unique key that it calls the primary one",
	}
)

var canalKnown = map[string]string{
	"ddl:* value.gtid":                sets,
	"* value.gtid":                    sets,
	"ddl:* value.es":                  es,
	"* value.mysqlType":               "types by the statement's words; here by those of information_schema",
	"peers.decimals value.data[].d":   zeros,
	"peers.changing value.data[].pri": zeros,
	"peers.alike value.data[].price":  zeros,
	"peers.floats value.data[].f":     java,
	"peers.texts value.data[]":        charset,
	"second.other value.data[].v":     charset,
	"peers.binaries value.data[].b":   padding,
	"peers.date_key value.data[].b":   padding,
	"peers.docs_numbers value.data":   "numbers in a document as Java prints them; here as the server does",
	"peers.docs_opaque value.data":    "dates and times in a document with a date and six digits; here as the server prints them",
	"peers.unique_key value.pkNames":  "no pkNames; here, where the server's metadata is read, the unique key that it calls the primary one",
	"peers.odd-Name record":           "nothing of a table with a column named größe, which its decoder does not read",
}
