//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// What the stream filters, masks, computes and merges is compared too: rows of the source go through its transforms first. And a comparison that goes on and on
// says in the status what it found.
func TestVerifyTransforms(t *testing.T) {
	t.Setenv("MASK_KEY", "0123456789abcdef")
	p := newPair(t, testbed.MySQL97, testbed.MySQL97, "table", wild(1))
	list := []string{
		"CREATE DATABASE shop",
		"CREATE TABLE shop.users (id BIGINT UNSIGNED PRIMARY KEY, email VARCHAR(60), name VARCHAR(20), credit DECIMAL(8,2), state VARCHAR(10), at DATETIME(3), d DOUBLE, j JSON)",
		"CREATE TABLE shop.people (mail VARCHAR(50) PRIMARY KEY, v INT)",
		"INSERT INTO shop.people VALUES ('ann', 1), ('bob', 2), ('cecil', 3)",
	}
	states := []string{"open", "draft", "done"}
	var users []string
	for i := range 600 {
		users = append(users, fmt.Sprintf("(%d, 'u%d@example.com', 'Näme %d', %d.50, '%s', '2026-01-02 03:04:05.%03d', %d/7e0, '{\"n\": %d}')", i, i, i, i%90, states[i%3], i, i, i))
	}
	list = append(list, "INSERT INTO shop.users VALUES "+strings.Join(users, ","))
	for k := range 3 {
		var orders []string
		for i := range 100 {
			orders = append(orders, fmt.Sprintf("(%d, 'order %d')", 3*i*i+k, i))
		}
		list = append(list, fmt.Sprintf("CREATE TABLE shop.orders_%d (id INT PRIMARY KEY, v VARCHAR(20))", k), fmt.Sprintf("INSERT INTO shop.orders_%d VALUES ", k)+strings.Join(orders, ","))
	}
	testbed.MustExec(t, p.server, list...)
	config := fmt.Sprintf(`
source:
  mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}}
  tables: ["shop.%%"]
streams:
  - name: all
    snapshot: initial
    transforms:
      - filter: {tables: ["shop.users"], where: 'row.state != "draft"'}
      - mask: {columns: ["shop.users.email", "shop.people.mail"], hmac: {key: {env: MASK_KEY}, length: 32}}
      - mask: {columns: ["shop.users.name"], keep_last: 2}
      - compute: {tables: ["shop.users"], column: twice, type: "decimal(10,2)", value: 'row.credit * 2'}
      - compute: {tables: ["shop.users"], column: d, type: double, value: 'row.d / 3'}
      - compute: {tables: ["shop.users"], column: way, type: varchar(10), value: op}
      - route: {match: 'regexp:shop\.(orders)_\d', to: "all.{1}"}
    sink:
      mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: table, on_conflict: overwrite}
checkpoint: {dir: state, every: 200ms}
`, p.server.Addr(), testbed.User, p.target.Addr(), applier)
	if err := os.WriteFile(p.yaml, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, []string{"run", p.yaml})
	verified := func() (v struct {
		State string
		Sweep int
		Last  *struct {
			Equal     bool
			Differing int `json:"rows_differing"`
		}
	}, copied bool,
	) {
		var s struct {
			Streams []struct {
				Snapshot struct{ State string }
				Verify   json.RawMessage
			}
		}
		out := run(t, "status", p.yaml, "--json")
		if json.Unmarshal([]byte(out.out), &s) == nil && len(s.Streams) == 1 {
			_ = json.Unmarshal(s.Streams[0].Verify, &v)
			copied = s.Streams[0].Snapshot.State == "done"
		}
		return v, copied
	}
	pollFor(t, 2*time.Minute, "the rows are copied", func() bool {
		_, copied := verified()
		return copied || !r.running()
	})
	testbed.MustExec(t, p.server, "UPDATE shop.users SET state = 'draft', credit = 1 WHERE id = 300", "UPDATE shop.users SET email = 'new' WHERE id < 30",
		"DELETE FROM shop.users WHERE id IN (0, 301, 302)", "UPDATE shop.orders_1 SET v = 'x' WHERE id > 100")
	if out := must(t, "verify", p.yaml, "--json"); !strings.Contains(out, `"kept": 1`) || !strings.Contains(out, `"filtered": 200`) || !strings.Contains(out, "way (transforms[5].compute") {
		t.Errorf("the report is\n%s", out)
	}
	testbed.MustExec(t, p.target, "SET sql_log_bin = 0", "UPDATE shop.users SET email = 'x' WHERE id = 3", "UPDATE shop.users SET twice = 0.01 WHERE id = 5", "UPDATE shop.users SET d = d + 1e-9, name = NULL WHERE id = 6",
		"DELETE FROM shop.users WHERE id = 8", "INSERT INTO shop.users (id, state) VALUES (7000, 'open')",
		"DELETE FROM `all`.orders WHERE id = 48", "UPDATE `all`.orders SET v = '' WHERE id = 49", "INSERT INTO `all`.orders VALUES (-5, '')")
	want := []string{
		"different shop.users (id=3) in email", "different shop.users (id=5) in twice", "different shop.users (id=6) in name, d", "missing shop.users (id=8)",
		"extra shop.users (id=7000)", "missing shop.orders_0 -> all.orders (id=48)", "different shop.orders_1 -> all.orders (id=49) in v", "extra all.orders (id=-5)",
	}
	found := run(t, "verify", p.yaml)
	found.refused(t, 1, "CDC9001")
	for _, w := range want {
		if !strings.Contains(found.out, w+"\n") {
			t.Errorf("%q is not found:\n%s", w, found.out)
		}
	}
	if n := strings.Count(found.out, "("); n < len(want) || !strings.Contains(found.err, "8 rows of 2 tables differ") {
		t.Errorf("found\n%s\n%s", found.out, found.err)
	}
	run(t, "verify", p.yaml, "--sums").refused(t, 1, "CDC9001", "3 rows of 1 tables differ")
	fixed := run(t, "verify", p.yaml, "--repair", "--apply", "--no-binlog")
	// A value that depends on the change can be made by nobody: the missing row stays missing.
	if !strings.Contains(fixed.err, "1 rows of 1 tables differ") || !strings.Contains(fixed.out, "missing shop.users (id=8): not repaired") {
		t.Errorf("repaired\n%s\n%s", fixed.out, fixed.err)
	}
	testbed.MustExec(t, p.server, "UPDATE shop.users SET credit = 5 WHERE id = 8") // on_conflict inserts it
	testbed.MustExec(t, p.target, "UPDATE shop.people SET v = 7 WHERE v = 1")
	if out := run(t, "verify", p.yaml); !strings.Contains(out.err, "2 rows of 1 tables differ") || strings.Count(out.out, " shop.people (1 copies") != 2 {
		t.Errorf("a table whose key is masked:\n%s\n%s", out.out, out.err)
	}
	testbed.MustExec(t, p.target, "UPDATE shop.people SET v = 1 WHERE v = 7")

	again := start(t, []string{"verify", p.yaml, "--continuous", "--pause", "100ms"})
	pollFor(t, 2*time.Minute, "two sweeps find all equal", func() bool {
		v, _ := verified()
		return v.Sweep > 2 && v.Last != nil && v.Last.Equal || !again.running()
	})
	testbed.MustExec(t, p.server, "INSERT INTO shop.orders_0 VALUES (1000000, 'here')", "INSERT INTO shop.orders_1 VALUES (1000000, 'there')")
	pollFor(t, 2*time.Minute, "a key in two tables is found", func() bool {
		v, _ := verified()
		return v.Last != nil && v.Last.Differing == 1 || !again.running()
	})
	if !strings.Contains(run(t, "status", p.yaml).out, "Verify: ") {
		t.Error("the status says nothing of the comparison")
	}
	again.signal(syscall.SIGTERM)
	if code := again.wait(t); code != 0 || !strings.Contains(again.out.String(), "clash ") {
		t.Errorf("the comparison ended with %d:\n%s\n%s", code, tailOf(again.out.String(), 20), tailOf(again.err.String(), 20))
	}
	r.stop(t)
}
