//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/internal/testbed"
)

// cdc verify runs beside cdc run while sessions write to tables of every kind: it finds the rows that were changed at the target alone and no other, prints
// what would put them right, and puts them right.
func TestVerify(t *testing.T) {
	for _, w := range []way{{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, {testbed.MySQL97, testbed.MySQL97, "table"}} {
		t.Run(w.String(), func(t *testing.T) {
			o := wild(seed(t))
			o.DDL, o.Cascades, o.Sessions, o.Pause = false, false, 2, 60*time.Millisecond
			p := newPair(t, w.from, w.to, w.mode, o)
			stop := p.write(t)
			still := p.o.Databases()[0] + ".still"
			r := p.apply(t)
			rows := make([]string, 500)
			for i := range rows {
				rows[i] = fmt.Sprintf("(%d, 'row %d', %d.5)", i, i, i)
			}
			testbed.MustExec(t, p.server, "CREATE TABLE "+still+" (id INT PRIMARY KEY, name VARCHAR(40) UNIQUE, d DOUBLE)", "INSERT INTO "+still+" VALUES "+strings.Join(rows, ","))
			poll(t, "the rows are at the target", func() bool {
				n, err := p.target.One(t.Context(), "SELECT COUNT(*) FROM "+still)
				return err == nil && n == "500"
			})
			must(t, "verify", p.yaml)
			testbed.MustExec(t, p.target, "SET sql_log_bin = 0", "DELETE FROM "+still+" WHERE id = 7", "INSERT INTO "+still+" VALUES (-1, 'nobody', 0)",
				"UPDATE "+still+" SET d = d + 1 WHERE id = 30", "UPDATE "+still+" SET name = 'x' WHERE id = 41", "UPDATE "+still+" SET name = 'row 41' WHERE id = 42",
				"UPDATE "+still+" SET name = 'row 42' WHERE id = 41")
			want := map[string]string{"7": "missing", "-1": "extra", "30": "different d", "41": "different name", "42": "different name"}
			run(t, "verify", p.yaml, "--repair").refused(t, 1, "CDC9001")
			p.differences(t, still, want, false)
			run(t, "verify", p.yaml, "--repair", "--apply", "--no-binlog")
			p.differences(t, still, want, true)
			must(t, "verify", p.yaml)
			if !r.running() {
				t.Errorf("the pipeline has ended:\n%s", tailOf(r.err.String(), 20))
			}
			stop()
			must(t, "verify", p.yaml)
			r.stop(t)
			must(t, "verify", p.yaml) // by the checkpoint
		})
	}
}

// differences compares the report with what it should hold.
func (p *pair) differences(t *testing.T, table string, want map[string]string, fixed bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "state", "verify-all.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		var d struct {
			Table, Kind string
			Key         []struct{ Value string }
			Columns     []string
			Fix         []string
			Fixed       bool
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if d.Kind == "" {
			continue // the last line
		}
		n++
		what := strings.TrimSpace(d.Kind + " " + strings.Join(d.Columns, " "))
		if d.Table != table || len(d.Key) != 1 || want[d.Key[0].Value] != what || d.Fixed != fixed || len(d.Fix) == 0 {
			t.Errorf("a difference is %s", line)
		}
	}
	if n != len(want) {
		t.Errorf("%d differences, want %d:\n%s", n, len(want), data)
	}
}
