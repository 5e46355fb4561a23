//go:build servers

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
	"cdc/sinks/files"
)

// Processes share the reading of change topics through two consumer groups: one into another server, one into files in a folder that all of them see. They
// are killed, stopped, held for longer than the session and started at random moments, and so shares move. In the end the target has the rows of the
// source, the files have each change once and in order, and the groups have committed all that is in the topics.
func TestKafkaGroup(t *testing.T) {
	for _, kind := range kafkaKinds(t, testbed.Kafka43) {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 11))
			s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
			target := testbed.Start(t, testbed.MySQL97, testbed.Options{})
			k := testbed.SharedKafka(t, kind)
			p := newTopicPipe(t, s, k, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"}, "partitions: 4, debezium: {schemas_enable: true}")
			keyed := []string{"customers", "orders", "payments"}
			var topics []string
			for _, table := range keyed {
				topics = append(topics, p.prefix+".shop."+table)
				if err := k.CreateTopic(t.Context(), topics[len(topics)-1], 4); err != nil {
					t.Fatal(err)
				}
			}
			l, stop := traffic(t, s, ledger.Options{Writers: 2, Pause: 15 * time.Millisecond, Seed: n})
			shopAt(t, target)
			testbed.MustExec(t, target, "CREATE USER "+applier+" IDENTIFIED BY '"+testbed.Password+"'", "GRANT ALL ON *.* TO "+applier)
			out := filepath.Join(t.TempDir(), "out")
			const members = 3
			var pipes []*pipe
			for _, g := range []struct {
				name, sink string
				topics     []string
			}{
				{"copy", fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, parallel: {workers: 2}}", target.Addr(), applier), topics},
				{"lake", fmt.Sprintf("files: {dir: %q, interval: 300ms}", out), []string{p.prefix + ".*"}},
			} {
				for range members {
					pipes = append(pipes, newTopicReader(t, k, g.name, g.topics, g.sink, fmt.Sprintf(", group: {name: %s-%s, shares: 4, session_timeout: 6s}", p.prefix, g.name)))
				}
			}
			writer := p.run(t)
			running := make([]*process, len(pipes))
			for i := range pipes {
				if i%members < 2 {
					running[i] = pipes[i].run(t)
				}
			}
			kills, stops, holds := 0, 0, 0
			for range number(t, "CDC_GROUP_ROUNDS", 3) {
				pause(t.Context(), 500*time.Millisecond+time.Duration(rng.Int64N(int64(4*time.Second))))
				for i, r := range running {
					if r != nil && !r.running() {
						t.Fatalf("cdc ended by itself; stderr:\n%s", tailOf(r.err.String(), 30))
					}
					switch what := rng.IntN(8); {
					case r == nil && what < 5:
						running[i] = pipes[i].run(t)
					case r == nil || what > 3:
					case what == 0:
						r.stop(t)
						running[i] = nil
						stops++
					case what == 1:
						r.signal(syscall.SIGSTOP)
						held := time.Duration(rng.Int64N(int64(9 * time.Second)))
						timer := time.AfterFunc(held, func() { r.signal(syscall.SIGCONT) })
						t.Cleanup(func() { timer.Stop() })
						holds++
					default:
						r.kill()
						running[i] = nil
						kills++
					}
				}
			}
			stop()
			p.reached(t, writer)
			writer.stop(t)
			for i, r := range running {
				switch {
				case r == nil:
					running[i] = pipes[i].run(t)
				default:
					r.signal(syscall.SIGCONT)
				}
			}
			t.Logf("%d kills, %d stops, %d holds", kills, stops, holds)
			for i, name := range []string{"copy", "lake"} {
				committed(t, k, p.prefix+"-"+name, p.prefix+".", func(topic string) bool { return i > 0 || strings.Contains(strings.Join(topics, " "), topic) }, running)
			}
			for i, r := range running {
				if i%members > 0 {
					r.stop(t)
				}
			}
			wantGroupStatus(t, pipes[0])
			if got := must(t, "check", pipes[0].yaml); !strings.Contains(got, ", 0 records to read") {
				t.Errorf("the check says\n%s", got)
			}
			running[0].stop(t)
			running[members].stop(t)
			for _, table := range keyed {
				if a, b := sumOf(t, s, table), sumOf(t, target, table); a != b || a == "" {
					t.Errorf("the target has other rows in %s than the source: %s, %s", table, a, b)
				}
			}
			sharesVerdict(t, l, out)
			run(t, "run", pipes[0].yaml, "--until", "now").refused(t, 2, "CDC1004", "consumer group")
		})
	}
}

// committed waits until a group has committed the ends of all topics.
func committed(t *testing.T, k *testbed.Kafka, group, prefix string, of func(topic string) bool, running []*process) {
	t.Helper()
	all, err := k.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := map[string][]int{}
	for topic, n := range all {
		if strings.HasPrefix(topic, prefix) && of(topic) {
			for i := range n {
				ask[topic] = append(ask[topic], i)
			}
		}
	}
	var last string
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	pollFor(t, 2*patience, "the group "+group+" has committed the ends of its topics", func() bool {
		for _, r := range running {
			if !r.running() {
				t.Fatalf("cdc ended by itself; stderr:\n%s", tailOf(r.err.String(), 30))
			}
		}
		m, err := k.Client().OffsetFetch(t.Context(), &kafka.OffsetFetchRequest{GroupID: group, Topics: ask})
		if err != nil {
			t.Fatal(err)
		}
		for topic := range ask {
			ends, err := k.Ends(t.Context(), topic)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Topics[topic] {
				if p.Error != nil {
					t.Fatal(p.Error)
				}
				if end := ends[p.Partition]; p.CommittedOffset < end && end > 0 {
					last = fmt.Sprintf("%s-%d: %d of %d committed", topic, p.Partition, p.CommittedOffset, end)
					return false
				}
			}
		}
		return true
	})
}

// wantGroupStatus looks at what the status of the last member of a group says.
func wantGroupStatus(t *testing.T, p *pipe) {
	t.Helper()
	var text string
	poll(t, "one process has all shares", func() bool {
		text = run(t, "status", p.yaml).out
		for i := range 4 {
			if !strings.Contains(text, fmt.Sprintf("Share: %d of 4 of stream copy, in the consumer group", i+1)) {
				return false
			}
		}
		return !strings.Contains(text, "are not of this process")
	})
}

// sharesVerdict counts what is in the folders of all shares.
func sharesVerdict(t *testing.T, l *ledger.Ledger, out string) {
	t.Helper()
	list, err := os.ReadDir(out)
	if err != nil || len(list) != 4 {
		t.Fatalf("%d folders of shares: %v", len(list), err)
	}
	d := ledger.NewDelivered()
	for _, e := range list {
		dir := filepath.Join(out, e.Name())
		if err := files.Read(dir, func(_ string, text []byte) error { return d.Line(text) }); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Verify(t.Context(), dir); err != nil {
			t.Errorf("files and manifests: %v", err)
		}
	}
	v, c := l.Check(d), l.Counts()
	t.Logf("%d transactions, %d of unknown outcome: %v", c.Txns, c.Unsure, v)
	if !v.OK() || v.Committed == 0 {
		t.Error("the files do not hold what was committed")
	}
}
