package format_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

var rewrite = flag.Bool("rewrite", false, "write docs/formats.md and the golden files anew")

// page is the page of the manual whose tables this test makes and holds to what the encoders do.
const page = "../docs/formats.md"

// example is a line of the table of types.
type example struct {
	sql   string // type, as in a definition
	value string // as SQL
	col   schemas.Column
	v     batchtest.Value
}

func text(t schemas.Type, n uint32) schemas.Column {
	return schemas.Column{Type: t, Length: n, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"}
}

func examples() []example {
	civil := event.Civil{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5}
	with := func(micro int) batchtest.Value {
		c := civil
		c.Micro = micro
		return batchtest.DateTime(c)
	}
	const at = 1704164645000000
	integer := func(t schemas.Type) schemas.Column { return schemas.Column{Type: t} }
	unsigned := func(t schemas.Type) schemas.Column { return schemas.Column{Type: t, Unsigned: true} }
	fsp := func(t schemas.Type, n uint8) schemas.Column { return schemas.Column{Type: t, Fsp: n} }
	spatial := func(k schemas.GeometryKind) schemas.Column {
		return schemas.Column{Type: schemas.Geometry, Geometry: k}
	}
	point := batchtest.Arena(event.Geometry, batchtest.GeometryText(1, 4326))
	sizes := []string{"red", "green", "blue"}
	all := []example{
		{"TINYINT", "-128", integer(schemas.TinyInt), batchtest.Int(-128)},
		{"TINYINT UNSIGNED", "255", unsigned(schemas.TinyInt), batchtest.Uint(255)},
		{"TINYINT(1), BOOLEAN", "1", schemas.Column{Type: schemas.TinyInt, Width: 1}, batchtest.Int(1)},
		{"SMALLINT", "-32768", integer(schemas.SmallInt), batchtest.Int(-32768)},
		{"SMALLINT UNSIGNED", "65535", unsigned(schemas.SmallInt), batchtest.Uint(65535)},
		{"MEDIUMINT", "-8388608", integer(schemas.MediumInt), batchtest.Int(-8388608)},
		{"MEDIUMINT UNSIGNED", "16777215", unsigned(schemas.MediumInt), batchtest.Uint(16777215)},
		{"INT", "-2147483648", integer(schemas.Int), batchtest.Int(-2147483648)},
		{"INT UNSIGNED", "4294967295", unsigned(schemas.Int), batchtest.Uint(4294967295)},
		{"BIGINT", "-9223372036854775808", integer(schemas.BigInt), batchtest.Int(-9223372036854775808)},
		{"BIGINT UNSIGNED", "9223372036854775807", unsigned(schemas.BigInt), batchtest.Uint(9223372036854775807)},
		{"DECIMAL(10,2), NUMERIC", "-1234.50", schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 2}, batchtest.Decimal("-1234.50")},
		{"FLOAT", "3.14", integer(schemas.Float), batchtest.Float(3.14)},
		{"FLOAT(7,3)", "3.14", schemas.Column{Type: schemas.Float, Precision: 7, Scale: 3}, batchtest.Float(3.14)},
		{"DOUBLE, REAL", "1e10", integer(schemas.Double), batchtest.Double(1e10)},
		{"BIT(1)", "b'1'", schemas.Column{Type: schemas.Bit, Length: 1}, batchtest.Num(event.Bits, 1)},
		{"BIT(10)", "b'1000000001'", schemas.Column{Type: schemas.Bit, Length: 10}, batchtest.Num(event.Bits, 513)},
		{"YEAR", "2024", integer(schemas.Year), batchtest.Num(event.Year, 2024)},
		{"DATE", "2024-01-02", integer(schemas.Date), batchtest.Date(2024, 1, 2)},
		{"TIME", "-838:59:59", integer(schemas.Time), batchtest.Num(event.Time, -3020399000000)},
		{"TIME(6)", "03:04:05.123456", fsp(schemas.Time, 6), batchtest.Num(event.Time, 11045123456)},
		{"DATETIME", "2024-01-02 03:04:05", integer(schemas.DateTime), with(0)},
		{"DATETIME(3)", "2024-01-02 03:04:05.123", fsp(schemas.DateTime, 3), with(123000)},
		{"DATETIME(6)", "2024-01-02 03:04:05.123456", fsp(schemas.DateTime, 6), with(123456)},
		{"TIMESTAMP", "2024-01-02 03:04:05", integer(schemas.Timestamp), batchtest.Num(event.Timestamp, at)},
		{"TIMESTAMP(3)", "2024-01-02 03:04:05.120", fsp(schemas.Timestamp, 3), batchtest.Num(event.Timestamp, at+120000)},
		{"CHAR, VARCHAR", `'naïve "x"'`, text(schemas.VarChar, 20), batchtest.Text(`naïve "x"`)},
		{"TINYTEXT to LONGTEXT", "'a\\nb'", text(schemas.Text, 0), batchtest.Text("a\nb")},
		{"BINARY(4)", "x'FBFF'", schemas.Column{Type: schemas.Binary, Length: 4}, batchtest.Bytes("\xfb\xff\x00\x00")},
		{"VARBINARY", "x'FBFF'", schemas.Column{Type: schemas.VarBinary, Length: 10}, batchtest.Bytes("\xfb\xff")},
		{"TINYBLOB to LONGBLOB", "x'00FF'", integer(schemas.Blob), batchtest.Bytes("\x00\xff")},
		{"ENUM('red','green','blue')", "'green'", schemas.Column{Type: schemas.Enum, Members: sizes}, batchtest.Num(event.Enum, 2)},
		{"SET('red','green','blue')", "'red,blue'", schemas.Column{Type: schemas.Set, Members: sizes}, batchtest.Num(event.SetBits, 5)},
		{"JSON (MySQL)", `'{"a": [1, null]}'`, integer(schemas.JSON), batchtest.JSON(`{"a": [1, null]}`)},
		{"JSON (MariaDB)", `'{"a":1}'`, text(schemas.LongText, 0), batchtest.Text(`{"a":1}`)},
		{"POINT", "(1.5, -2.25), SRID 4326", spatial(1), point},
		{"GEOMETRY and the other spatial types", "the same, SRID 0", spatial(0), batchtest.Arena(event.Geometry, batchtest.GeometryText(1, 0))},
		{"VECTOR(3)", "[1.5,0.75,0.5]", schemas.Column{Type: schemas.Vector, Length: 3}, batchtest.Arena(event.Vector, "\x00\x00\xc0\x3f\x00\x00\x40\x3f\x00\x00\x00\x3f")},
		{"UUID (MariaDB)", "'123e4567-…'", integer(schemas.UUID), batchtest.Arena(event.UUID, "\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x55\x44\x00\x00")},
		{"INET6 (MariaDB)", "'2001:db8::1'", integer(schemas.INET6), batchtest.Arena(event.INET6, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")},
		{"INET4 (MariaDB)", "'192.0.2.1'", integer(schemas.INET4), batchtest.Arena(event.INET4, "\xc0\x00\x02\x01")},
	}
	for i := range all {
		all[i].col.Name = "c"
	}
	return all
}

// insertOf encodes the insert of one value; code is that of the error, where there was one.
func insertOf(t *testing.T, e format.Encoder, col schemas.Column, v batchtest.Value) (record []byte, code string) {
	t.Helper()
	col.Name = "c"
	tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{col}}
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, v).Batch()
	var out format.Out
	if err := e.Change(&out, b, 0); err != nil {
		f, ok := fault.As(err)
		if !ok {
			t.Fatal(err)
		}
		return nil, "error " + f.Code.String()
	}
	return out.Buf, ""
}

