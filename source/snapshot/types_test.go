//go:build servers

package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/format/plain"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// typeCase is a column type with values, as SQL.
type typeCase struct {
	sql    string
	values []string
	on     func(k testbed.Kind) bool // nil is everywhere
}

func mysqlOnly(k testbed.Kind) bool   { return !k.MariaDB() }
func mariadbOnly(k testbed.Kind) bool { return k.MariaDB() }

// typeCases is every type with its edges, and all that a text might lose: digits, padding, zeros, zero dates, members that look alike.
func typeCases() []typeCase {
	var cs []typeCase
	add := func(sql string, values ...string) { cs = append(cs, typeCase{sql: sql, values: values}) }
	some := func(on func(testbed.Kind) bool, sql string, values ...string) {
		cs = append(cs, typeCase{sql: sql, values: values, on: on})
	}
	for _, n := range []struct {
		name string
		bits uint
	}{{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}} {
		low, high, all := int64(-1)<<(n.bits-1), uint64(1)<<(n.bits-1)-1, ^uint64(0)>>(64-n.bits)
		add(n.name, "0", "-1", fmt.Sprint(low), fmt.Sprint(high))
		add(n.name+" unsigned", "0", fmt.Sprint(high+1), fmt.Sprint(all))
	}
	add("int(7) zerofill", "0", "42", "12345678")
	add("decimal(10,0)", "0", "-9999999999", "1")
	add("decimal(65,30)", "0", "-0.000000000000000000000000000001", strings.Repeat("9", 35)+"."+strings.Repeat("9", 30), "0.5")
	add("decimal(5,5)", "0.00001", "-0.99999", "0")
	add("decimal(8,2) zerofill", "0", "1.5", "123456.78")
	add("float", "0", "'-0'", "-1.5", "0.1", "16777217", "16777216", "1234567.8", "123456.7", "3.4028234e38", "1.17549435e-38", "1e-45", "0.30000001", "9.9999999e9", "1e15")
	add("float(7,3)", "0", "1.0005", "-1234.5678", "0.001")
	add("float unsigned", "0.1", "8388609.5")
	add("double", "0", "'-0'", "0.1", "0.30000000000000004", "123456789012345678", "1.7976931348623157e308", "2.2250738585072014e-308", "4.9e-324", "-1e100", "1e15", "1e-16", "5e-5")
	add("double(12,4)", "0", "1.00005", "-12345678.12345")
	for _, n := range []uint{1, 7, 8, 9, 33, 64} {
		add(fmt.Sprintf("bit(%d)", n), "0", "1", fmt.Sprint(^uint64(0)>>(64-n)))
	}
	add("year", "'0000'", "1901", "2000", "2155")
	add("date", "'0000-00-00'", "'2024-00-00'", "'2024-02-00'", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'0001-01-01'")
	for fsp := range 7 {
		add(fmt.Sprintf("time(%d)", fsp), "'0'", "'12:34:56.789012'", "'-12:34:56.789012'", "'838:59:59'", "'-838:59:59'", "'-00:00:00.999999'", "'-00:00:00.000001'", "'100:00:00.01'")
		add(fmt.Sprintf("datetime(%d)", fsp), "'0000-00-00'", "'2024-00-00 01:02:03'", "'1000-01-01'", "'9999-12-31 23:59:59'", "'2024-02-29 12:34:56.789012'", "'2024-02-29 00:00:00.000001'")
		add(fmt.Sprintf("timestamp(%d)", fsp), "'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-02-29 12:34:56.789012'", "'2024-02-29 12:34:56.05'")
	}
	text := []string{"''", "'a'", "'trailing  '", "'häß'", "'¥€‰'", "'表 한 я Ω ж ć'", `'\\ '' " \n \0 x'`, "' lead'"}
	for _, name := range charset.Names() {
		if name == "binary" {
			continue
		}
		on := func(testbed.Kind) bool { return true }
		if name == "gb18030" {
			on = mysqlOnly
		}
		spelled := strings.Replace(name, "utf8mb3", "utf8", 1)
		some(on, "varchar(80) character set "+spelled, text...)
		some(on, "char(60) character set "+spelled, text...)
	}
	add("varchar(300) character set utf8mb4", append(slices.Clone(text), "repeat('😀',300)")...)
	// Bytes that are no text in the character set: a client that names its own character set can store them.
	add("varchar(20) character set utf8mb4", "'表😀'", "x'c3a4'")
	add("varchar(20) character set sjis", "_sjis x'83e5'", "_sjis x'8140'", "'ﾊﾝｶｸ'")
	add("varchar(20) character set latin1", "_latin1 x'80819e'", "_latin1 x'ff00fe'")
	for _, size := range []string{"tiny", "", "medium", "long"} {
		add(size+"text character set utf8mb4", append(slices.Clone(text), "'表😀'")...)
		add(size+"text character set latin1", "'häß'", "''")
		add(size+"blob", "''", "x'00ff'", "x'61620000'", "repeat('x',200)")
	}
	add("binary(5)", "''", "'a'", "x'6100620000'", "x'0000000000'", "'abcde'", "'a  '", "x'6120'")
	add("binary(255)", "''", "repeat('x',255)")
	add("varbinary(300)", "''", "x'00ff00'", "repeat('x',300)", "'a  '", "x'6100'")
	add("enum('a','b','c')", "'a'", "'c'", "'no such'")
	add("enum('','x','0','1','ä')", "''", "'x'", "'0'", "'1'", "'ä'", "'no such'")
	var many []string
	for i := range 300 {
		many = append(many, "'m"+strconv.Itoa(i)+"'")
	}
	add("enum("+strings.Join(many, ",")+")", "'m0'", "'m299'", "'no such'")
	add("set('a','b','c')", "''", "'a'", "'a,c'", "'no such'")
	add("set("+strings.Join(many[:64], ",")+")", "'m63'", "18446744073709551615", "9223372036854775809", "9007199254740993")
	docs := []string{
		"'null'", "'true'", "'[]'", "'{}'", `'"text"'`, "'-1'", "'65536'", "'18446744073709551615'", "'1.5'", "'1e100'", "'[1, -2, 3.25, \"x\", null, true, false]'",
		`'{"b": 1, "aa": [1, {"x": {}}], "a": "y", "": 0}'`, `'"esc \\" \\\\ \\/ \\b\\f\\n\\r\\t \\u0001 \\u001f \\u007f é 表 😀"'`,
		"json_array(cast('2020-01-02 03:04:05.123' as datetime(6)), cast('2020-01-02' as date), cast('-838:59:59' as time), cast(1.50 as decimal(10,3)))",
		"json_array(x'6162', repeat('x',300), repeat('y',70000))", "json_object('k', repeat('z',66000), 'n', 70000)",
	}
	some(mysqlOnly, "json", docs...)
	some(mariadbOnly, "json", "'null'", `'{"b":  1, "ä": "表"}'`)
	add("geometry", "st_geomfromtext('POINT(1 2)')", "st_geomfromtext('POINT(1 2)', 4326)", "st_geomfromtext('POLYGON((0 0,1 0,1 1,0 0))')")
	add("point", "st_geomfromtext('POINT(-1.5 2)')")
	some(func(k testbed.Kind) bool { return k == testbed.MySQL97 }, "vector(3)", "string_to_vector('[1,-2.5,3e10]')")
	some(func(k testbed.Kind) bool { return k == testbed.MariaDB118 }, "vector(3)", "vec_fromtext('[1,-2.5,3e10]')")
	some(mariadbOnly, "uuid", "'00112233-4455-1677-8899-aabbccddeeff'", "'00112233-4455-4677-8899-aabbccddeeff'", "'00112233-4455-7677-8899-aabbccddeeff'",
		"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'20202020-2020-4020-8020-202020202020'")
	some(mariadbOnly, "inet6", "'::'", "'::1'", "'::ffff:1.2.3.4'", "'::1.2.3.4'", "'1:0:0:2:0:0:0:3'", "'fe80::1'")
	some(mariadbOnly, "inet4", "'0.0.0.0'", "'255.255.255.255'", "'32.32.32.32'")
	some(mariadbOnly, "varchar(4000) compressed character set latin1", "''", "'short'", "repeat('ß',2000)")
	some(mariadbOnly, "mediumblob compressed", "''", "x'00ff'", "repeat('x',2000)")
	return cs
}

// Rows of every type come out of a snapshot, of either way, as they come out of the binlog: cell by cell the same.
func TestRowsAreThoseOfTheStream(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) { compareTypes(t, k) })
	}
}

