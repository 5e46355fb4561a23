//go:build servers

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// table makes a table of one column, id, in a database of its own.
func table(t testing.TB, s *testbed.Server) (db string) {
	t.Helper()
	db = testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY)")
	return db
}

// insert inserts the rows from first to last, each in a transaction of its own.
func insert(t testing.TB, s *testbed.Server, db string, first, last int) {
	t.Helper()
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprintf("INSERT INTO %s.t (id) VALUES (%d)", db, i))
	}
	testbed.MustExec(t, s, all...)
}

func only(db string) string { return fmt.Sprintf("%q", db+".%") }

// A clean stop publishes what was read, says so in the status of the stopped pipeline, and the next run goes on there.
func TestStop(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newPipe(t, s, settings{tables: only(db), sink: "files: {dir: out, interval: 1h}"})
	r := p.run(t)
	p.streaming(t, r)
	insert(t, s, db, 1, 300)
	var before status
	poll(t, "something was read", func() bool {
		before, _ = p.status(t)
		return before.Rows > 0
	})
	if n := len(p.lines(t)); n != 0 {
		t.Errorf("%d rows were published before the interval ended", n)
	}
	r.stop(t)
	st, ok := p.status(t)
	if !ok || st.State != "stopped" || st.Reader != "stopped" || st.Executed == "" || st.Acked < before.Rows {
		t.Errorf("status of the stopped pipeline: %+v, it had read %d rows", st, before.Rows)
	}
	if n := len(p.lines(t)); uint64(n) != st.Acked {
		t.Errorf("%d rows in the files, %d acknowledged", n, st.Acked)
	}
	text := must(t, "status", p.yaml)
	if !strings.Contains(text, "Executed_Gtid_Set: "+st.Executed) {
		t.Errorf("the status for people does not say %s:\n%s", st.Executed, text)
	}
	insert(t, s, db, 301, 400)
	must(t, "run", p.yaml, "--until", "now")
	p.holds(t, 400)
}

// A second signal ends it at once, and nothing is lost by that.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newPipe(t, s, settings{tables: only(db), sink: "files: {dir: out, interval: 1h}"})
	r := p.run(t)
	p.streaming(t, r)
	insert(t, s, db, 1, 100)
	r.signal(syscall.SIGTERM)
	r.signal(syscall.SIGINT)
	if code := r.wait(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	r = p.run(t)
	p.streaming(t, r) // before it is there, the status is that of the checkpoint
	poll(t, "all was read", func() bool {
		st, ok := p.status(t)
		return ok && st.Rows+uint64(len(p.lines(t))) >= 100
	})
	r.stop(t)
	p.holds(t, 100)
}

// It stops cleanly also while the server does not answer.
func TestStopWithoutServer(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MariaDB118, testbed.Options{})
	db := table(t, s)
	p := newPipe(t, s, settings{tables: only(db)})
	r := p.run(t)
	p.streaming(t, r)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	poll(t, "the status says what is wrong", func() bool {
		st, ok := p.status(t)
		return ok && st.State == "running" && st.Reader != "streaming" && st.Code == "CDC2001" && st.Hint != ""
	})
	r.stop(t)
	// Nor does a start wait for ever.
	r = p.run(t)
	poll(t, "it tries to connect", func() bool {
		st, ok := p.status(t)
		return ok && st.State == "starting"
	})
	r.stop(t)
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(t, s, db, 1, 10)
	r = p.run(t)
	p.reached(t, r)
	r.stop(t)
	p.holds(t, 10)
}

// --until ends by itself behind what was asked for.
func TestUntil(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	insert(t, s, db, 1, 20)
	p := newPipe(t, s, settings{tables: only(db), start: "start"})
	must(t, "run", p.yaml, "--until", "now")
	p.holds(t, 20)
	insert(t, s, db, 21, 30)
	must(t, "run", p.yaml, "--until", "now")
	p.holds(t, 30)
}

// One checkpoint and one folder belong to one process.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newPipe(t, s, settings{tables: only(db)})
	r := p.run(t)
	p.streaming(t, r)
	run(t, "run", p.yaml).refused(t, 1, "CDC6001")

	other := newPipe(t, s, settings{tables: only(db), sink: fmt.Sprintf("files: {dir: %q}", p.out())})
	run(t, "run", other.yaml).refused(t, 1, "CDC5007")

	for _, args := range [][]string{{"checkpoint", "set", p.yaml, "all", "--to", s.UUID + ":1", "--yes"}, {"schema", "set", p.yaml, "all", db + ".t", "--ddl", "CREATE TABLE t (a INT)"}} {
		run(t, args...).refused(t, 1, "CDC6001")
	}
	insert(t, s, db, 1, 10)
	p.reached(t, r)
	r.stop(t)
	p.holds(t, 10)
}

// The race detector sees nothing while traffic is carried, the process stopped and started.
func TestRace(t *testing.T) {
	t.Parallel()
	bin, err := raceBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	p := newPipe(t, s, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"})
	l, stop := traffic(t, s, ledger.Options{DDL: true, Pause: 5 * time.Millisecond, Seed: seed(t), Large: 5_000})
	for range 2 {
		r := p.run(t, program(bin))
		p.streaming(t, r)
		pause(t.Context(), 1500*time.Millisecond)
		r.stop(t)
		if strings.Contains(r.err.String(), "DATA RACE") {
			t.Fatal(r.err.String())
		}
	}
	stop()
	r := p.run(t, program(bin))
	p.reached(t, r)
	r.stop(t)
	p.verdict(t, l)
}
