//go:build servers

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// topicPipe is a pipe into a cluster.
type topicPipe struct {
	*pipe
	cluster *testbed.Kafka
	prefix  string // of its topics: nobody else's begin so
}

// newTopicPipe makes a pipe whose topics are PREFIX.DATABASE.TABLE. more are further settings of the sink, as "key: value" with commas between.
func newTopicPipe(t testing.TB, s *testbed.Server, k *testbed.Kafka, o settings, more string) *topicPipe {
	t.Helper()
	p := &topicPipe{cluster: k, prefix: testbed.FreshTopic(t, k)}
	o.sink = p.sink(k.Brokers(), more)
	p.pipe = newPipe(t, s, o)
	return p
}

// sink is the section of the configuration.
func (p *topicPipe) sink(brokers []string, more string) string {
	var list []string
	for _, b := range brokers {
		list = append(list, strconv.Quote(b))
	}
	s := fmt.Sprintf("kafka: {brokers: [%s]", strings.Join(list, ", "))
	if !strings.HasPrefix(more, "topic: ") {
		s += fmt.Sprintf(", topic: \"%s.{database}.{table}\"", p.prefix)
	}
	if more != "" {
		s += ", " + more
	}
	return s + "}"
}

// delivered counts what is in the topics.
func (p *topicPipe) delivered(t testing.TB) *ledger.Delivered {
	t.Helper()
	d, err := ledger.ReadTopics(t.Context(), p.cluster.Brokers(), p.prefix+".")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// count counts the topics against the ledger.
func (p *topicPipe) count(t testing.TB, l *ledger.Ledger) ledger.Verdict {
	t.Helper()
	v := l.Check(p.delivered(t))
	c := l.Counts()
	t.Logf("%d transactions, %d DDL statements, %d of unknown outcome: %v", c.Txns, c.DDL, c.Unsure, v)
	if v.Committed == 0 {
		t.Error("nothing was committed")
	}
	return v
}

// once checks that the topics hold each committed change once, in order.
func (p *topicPipe) once(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	if v := p.count(t, l); !v.OK() {
		t.Error("the topics do not hold what was committed, once and in order")
	}
}

// kafkaKinds are the brokers of a long test.
func kafkaKinds(t testing.TB, otherwise ...testbed.KafkaKind) []testbed.KafkaKind {
	t.Helper()
	v := os.Getenv("CDC_KAFKA")
	if v == "" {
		return otherwise
	}
	var out []testbed.KafkaKind
	for _, n := range strings.Split(v, ",") {
		k, err := testbed.ParseKafkaKind(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

// reached waits until everything that the server has committed by now is acknowledged by the brokers.
func (p *topicPipe) reached(t testing.TB, r *process) {
	t.Helper()
	p.arrives(t, r)
}

// arrives waits until everything that the server has committed by now is acknowledged, for as long as more and more of it is: after many kills there
// may be much to do.
func (p *pipe) arrives(t testing.TB, r *process) {
	t.Helper()
	target, err := p.server.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last status
	for moved := time.Now(); time.Since(moved) < patience; pause(t.Context(), 50*time.Millisecond) {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		if ok && st.State == "running" && p.contains(t, st.Executed, target) {
			return
		}
		if ok && st.Executed != last.Executed || st.Acked > last.Acked {
			moved = time.Now()
		}
		if ok {
			last = st
		}
	}
	t.Fatalf("the stream does not come to %s, and stands still; the last status: %+v", target, last)
}