func compareTypes(t *testing.T, k testbed.Kind) {
	s := testbed.Shared(t, k)
	db := testbed.FreshDB(t, s)
	statements := []string{"SET NAMES utf8mb4", "SET sql_mode=''", "USE " + db}
	var tables []string
	var rows []string
	for i, c := range typeCases() {
		if c.on != nil && !c.on(k) {
			continue
		}
		name := fmt.Sprintf("t%03d", i)
		tables = append(tables, name)
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s (id int primary key, v %s NULL)", name, c.sql))
		for n, v := range append(slices.Clone(c.values), "NULL") {
			rows = append(rows, fmt.Sprintf("INSERT IGNORE INTO %s VALUES (%d, %s)", name, n, v))
		}
	}
	statements = append(statements,
		"CREATE TABLE columns (a int, b int, v int AS (a+b) VIRTUAL, `s``t` int AS (a*b) STORED, c varchar(10) collate utf8mb4_bin, primary key (b, a))")
	rows = append(rows, "INSERT INTO columns (a, b, c) VALUES (1, 2, 'x'), (3, 4, NULL)")
	tables = append(tables, "columns")
	switch {
	case k == testbed.MySQL97:
		statements = append(statements, "CREATE TABLE hidden (a int primary key, b int INVISIBLE, c int, key ((c+1)))", "SET sql_generate_invisible_primary_key=ON",
			"CREATE TABLE made (a int)", "SET sql_generate_invisible_primary_key=OFF")
		rows = append(rows, "INSERT INTO hidden (a, b, c) VALUES (1, 2, 3)", "INSERT INTO made VALUES (1), (1)")
		tables = append(tables, "hidden", "made")
	case k.MariaDB():
		statements = append(statements, "CREATE TABLE hidden (a int primary key, b int INVISIBLE, c text, unique (c)) WITH SYSTEM VERSIONING",
			"CREATE TABLE own (a int primary key, x timestamp(6) generated always as row start, y timestamp(6) generated always as row end, period for system_time(x, y)) WITH SYSTEM VERSIONING")
		rows = append(rows, "INSERT INTO hidden (a, b, c) VALUES (1, 2, 'x')", "INSERT INTO own (a) VALUES (7)")
		tables = append(tables, "hidden", "own")
	}
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(list []string) {
		for _, q := range list {
			if _, err := testbed.QueryConn(t.Context(), conn, q); err != nil {
				t.Errorf("%.200s: %v", q, err)
			}
		}
	}
	exec(statements)
	sel := selector(t, db+".%")
	binlog := stream(t, s, sel)
	exec(rows)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".the_end (id int primary key)", "INSERT INTO "+db+".the_end VALUES (1)")

	formats := encoders(t, k)
	want := map[string]shown{}
	until(t, binlog, func(b *event.Batch) bool {
		over := false
		for i := range b.Changes {
			over = over || b.Tables[b.Changes[i].Table].Name == "the_end"
		}
		collect(t, want, formats, b, event.Insert)
		return over
	})
	for name, open := range map[string]func() copier{
		"chunks":  func() copier { return begin(t, s, db+".%") },
		"classic": func() copier { return beginClassic(t, s, Lock{}, db+".%") },
	} {
		got := map[string]shown{}
		until(t, open(), func(b *event.Batch) bool {
			collect(t, got, formats, b, event.Read)
			return ended(b)
		})
		if len(got) != len(want) || len(got) < len(tables) {
			t.Errorf("%s: %d rows of the snapshot, %d of the stream", name, len(got), len(want))
		}
		for id, w := range want {
			g, ok := got[id]
			if !ok {
				t.Errorf("%s: %s is missing", name, id)
				continue
			}
			for i := range w.cells {
				if i < len(g.cells) && g.cells[i] == w.cells[i] {
					continue
				}
				t.Errorf("%s: %s column %s: snapshot %.200s, stream %.200s", name, id, w.columns[i], g.cells[i], w.cells[i])
			}
		}
	}
}

