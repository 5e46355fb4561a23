//go:build servers

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/internal/testbed"
	"cdc/sinks/files"
)

// copied are the tables of the snapshot tests: the columns of the key, and the key of row n.
type copied struct {
	name, columns string
	key           []string
	value         func(n int) []string
}

func copiedTables(k testbed.Kind) []copied {
	ci := "utf8mb4_general_ci"
	if k == testbed.MySQL97 {
		ci = "utf8mb4_0900_ai_ci"
	}
	return []copied{
		{"ints", "id bigint primary key", []string{"id"}, func(n int) []string {
			if n%10 == 0 {
				return []string{fmt.Sprint(n * 1e12)} // most rows are crowded at one end
			}
			return []string{fmt.Sprint(n - 500)}
		}},
		{"words", "id varchar(50) collate " + ci + " primary key", []string{"id"}, func(n int) []string {
			return []string{fmt.Sprintf([]string{"'cafe%d'", "'CAFÉ%d'", "'Ω%d'", "'表%d'", "'_%d%%'"}[n%5], n)}
		}},
		{"pairs", "a int, b varchar(20) collate " + ci + ", primary key (a, b)", []string{"a", "b"}, func(n int) []string {
			return []string{fmt.Sprint(n % 7), fmt.Sprintf("'b%d'", n)}
		}},
	}
}

// fillCopied makes and fills the tables.
func fillCopied(t testing.TB, s *testbed.Server, tables []copied, rows int) {
	t.Helper()
	statements := []string{"SET NAMES utf8mb4", "CREATE DATABASE IF NOT EXISTS shop", "USE shop"}
	for _, c := range tables {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s (%s, v int)", c.name, c.columns))
		for from := 0; from < rows; from += 500 {
			var values []string
			for n := from; n < min(from+500, rows); n++ {
				values = append(values, fmt.Sprintf("(%s, %d)", strings.Join(c.value(n), ","), n))
			}
			statements = append(statements, fmt.Sprintf("INSERT INTO %s VALUES %s", c.name, strings.Join(values, ",")))
		}
	}
	testbed.MustExec(t, s, statements...)
}

