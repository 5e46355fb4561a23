//go:build servers

package testbed_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"cdc/internal/testbed"
)

// produce appends one record.
func produce(ctx context.Context, c *kafka.Client, topic string, partition int, value string) error {
	answer, err := c.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte(value))}),
	})
	if err == nil {
		err = answer.Error
	}
	return err
}

// size is how many records a partition has.
func size(t testing.TB, k *testbed.Kafka, topic string, partition int) int64 {
	t.Helper()
	ends, err := k.Ends(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return ends[partition]
}

// eventually does f until it is without error.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Each kind: starts, keeps what was acknowledged over a SIGKILL, at the same port, makes, lists and deletes topics, and leaves nothing behind.
func TestKafka(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		began := time.Now()
		k := testbed.StartKafka(t, kind, testbed.KafkaOptions{Partitions: 2})
		t.Logf("%s serves after %.2f s", kind, time.Since(began).Seconds())
		ctx, c := t.Context(), k.Client()
		if err := k.CreateTopic(ctx, "small", 3, "max.message.bytes", "2000"); err != nil {
			t.Fatal(err)
		}
		if err := produce(ctx, c, "small", 2, "a"); err != nil {
			t.Fatal(err)
		}
		if err := produce(ctx, c, "small", 2, strings.Repeat("x", 3000)); !errors.Is(err, kafka.MessageSizeTooLarge) {
			t.Errorf("a record above the limit: %v", err)
		}
		before, pid := k.Brokers(), k.Nodes[0].PID()
		if err := k.Kill(); err != nil {
			t.Fatal(err)
		}
		if k.Nodes[0].PID() != 0 {
			t.Error("killed, and still there")
		}
		began = time.Now()
		if err := k.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("again after %.2f s", time.Since(began).Seconds())
		if k.Nodes[0].PID() == pid || !slices.Equal(k.Brokers(), before) {
			t.Errorf("process %d at %v, was %d at %v", k.Nodes[0].PID(), k.Brokers(), pid, before)
		}
		eventually(t, func() error { return produce(ctx, c, "small", 2, "b") })
		if n := size(t, k, "small", 2); n != 2 {
			t.Errorf("%d records, want 2", n)
		}
		w := &kafka.Writer{Addr: kafka.TCP(k.Brokers()...), AllowAutoTopicCreation: true, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
		defer w.Close()
		eventually(t, func() error { return w.WriteMessages(ctx, kafka.Message{Topic: "by-itself", Value: []byte("c")}) })
		if topics, err := k.Topics(ctx); err != nil || len(topics) != 2 || topics["small"] != 3 || topics["by-itself"] != 2 {
			t.Errorf("topics %v, %v", topics, err)
		}
		if err := k.DeleteTopic(ctx, "small"); err != nil {
			t.Fatal(err)
		}
		if topics, err := k.Topics(ctx); err != nil || len(topics) != 1 {
			t.Errorf("topics %v, %v", topics, err)
		}
		dir := k.Dir
		if err := k.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the folder is there: %v", err)
		}
		if _, err := net.DialTimeout("tcp", before[0], time.Second); err == nil {
			t.Error("stopped, and still listening")
		}
		if err := k.Restart(ctx); err == nil {
			t.Error("restarted after its stop")
		}
	})
}

