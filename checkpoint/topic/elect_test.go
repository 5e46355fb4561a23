package topic

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Of three candidates one is the owner; one that comes does not take it from it; when it leaves another is at once, and when it is lost without a word
// another is after the session.
func TestElect(t *testing.T) {
	testElect(t, options(newCluster(t).ListenAddrs(), "elected"), 5*time.Second)
}

func testElect(t *testing.T, at Options, session time.Duration) {
	t.Helper()
	o := ElectOptions{Options: at, Session: session}
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
