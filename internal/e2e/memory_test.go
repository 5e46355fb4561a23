//go:build servers

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/internal/testbed"
	"cdc/sinks/files"
)

// peak is the most memory that a process ever had, in bytes (VmHWM of proc(5)).
func (p *process) peak(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// large makes a table and inserts so many rows in one transaction. It gives the GTID set before that.
func large(t testing.TB, s *testbed.Server, db string, rows int) (before string) {
	t.Helper()
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, name VARCHAR(80), at DATETIME(6), amount DECIMAL(12,2), note VARCHAR(300))")
	before, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// In the order of the key: in any other, a server with little memory writes each page many times.
	testbed.MustExec(t, s, "USE "+db, fmt.Sprintf("SET cte_max_recursion_depth = %d", rows), fmt.Sprintf("INSERT INTO t WITH RECURSIVE s (n) AS "+
		"(SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n, CONCAT('name of ', n), '2024-01-02 03:04:05.678901', n / 4, REPEAT('note ', 30) FROM s", rows))
	return before
}

// A transaction far larger than the memory budget goes through, to each sink, and the process stays near its budget.
func TestMemory(t *testing.T) {
	t.Parallel()
	const budget, beside = 32 << 20, 64 << 20
	rows := number(t, "CDC_ROWS", 300_000)
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	db := testbed.FreshDB(t, s)
	at := large(t, s, db, rows)
	for name, sink := range map[string]string{"files": "files: {dir: out}", "null": "null: {format: debezium}"} {
		t.Run(name, func(t *testing.T) {
			p := newPipe(t, s, settings{tables: fmt.Sprintf("%q", db+".t"), start: at, memory: "32MiB", sink: sink})
			r := p.run(t)
			pollFor(t, patience+time.Duration(rows)*100*time.Microsecond, "all rows are acknowledged", func() bool {
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				st, ok := p.status(t)
				return ok && st.Acked == uint64(rows) || ok && st.Rows == uint64(rows) && name == "files"
			})
			peak := r.peak(t)
			r.stop(t)
			t.Logf("%d rows in one transaction: at most %d MiB", rows, peak>>20)
			if peak > budget+beside {
				t.Errorf("the process took %d MiB, its budget is %d MiB", peak>>20, budget>>20)
			}
			if name != "files" {
				return
			}
			n, last := 0, 0
			if err := files.Read(p.out(), func(_ string, text []byte) error {
				i := strings.Index(string(text), `"after":{"id":`)
				id, err := strconv.Atoi(strings.FieldsFunc(string(text[i+len(`"after":{"id":`):]), func(r rune) bool { return r == ',' || r == '}' })[0])
				if err == nil && id == last {
					err = fmt.Errorf("row %d twice", id)
				}
				last = id
				n++
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if n != rows {
				t.Errorf("%d rows in the files, want %d", n, rows)
			}
		})
	}
}
