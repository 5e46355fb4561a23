package kafka_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/event"
	"cdc/fault"
	"cdc/sinks/kafka"
)

// fake is a broker that says what it is told to.
type fake struct {
	*kfake.Cluster
	first    atomic.Int32 // code of the next answer to a produce request, where it is not that of the others
	code     atomic.Int32 // of the next answers
	times    atomic.Int32 // how many of them
	answered atomic.Int32
	ids      atomic.Int32 // producer ids asked for
}

func newFake(t *testing.T) *fake {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f := &fake{Cluster: c}
	f.ControlKey(int16(kmsg.InitProducerID), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		f.ids.Add(1)
		return nil, nil, false
	})
	f.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if f.times.Add(-1) < 0 {
			return nil, nil, false
		}
		f.answered.Add(1)
		code := f.code.Load()
		if first := f.first.Swap(0); first != 0 {
			code = first
		}
		req := r.(*kmsg.ProduceRequest)
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.Topics {
			top := kmsg.NewProduceResponseTopic()
			top.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.ErrorCode, part.BaseOffset = p.Partition, int16(code), -1
				top.Partitions = append(top.Partitions, part)
			}
			res.Topics = append(res.Topics, top)
		}
		return res, nil, true
	})
	return f
}

// say has the next answers be an error.
func (f *fake) say(code int32, times int32) {
	f.code.Store(code)
	f.answered.Store(0)
	f.times.Store(times)
}

// count reads what the broker holds.
func (f *fake) count(t *testing.T, rows int) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(f.ListenAddrs()...), kgo.ConsumeTopics("rows"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seen := map[string]int{}
	for n := 0; n < rows; {
		c.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			n++
			v, _, _ := strings.Cut(string(r.Value), " ")
			seen[v]++
		})
	}
	if len(seen) != rows {
		t.Errorf("%d different rows of %d", len(seen), rows)
	}
}

// TestVerdicts has the broker answer with what real ones cannot be made to say at will.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  int32
		times int32
		want  fault.Code // 0 where all goes on
		ids   int32      // producer ids asked for in all
	}{
		{"not leader", 6, 3, 0, 1},
		{"timed out", 7, 3, 0, 1},
		{"too few replicas", 19, 4, 0, 1},
		{"too few replicas after it was written", 20, 2, 0, 1},
		{"storage", 56, 3, 0, 1},
		{"unknown", -1, 4, 0, 1},
		{"unknown for ever", -1, 1 << 30, fault.SinkRefused, 1},
		{"duplicate", 46, 0, 0, 1},
		{"the producer is forgotten", 59, 1, 0, 2},
		{"a hole", 45, 1, fault.SinkOrder, 1},
		{"another epoch", 47, 1, fault.SinkOrder, 1},
		{"invalid record", 87, 1, fault.SinkRefused, 1},
		{"policy", 44, 1, fault.SinkRefused, 1},
		{"the limit is lower than it was", 10, 1, fault.SinkRecordTooLarge, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			budget := event.NewBudget(64 << 20)
			l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows"}, Budget: budget}, "orders")
			l.mustWrite(10)
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			f.say(c.code, c.times)
			var err error
			for range 20 {
				if err = l.write(10); err != nil {
					break
				}
			}
			if err == nil {
				err = l.flush()
			}
			switch {
			case c.want == 0 && err != nil:
				t.Fatal(err)
			case c.want != 0 && !fault.Has(err, c.want):
				t.Fatalf("%v, want %s", err, c.want)
			}
			if c.times < 1<<20 && f.answered.Load() != c.times {
				t.Errorf("%d answers of %d were given", f.answered.Load(), c.times)
			}
			if got := f.ids.Load(); got != c.ids {
				t.Errorf("%d producer ids, want %d", got, c.ids)
			}
			if c.want == 0 {
				f.count(t, l.n)
				if int(l.acked.Load()) != l.n {
					t.Errorf("%d rows acked, want %d", l.acked.Load(), l.n)
				}
			}
			if err := l.s.Close(); err != nil {
				t.Fatal(err)
			}
			if used, _, _ := budget.Used(); used != 0 {
				t.Errorf("%d bytes are still charged", used)
			}
		})
	}
}

// TestForgotten has the broker forget the producer when it may have taken in a batch: sending it again could write it twice.
func TestForgotten(t *testing.T) {
	f := newFake(t)
	l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows"}}, "orders")
	l.mustWrite(10)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	f.first.Store(7) // timed out
	f.say(59, 1<<30)
	if err := l.failure(); !fault.Has(err, fault.SinkOrder) {
		t.Errorf("%v, want %s", err, fault.SinkOrder)
	}
}

// TestMemory writes a transaction much larger than the budget to a broker that takes nothing for a while.
func TestMemory(t *testing.T) {
	f := newFake(t)
	budget := event.NewBudget(16 << 20)
	l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows", Compression: "none"}, Budget: budget}, "orders")
	l.text = strings.Repeat("y", 1000)
	f.say(19, 8)
	for range 60 {
		l.mustWrite(1000)
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if _, peak, limit := budget.Used(); peak > limit/2 {
		t.Errorf("%d bytes were charged at once, of %d", peak, limit)
	}
	f.count(t, l.n)
}

// TestCloseWhileWaiting closes a sink whose broker is not there.
func TestCloseWhileWaiting(t *testing.T) {
	stalled := make(chan error, 10)
	l := newLoad(t, kafka.Options{Config: kafka.Config{Brokers: []string{"127.0.0.1:1"}, Topic: "rows"}, Stalled: func(err error) { stalled <- err }}, "orders")
	l.mustWrite(5)
	if err := <-stalled; !fault.Has(err, fault.SinkUnreachable) {
		t.Errorf("stalled by %v", err)
	}
	if !fault.Has(l.s.Stalled(), fault.SinkUnreachable) {
		t.Errorf("Stalled is %v", l.s.Stalled())
	}
	done := make(chan error)
	go func() { done <- l.s.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("close hangs")
	}
	if err := l.write(1); !fault.Has(err, fault.SinkClosed) {
		t.Errorf("a write after that: %v", err)
	}
}
