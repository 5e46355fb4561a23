//go:build servers

package e2e

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"cdc/internal/testbed"
)

// merged are the tables of the test: how SELECT shows their columns in the way that shown does.
type merged struct {
	server *testbed.Server
	db     string
	tables map[string][]string
}

const everyColumn = "n, CAST(d * 1000 AS SIGNED), u, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ts), note, HEX(bin)"

func makeMerged(t testing.TB, s *testbed.Server, rows int) *merged {
	t.Helper()
	m := &merged{server: s, db: testbed.FreshDB(t, s), tables: map[string][]string{"orders": {"id", everyColumn}, "words": {"k", "v"}, "pairs": {"a", "b", "v"}}}
	statements := []string{
		"USE " + m.db, "SET NAMES utf8mb4",
		"CREATE TABLE orders (id INT PRIMARY KEY, n INT, d DECIMAL(12,3), u BIGINT UNSIGNED, ts DATETIME(6), note VARCHAR(60), bin VARBINARY(30)) CHARACTER SET utf8mb4",
		"CREATE TABLE words (k VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT) CHARACTER SET utf8mb4",
		"CREATE TABLE pairs (a INT, b VARCHAR(10), v TEXT, PRIMARY KEY (a, b)) CHARACTER SET utf8mb4",
	}
	var orders, words []string
	for n := range rows {
		orders = append(orders, fmt.Sprintf("(%d, NULL, -1.5, 18446744073709551615, '1999-01-02 03:04:05.000006', '', x'00ff')", n))
		words = append(words, fmt.Sprintf("('wort%d', %d)", n, n))
	}
	statements = append(statements, "INSERT INTO orders VALUES "+strings.Join(orders, ", "), "INSERT INTO words VALUES "+strings.Join(words, ", "))
	testbed.MustExec(t, s, statements...)
	return m
}

// write runs so many transactions from some sessions. Rows change their keys too, where only the case of a letter differs as well.
func (m *merged) write(t testing.TB, seed uint64, each int) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			conn, err := m.server.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			exec := func(format string, args ...any) {
				if _, err := testbed.QueryConn(t.Context(), conn, fmt.Sprintf(format, args...)); err != nil {
					for _, usual := range []string{"Deadlock", "Lock wait", "Duplicate", "Record has changed", "doesn't exist", "definition has changed"} {
						if strings.Contains(err.Error(), usual) {
							return
						}
					}
					t.Error(err)
				}
			}
			exec("SET NAMES utf8mb4")
			exec("USE %s", m.db)
			exec("SET innodb_lock_wait_timeout = 1") // a statement that alters a table waits for one that waits for a row of another that waits for it
			for range each {
				exec("BEGIN")
				for range 1 + r.IntN(4) {
					id, other := r.IntN(400), r.IntN(400)
					word := func(n int) string { return []string{"wort", "WORT", "Wörter"}[r.IntN(3)] + fmt.Sprint(n) }
					switch r.IntN(9) {
					case 0, 1:
						exec("INSERT INTO orders (id, n, d, u, ts, note, bin) VALUES (%d, %d, %d.125, %d, '2024-02-29 12:34:56.%06d', %s, x'%02x00') ON DUPLICATE KEY UPDATE n = n + 1",
							id, r.IntN(1e6)-5e5, r.IntN(1e8)-5e7, r.Uint64(), r.IntN(1e6), []string{"NULL", "''", "'häß 表'"}[r.IntN(3)], r.IntN(256))
					case 2:
						exec("UPDATE orders SET d = d + 0.001, u = %d WHERE id BETWEEN %d AND %d", r.Uint64(), id, id+20)
					case 3:
						exec("UPDATE orders SET id = %d WHERE id = %d", other, id)
					case 4:
						exec("DELETE FROM orders WHERE id = %d", id)
					case 5:
						exec("REPLACE INTO words VALUES ('%s', %d)", word(id), r.Int32())
					case 6:
						exec("UPDATE words SET k = '%s' WHERE k = '%s'", word(id), word(id))
					case 7:
						exec("INSERT INTO pairs VALUES (%d, 'b%d', REPEAT('x', %d)) ON DUPLICATE KEY UPDATE v = NULL, b = 'c%d'", id%10, other, r.IntN(300), id)
					default:
						exec("DELETE FROM pairs WHERE a = %d AND b > 'b%d'", id%10, other)
					}
				}
				exec("%s", []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[r.IntN(4)])
			}
		})
	}
	return wg.Wait
}

// equal compares what readers see with what SELECT shows.
func (m *merged) equal(t testing.TB, rows string) {
	t.Helper()
	for name, columns := range m.tables {
		want := []string{}
		for _, r := range testbed.MustQuery(t, m.server, "SET NAMES utf8mb4", "SELECT "+strings.Join(columns, ", ")+" FROM "+m.db+"."+name) {
			var b strings.Builder
			for _, v := range r {
				if v.Valid {
					b.WriteString(v.String + "|")
				} else {
					b.WriteString("NULL|")
				}
			}
			want = append(want, b.String())
		}
		got := readMerged(t, filepath.Join(rows, "current", m.db, name), strings.Split(strings.NewReplacer(everyColumn, "n,d,u,ts,note,bin", " ", "").Replace(strings.Join(columns, ",")), ","))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			extra := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(want, s) })
			missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) })
			t.Fatalf("%s has %d rows, SELECT %d; not there: %.300q, missing: %.300q", name, len(got), len(want), extra, missing)
		}
	}
}

