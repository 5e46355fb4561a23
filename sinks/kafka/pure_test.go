package kafka

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"

	_ "github.com/segmentio/kafka-go/gzip" // the reader's codecs
	_ "github.com/segmentio/kafka-go/lz4"
	_ "github.com/segmentio/kafka-go/snappy"
	_ "github.com/segmentio/kafka-go/zstd"
)

type plainRecord struct {
	key, value []byte
	headers    map[string]string
}

// randomRecords gives records of all shapes: without key, without value, empty ones, long ones.
func randomRecords(rng *rand.Rand, n int) []plainRecord {
	some := func(most int) []byte {
		switch rng.IntN(5) {
		case 0:
			return nil
		case 1:
			return []byte{}
		}
		b := make([]byte, rng.IntN(most))
		for i := range b {
			b[i] = byte(rng.IntN(1 + rng.IntN(255)))
		}
		return b
	}
	list := make([]plainRecord, n)
	for i := range list {
		list[i] = plainRecord{key: some(100), value: some(1 + rng.IntN(20000)), headers: map[string]string{}}
		for range rng.IntN(4) {
			list[i].headers[fmt.Sprintf("h%d", rng.IntN(1000))] = string(some(200))
		}
	}
	return list
}

// build makes a batch of records.
func build(t testing.TB, list []plainRecord, h batchHeader) []byte {
	t.Helper()
	b := make([]byte, broker.HeaderSize)
	for i, p := range list {
		r := record{key: p.key, value: p.value}
		for name, value := range p.headers {
			r.headers = appendHeader(r.headers, name, value)
			r.number++
		}
		before := len(b)
		body := r.bodySize(int32(i))
		b = r.append(b, int32(i), body)
		if got, most := len(b)-before, r.maxSize(); got != body+varintSize(int64(body)) || got > most {
			t.Fatalf("record %d has %d bytes; said were %d, at most %d", i, got, body, most)
		}
	}
	h.count = int32(len(list))
	if h.codec != codecNone {
		var c compressor
		out, err := c.append(h.codec, make([]byte, broker.HeaderSize, broker.HeaderSize+h.codec.bound(len(b)-broker.HeaderSize)), b[broker.HeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		if n := broker.HeaderSize + h.codec.bound(len(b)-broker.HeaderSize); cap(out) != n {
			t.Errorf("codec %d: %d bytes did not fit the bound of %d", h.codec, len(out), n)
		}
		b = out
	}
	h.put(b)
	return b
}

// TestBatch has the record readers of two clients read what is built here.
func TestBatch(t *testing.T) {
	for name, k := range codecs {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(k)))
			for range 60 {
				list := randomRecords(rng, 1+rng.IntN(300))
				h := batchHeader{codec: k, time: 1700000000123, producer: producer{id: 4711, epoch: 3}, sequence: 99}
				b := build(t, list, h)
				compareKafkaGo(t, b, list)
				compareHeader(t, b, h, len(list))
			}
		})
	}
}

