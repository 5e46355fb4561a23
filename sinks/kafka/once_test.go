package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/kafka"
)

// script is a stream that is read by many runs.
type script struct {
	t      testing.TB
	txns   []int // rows of each transaction
	tables []*schemas.Table
}

func newScript(t testing.TB, rng *rand.Rand, txns int) *script {
	s := &script{t: t, tables: []*schemas.Table{tableOf("shop", "orders"), tableOf("shop", "items"), tableOf("shop", "notes")}}
	for range txns {
		n := rng.IntN(6)
		if rng.IntN(10) == 0 {
			n = 50 + rng.IntN(200)
		}
		s.txns = append(s.txns, n)
	}
	return s
}

// place is where a run begins: behind so many transactions.
type placed struct {
	txns  int
	state []byte
}

// run reads the script from a place on, in batches that are cut anywhere, and ends in the midst of it as a killed process does, with what it had
// saved last. crash 0 runs to the end.
func (s *script) run(rng *rand.Rand, o kafka.Options, at placed, crash int) (placed, error) {
	if o.Encoder == nil {
		o.Encoder = newKeyed
	}
	o.State, o.Fresh = at.state, at.state == nil
	sink, err := kafka.Open(o)
	if err != nil {
		return at, err
	}
	defer sink.Close()
	base := sinks.Place{GTIDs: gtid.NewSet(gtid.MySQL)}
	for i := range at.txns {
		base.GTIDs.Add(batchtest.Txn(uint64(i + 1)).GTID)
	}
	if err := sink.Start(s.t.Context(), base); err != nil {
		return at, err
	}
	if at.state == nil { // the pipeline saves the beginning first
		if at.state, err = sink.State(0); err != nil {
			return at, err
		}
	}
	var mu sync.Mutex
	var failed error
	var acked uint64
	var complete []int // transactions that are complete behind each batch
	ctx, cancel := context.WithTimeout(s.t.Context(), longest)
	defer cancel()
	txn, row := at.txns, 0
	for seq := uint64(1); txn < len(s.txns); seq++ {
		w := batchtest.NewWriter(nil)
		for left := 1 + rng.IntN(80); left > 0 && txn < len(s.txns); {
			x := batchtest.Txn(uint64(txn + 1))
			n := min(left, s.txns[txn]-row)
			x.Begin, x.End, x.Off = row == 0, row+n == s.txns[txn], uint64(1000*(txn+1))
			w.Begin(x)
			for i := row; i < row+n; i++ {
				id := int64((txn + i) % 37)
				w.Row(uint32(i)).Insert(s.tables[(txn+i)%len(s.tables)], batchtest.Int(id), batchtest.Int(int64(txn*1000+i)), batchtest.Text("x"))
			}
			w.End()
			left -= n + 1
			if row += n; x.End {
				txn, row = txn+1, 0
			}
		}
		complete = append(complete, txn)
		b := w.Batch()
		b.Seq = seq
		err := sink.Write(ctx, b, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			acked = seq
		})
		if err != nil {
			return at, err
		}
		if rng.IntN(3) == 0 {
			mu.Lock()
			n := acked
			mu.Unlock()
			if n > 0 {
				state, err := sink.State(n)
				if err != nil {
					return at, err
				}
				at = placed{complete[n-1], state}
			}
		}
		if crash > 0 && rng.IntN(crash) == 0 {
			if rng.IntN(2) == 0 { // with what is under way acknowledged, and the place not saved
				_ = sink.Flush(ctx)
			}
			return at, nil
		}
	}
	if err := sink.Flush(ctx); err != nil {
		return at, err
	}
	if failed != nil {
		return at, failed
	}
	state, err := sink.State(uint64(len(complete)))
	return placed{len(s.txns), state}, err
}

// everything reads a topic as a consumer of committed records does, up to where it ends.
func everything(t testing.TB, brokers []string, topics ...string) []*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends := map[string]map[int32]int64{}
	from := map[string]map[int32]kgo.Offset{}
	m := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		r := kmsg.NewMetadataRequestTopic()
		r.Topic = &name
		m.Topics = append(m.Topics, r)
	}
	l, err := m.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, top := range l.Topics {
		name := *top.Topic
		ends[name], from[name] = map[int32]int64{}, map[int32]kgo.Offset{}
		for _, p := range top.Partitions {
			req := kmsg.NewPtrListOffsetsRequest()
			req.ReplicaID = -1
			rt := kmsg.NewListOffsetsRequestTopic()
			rt.Topic = name
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p.Partition, -1
			rt.Partitions = append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			a, err := req.RequestWith(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if end := a.Topics[0].Partitions[0].Offset; end > 0 {
				ends[name][p.Partition] = end
				from[name][p.Partition] = kgo.NewOffset().AtStart()
				left++
			}
		}
	}
	if left == 0 {
		return nil
	}
	r, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(from), kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var list []*kgo.Record
	for left > 0 {
		f := r.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("read %v: %v", topics, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				list = append(list, r)
			}
			if r.Offset+1 == ends[r.Topic][r.Partition] {
				left--
			}
		})
	}
	return list
}

