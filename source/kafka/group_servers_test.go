//go:build servers

package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
)

// process is a member of a group that notes what it has.
type process struct {
	*Group
	mu    sync.Mutex
	has   []int
	given int
	leave func()
}

func join(t *testing.T, o GroupOptions) *process {
	t.Helper()
	p := &process{}
	o.Take = func(shares []int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.has = shares
	}
	o.Give = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.has = nil
		p.given++
	}
	var err error
	if p.Group, err = OpenGroup(o); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- p.Run(ctx) }()
	p.leave = sync.OnceFunc(func() {
		end()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.leave)
	return p
}

func (p *process) shares() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.has
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !f(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// Members divide the shares, keep what they can, and give all of it up before others begin. What streams have acknowledged is committed, and is where
// streams begin whose sinks have no place; a sink that lost its place, and a topic that grew, are noticed.
func TestGroup(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	topic := testbed.FreshTopic(t, k)
	if err := k.CreateTopic(t.Context(), topic, 4); err != nil {
		t.Fatal(err)
	}
	newWriter(t, k, topic).put(1, 2, 3, 4, 5, 6, 7, 8)
	o := GroupOptions{Config: Config{Brokers: k.Brokers(), Topics: []string{topic}, Group: &GroupConfig{Name: topic, Shares: 4, SessionTimeout: 20 * time.Second}}, Streams: []string{"copy"}}
	first := join(t, o)
	await(t, "the only member has all shares", func() bool { return slices.Equal(first.shares(), []int{1, 2, 3, 4}) })
	second := join(t, o)
	mine := 0
	await(t, "both have two shares", func() bool {
		a, b := first.shares(), second.shares()
		if len(a) != 2 || len(b) != 2 {
			return false
		}
		if n := slices.Concat(a, b); len(slices.Compact(slices.Sorted(slices.Values(n)))) != 4 {
			return false // of two generations
		}
		mine = a[0]
		return true
	})
	other := o
	other.Group = &GroupConfig{Name: topic, Shares: 2, SessionTimeout: 20 * time.Second}
	odd, err := OpenGroup(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := odd.Run(t.Context()); !fault.Has(err, fault.SourceGroup) {
		t.Errorf("a member that divides otherwise: %v", err)
	}

	l, err := first.source.layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	part := func(share int) *partition { return l.parts[share-1] }
	place := gtid.NewSet(gtid.MySQL)
	place.AddRange(part(mine).uuid, "", 1, 2) // up to offset 1
	at := func(name string, share int, keeps, placed bool) (string, error) {
		begin, err := second.Begin(t.Context(), name, Share{share, 4}, keeps, placed)
		if err != nil {
			return "", err
		}
		n, ok := begin(topic, part(share).id)
		return fmt.Sprint(n, ok), nil
	}
	await(t, "the offset is committed", func() bool {
		first.Acked("copy", place) // again where the shares were divided anew
		got, err := at("copy", mine, false, false)
		if err != nil {
			t.Fatal(err)
		}
		return got == "1 true"
	})
	if got, err := at("another", mine, true, false); err != nil || got != "0 false" {
		t.Errorf("a new stream begins at %s, %v", got, err)
	}
	if _, err := at("copy", mine, true, false); !fault.Has(err, fault.SinkBehind) {
		t.Errorf("a sink that has lost its place: %v", err)
	}
	if _, err := at("copy", mine, true, true); err != nil {
		t.Errorf("a sink with a place: %v", err)
	}
	if got, err := at("copy", mine%4+1, true, false); err != nil || got != "0 false" {
		t.Errorf("a share that was never carried begins at %s, %v", got, err)
	}

	second.mu.Lock()
	given := second.given
	second.mu.Unlock()
	first.leave()
	await(t, "the one that stays has all shares", func() bool { return slices.Equal(second.shares(), []int{1, 2, 3, 4}) })
	second.mu.Lock()
	if second.given == given || first.given == 0 {
		t.Error("shares were taken without being given up")
	}
	second.mu.Unlock()
	m, err := k.Client().CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: topic, Count: 6}}})
	if err != nil || m.Errors[topic] != nil {
		t.Fatal(err, m.Errors)
	}
	await(t, "the new partitions are noticed", func() bool {
		_, err := at("copy", mine, true, true)
		return fault.Has(err, fault.SourcePartitions)
	})
}
