//go:build servers

package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
)

type writer struct {
	t     testing.TB
	topic string
	c     *kgo.Client
}

func newWriter(t testing.TB, k *testbed.Kafka, topic string, more ...kgo.Opt) *writer {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Brokers()...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &writer{t, topic, c}
}

func (w *writer) put(ids ...int) {
	w.t.Helper()
	var list []*kgo.Record
	for _, id := range ids {
		key, value := change(id, strings.Repeat("x", id))
		list = append(list, &kgo.Record{Key: key, Value: value})
	}
	if err := w.c.ProduceSync(w.t.Context(), list...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// read gives the ids of all that is there by now, in the order in which it came, and the place behind it.
func read(t testing.TB, k *testbed.Kafka, from *gtid.Set, change func(*Options), topics ...string) (ids []int64, place *gtid.Set, err error) {
	t.Helper()
	o := Options{Config: Config{Brokers: k.Brokers(), Topics: topics}, From: from, UntilNow: true, BatchBytes: 2000, Settle: time.Millisecond}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	place = gtid.NewSet(gtid.MySQL)
	if from != nil {
		place = from.Clone()
	}
	for {
		b, err := s.Read(ctx)
		if errors.Is(err, io.EOF) {
			return ids, place, nil
		}
		if err != nil {
			return ids, place, err
		}
		for i := range b.Changes {
			row := b.After(i)
			if len(row.Bytes(row.Cells[1])) != int(row.Cells[0].Int64()) || b.Changes[i].Op != event.Insert {
				t.Errorf("the row %d has come wrong", row.Cells[0].Int64())
			}
			ids = append(ids, row.Cells[0].Int64())
		}
		for i := range b.Txns {
			if place.Contains(b.Txns[i].GTID) {
				t.Errorf("%s comes twice", b.Txns[i].GTID)
			}
			if !b.Pos.GTIDs.Contains(b.Txns[i].GTID) {
				t.Errorf("%s is not in the place of its batch", b.Txns[i].GTID)
			}
		}
		place.AddSet(b.Pos.GTIDs)
		b.Release()
	}
}

func wants(t testing.TB, got []int64, err error, want ...int64) {
	t.Helper()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %v, %v, not %v", got, err, want)
	}
}

// Records of every compression, of transactions that are committed and aborted, and tombstones come once, in order, whatever place reading begins at;
// and what is gone, has moved or is another's is refused.
func TestBroker(t *testing.T) {
	t.Parallel()
	k := testbed.SharedKafka(t, testbed.Kafka43)
	topic := testbed.FreshTopic(t, k)
	if err := k.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	got, place, err := read(t, k, nil, nil, topic)
	wants(t, got, err)
	if place.Len() != 1 {
		t.Errorf("the place of an empty partition is %s", place)
	}
	for i, c := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		newWriter(t, k, topic, kgo.ProducerBatchCompression(c)).put(100*i+1, 100*i+2)
	}
	tx := newWriter(t, k, topic, kgo.TransactionalID(topic))
	for i, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := tx.c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		tx.put(500+i, 510+i)
		if err := tx.c.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	all := []int64{1, 2, 101, 102, 201, 202, 301, 302, 401, 402, 501, 511}
	got, last, err := read(t, k, place, nil, topic)
	wants(t, got, err, all...)
	got, _, err = read(t, k, nil, nil, topic[:len(topic)-3]+"*")
	wants(t, got, err, all...)
	uuid := last.UUIDs()[0]
	for i := range 10 { // records before the transactions
		some := gtid.NewSet(gtid.MySQL)
		some.AddRange(uuid, "", 1, uint64(i)+1)
		got, end, err := read(t, k, some, nil, topic)
		wants(t, got, err, all[i:]...)
		if !end.Equal(last) {
			t.Errorf("from %s it comes to %s, not to %s", some, end, last)
		}
	}
	got, _, err = read(t, k, last, nil, topic)
	wants(t, got, err)

	ahead := last.Clone()
	ahead.AddRange(uuid, "", 1, 1000)
	refused(t, k, fault.SourceTopicOther, ahead, nil, topic)
	other := last.Clone()
	other.AddRange(gtid.UUID{9}, "", 1, 5)
	refused(t, k, fault.SourceTopicOther, other, nil, topic)
	gap := gtid.NewSet(gtid.MySQL)
	gap.AddRange(uuid, "", 1, 3)
	gap.AddRange(uuid, "", 5, 6)
	refused(t, k, fault.CheckpointStream, gap, nil, topic)
	refused(t, k, fault.SourceTopicMissing, nil, nil, topic+"_none")
	refused(t, k, fault.BinlogRowLimit, nil, func(o *Options) { o.MaxRow = 900 }, topic)

	purge(t, tx.c, topic, 3)
	refused(t, k, fault.SourceTopicPurged, place, nil, topic)
	got, _, err = read(t, k, nil, nil, topic)
	wants(t, got, err, all[3:]...)
	grow(t, k, topic, 2)
	refused(t, k, fault.SourcePartitions, last, nil, topic)
	got, _, err = read(t, k, last, func(o *Options) { o.NewPartitions = onRead }, topic)
	wants(t, got, err)
	refused(t, k, fault.SourcePartitions, nil, func(o *Options) { o.ByKey = true }, topic) // keys that belong to the other one now
}

