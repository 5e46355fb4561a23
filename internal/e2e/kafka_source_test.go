//go:build servers

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// newTopicReader makes a pipe that reads topics of a cluster.
func newTopicReader(t testing.TB, k *testbed.Kafka, topics []string, sink, more string) *pipe {
	t.Helper()
	p := &pipe{dir: t.TempDir()}
	p.yaml = filepath.Join(p.dir, "cdc.yaml")
	quote := func(list []string) string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = strconv.Quote(s)
		}
		return strings.Join(out, ", ")
	}
	text := fmt.Sprintf("source:\n  kafka: {brokers: [%s], topics: [%s]%s}\nstreams:\n  - name: copy\n    sink:\n      %s\ncheckpoint: {dir: state, every: 200ms}\nmemory: 32MiB\n",
		quote(k.Brokers()), quote(topics), more, sink)
	if err := os.WriteFile(p.yaml, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// ends reads all that is in the topics by now, and ends.
func (p *pipe) ends(t testing.TB) {
	t.Helper()
	r := start(t, []string{"run", p.yaml, "--log-level", "debug", "--until", "now"})
	if code := r.wait(t); code != 0 {
		t.Fatalf("exit %d; stderr:\n%s", code, tailOf(r.err.String(), 30))
	}
}

// Two processes read change topics while a third one writes them: one into files, one into another server. All are killed at random moments. In the
// end the files have each change once, in order, and the target has the rows of the source.
func TestKafkaSourceKill(t *testing.T) {
	for _, kind := range kafkaKinds(t, testbed.Kafka39) {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 9))
			s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
			target := testbed.Start(t, testbed.MySQL97, testbed.Options{})
			k := testbed.SharedKafka(t, kind)
			p := newTopicPipe(t, s, k, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"}, "partitions: 3, debezium: {schemas_enable: true}")
			keyed := []string{"customers", "orders", "payments"}
			var topics []string
			for _, table := range keyed {
				topics = append(topics, p.prefix+".shop."+table)
				if err := k.CreateTopic(t.Context(), topics[len(topics)-1], 3); err != nil {
					t.Fatal(err)
				}
			}
			l, stop := traffic(t, s, ledger.Options{Writers: 3, Pause: 15 * time.Millisecond, Seed: n, Large: 1_000})
			shopAt(t, target)
			testbed.MustExec(t, target, "CREATE USER "+applier+" IDENTIFIED BY '"+testbed.Password+"'", "GRANT ALL ON *.* TO "+applier)
			files := newTopicReader(t, k, []string{p.prefix + ".*"}, "files: {dir: out, interval: 300ms}", "")
			copied := newTopicReader(t, k, topics, fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}}", target.Addr(), applier), "")
			kills := number(t, "CDC_TOPIC_KILLS", 4)
			all := []*pipe{p.pipe, files, copied}
			running := make([]*process, len(all))
			for range kills {
				for i, x := range all {
					if running[i] == nil {
						running[i] = x.run(t)
					}
				}
				pause(t.Context(), 300*time.Millisecond+time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				for i, r := range running {
					if !r.running() {
						t.Fatalf("cdc ended by itself; stderr:\n%s", tailOf(r.err.String(), 30))
					}
					if rng.IntN(3) > 0 {
						r.kill()
						running[i] = nil
					}
				}
			}
			for _, r := range running {
				if r != nil {
					r.kill()
				}
			}
			r := p.run(t)
			stop()
			p.reached(t, r)
			r.stop(t)
			files.ends(t)
			copied.ends(t)
			t.Logf("%d kills", kills)
			files.verdict(t, l)
			for _, table := range keyed {
				if a, b := sumOf(t, s, table), sumOf(t, target, table); a != b || a == "" {
					t.Errorf("the target has other rows in %s than the source: %s, %s", table, a, b)
				}
			}
		})
	}
}

// shopAt makes the shop's tables at a target.
func shopAt(t testing.TB, s *testbed.Server) {
	t.Helper()
	dial := func(ctx context.Context) (*client.Conn, error) { return s.Conn(ctx) }
	if err := ledger.Setup(t.Context(), dial, "shop"); err != nil {
		t.Fatal(err)
	}
}

// sumOf is the server's own sum over the rows of a table of the shop.
func sumOf(t testing.TB, s *testbed.Server, table string) string {
	t.Helper()
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := conn.Execute("SELECT COUNT(*) FROM shop." + table)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := r.GetString(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if rows == "0" {
		return ""
	}
	if r, err = conn.Execute("CHECKSUM TABLE shop." + table); err != nil {
		t.Fatal(err)
	}
	sum, err := r.GetString(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return rows + " rows, " + sum
}