// writeCopied changes rows from four sessions until stop is called.
func writeCopied(t testing.TB, s *testbed.Server, tables []copied, rows int, seed uint64) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			conn, err := s.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			exec := func(format string, args ...any) {
				if _, err := testbed.QueryConn(t.Context(), conn, fmt.Sprintf(format, args...)); err != nil {
					for _, usual := range []string{"Deadlock", "Lock wait", "Duplicate", "Record has changed"} {
						if strings.Contains(err.Error(), usual) {
							return
						}
					}
					t.Error(err)
				}
			}
			exec("SET NAMES utf8mb4")
			exec("USE shop")
			for ctx.Err() == nil {
				exec("BEGIN")
				for range 1 + rng.IntN(3) {
					c := tables[rng.IntN(len(tables))]
					key := c.value(rng.IntN(rows + rows/10))
					where := "(" + strings.Join(c.key, ",") + ") = (" + strings.Join(key, ",") + ")"
					switch rng.IntN(4) {
					case 0:
						exec("INSERT IGNORE INTO %s VALUES (%s, %d)", c.name, strings.Join(key, ","), rng.Int32())
					case 1:
						exec("DELETE FROM %s WHERE %s", c.name, where)
					default:
						exec("UPDATE %s SET v=%d WHERE %s", c.name, rng.Int32(), where)
					}
				}
				exec("COMMIT")
				pause(ctx, time.Duration(rng.IntN(10))*time.Millisecond)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// replay reads what files hold into tables of key and value, and counts the rows that snapshots brought.
func replay(t testing.TB, dir string, tables []copied) (state map[string]map[string]string, reads map[string]int) {
	t.Helper()
	state, reads = map[string]map[string]string{}, map[string]int{}
	keys := map[string][]string{}
	for _, c := range tables {
		state[c.name], keys[c.name] = map[string]string{}, c.key
	}
	err := files.Read(dir, func(_ string, text []byte) error {
		var l struct {
			Op     string                     `json:"op"`
			Table  string                     `json:"table"`
			Before map[string]json.RawMessage `json:"before"`
			After  map[string]json.RawMessage `json:"after"`
		}
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		if state[l.Table] == nil {
			return nil
		}
		id := func(row map[string]json.RawMessage) (out string) {
			for _, k := range keys[l.Table] {
				out += string(row[k]) + " "
			}
			return out
		}
		if l.Before != nil {
			delete(state[l.Table], id(l.Before))
		}
		if l.After != nil {
			state[l.Table][id(l.After)] = string(l.After["v"])
		}
		if l.Op == "read" {
			reads[l.Table+" "+id(l.After)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return state, reads
}

// same compares what was replayed with the tables.
func same(t testing.TB, s *testbed.Server, state map[string]map[string]string, tables []copied) {
	t.Helper()
	for _, c := range tables {
		rows := testbed.MustQuery(t, s, "SET NAMES utf8mb4", "SELECT "+strings.Join(c.key, ",")+", v FROM shop."+c.name)
		got := state[c.name]
		if len(got) != len(rows) {
			t.Errorf("%s: %d rows, %d are there", c.name, len(got), len(rows))
		}
		wrong := 0
		for _, r := range rows {
			id := ""
			for i := range c.key {
				text := r[i].String
				if c.key[i] == "id" && c.name != "ints" || c.key[i] == "b" {
					text = `"` + text + `"`
				}
				id += text + " "
			}
			if want := r[len(c.key)].String; got[id] != want {
				if wrong++; wrong < 5 {
					t.Errorf("%s: row %s is %q, want %q", c.name, id, got[id], want)
				}
			}
		}
	}
}

// cdc is killed at random moments of its snapshot, while four sessions write. It goes on behind the last chunk that it acknowledged, and in the end
// the files hold the tables as they are.
func TestSnapshotKill(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 7))
			s := testbed.Start(t, k, testbed.Options{})
			tables := copiedTables(k)
			kills, done := number(t, "CDC_SNAPSHOT_KILLS", 3), uint64(0)
			rows := max(2000, 300*kills) // so that it lasts
			fillCopied(t, s, tables, rows)
			o := settings{
				tables: `"shop.%"`, memory: "32MiB", every: "100ms", sink: "files: {dir: out, interval: 100ms}",
				stream: "    snapshot: initial\n    snapshot_limits: {chunk_rows: 60, rows_per_second: 1500}\n",
			}
			p := newPipe(t, s, o)
			stop := writeCopied(t, s, tables, rows, n)
			midway := 0
			for range kills {
				r := p.run(t)
				poll(t, "the snapshot goes on", func() bool {
					if !r.running() {
						t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
					}
					st, ok := p.status(t)
					return ok && st.State == "running" && st.Snapshot != nil && (st.Snapshot.State == "done" || st.Snapshot.Rows > done)
				})
				pause(t.Context(), time.Duration(rng.Int64N(int64(700*time.Millisecond))))
				r.kill()
				st, ok := p.status(t) // of the checkpoint
				if !ok || st.Snapshot == nil {
					t.Fatal("the checkpoint says nothing of the snapshot")
				}
				if st.Snapshot.Rows < done {
					t.Errorf("the checkpoint went back from %d rows to %d", done, st.Snapshot.Rows)
				}
				done = st.Snapshot.Rows
				if st.Snapshot.State == "running" && done > 0 {
					midway++
				}
			}
			o.stream = "    snapshot: initial\n" // the rest goes fast
			p.write(t, o)
			r := p.run(t)
			pollFor(t, 5*patience, "the snapshot is over", func() bool {
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				st, ok := p.status(t)
				return ok && st.Snapshot != nil && st.Snapshot.State == "done"
			})
			stop()
			p.reached(t, r)
			r.stop(t)
			state, reads := replay(t, p.out(), tables)
			same(t, s, state, tables)
			twice := 0
			for _, n := range reads {
				if n > 1 {
					twice++
				}
			}
			t.Logf("%d kills, %d of them with a part of the rows acknowledged; %d rows read, %d of them more than once", kills, midway, len(reads), twice)
			// The files hold how far their snapshot is: what is published is not copied again.
			if len(reads) == 0 || twice > 0 || midway == 0 && kills > 2 {
				t.Errorf("%d rows read, %d of them more than once; %d kills in the midst", len(reads), twice, midway)
			}
			// The snapshot is over for good.
			again := p.run(t)
			p.streaming(t, again)
			st, _ := p.status(t)
			if st.Snapshot != nil {
				t.Errorf("a finished snapshot began again: %+v", st.Snapshot)
			}
			again.stop(t)
		})
	}
}

