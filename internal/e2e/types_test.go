//go:build servers

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// column is a type with values, and how the plain format says what SELECT shows.
type column struct {
	sql    string
	values []string
	same   func(json string, shown string) bool
	show   string                    // expression of SELECT, with c for the column; default c
	on     func(k testbed.Kind) bool // default: everywhere
}

func exact(j, shown string) bool  { return j == shown }
func quoted(j, shown string) bool { return unquote(j) == shown }
func clock(j, shown string) bool  { return unquote(j) == strings.Replace(shown, " ", "T", 1) }
func zoned(j, shown string) bool  { return unquote(j) == strings.Replace(shown, " ", "T", 1)+"Z" }
func number64(j, shown string) bool {
	a, aerr := strconv.ParseFloat(j, 64)
	b, berr := strconv.ParseFloat(shown, 64)
	return aerr == nil && berr == nil && a == b
}

func number32(j, shown string) bool {
	a, aerr := strconv.ParseFloat(j, 32)
	b, berr := strconv.ParseFloat(shown, 32)
	return aerr == nil && berr == nil && a == b
}

func bytes64(j, shown string) bool {
	b, err := base64.StdEncoding.DecodeString(unquote(j))
	return err == nil && string(b) == shown
}

func floats(j, shown string) bool {
	var a, b []float32
	return json.Unmarshal([]byte(j), &a) == nil && json.Unmarshal([]byte(shown), &b) == nil && slices.Equal(a, b)
}

func spatial(j, shown string) bool {
	var v struct {
		SRID int    `json:"srid"`
		WKB  []byte `json:"wkb"`
	}
	return json.Unmarshal([]byte(j), &v) == nil && fmt.Sprintf("%d %X", v.SRID, v.WKB) == shown
}

func unquote(j string) string {
	var s string
	if json.Unmarshal([]byte(j), &s) != nil {
		return "not text: " + j
	}
	return s
}

func mysqlOnly(k testbed.Kind) bool   { return !k.MariaDB() }
func mariadbOnly(k testbed.Kind) bool { return k.MariaDB() }

