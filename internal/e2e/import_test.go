//go:build servers

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// A stream begins where Debezium stood inside of a transaction: what it had taken of it comes again and is named, and where it had taken all, nothing does.
func TestImportDebezium(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{ServerID: 184})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, n INT)")
	before, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testbed.MustExec(t, s, "BEGIN", "INSERT INTO d.t VALUES (1, 1), (2, 2)", "INSERT INTO d.t VALUES (3, 3)", "COMMIT")
	testbed.MustExec(t, s, "INSERT INTO d.t VALUES (4, 4)")
	begin := uint64(0)
	for _, r := range testbed.MustQuery(t, s, "SHOW BINLOG EVENTS") {
		if r[5].String == "BEGIN" && begin == 0 {
			if begin, err = strconv.ParseUint(r[1].String, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	offsets := func(dir string, event, row int, gtids, more string) string {
		file := filepath.Join(dir, "offsets")
		text := fmt.Sprintf(`["dbz",{"server":"dbz"}]`+"\t"+`{"ts_sec":1,"file":"binlog.000001","pos":%d,"event":%d,"row":%d,"gtids":"%s","server_id":184%s}`+"\n", begin, event, row, gtids, more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, c := range []struct {
		event, row int // BEGIN, map, rows, map, rows, end
		again      string
		want       []string
	}{
		{2, 1, "again      the first 1 rows of ", []string{"1", "2", "3", "4"}},
		{4, 1, "again      nothing", []string{"4"}},
	} {
		p := newPipe(t, s, settings{tables: `"d.t"`, stream: "    snapshot: initial\n"})
		out := must(t, "checkpoint", "import", p.yaml, "all", "--from", "debezium", offsets(p.dir, c.event, c.row, before, ""))
		if !strings.Contains(out, c.again) {
			t.Fatalf("want %q in\n%s", c.again, out)
		}
		r := p.run(t)
		p.reached(t, r)
		r.stop(t)
		if got := ids(p.lines(t)); !slices.Equal(got, c.want) {
			t.Errorf("event %d, row %d: %v, want %v", c.event, c.row, got, c.want)
		}
		run(t, "checkpoint", "import", p.yaml, "all", "--from", "debezium", filepath.Join(p.dir, "offsets")).refused(t, 1, "CDC6008", "has a checkpoint")
		if out := must(t, "checkpoint", "import", p.yaml, "all", "--from", "debezium", filepath.Join(p.dir, "offsets"), "--dry-run"); !strings.Contains(out, "nothing was saved") {
			t.Error(out)
		}
		must(t, "checkpoint", "import", p.yaml, "all", "--from", "debezium", filepath.Join(p.dir, "offsets"), "--replace")
	}
	p := newPipe(t, s, settings{tables: `"d.t"`})
	for _, c := range []struct{ file, code, says string }{
		{offsets(t.TempDir(), 2, 1, before, `,"snapshot":"INITIAL"`), "CDC6010", "snapshot"},
		{offsets(t.TempDir(), 2, 1, "11111111-1111-1111-1111-111111111111:1-5", ""), "CDC6011", "the GTID set says"},
		{filepath.Join(p.dir, "nothing"), "CDC6009", "nothing"},
		{p.yaml, "CDC6009", "print.key=true"},
	} {
		run(t, "checkpoint", "import", p.yaml, "all", "--from", "debezium", c.file).refused(t, 1, c.code, c.says)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "state")); err == nil {
		t.Error("a refused import has left a checkpoint folder")
	}
}
