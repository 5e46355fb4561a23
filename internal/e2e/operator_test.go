//go:build servers

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// Seconds behind grow while the server is silent or the sink waits, and are 0 again when all is delivered.
func TestSecondsBehind(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newPipe(t, s, settings{tables: only(db), sink: "files: {dir: out, interval: 3s}"})
	r := p.run(t)
	atZero := func() bool {
		st, ok := p.status(t)
		return ok && st.State == "running" && st.Behind != nil && *st.Behind == 0
	}
	poll(t, "it is up to date", atZero)
	insert(t, s, db, 1, 5)
	// Read, and not published before the interval is over: the oldest of them grows older.
	var first float64
	poll(t, "it is behind", func() bool {
		st, ok := p.status(t)
		if ok && st.Behind != nil {
			first = *st.Behind
		}
		return first > 0
	})
	poll(t, "it is further behind", func() bool {
		st, ok := p.status(t)
		return ok && st.Behind != nil && *st.Behind > first+0.5
	})
	poll(t, "it is up to date again", atZero)
	r.stop(t)
	p.holds(t, 5)
}

// The commands about places: show, export, set back, set from an export, and the changes that come again for it.
func TestCheckpointCommands(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	p := newPipe(t, s, settings{tables: only(db), start: "start", sink: "stdout: {}"})
	run(t, "checkpoint", "show", p.yaml).refused(t, 1, "CDC6006")
	insert(t, s, db, 1, 5)
	exactly(t, printed(t, must(t, "run", p.yaml, "--until", "now")), 5)
	show := must(t, "checkpoint", "show", p.yaml, "all")
	if !strings.Contains(show, s.UUID) || !strings.Contains(show, "rows       5 in") {
		t.Errorf("checkpoint show:\n%s", show)
	}
	var rec map[string]any
	if err := json.Unmarshal([]byte(must(t, "checkpoint", "show", p.yaml, "all", "--json")), &rec); err != nil {
		t.Error(err)
	}
	saved := filepath.Join(p.dir, "saved.json")
	if err := os.WriteFile(saved, []byte(must(t, "checkpoint", "export", p.yaml, "all")), 0o600); err != nil {
		t.Fatal(err)
	}
	insert(t, s, db, 6, 8)
	six := []string{"6", "7", "8"}
	for range 2 {
		if got := ids(printed(t, must(t, "run", p.yaml, "--until", "now"))); !slices.Equal(got, six) {
			t.Errorf("delivered %q, want %q", got, six)
		}
		if out := must(t, "checkpoint", "set", p.yaml, "all", "--from", saved); !strings.Contains(out, "--yes") {
			t.Errorf("checkpoint set without --yes: %s", out)
		}
		if got := ids(printed(t, must(t, "run", p.yaml, "--until", "now"))); len(got) != 0 {
			t.Errorf("delivered %q after nothing was set", got)
		}
		must(t, "checkpoint", "set", p.yaml, "all", "--from", saved, "--yes")
	}
	run(t, "checkpoint", "set", p.yaml, "all", "--to", "yesterday", "--yes").refused(t, 2, "CDC1004")
	run(t, "checkpoint", "set", p.yaml, "all", "--yes").refused(t, 2, "CDC1004")
	run(t, "checkpoint", "show", p.yaml, "none").refused(t, 2, "CDC1004", "all")
}

// A stream that does not know a table's columns for a moment of the binlog stops, and goes on when it was told.
func TestSchemaSet(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL57)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, a INT)", "CREATE TABLE "+db+".u (id INT PRIMARY KEY)")
	p := newPipe(t, s, settings{tables: only(db), start: "start"})
	testbed.MustExec(t, s, "INSERT INTO "+db+".t VALUES (1, 10)")
	must(t, "run", p.yaml, "--until", "now")
	if out := must(t, "schema", "show", p.yaml, "all", db+".t"); !strings.Contains(out, "\n  a  ") || !strings.Contains(out, "key 1") {
		t.Errorf("schema show:\n%s", out)
	}
	right := testbed.MustQuery(t, s, "SHOW CREATE TABLE "+db+".t")[0][1].String
	// The operator is wrong about the table, and by the time that it matters the table looks different again.
	must(t, "schema", "set", p.yaml, "all", db+".t", "--ddl", "CREATE TABLE t (id INT PRIMARY KEY, a INT, more INT)")
	executed, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := s.UUID + ":" + executed[strings.LastIndexAny(executed, ":-")+1:]
	testbed.MustExec(t, s, "INSERT INTO "+db+".t VALUES (2, 20)", "ALTER TABLE "+db+".t CHANGE a b INT", "INSERT INTO "+db+".t VALUES (3, 30)")
	r := run(t, "run", p.yaml, "--until", "now")
	r.refused(t, 1, "CDC3001", db+".t", "cdc schema set")
	p.holds(t, 1)
	file := filepath.Join(p.dir, "t.sql")
	if err := os.WriteFile(file, []byte(right+";\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "schema", "set", p.yaml, "all", db+".t", "--file", file)
	p.resumed(t, 3)
	for _, l := range p.lines(t) {
		name := "a"
		if string(l.After["id"]) == "3" {
			name = "b"
		}
		if string(l.After[name]) != string(l.After["id"])+"0" || len(l.After) != 2 {
			t.Errorf("delivered %s under the wrong names: %v", l.After["id"], l.After)
		}
	}
	if out := must(t, "schema", "show", p.yaml, "all", db+".t", "--history"); !strings.Contains(out, "CHANGE a b") {
		t.Errorf("schema show --history:\n%s", out)
	}
	run(t, "schema", "show", p.yaml, "all", db+".none").refused(t, 2, "CDC1004")
	run(t, "schema", "set", p.yaml, "all", db+".t", "--file", file, "--at", before).refused(t, 2, "CDC1004", "CHANGE a b")
	run(t, "schema", "set", p.yaml, "all", db+".t", "--file", file, "--at", s.UUID+":999999999").refused(t, 2, "CDC1004", "has not come to")
	run(t, "schema", "set", p.yaml, "all", db+".t", "--file", file, "--at", "yesterday").refused(t, 2, "CDC1004", "--at")
	run(t, "schema", "set", p.yaml, "all", db+".t", "--ddl", "CREATE TABLE other (a INT)").refused(t, 1, "CDC3002", "SHOW CREATE TABLE")
}