// once checks that each row of the script is there once, and those of a key in order, in one partition.
func (s *script) once(list []*kgo.Record) {
	s.t.Helper()
	seen, last, where := map[int]bool{}, map[string]int{}, map[string]int32{}
	for _, r := range list {
		var n int
		if _, err := fmt.Sscan(string(r.Value), &n); err != nil {
			s.t.Fatal(err)
		}
		key := r.Topic + "/" + string(r.Key)
		if seen[n] {
			s.t.Errorf("row %d is there twice, the second time at offset %d of %s/%d", n, r.Offset, r.Topic, r.Partition)
		}
		seen[n] = true
		if p, ok := where[key]; ok && p != r.Partition {
			s.t.Errorf("key %s is in two partitions", key)
		}
		if n < last[key] {
			s.t.Errorf("row %d of key %s comes behind %d", n, key, last[key])
		}
		last[key], where[key] = n, r.Partition
	}
	want := 0
	for _, n := range s.txns {
		want += n
	}
	if len(seen) != want {
		s.t.Errorf("%d rows of %d", len(seen), want)
	}
}

// TestOnceOverRestarts kills the sink again and again, at any place, with batches cut anew each time.
func TestOnceOverRestarts(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.DefaultNumPartitions(3))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			rng := rand.New(rand.NewPCG(seed, 1))
			s := newScript(t, rng, 300)
			codec := []string{"none", "lz4", "zstd", "gzip", "snappy"}[seed%5]
			said := ""
			o := kafka.Options{
				Config:  kafka.Config{Brokers: c.ListenAddrs(), TransactionalID: "one", Compression: codec, ExactlyOnce: "required", Batch: 4 << 10},
				Guarded: func(state string) { said = state }, Remind: 100 * time.Millisecond,
			}
			var at placed
			runs := 0
			for ; at.txns < len(s.txns); runs++ {
				crash := 12
				if runs == 30 {
					crash = 0
				}
				if at, err = s.run(rng, o, at, crash); err != nil {
					t.Fatal(err)
				}
				if said != "verified" && said != "" {
					t.Fatalf("run %d is %s", runs, said)
				}
			}
			t.Logf("%d runs", runs)
			s.once(everything(t, c.ListenAddrs(), "shop.orders", "shop.items", "shop.notes"))
		})
	}
}

// TestFenced starts a second sink of a stream while the first one still writes.
func TestFenced(t *testing.T) {
	f := newFake(t)
	o := kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows", TransactionalID: "one"}}
	first := newLoad(t, o, "orders")
	first.mustWrite(20)
	if err := first.flush(); err != nil {
		t.Fatal(err)
	}
	o.State, _ = first.s.State(0)
	second := newLoad(t, o, "orders")
	second.mustWrite(20) // the same rows
	if err := second.flush(); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 100 {
		if err = first.failure(); err != nil {
			break
		}
	}
	if !fault.Has(err, fault.SinkFenced) {
		t.Errorf("%v, want %s", err, fault.SinkFenced)
	}
	second.mustWrite(20)
	if err := second.flush(); err != nil {
		t.Fatal(err)
	}
	if got := second.s.ExactlyOnce(); got != "verified" {
		t.Errorf("the second one says %s", got)
	}
	if list := everything(t, f.ListenAddrs(), "rows"); len(list) != 40 {
		t.Errorf("%d records, want 40", len(list))
	}
}

