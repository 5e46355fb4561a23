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

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// Three streams read one relay, each at its own pace: one stands still while the process is killed and the others go on, and carries on alone at last. The server has one
// reader. Then what the server has committed is replayed from the server itself, killed once in between, and comes to the same.
func TestRelayStreams(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	p := newPipe(t, s, settings{
		start: "start", relay: "dir: relay", tables: `"shop.%"`, sink: "files: {dir: all, interval: 300ms}",
		more: "on_failure: keep_others\n",
	})
	text, err := os.ReadFile(p.yaml)
	if err != nil {
		t.Fatal(err)
	}
	var more strings.Builder
	for _, name := range []string{"second", "third"} {
		fmt.Fprintf(&more, "  - name: %s\n    sink:\n      files: {dir: %s, interval: 300ms}\n", name, name)
	}
	whole := strings.Replace(string(text), "checkpoint:", more.String()+"checkpoint:", 1)
	if err := os.WriteFile(p.yaml, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	l, stop := traffic(t, s, ledger.Options{DDL: true, Pause: 5 * time.Millisecond, Seed: seed(t), Large: 2_000})
	r := p.run(t)
	has := func(name string) func() bool {
		target := executed(t, s)
		return func() bool {
			if !r.running() {
				t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
			}
			at := p.places(t)[name]
			return at != "" && p.contains(t, at, target)
		}
	}
	for _, name := range []string{"all", "second", "third"} {
		poll(t, name+" runs", has(name))
	}
	must(t, "pause", p.yaml, "second")
	held := p.places(t)["second"]
	poll(t, "the others go on", has("all"))
	r.kill()
	r = p.run(t)
	for _, name := range []string{"all", "third"} {
		poll(t, name+" goes on behind the kill", has(name))
	}
	if now := p.places(t)["second"]; !p.contains(t, held, now) {
		t.Errorf("a stream that stands still went from %s to %s", held, now)
	}
	if n := testbed.MustQuery(t, s, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")[0][0].String; n != "1" {
		t.Errorf("%s connections read the server's binlog", n)
	}
	stop()
	must(t, "resume", p.yaml, "second")
	for _, name := range []string{"all", "second", "third"} {
		poll(t, name+" has all", has(name))
	}
	r.stop(t)
	for _, name := range []string{"all", "second", "third"} {
		p.verdictOf(t, l, filepath.Join(p.dir, name))
	}

	q := newPipe(t, s, settings{tables: `"shop.%"`, every: "20ms"})
	args := []string{"replay", q.yaml}
	for _, moment := range []time.Duration{0, 300 * time.Millisecond} { // the first with nothing saved but what was asked for
		k := start(t, args)
		poll(t, "the replay begins", func() bool {
			some, _ := filepath.Glob(filepath.Join(q.dir, "state", "replay-*", "replay.json"))
			return len(some) > 0 || !k.running()
		})
		pause(t.Context(), moment)
		k.signal(syscall.SIGKILL)
		k.wait(t)
	}
	if r := run(t, args...); r.code != 0 && !strings.Contains(r.err, "CDC9111") {
		t.Fatal(r.err)
	}
	q.verdict(t, l)
}

// places gives the GTIDs that each stream's sink has acknowledged, as the status of the running process says.
func (p *pipe) places(t testing.TB) map[string]string {
	t.Helper()
	var st struct {
		Streams []struct {
			Name     string `json:"stream"`
			Executed string `json:"executed_gtid_set"`
		} `json:"streams"`
	}
	if err := json.Unmarshal([]byte(run(t, "status", p.yaml, "--json").out), &st); err != nil {
		return nil // it begins just now
	}
	out := map[string]string{}
	for _, s := range st.Streams {
		out[s.Name] = s.Executed
	}
	return out
}