// A snapshot into another MySQL, killed at random moments while four sessions write, makes the target equal to the source.
func TestSnapshotIntoMySQL(t *testing.T) {
	for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, "table"}) {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 8))
			s := testbed.Start(t, w.from, testbed.Options{})
			target := testbed.Start(t, w.to, testbed.Options{})
			tables := copiedTables(w.from)
			kills, midway := number(t, "CDC_SNAPSHOT_KILLS", 3), 0
			rows := max(2000, 400*kills) // so that it lasts
			fillCopied(t, s, tables, rows)
			made := []string{
				"SET SESSION sql_log_bin=0", "CREATE USER " + applier + " IDENTIFIED BY '" + testbed.Password + "'", "GRANT ALL ON *.* TO " + applier + " WITH GRANT OPTION",
				"CREATE DATABASE shop", "USE shop",
			}
			for _, c := range tables {
				made = append(made, fmt.Sprintf("CREATE TABLE %s (%s, v int)", c.name, c.columns))
			}
			testbed.MustExec(t, target, append(made, "CREATE TABLE bare (a int, v varchar(100))")...)
			fillBare(t, s, 20_000)
			tables = append(tables, copied{name: "bare", key: []string{"a"}})
			o := settings{
				tables: `"shop.%"`, memory: "64MiB", every: "10m",
				sink:   fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s}", target.Addr(), applier, w.mode),
				stream: "    snapshot: initial\n    snapshot_limits: {chunk_rows: 60, rows_per_second: 1500}\n",
			}
			p := newPipe(t, s, o)
			stop := writeCopied(t, s, tables[:3], rows, n)
			// The table without a key is at the target, all of it at once, and the checkpoint does not know it yet.
			r := p.run(t)
			poll(t, "the table without a key is copied", func() bool {
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				got := testbed.MustQuery(t, target, "SELECT COUNT(*) FROM shop.bare")[0][0].String
				if got != "0" && got != "20000" {
					t.Fatalf("%s rows of it are there", got)
				}
				return got != "0"
			})
			r.kill()
			// The table would be read again, as it is later: its changes in between would be in neither.
			testbed.MustExec(t, s, "UPDATE shop.bare SET v = 'changed while nobody looked' WHERE a % 1000 = 7")
			again := p.run(t)
			if code := again.wait(t); code == 0 || !strings.Contains(again.err.String(), "CDC2040") {
				t.Fatalf("cdc ended with %d, stderr:\n%s", code, tailOf(again.err.String(), 30))
			}
			testbed.MustExec(t, target, "DELETE FROM shop.bare", "DELETE FROM cdc.pieces WHERE stream = 'all' AND source = 'shop.bare'") // as the error says
			o.every = "100ms"
			p.write(t, o)
			for range kills {
				r := p.run(t)
				p.streaming(t, r)
				pause(t.Context(), time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				r.kill()
				if st, ok := p.status(t); ok && st.Snapshot != nil && st.Snapshot.State == "running" {
					midway++
				}
			}
			o.stream = "    snapshot: initial\n" // the rest goes fast
			p.write(t, o)
			r = p.run(t)
			pollFor(t, 5*patience, "the snapshot is over", func() bool {
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				st, ok := p.status(t)
				return ok && st.Snapshot != nil && st.Snapshot.State == "done"
			})
			t.Logf("%d kills, %d of them in the midst", kills+1, midway+1)
			pause(t.Context(), 500*time.Millisecond) // of changes that have to fit
			stop()
			p.reached(t, r)
			r.stop(t)
			equalTables(t, s, target, tables)
		})
	}
}

// equalTables compares the tables of two servers.
func equalTables(t testing.TB, s, target *testbed.Server, tables []copied) {
	t.Helper()
	for _, c := range tables {
		sum := "SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', " + strings.Join(c.key, ",") + ", v))) FROM shop." + c.name
		want, got := testbed.MustQuery(t, s, "SET NAMES utf8mb4", sum), testbed.MustQuery(t, target, "SET NAMES utf8mb4", sum)
		if got[0][0] != want[0][0] || got[0][1] != want[0][1] {
			t.Errorf("%s: %s rows with sum %s, at the source %s with %s", c.name, got[0][0].String, got[0][1].String, want[0][0].String, want[0][1].String)
		}
	}
}

// fillBare makes a table without a key, with many rows that look the same.
func fillBare(t testing.TB, s *testbed.Server, rows int) {
	t.Helper()
	statements := []string{"USE shop", "CREATE TABLE bare (a int, v varchar(100))", "INSERT INTO bare VALUES (1, REPEAT('b', 100))"}
	for n := 1; n < rows; n *= 2 {
		statements = append(statements, fmt.Sprintf("INSERT INTO bare SELECT (a + 1) %% 7, v FROM bare LIMIT %d", min(n, rows-n)))
	}
	testbed.MustExec(t, s, statements...)
}