// columns is every type.
func columns() []column {
	text := []string{"''", "'plain'", "'häß 표 😀'", "'\"quoted\\\\ \\n'"}
	list := []column{
		{sql: "decimal(65,30)", values: []string{"0", "-0.5", "99999999999999999999999999999999999.999999999999999999999999999999"}, same: quoted},
		{sql: "decimal(10,0) unsigned", values: []string{"0", "9999999999"}, same: quoted},
		{sql: "float", values: []string{"0", "-1.5", "0.25", "16777216"}, same: number32, show: "c + 0e0"},
		{sql: "double", values: []string{"0", "1e100", "-12345.678901234567", "0.30000000000000004"}, same: number64},
		{sql: "bit(1)", values: []string{"0", "1"}, same: exact, show: "c+0"},
		{sql: "bit(64)", values: []string{"0", "18446744073709551615"}, same: exact, show: "CAST(c AS UNSIGNED)"},
		{sql: "year", values: []string{"0", "1901", "2155"}, same: func(j, s string) bool { n, err := strconv.Atoi(s); return err == nil && j == strconv.Itoa(n) }},
		{sql: "date", values: []string{"'0000-00-00'", "'2024-02-29'", "'9999-12-31'"}, same: quoted},
		{sql: "char(20) character set latin1", values: []string{"''", "'a'", "'häß'"}, same: quoted},
		{sql: "varchar(100) character set utf8mb4", values: text, same: quoted},
		{sql: "varchar(50) character set sjis", values: []string{"'日本'"}, same: quoted},
		{sql: "varchar(50) character set utf16", values: []string{"'日本 x'"}, same: quoted},
		{sql: "tinytext", values: text[:2], same: quoted},
		{sql: "text character set utf8mb4", values: text, same: quoted},
		{sql: "mediumtext character set utf8mb4", values: text, same: quoted},
		{sql: "longtext character set utf8mb4", values: append(text[:4:4], "REPEAT('é', 70000)"), same: quoted},
		{sql: "binary(5)", values: []string{"'a'", "x'0001020000'"}, same: bytes64},
		{sql: "varbinary(300)", values: []string{"''", "x'00ff00'"}, same: bytes64},
		{sql: "tinyblob", values: []string{"x'ff'"}, same: bytes64},
		{sql: "blob", values: []string{"''", "x'00ff'"}, same: bytes64},
		{sql: "mediumblob", values: []string{"x'00ff'"}, same: bytes64},
		{sql: "longblob", values: []string{"REPEAT(x'00ff', 40000)"}, same: bytes64},
		{sql: "enum('a','größe','c d')", values: []string{"'a'", "'größe'", "'c d'"}, same: quoted},
		{sql: "set('a','b','größe')", values: []string{"''", "'a'", "'a,größe'"}, same: quoted},
		{sql: "json", values: []string{`'{"b": 1, "a": [1, 2.5, "x\\\\n", null, true]}'`, "'18446744073709551615'", `'"表"'`}, same: exact, on: mysqlOnly},
		{sql: "json", values: []string{`'{"b":  1, "a": [1,2]}'`}, same: quoted, on: mariadbOnly},
		{sql: "geometry", values: []string{"ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)', 4326)"}, same: spatial, show: "CONCAT(ST_SRID(c), ' ', HEX(SUBSTR(c, 5)))"},
		{sql: "vector(3)", values: []string{"string_to_vector('[1,-2.5,3e10]')"}, same: floats, show: "vector_to_string(c)", on: func(k testbed.Kind) bool { return k == testbed.MySQL97 }},
		{sql: "vector(3)", values: []string{"vec_fromtext('[1,-2.5,3e10]')"}, same: floats, show: "vec_totext(c)", on: func(k testbed.Kind) bool { return k == testbed.MariaDB118 }},
		{sql: "uuid", values: []string{"'00112233-4455-4677-8899-aabbccddeeff'"}, same: quoted, on: mariadbOnly},
		{sql: "inet6", values: []string{"'::'", "'2001:db8::ff00:42:8329'"}, same: quoted, on: mariadbOnly},
		{sql: "inet4", values: []string{"'1.2.3.0'"}, same: quoted, on: mariadbOnly},
		{sql: "text compressed character set utf8mb4", values: []string{"REPEAT('ß', 2000)"}, same: quoted, on: mariadbOnly},
	}
	for _, n := range []struct {
		sql  string
		bits int
	}{{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}} {
		list = append(list,
			column{sql: n.sql, values: []string{"0", fmt.Sprint(int64(-1) << (n.bits - 1)), fmt.Sprint(uint64(1)<<(n.bits-1) - 1)}, same: exact},
			column{sql: n.sql + " unsigned", values: []string{"0", fmt.Sprint(^uint64(0) >> (64 - n.bits))}, same: exact})
	}
	for fsp := range 7 {
		list = append(list,
			column{sql: fmt.Sprintf("time(%d)", fsp), values: []string{"'0'", "'-838:59:59'", "'838:59:59'", "'-00:00:00.5'", "'12:34:56.789012'"}, same: quoted},
			column{sql: fmt.Sprintf("datetime(%d)", fsp), values: []string{"'0000-00-00'", "'2024-02-29 12:34:56.789012'", "'9999-12-31 23:59:59'"}, same: clock},
			column{sql: fmt.Sprintf("timestamp(%d)", fsp), values: []string{"'0000-00-00'", "'1970-01-01 00:00:01'", "'2024-02-29 12:34:56.789012'"}, same: zoned})
	}
	return list
}

// typed is a database with a table for each type, and what SELECT shows of each.
type typed struct {
	db     string
	cols   []column
	shown  [][]testbed.Value // of each column, its values in order; the last is NULL
	create []string
}

func makeTypes(t testing.TB, s *testbed.Server) *typed {
	t.Helper()
	d := &typed{db: testbed.FreshDB(t, s)}
	statements := []string{"USE " + d.db, "SET NAMES utf8mb4", "SET sql_mode=''"}
	for _, c := range columns() {
		if c.on != nil && !c.on(s.Kind) {
			continue
		}
		name := fmt.Sprintf("t%d", len(d.cols))
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY, c %s NULL) CHARACTER SET utf8mb4", name, c.sql))
		d.cols = append(d.cols, c)
	}
	statements = append(statements, "FLUSH BINARY LOGS")
	for i, c := range d.cols {
		for n, v := range append(c.values[:len(c.values):len(c.values)], "NULL") {
			statements = append(statements, fmt.Sprintf("INSERT INTO t%d VALUES (%d, %s)", i, n, v))
		}
	}
	testbed.MustExec(t, s, statements...)
	for i, c := range d.cols {
		show := c.show
		if show == "" {
			show = "c"
		}
		var values []testbed.Value
		for _, r := range testbed.MustQuery(t, s, "SET NAMES utf8mb4", fmt.Sprintf("SELECT %s FROM %s.t%d ORDER BY id", show, d.db, i)) {
			values = append(values, r[0])
		}
		d.shown = append(d.shown, values)
		d.create = append(d.create, testbed.MustQuery(t, s, "SET NAMES utf8mb4", fmt.Sprintf("SHOW CREATE TABLE %s.t%d", d.db, i))[0][1].String)
	}
	return d
}

