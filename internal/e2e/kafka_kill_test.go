//go:build servers

package e2e

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// moved waits until the brokers have acknowledged more than they had.
func (p *topicPipe) moved(t testing.TB, r *process) {
	t.Helper()
	first, known := uint64(0), false
	poll(t, "the brokers acknowledge more", func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		if ok && !known {
			first, known = st.Acked, true
		}
		return ok && st.Acked > first
	})
}

// cdc is killed at random moments while a shop goes on, with large transactions and DDL. Then every change is in its topic once, in order per row, as
// a consumer of committed records sees it that is not ours; and the status has said so each time.
func TestKafkaKill(t *testing.T) {
	for _, kind := range kafkaKinds(t, testbed.Kafka39) {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 3))
			s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
			k := testbed.SharedKafka(t, kind)
			p := newTopicPipe(t, s, k, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"}, "partitions: 3")
			l, stop := traffic(t, s, ledger.Options{DDL: true, Writers: 3, Pause: 15 * time.Millisecond, Seed: n, Large: 1_000})
			kills := number(t, "CDC_KAFKA_KILLS", 5)
			p.killed(t, rng, kills)
			r := p.run(t)
			stop()
			p.reached(t, r)
			if st, ok := p.status(t); !ok || st.ExactlyOnce != "verified" {
				t.Errorf("exactly_once is %q", st.ExactlyOnce)
			}
			r.stop(t)
			t.Logf("%d kills", kills)
			p.once(t, l)
		})
	}
}

// The only broker is killed and restarted while cdc writes to it. What was acknowledged before is not written again, and what was not comes
// next: all is there once.
func TestKafkaBrokerKill(t *testing.T) {
	for _, kind := range kafkaKinds(t, testbed.Kafka43) {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 4))
			k := testbed.StartKafka(t, kind, testbed.KafkaOptions{})
			s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
			p := newTopicPipe(t, s, k, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"}, "partitions: 4")
			l, stop := traffic(t, s, ledger.Options{DDL: true, Writers: 3, Pause: 15 * time.Millisecond, Seed: n, Large: 1_000})
			r := p.run(t)
			kills := number(t, "CDC_BROKER_KILLS", 2)
			for range kills {
				p.moved(t, r)
				pause(t.Context(), time.Duration(rng.Int64N(int64(time.Second))))
				if err := k.Kill(); err != nil {
					t.Fatal(err)
				}
				pause(t.Context(), time.Duration(rng.Int64N(int64(time.Second))))
				if err := k.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			p.moved(t, r)
			stop()
			p.reached(t, r)
			r.stop(t)
			t.Logf("%d kills of the broker", kills)
			p.once(t, l)
		})
	}
}

// The node that leads is killed, another one takes over, and the first one comes back.
func TestKafkaLeader(t *testing.T) {
	t.Parallel()
	n := seed(t)
	rng := rand.New(rand.NewPCG(n, 5))
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{Nodes: 3})
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	p := newTopicPipe(t, s, k, settings{start: "start", tables: `"shop.%"`, memory: "32MiB"}, "partitions: 3")
	l, stop := traffic(t, s, ledger.Options{Writers: 3, Pause: 15 * time.Millisecond, Seed: n, Large: 1_000})
	r := p.run(t)
	changes := number(t, "CDC_LEADERS", 1)
	topic := p.prefix + ".shop.orders"
	for i := range changes {
		p.moved(t, r)
		pause(t.Context(), time.Duration(rng.Int64N(int64(time.Second))))
		var node *testbed.KafkaNode
		poll(t, "there is a leader", func() bool {
			var err error
			node, err = k.Leader(t.Context(), topic, i%3)
			return err == nil && node != nil
		})
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
		// The others take over, and all goes on without it.
		poll(t, "another node leads", func() bool {
			other, err := k.Leader(t.Context(), topic, i%3)
			return err == nil && other != nil && other.ID != node.ID
		})
		p.moved(t, r)
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.moved(t, r)
	stop()
	p.reached(t, r)
	r.stop(t)
	t.Logf("%d leaders killed", changes)
	p.once(t, l)
	if log := r.err.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("an error was logged:\n%s", tailOf(log, 30))
	}
}
