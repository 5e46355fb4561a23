package topic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/checkpoint"
	"cdc/checkpoint/checkpointtest"
	"cdc/checkpoint/memory"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

func newCluster(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.min.session.timeout.ms": "100"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func options(brokers []string, topic string) Options {
	return Options{Brokers: brokers, Topic: topic, TransactionalID: "id-" + topic, Writer: "here", Name: "host"}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder is a store in memory with what a folder has besides.
type folder struct{ memory.Store }

func (f *folder) Export(ctx context.Context, name string) (*checkpoint.Document, error) {
	r, err := f.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	d := &checkpoint.Document{Stream: name, Record: r}
	return d, f.Rewind(ctx, name, r.SchemaSeq, func(e *schemas.Entry) error { d.History = append(d.History, e); return nil })
}

func (f *folder) Import(ctx context.Context, d *checkpoint.Document) error {
	var list []schemas.Entry
	for _, e := range d.History {
		list = append(list, *e)
	}
	if err := f.Save(ctx, d.Stream, checkpoint.Record{}); err != nil {
		return err
	}
	if err := f.Rewind(ctx, d.Stream, 0, func(*schemas.Entry) error { return nil }); err != nil {
		return err
	}
	if err := f.Append(ctx, d.Stream, list); err != nil {
		return err
	}
	return f.Save(ctx, d.Stream, d.Record)
}

func TestStore(t *testing.T) {
	c := newCluster(t)
	n := 0
	checkpointtest.Run(t, func(t *testing.T) checkpointtest.Store {
		n++
		return open(t, options(c.ListenAddrs(), fmt.Sprint("state-", n)))
	}, func(t *testing.T, s checkpointtest.Store) checkpointtest.Store {
		_ = s.Close()
		return open(t, s.(*Store).o)
	})
}

func TestBeside(t *testing.T) {
	c := newCluster(t)
	n := 0
	both := func(t *testing.T, o Options, l Local) *Both {
		b, err := Beside(t.Context(), open(t, o), l)
		must(t, err)
		return b
	}
	checkpointtest.Run(t, func(t *testing.T) checkpointtest.Store {
		n++
		return both(t, options(c.ListenAddrs(), fmt.Sprint("both-", n)), new(folder))
	}, func(t *testing.T, s checkpointtest.Store) checkpointtest.Store { // another machine takes over
		return both(t, s.(*Both).topic.o, new(folder))
	})
}

// The process that had the topic is shut out: what it saves then is refused, now and later, and nothing of it is in the topic.
func TestFenced(t *testing.T) {
	c := newCluster(t)
	testFenced(t, options(c.ListenAddrs(), "fenced"))
}

func testFenced(t *testing.T, o Options) {
	t.Helper()
	ctx := t.Context()
	a := open(t, o)
	if !a.Former().Since.IsZero() {
		t.Errorf("a new topic had an owner: %+v", a.Former())
	}
	must(t, a.Append(ctx, "s", []schemas.Entry{checkpointtest.Entry(1, 3)}))
	must(t, a.Save(ctx, "s", checkpointtest.Record(1, 1)))
	b := open(t, o)
	if b.Former().Writer != "here" {
		t.Errorf("the owner before was %+v", b.Former())
	}
	for range 3 {
		if err := a.Save(ctx, "s", checkpointtest.Record(2, 1)); !fault.Has(err, fault.StateFenced) {
			t.Fatalf("a process that was shut out saves: %v", err)
		}
		if err := a.Append(ctx, "s", []schemas.Entry{checkpointtest.Entry(2, 3)}); !fault.Has(err, fault.StateFenced) {
			t.Fatalf("a process that was shut out appends: %v", err)
		}
	}
	must(t, b.Save(ctx, "s", checkpointtest.Record(3, 1)))
	d := open(t, o)
	got, err := d.Load(ctx, "s")
	must(t, err)
	if diff := checkpointtest.Same(got, checkpointtest.Record(3, 1)); diff != "" {
		t.Error(diff)
	}
	if err := b.Save(ctx, "s", checkpointtest.Record(4, 1)); !fault.Has(err, fault.StateFenced) {
		t.Errorf("the second saves: %v", err)
	}
}

// The folder gets what the topic has, whichever was ahead, and the topic what only the folder has.
func TestSettled(t *testing.T) {
	c := newCluster(t)
	ctx := t.Context()
	o := options(c.ListenAddrs(), "settled")
	local := new(folder)
	must(t, local.Append(ctx, "old", []schemas.Entry{checkpointtest.Entry(1, 2), checkpointtest.Entry(2, 2)}))
	must(t, local.Save(ctx, "old", checkpointtest.Record(1, 1)))
	b, err := Beside(ctx, open(t, o), local)
	must(t, err)
	must(t, b.Save(ctx, "old", checkpointtest.Record(2, 1)))
	must(t, b.topic.Save(ctx, "old", checkpointtest.Record(3, 1))) // and the process ends before the folder has it

	for name, l := range map[string]*folder{"another machine": new(folder), "the same": local} {
		b, err := Beside(ctx, open(t, o), l)
		must(t, err)
		got, err := b.Load(ctx, "old")
		must(t, err)
		if diff := checkpointtest.Same(got, checkpointtest.Record(3, 1)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		seen := 0
		must(t, b.Rewind(ctx, "old", 1, func(e *schemas.Entry) error { seen++; return nil }))
		if seen != 1 {
			t.Errorf("%s: %d entries", name, seen)
		}
	}
}

// Rows of prepared transactions that another machine has are asked for, not done without.
func TestSpooled(t *testing.T) {
	c := newCluster(t)
	ctx := t.Context()
	o := options(c.ListenAddrs(), "spooled")
	r := checkpointtest.Record(1, 0)
	r.XA = []event.XA{{ID: "x1", Spool: "f1"}}
	must(t, open(t, o).Save(ctx, "s", r))
	other := o
	other.Writer = "there"
	l := new(folder)
	if _, err := Beside(ctx, open(t, other), l); !fault.Has(err, fault.BinlogXASpool) {
		t.Fatalf("another machine takes over: %v", err)
	}
	if _, err := l.Load(ctx, "s"); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("its folder has something: %v", err)
	}
	_, err := Beside(ctx, open(t, o), new(folder))
	must(t, err)
}

// Answers get lost at any request; all that was acknowledged is there, and nothing half.
func TestAnswersLost(t *testing.T) {
	c := newCluster(t)
	ctx := t.Context()
	o := options(c.ListenAddrs(), "lost")
	var left atomic.Int32
	left.Store(1 << 30)
	o.Dialer.Net = func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, network, address)
		return &lossy{raw, &left}, err
	}
	s := open(t, o)
	for n := range uint64(60) {
		left.Store(int32(n % 7))
		must(t, s.Append(ctx, "s", []schemas.Entry{checkpointtest.Entry(n+1, 3)}))
		left.Store(int32((n / 7) % 7))
		must(t, s.Save(ctx, "s", checkpointtest.Record(n, n+1)))
	}
	left.Store(1 << 30)
	got, err := open(t, o).Load(ctx, "s")
	must(t, err)
	if diff := checkpointtest.Same(got, checkpointtest.Record(59, 60)); diff != "" {
		t.Error(diff)
	}
}

