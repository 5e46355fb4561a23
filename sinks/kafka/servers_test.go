//go:build servers

package kafka_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"cdc/event"
	"cdc/internal/testbed"
	"cdc/sinks"
	"cdc/sinks/kafka"
	"cdc/sinks/sinktest"
)

// read gives all records of the topics whose names begin with prefix, with franz-go: in the order of each partition.
func read(t testing.TB, k *testbed.Kafka, prefix string) []*kgo.Record {
	t.Helper()
	topics, err := k.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := map[string]map[int32]kgo.Offset{}
	left := int64(0)
	for name := range topics {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		ends, err := k.Ends(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		from[name] = map[int32]kgo.Offset{}
		for p, end := range ends {
			if end > 0 {
				from[name][int32(p)] = kgo.NewOffset().AtStart()
				left += end
			}
		}
	}
	if left == 0 {
		return nil
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers()...), kgo.ConsumePartitions(from))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var list []*kgo.Record
	for left > 0 {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("read %s: %v", prefix, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			list = append(list, r)
			left--
		})
	}
	return list
}

// gate is a door in front of the brokers.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when it opens; nil while it is open
}

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &gated{Conn: c, g: g, closed: make(chan struct{})}, nil
}

func (g *gate) close() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	shut := make(chan struct{})
	g.shut = shut
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(shut)
		g.shut = nil
	})
}

// gated is a connection whose bytes wait at the gate.
type gated struct {
	net.Conn
	g      *gate
	closed chan struct{}
	once   sync.Once
}

func (c *gated) Write(p []byte) (int, error) {
	c.g.mu.Lock()
	shut := c.g.shut
	c.g.mu.Unlock()
	if shut != nil {
		select {
		case <-shut:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return c.Conn.Write(p)
}

func (c *gated) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// target is the topics whose names begin with prefix.
type target struct {
	k      *testbed.Kafka
	prefix string
	codec  string
	gate   *gate
	open   []*kafka.Sink
}

func (g *target) Open(_ context.Context, budget *event.Budget) (sinks.Sink, error) {
	s, err := kafka.Open(kafka.Options{
		Config:  kafka.Config{Brokers: g.k.Brokers(), Topic: g.prefix + "-{database}.{table}", Compression: g.codec, Partitions: 3},
		Encoder: sinktest.NewEncoder, Budget: budget, Dial: g.gate.dial, Gone: 300 * time.Millisecond,
	})
	if err == nil {
		g.open = append(g.open, s)
	}
	return s, err
}

func (g *target) Crash(testing.TB) sinktest.Target {
	for _, s := range g.open {
		_ = s.Close() // cuts the connections in the middle of whatever they do
	}
	return &target{k: g.k, prefix: g.prefix, codec: g.codec, gate: &gate{}}
}

func (g *target) Delivered(t testing.TB) []sinktest.Record {
	t.Helper()
	var list []sinktest.Record
	for _, r := range read(t, g.k, g.prefix) {
		rec, ok, err := sinktest.Parse(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			list = append(list, rec)
		}
	}
	return list
}

// codecsOf spreads the codecs over the brokers.
var codecsOf = map[testbed.KafkaKind][]string{testbed.Kafka43: {"none"}, testbed.Kafka39: {"lz4"}}

// TestConformance runs the suite of all sinks against each broker and codec.
func TestConformance(t *testing.T) {
	testbed.EachKafka(t, func(t *testing.T, kind testbed.KafkaKind) {
		t.Parallel()
		k := testbed.SharedKafka(t, kind)
		for _, codec := range codecsOf[kind] {
			t.Run(codec, func(t *testing.T) {
				sinktest.Run(t, sinktest.Harness{
					New: func(t testing.TB) sinktest.Target {
						return &target{k: k, prefix: testbed.FreshTopic(t, k), codec: codec, gate: &gate{}}
					},
					AtOnce: true, Stride: 9,
					Block: func(_ testing.TB, g sinktest.Target) func() { return g.(*target).gate.close() },
					Break: func(t testing.TB, g sinktest.Target) { // the topics are deleted under it
						topics, err := k.Topics(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						for name := range topics {
							if strings.HasPrefix(name, g.(*target).prefix) {
								if err := k.DeleteTopic(t.Context(), name); err != nil {
									t.Fatal(err)
								}
							}
						}
					},
				})
			})
		}
	})
}