// shown is a row with everything that a cell says, and what each format makes of it.
type shown struct{ columns, cells []string }

// encoders are those of all formats.
func encoders(t *testing.T, k testbed.Kind) map[string]format.Encoder {
	t.Helper()
	d, err := debezium.New(debezium.Options{Connector: flavorOf(k).String(), Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	m, err := maxwell.New(maxwell.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := canal.New(canal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]format.Encoder{"plain": plain.New(plain.Options{Keys: true}), "debezium": d, "maxwell": m, "canal": c}
}

// encoded gives the row that a format writes of a change.
func encoded(t *testing.T, name string, e format.Encoder, b *event.Batch, i int) string {
	t.Helper()
	var out format.Out
	if err := e.Change(&out, b, i); err != nil {
		if f, ok := fault.As(err); ok {
			return f.Text // without the place, which is another
		}
		return err.Error()
	}
	var v struct {
		After   json.RawMessage `json:"after"`
		Data    json.RawMessage `json:"data"`
		Payload struct {
			After json.RawMessage `json:"after"`
		} `json:"payload"`
	}
	value := out.Bytes(out.Recs[0].Value)
	if err := json.Unmarshal(value, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	row := string(v.After) + string(v.Data) + string(v.Payload.After)
	if row == "" {
		t.Fatalf("%s: no row in %s", name, value)
	}
	return row + " key " + string(out.Bytes(out.Recs[0].Key))
}

func collect(t *testing.T, into map[string]shown, formats map[string]format.Encoder, b *event.Batch, op event.Op) {
	t.Helper()
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Op != op {
			continue
		}
		table, row := b.Tables[c.Table], b.After(i)
		var x shown
		key := ""
		for k := range table.Columns {
			col := &table.Columns[k]
			x.columns = append(x.columns, col.Name+" "+col.ColumnType())
			if col.Hidden && col.Type == schemas.BigInt { // no query gives a hash that the server keeps for itself
				x.cells = append(x.cells, "a hash")
				continue
			}
			x.cells = append(x.cells, show(t, row, row.Cells[k], col))
		}
		for _, k := range table.PrimaryKey {
			key += " " + string(celltext.Text(nil, row.Cells[k], row, &table.Columns[k]))
		}
		if !slices.ContainsFunc(table.Columns, func(c schemas.Column) bool { return c.Hidden }) {
			for _, name := range []string{"plain", "debezium", "maxwell", "canal"} {
				x.columns = append(x.columns, "in "+name)
				x.cells = append(x.cells, encoded(t, name, formats[name], b, i))
			}
		}
		into[table.Name+key] = x
	}
}

func show(t *testing.T, r event.Row, c event.Cell, col *schemas.Column) string {
	t.Helper()
	switch {
	case c.Kind() == event.JSONBinary:
		text, err := jsonbin.AppendText(nil, r.Bytes(c), jsonbin.MaxText)
		if err != nil {
			t.Fatal(err)
		}
		return "json " + string(text)
	case c.Kind() == event.JSON: // the binary form cannot be asked for
		return "json " + string(r.Bytes(c))
	case c.Kind().InArena():
		return fmt.Sprintf("%s/%d %q", c.Kind(), c.Flags(), r.Bytes(c))
	}
	return fmt.Sprintf("%s/%d %#x %s", c.Kind(), c.Flags(), c.Uint64(), celltext.Text(nil, c, r, col))
}
