//go:build servers

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// next is the cure that a command printed.
func (r result) next(t testing.TB) string {
	t.Helper()
	_, cure, ok := strings.Cut(r.err, "\n  next: ")
	if !ok {
		t.Fatalf("no cure in:\n%s", r.err)
	}
	return strings.TrimSpace(cure)
}

// resumed runs the pipe to the present end of the server and checks that rows 1 to n were delivered once.
func (p *pipe) resumed(t testing.TB, n int) {
	t.Helper()
	must(t, "run", p.yaml, "--until", "now")
	p.holds(t, n)
}

// Whatever keeps it out of the server, or away from its place: a code, what to do next, and after that was done nothing is missing.
func TestSourceFaults(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{Args: []string{"--tls-version="}})
	db := table(t, s)
	n := 0
	more := func() {
		insert(t, s, db, n+1, n+5)
		n += 5
	}
	more()
	base := settings{tables: only(db), start: "start"}
	p := newPipe(t, s, base)
	p.resumed(t, n)
	more()

	t.Run("wrong password", func(t *testing.T) {
		runWith(t, []string{"run", p.yaml}, env("CDC_PASSWORD=wrong")).refused(t, 1, "CDC2002", testbed.User)
		p.resumed(t, n)
	})
	t.Run("no password", func(t *testing.T) {
		text, err := os.ReadFile(p.yaml)
		if err != nil {
			t.Fatal(err)
		}
		lost := strings.Replace(string(text), "env: CDC_PASSWORD", "file: /nowhere/password", 1)
		if err := os.WriteFile(p.yaml, []byte(lost), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "run", p.yaml).refused(t, 2, "CDC1003", "/nowhere/password")
		p.write(t, base)
		more()
		p.resumed(t, n)
	})
	t.Run("no TLS where it is required", func(t *testing.T) {
		o := base
		o.source = ", tls: {mode: required}"
		p.write(t, o)
		run(t, "run", p.yaml).refused(t, 1, "CDC2003", "tls.mode: disabled")
		p.write(t, base)
		more()
		p.resumed(t, n)
	})
	t.Run("missing grants", func(t *testing.T) {
		testbed.MustExec(t, s, "CREATE USER few@'%' IDENTIFIED BY '"+testbed.Password+"'")
		text, err := os.ReadFile(p.yaml)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.yaml, []byte(strings.Replace(string(text), "user: "+testbed.User, "user: few", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		more()
		given := 0
		for given < 6 {
			r := run(t, "run", p.yaml, "--until", "now")
			if r.code == 0 {
				break
			}
			r.refused(t, 1, "CDC2005")
			cure := r.next(t)
			at := strings.Index(cure, "GRANT ")
			if at < 0 {
				t.Fatalf("no statement in the cure: %s", cure)
			}
			grant, _, _ := strings.Cut(cure[at:], ";")
			testbed.MustExec(t, s, strings.Trim(grant, "`"))
			given++
		}
		if given == 0 {
			t.Error("an account without privileges was enough")
		}
		p.holds(t, n)
		p.write(t, base)
	})
	t.Run("taken server id", func(t *testing.T) {
		o := base
		o.source = fmt.Sprintf(", server_id: %d", s.Port)
		p.write(t, o)
		run(t, "run", p.yaml).refused(t, 1, "CDC2012", "server_id")
		p.write(t, base)
		more()
		p.resumed(t, n)
	})
	t.Run("phantom and future transactions", func(t *testing.T) {
		saved := filepath.Join(p.dir, "saved.json")
		if err := os.WriteFile(saved, []byte(must(t, "checkpoint", "export", p.yaml, "all")), 0o600); err != nil {
			t.Fatal(err)
		}
		more()
		for code, set := range map[string]string{"CDC2009": s.UUID + ":1-5,11111111-2222-3333-4444-555555555555:1-7", "CDC2010": s.UUID + ":1-99999"} {
			must(t, "checkpoint", "set", p.yaml, "all", "--to", set, "--yes")
			run(t, "run", p.yaml).refused(t, 1, code, "cdc checkpoint set")
			must(t, "checkpoint", "set", p.yaml, "all", "--from", saved, "--yes")
		}
		p.resumed(t, n)
	})
	t.Run("another choice of tables", func(t *testing.T) {
		o := base
		o.tables = only(db) + `, "else.%"`
		p.write(t, o)
		run(t, "run", p.yaml).refused(t, 1, "CDC6005", "--accept-tables")
		must(t, "checkpoint", "set", p.yaml, "all", "--accept-tables", "--yes")
		more()
		p.resumed(t, n)
		p.write(t, base)
		must(t, "checkpoint", "set", p.yaml, "all", "--accept-tables", "--yes")
	})
	t.Run("a statement instead of rows", func(t *testing.T) {
		more()
		testbed.MustExec(t, s, "SET SESSION binlog_format=STATEMENT", "DELETE FROM "+db+".t WHERE id = 1")
		behind, err := s.ExecutedGTIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		more()
		run(t, "run", p.yaml).refused(t, 1, "CDC2007", db+".t", "binlog_format=ROW")
		p.holds(t, n-5) // all that was before it
		st, ok := p.status(t)
		if !ok || st.State != "failed" || p.contains(t, st.Executed, behind) {
			t.Errorf("status behind the fault: %+v", st)
		}
		// Once an operator has decided about that transaction, the others come.
		must(t, "checkpoint", "set", p.yaml, "all", "--to", behind, "--yes")
		must(t, "run", p.yaml, "--until", "now")
		p.holds(t, n)
	})
	t.Run("log_bin off", func(t *testing.T) {
		if err := s.Restart(t.Context(), "--skip-log-bin", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"); err != nil {
			t.Fatal(err)
		}
		run(t, "run", p.yaml).refused(t, 1, "CDC2006", "log_bin")
		if err := s.Restart(t.Context(), "--log-bin=binlog", "--enforce-gtid-consistency=ON", "--gtid-mode=ON", "--binlog-format=STATEMENT"); err != nil {
			t.Fatal(err)
		}
		run(t, "run", p.yaml).refused(t, 1, "CDC2021", "binlog_format=ROW")
		if err := s.Restart(t.Context(), "--binlog-format=ROW"); err != nil {
			t.Fatal(err)
		}
		more()
		p.resumed(t, n)
	})
	t.Run("purged", func(t *testing.T) {
		more()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		kept := t.TempDir()
		list, err := s.BinlogFiles()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range append(list, filepath.Join(s.Dir, "binlog.index")) {
			copyFile(t, f, filepath.Join(kept, filepath.Base(f)))
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
		testbed.MustExec(t, s, "PURGE BINARY LOGS TO '"+rows[len(rows)-1][0].String+"'")
		run(t, "run", p.yaml).refused(t, 1, "CDC2008", s.UUID)
		p.holds(t, n-5)
		// The files come back from a backup.
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		index, err := os.ReadFile(filepath.Join(s.Dir, "binlog.index"))
		if err != nil {
			t.Fatal(err)
		}
		old, err := os.ReadFile(filepath.Join(kept, "binlog.index"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if _, err := os.Stat(f); err != nil {
				copyFile(t, filepath.Join(kept, filepath.Base(f)), f)
			}
		}
		merged := string(old)
		for l := range strings.Lines(string(index)) {
			if !strings.Contains(merged, strings.TrimSpace(l)) {
				merged += l
			}
		}
		if err := os.WriteFile(filepath.Join(s.Dir, "binlog.index"), []byte(merged), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.resumed(t, n)
	})
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Without GTIDs a place is of one server only: another one behind the address is refused, also one of the other family.
func TestOtherServer(t *testing.T) {
	t.Parallel()
	a, b, maria := testbed.Shared(t, testbed.MySQL97), testbed.Shared(t, testbed.MySQL57), testbed.Shared(t, testbed.MariaDB118)
	db := table(t, a)
	insert(t, a, db, 1, 5)
	o := settings{tables: only(db), start: "start", source: ", gtid: off"}
	p := newPipe(t, a, o)
	p.resumed(t, 5)
	insert(t, a, db, 6, 10)
	for _, other := range []*testbed.Server{b, maria} {
		text, err := os.ReadFile(p.yaml)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.yaml, []byte(strings.Replace(string(text), a.Addr(), other.Addr(), 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "run", p.yaml).refused(t, 1, "CDC2011", other.Addr())
		p.write(t, o)
	}
	p.resumed(t, 10)
}

// A second reader with the same server id drives out the first, which says so; nothing is lost by it.
func TestServerIDClash(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MariaDB118)
	db := table(t, s)
	o := settings{tables: only(db), source: ", server_id: 777777"}
	p, q := newPipe(t, s, o), newPipe(t, s, o)
	first := p.run(t)
	p.streaming(t, first)
	second := q.run(t)
	q.streaming(t, second)
	insert(t, s, db, 1, 5)
	q.reached(t, second)
	if code := first.wait(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
	result{code: 1, err: first.err.String()}.refused(t, 1, "CDC2012", "server_id")
	o.source = ""
	p.write(t, o)
	p.resumed(t, 5)
	second.stop(t)
	q.holds(t, 5)
}

// A compressed transaction that would grow beyond the limit is refused before it takes memory; with a higher limit it comes.
func TestCompressedBomb(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{Compress: true})
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, zeros LONGTEXT)")
	o := settings{tables: only(db), start: "start", memory: "64MiB", source: ", max_payload: 4MiB"}
	p := newPipe(t, s, o)
	insert(t, s, db, 1, 5)
	p.resumed(t, 5)
	testbed.MustExec(t, s, "BEGIN", "INSERT INTO "+db+".t VALUES (6, REPEAT('0', 10000000)), (7, REPEAT('0', 10000000))", "COMMIT")
	insert(t, s, db, 8, 8)
	run(t, "run", p.yaml).refused(t, 1, "CDC4005", "max_payload")
	p.holds(t, 5)
	o.source = ""
	p.write(t, o)
	p.resumed(t, 8)
}
