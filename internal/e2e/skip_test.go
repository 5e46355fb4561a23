//go:build servers

package e2e

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cdc/internal/testbed"
)

var placeIn = regexp.MustCompile(`, (binlog\.\d+:\d+)\)`)

// placeOf gives the place that a fault names.
func placeOf(t testing.TB, text string) string {
	t.Helper()
	m := placeIn.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no place in %s", text)
	}
	return m[1]
}

// Without GTIDs a transaction is skipped by the place where it begins, as the fault names it: of a stopped process and of a running one.
func TestSkipAt(t *testing.T) {
	t.Parallel()
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, k, testbed.Options{GTIDOff: true})
			db, put := amounts(t, s)
			p := newPipe(t, s, settings{})
			p.steps(t, settings{tables: only(db), start: "start", more: "on_failure: keep_others\n"}, byNumber, "")
			put(1, "1")
			put(2, "bad")
			put(3, "3")
			r := run(t, "run", p.yaml, "--until", "now")
			r.refused(t, 1, "CDC8002")
			at := placeOf(t, r.err)
			if out := must(t, "skip", p.yaml, "all", "--at", at); !strings.Contains(out, "--yes") {
				t.Errorf("without --yes: %s", out)
			}
			run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC8002")
			must(t, "skip", p.yaml, "all", "--at", at, "--reason", "ticket 4712", "--yes")
			must(t, "run", p.yaml, "--until", "now")
			if got := ids(p.lines(t)); !slices.Equal(got, []string{"1", "3"}) {
				t.Errorf("delivered %q", got)
			}
			// The next one fails while the process runs.
			run := p.run(t)
			p.streaming(t, run)
			put(4, "worse")
			put(5, "5")
			poll(t, "the stream fails", func() bool { return stateOf(t, p.yaml, "all").State == "failed" })
			second := placeOf(t, stateOf(t, p.yaml, "all").Error)
			must(t, "skip", p.yaml, "all", "--at", second, "--yes")
			poll(t, "it goes on", func() bool {
				st := stateOf(t, p.yaml, "all")
				return st.State == "running" && len(st.Skips) == 2 && st.Skips[1].Done != nil
			})
			p.delivers(t, "1", "3", "5")
			run.stop(t)
			st := stateOf(t, p.yaml, "all")
			if st.Skips[0].Reason != "ticket 4712" || st.Skips[0].Rows == nil || *st.Skips[0].Rows != 1 || st.Skips[1].Rows == nil || *st.Skips[1].Rows != 1 {
				t.Errorf("%+v", st.Skips)
			}
			if out := must(t, "status", p.yaml); !strings.Contains(out, "Skipped_Transaction: "+at) {
				t.Errorf("status:\n%s", out)
			}
		})
	}
}

// delivers waits until the files hold the inserts with these ids.
func (p *pipe) delivers(t testing.TB, want ...string) {
	t.Helper()
	poll(t, strings.Join(want, ", ")+" are delivered", func() bool { return slices.Equal(ids(p.lines(t)), want) })
}

// A clean stop waits for a reader of stdout that does not read; a second SIGTERM ends it at once, and the next run delivers what was not.
func TestSecondSigterm(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, pad VARCHAR(1000))")
	const rows = 500 // more than a pipe takes
	all := []string{"SET SESSION cte_max_recursion_depth=10000"}
	for i := 1; i <= rows; i += 100 {
		all = append(all, "INSERT INTO "+db+".t WITH RECURSIVE n (i) AS (SELECT "+strconv.Itoa(i)+" UNION ALL SELECT i + 1 FROM n WHERE i < "+strconv.Itoa(i+99)+") SELECT i, REPEAT('x', 1000) FROM n")
	}
	p := newPipe(t, s, settings{tables: only(db), start: "start", sink: "stdout: {}"})
	testbed.MustExec(t, s, all...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r := p.run(t, func(c *exec.Cmd) { c.Stdout = in })
	in.Close()
	poll(t, "rows are read", func() bool {
		st, ok := p.status(t)
		return ok && st.Rows >= rows
	})
	r.signal(syscall.SIGTERM)
	poll(t, "it stops", func() bool { return strings.Contains(r.err.String(), "stopping") })
	if !r.running() {
		t.Fatal("it ended although nobody read its output")
	}
	r.signal(syscall.SIGTERM)
	if code := r.wait(t); code != 0 {
		t.Errorf("exit code %d, as of a clean stop 0 is documented", code)
	}
	if !strings.Contains(r.err.String(), "second signal") {
		t.Errorf("it does not say so:\n%s", tailOf(r.err.String(), 10))
	}
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	first := string(text[:strings.LastIndexByte(string(text), '\n')+1]) // the last line may be torn
	r2 := run(t, "run", p.yaml, "--until", "now")
	if r2.code != 0 {
		t.Fatal(r2.err)
	}
	got := append(ids(printed(t, first)), ids(printed(t, r2.out))...)
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != rows {
		t.Errorf("%d of %d rows were delivered by the two runs", len(got), rows)
	}
	// To files the same is exactly once.
	q := newPipe(t, s, settings{tables: only(db), start: "start", sink: "files: {dir: out, interval: 1h}"})
	for range 3 {
		r := q.run(t)
		q.streaming(t, r)
		r.signal(syscall.SIGTERM)
		poll(t, "it stops", func() bool { return strings.Contains(r.err.String(), "stopping") })
		r.signal(syscall.SIGTERM)
		if code := r.wait(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	must(t, "run", q.yaml, "--until", "now")
	q.holds(t, rows)
}
