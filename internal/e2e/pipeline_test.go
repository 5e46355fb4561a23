//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cdc/gtid"
	"cdc/internal/testbed"
)

// pipe is a configuration in a folder of its own, with where its files go.
type pipe struct {
	dir, yaml string
	server    *testbed.Server
}

// settings of a pipe; what is empty is left to the default.
type settings struct {
	source string // further keys of the server, as ", key: value"
	start  string
	relay  string // keys of the relay; default: none
	tables string // default: everything
	sink   string // default: files, plain, published often
	memory string
	every  string // of the checkpoint
	stream string // further keys of the stream, as lines with four spaces before them
	more   string // lines at the end
}

func newPipe(t testing.TB, s *testbed.Server, o settings) *pipe {
	t.Helper()
	p := &pipe{dir: t.TempDir(), server: s}
	p.yaml = filepath.Join(p.dir, "cdc.yaml")
	p.write(t, o)
	return p
}

// write writes the configuration anew.
func (p *pipe) write(t testing.TB, o settings) {
	t.Helper()
	flavor := "mysql"
	if p.server.Kind.MariaDB() {
		flavor = "mariadb"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "source:\n  %s: {address: %q, user: %s, password: {env: CDC_PASSWORD}, backoff: {first: 20ms, most: 500ms}%s}\n", flavor, p.server.Addr(),
		testbed.User, o.source)
	if o.start != "" {
		fmt.Fprintf(&b, "  start: %q\n", o.start)
	}
	if o.relay != "" {
		fmt.Fprintf(&b, "  relay: {%s}\n", o.relay)
	}
	if o.tables != "" {
		fmt.Fprintf(&b, "  tables: [%s]\n", o.tables)
	}
	if o.sink == "" {
		o.sink = "files: {dir: out, interval: 300ms}"
	}
	fmt.Fprintf(&b, "streams:\n  - name: all\n%s    sink:\n      %s\n", o.stream, o.sink)
	if o.every == "" {
		o.every = "200ms"
	}
	fmt.Fprintf(&b, "checkpoint: {dir: state, every: %s}\n", o.every)
	if o.memory != "" {
		fmt.Fprintf(&b, "memory: %s\n", o.memory)
	}
	b.WriteString(o.more)
	if err := os.WriteFile(p.yaml, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *pipe) out() string { return filepath.Join(p.dir, "out") }

// run starts the pipeline.
func (p *pipe) run(t testing.TB, options ...option) *process {
	t.Helper()
	return start(t, []string{"run", p.yaml, "--log-level", "debug"}, options...)
}

// status is what tests read of `cdc status --json`.
type status struct {
	State    string   `json:"state"`
	Reader   string   `json:"reader_state"`
	Writer   string   `json:"writer_state"`
	Executed string   `json:"executed_gtid_set"`
	File     string   `json:"acknowledged_file"`
	Offset   uint64   `json:"acknowledged_offset"`
	Behind   *float64 `json:"seconds_behind_source"`
	Rows     uint64   `json:"rows_read"`
	Acked    uint64   `json:"rows_acknowledged"`
	Code     string   `json:"last_error_code"`
	Error    string   `json:"last_error"`
	Hint     string   `json:"last_error_hint"`
	Peak     int64    `json:"memory_peak"`
	Limit    int64    `json:"memory_limit"`
	Restarts int      `json:"restarts"`

	ExactlyOnce string `json:"exactly_once"`

	Snapshot *struct {
		State string `json:"state"`
		Rows  uint64 `json:"rows"`
	} `json:"snapshot"`
	Asked *struct {
		State string `json:"state"`
		Rows  uint64 `json:"rows"`
	} `json:"asked_snapshot"`
}

// status asks; ok is false where there is no answer yet.
func (p *pipe) status(t testing.TB) (st status, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "status", p.yaml, "--json")
	cmd.Env = append(os.Environ(), "CDC_PASSWORD="+testbed.Password)
	b, _ := cmd.Output() // its exit code says that a stream failed, or that there is nothing yet
	var r struct {
		Streams []status `json:"streams"`
	}
	if json.Unmarshal(b, &r) != nil || len(r.Streams) != 1 {
		return st, false
	}
	return r.Streams[0], true
}

// reached waits until everything that the server has committed by now is acknowledged by the sink of a running process.
func (p *pipe) reached(t testing.TB, r *process) {
	t.Helper()
	target, err := p.server.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last status
	defer func() {
		if t.Failed() {
			t.Logf("the last status: %+v", last)
		}
	}()
	poll(t, "the stream has come to "+target, func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		last = st
		return ok && st.State == "running" && p.contains(t, st.Executed, target)
	})
}

// contains reports that one GTID set holds another: on a shared server the stream may be further than the target.
func (p *pipe) contains(t testing.TB, have, want string) bool {
	t.Helper()
	flavor := gtid.MySQL
	if p.server.Kind.MariaDB() {
		flavor = gtid.MariaDB
	}
	h, err := gtid.Parse(flavor, have)
	if err != nil {
		t.Fatal(err)
	}
	w, err := gtid.Parse(flavor, want)
	if err != nil {
		t.Fatal(err)
	}
	return h.ContainsSet(w)
}

// streaming waits until the reader follows the server.
func (p *pipe) streaming(t testing.TB, r *process) {
	t.Helper()
	var last status
	defer func() {
		if t.Failed() {
			t.Logf("the last status: %+v", last)
		}
	}()
	poll(t, "the stream runs", func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		last = st
		return ok && st.State == "running" && st.Reader == "streaming"
	})
}
