//go:build servers && peers

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/internal/peers"
	"cdc/internal/testbed"
)

// counters writes to d.t until ctx ends: transactions of several statements, whose rows count up from 0. The rows of the table in the end say all that
// was ever written.
func counters(ctx context.Context, t *testing.T, s *testbed.Server) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			conn, err := s.Conn(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for i := 1; ctx.Err() == nil; i++ {
				for _, q := range []string{
					"BEGIN",
					fmt.Sprintf("INSERT INTO d.t (s, n) VALUES (%d, 0), (%d, 0), (%d, 0)", n, n, n),
					fmt.Sprintf("UPDATE d.t SET n = n + 1 WHERE s = %d ORDER BY id DESC LIMIT %d", n, 1+i%7),
					"COMMIT",
				} {
					if _, err := conn.Execute(q); err != nil {
						t.Error(err)
						return
					}
				}
				pause(ctx, 20*time.Millisecond)
			}
		})
	}
	return wg.Wait
}

// written are the changes that the rows of d.t tell of: each row was inserted with 0 and counted up.
func written(t *testing.T, s *testbed.Server) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, r := range testbed.MustQuery(t, s, "SELECT id, n FROM d.t") {
		n, err := strconv.Atoi(r[1].String)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n + 1 {
			out[fmt.Sprintf("%s %d", r[0].String, i)] = true
		}
	}
	return out
}

// theirs are the changes in the topic of a peer, and how often each is there.
func theirs(t *testing.T, broker, topic string) map[string]int {
	t.Helper()
	out := map[string]int{}
	records, err := peers.Records(t.Context(), broker, topic)
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ ID, N json.Number }
	for _, r := range records {
		var m struct {
			Table string
			After *row
			Data  *row
		}
		if r.Value == nil {
			continue
		}
		if err := json.Unmarshal(r.Value, &m); err != nil {
			t.Fatal(err)
		}
		if m.After == nil {
			m.After = m.Data // Maxwell's name for it
		}
		if m.After != nil && (m.Table == "" || m.Table == "t") {
			out[m.After.ID.String()+" "+m.After.N.String()]++
		}
	}
	return out
}

// Debezium and Maxwell are stopped under load, and cdc goes on from their places: no change is missing, and none comes twice but for those that the import
// has named.
func TestImportFromPeers(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	store := testbed.Start(t, testbed.MySQL97, testbed.Options{Args: []string{"--skip-log-bin"}})
	k := testbed.SharedKafka(t, testbed.Kafka43)
	broker, dir := k.Brokers()[0], t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()

	maxwell := peers.Maxwell{Dir: dir, Name: "mxw", Brokers: broker, Source: s, Store: store, ReplicaID: "9001", Java: []string{"-Xmx256m"}}
	m, err := maxwell.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	if err := m.Wait(ctx, "start Maxwell", func() (bool, error) { return m.Printed(peers.MaxwellReady), nil }); err != nil {
		t.Fatal(err)
	}
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, s INT, n INT, KEY (s))")
	d := peers.Debezium{Dir: dir, Brokers: broker, Java: []string{"-Xmx512m"}, Worker: map[string]string{"offset.flush.interval.ms": "1000"}, Connectors: map[string]map[string]string{
		"dbz": peers.DebeziumConnector(dir, "dbz", "127.0.0.1", strconv.Itoa(s.Port), 9002, broker),
	}}
	j, err := d.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Stop()

	load, end := context.WithCancel(ctx)
	defer end()
	wait := counters(load, t, s)
	for _, w := range []struct {
		jvm   *peers.JVM
		topic string
	}{{j, "dbz.d.t"}, {m, "mxw"}} {
		if err := w.jvm.Wait(ctx, w.topic, func() (bool, error) {
			n, err := peers.End(ctx, broker, w.topic)
			return err == nil && n > 500, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	j.Stop()
	m.Stop()

	type cut struct {
		*pipe
		name, topic, again string
	}
	var cuts []cut
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("maxwell"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, topic string
		args        []string
	}{
		{"debezium", "dbz.d.t", []string{filepath.Join(dir, "offsets")}},
		{"maxwell", "mxw", []string{"mysql://maxwell@" + store.Addr() + "/", "--schema", "maxwell_mxw", "--password-file", password}},
	} {
		p := newPipe(t, s, settings{tables: `"d.t"`})
		r := run(t, append([]string{"checkpoint", "import", p.yaml, "all", "--from", c.name}, c.args...)...)
		if r.code != 0 {
			t.Fatalf("%s: %s\n%s", c.name, r.out, r.err)
		}
		t.Log(r.out)
		_, again, _ := strings.Cut(r.out, "\nagain ")
		again, _, _ = strings.Cut(strings.TrimSpace(again), "\n")
		cuts = append(cuts, cut{p, c.name, c.topic, again})
	}
	var running []*process
	for _, c := range cuts {
		run := c.run(t)
		c.streaming(t, run)
		running = append(running, run)
	}
	end()
	wait()
	all := written(t, s)
	for i, c := range cuts {
		c.reached(t, running[i])
		running[i].stop(t)
		have, ours, both, twice, missing := theirs(t, broker, c.topic), map[string]int{}, 0, 0, 0
		for _, l := range c.lines(t) {
			ours[string(l.After["id"])+" "+string(l.After["n"])]++
		}
		for change := range all {
			switch {
			case have[change]+ours[change] == 0:
				missing++
			case have[change] > 0 && ours[change] > 0:
				both++
			}
			if ours[change] > 1 {
				twice++
			}
		}
		t.Logf("%s: %d changes, %d by it, %d by cdc, %d by both; named: %s", c.name, len(all), len(have), len(ours), both, c.again)
		if missing > 0 || twice > 0 || len(ours) == 0 || len(have) == 0 {
			t.Errorf("%s: of %d changes %d are missing, %d came twice out of cdc", c.name, len(all), missing, twice)
		}
		named := 0
		if _, err := fmt.Sscanf(c.again, "the first %d rows", &named); err != nil && c.again != "nothing" {
			t.Errorf("%s: %q", c.name, c.again)
		}
		if both != named {
			t.Errorf("%s: %d changes were delivered by both, and the import has named %d", c.name, both, named)
		}
		for change := range ours {
			if !all[change] {
				t.Errorf("%s: %s was never written", c.name, change)
			}
		}
	}
	if t.Failed() {
		b, _ := os.ReadFile(filepath.Join(dir, "connect.log"))
		t.Log(tailOf(string(b), 20))
	}
}
