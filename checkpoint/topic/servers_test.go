//go:build servers

package topic

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"cdc/checkpoint/checkpointtest"
	"cdc/internal/testbed"
	"cdc/schemas"
)

// A real broker shuts out the process that had the topic, keeps long values whole, and gives only what was committed.
func TestServer(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
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

// Of three candidates one is the owner; one that comes does not take it from it; when it leaves another is at once, and when it is lost without a word
// another is after the session.
func TestElect(t *testing.T) {
	k := testbed.SharedKafka(t, testbed.Kafka43)
	o := ElectOptions{Options: options(k.Brokers(), testbed.FreshTopic(t, k)), Session: 6 * time.Second}
	o.Group = o.Topic
	type won struct {
		*Tenure
		cut func()
	}
	tenures := make(chan won)
	standing := make(chan struct{}, 9)
	candidate := func() {
		mine := o
		ctx, cancel := context.WithCancel(t.Context())
		cut := &cutter{}
		mine.Dialer.Net = cut.dial
		mine.StandsBy = func() { standing <- struct{}{} }
		tenure, err := Elect(ctx, mine)
		if err != nil {
			cancel()
			if t.Context().Err() == nil {
				t.Error(err)
			}
			return
		}
		t.Cleanup(func() { cancel(); _ = tenure.Close() })
		select {
		case tenures <- won{tenure, cut.cut}:
		case <-t.Context().Done():
		}
	}
	wait := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(2 * time.Minute):
			t.Fatal(what)
		}
	}
	next := func() won {
		t.Helper()
		select {
		case w := <-tenures:
			return w
		case <-time.After(2 * time.Minute):
			t.Fatal("nobody is the owner")
		}
		return won{}
	}
	go candidate()
	first := next()
	go candidate()
	wait("the second does not stand by", standing)
	go candidate()
	wait("the third does not stand by", standing)
	select {
	case <-first.Lost():
		t.Fatal("those who came took it from the owner")
	default:
	}
	must(t, first.Close())
	wait("an owner that left has not lost it", first.Lost())
	second := next()
	second.cut()
	third := next()
	wait("one whom the group does not hear has not lost it", second.Lost())
	select {
	case <-third.Lost():
		t.Error("the third has lost it")
	default:
	}
}

// cutter ends connections and makes no more.
type cutter struct {
	mu   sync.Mutex
	off  bool
	list []net.Conn
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		_ = raw.Close()
		return nil, errors.New("the network is away")
	}
	c.list = append(c.list, raw)
	return raw, nil
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
	for _, raw := range c.list {
		_ = raw.Close()
	}
}