// Chosen tables of a running stream are copied again: rows that the target has lost come back, those that do not meet a condition stay away, and kills while
// sessions write do no harm.
func TestSnapshotAsked(t *testing.T) {
	list := []string{"mysql97-gtid_next", "mariadb118-table", "mysql97-files"}
	if v := os.Getenv("CDC_SNAPSHOT_INTO"); v != "" {
		list = strings.Split(v, ",")
	}
	for _, name := range list {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 9))
			server, mode, _ := strings.Cut(name, "-")
			kind, err := testbed.ParseKind(server)
			if err != nil {
				t.Fatal(err)
			}
			s := testbed.Start(t, kind, testbed.Options{})
			tables := copiedTables(kind)
			const rows, low = 1000, 500
			fillCopied(t, s, tables, rows)
			fillBare(t, s, 1)
			o := settings{
				tables: `"shop.%"`, memory: "64MiB", every: "100ms", sink: "files: {dir: out, interval: 100ms}",
				stream: "    snapshot: initial\n    snapshot_limits: {chunk_rows: 50}\n",
			}
			var target *testbed.Server
			if mode != "files" {
				target = testbed.Start(t, kind, testbed.Options{})
				testbed.MustExec(t, target, "SET SESSION sql_log_bin=0", "CREATE USER "+applier+" IDENTIFIED BY '"+testbed.Password+"'", "GRANT ALL ON *.* TO "+applier+" WITH GRANT OPTION")
				o.sink = fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s}", target.Addr(), applier, mode)
			}
			p := newPipe(t, s, o)
			ask := func(args ...string) []string { return append([]string{"snapshot", p.yaml, "all"}, args...) }
			r := p.run(t)
			asked := func(want string) func() bool {
				return func() bool {
					if !r.running() {
						t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
					}
					st, ok := p.status(t)
					return ok && st.State == "running" && st.Asked != nil && st.Asked.State == want
				}
			}
			poll(t, "the first snapshot is over", func() bool {
				st, ok := p.status(t)
				return ok && st.Snapshot != nil && st.Snapshot.State == "done"
			})
			p.reached(t, r)
			poll(t, "the checkpoint knows that it is over", func() bool {
				return !strings.Contains(run(t, ask("--tables", "mysql.user")...).err, "is not finished")
			})
			run(t, ask("--tables", "mysql.user")...).refused(t, 2, "CDC1004", "mysql.user")
			run(t, ask("--tables", "shop.none")...).refused(t, 2, "CDC1004", "shop.none")
			run(t, ask("--tables", "shop.ints", "--where", "nothing > 1")...).refused(t, 1, "CDC2039", "nothing")
			run(t, ask("--tables", "shop.ints", "--where", "1=1) OR (1=1")...).refused(t, 1, "CDC2039")
			run(t, ask("--cancel")...).refused(t, 2, "CDC1004")
			if target != nil {
				run(t, ask("--tables", "shop.bare")...).refused(t, 1, "CDC2040", "shop.bare")
				testbed.MustExec(t, target, "SET SESSION sql_log_bin=0", "DELETE FROM shop.ints", "DELETE FROM shop.pairs")
			}

			// With a condition only the rows that meet it.
			out := must(t, ask("--tables", "shop.ints,shop.pairs", "--where", fmt.Sprintf("v < %d", low), "--wait")...)
			if !strings.Contains(out, fmt.Sprintf("done: %d rows", 2*low)) {
				t.Errorf("it says %q", out)
			}
			var before map[string]int
			if target == nil {
				_, before = replay(t, p.out(), tables)
			} else if got := testbed.MustQuery(t, target, "SELECT COUNT(*), MAX(v) FROM shop.ints")[0]; got[0].String != fmt.Sprint(low) || got[1].String != fmt.Sprint(low-1) {
				t.Errorf("%s rows up to %s", got[0].String, got[1].String)
			}

			// All of them, while sessions write and the process is killed.
			r.stop(t)
			o.stream = "    snapshot: initial\n    snapshot_limits: {chunk_rows: 50, rows_per_second: 800}\n"
			p.write(t, o)
			must(t, ask("--tables", "shop.ints", "--tables", "shop.pairs")...) // of a pipeline that does not run
			r = p.run(t)
			poll(t, "it runs", asked("running"))
			run(t, ask("--tables", "shop.words")...).refused(t, 2, "CDC1004", "shop.ints")
			stop := writeCopied(t, s, tables, rows, n)
			for range number(t, "CDC_SNAPSHOT_KILLS", 3) {
				pause(t.Context(), time.Duration(rng.Int64N(int64(700*time.Millisecond))))
				r.kill()
				r = p.run(t)
				p.streaming(t, r)
			}
			poll(t, "it is done", asked("done"))
			pause(t.Context(), 300*time.Millisecond) // of changes that have to fit
			stop()
			p.reached(t, r)
			if target != nil {
				equalTables(t, s, target, tables)
			} else {
				state, reads := replay(t, p.out(), tables)
				same(t, s, state, tables)
				for row, n := range reads {
					if n > before[row]+1 || n > before[row] && strings.HasPrefix(row, "words") {
						t.Fatalf("%s was copied %d times more", row, n-before[row])
					}
				}
			}

			// One that is canceled does not come back.
			must(t, ask("--tables", "shop.words")...)
			must(t, ask("--cancel")...)
			poll(t, "it is canceled", asked("canceled"))
			r.kill()
			r = p.run(t)
			p.streaming(t, r)
			if st, _ := p.status(t); st.Snapshot != nil {
				t.Errorf("a snapshot that was canceled runs: %+v", st.Snapshot)
			}
			testbed.MustExec(t, s, "UPDATE shop.words SET v = v + 1")
			p.reached(t, r)
			r.stop(t)
		})
	}
}

