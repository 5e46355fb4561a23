//go:build servers

package peers_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"cdc/format"
	"cdc/format/avro"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/internal/peers"
	"cdc/internal/testbed"
	"cdc/sinks/kafka/registry"
)

// reads says how Flink reads a column: its type there, the SQL that has the source print the value in the same way ("" is the column itself), and
// what is left to do to what that prints.
type reads struct {
	flink string // "": the column is not declared
	sql   string
	print func(string) string
}

// flinkColumn is a column of a source table.
type flinkColumn struct {
	name, sql string
	by        [4]reads // by the formats of flinkFormats, but for envelopes
}

// flinkTable is a source table, what is done to it, and the formats in which it is read.
type flinkTable struct {
	name, key string
	made      string        // the columns with which it begins, where change makes others of them
	columns   []flinkColumn // in the end
	change    []string
	formats   []int
}

// The formats, with settings under which Flink's types hold as much as they can.
const (
	numbers = iota // Debezium's defaults: epochs, and base64 of what is no number
	texts          // Debezium's text modes, with inline schemas
	flatMaxwell
	flatCanal
	envelopes // Debezium's Avro, through a topic and a registry: as numbers, but for what Avro has a type of its own for
)

var flinkFormats = [5]struct {
	name, with string
	encoder    func() (format.Encoder, error)
}{
	numbers: {"dbz_numbers", "'format' = 'debezium-json', 'debezium-json.timestamp-format.standard' = 'ISO-8601'", func() (format.Encoder, error) {
		return debezium.New(debezium.Options{Keys: true, BigintUnsigned: debezium.BigintPrecise, Skipped: "t"})
	}},
	texts: {"dbz_texts", "'format' = 'debezium-json', 'debezium-json.schema-include' = 'true', 'debezium-json.timestamp-format.standard' = 'ISO-8601'", func() (format.Encoder, error) {
		return debezium.New(debezium.Options{Keys: true, Schemas: true, Decimal: debezium.DecimalString, Time: debezium.TimeISO, Binary: debezium.BinaryHex, Skipped: "t"})
	}},
	flatMaxwell: {"maxwell", "'format' = 'maxwell-json'", func() (format.Encoder, error) {
		return maxwell.New(maxwell.Options{Keys: true, Tombstones: true, Truncate: maxwell.TruncateSkip})
	}},
	flatCanal: {"canal", "'format' = 'canal-json'", func() (format.Encoder, error) {
		return canal.New(canal.Options{Keys: true, Tombstones: true, Truncate: canal.TruncateSkip})
	}},
	envelopes: {"dbz_avro", "'format' = 'debezium-avro-confluent', 'debezium-avro-confluent.url' = '%s'", nil}, // made where the registry is known
}

// in says how a column is read of a format.
func (c *flinkColumn) in(f int) reads {
	if f != envelopes {
		return c.by[f]
	}
	r := c.by[numbers]
	switch {
	case r.flink == "BYTES" && c.sql == "BIGINT UNSIGNED":
		return reads{flink: "DECIMAL(20, 0)"}
	case r.flink == "BYTES" && strings.HasPrefix(c.sql, "DECIMAL"):
		return reads{flink: c.sql}
	case strings.HasPrefix(r.flink, "TIMESTAMP_LTZ"):
		zoned := reads{flink: "STRING", sql: "DATE_FORMAT(" + c.name + ", '%Y-%m-%dT%H:%i:%s.%fZ')"} // as many digits as the column has
		if !strings.Contains(c.sql, "(6)") {
			zoned.print = iso
		}
		return zoned
	}
	return r
}

// Ways to print.
func lower(s string) string { return strings.ToLower(s) }