func compareKafkaGo(t *testing.T, b []byte, list []plainRecord) {
	t.Helper()
	var set protocol.RecordSet
	framed := append([]byte{byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
	if _, err := set.ReadFrom(bytes.NewReader(framed)); err != nil {
		t.Fatal(err)
	}
	read := func(b protocol.Bytes) []byte {
		if b == nil {
			return nil
		}
		p, err := io.ReadAll(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for i, want := range list {
		r, err := set.Records.ReadRecord()
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		key, value := read(r.Key), read(r.Value)
		if (r.Key == nil) != (want.key == nil) || !bytes.Equal(key, want.key) || !bytes.Equal(value, want.value) || (r.Value == nil) != (want.value == nil) {
			t.Fatalf("record %d differs", i)
		}
		if r.Offset != int64(i) || r.Time.UnixMilli() != 1700000000123 || len(r.Headers) != len(want.headers) {
			t.Fatalf("record %d: offset %d, time %v, %d headers", i, r.Offset, r.Time, len(r.Headers))
		}
		for _, h := range r.Headers {
			if v, ok := want.headers[h.Key]; !ok || v != string(h.Value) {
				t.Fatalf("record %d: header %s is %q, want %q", i, h.Key, h.Value, v)
			}
		}
	}
	if _, err := set.Records.ReadRecord(); err == nil {
		t.Error("a record too many")
	}
}

func compareHeader(t *testing.T, b []byte, h batchHeader, n int) {
	t.Helper()
	var k kmsg.RecordBatch
	if err := k.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if int(k.Length) != len(b)-12 || k.Magic != 2 || k.Attributes != int16(h.codec) || int(k.NumRecords) != n || int(k.LastOffsetDelta) != n-1 ||
		k.ProducerID != h.producer.id || k.ProducerEpoch != h.producer.epoch || k.FirstSequence != h.sequence || k.FirstTimestamp != h.time || k.MaxTimestamp != h.time {
		t.Errorf("the header is %+v", k)
	}
}

func TestNextSequence(t *testing.T) {
	for _, c := range []struct{ seq, n, want int32 }{{0, 5, 5}, {1<<31 - 3, 2, 1<<31 - 1}, {1<<31 - 1, 1, 0}, {1<<31 - 2, 5, 3}} {
		if got := nextSequence(c.seq, c.n); got != c.want {
			t.Errorf("%d behind %d: %d, want %d", c.n, c.seq, got, c.want)
		}
	}
}

func TestVarintSize(t *testing.T) {
	for _, v := range []int64{0, -1, 1, 63, 64, -64, -65, 8191, 8192, 1 << 30, -1 << 31} {
		if got := len(appendHeader(nil, "", make([]byte, 0))); got != 2 {
			t.Fatalf("an empty header has %d bytes", got)
		}
		var r record
		r.number = int(v)
		if got := varintSize(v); got != r.bodySize(0)-1-1-1-1-1 {
			t.Errorf("size of %d: %d", v, got)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, bad := range []string{"", "{x}", "a{database", "a}b", "ä{table}", "a b"} {
		if _, err := parseTemplate(bad); err == nil {
			t.Errorf("template %q was accepted", bad)
		}
	}
	tmpl, err := parseTemplate("cdc.{database}-{table}_x")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tmpl.expand("shop", "orders"); got != "cdc.shop-orders_x" {
		t.Errorf("topic %q", got)
	}
}

func TestTopicNames(t *testing.T) {
	long := string(bytes.Repeat([]byte{'x'}, 250))
	type row struct {
		db, table, route string
		want             string // empty for a fault
	}
	for _, c := range []struct {
		tmpl string
		rows []row
	}{
		{"{database}.{table}", []row{{"shop", "a$b", "", "shop.a_b"}, {"shop", "a b", "", ""}, {"shop", "a$b", "", "shop.a_b"}, {"shop", "表", "", "shop._"}}},
		{"{database}.{table}", []row{{"a.b", "c", "", "a.b.c"}, {"a", "b.c", "", ""}}},
		{"{table}", []row{{"shop1", "orders", "", "orders"}, {"shop2", "orders", "", "orders"}, {"shop2", "orders!", "", "orders_"}, {"shop1", "orders_", "", ""}}},
		{"all", []row{{"a", "b", "", "all"}, {"c", "d", "", "all"}}},
		{"{database}.{table}", []row{{"s", "o1", "orders", "orders"}, {"s", "o2", "orders", "orders"}, {"s", "dead", "letters", ""}}},
		{"{table}", []row{{"s", "..", "", ""}, {"s", long, "", ""}, {"s", long[:249], "", long[:249]}}},
	} {
		tmpl, err := parseTemplate(c.tmpl)
		if err != nil {
			t.Fatal(err)
		}
		n := newNamer(tmpl)
		n.reserve("letters", "the setting dead_letter.topic")
		for _, r := range c.rows {
			got, err := n.topic(&schemas.Table{Database: r.db, Name: r.table, Topic: r.route})
			switch {
			case r.want == "" && !fault.Has(err, fault.SinkTopicName):
				t.Errorf("%s: %s.%s: topic %q, %v, want a fault", c.tmpl, r.db, r.table, got, err)
			case r.want != "" && (err != nil || got != r.want):
				t.Errorf("%s: %s.%s: topic %q, %v, want %q", c.tmpl, r.db, r.table, got, err, r.want)
			}
		}
	}
}

func TestBuffers(t *testing.T) {
	budget := event.NewBudget(1 << 30)
	p := buffers{budget: budget}
	var held []*buffer
	for _, n := range []int{1, 2048, 2049, 100_000, maxBuffer, maxBuffer + 1, 10 << 20} {
		b := p.get(n)
		if cap(b.b) < n || len(b.b) != 0 {
			t.Errorf("buffer of %d: length %d, room %d", n, len(b.b), cap(b.b))
		}
		b = p.grow(b, 3*n)
		held = append(held, p.fit(b, append(b.b, 1, 2, 3)))
	}
	for _, b := range held {
		if !bytes.Equal(b.b, []byte{1, 2, 3}) {
			t.Errorf("% x", b.b)
		}
		p.put(b)
	}
	if used, _, _ := budget.Used(); used != 0 || p.used.Load() != 0 {
		t.Errorf("%d and %d bytes are still counted", used, p.used.Load())
	}
}
