//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// streamsYAML writes a configuration of several streams, each to a folder of its own name.
func streamsYAML(t testing.TB, s *testbed.Server, tables, more string, streams map[string]string) (dir, yaml string) {
	t.Helper()
	dir = t.TempDir()
	flavor := "mysql"
	if s.Kind.MariaDB() {
		flavor = "mariadb"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "source:\n  %s: {address: %q, user: %s, password: {env: CDC_PASSWORD}, backoff: {first: 20ms, most: 500ms}}\n  start: start\n  tables: [%s]\nstreams:\n",
		flavor, s.Addr(), testbed.User, tables)
	for name, sink := range streams {
		fmt.Fprintf(&b, "  - name: %s\n    sink: {%s}\n", name, sink)
		if _, rest, ok := strings.Cut(sink, "dir: "); ok {
			if err := os.Mkdir(filepath.Join(dir, rest[:1]), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.WriteString("checkpoint: {dir: state, every: 100ms}\n" + more)
	yaml = filepath.Join(dir, "cdc.yaml")
	if err := os.WriteFile(yaml, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, yaml
}

// streamState is what these tests read of a stream's status.
type streamState struct {
	Stream string `json:"stream"`
	State  string `json:"state"`
	Code   string `json:"last_error_code"`
	Error  string `json:"last_error"`
	Acked  uint64 `json:"rows_acknowledged"`
	Paused *struct{ By, Reason string }
	Skips  []struct {
		GTID   string  `json:"gtid"`
		Reason string  `json:"reason"`
		Done   *string `json:"done"`
		Rows   *uint64 `json:"rows_dropped"`
	} `json:"skipped_transactions"`
}

func stateOf(t testing.TB, yaml, stream string) streamState {
	t.Helper()
	var doc struct{ Streams []streamState }
	_ = json.Unmarshal([]byte(run(t, "status", yaml, "--json").out), &doc) // its exit code says that a stream failed
	for _, s := range doc.Streams {
		if s.Stream == stream {
			return s
		}
	}
	return streamState{}
}

func linesIn(t testing.TB, dir string) []line {
	t.Helper()
	p := pipe{dir: filepath.Dir(dir)}
	if filepath.Base(dir) != "out" {
		t.Fatal("the folder is named out")
	}
	return p.lines(t)
}

var gtidIn = regexp.MustCompile(`gtid ([0-9a-f-]+:\d+)`)

// A stream that cannot carry a transaction fails alone; when that is skipped it goes on, and the decision is kept.
func TestSkipAndKeepOthers(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, u BIGINT UNSIGNED)")
	dir, yaml := streamsYAML(t, s, only(db), "on_failure: keep_others\n", map[string]string{
		"plain": "files: {dir: a/out, interval: 200ms}", "deb": "files: {dir: b/out, interval: 200ms, format: debezium}",
	})
	put := func(id int, u string) {
		testbed.MustExec(t, s, fmt.Sprintf("INSERT INTO %s.t VALUES (%d, %s)", db, id, u))
	}
	put(1, "1")
	put(2, "2")
	r := start(t, []string{"run", yaml})
	poll(t, "both deliver", func() bool { return stateOf(t, yaml, "plain").Acked == 2 && stateOf(t, yaml, "deb").Acked == 2 })
	put(3, "18446744073709551615")
	put(4, "4")
	poll(t, "the one fails and the other goes on", func() bool {
		return stateOf(t, yaml, "deb").State == "failed" && stateOf(t, yaml, "plain").Acked == 4
	})
	failed := stateOf(t, yaml, "deb")
	m := gtidIn.FindStringSubmatch(failed.Error)
	if failed.Code != "CDC8001" || m == nil {
		t.Fatalf("%+v", failed)
	}
	if out := must(t, "resume", yaml, "deb"); !strings.Contains(out, "deb") {
		t.Errorf("resume: %s", out)
	}
	poll(t, "it fails again", func() bool { return strings.Count(r.err.String(), "stream failed, the others go on") == 2 })
	if out := must(t, "skip", yaml, "deb", "--gtid", m[1]); !strings.Contains(out, "--yes") {
		t.Errorf("skip without --yes: %s", out)
	}
	must(t, "skip", yaml, "deb", "--gtid", m[1], "--reason", "ticket 4711", "--yes")
	poll(t, "it goes on", func() bool {
		st := stateOf(t, yaml, "deb")
		return st.State == "running" && st.Acked == 3 && len(st.Skips) == 1 && st.Skips[0].Done != nil
	})
	st := stateOf(t, yaml, "deb")
	if st.Skips[0].Rows == nil || *st.Skips[0].Rows != 1 || st.Skips[0].Reason != "ticket 4711" || st.Skips[0].GTID != m[1] {
		t.Errorf("%+v", st.Skips)
	}
	if out := must(t, "status", yaml); !strings.Contains(out, "Skipped_Transaction: "+m[1]) || !strings.Contains(out, "1 changes dropped") {
		t.Errorf("status:\n%s", out)
	}
	run(t, "skip", yaml, "deb", "--gtid", m[1], "--yes").refused(t, 2, "CDC1004", "already")
	r.stop(t)
	if out := must(t, "checkpoint", "show", yaml, "deb"); !strings.Contains(out, "skipped    "+m[1]) {
		t.Errorf("checkpoint show:\n%s", out)
	}
	exactly(t, linesIn(t, filepath.Join(dir, "a", "out")), 4)
}

// A paused stream holds over a kill and a restart, while the other goes on; resumed, it delivers what it missed, each once.
func TestPauseOverKill(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	dir, yaml := streamsYAML(t, s, only(db), "", map[string]string{
		"fast": "files: {dir: a/out, interval: 200ms}", "slow": "files: {dir: b/out, interval: 2s}", "none": "null: {}",
	})
	r := start(t, []string{"run", yaml})
	insert(t, s, db, 1, 5)
	poll(t, "all deliver", func() bool {
		return stateOf(t, yaml, "fast").Acked == 5 && stateOf(t, yaml, "slow").Acked == 5 && stateOf(t, yaml, "none").Acked == 5
	})
	insert(t, s, db, 6, 8)
	must(t, "pause", yaml, "slow", "--reason", "maintenance")
	if st := stateOf(t, yaml, "slow"); st.State != "paused" || st.Paused == nil || st.Paused.Reason != "maintenance" {
		t.Errorf("%+v", st)
	}
	at := stateOf(t, yaml, "slow").Acked
	insert(t, s, db, 9, 12)
	poll(t, "the others go on", func() bool { return stateOf(t, yaml, "fast").Acked == 12 && stateOf(t, yaml, "none").Acked == 12 })
	r.kill()
	if st := stateOf(t, yaml, "slow"); st.State != "paused" {
		t.Errorf("after a kill: %+v", st)
	}
	r = start(t, []string{"run", yaml})
	insert(t, s, db, 13, 15)
	// The files are asked, not the count of the status: a kill loses what was published after the last save from that count.
	delivered := func(stream string) int { return len(linesIn(t, filepath.Join(dir, stream, "out"))) }
	poll(t, "the others go on after the kill", func() bool { return delivered("a") == 15 && stateOf(t, yaml, "none").Acked >= 15 })
	if st := stateOf(t, yaml, "slow"); st.State != "paused" {
		t.Errorf("after a restart: %+v", st)
	}
	if n := delivered("b"); uint64(n) != at {
		t.Errorf("the paused stream delivered %d rows, and had %d", n, at)
	}
	must(t, "resume", yaml, "slow")
	poll(t, "it catches up", func() bool { return delivered("b") == 15 })
	r.stop(t)
	exactly(t, linesIn(t, filepath.Join(dir, "a", "out")), 15)
	exactly(t, linesIn(t, filepath.Join(dir, "b", "out")), 15)
}

// A transaction that the source itself cannot read stops the process; skipped while it is stopped, the next run goes on behind it.
func TestSkipUnreadable(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL80)
	db := table(t, s)
	dir, yaml := streamsYAML(t, s, only(db), "", map[string]string{"all": "files: {dir: a/out, interval: 200ms}"})
	insert(t, s, db, 1, 2)
	must(t, "run", yaml, "--until", "now")
	testbed.MustExec(t, s, "SET binlog_format=STATEMENT", "INSERT INTO "+db+".t VALUES (100)")
	insert(t, s, db, 3, 4)
	r := run(t, "run", yaml, "--until", "now")
	r.refused(t, 1, "CDC2007")
	m := gtidIn.FindStringSubmatch(r.err)
	if m == nil {
		t.Fatalf("no GTID in:\n%s", r.err)
	}
	must(t, "skip", yaml, "all", "--gtid", m[1], "--yes")
	must(t, "run", yaml, "--until", "now")
	exactly(t, linesIn(t, filepath.Join(dir, "a", "out")), 4)
	if st := stateOf(t, yaml, "all"); len(st.Skips) != 1 || st.Skips[0].Done == nil || st.Skips[0].Rows != nil {
		t.Errorf("%+v", st.Skips)
	}
}

// Metrics and health of a running pipeline, over HTTP.
func TestAdmin(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	free.Close()
	_, yaml := streamsYAML(t, s, only(db), "admin: {listen: "+at+"}\n", map[string]string{"all": "files: {dir: a/out, interval: 100ms}"})
	ask := func(path string) (int, string) {
		resp, err := http.Get("http://" + at + path)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	insert(t, s, db, 1, 7)
	r := start(t, []string{"run", yaml})
	poll(t, "the metrics say what was delivered", func() bool {
		_, text := ask("/metrics")
		return strings.Contains(text, `cdc_rows_acknowledged_total{stream="all"} 7`) && strings.Contains(text, `cdc_lag_seconds{stream="all"} 0`)
	})
	if _, text := ask("/metrics"); !strings.Contains(text, `cdc_table_rows_total{op="insert",stream="all",table="`+db+`.t"} 7`) || !strings.Contains(text, "cdc_healthy 1") {
		t.Errorf("metrics:\n%s", text)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := ask(path); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	must(t, "pause", yaml)
	if code, text := ask("/healthz"); code != http.StatusOK {
		t.Errorf("paused: %d %s", code, text)
	}
	if code, text := ask("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "paused") {
		t.Errorf("paused: %d %s", code, text)
	}
	r.stop(t)
}