// The modes of a snapshot: only ends by itself, an unfinished one is not forgotten, and a stream whose place was purged begins anew where it may.
func TestSnapshotModes(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	tables := copiedTables(testbed.MySQL97)
	const rows = 500
	fillCopied(t, s, tables, rows)
	configure := func(p *pipe, lines string) {
		p.write(t, settings{tables: `"shop.%"`, every: "100ms", sink: "files: {dir: out, interval: 100ms}", stream: lines})
	}
	finished := func(p *pipe, r *process) {
		t.Helper()
		poll(t, "the snapshot is over", func() bool {
			if !r.running() {
				t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
			}
			st, ok := p.status(t)
			return ok && st.Snapshot != nil && st.Snapshot.State == "done"
		})
	}

	t.Run("only", func(t *testing.T) {
		p := newPipe(t, s, settings{})
		configure(p, "    snapshot: only\n")
		must(t, "run", p.yaml)
		state, reads := replay(t, p.out(), tables)
		same(t, s, state, tables)
		if len(reads) != 3*rows {
			t.Errorf("%d rows", len(reads))
		}
		must(t, "run", p.yaml) // there is nothing left to do
		if _, again := replay(t, p.out(), tables); len(again) != len(reads) {
			t.Error("it was done again")
		}
		if out := must(t, "checkpoint", "show", p.yaml); !strings.Contains(out, "snapshot   done, 1500 rows") {
			t.Errorf("checkpoint show says %s", out)
		}
	})

	t.Run("never", func(t *testing.T) {
		p := newPipe(t, s, settings{})
		configure(p, "    snapshot: initial\n    snapshot_limits: {chunk_rows: 10, rows_per_second: 100}\n")
		r := p.run(t)
		poll(t, "some rows are acknowledged", func() bool { st, ok := p.status(t); return ok && st.Acked > 20 })
		r.stop(t)
		configure(p, "    snapshot: never\n")
		run(t, "run", p.yaml).refused(t, 1, "CDC2036", "not finished")
		configure(p, "    snapshot: initial\n")
		run(t, "run", p.yaml, "--until", "now").refused(t, 2, "CDC1004", "snapshot")
		r = p.run(t)
		finished(p, r)
		p.reached(t, r)
		r.stop(t)
		state, _ := replay(t, p.out(), tables)
		same(t, s, state, tables)
	})

	t.Run("when needed", func(t *testing.T) {
		p := newPipe(t, s, settings{})
		configure(p, "    snapshot: when_needed\n")
		r := p.run(t)
		finished(p, r)
		p.reached(t, r)
		r.stop(t)
		testbed.MustExec(t, s, "UPDATE shop.ints SET v=v+1000000", "FLUSH BINARY LOGS", "INSERT INTO shop.ints VALUES (-1000000, 1)", "FLUSH BINARY LOGS",
			"PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY")
		configure(p, "    snapshot: initial\n")
		if res := run(t, "run", p.yaml); res.code == 0 || !strings.Contains(res.err, "CDC2008") {
			t.Errorf("exit %d: %s", res.code, tailOf(res.err, 5))
		}
		configure(p, "    snapshot: when_needed\n")
		r = p.run(t)
		finished(p, r)
		testbed.MustExec(t, s, "DELETE FROM shop.ints WHERE id=-1000000")
		p.reached(t, r)
		r.stop(t)
		state, _ := replay(t, p.out(), tables)
		same(t, s, state, tables)
	})
}
