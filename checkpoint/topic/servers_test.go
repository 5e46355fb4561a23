//go:build servers

package topic

import (
	"testing"
	"time"

	"cdc/checkpoint/checkpointtest"
	"cdc/internal/testbed"
	"cdc/schemas"
)

// A real broker elects, shuts out the process that had the topic, keeps long values whole, and gives only what was committed.
func TestServer(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	testElect(t, options(k.Brokers(), testbed.FreshTopic(t, k)), 6*time.Second)
	o := options(k.Brokers(), testbed.FreshTopic(t, k))
	testFenced(t, o)
	ctx := t.Context()
	s := open(t, o)
	must(t, s.Append(ctx, "long", []schemas.Entry{checkpointtest.Entry(1, 60000)}))
	r := checkpointtest.Record(7, 1)
	r.SinkState = make([]byte, 3<<20)
	must(t, s.Save(ctx, "long", r))
	got, err := open(t, o).Load(ctx, "long")
	must(t, err)
	if diff := checkpointtest.Same(got, r); diff != "" {
		t.Error("a long record is not what it was")
	}
}