func refused(t testing.TB, k *testbed.Kafka, code fault.Code, from *gtid.Set, change func(*Options), topics ...string) {
	t.Helper()
	if _, _, err := read(t, k, from, change, topics...); !fault.Has(err, code) {
		t.Errorf("%v, not %v", err, code)
	}
}

// A reader that stays sees records, topics and partitions that come, and goes on when its connections are cut and when the broker is killed.
func TestFollow(t *testing.T) {
	t.Parallel()
	k := testbed.StartKafka(t, testbed.Kafka43, testbed.KafkaOptions{})
	prefix := testbed.FreshTopic(t, k)
	var shares [3]map[int64]bool
	for i := range shares {
		shares[i] = map[int64]bool{}
	}
	topic := prefix + "_a"
	if err := k.CreateTopic(t.Context(), topic, 5); err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, k, topic)
	var ids []int
	for i := range 60 {
		ids = append(ids, i)
	}
	w.put(ids...)
	for i := range shares {
		got, _, err := read(t, k, nil, func(o *Options) { o.ByKey, o.Share = true, Share{Number: i + 1, Of: len(shares)} }, prefix+"*")
		if err != nil || len(got) == 0 {
			t.Fatalf("share %d: %d rows, %v", i+1, len(got), err)
		}
		for _, id := range got {
			for _, other := range shares {
				if other[id] {
					t.Errorf("row %d is in two shares", id)
				}
			}
			shares[i][id] = true
		}
	}
	if n := len(shares[0]) + len(shares[1]) + len(shares[2]); n != len(ids) {
		t.Errorf("the shares have %d rows of %d", n, len(ids))
	}

	conns := &doors{}
	s, err := Open(t.Context(), Options{Config: Config{Brokers: k.Brokers(), Topics: []string{prefix + "*"}}, Refresh: 100 * time.Millisecond, Dial: conns.dial})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	seen := map[int64]int{}
	until := func(n int) {
		t.Helper()
		for len(seen) < n {
			b, err := s.Read(ctx)
			if err != nil {
				t.Fatalf("%d rows of %d: %v", len(seen), n, err)
			}
			for i := range b.Changes {
				row := b.After(i)
				seen[row.Cells[0].Int64()]++
			}
			b.Release()
		}
	}
	until(60)
	conns.cut()
	w.put(60, 61, 62)
	until(63)
	second := prefix + "_b"
	if err := k.CreateTopic(t.Context(), second, 2); err != nil {
		t.Fatal(err)
	}
	newWriter(t, k, second).put(70, 71, 72)
	until(66)
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.put(80)
	until(67)
	for id, n := range seen {
		if n != 1 {
			t.Errorf("row %d came %d times", id, n)
		}
	}
	grow(t, k, second, 3)
	for err == nil {
		var b *event.Batch
		if b, err = s.Read(ctx); err == nil {
			b.Release()
		}
	}
	if !fault.Has(err, fault.SourcePartitions) {
		t.Errorf("a topic that grows: %v", err)
	}
}

// doors are connections that can be cut.
type doors struct {
	mu   sync.Mutex
	list []net.Conn
}

func (d *doors) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.list = append(d.list, c)
	}
	return c, err
}

func (d *doors) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.list {
		_ = c.Close()
	}
	d.list = nil
}

// purge deletes the records of a topic of one partition before an offset.
func purge(t testing.TB, c *kgo.Client, topic string, before int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	one := kmsg.NewDeleteRecordsRequestTopic()
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Offset, one.Topic = before, topic
	one.Partitions, req.Topics, req.TimeoutMillis = append(one.Partitions, part), append(req.Topics, one), 30_000
	req.Topics[0].Partitions = one.Partitions
	for _, shard := range c.RequestSharded(t.Context(), req) {
		if shard.Err != nil {
			t.Fatal(shard.Err)
		}
		if code := shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatal(broker.Error(code))
		}
	}
}

// grow gives a topic more partitions, and waits until the brokers say so.
func grow(t testing.TB, k *testbed.Kafka, topic string, partitions int) {
	t.Helper()
	req := &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: topic, Count: int32(partitions)}}}
	var last error
	for begun := time.Now(); time.Since(begun) < time.Minute; {
		if topics, err := k.Topics(t.Context()); err != nil { // a broker that was killed has cut the client's connections
			last = err
			continue
		} else if topics[topic] == partitions {
			return
		}
		if res, err := k.Client().CreatePartitions(t.Context(), req); err != nil {
			last = err
		} else if err := res.Errors[topic]; err != nil {
			last = err
		}
	}
	t.Fatalf("%s does not get %d partitions: %v", topic, partitions, last)
}