// encode gives the JSON of one value in the after image of an insert, or the code of the error; "left out" where it is not there.
func encode(t *testing.T, e format.Encoder, col schemas.Column, v batchtest.Value) (value, logical string) {
	t.Helper()
	record, code := insertOf(t, e, col, v)
	if code != "" {
		return code, ""
	}
	var m struct {
		Schema struct {
			Fields []struct {
				Fields []struct{ Type, Name string }
			}
		}
		Payload        struct{ After map[string]json.RawMessage }
		After, Partial map[string]json.RawMessage
	}
	if err := json.Unmarshal(record, &m); err != nil {
		t.Fatal(err)
	}
	if m.Payload.After != nil {
		m.After = m.Payload.After
	}
	if len(m.Schema.Fields) > 1 {
		f := m.Schema.Fields[1].Fields[0]
		logical = f.Type
		if f.Name != "" {
			logical += " " + f.Name
		}
	}
	if x, ok := m.Partial["c"]; ok {
		return "in partial: " + string(x), logical
	}
	x, ok := m.After["c"]
	if !ok {
		return "left out", logical
	}
	return string(x), logical
}

func newDebezium(t *testing.T, o debezium.Options) format.Encoder {
	t.Helper()
	e, err := debezium.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// md is a table of Markdown.
type md struct{ b strings.Builder }

func (m *md) row(cells ...string) {
	for _, c := range cells {
		m.b.WriteString("| " + strings.ReplaceAll(c, "|", "\\|") + " ")
	}
	m.b.WriteString("|\n")
}

func (m *md) head(cells ...string) {
	m.row(cells...)
	m.b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}

func code(s string) string {
	if s == "left out" || strings.HasPrefix(s, "error ") || s == "" {
		return s
	}
	if rest, ok := strings.CutPrefix(s, "in partial: "); ok {
		return "in partial: `" + rest + "`"
	}
	return "`" + s + "`"
}

func typesTable(t *testing.T) string {
	deb, sch, pl := newDebezium(t, debezium.Options{}), newDebezium(t, debezium.Options{Schemas: true}), plain.New(plain.Options{})
	var m md
	m.head("type", "value", "debezium", "its inline schema", "plain")
	for _, x := range examples() {
		a, _ := encode(t, deb, x.col, x.v)
		with, logical := encode(t, sch, x.col, x.v)
		if a != with {
			t.Errorf("%s is %s with the schema and %s without", x.sql, with, a)
		}
		b, _ := encode(t, pl, x.col, x.v)
		m.row(x.sql, "`"+x.value+"`", code(a), code(logical), code(b))
	}
	return m.b.String()
}

func modesTable(t *testing.T) string {
	var m md
	m.head("setting", "type", "value", "debezium", "its inline schema")
	find := func(sql string) example {
		for _, x := range examples() {
			if x.sql == sql {
				return x
			}
		}
		t.Fatal("no example of " + sql)
		return example{}
	}
	add := func(setting string, o debezium.Options, sqls ...string) {
		o.Schemas = true
		e := newDebezium(t, o)
		for _, s := range sqls {
			x := find(s)
			got, logical := encode(t, e, x.col, x.v)
			m.row("`"+setting+"`", x.sql, "`"+x.value+"`", code(got), code(logical))
		}
	}
	for _, d := range []debezium.DecimalMode{debezium.DecimalPrecise, debezium.DecimalString, debezium.DecimalDouble} {
		add("decimal_handling_mode: "+string(d), debezium.Options{Decimal: d}, "DECIMAL(10,2), NUMERIC")
	}
	for _, d := range []debezium.BigintUnsignedMode{debezium.BigintLong, debezium.BigintPrecise} {
		add("bigint_unsigned_handling_mode: "+string(d), debezium.Options{BigintUnsigned: d}, "BIGINT UNSIGNED")
	}
	for _, d := range []debezium.TimeMode{debezium.TimeAdaptive, debezium.TimeConnect, debezium.TimeISO, debezium.TimeMicros, debezium.TimeNanos} {
		add("time_precision_mode: "+string(d), debezium.Options{Time: d}, "DATE", "TIME", "TIME(6)", "DATETIME(3)", "DATETIME(6)", "TIMESTAMP(3)")
	}
	for _, d := range []debezium.BinaryMode{debezium.BinaryBytes, debezium.BinaryBase64, debezium.BinaryBase64URL, debezium.BinaryHex} {
		add("binary_handling_mode: "+string(d), debezium.Options{Binary: d}, "VARBINARY")
	}
	return m.b.String()
}

func edgesTable(t *testing.T) string {
	var m md
	m.head("situation", "setting of debezium", "debezium", "plain")
	pl := plain.New(plain.Options{})
	add := func(what string, col schemas.Column, v batchtest.Value, settings ...any) {
		b, _ := encode(t, pl, col, v)
		if len(settings) == 0 {
			settings = []any{"", debezium.Options{}}
		}
		for i := 0; i < len(settings); i += 2 {
			a, _ := encode(t, newDebezium(t, settings[i+1].(debezium.Options)), col, v)
			set := settings[i].(string)
			if set != "" {
				set = "`" + set + "`"
			}
			m.row(what, set, code(a), code(b))
		}
	}
	null := func(c schemas.Column) schemas.Column {
		c.Nullable = true
		return c
	}
	i, s := schemas.Column{Type: schemas.Int}, text(schemas.VarChar, 20)
	date, dt, ts := schemas.Column{Type: schemas.Date}, schemas.Column{Type: schemas.DateTime}, schemas.Column{Type: schemas.Timestamp}
	add("NULL, whatever the column's default", null(s), batchtest.Null())
	absent := []any{
		"absent: placeholder",
		debezium.Options{},
		"absent: placeholder, schemas_enable: true",
		debezium.Options{Schemas: true},
		"absent: omit",
		debezium.Options{Absent: debezium.AbsentOmit},
		"absent: error",
		debezium.Options{Absent: debezium.AbsentError},
	}
	add("text that the row image leaves out", s, batchtest.Absent(), absent...)
	add("BLOB that the row image leaves out", schemas.Column{Type: schemas.Blob}, batchtest.Absent(), absent...)
	add("JSON that the row image leaves out", schemas.Column{Type: schemas.JSON}, batchtest.Absent(), absent...)
	add("any other column that the row image leaves out", i, batchtest.Absent(), absent...)
	zero := func() (all []any) {
		for _, z := range []debezium.ZeroDatePolicy{debezium.ZeroDateError, debezium.ZeroDateNull, debezium.ZeroDateEpoch, debezium.ZeroDateDebezium} {
			all = append(all, "zero_dates: "+string(z), debezium.Options{ZeroDates: z})
		}
		return all
	}()
	add("DATE NULL '0000-00-00'", null(date), batchtest.Date(0, 0, 0), zero...)
	add("DATE NOT NULL '0000-00-00'", date, batchtest.Date(0, 0, 0), zero...)
	add("DATE NOT NULL '2024-00-00'", date, batchtest.Date(2024, 0, 0), zero...)
	add("DATE NOT NULL '2024-02-30' (ALLOW_INVALID_DATES)", date, batchtest.Date(2024, 2, 30), zero...)
	add("DATETIME NULL '0000-00-00 00:00:00'", null(dt), batchtest.DateTime(event.Civil{}), zero...)
	add("DATETIME NOT NULL '0000-00-00 00:00:00'", dt, batchtest.DateTime(event.Civil{}), zero...)
	add("TIMESTAMP NULL '0000-00-00 00:00:00'", null(ts), batchtest.ZeroTimestamp(), zero...)
	add("YEAR 0", schemas.Column{Type: schemas.Year}, batchtest.Num(event.Year, 0))
	add("BIGINT UNSIGNED 18446744073709551615", schemas.Column{Type: schemas.BigInt, Unsigned: true}, batchtest.Uint(1<<64-1),
		"bigint_unsigned_handling_mode: long", debezium.Options{}, "bigint_unsigned_handling_mode: precise", debezium.Options{BigintUnsigned: debezium.BigintPrecise})
	add("text with the byte FF, not valid in utf8mb4", s, batchtest.RawText("a\xff"),
		"invalid_text: error", debezium.Options{}, "invalid_text: replace", debezium.Options{Text: debezium.TextReplace})
	e := schemas.Column{Type: schemas.Enum, Members: []string{"", "a,b"}}
	add("ENUM, the error value (index 0)", e, batchtest.Num(event.Enum, 0))
	add("ENUM, the empty member", e, batchtest.Num(event.Enum, 1))
	add("ENUM, a member with a comma", e, batchtest.Num(event.Enum, 2))
	add("JSON updated in part (PARTIAL_JSON)", schemas.Column{Type: schemas.JSON}, batchtest.Arena(event.JSONDiff, "\x00\x03$.a\x03\x05\x07\x00"))
	return m.b.String()
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("%s, line %d (go test -rewrite writes it anew):\n%s", name, i+1, a[i])
			}
		}
		t.Fatalf("%s is longer", name)
	}
}

