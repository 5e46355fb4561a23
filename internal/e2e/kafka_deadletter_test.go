//go:build servers

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// Changes that were set aside are carried when the cause is mended: each once, behind the names that they had, and not behind a later change of their row.
func TestKafkaDeadLetterReplay(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	k := testbed.SharedKafka(t, testbed.Kafka43)
	db := testbed.FreshDB(t, s)
	at, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("y", 20)
	testbed.MustExec(t, s, "USE "+db, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50), doc MEDIUMTEXT)",
		"INSERT INTO t VALUES (1, 'a', NULL)",
		"INSERT INTO t VALUES (2, 'b', NULL), (3, '"+long+"', NULL), (4, 'd', NULL)",      // a step fails at 3
		"INSERT INTO t VALUES (5, '"+long+"', NULL)", "UPDATE t SET v = 'e' WHERE id = 5", // the insert is overtaken
		"INSERT INTO t VALUES (6, 'f', REPEAT('z', 50000))", // too large
		"INSERT INTO t VALUES (7, '"+long+"', NULL)", "DELETE FROM t WHERE id = 7",
		"INSERT INTO t VALUES (8, '"+long+"', NULL)", "UPDATE t SET id = 9, v = 'i' WHERE id = 8", // overtaken by a change of its key
		"INSERT INTO t VALUES (11, 'k', REPEAT('z', 50000))", "UPDATE t SET v = 'l' WHERE id = 11") // both too large
	o := settings{tables: only(db), start: at}
	p := newTopicPipe(t, s, k, o, "")
	config := func(width int, most string) {
		o.sink = p.sink(k.Brokers(), "format: debezium, compression: none, oversize: dead_letter, max_record: "+most+", dead_letter: {topic: "+p.prefix+"-dead}") + fmt.Sprintf(`
    transforms:
      - compute: {column: copy, type: varchar(%d), value: 'op == "insert" ? row.v : "x"'}
    on_error: dead_letter`, width)
		p.write(t, o)
	}
	config(10, "20KiB")
	must(t, "run", p.yaml, "--until", "now")
	rows := func() []string {
		var out []string
		for _, m := range messages(t, k, p.prefix+".") {
			_, after, _ := strings.Cut(string(m.Value), `"after":{"id":`)
			id, _, _ := strings.Cut(after, ",")
			out = append(out, id)
		}
		return out
	}
	before := rows()

	// Nothing is written without --yes, nor of what fails again.
	want := func(r result, code int, says ...string) {
		t.Helper()
		if r.code != code {
			t.Fatalf("exit code %d, want %d: %s %s", r.code, code, r.out, r.err)
		}
		for _, text := range says {
			if !strings.Contains(r.out+r.err, text) {
				t.Errorf("no %q in %s%s", text, r.out, r.err)
			}
		}
	}
	want(run(t, "deadletter", "replay", p.yaml, "all"), 0, "7 letters: 0 replayed, 4 to be replayed (--yes), 3 overtaken, 0 cannot be", "CDC8002", "CDC5108", "overtaken: its row was changed again by")
	want(run(t, "deadletter", "replay", p.yaml, "all", "--yes"), 1, "0 replayed, 0 to be replayed (--yes), 3 overtaken, 4 cannot be", "set aside again: CDC5108", "CDC8007")
	if got := rows(); len(got) != len(before) {
		t.Fatalf("rows %v, and %v before", got, before)
	}
	config(50, "20KiB") // the step is mended, and the limit is not
	want(run(t, "deadletter", "replay", p.yaml, "all", "--yes"), 1, "1 replayed", "3 cannot be")
	config(50, "1MiB")
	want(run(t, "deadletter", "replay", p.yaml, "all", "--yes"), 0, "6 letters: 3 replayed, 0 to be replayed (--yes), 3 overtaken, 0 cannot be")
	want(run(t, "deadletter", "replay", p.yaml, "all"), 0, "3 letters: 0 replayed", "3 overtaken")
	want(run(t, "deadletter", "replay", p.yaml, "all", "--yes", "--overtaken"), 0, "3 letters: 3 replayed")
	want(run(t, "deadletter", "replay", p.yaml, "all"), 0, "no letters")

	// The stream goes on, which sees no sign of it.
	testbed.MustExec(t, s, "INSERT INTO "+db+".t VALUES (10, 'j', NULL)")
	r := p.run(t)
	p.arrives(t, r)
	want(run(t, "deadletter", "replay", p.yaml, "all"), 2, `stream "all" is running`)
	poll(t, "the new row is there", func() bool {
		got := rows()
		return len(got) > 0 && got[len(got)-1] == "10" || strings.Contains(strings.Join(got, " ")+" ", "10 ")
	})
	r.stop(t)

	names := map[string]bool{}
	state := map[string]string{}
	replayed := 0
	for _, m := range messages(t, k, p.prefix+".") {
		name := header(&m, "gtid") + "/" + header(&m, "row") + "/" + header(&m, "sub")
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		if header(&m, "replayed") == "true" {
			replayed++
		}
		switch text := string(m.Value); {
		case m.Value == nil:
		case strings.Contains(text, `"op":"d"`):
			delete(state, string(m.Key))
		default:
			_, v, _ := strings.Cut(text, `"after":{`)
			_, v, _ = strings.Cut(v, `"v":"`)
			v, _, _ = strings.Cut(v, `"`)
			state[string(m.Key)] = v
		}
	}
	if replayed != 7 {
		t.Errorf("%d records were replayed", replayed)
	}
	// 5, 7 and 8 came behind what overtook them, as was asked for.
	for id, v := range map[int]string{1: "a", 2: "b", 3: long, 4: "d", 5: long, 6: "f", 7: long, 8: long, 9: "i", 10: "j", 11: "l"} {
		if got := state[fmt.Sprintf(`{"id":%d}`, id)]; got != v {
			t.Errorf("row %d is %q, want %q", id, got, v)
		}
	}
	if len(state) != 11 {
		t.Errorf("rows %v", state)
	}
}
