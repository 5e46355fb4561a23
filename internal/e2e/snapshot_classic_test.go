//go:build servers

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"cdc/internal/testbed"
	"cdc/sinks"
)

// classicCase is a source of classic snapshots into another MySQL.
type classicCase struct {
	name string
	way
	gtidOff bool
	engine  string // of one more table
}

// classicCases are all of them where kills are counted, and else the one that is most unlike other snapshots.
func classicCases() []classicCase {
	all := []classicCase{
		{"without GTIDs", way{testbed.MySQL97, testbed.MySQL97, "table"}, true, "MyISAM"},
		{"with GTIDs", way{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, false, ""},
		{"MariaDB", way{testbed.MariaDB118, testbed.MariaDB118, "table"}, false, ""},
	}
	if os.Getenv("CDC_CLASSIC_KILLS") == "" {
		return all[:1]
	}
	return all
}

// A classic snapshot is killed at random moments, while four sessions write. Each further run goes on with the tables that were not copied; no row stays that was
// deleted meanwhile, and in the end the target is equal.
func TestSnapshotClassicKill(t *testing.T) {
	for _, w := range classicCases() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 9))
			s := testbed.Start(t, w.from, testbed.Options{GTIDOff: w.gtidOff})
			target := testbed.Start(t, w.to, testbed.Options{})
			tables := copiedTables(w.from)
			const rows = 2000
			fillCopied(t, s, tables, rows)
			lock := ""
			if w.engine != "" {
				extra := copied{"isam", "id bigint primary key", []string{"id"}, func(n int) []string { return []string{fmt.Sprint(n)} }}
				tables = append(tables, extra)
				fillCopied(t, s, tables[3:], rows)
				testbed.MustExec(t, s, "ALTER TABLE shop.isam ENGINE="+w.engine)
				lock = "    snapshot_lock: {tables: true, wait: 30s}\n"
			}
			testbed.MustExec(t, s, "CREATE TABLE shop.loose (a int, b int)", "INSERT INTO shop.loose VALUES (1, 1), (1, 1), (2, NULL)")
			made := []string{
				"SET SESSION sql_log_bin=0", "CREATE USER " + applier + " IDENTIFIED BY '" + testbed.Password + "'", "GRANT ALL ON *.* TO " + applier + " WITH GRANT OPTION",
			}
			if w.engine != "" {
				made = append(made, "CREATE DATABASE shop", "CREATE TABLE shop.isam (id bigint primary key, v int)")
			}
			testbed.MustExec(t, target, made...)
			config := settings{
				tables: `"shop.%"`, memory: "64MiB", every: "100ms",
				sink:   fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s}", target.Addr(), applier, w.mode),
				stream: "    snapshot: initial\n    snapshot_way: classic\n    snapshot_limits: {rows_per_second: 1500}\n" + lock,
			}
			p := newPipe(t, s, config)
			if w.from == testbed.MySQL97 {
				run(t, "run", p.yaml).refused(t, 1, "CDC2005", "LOCK TABLES")
				testbed.MustExec(t, s, "SET SESSION sql_log_bin=0", "GRANT RELOAD ON *.* TO '"+testbed.User+"'@'%'", "GRANT LOCK TABLES ON shop.* TO '"+testbed.User+"'@'%'")
			}
			stop := writeCopied(t, s, tables, rows, n)
			midway, done := 0, uint64(0)
			for range number(t, "CDC_CLASSIC_KILLS", 2) {
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
				if done = st.Snapshot.Rows; st.Snapshot.State == "running" && done > 0 {
					midway++
				}
			}
			if st, ok := p.status(t); ok && st.Snapshot != nil && st.Snapshot.State == "running" && st.Snapshot.Rows > 0 && strings.Contains(must(t, "checkpoint", "show", p.yaml), "done") {
				chunks := config
				chunks.stream = "    snapshot: initial\n"
				p.write(t, chunks)
				run(t, "run", p.yaml).refused(t, 1, "CDC2036", "classic")
				p.write(t, config)
			}
			r := p.run(t)
			poll(t, "the snapshot is over", func() bool {
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				st, ok := p.status(t)
				return ok && st.Snapshot != nil && st.Snapshot.State == "done"
			})
			pause(t.Context(), 300*time.Millisecond) // of changes that have to fit
			stop()
			testbed.MustExec(t, s, "INSERT INTO shop.loose VALUES (3, 3)", "UPDATE shop.loose SET b=9 WHERE a=2")
			if w.gtidOff {
				passed(t, p, r)
			} else {
				p.reached(t, r)
			}
			r.stop(t)
			for _, c := range append(tables, copied{name: "loose", key: []string{"a"}}) {
				column := "v"
				if c.name == "loose" {
					column = "b"
				}
				sum := "SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', " + strings.Join(c.key, ",") + ", " + column + "))) FROM shop." + c.name
				want, got := testbed.MustQuery(t, s, "SET NAMES utf8mb4", sum), testbed.MustQuery(t, target, "SET NAMES utf8mb4", sum)
				if got[0][0] != want[0][0] || got[0][1] != want[0][1] {
					t.Errorf("%s: %s rows with sum %s, at the source %s with %s", c.name, got[0][0].String, got[0][1].String, want[0][0].String, want[0][1].String)
				}
			}
			t.Logf("%d kills in the middle", midway)
		})
	}
}

// passed waits until what the server has committed by now is acknowledged, by file and offset.
func passed(t testing.TB, p *pipe, r *process) {
	t.Helper()
	at := testbed.MustQuery(t, p.server, "SHOW BINARY LOG STATUS")[0]
	want := sinks.Place{File: at[0].String}
	if _, err := fmt.Sscan(at[1].String, &want.Offset); err != nil {
		t.Fatal(err)
	}
	poll(t, "the stream has come to "+want.String(), func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		return ok && (st.File > want.File || st.File == want.File && st.Offset >= want.Offset)
	})
}