// lossy ends once when so many reads were made from all that share the count.
type lossy struct {
	net.Conn
	left *atomic.Int32
}

func (l *lossy) Read(b []byte) (int, error) {
	if l.left.Add(-1) == -1 {
		_ = l.Close()
		return 0, errors.New("the connection is lost")
	}
	return l.Conn.Read(b)
}

// Where a topic cannot be used the fault says why, at once.
func TestRefused(t *testing.T) {
	c := newCluster(t)
	ctx := t.Context()
	o := options(c.ListenAddrs(), "refused")
	s := open(t, o)
	for code, want := range map[int16]string{29: "may not", 53: "may not", 10: "max.message.bytes"} {
		c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			res := r.ResponseKind().(*kmsg.ProduceResponse)
			top, part := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
			part.ErrorCode, top.Topic = code, "refused"
			top.Partitions = append(top.Partitions, part)
			res.Topics = append(res.Topics, top)
			return res, nil, true
		})
		if err := s.Save(ctx, "s", checkpoint.Record{}); !fault.Has(err, fault.StateTopic) || !strings.Contains(err.Error(), want) {
			t.Errorf("code %d: %v", code, err)
		}
	}
	o.Brokers, o.Patience = []string{"127.0.0.1:1"}, time.Millisecond
	if _, err := Open(ctx, o); !fault.Has(err, fault.StateUnreachable) {
		t.Errorf("no broker: %v", err)
	}
}