// Certificates, passwords and rights are what a client meets in production.
func TestKafkaSecurity(t *testing.T) {
	certs, err := testbed.WriteCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Certs: certs, ACLs: true, NoAutoCreate: true})
	ctx := t.Context()
	if err := k.CreateTopic(ctx, "open", 1); err != nil {
		t.Fatal(err)
	}
	if err := k.Grant(ctx, "op", kafka.ACLOperationTypeWrite, kafka.ACLOperationTypeDescribe); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(certs.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	right := &tls.Config{RootCAs: pool}
	mechanism := func(a scram.Algorithm, password string) sasl.Mechanism {
		m, err := scram.Mechanism(a, testbed.User, password)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		name    string
		brokers []string
		tls     *tls.Config
		sasl    sasl.Mechanism
		says    string // "" where it is let in
	}{
		{"plain over TLS", k.SASLTLSBrokers(), right, plain.Mechanism{Username: testbed.User, Password: testbed.Password}, ""},
		{"SCRAM-SHA-256 over TLS", k.SASLTLSBrokers(), right, mechanism(scram.SHA256, testbed.Password), ""},
		{"SCRAM-SHA-512", k.SASLBrokers(), nil, mechanism(scram.SHA512, testbed.Password), ""},
		{"wrong password", k.SASLTLSBrokers(), right, mechanism(scram.SHA512, "wrong"), "invalid credentials"},
		{"wrong host", k.SASLTLSBrokers(), &tls.Config{RootCAs: pool, ServerName: "other.example"}, mechanism(scram.SHA512, testbed.Password), "certificate"},
		{"unknown authority", k.SASLTLSBrokers(), &tls.Config{}, mechanism(scram.SHA512, testbed.Password), "certificate"},
		{"TLS alone has no rights", k.TLSBrokers(), right, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			transport := &kafka.Transport{TLS: c.tls, SASL: c.sasl}
			defer transport.CloseIdleConnections()
			client := &kafka.Client{Addr: kafka.TCP(c.brokers...), Timeout: 10 * time.Second, Transport: transport}
			// A record alone would do, but the library then says only that it does not know the topic.
			_, err := client.ApiVersions(ctx, &kafka.ApiVersionsRequest{Addr: client.Addr})
			if err == nil {
				err = produce(ctx, client, "open", 0, c.name)
			}
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(strings.ToLower(err.Error()), c.says)) {
				t.Fatalf("%v, want %q", err, c.says)
			}
			if c.says != "" || c.sasl == nil {
				return
			}
			answer, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "opera", NumPartitions: 1, ReplicationFactor: 1}}})
			if err != nil || !errors.Is(answer.Errors["opera"], kafka.TopicAuthorizationFailed) && !errors.Is(answer.Errors["opera"], kafka.ClusterAuthorizationFailed) {
				t.Errorf("a topic may be made: %v, %v", err, answer)
			}
		})
	}
}

// Of three nodes one may go, at its worst moment: the leader of a partition.
func TestKafkaCluster(t *testing.T) {
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Nodes: 3})
	ctx, c := t.Context(), k.Client()
	if err := k.CreateTopic(ctx, "three", 3); err != nil {
		t.Fatal(err)
	}
	if err := produce(ctx, c, "three", 0, "a"); err != nil {
		t.Fatal(err)
	}
	leader, err := k.Leader(ctx, "three", 0)
	if err != nil || leader == nil {
		t.Fatal(leader, err)
	}
	began := time.Now()
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		next, err := k.Leader(ctx, "three", 0)
		if err == nil && (next == nil || next == leader) {
			err = errors.New("no other leader yet")
		}
		return err
	})
	t.Logf("another leader after %.1f s", time.Since(began).Seconds())
	eventually(t, func() error { return produce(ctx, c, "three", 0, "b") })
	if n := size(t, k, "three", 0); n < 2 { // more where an answer was lost
		t.Errorf("%d records, want 2", n)
	}
	if err := leader.Restart(ctx); err != nil {
		t.Fatal(err)
	}
}

// A folder of the caller's is kept, and a cluster goes on with it. Clients can be led through a proxy.
func TestKafkaDir(t *testing.T) {
	o := testbed.KafkaOptions{Dir: filepath.Join(t.TempDir(), "kept"), Advertise: func(int, string) string { return "127.0.0.1:1" }}
	first := testbed.StartKafka(t, testbed.Kafka43, o)
	if got := fmt.Sprint(first.Brokers()); got != "[127.0.0.1:1]" {
		t.Errorf("clients are told %s", got)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	o.Advertise = nil
	second := testbed.StartKafka(t, testbed.Kafka43, o)
	if second.Cluster != first.Cluster {
		t.Errorf("cluster %s became %s", first.Cluster, second.Cluster)
	}
}

// Kafka's own tools run.
func TestKafkaTool(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	topic := testbed.FreshTopic(t, k)
	if err := k.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	if err := produce(t.Context(), k.Client(), topic, 0, "hello"); err != nil {
		t.Fatal(err)
	}
	cmd, err := testbed.KafkaTool(t.Context(), k.Kind, "org.apache.kafka.tools.consumer.ConsoleConsumer",
		"--bootstrap-server", strings.Join(k.Brokers(), ","), "--topic", topic, "--from-beginning", "--max-messages", "1")
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if err != nil || string(out) != "hello\n" {
		t.Errorf("%q, %v", out, err)
	}
}
