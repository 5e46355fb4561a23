//go:build servers

package kafka_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/sinks/kafka"
)

// TestOnceAtBrokers is TestOnceOverRestarts with real brokers.
func TestOnceAtBrokers(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.SharedKafka(t, kind)
		name := testbed.FreshTopic(t, k)
		rng := rand.New(rand.NewPCG(3, 7))
		s := newScript(t, rng, 120)
		said := ""
		o := kafka.Options{
			Config: kafka.Config{
				Brokers: k.Brokers(), Topic: name + ".{database}.{table}", TransactionalID: name, ExactlyOnce: "required", Partitions: 3, Batch: 4 << 10,
			},
			Guarded: func(state string) { said = state }, Remind: 50 * time.Millisecond,
		}
		var at placed
		runs := 0
		for ; at.txns < len(s.txns); runs++ {
			crash := 10
			if runs == 6 {
				crash = 0
			}
			var err error
			if at, err = s.run(rng, o, at, crash); err != nil {
				t.Fatal(err)
			}
			if said != "verified" && said != "" {
				t.Fatalf("run %d is %s", runs, said)
			}
		}
		t.Logf("%d runs", runs)
		s.once(everything(t, k.Brokers(), name+".shop.orders", name+".shop.items", name+".shop.notes"))
	})
}

// TestOnceFencedAtBrokers starts a second sink of a stream while the first one still writes, and holds back what is under way.
func TestOnceFencedAtBrokers(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		k := testbed.SharedKafka(t, kind)
		name := testbed.FreshTopic(t, k)
		door := &gate{}
		o := kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: name, TransactionalID: name, Partitions: 1}, Dial: door.dial, Fresh: true}
		first := newLoad(t, o, "orders")
		first.mustWrite(20)
		if err := first.flush(); err != nil {
			t.Fatal(err)
		}
		state, err := first.s.State(0)
		if err != nil {
			t.Fatal(err)
		}
		open := door.close()
		first.mustWrite(20) // hangs on the way
		o.State, o.Dial, o.Fresh = state, nil, false
		second := newLoad(t, o, "orders")
		second.mustWrite(20)
		second.mustWrite(20)
		if err := second.flush(); err != nil {
			t.Fatal(err)
		}
		open()
		if err := first.failure(); !fault.Has(err, fault.SinkFenced) {
			t.Errorf("%v, want %s", err, fault.SinkFenced)
		}
		if list := everything(t, k.Brokers(), name); len(list) != 40 {
			t.Errorf("%d records, want 40", len(list))
		}
	})
}

// TestOnceManyPartitions starts at a topic of many partitions: CDC_KAFKA_PARTITIONS, which brokers take a while to make.
func TestOnceManyPartitions(t *testing.T) {
	partitions := 40
	if v := os.Getenv("CDC_KAFKA_PARTITIONS"); v != "" {
		var err error
		if partitions, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	k := testbed.SharedKafka(t, testbed.Kafka43)
	name := testbed.FreshTopic(t, k)
	o := kafka.Options{Config: kafka.Config{Brokers: k.Brokers(), Topic: name, TransactionalID: name, Partitions: int32(partitions)}, Fresh: true, Budget: event.NewBudget(64 << 20)}
	l := newLoad(t, o, "orders")
	l.mustWrite(2000)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.State, err = l.s.State(0); err != nil {
		t.Fatal(err)
	}
	_ = l.s.Close()
	o.Fresh = false
	for range 2 {
		began := time.Now()
		l = newLoad(t, o, "orders")
		l.mustWrite(2000)
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		t.Logf("a start takes %v", time.Since(began))
		if got := l.s.ExactlyOnce(); got != "verified" {
			t.Error(got)
		}
		_ = l.s.Close()
	}
}