// TestDegraded has the sink say why it cannot promise that nothing is written twice, or stop where it must.
func TestDegraded(t *testing.T) {
	deny := func(f *fake, key kmsg.Key, answer func(kmsg.Request) kmsg.Response) {
		f.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) {
			f.KeepControl()
			return answer(r), nil, true
		})
	}
	no := false
	for _, c := range []struct {
		name     string
		change   func(t *testing.T, f *fake, o *kafka.Options) // between two runs
		says     string
		required fault.Code // 0 where it goes on
		rows     int        // in the topic after 20 and the same 20 again
	}{
		{"nothing", func(*testing.T, *fake, *kafka.Options) {}, "verified", 0, 20},
		{"off", func(_ *testing.T, _ *fake, o *kafka.Options) { o.ExactlyOnce = "off" }, "off", 0, 40},
		{"no headers", func(_ *testing.T, _ *fake, o *kafka.Options) { o.Headers = &no }, "headers is false", 0, 40},
		{"no state", func(_ *testing.T, _ *fake, o *kafka.Options) { o.State = nil }, "does not say what was written", 0, 40},
		{"another id", func(_ *testing.T, _ *fake, o *kafka.Options) { o.TransactionalID = "two" }, "is not shut out", 0, 20},
		{"more partitions", func(t *testing.T, f *fake, _ *kafka.Options) {
			r := kmsg.NewPtrCreatePartitionsRequest()
			top := kmsg.NewCreatePartitionsRequestTopic()
			top.Topic, top.Count = "rows", 5
			r.Topics = append(r.Topics, top)
			f.request(t, r)
		}, "topic rows has 5 partitions and had 2", 0, 20},
		{"no right to the id", func(_ *testing.T, f *fake, _ *kafka.Options) {
			deny(f, kmsg.InitProducerID, func(r kmsg.Request) kmsg.Response {
				req := r.(*kmsg.InitProducerIDRequest)
				res := req.ResponseKind().(*kmsg.InitProducerIDResponse)
				if res.ProducerID = 4711; req.TransactionalID != nil {
					res.ErrorCode = 53
				}
				return res
			})
		}, "may not use the transactional id", fault.SinkGrantMissing, 20},
		{"no coordinator", func(_ *testing.T, f *fake, o *kafka.Options) {
			o.Patience = 50 * time.Millisecond
			deny(f, kmsg.FindCoordinator, func(r kmsg.Request) kmsg.Response {
				res := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
				res.ErrorCode = 15
				return res
			})
		}, "transaction.state.log.replication.factor", 0, 20},
		{"no right to read", func(_ *testing.T, f *fake, _ *kafka.Options) {
			deny(f, kmsg.Fetch, func(r kmsg.Request) kmsg.Response {
				req := r.(*kmsg.FetchRequest)
				res := req.ResponseKind().(*kmsg.FetchResponse)
				for _, x := range req.Topics {
					t := kmsg.NewFetchResponseTopic()
					t.Topic, t.TopicID = x.Topic, x.TopicID
					for _, y := range x.Partitions {
						p := kmsg.NewFetchResponseTopicPartition()
						p.Partition, p.ErrorCode = y.Partition, 29
						t.Partitions = append(t.Partitions, p)
					}
					res.Topics = append(res.Topics, t)
				}
				return res
			})
		}, "may not read", fault.SinkGrantMissing, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			o := kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows", TransactionalID: "one"}, Fresh: true}
			l := newLoad(t, o, "orders")
			l.mustWrite(20)
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			if got := l.s.ExactlyOnce(); got != "verified" {
				t.Fatalf("the first run is %s", got)
			}
			var err error
			if o.State, err = l.s.State(0); err != nil {
				t.Fatal(err)
			}
			o.Fresh = false
			c.change(t, f, &o)
			if c.required != 0 {
				o.ExactlyOnce = "required"
				l = newLoad(t, o, "orders")
				if err := l.failure(); !fault.Has(err, c.required) {
					t.Errorf("required: %v, want %s", err, c.required)
				}
				o.ExactlyOnce = ""
			}
			l = newLoad(t, o, "orders")
			l.mustWrite(20)
			if err := l.flush(); err != nil {
				t.Fatal(err)
			}
			if got := l.s.ExactlyOnce(); !strings.Contains(got, c.says) || strings.HasPrefix(got, "degraded (") != (len(c.says) > len("verified")) {
				t.Errorf("it is %q, and should say %q", got, c.says)
			}
			f.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, false })
			if c.name == "no right to read" {
				if ends := f.ends(t, "rows"); ends < 40 {
					t.Errorf("the topic ends at %d", ends)
				}
				return
			}
			if list := everything(t, f.ListenAddrs(), "rows"); len(list) != c.rows {
				t.Errorf("%d records, want %d", len(list), c.rows)
			}
		})
	}
}

// ends gives the sum of a topic's ends.
func (f *fake) ends(t *testing.T, topic string) (sum int64) {
	t.Helper()
	for i := range int32(2) {
		if p := f.PartitionInfo(topic, i); p != nil {
			sum += p.HighWatermark
		}
	}
	return sum
}
