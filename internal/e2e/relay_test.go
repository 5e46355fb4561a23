//go:build servers

package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// cdc is killed at random moments while it reads through a relay. Then every committed change is in the files once, in order, and the relay's files are whole.
func TestRelayKill(t *testing.T) {
	list := []testbed.Kind{testbed.MySQL97}
	if os.Getenv("CDC_KINDS") != "" {
		list = kinds(t)
	}
	for _, k := range list {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 1))
			s := testbed.Start(t, k, testbed.Options{})
			p := newPipe(t, s, settings{start: "start", relay: "dir: relay, archive: {dir: archive}", tables: `"shop.%"`, memory: "32MiB"})
			l, stop := traffic(t, s, ledger.Options{DDL: true, Pause: 3 * time.Millisecond, Seed: n, Large: 20_000})
			purged := make(chan struct{})
			rotated := make(chan error, 1)
			go func() { // files end all the time, and are archived while the process is killed
				for {
					select {
					case <-purged:
						rotated <- nil
						return
					case <-time.After(300 * time.Millisecond):
					}
					if _, err := s.Query(context.Background(), "FLUSH BINARY LOGS"); err != nil {
						rotated <- err
						return
					}
				}
			}()
			p.killed(t, rng, number(t, "CDC_RELAY_KILLS", 3))
			close(purged)
			if err := <-rotated; err != nil {
				t.Fatal(err)
			}
			r := p.run(t)
			// The connection and the streams stop and start apart.
			must(t, "pause", p.yaml, "--reader", "--reason", "test")
			if text := must(t, "relay", "status", p.yaml); !strings.Contains(text, "paused") {
				t.Error(text)
			}
			must(t, "resume", p.yaml, "--reader")
			stop()
			p.reached(t, r)
			if text := must(t, "relay", "verify", p.yaml); !strings.Contains(text, " 0 damaged") {
				t.Error(text)
			}
			r.stop(t)
			p.verdict(t, l)

			// What the relay has is carried while the server is down.
			must(t, "pause", p.yaml, "all")
			r = p.run(t)
			testbed.MustExec(t, s, "CREATE TABLE shop.later(id INT PRIMARY KEY)", "INSERT INTO shop.later VALUES (471147110)", "FLUSH BINARY LOGS", "INSERT INTO shop.later VALUES (471147120)")
			poll(t, "the relay has what the server has", func() bool {
				return p.contains(t, relayed(t, p), executed(t, s))
			})
			r.stop(t)
			// The server may purge what the streams have not carried: the relay has it, and the check says so.
			testbed.MustExec(t, s, purgeAll(t, s))
			if text := must(t, "check", p.yaml); !strings.Contains(text, "the relay has what comes behind it") || !strings.Contains(text, "place of the relay") {
				t.Error(text)
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			must(t, "resume", p.yaml, "all")
			r = p.run(t)
			poll(t, "rows of the relay while the server is down", func() bool {
				return strings.Contains(contents(t, p.out()), "471147120")
			})
			poll(t, "all closed files are in the archive", func() bool {
				return strings.Contains(must(t, "relay", "status", p.yaml), ", 0 files (0 bytes) wait for it")
			})
			// Every stream has carried it, so that all but the newest file may go.
			must(t, "relay", "purge", p.yaml)
			r.stop(t)
			if text := must(t, "relay", "status", p.yaml); !strings.Contains(text, "files     1,") {
				t.Error(text)
			}
			p.fetched(t)
		})
	}
}

// fetched brings back what the relay has removed, and reads it, there and in the archive itself.
func (p *pipe) fetched(t *testing.T) {
	t.Helper()
	if text := must(t, "relay", "archive", p.yaml, "--verify"); !strings.Contains(text, " 0 wrong") || strings.Contains(text, "\n0 files") {
		t.Error(text)
	}
	back := filepath.Join(p.dir, "back")
	paths := strings.Fields(must(t, "relay", "fetch", p.yaml, back))
	parts, err := filepath.Glob(filepath.Join(p.dir, "archive", "relay-*"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	here, there := must(t, "analyze", back, "--json"), must(t, "analyze", parts[0], "--json")
	if here != there || !strings.Contains(here, "shop.orders") {
		t.Errorf("%d fetched files say\n%s\nthe archive\n%s", len(paths), here, there)
	}
}

// purgeAll is the statement that leaves a server its newest binlog alone.
func purgeAll(t *testing.T, s *testbed.Server) string {
	t.Helper()
	rows, err := s.Query(t.Context(), "SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	return "PURGE BINARY LOGS TO '" + rows[len(rows)-1][0].String + "'"
}

func executed(t testing.TB, s *testbed.Server) string {
	t.Helper()
	set, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// relayed is the GTIDs that the relay of a running pipeline has.
func relayed(t testing.TB, p *pipe) string {
	t.Helper()
	for line := range strings.Lines(must(t, "relay", "status", p.yaml)) {
		if f := strings.Fields(line); slices.Index(f, "has") == 0 {
			return strings.Join(f[1:], "")
		}
	}
	return ""
}
