//go:build servers

package e2e

import (
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// What stands in the way of a stream to Kafka is found before it starts, each fault by its name, and nothing where there is none.
func TestCheckKafka(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{FullMetadata: true})
	k := testbed.SharedKafka(t, testbed.Kafka43)
	db := table(t, s)
	o := settings{tables: only(db), start: "start"}
	p := newTopicPipe(t, s, k, o, "format: maxwell")
	p.account(t, "healthy")
	p.finds(t)
	insert(t, s, db, 1, 5)
	r := p.run(t)
	p.reached(t, r)
	p.finds(t) // beside a running pipeline, with the topic made
	r.stop(t)
	if strings.Contains(r.err.String(), "level=WARN") {
		t.Errorf("it warns:\n%s", r.err.String())
	}
	topic := "topic " + p.prefix + "-2." + db + ".t of all"
	for _, c := range []struct {
		name    string
		brokers []string
		sink    string
		wants   []string
	}{
		{"no broker", []string{"127.0.0.1:1"}, "", []string{"fail brokers of all CDC5101: refused"}},
		{"one of two", append([]string{"127.0.0.1:1"}, k.Brokers()...), "", []string{"warn brokers of all: 127.0.0.1:1 does not answer"}},
		{"not created", k.Brokers(), "create: false", []string{"fail " + topic + " CDC5105: kafka-topics"}},
		{"too many replicas", k.Brokers(), "replication_factor: 3", []string{"fail " + topic + " CDC5110: set replication_factor: 1"}},
		{"no such setting", k.Brokers(), "topic_config: {retention: 1h}", []string{"fail " + topic + " CDC5110: retention"}},
		{
			"compacted without tombstones", k.Brokers(), "format: canal, topic_config: {cleanup.policy: compact}",
			[]string{"warn " + topic + ": tombstones"},
		},
		{"compacted with tombstones", k.Brokers(), "format: debezium, topic_config: {cleanup.policy: compact}", nil},
		{"TLS where there is none", k.Brokers(), "tls: {enabled: true}", []string{"fail brokers of all CDC5101: TLS"}},
		{"a topic for two", k.Brokers(), `topic: "one", dead_letter: {topic: one}`, []string{"fail topic names of all CDC5106: dead_letter.topic"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := &topicPipe{pipe: &pipe{dir: t.TempDir(), server: s}, cluster: k, prefix: p.prefix + "-2"}
			q.yaml = p.yaml + "-2"
			with := o
			with.sink = q.sink(c.brokers, c.sink)
			q.write(t, with)
			q.user(t, "healthy")
			q.finds(t, c.wants...)
		})
	}
}
