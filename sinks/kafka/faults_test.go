//go:build servers

package kafka_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/sinks/kafka"
)

// wantOnce asks for the rows of a load: each once, in order per key, and never a key in two partitions.
func wantOnce(t *testing.T, list []*kgo.Record, rows int) {
	t.Helper()
	next, where := map[string]int{}, map[string]int32{}
	for _, r := range list {
		key, n := string(r.Key), 0
		if _, err := fmt.Sscan(string(r.Value), &n); err != nil {
			t.Fatal(err)
		}
		if p, ok := where[key]; ok && p != r.Partition {
			t.Fatalf("key %s is in partitions %d and %d", key, p, r.Partition)
		}
		where[key] = r.Partition
		if _, ok := next[key]; !ok {
			if _, err := fmt.Sscan(key, &n); err != nil {
				t.Fatal(err)
			}
			next[key] = n
			_, _ = fmt.Sscan(string(r.Value), &n)
		}
		if n != next[key] {
			t.Fatalf("key %s: row %d at offset %d of partition %d, want %d", key, n, r.Offset, r.Partition, next[key])
		}
		next[key] += keys
	}
	if len(list) != rows {
		t.Fatalf("%d records, want %d", len(list), rows)
	}
}

// TestBrokerKilled kills the only broker again and again, first before the sink has met it.
func TestBrokerKilled(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		t.Parallel()
		k := testbed.StartKafka(t, kind, testbed.KafkaOptions{NoAutoCreate: true})
		if err := k.Kill(); err != nil {
			t.Fatal(err)
		}
		stalled := make(chan error, 1000)
		budget := event.NewBudget(64 << 20)
		l := newLoad(t, kafka.Options{
			Config: kafka.Config{Brokers: k.Brokers(), Partitions: 5, RequestTimeout: 2 * time.Second}, Budget: budget,
			Stalled: func(err error) { stalled <- err },
		}, "orders")
		l.mustWrite(10)
		for i := range 3 {
			if i == 0 {
				if err := <-stalled; !fault.Has(err, fault.SinkUnreachable) {
					t.Fatalf("without a broker: %v", err)
				}
			}
			if err := k.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			written := make(chan error, 1)
			kill := make(chan struct{})
			go func() {
				for n := range 400 {
					if n == 100 {
						close(kill)
					}
					if err := l.write(50); err != nil {
						written <- err
						return
					}
				}
				written <- nil
			}()
			select {
			case <-kill:
			case err := <-written:
				t.Fatal(err)
			}
			if err := k.Kill(); err != nil {
				t.Fatal(err)
			}
			select { // it waits, or all was written before
			case err := <-written:
				if err != nil {
					t.Fatal(err)
				}
				written <- nil
			case err := <-stalled:
				t.Logf("it waits: %v", err)
			case <-time.After(2 * time.Second):
			}
			if err := k.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			if err := k.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := int(l.acked.Load()); got != l.n {
			t.Errorf("%d rows acked, want %d", got, l.n)
		}
		wantOnce(t, read(t, k, "shop.orders"), l.n)
		t.Logf("%d rows, 6 kills", l.n)
		_ = l.s.Close()
		if used, _, _ := budget.Used(); used != 0 {
			t.Errorf("%d bytes are still charged", used)
		}
	})
}

// TestAnswersLost cuts connections when the broker answers, so that what it has taken in is sent to it again.
func TestAnswersLost(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.SharedKafka(t, kind)
		name := testbed.FreshTopic(t, k)
		lose := &loser{}
		l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: name, Partitions: 3}, Dial: lose.dial}, "orders")
		l.mustWrite(1)
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		lose.every.Store(4)
		for range 50 {
			for range 5 {
				l.mustWrite(20)
			}
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
		}
		if lose.lost.Load() < 10 {
			t.Errorf("only %d answers were lost", lose.lost.Load())
		}
		wantOnce(t, read(t, k, name), l.n)
	})
}

// loser makes connections that end at each so-manieth answer, having read it.
type loser struct{ every, reads, lost atomic.Int64 }

type losing struct {
	net.Conn
	l *loser
}

func (l *loser) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	return &losing{c, l}, err
}

func (c *losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if every := c.l.every.Load(); err == nil && every > 0 && c.l.reads.Add(1)%every == 0 {
		c.l.lost.Add(1)
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestLeaderMoves kills one node after the other of three under load.
func TestLeaderMoves(t *testing.T) {
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Nodes: 3})
	l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Partitions: 6, RequestTimeout: 5 * time.Second, Compression: "none"}}, "orders")
	for i := range 3 {
		for range 50 {
			l.mustWrite(50)
		}
		if err := k.Nodes[i].Kill(); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			l.mustWrite(50)
		}
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		if err := k.Nodes[i].Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, read(t, k, "shop.orders"), l.n)
}

