//go:build servers

package e2e

import (
	_ "embed"
	"encoding/base64"
	little "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/internal/testbed"
)

//go:embed testdata/readers.py
var readersProgram string

// left is what one reader found in the files of one format.
type left struct {
	Folder  string                        `json:"folder"`
	Reader  string                        `json:"reader"`
	Format  string                        `json:"format"`
	Records int                           `json:"records"`
	Rows    map[string]map[string]*string `json:"rows"`
}

// DuckDB, pyarrow, fastavro and ClickHouse's engine read what files sinks have published of a table with every type: what is left of its changes is what SELECT shows.
func TestReaders(t *testing.T) {
	t.Parallel()
	python := testbed.Readers(t)
	args, tables := []string{"-c", readersProgram}, map[string]*wide{}
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		w := makeWide(t, testbed.Shared(t, k))
		out := publishWide(t, w)
		args, tables[out] = append(args, out), w
	}
	cmd := exec.CommandContext(t.Context(), python, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range lines {
		var l left
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		tables[l.Folder].compare(t, &l)
	}
	if len(lines) != 10*len(tables) {
		t.Errorf("%d readings, want 10 of each server's", len(lines))
	}
}

// publishWide writes a table's changes in each format, and gives the folder.
func publishWide(t testing.TB, w *wide) string {
	t.Helper()
	dir := t.TempDir()
	flavor := "mysql"
	if w.server.Kind.MariaDB() {
		flavor = "mariadb"
	}
	text := fmt.Sprintf("source:\n  %s: {address: %q, user: %s, password: {env: CDC_PASSWORD}}\n  start: start\n  tables: [%q]\nstreams:\n",
		flavor, w.server.Addr(), testbed.User, w.db+".wide")
	for name, sink := range map[string]string{
		"parquet": "format: parquet, rows: 3, parquet: {zero_dates: 'null', row_group: 4KiB}",
		"avro":    "format: avro, rows: 4, avro: {zero_dates: 'null'}",
		"csv":     "format: csv, rows: 5",
		"csvnull": `format: csv, csv: {null: '\N', binary: hex}`,
	} {
		text += fmt.Sprintf("  - {name: %s, sink: {files: {dir: %s, %s}}}\n", name, name, sink)
	}
	file := filepath.Join(dir, "cdc.yaml")
	if err := os.WriteFile(file, []byte(text+"checkpoint: {dir: state}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "run", file, "--until", "now")
	return dir
}

// wide is a table with a column of every type.
type wide struct {
	server  *testbed.Server
	db      string
	cols    []column
	records int // that its changes come to
	shown   map[string][]testbed.Value
}

func makeWide(t testing.TB, s *testbed.Server) *wide {
	t.Helper()
	w := &wide{server: s, db: testbed.FreshDB(t, s)}
	most := 0
	var defs, shows []string
	for _, c := range columns() {
		if c.on != nil && !c.on(s.Kind) {
			continue
		}
		name := fmt.Sprintf("c%d", len(w.cols))
		defs = append(defs, fmt.Sprintf("%s %s NULL", name, c.sql))
		if c.show == "" {
			c.show = "c"
		}
		shows = append(shows, showOf(c, name))
		w.cols = append(w.cols, c)
		most = max(most, len(c.values))
	}
	row := func(n int) string { // the values of row n: each column's in turn, and NULL now and then
		var values []string
		for i, c := range w.cols {
			v := "NULL"
			if at := (n + i) % (len(c.values) + 1); at < len(c.values) {
				v = c.values[at]
			}
			values = append(values, v)
		}
		return strings.Join(values, ", ")
	}
	full := func(n int) string { // with none that is NULL
		var values []string
		for _, c := range w.cols {
			values = append(values, c.values[n%len(c.values)])
		}
		return strings.Join(values, ", ")
	}
	statements := []string{
		"USE " + w.db, "SET NAMES utf8mb4", "SET sql_mode=''", "SET time_zone='+00:00'",
		"CREATE TABLE wide (id INT PRIMARY KEY, " + strings.Join(defs, ", ") + ") CHARACTER SET utf8mb4",
	}
	n := 0
	for ; n < most; n++ {
		statements = append(statements, fmt.Sprintf("INSERT INTO wide VALUES (%d, %s)", n, full(n)), fmt.Sprintf("INSERT INTO wide VALUES (%d, %s)", 100+n, row(n)))
	}
	w.records = 2 * n
	statements = append(statements,
		"INSERT INTO wide (id) VALUES (1000)",
		"BEGIN", "UPDATE wide SET id = 2000 WHERE id = 1", "UPDATE wide SET id = 1 WHERE id = 100", "DELETE FROM wide WHERE id = 2", "COMMIT", // 2 + 2 + 1
		fmt.Sprintf("REPLACE INTO wide VALUES (0, %s)", row(n)),                     // an update
		"UPDATE wide SET c0 = NULL WHERE id IN (101, 102)",                          // 2
		fmt.Sprintf("INSERT INTO wide VALUES (2, %s)", row(n+1)),                    // once more
		"DELETE FROM wide WHERE id = 2", "INSERT INTO wide (id) VALUES (2), (3000)", // 1 + 2
	)
	w.records += 1 + 5 + 1 + 2 + 1 + 3
	testbed.MustExec(t, s, statements...)
	w.shown = map[string][]testbed.Value{}
	for _, r := range testbed.MustQuery(t, s, "SET NAMES utf8mb4", "SET time_zone='+00:00'", "SELECT id, "+strings.Join(shows, ", ")+" FROM "+w.db+".wide") {
		w.shown[r[0].String] = r[1:]
	}
	return w
}

// showOf is the expression that shows a column.
func showOf(c column, name string) string {
	if c.show == "c" {
		return name
	}
	return strings.NewReplacer("(c,", "("+name+",", "(c)", "("+name+")", "c+", name+"+", "c +", name+" +", "(c AS", "("+name+" AS").Replace(c.show)
}

func (w *wide) compare(t testing.TB, l *left) {
	t.Helper()
	if l.Records != w.records || len(l.Rows) != len(w.shown) {
		t.Errorf("%s of %s: %d records, want %d; %d rows, want %d", l.Reader, l.Format, l.Records, w.records, len(l.Rows), len(w.shown))
	}
	for id, shown := range w.shown {
		for i, c := range w.cols {
			name := fmt.Sprintf("c%d", i)
			got, there := l.Rows[id][name]
			if !there {
				t.Fatalf("%s of %s: row %s has no column %s", l.Reader, l.Format, id, name)
			}
			want := shown[i]
			if list := l.Format == "avro" && (strings.HasPrefix(c.sql, "set") || strings.HasPrefix(c.sql, "vector")); list && l.Reader == "chdb" && !want.Valid {
				continue // ClickHouse has no NULL of an array
			}
			zero := strings.HasPrefix(want.String, "0000-00-00") && !strings.HasPrefix(l.Format, "csv") // as zero_dates says
			if want.Valid && !zero {
				if got == nil || !sameRead(l, c.sql, *got, want.String) {
					t.Errorf("%s of %s: %s is %.200s, SELECT shows %.200q", l.Reader, l.Format, c.sql, orNULL(got), want.String)
				}
			} else if got != nil {
				t.Errorf("%s of %s: %s is %.200s, SELECT shows NULL or a zero date", l.Reader, l.Format, c.sql, *got)
			}
		}
	}
}

func orNULL(v *string) string {
	if v == nil {
		return "NULL"
	}
	return strconv.Quote(*v)
}

// sameRead compares a value that was read with what SELECT shows of its column.
func sameRead(l *left, sql, got, shown string) bool {
	lines := strings.HasPrefix(l.Format, "csv")
	name, _, _ := strings.Cut(strings.Fields(sql)[0], "(")
	octets := func(s string) []byte {
		if lines {
			s = "0x" + hex.EncodeToString([]byte(s))
		}
		b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
		if err != nil {
			return nil
		}
		if l.Format == "csvnull" {
			b, err = hex.DecodeString(string(b))
		} else if l.Format == "csv" {
			b, err = base64.StdEncoding.DecodeString(string(b))
		}
		if err != nil {
			return nil
		}
		return b
	}
	isBytes := strings.HasSuffix(name, "blob") || strings.HasSuffix(name, "binary") || name == "geometry"
	raw := got
	if l.Reader == "chdb" && !lines && !isBytes && strings.HasPrefix(got, "0x") { // its text is bytes
		b, err := hex.DecodeString(got[2:])
		if err != nil {
			return false
		}
		raw = string(b)
	}
	switch name {
	case "float":
		return number32(raw, shown)
	case "double":
		return number64(raw, shown)
	case "bit", "year", "tinyint", "smallint", "mediumint", "int", "bigint":
		return integer(raw) == integer(shown)
	case "time":
		if !lines {
			return raw == strconv.FormatInt(micros(shown), 10)
		}
	case "datetime", "timestamp":
		shown = strings.Replace(shown, " ", "T", 1)
		if !lines {
			day, frac, _ := strings.Cut(shown, ".")
			shown = day + "." + (frac + "000000")[:6]
		}
		switch {
		case name == "timestamp":
			shown += "Z"
		case l.Reader == "chdb" && l.Format == "avro": // it does not know local-timestamp-micros
			n, err := strconv.ParseInt(raw, 10, 64)
			raw = time.UnixMicro(n).UTC().Format("2006-01-02T15:04:05.000000")
			return err == nil && raw == shown
		case l.Reader == "chdb": // each of its times has a zone
			raw = strings.TrimSuffix(raw, "Z")
		}
	case "vector":
		return floats("["+strings.Trim(raw, "[]")+"]", shown)
	case "json":
		return exactJSON(raw) == exactJSON(shown)
	case "geometry":
		if l.Format == "avro" { // a record of SRID and WKB
			return strings.EqualFold(strings.Replace(got, " 0x", " ", 1), shown)
		}
		b := octets(got)
		return len(b) > 4 && fmt.Sprintf("%d %X", little.LittleEndian.Uint32(b), b[4:]) == shown
	case "uuid":
		if len(raw) == 34 { // bytes
			raw = got[2:10] + "-" + got[10:14] + "-" + got[14:18] + "-" + got[18:22] + "-" + got[22:]
		}
	}
	if isBytes {
		return string(octets(got)) == shown
	}
	return raw == shown
}

// integer gives the digits of a number without those that say nothing.
func integer(s string) string {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return "no number: " + s
	}
	return n.String()
}

// micros are the microseconds of a TIME.
func micros(shown string) int64 {
	clock, negative := strings.CutPrefix(shown, "-")
	var h, m int64
	var s float64
	if _, err := fmt.Sscanf(strings.ReplaceAll(clock, ":", " "), "%d %d %g", &h, &m, &s); err != nil {
		return -1
	}
	n := (h*60+m)*60_000_000 + int64(s*1e6+0.5)
	if negative {
		n = -n
	}
	return n
}

// exactJSON is a document without the spaces that say nothing.
func exactJSON(s string) string {
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		fmt.Fprintf(&b, "%T %v;", token, token)
	}
}