// readMerged reads the columns of Parquet files by the client alone.
func readMerged(t testing.TB, dir string, columns []string) (all []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files, %v", dir, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parquet.OpenFile(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		at := map[string]int{}
		for i, c := range f.Root().Columns() {
			at[c.Name()] = i
		}
		for _, g := range f.RowGroups() {
			rows, buf := g.Rows(), make([]parquet.Row, 64)
			for err == nil {
				var n int
				n, err = rows.ReadRows(buf)
				for _, r := range buf[:n] {
					var b strings.Builder
					for _, c := range columns {
						i, there := at[c]
						if !there {
							t.Fatalf("%s has no column %s", name, c)
						}
						switch v := r[i]; {
						case v.IsNull():
							b.WriteString("NULL|")
						case c == "bin":
							b.WriteString(strings.ToUpper(hex.EncodeToString(v.ByteArray())) + "|")
						case c == "u":
							fmt.Fprintf(&b, "%d|", v.Uint64())
						default:
							b.WriteString(v.String() + "|")
						}
					}
					all = append(all, b.String())
				}
			}
			if err = errors.Join(rows.Close()); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
	}
	return all
}

// What a files sink publishes becomes rows again and again, while rows, keys and tables change and the runs are killed: each time they are what SELECT shows.
func TestMaterialize(t *testing.T) {
	t.Parallel()
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			r := rand.New(rand.NewPCG(n, 99))
			m := makeMerged(t, testbed.Shared(t, k), 150)
			p := newPipe(t, m.server, settings{
				tables: fmt.Sprintf("%q", m.db+".%"), sink: "files: {dir: out, interval: 100ms, format: parquet, rows: 500}", stream: "    snapshot: initial\n",
			})
			process := p.run(t)
			rows := filepath.Join(p.dir, "rows")
			args := []string{"files", "materialize", p.yaml, "--into", rows, "--bucket", "16KiB"}
			p.streaming(t, process)
			poll(t, "the snapshot is over", func() bool {
				st, ok := p.status(t)
				return ok && st.Snapshot != nil && st.Snapshot.State == "done"
			})
			version := ""
			check := func(round int, changes func()) {
				wait := m.write(t, n+uint64(round), 12)
				changes()
				for range 2 { // runs that do not come to their end, most of them
					x := start(t, args)
					pause(t.Context(), time.Duration(r.Int64N(int64(60*time.Millisecond))))
					x.signal(syscall.SIGKILL)
					<-x.done
				}
				wait()
				p.reached(t, process)
				must(t, args...)
				m.equal(t, rows)
				now, err := os.Readlink(filepath.Join(rows, "current"))
				if err != nil || now <= version {
					t.Errorf("version %q after %q, %v", now, version, err)
				}
				version = now
			}
			exec := func(statements ...string) func() {
				return func() {
					testbed.MustExec(t, m.server, append([]string{"SET NAMES utf8mb4", "USE " + m.db}, statements...)...)
				}
			}
			check(0, func() {})
			m.tables["orders"] = append(m.tables["orders"], "c1", "c2", "c3")
			check(1, exec("ALTER TABLE orders ADD COLUMN c1 INT NOT NULL DEFAULT 7, ADD COLUMN c2 VARCHAR(20) DEFAULT 'neü'", "ALTER TABLE orders MODIFY id BIGINT, ADD COLUMN c3 INT AFTER n",
				"ALTER TABLE orders MODIFY note VARCHAR(200)", "CREATE TABLE made (id INT PRIMARY KEY, v INT)", "INSERT INTO made VALUES (1, 1), (2, NULL)", "CREATE INDEX v ON words (v)"))
			m.tables["made"] = []string{"id", "v"}
			steps := []string{
				"ALTER TABLE orders DROP COLUMN c2, ADD COLUMN c2 VARCHAR(20)", "ALTER TABLE orders DROP PRIMARY KEY, ADD PRIMARY KEY (c1, id)", "TRUNCATE TABLE pairs",
				"DROP TABLE made", "CREATE TABLE made (id INT PRIMARY KEY, v INT)", "INSERT INTO made VALUES (7, 7)",
			}
			if !k.MariaDB() { // which logs renames of temporary tables alike
				steps = append(steps, "CREATE TABLE words_gho LIKE words", "ALTER TABLE words_gho MODIFY v BIGINT", "INSERT INTO words_gho SELECT * FROM words", "RENAME TABLE words TO words_del, words_gho TO words", "RENAME TABLE made TO renamed")
				delete(m.tables, "made")
				m.tables["renamed"], m.tables["words_del"] = []string{"id", "v"}, []string{"k", "v"}
			}
			must(t, "files", "compact", p.yaml) // merges files that are merged into rows already, and others
			check(2, exec(steps...))
			if out := must(t, args...); !strings.Contains(out, "nothing was published") {
				t.Errorf("a run without anything to do says %q", out)
			}
			// A value that no file holds: refused until each row was written again.
			exec("ALTER TABLE orders ADD COLUMN c4 DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)")()
			p.reached(t, process)
			m.equal(t, rows)
			run(t, args...).refused(t, 1, "CDC9124", "c4", "orders")
			exec("UPDATE orders SET n = IFNULL(n, 0) + 1")()
			p.reached(t, process)
			must(t, args...)
			m.equal(t, rows)
			process.stop(t)
			if left, err := filepath.Glob(filepath.Join(rows, ".build-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}
