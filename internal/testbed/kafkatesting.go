package testbed

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// StartKafka starts a cluster for one test, which ends with the test. A test
// that fails is told what the nodes logged last.
func StartKafka(t testing.TB, kind KafkaKind, o KafkaOptions) *Kafka {
	t.Helper()
	if o.Log == nil {
		o.Log = os.Stderr
	}
	k, err := LaunchKafka(t.Context(), kind, o)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %s at %v:\n%s", k.Kind, k.Brokers(), k.LogTail())
		}
		if err := k.Stop(); err != nil {
			t.Errorf("testbed: stop %s: %v", k.Kind, err)
		}
	})
	return k
}

// sharedKafka holds the brokers of SharedKafka for the life of a test binary.
var sharedKafka sync.Map // of KafkaKind to func() (*Kafka, error)

// SharedKafka returns the one broker of the kind that all tests of a test
// binary may use, with default options; it ends with the process. Tests that
// share it must not restart it, and use topics of their own: FreshTopic.
func SharedKafka(t testing.TB, kind KafkaKind) *Kafka {
	t.Helper()
	launch, _ := sharedKafka.LoadOrStore(kind, sync.OnceValues(func() (*Kafka, error) {
		return LaunchKafka(context.Background(), kind, KafkaOptions{Log: os.Stderr})
	}))
	k, err := launch.(func() (*Kafka, error))()
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	return k
}

// FreshTopic gives a name that no topic has, "t_...". All topics whose names begin with it are deleted
// when the test ends.
func FreshTopic(t testing.TB, k *Kafka) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() {
		// The test's own context has ended by now, and the broker may have.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if k.Nodes[0].PID() == 0 {
			return
		}
		topics, err := k.Topics(ctx)
		if err != nil {
			t.Errorf("testbed: %v", err)
		}
		for topic := range topics {
			if strings.HasPrefix(topic, name) {
				if err := k.DeleteTopic(ctx, topic); err != nil {
					t.Errorf("testbed: %v", err)
				}
			}
		}
	})
	return name
}

// EachKafka runs f as a subtest for each kind.
func EachKafka(t *testing.T, f func(t *testing.T, kind KafkaKind)) {
	for _, kind := range KafkaKinds() {
		t.Run(fmt.Sprint(kind), func(t *testing.T) { f(t, kind) })
	}
}