// escaped prints text as FlinkSQL.java does.
func escaped(s string) string {
	return strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r").Replace(s)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// latin1 has a character for each byte.
func latin1(s string) string {
	var out []rune
	for _, c := range unhex(s) {
		out = append(out, rune(c))
	}
	return escaped(string(out))
}

// little reverses the bytes of a number.
func little(s string) string {
	b := unhex(s)
	slices.Reverse(b)
	return hex.EncodeToString(b)
}

// unscaled is a decimal without its point, in two's complement of as few bytes as possible.
func unscaled(s string) string {
	n, ok := new(big.Int).SetString(strings.Replace(s, ".", "", 1), 10)
	if !ok {
		panic(s)
	}
	if n.Sign() >= 0 {
		return hex.EncodeToString(append(make([]byte, 1-min(n.BitLen()%8, 1)), n.Bytes()...))
	}
	size := new(big.Int).Not(n).BitLen()/8 + 1
	n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	return hex.EncodeToString(n.Bytes())
}

// shortest takes the zeros at the end of a fraction away.
func shortest(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// iso is a time of day with as many digits as it needs.
func iso(s string) string {
	if clock, ok := strings.CutSuffix(s, "Z"); ok {
		return shortest(clock) + "Z"
	}
	return s
}

// list prints the numbers of a vector.
func list(s string) string {
	var out []string
	for _, n := range strings.Split(strings.Trim(s, "[]"), ",") {
		f, err := strconv.ParseFloat(n, 32)
		if err != nil {
			panic(err)
		}
		digits := strconv.FormatFloat(f, 'f', -1, 32)
		if !strings.Contains(digits, ".") {
			digits += ".0"
		}
		out = append(out, digits)
	}
	return strings.Join(out, ",")
}

func all(flink, sql string) [4]reads {
	r := reads{flink: flink, sql: sql}
	return [4]reads{r, r, r, r}
}

const (
	micros = "%Y-%m-%d %H:%i:%s.%f"
	days   = "DATEDIFF(%s, '1970-01-01')"
)

// at prints a date with a time; its number since 1970 is one of so many microseconds.
func at(c string, unit int) [4]reads {
	text := reads{flink: "TIMESTAMP(6)", sql: "DATE_FORMAT(" + c + ", '" + micros + "')"}
	zoned := text
	zoned.flink = "TIMESTAMP_LTZ(6)"
	number := reads{flink: "BIGINT", sql: fmt.Sprintf("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', %s) DIV %d", c, unit)}
	if unit == 0 { // a TIMESTAMP
		number = zoned
	}
	return [4]reads{number, zoned, text, text}
}

func duration(c string, whole bool) [4]reads {
	n := reads{flink: "BIGINT", sql: fmt.Sprintf("TIME_TO_SEC(%s) * 1000000 + IF(%[1]s < 0, -1, 1) * MICROSECOND(%[1]s)", c)}
	z := reads{flink: "STRING", sql: "CONCAT(" + c + ", '.000000Z')", print: iso}
	t := reads{flink: "TIME(0)", sql: "CONCAT(" + c + ", '.000000')"}
	if !whole { // Flink drops the digits behind a second
		z.sql, t = "CONCAT("+c+", 'Z')", reads{flink: "STRING"}
	}
	return [4]reads{n, z, t, t}
}

func characters(string) [4]reads {
	r := reads{flink: "STRING", print: escaped}
	return [4]reads{r, r, r, r}
}

func octets(c string) [4]reads {
	b := reads{flink: "BYTES", sql: "HEX(" + c + ")", print: lower}
	return [4]reads{b, {flink: "STRING", sql: b.sql, print: lower}, b, {flink: "STRING", sql: b.sql, print: latin1}}
}

func decimal(c, typ string) [4]reads {
	d := reads{flink: typ}
	return [4]reads{{flink: "BYTES", print: unscaled}, d, d, d}
}

// spatial has the WKB with its SRID; a point has its coordinates too.
func spatial(c string, point bool) [4]reads {
	fields, values := "wkb BYTES, srid INT", fmt.Sprintf("LOWER(HEX(ST_AsWKB(%s, 'axis-order=long-lat'))), ',', IF(ST_SRID(%[1]s) = 0, '\\\\N', ST_SRID(%[1]s)), ')'", c)
	if point {
		fields = "x DOUBLE, y DOUBLE, " + fields
		values = fmt.Sprintf("FORMAT(ST_X(ST_SRID(%s, 0)), 1), ',', FORMAT(ST_Y(ST_SRID(%[1]s, 0)), 1), ',', ", c) + values
	}
	r := reads{flink: "ROW<" + fields + ">", sql: "CONCAT('(', " + values + ")"}
	wkt := func(s string) string { return strings.NewReplacer("(", " (", ",", ", ").Replace(s) }
	return [4]reads{r, r, {flink: "STRING", sql: "ST_AsText(" + c + ", 'axis-order=long-lat')", print: wkt}, {flink: "STRING", sql: "HEX(" + c + ")", print: latin1}}
}

// typesTable has a column of each type that Flink's SQL has a word for.
func typesTable() flinkTable {
	double, single := all("DOUBLE", ""), all("FLOAT", "CAST(f AS DOUBLE)")
	bit := all("INT", "b1 + 0")
	bit[numbers] = reads{flink: "BOOLEAN", sql: "ELT(b1 + 1, 'false', 'true')"}
	bit[texts] = bit[numbers]
	bits := all("INT", "b10 + 0")
	bits[numbers] = reads{flink: "BYTES", sql: "LPAD(HEX(b10), 4, '0')", print: little}
	bits[texts] = bits[numbers]
	date := all("DATE", "")
	date[numbers] = reads{flink: "INT", sql: fmt.Sprintf(days, "d")}
	date[texts] = reads{flink: "STRING", sql: "CONCAT(d, 'Z')"}
	big := all("DECIMAL(20, 0)", "")
	big[numbers] = reads{flink: "BYTES", print: unscaled}
	wide := [4]reads{texts: {flink: "STRING"}, flatMaxwell: {flink: "STRING", print: shortest}, flatCanal: {flink: "STRING"}}
	enum := all("STRING", "")
	enum[flatCanal] = reads{flink: "INT", sql: "e + 0"}
	// maxwell-json looks for the name of a column in the whole of "old", documents included: one with such a key, once changed, is read wrongly. The
	// documents here have no such keys.
	set := all("STRING", "")
	set[flatMaxwell] = reads{flink: "ARRAY<STRING>"}
	set[flatCanal] = reads{flink: "BIGINT", sql: "s + 0"}
	vector := all("ARRAY<FLOAT>", "")
	vector[flatCanal] = reads{flink: "STRING"}
	for i := range vector {
		vector[i].sql, vector[i].print = "VECTOR_TO_STRING(v)", list
	}
	vector[flatCanal].print = func(s string) string { return "[" + list(s) + "]" }
	return flinkTable{
		name: "types", key: "id", formats: []int{numbers, texts, flatMaxwell, flatCanal, envelopes},
		columns: []flinkColumn{
			{"id", "INT", all("INT", "")},
			{"ti", "TINYINT", all("TINYINT", "")},
			{"tu", "TINYINT UNSIGNED", all("SMALLINT", "")},
			{"si", "SMALLINT", all("SMALLINT", "")},
			{"su", "SMALLINT UNSIGNED", all("INT", "")},
			{"mi", "MEDIUMINT", all("INT", "")},
			{"mu", "MEDIUMINT UNSIGNED", all("INT", "")},
			{"i", "INT", all("INT", "")},
			{"iu", "INT UNSIGNED", all("BIGINT", "")},
			{"bi", "BIGINT", all("BIGINT", "")},
			{"bu", "BIGINT UNSIGNED", big},
			{"de", "DECIMAL(10,2)", decimal("de", "DECIMAL(10, 2)")},
			{"dl", "DECIMAL(38,10)", decimal("dl", "DECIMAL(38, 10)")},
			{"dx", "DECIMAL(65,30)", wide},
			{"f", "FLOAT", single},
			{"do", "DOUBLE", double},
			{"b1", "BIT(1)", bit},
			{"b10", "BIT(10)", bits},
			{"y", "YEAR", all("INT", "")},
			{"d", "DATE", date},
			{"t", "TIME", duration("t", true)},
			{"t6", "TIME(6)", duration("t6", false)},
			{"dt", "DATETIME", at("dt", 1000)},
			{"dt3", "DATETIME(3)", at("dt3", 1000)},
			{"dt6", "DATETIME(6)", at("dt6", 1)},
			{"ts", "TIMESTAMP NULL", at("ts", 0)},
			{"ts6", "TIMESTAMP(6) NULL", at("ts6", 0)},
			{"c", "CHAR(10)", characters("c")},
			{"vc", "VARCHAR(100)", characters("vc")},
			{"tx", "TEXT", characters("tx")},
			{"l1", "VARCHAR(20) CHARACTER SET latin1", characters("l1")},
			{"b", "BINARY(5)", octets("b")},
			{"vb", "VARBINARY(100)", octets("vb")},
			{"bl", "BLOB", octets("bl")},
			{"e", "ENUM('a','größe','c d')", enum},
			{"s", "SET('a','b','größe')", set},
			{"j", "JSON", all("STRING", "")},
			{"g", "GEOMETRY", spatial("g", false)},
			{"p", "POINT", spatial("p", true)},
			{"v", "VECTOR(3)", vector},
		},
		change: []string{
			`INSERT INTO types VALUES (1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, -99999999.99,
  -9999999999999999999999999999.9999999999, -99999999999999999999999999999999999.999999999999999999999999999999, -3.4e38, -1.7976931348623157e308,
  0, 0, 1901, '1000-01-01', '00:00:00', '00:00:00.000001', '1000-01-01 00:00:00', '1000-01-01 00:00:00.001', '1000-01-01 00:00:00.000001',
  '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', '', '', '', '', '', '', '', 'a', '', '{}', ST_GeomFromText('POINT(1 2)'),
  ST_GeomFromText('POINT(-1.5 2.5)'), TO_VECTOR('[1.5,0.75,0.5]'))`,
			`INSERT INTO types VALUES (2, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 9223372036854775807, 99999999.99,
  9999999999999999999999999999.9999999999, 99999999999999999999999999999999999.999999999999999999999999999999, 3.4e38, 1.7976931348623157e308,
  1, 513, 2155, '9999-12-31', '23:59:59', '23:59:59.999999', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999',
  '2038-01-19 03:14:07', '2038-01-19 03:14:07.499999', '😀é', '"quote" \\ back / slash', 'tab\tnl\ncr\r', 'Größe €', x'0001020000', x'ff00', x'00fffefdc3a40a',
  'größe', 'a,größe', '{"bb": 1, "a": [1, 2, {"x": null}], "ccc": true, "": "é"}', ST_GeomFromText('LINESTRING(0 0,1 1)', 4326), ST_GeomFromText('POINT(10 20)', 4326), TO_VECTOR('[-1,2,0]'))`,
			"INSERT INTO types (id) VALUES (3), (4), (5)",
			`UPDATE types SET ti = 1, de = 0.10, dl = -0.0000000001, dx = 0.5, f = 0.1, ` + "`do`" + ` = 0.1, b1 = 1, y = 2024, d = '2024-02-29', t = '12:34:56', t6 = '12:34:56.1204',
  dt = '1969-12-31 23:59:59', dt3 = '1969-12-31 23:59:59.5', dt6 = '1969-12-31 23:59:59.999999', ts = '2024-02-29 12:34:56', ts6 = '2024-02-29 12:34:56.1234', c = 'x', vc = 'y', tx = REPEAT('表', 1000), l1 = 'ÿ',
  b = 'k', vb = 'l', bl = REPEAT(x'00ff', 500), e = 'c d', s = 'b', j = '[1, "two", {"three": 3.5}]', g = ST_GeomFromText('POINT(3 4)'), p = ST_GeomFromText('POINT(5 6)'), v = TO_VECTOR('[1,2,3]') WHERE id = 3`,
			"UPDATE types SET bu = 5, vc = 'again' WHERE id = 3",
			"UPDATE types SET ti = NULL, vc = NULL, d = NULL, dt6 = NULL, j = NULL, e = NULL WHERE id = 2",
			"UPDATE types SET id = id + 100 WHERE id IN (1, 4)",
			"DELETE FROM types WHERE id = 5",
		},
	}
}

// keyedTable has rows that move, and values which only some formats can say.
func keyedTable() flinkTable {
	clock := all("STRING", "")
	clock[numbers] = duration("t", false)[numbers]
	far := all("DECIMAL(20, 0)", "")
	far[numbers] = reads{flink: "BYTES", print: unscaled}
	return flinkTable{
		name: "keyed", key: "b, a", formats: []int{numbers, flatMaxwell, flatCanal, envelopes},
		columns: []flinkColumn{{"a", "INT", all("INT", "")}, {"b", "VARCHAR(20)", all("STRING", "")}, {"t", "TIME(6)", clock}, {"n", "BIGINT UNSIGNED", far}},
		change: []string{
			"INSERT INTO keyed VALUES (1, 'x', '-838:59:59', 1), (2, 'x', '838:59:58.999999', 18446744073709551615), (3, 'y', '-00:00:00.000001', NULL), (4, 'y', '24:00:00', 4)",
			"UPDATE keyed SET a = a + 10 WHERE b = 'x'", // keys that other rows of the statement had
			"UPDATE keyed SET a = a - 9 ORDER BY a",
			"BEGIN", "DELETE FROM keyed WHERE a = 3", "INSERT INTO keyed VALUES (3, 'x', NULL, 5)", "UPDATE keyed SET n = 6, b = 'z' WHERE a = 3", "COMMIT",
			"BEGIN", "DELETE FROM keyed", "ROLLBACK",
		},
	}
}

// alteredTable has rows of before and behind statements that change it. What a column was before it had its name, or before it was there, no message says: so
// columns come without a default, and none is renamed.
func alteredTable() flinkTable {
	date := all("DATE", "")
	date[numbers] = reads{flink: "INT", sql: fmt.Sprintf(days, "first")}
	date[texts] = reads{flink: "STRING", sql: "CONCAT(first, 'Z')"}
	return flinkTable{
		name: "altered", key: "id", formats: []int{numbers, texts, flatMaxwell, flatCanal, envelopes}, made: "id INT, v INT NOT NULL, gone VARCHAR(20) NOT NULL, kept VARCHAR(20)",
		columns: []flinkColumn{{"first", "DATE", date}, {"id", "INT", all("INT", "")}, {"v", "BIGINT", all("BIGINT", "")}, {"kept", "VARCHAR(200)", all("STRING", "")}, {"more", "INT UNSIGNED", all("BIGINT", "")}},
		change: []string{
			"INSERT INTO altered VALUES (1, 10, 'x', 'one'), (2, 20, 'y', NULL), (3, 30, 'z', 'three'), (4, 40, '', 'four')",
			"UPDATE altered SET v = 11 WHERE id = 1",
			"ALTER TABLE altered ADD COLUMN more INT UNSIGNED",
			"UPDATE altered SET more = 4294967295 WHERE id = 1", "INSERT INTO altered VALUES (5, 50, 'w', 'five', 5)", "DELETE FROM altered WHERE id = 2",
			"ALTER TABLE altered DROP COLUMN gone, MODIFY v BIGINT NOT NULL, MODIFY kept VARCHAR(200)",
			"UPDATE altered SET v = 9223372036854775807 WHERE id = 3", "INSERT INTO altered VALUES (6, -9223372036854775808, REPEAT('s', 150), NULL)", "UPDATE altered SET id = 40 WHERE id = 4",
			"ALTER TABLE altered ADD COLUMN first DATE FIRST",
			"INSERT INTO altered VALUES ('2024-02-29', 7, 7, 'seven', 7)", "UPDATE altered SET first = '1969-12-31', kept = NULL WHERE id = 1", "DELETE FROM altered WHERE id = 5",
		},
	}
}

// TestFlink has Flink's own readers of the formats make tables of what the encoders write, and compares them with the source's.
func TestFlink(t *testing.T) {
	server := testbed.Start(t, testbed.MySQL97, testbed.Options{FullMetadata: true})
	dir := t.TempDir()
	session := []string{"SET NAMES utf8mb4", "SET time_zone = '+00:00'", "SET sql_mode = ''", "CREATE DATABASE flink", "USE flink"}
	tables := []flinkTable{typesTable(), keyedTable(), alteredTable()}
	for _, n := range tables {
		var columns []string
		for _, c := range n.columns {
			columns = append(columns, "`"+c.name+"` "+c.sql)
		}
		if n.made != "" {
			columns = []string{n.made}
		}
		session = append(session, "CREATE TABLE "+n.name+" ("+strings.Join(columns, ", ")+", PRIMARY KEY ("+n.key+"))")
		session = append(session, n.change...)
	}
	testbed.MustExec(t, server, session...)
	logs, err := server.BinlogFiles()
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}

	broker, schemas := testbed.SharedKafka(t, testbed.Kafka43), testbed.StartRegistry(t)
	client, err := registry.Open(registry.Config{URLs: []string{schemas.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	// The records of each table are the lines of a file, or a topic; a tombstone, which has no value, is an empty line.
	var create, query []string
	type read struct{ table, format int }
	var order []read
	for i := range flinkFormats {
		f := &flinkFormats[i]
		var enc format.Encoder
		if i == envelopes {
			enc = must(avro.New(avro.Options{Shape: avro.Envelope, Keys: true, Registrar: client, Debezium: debezium.Options{BigintUnsigned: debezium.BigintPrecise, Skipped: "t"}}))
		} else {
			enc = must(f.encoder())
		}
		records, messages := map[string][]byte{}, map[string][]kafka.Message{}
		for _, r := range encodeLog(t, enc, logs[0], "flink") {
			table := strings.TrimPrefix(r.table, "flink.")
			switch {
			case r.err != nil:
				if n := slices.IndexFunc(tables, func(n flinkTable) bool { return n.name == table }); slices.Contains(tables[n].formats, i) {
					t.Fatal(f.name, r.err)
				}
			case r.role == format.Data && i == envelopes:
				messages[table] = append(messages[table], kafka.Message{Key: r.rec.Key, Value: r.rec.Value})
			case r.role == format.Data:
				records[table] = append(append(records[table], r.rec.Value...), '\n')
			}
		}
		for j, n := range tables {
			if !slices.Contains(n.formats, i) {
				continue
			}
			name := f.name + "_" + n.name
			var with string
			if i == envelopes {
				topic := testbed.FreshTopic(t, broker)
				if err := broker.CreateTopic(t.Context(), topic, 1); err != nil {
					t.Fatal(err)
				}
				fresh := &kafka.Transport{} // the one that all share may remember that there is no such topic
				defer fresh.CloseIdleConnections()
				w := &kafka.Writer{Transport: fresh, Addr: kafka.TCP(broker.Brokers()...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
				if err := errors.Join(w.WriteMessages(t.Context(), messages[n.name]...), w.Close()); err != nil {
					t.Fatal(err)
				}
				with = fmt.Sprintf("'connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', "+f.with,
					topic, broker.Brokers()[0], schemas.URL)
			} else {
				file := filepath.Join(dir, name)
				if err := os.WriteFile(file, records[n.name], 0o644); err != nil {
					t.Fatal(err)
				}
				with = "'connector' = 'filesystem', 'path' = 'file://" + file + "', " + f.with
			}
			var columns []string
			for _, c := range n.columns {
				if r := c.in(i); r.flink != "" {
					columns = append(columns, "`"+c.name+"` "+r.flink)
				}
			}
			create = append(create, fmt.Sprintf("CREATE TABLE %s (%s) WITH (%s)", name, strings.Join(columns, ", "), with))
			query = append(query, "SELECT * FROM "+name)
			order = append(order, read{j, i})
		}
	}
	results, err := peers.FlinkSQL(t.Context(), dir, slices.Concat(create, query)...)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(order) {
		t.Fatalf("%d results of %d queries", len(results), len(order))
	}
	for q, r := range order {
		n := tables[r.table]
		t.Run(flinkFormats[r.format].name+"/"+n.name, func(t *testing.T) {
			compareFlink(t, server, n, r.format, results[q])
		})
	}
}

// compareFlink compares what a changelog ends in with the rows of the source.
func compareFlink(t *testing.T, server *testbed.Server, n flinkTable, in int, changelog []peers.FlinkRow) {
	var columns []flinkColumn
	var selected []string
	for _, c := range n.columns {
		if r := c.in(in); r.flink != "" {
			columns = append(columns, c)
			if r.sql == "" {
				r.sql = "`" + c.name + "`"
			}
			selected = append(selected, r.sql)
		}
	}
	got := map[string]peers.FlinkRow{}
	for _, r := range changelog {
		row := strings.Join(r.Fields, "\t")
		_, there := got[row]
		switch r.Kind {
		case "+I", "+U":
			if there {
				t.Errorf("%s of a row that is there: %s", r.Kind, row)
			}
			got[row] = r
		default:
			if !there {
				t.Errorf("%s of a row that is not there: %s", r.Kind, row)
			}
			delete(got, row)
		}
	}
	rows, err := server.Query(t.Context(), "SET NAMES utf8mb4", "SET time_zone = '+00:00'", "SELECT "+strings.Join(selected, ", ")+" FROM flink."+n.name+" ORDER BY "+n.key)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(got) || len(rows) == 0 {
		t.Errorf("%d rows, on the source %d", len(got), len(rows))
	}
	key := func(fields []string) (k string) {
		for i, c := range columns {
			if strings.Contains(", "+n.key+",", ", "+c.name+",") {
				k += fields[i] + "\t"
			}
		}
		return k
	}
	byKey := map[string][]string{}
	for _, r := range got {
		byKey[key(r.Fields)] = r.Fields
	}
	for _, row := range rows {
		want := make([]string, len(columns))
		for i, v := range row {
			switch show := columns[i].in(in).print; {
			case !v.Valid:
				want[i] = `\N`
			case show != nil:
				want[i] = show(v.String)
			default:
				want[i] = v.String
			}
		}
		fields := byKey[key(want)]
		if fields == nil {
			t.Errorf("no row %q", want)
			continue
		}
		for i, c := range columns {
			if !sameField(c, in, fields[i], want[i]) {
				t.Errorf("%s of %s: %s, on the source %s", c.name, key(want), fields[i], want[i])
			}
		}
	}
}

// sameField compares a field that Flink printed with what the source has.
func sameField(c flinkColumn, in int, got, want string) bool {
	if got == want {
		return true
	}
	bits := 64
	switch {
	case c.sql == "JSON":
		var a, b any
		return json.Unmarshal([]byte(got), &a) == nil && json.Unmarshal([]byte(want), &b) == nil && reflect.DeepEqual(a, b)
	case c.in(in).flink == "FLOAT":
		bits = 32
	case c.in(in).flink != "DOUBLE":
		return false
	}
	a, err1 := strconv.ParseFloat(got, bits)
	b, err2 := strconv.ParseFloat(want, bits)
	return err1 == nil && err2 == nil && a == b
}