// TestCodecs has Java's consumer read each codec.
func TestCodecs(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	for _, codec := range []string{"none", "lz4", "zstd", "gzip", "snappy"} {
		t.Run(codec, func(t *testing.T) {
			topic := testbed.FreshTopic(t, k)
			l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: topic, Compression: codec, Partitions: 1}}, "orders")
			for range 20 {
				l.mustWrite(700) // batches above the codecs' blocks
			}
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			cmd, err := testbed.KafkaTool(t.Context(), k.Kind, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", strings.Join(k.Brokers(), ","),
				"--topic", topic, "--from-beginning", "--max-messages", fmt.Sprint(l.n), "--timeout-ms", "60000",
				"--formatter-property", "print.key=true", "--formatter-property", "print.headers=true")
			if err != nil {
				t.Fatal(err)
			}
			var diagnosis strings.Builder
			cmd.Stderr = &diagnosis
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("console consumer: %v\n%s", err, diagnosis.String())
			}
			lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if len(lines) != l.n {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), l.n, diagnosis.String())
			}
			for i, line := range lines {
				want := fmt.Sprintf("gtid:24bc7850-2c16-11e6-a073-0242ac110002:%d,position:binlog.000007:1000,row:%d,sub:0\t%d\t%d %s", i/700+1, i%700, i%keys, i, l.text)
				if line != want {
					t.Fatalf("line %d is %q, want %q", i, line, want)
				}
			}
		})
	}
}

// TestTopicGone deletes a topic under a sink, and makes it anew under another.
func TestTopicGone(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.StartKafka(t, kind, testbed.KafkaOptions{NoAutoCreate: true})
		t.Run("deleted", func(t *testing.T) {
			l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: "gone"}, Gone: 500 * time.Millisecond}, "orders")
			l.mustWrite(10)
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			if err := k.DeleteTopic(t.Context(), "gone"); err != nil {
				t.Fatal(err)
			}
			if err := l.failure(); !fault.Has(err, fault.SinkTopicGone) {
				t.Errorf("%v, want %s", err, fault.SinkTopicGone)
			}
		})
		t.Run("made anew", func(t *testing.T) {
			l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: "anew", Partitions: 1}}, "orders")
			l.mustWrite(10)
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			if err := k.DeleteTopic(t.Context(), "anew"); err != nil {
				t.Fatal(err)
			}
			if err := k.CreateTopic(t.Context(), "anew", 1); err != nil {
				t.Fatal(err)
			}
			if err := l.failure(); !fault.Has(err, fault.SinkTopicGone) && !fault.Has(err, fault.SinkOrder) {
				t.Errorf("%v, want %s", err, fault.SinkTopicGone)
			}
		})
	})
}

// TestOversize writes records above the limit of the topic and the broker.
func TestOversize(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	for _, codec := range []string{"none", "lz4"} {
		for _, limit := range []settings.Size{0, 1 << 20} { // as the broker says, and more than it takes
			t.Run(fmt.Sprintf("%s limit %s", codec, limit), func(t *testing.T) {
				name := testbed.FreshTopic(t, k)
				config := kafka.Config{
					Brokers: k.Brokers(), Topic: name, Compression: codec, TopicConfig: map[string]string{"max.message.bytes": "100000"}, Partitions: 1, MaxRecord: limit, Batch: 60 << 10,
				}
				l := newLoad(t, kafka.Options{Config: config}, "orders")
				l.mustWrite(10)
				if err := l.flush(); err != nil {
					t.Fatal(err)
				}
				l.text = noise(150_000)
				err := l.failure()
				if e, ok := fault.As(err); !ok || e.Code != fault.SinkRecordTooLarge || e.Where.Table != "shop.orders" || e.Where.GTID == "" {
					t.Errorf("%v, want %s of a row", err, fault.SinkRecordTooLarge)
				}
				_ = l.s.Close()

				config.Oversize, config.DeadLetter.Topic = "dead_letter", name+"-dead"
				budget := event.NewBudget(1 << 30)
				l = newLoad(t, kafka.Options{Config: config, Budget: budget}, "orders")
				l.mustWrite(10)
				l.text = noise(150_000)
				l.mustWrite(2)
				l.text = "short"
				l.mustWrite(5)
				if codec == "lz4" {
					l.text = strings.Repeat("x", 150_000) // shrinks enough
					l.mustWrite(3)
				}
				if err := l.flush(); err != nil {
					t.Fatal(err)
				}
				if got := int(l.acked.Load()); got != l.n {
					t.Errorf("%d rows acked, want %d", got, l.n)
				}
				if got, want := len(read(t, k, name))-2, l.n-2+10; got != want {
					t.Errorf("%d records in both topics, want %d", got, want)
				}
				dead := read(t, k, name+"-dead")
				if len(dead) != 2 {
					t.Fatalf("%d dead letters, want 2", len(dead))
				}
				rows := ""
				for _, r := range dead { // in any order: they come from goroutines that compress
					var d struct {
						Database, Table, Op, GTID, Position, Code, Reason string
						Row                                               int
					}
					if err := json.Unmarshal(r.Value, &d); err != nil {
						t.Fatal(err)
					}
					if d.Database != "shop" || d.Table != "orders" || d.Op != "insert" || !strings.HasSuffix(d.GTID, ":2") || d.Position != "binlog.000007:1000" ||
						d.Code != "CDC5108" || len(d.Reason) > 200 {
						t.Errorf("dead letter %s", r.Value)
					}
					rows += fmt.Sprint(d.Row)
				}
				if rows != "01" && rows != "10" {
					t.Errorf("dead letters of rows %s", rows)
				}
				_ = l.s.Close()
				if used, _, _ := budget.Used(); used != 0 {
					t.Errorf("%d bytes are still charged", used)
				}
			})
		}
	}
}