// TestPage sees that every example in the manual is what the encoders write.
func TestPage(t *testing.T) {
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(old)
	for name, table := range map[string]string{
		"types": typesTable(t), "modes": modesTable(t), "edges": edgesTable(t), "flat-types": flatTypesTable(t), "avro-types": avroTypesTable(t), "flat-edges": flatEdgesTable(t),
		"maxwell-messages": maxwellMessages(t), "canal-messages": canalMessages(t),
	} {
		block := regexp.MustCompile(`(?s)(<!-- ` + name + `: [^\n]* -->\n).*?(<!-- end -->)`)
		if !block.MatchString(got) {
			t.Fatalf("%s has no block %s", page, name)
		}
		got = block.ReplaceAllStringFunc(got, func(s string) string {
			p := block.FindStringSubmatch(s)
			return p[1] + table + p[2]
		})
	}
	golden(t, page, []byte(got))
}

// TestGolden holds whole records of both formats, with keys and inline schemas, in a file for each.
func TestGolden(t *testing.T) {
	tab := batchtest.AllTypes()
	row := func(n int) []batchtest.Value {
		vs := make([]batchtest.Value, len(tab.Columns))
		for i := range vs {
			e := batchtest.Edges(&tab.Columns[i])
			vs[i] = e[n%len(e)]
		}
		vs[0] = batchtest.Uint(uint64(n))
		return vs
	}
	w := batchtest.NewWriter(nil)
	w.Begin(batchtest.Txn(7)).Group(event.GroupStatementEnd, "insert into `all` values (...)")
	w.Insert(tab, row(1)...).Insert(tab, row(2)...).Group(event.GroupStatementEnd, "").Update(tab, row(1), append([]batchtest.Value{batchtest.Uint(1)}, row(3)[1:]...))
	w.Begin(batchtest.Txn(8)).Update(tab, row(1), row(4)).Delete(tab, row(4)...).Change(event.Truncate, tab, nil, nil).Change(event.Read, tab, nil, row(5))
	b := w.Batch()
	b.Received = batchtest.Commit + 50_000
	ddl := batchtest.NewWriter(nil).Begin(batchtest.Txn(9)).Batch()
	ddl.Received = b.Received
	ddl.DDL = &schemas.DDL{
		Statement: schemas.Statement{Text: "CREATE TABLE `all` (...)", Database: "types", SQLMode: 1168113696, ClientCollation: 255},
		Kind:      schemas.CreateTable, Names: []schemas.Name{{Database: "types", Table: "all"}},
		Entries: []schemas.Entry{{Kind: schemas.PutTable, Name: schemas.Name{Database: "types", Table: "all"}, Table: tab}},
	}
	for name, e := range map[string]format.Encoder{
		"debezium":        newDebezium(t, debezium.Options{Keys: true, Query: true, Transaction: true}),
		"debezium-schema": newDebezium(t, debezium.Options{Keys: true, Schemas: true, TopicPrefix: "prod", Connector: "mariadb"}),
		"plain":           plain.New(plain.Options{Keys: true, Query: true}),
	} {
		var out format.Out
		for i := range b.Changes {
			if err := e.Change(&out, b, i); err != nil {
				t.Fatal(name, err)
			}
		}
		if err := e.DDL(&out, ddl); err != nil {
			t.Fatal(name, err)
		}
		var g bytes.Buffer
		for i := range out.Recs {
			r := &out.Recs[i]
			fmt.Fprintf(&g, "change %d tombstone %v\nkey %s\npeer %s\nvalue %s\n\n", r.Change, r.Tombstone, out.Bytes(r.Key), out.Bytes(r.Peer), out.Bytes(r.Value))
			for _, s := range []format.Span{r.Key, r.Peer, r.Value} {
				if !s.Empty() && !json.Valid(out.Bytes(s)) {
					t.Errorf("%s: not JSON: %s", name, out.Bytes(s))
				}
			}
		}
		golden(t, "testdata/"+name+".golden", g.Bytes())
	}
}