// check compares printed changes with what SELECT showed. The columns may have other names.
func (d *typed) check(t testing.TB, out, id, c string) {
	t.Helper()
	count := 0
	for _, l := range printed(t, out) {
		i, err := strconv.Atoi(strings.TrimPrefix(l.Table, "t"))
		if l.DB != d.db || l.Op != "insert" || err != nil || i >= len(d.cols) {
			t.Fatalf("a change that nobody made: %+v", l)
		}
		n, err := strconv.Atoi(string(l.After[id]))
		if err != nil || n >= len(d.shown[i]) {
			t.Fatalf("row %q of %s", l.After[id], l.Table)
		}
		count++
		got, want := string(l.After[c]), d.shown[i][n]
		if !want.Valid && got != "null" || want.Valid && !d.cols[i].same(got, want.String) {
			t.Errorf("%s row %d: printed %.200s, SELECT shows %.200q (valid %t)", d.cols[i].sql, n, got, want.String, want.Valid)
		}
	}
	want := 0
	for _, v := range d.shown {
		want += len(v)
	}
	if count != want {
		t.Errorf("%d changes printed, want %d", count, want)
	}
}

// Every type of every server is printed as SELECT shows it: live, and from its binlog files without a server, where the names come from DDL in the
// files or from a dump; where they come from nowhere they are numbers, with a warning.
func TestTailTypes(t *testing.T) {
	for _, k := range testbed.Kinds() {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			s := testbed.Shared(t, k)
			d := makeTypes(t, s)
			live := run(t, "tail", s.URL(testbed.User), "--from", "start", "--until", "now", "--tables", d.db+".%")
			if live.code != 0 || live.err != "" {
				t.Fatalf("exit code %d\n%s", live.code, live.err)
			}
			d.check(t, live.out, "id", "c")

			rows := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
			testbed.MustExec(t, s, "FLUSH BINARY LOGS")
			var paths []string
			for _, r := range rows {
				paths = append(paths, filepath.Join(s.Dir, r[0].String))
			}
			args := func(more ...string) []string {
				return append(append([]string{"tail", "--tables", d.db + ".%"}, more...), paths...)
			}
			offline := run(t, args()...)
			if offline.code != 0 || offline.err != "" {
				t.Fatalf("exit code %d\n%s", offline.code, offline.err)
			}
			d.check(t, offline.out, "id", "c")

			// Only what was written behind the tables' DDL, with a dump.
			first := slices.IndexFunc(paths, func(p string) bool {
				b, err := os.ReadFile(p)
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(b), d.db+"\x00\x02t0\x00") // a table map event
			})
			if first < 0 {
				t.Fatal("no binlog holds the rows")
			}
			paths = paths[first:]
			dump := filepath.Join(t.TempDir(), "dump.sql")
			text := "USE `" + d.db + "`;\n" + strings.Join(d.create, ";\n") + ";\n"
			if err := os.WriteFile(dump, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			dumped := run(t, args("--schema-dump", dump)...)
			if dumped.code != 0 || dumped.err != "" {
				t.Fatalf("exit code %d\n%s", dumped.code, dumped.err)
			}
			d.check(t, dumped.out, "id", "c")

			bare := run(t, args()...)
			if bare.code != 0 || !strings.Contains(bare.err, "--schema-dump") {
				t.Fatalf("without names: exit code %d, stderr %s", bare.code, bare.err)
			}
			for _, l := range printed(t, bare.out) {
				if _, ok := l.After["@2"]; !ok || len(l.After) != 2 {
					t.Fatalf("without names: %+v", l)
				}
			}
		})
	}
}
