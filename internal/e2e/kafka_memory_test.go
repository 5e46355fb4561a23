//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// A transaction far larger than the memory budget goes through to Kafka, each row once, and the process stays near its budget.
func TestKafkaMemory(t *testing.T) {
	t.Parallel()
	const budget, beside = 32 << 20, 64 << 20
	rows := number(t, "CDC_KAFKA_ROWS", 100_000)
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	k := testbed.SharedKafka(t, testbed.Kafka43)
	db := testbed.FreshDB(t, s)
	at := large(t, s, db, rows)
	p := newTopicPipe(t, s, k, settings{tables: fmt.Sprintf("%q", db+".t"), start: at, memory: "32MiB"}, "partitions: 4")
	r := p.run(t)
	pollFor(t, patience+time.Duration(rows)*200*time.Microsecond, "all rows are acknowledged", func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		st, ok := p.status(t)
		return ok && st.Acked == uint64(rows)
	})
	peak := r.peak(t)
	r.stop(t)
	t.Logf("%d rows in one transaction: at most %d MiB", rows, peak>>20)
	if peak > budget+beside {
		t.Errorf("the process took %d MiB, its budget is %d MiB", peak>>20, budget>>20)
	}
	seen, n := make([]bool, rows+1), 0
	err := ledger.EachMessage(t.Context(), k.Brokers(), func(topic string) bool { return topic == p.prefix+"."+db+".t" }, func(m kafka.Message) error {
		var key struct{ ID int }
		if err := json.Unmarshal(m.Key, &key); err != nil {
			return err
		}
		if key.ID < 1 || key.ID > rows || seen[key.ID] {
			return fmt.Errorf("row %d twice, or never inserted", key.ID)
		}
		seen[key.ID] = true
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n != rows {
		t.Errorf("%d rows in the topic, want %d", n, rows)
	}
}