// noise is text that does not shrink by half.
func noise(n int) string {
	b, x := make([]byte, n), uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(33 + x%90)
	}
	return string(b)
}

// TestAccess logs in rightly and wrongly, and lacks one right after the other.
func TestAccess(t *testing.T) {
	dir := t.TempDir()
	certs, err := testbed.WriteCerts(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_PASSWORD", testbed.Password)
	t.Setenv("WRONG_PASSWORD", "canary-7f3a")
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Certs: certs, ACLs: true, NoAutoCreate: true})
	ctx := t.Context()
	if err := k.CreateTopic(ctx, "open", 2); err != nil {
		t.Fatal(err)
	}
	if err := k.CreateTopic(ctx, "shut", 2); err != nil {
		t.Fatal(err)
	}
	if err := k.Grant(ctx, "op", kafkago.ACLOperationTypeWrite, kafkago.ACLOperationTypeDescribe); err != nil {
		t.Fatal(err)
	}
	if err := k.Grant(ctx, "shut", kafkago.ACLOperationTypeDescribe); err != nil {
		t.Fatal(err)
	}
	right := kafka.TLS{CA: certs.CA}
	login := func(mechanism, variable string) kafka.SASL {
		return kafka.SASL{Mechanism: mechanism, User: testbed.User, Password: settings.Secret{Env: variable}}
	}
	for _, c := range []struct {
		name    string
		brokers []string
		tls     kafka.TLS
		sasl    kafka.SASL
		topic   string
		create  bool
		want    fault.Code // 0 where the row arrives
	}{
		{"PLAIN over TLS", k.SASLTLSBrokers(), right, login("PLAIN", "KAFKA_PASSWORD"), "open", false, 0},
		{"SCRAM-SHA-256 over TLS", k.SASLTLSBrokers(), right, login("SCRAM-SHA-256", "KAFKA_PASSWORD"), "open", false, 0},
		{"SCRAM-SHA-512", k.SASLBrokers(), kafka.TLS{}, login("SCRAM-SHA-512", "KAFKA_PASSWORD"), "open", false, 0},
		{"wrong password, PLAIN", k.SASLTLSBrokers(), right, login("PLAIN", "WRONG_PASSWORD"), "open", false, fault.SinkAccessDenied},
		{"wrong password, SCRAM", k.SASLBrokers(), kafka.TLS{}, login("SCRAM-SHA-256", "WRONG_PASSWORD"), "open", false, fault.SinkAccessDenied},
		{"unknown authority", k.SASLTLSBrokers(), kafka.TLS{Enabled: true}, login("PLAIN", "KAFKA_PASSWORD"), "open", false, fault.SinkTLSVerify},
		{"certificate of another host", k.SASLTLSBrokers(), kafka.TLS{CA: certs.CA, ServerName: "other.example"}, login("PLAIN", "KAFKA_PASSWORD"), "open", false, fault.SinkTLSVerify},
		// A broker ends such a connection without a word, as one that stops does: this is waited for, and said.
		{"TLS where there is none", k.SASLBrokers(), right, login("PLAIN", "KAFKA_PASSWORD"), "open", false, fault.SinkUnreachable},
		{"no login where one is wanted", k.SASLBrokers(), kafka.TLS{}, kafka.SASL{}, "open", false, fault.SinkUnreachable},
		{"no TLS where there is", k.TLSBrokers(), kafka.TLS{}, kafka.SASL{}, "open", false, fault.SinkTLSVerify},
		{"no right to write", k.SASLBrokers(), kafka.TLS{}, login("SCRAM-SHA-512", "KAFKA_PASSWORD"), "shut", false, fault.SinkGrantMissing},
		{"no right to create", k.SASLBrokers(), kafka.TLS{}, login("SCRAM-SHA-512", "KAFKA_PASSWORD"), "opera", true, fault.SinkTopicMissing},
		{"no topic", k.SASLBrokers(), kafka.TLS{}, login("SCRAM-SHA-512", "KAFKA_PASSWORD"), "opera", false, fault.SinkTopicMissing},
		{"no right to see", k.SASLBrokers(), kafka.TLS{}, login("SCRAM-SHA-512", "KAFKA_PASSWORD"), "secret", false, fault.SinkGrantMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := kafka.Config{Brokers: c.brokers, TLS: c.tls, SASL: c.sasl, Topic: c.topic, Create: &c.create}
			if p := config.Validate("kafka"); len(p) > 0 {
				t.Fatal(p)
			}
			stalled := make(chan error, 100)
			l := newLoad(t, kafka.Options{Config: config, Stalled: func(err error) { stalled <- err }}, "orders")
			var err error
			if c.want == fault.SinkUnreachable {
				l.mustWrite(1)
				err = <-stalled
			} else {
				err = l.failure()
			}
			switch {
			case c.want == 0 && err != nil:
				t.Fatal(err)
			case c.want != 0 && !fault.Has(err, c.want):
				t.Fatalf("%v, want %s", err, c.want)
			case c.want != 0:
				e, _ := fault.As(err)
				t.Logf("%v; %s", err, e.Next)
				if strings.Contains(err.Error()+e.Next, "canary") {
					t.Error("the password is in the error")
				}
			}
		})
	}
}

