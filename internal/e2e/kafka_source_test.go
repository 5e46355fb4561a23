//go:build servers

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/segmentio/kafka-go"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// newTopicReader makes a pipe that reads topics of a cluster.
func newTopicReader(t testing.TB, k *testbed.Kafka, name string, topics []string, sink, more string) *pipe {
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
	text := fmt.Sprintf("source:\n  kafka: {brokers: [%s], topics: [%s]%s}\nstreams:\n  - name: %s\n    sink:\n      %s\ncheckpoint: {dir: state, every: 200ms}\nmemory: 32MiB\n",
		quote(k.Brokers()), quote(topics), more, name, sink)
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

// Four processes read change topics while another one writes them: one into files, one into further topics, and two, which share the partitions, into
// another server. All are killed at random moments. In the end files and topics have each change once, in order, and the target has the rows of the source.
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
			files := newTopicReader(t, k, "files", []string{p.prefix + ".*"}, "files: {dir: out, interval: 300ms}", "")
			again := &topicPipe{cluster: k, prefix: testbed.FreshTopic(t, k)}
			again.pipe = newTopicReader(t, k, "topics", []string{p.prefix + ".*"}, again.sink(k.Brokers(), "partitions: 2"), "")
			var copied []*pipe
			for i := range 2 {
				copied = append(copied, newTopicReader(t, k, fmt.Sprint("copy-", i+1), topics,
					fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}}", target.Addr(), applier), fmt.Sprintf(", share: {number: %d, of: 2}", i+1)))
			}
			kills := number(t, "CDC_TOPIC_KILLS", 4)
			all := append([]*pipe{p.pipe, files, again.pipe}, copied...)
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
			again.ends(t)
			for _, x := range copied {
				x.ends(t)
			}
			t.Logf("%d kills", kills)
			files.verdict(t, l)
			again.once(t, l)
			for _, table := range keyed {
				if a, b := sumOf(t, s, table), sumOf(t, target, table); a != b || a == "" {
					t.Errorf("the target has other rows in %s than the source: %s, %s", table, a, b)
				}
			}
			if out := must(t, "check", files.yaml); !strings.Contains(out, "4 topics with ") || !strings.Contains(out, ", 0 records to read") {
				t.Errorf("the check says\n%s", out)
			}
			// What is no change stops the reader, until an operator leaves it out.
			junk := &kafka.ProduceRequest{Topic: topics[1], Partition: 1, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("junk"))})}
			if _, err := k.Client().Produce(t.Context(), junk); err != nil {
				t.Fatal(err)
			}
			failed := run(t, "run", files.yaml, "--until", "now")
			failed.refused(t, 1, "CDC2064", "not JSON", topics[1]+"-1:")
			m := regexp.MustCompile(`gtid ([0-9a-f-]{36}:[0-9]+)`).FindStringSubmatch(failed.err)
			if m == nil {
				t.Fatalf("the message is not named: %s", failed.err)
			}
			must(t, "skip", files.yaml, "files", "--gtid", m[1], "--yes")
			files.ends(t)
			// A key over which rows of different partitions could meet is refused.
			testbed.MustExec(t, target, "ALTER TABLE shop.customers ADD UNIQUE (change_id)")
			testbed.MustExec(t, s, "UPDATE shop.customers SET name = 'last'")
			must(t, "run", p.yaml, "--until", "now")
			run(t, "run", copied[0].yaml, "--until", "now").refused(t, 1, "CDC5212", "more than one unique key")
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
