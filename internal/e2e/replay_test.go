//go:build servers

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// backup copies the database shop into a new server as of one moment, as mysqldump --single-transaction does, and gives the GTIDs of that moment. The new
// server has the server_id of the old one, as one has that is restored in its place.
func backup(t *testing.T, s *testbed.Server) (*testbed.Server, string) {
	t.Helper()
	into := testbed.Start(t, s.Kind, testbed.Options{ServerID: uint32(s.Port)})
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(q string) {
		t.Helper()
		if _, err := conn.Execute(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	exec("FLUSH TABLES WITH READ LOCK")
	exec("START TRANSACTION WITH CONSISTENT SNAPSHOT")
	set, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec("UNLOCK TABLES")
	script := []string{"SET sql_log_bin = 0", "CREATE DATABASE shop"}
	for _, table := range []string{"orders", "lines"} {
		r, err := conn.Execute("SHOW CREATE TABLE shop." + table)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := r.GetString(0, 1)
		script = append(script, strings.Replace(text, "CREATE TABLE ", "CREATE TABLE shop.", 1))
		if r, err = conn.Execute("SELECT * FROM shop." + table); err != nil {
			t.Fatal(err)
		}
		var rows []string
		for i := range r.RowNumber() {
			var row []string
			for k := range r.ColumnNumber() {
				v, err := r.GetString(i, k)
				if err != nil {
					t.Fatal(err)
				}
				row = append(row, v)
			}
			rows = append(rows, "("+strings.Join(row, ",")+")")
		}
		script = append(script, fmt.Sprintf("INSERT INTO shop.%s VALUES %s", table, strings.Join(rows, ",")))
	}
	if !s.Kind.MariaDB() {
		reset := "RESET MASTER"
		if s.Kind == testbed.MySQL97 {
			reset = "RESET BINARY LOGS AND GTIDS"
		}
		script = append(script, reset, fmt.Sprintf("SET GLOBAL gtid_purged = '%s'", set))
	}
	testbed.MustExec(t, into, script...)
	return into, set
}

// The other way out of the disaster: the last backup is restored into an empty server, and what was committed since is replayed around the bad
// transactions, from the files of a server that is gone. The replay is killed and goes on.
func TestDisasterReplay(t *testing.T) {
	t.Parallel()
	names := os.Getenv("CDC_DRILLS")
	if names == "" {
		names = string(testbed.MySQL97)
	}
	for name := range strings.SplitSeq(names, ",") {
		k, err := testbed.ParseKind(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drillReplay(t, k)
		})
	}
}

func drillReplay(t *testing.T, k testbed.Kind) {
	s := testbed.Start(t, k, testbed.Options{})
	w := &shop{touched: map[int]int{}}
	w.open(t, s)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() { w.work(ctx, t, s, n) })
	}
	more := func() {
		t.Helper()
		n := w.done()
		poll(t, "traffic goes on", func() bool { return w.done() >= n+30 || t.Failed() })
	}
	more()
	into, set := backup(t, s)
	more()
	testbed.MustExec(t, s, "UPDATE shop.orders SET price = 0")
	more()
	testbed.MustExec(t, s, "DELETE FROM shop.lines")
	more()
	testbed.MustExec(t, s, "ALTER TABLE shop.orders ADD COLUMN note VARCHAR(20)")
	end()
	wg.Wait()
	paths, err := s.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{worst(t, "update", "shop.orders", paths...), worst(t, "delete", "shop.lines", paths...)}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}

	testbed.MustExec(t, into, fmt.Sprintf("GRANT ALL ON *.* TO %s WITH GRANT OPTION", testbed.User))
	args := []string{"replay", "--to", into.URL(testbed.User), "--state", t.TempDir(), "--exclude-gtids", strings.Join(bad, ",")}
	if k.MariaDB() { // which does not say what a backup holds
		run(t, append(args, paths...)...).refused(t, 2, "CDC1004", "--start-after-gtids")
		args = append(args, "--start-after-gtids", set)
	}
	args = append(args, paths...)
	unmet := bad[1][:strings.LastIndexAny(bad[1], ":-")+1] + "99999999"
	run(t, append(args, "--stop-before", unmet)...).refused(t, 1, "CDC9109", unmet)
	looked := must(t, append(args, "--dry-run")...)
	if !strings.Contains(looked, "shop.orders") || !strings.Contains(looked, "ALTER TABLE") || !strings.Contains(looked, bad[1]) {
		t.Fatal(looked)
	}
	for range 3 { // killed as soon as there is something to go on from
		p := start(t, args)
		pause(t.Context(), 150*time.Millisecond)
		p.signal(syscall.SIGKILL)
		if p.wait(t) == 0 {
			break
		}
	}
	if r := run(t, args...); r.code != 0 && !strings.Contains(r.err, "CDC9111") {
		t.Fatal(r.err)
	}
	run(t, args...).refused(t, 1, "CDC9111", "has ended")
	w.right(t, into)
	if k.MariaDB() {
		return
	}
	has, err := into.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := testbed.MustQuery(t, into, fmt.Sprintf("SELECT GTID_SUBSET('%s', '%s')", strings.Join(bad, ","), has))[0][0].String; got != "1" {
		t.Errorf("the target has %s, and not the transactions that were committed empty", has)
	}
}