// TestSideTopics writes what has topics of its own.
func TestSideTopics(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka39)
	name := testbed.FreshTopic(t, k)
	l := newLoad(t, kafka.Options{Config: kafka.Config{
		Brokers: k.Brokers(), Topic: name + "-{table}", Partitions: 4, SchemaTopic: name + "-schema", TransactionTopic: name + "-txn",
		HeartbeatTopic: name + "-beat", HeartbeatEvery: 100 * time.Millisecond,
	}}, "orders")
	for range 30 {
		l.mustWrite(3)
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, read(t, k, name+"-orders"), l.n)
	marks := read(t, k, name+"-txn")
	if len(marks) != 60 {
		t.Fatalf("%d markers, want 60", len(marks))
	}
	for i, r := range marks {
		if want := fmt.Sprintf("24bc7850-2c16-11e6-a073-0242ac110002:%d %v", i/2+1, i%2 == 1); string(r.Value) != want || r.Partition != 0 {
			t.Errorf("marker %d is %q, want %q", i, r.Value, want)
		}
	}
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(read(t, k, name+"-beat")) < 2 {
		if deadline.Err() != nil {
			t.Fatal("no heartbeats")
		}
	}
}

// TestCreated looks at what a topic is that the sink has made.
func TestCreated(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.SharedKafka(t, kind)
		name := testbed.FreshTopic(t, k)
		l := newLoad(t, kafka.Options{Config: kafka.Config{
			Brokers: k.Brokers(), Topic: name, Partitions: 3, ReplicationFactor: 1, SchemaTopic: name + "-schema",
			TopicConfig: map[string]string{"cleanup.policy": "compact,delete", "max.message.bytes": "3000000"},
			Topics:      []kafka.TopicRule{{Match: name[:len(name)-1] + "%", Partitions: 7, Config: map[string]string{"max.message.bytes": "2000000"}}},
		}}, "orders")
		l.mustWrite(200)
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		topics, err := k.Topics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if topics[name] != 7 {
			t.Errorf("%d partitions, want 7", topics[name])
		}
		answer, err := k.Client().DescribeConfigs(t.Context(), &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: name, ConfigNames: []string{"cleanup.policy", "max.message.bytes"},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, r := range answer.Resources {
			for _, e := range r.ConfigEntries {
				got[e.ConfigName] = e.ConfigValue
			}
		}
		if got["cleanup.policy"] != "compact,delete" || got["max.message.bytes"] != "2000000" {
			t.Errorf("settings %v", got)
		}
		wantOnce(t, read(t, k, name), l.n)
	})
}

// TestBadSettings has the brokers refuse to make a topic.
func TestBadSettings(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	for name, config := range map[string]kafka.Config{
		"replicas": {ReplicationFactor: 3},
		"setting":  {TopicConfig: map[string]string{"no.such.setting": "1"}},
		"value":    {TopicConfig: map[string]string{"cleanup.policy": "burn"}},
	} {
		config.Brokers, config.Topic = k.Brokers(), testbed.FreshTopic(t, k)
		err := newLoad(t, kafka.Options{Config: config}, "orders").failure()
		if !fault.Has(err, fault.SinkRefused) {
			t.Errorf("%s: %v, want %s", name, err, fault.SinkRefused)
		}
	}
}
