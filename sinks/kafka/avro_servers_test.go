//go:build servers

package kafka_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/sr"

	"cdc/fault"
	"cdc/format"
	"cdc/format/avro"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks/kafka"
	"cdc/sinks/kafka/registry"
)

// reader reads records with goavro and the schemas of the registry.
type reader struct {
	t      testing.TB
	sr     *sr.Client
	codecs map[uint32]*goavro.Codec
}

func newReader(t testing.TB, url string) *reader {
	t.Helper()
	c, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, sr: c, codecs: map[uint32]*goavro.Codec{}}
}

func (r *reader) read(b []byte) map[string]any {
	r.t.Helper()
	if len(b) < 5 || b[0] != 0 {
		r.t.Fatalf("no wire header: %x", b)
	}
	id := binary.BigEndian.Uint32(b[1:])
	if r.codecs[id] == nil {
		s, err := r.sr.SchemaByID(r.t.Context(), int(id))
		if err != nil {
			r.t.Fatal(err)
		}
		if r.codecs[id], err = goavro.NewCodec(s.Schema); err != nil {
			r.t.Fatal(err)
		}
	}
	v, rest, err := r.codecs[id].NativeFromBinary(b[5:])
	if err != nil || len(rest) > 0 {
		r.t.Fatalf("schema %d, %d bytes left: %v", id, len(rest), err)
	}
	return v.(map[string]any)
}

// avroSink writes transactions to a topic.
type avroSink struct {
	t    testing.TB
	s    *kafka.Sink
	txns uint64

	mu      sync.Mutex
	stalled error
	acked   int
}

func newAvroSink(t testing.TB, o avro.Options, c registry.Config, k kafka.Config) *avroSink {
	t.Helper()
	client, err := registry.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	o.Keys, o.Registrar = true, client
	a := &avroSink{t: t}
	a.s, err = kafka.Open(kafka.Options{
		Config: k, Fresh: true,
		Encoder: func() format.Encoder {
			e, err := avro.New(o)
			if err != nil {
				t.Error(err)
			}
			return e
		},
		Stalled: func(err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.stalled = err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.s.Close() })
	return a
}

// insert writes a transaction with a row.
func (a *avroSink) insert(tab *schemas.Table, row ...batchtest.Value) {
	a.t.Helper()
	a.txns++
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(a.txns)).Insert(tab, row...).End()
	err := a.s.Write(a.t.Context(), w.Batch(), func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err == nil {
			a.acked++
		}
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *avroSink) flush() error {
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	return a.s.Flush(ctx)
}

// stall waits until the sink says that it waits, or does not any more.
func (a *avroSink) stall(want fault.Code) {
	a.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		a.mu.Lock()
		err := a.stalled
		a.mu.Unlock()
		if want == 0 && err == nil || want != 0 && fault.Has(err, want) {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the sink is stalled by %v, not %s", err, want)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-a.t.Context().Done():
			a.t.Fatal(a.t.Context().Err())
		}
	}
}

func versions(name string) []*schemas.Table {
	id := schemas.Column{Name: "id", Type: schemas.BigInt, Unsigned: true}
	text := schemas.Column{Name: "order-text", Type: schemas.VarChar, Length: 20, Charset: "utf8mb4", Nullable: true}
	price := schemas.Column{Name: "price", Type: schemas.Decimal, Precision: 10, Scale: 2, HasDefault: true, Default: "0.00"}
	hard := schemas.Column{Name: "hard", Type: schemas.Int}
	table := func(cols ...schemas.Column) *schemas.Table {
		return &schemas.Table{Database: "shop", Name: name, Columns: cols, PrimaryKey: []int{0}}
	}
	return []*schemas.Table{table(id, text), table(id, text, price), table(id, text, price, hard)}
}

// TestAvroRegistry writes over changes of a table, and reads every record with the schema that a registry has for its id.
func TestAvroRegistry(t *testing.T) {
	t.Parallel()
	k := testbed.SharedKafka(t, testbed.Kafka43)
	reg := testbed.StartRegistry(t)
	r := newReader(t, reg.URL)
	if res := r.sr.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatBackward}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	topic := testbed.FreshTopic(t, k)
	v := versions("orders")
	conf := kafka.Config{Brokers: k.Brokers(), Topic: topic + ".{table}", Partitions: 3}
	first := newAvroSink(t, avro.Options{Shape: avro.Envelope}, registry.Config{URLs: []string{reg.URL}}, conf)
	first.insert(v[0], batchtest.Uint(1), batchtest.Text("one"))
	first.insert(v[1], batchtest.Uint(2), batchtest.Null(), batchtest.Decimal("12.50"))
	if err := first.flush(); err != nil {
		t.Fatal(err)
	}
	// A column that must have a value and has no default cannot be read from older records: nothing of it is written.
	first.insert(v[2], batchtest.Uint(3), batchtest.Null(), batchtest.Decimal("1.00"), batchtest.Int(7))
	err := first.flush()
	if !fault.Has(err, fault.RegistryIncompatible) {
		t.Fatalf("%v, want %s", err, fault.RegistryIncompatible)
	}
	if e, _ := fault.As(err); e.Where.Table != "shop.orders" {
		t.Errorf("the fault is of table %q", e.Where.Table)
	}
	if list := read(t, k, topic+".orders"); len(list) != 2 {
		t.Fatalf("%d records, want 2", len(list))
	}
	// By the other policy it goes to a subject of its own.
	second := newAvroSink(t, avro.Options{Shape: avro.Envelope}, registry.Config{URLs: []string{reg.URL}, Incompatible: "new_subject"}, conf)
	second.txns = 10
	second.insert(v[2], batchtest.Uint(1), batchtest.Null(), batchtest.Decimal("1.00"), batchtest.Int(7))
	second.insert(v[0], batchtest.Uint(1), batchtest.Text("late")) // of an older version, as another stream may still have
	// Flat rows let a column come without a default.
	flat := newAvroSink(t, avro.Options{Shape: avro.Flat}, registry.Config{URLs: []string{reg.URL}}, kafka.Config{Brokers: k.Brokers(), Topic: topic + "-flat", Partitions: 1})
	flat.insert(v[0], batchtest.Uint(1<<64-1), batchtest.Text("ü"))
	flat.insert(v[2], batchtest.Uint(1), batchtest.Null(), batchtest.Decimal("-0.01"), batchtest.Int(7))
	for _, s := range []*avroSink{second, flat} {
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	text := func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "cdc.shop.orders.", "") }
	var got []string
	where := map[string]int32{}
	list := read(t, k, topic+".orders")
	for _, rec := range list {
		key := text(r.read(rec.Key))
		if p, ok := where[key]; ok && p != rec.Partition {
			t.Errorf("key %s is in partitions %d and %d", key, p, rec.Partition)
		}
		where[key] = rec.Partition
		m := r.read(rec.Value)
		got = append(got, key+" "+text(m["op"])+" "+text(m["after"]))
	}
	same(t, got, []string{
		"map[id:1] c map[Value:map[id:1 order_x2d_text:map[string:one]]]",
		"map[id:2] c map[Value:map[id:2 order_x2d_text:<nil> price:25/2]]",
		"map[id:1] c map[Value:map[hard:7 id:1 order_x2d_text:<nil> price:1/1]]",
		"map[id:1] c map[Value:map[id:1 order_x2d_text:map[string:late]]]",
	})
	got = nil
	for _, rec := range read(t, k, topic+"-flat") {
		m := r.read(rec.Value)
		got = append(got, fmt.Sprintf("%v %v %v %v %v %v %v", r.read(rec.Key), m["id"], m["order_x2d_text"], m["price"], m["hard"], m["__op"], m["__row"]))
	}
	same(t, got, []string{
		"map[id:18446744073709551615/1] map[bytes.decimal:18446744073709551615/1] map[string:ü] <nil> <nil> insert 0",
		"map[id:1/1] map[bytes.decimal:1/1] <nil> map[bytes.decimal:-1/100] map[int:7] insert 0",
	})
	subjects, err := r.sr.Subjects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range subjects {
		subjects[i] = strings.TrimPrefix(subjects[i], topic)
	}
	same(t, subjects, []string{".orders-key", ".orders-value", ".orders-value-2", "-flat-key", "-flat-value"})
	t.Run("altered", func(t *testing.T) { registryAltered(t, reg, topic) })
	t.Run("away", func(t *testing.T) { registryAway(t, reg, k, topic) })
}

// registryAltered has a table changed in every way that docs/avro.md lists: each is or is not compatible for the registry, as it says there.
func registryAltered(t *testing.T, reg *testbed.Registry, topic string) {
	c, err := registry.Open(registry.Config{URLs: []string{reg.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	modes := []avro.Options{{Shape: avro.Envelope}, {Shape: avro.Envelope, Optional: avro.OptionalAll}, {Shape: avro.Flat}}
	col := func(typ schemas.Type, change ...func(*schemas.Column)) schemas.Column {
		c := schemas.Column{Name: "c", Type: typ, Charset: "utf8mb4", Precision: 10, Scale: 2}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	null := func(c *schemas.Column) { c.Nullable = true }
	def := func(text string) func(*schemas.Column) {
		return func(c *schemas.Column) { c.HasDefault, c.Default = true, text }
	}
	scale := func(c *schemas.Column) { c.Scale = 4 }
	name := func(c *schemas.Column) { c.Name = "d" }
	none := schemas.Column{}
	for i, x := range []struct {
		what          string
		before, after schemas.Column
		yes           [3]bool
	}{
		{"add NULL", none, col(schemas.Int, null), [3]bool{true, true, true}},
		{"add NOT NULL with a default", none, col(schemas.Int, def("5")), [3]bool{true, true, true}},
		{"add text with a default", none, col(schemas.VarChar, def("\"ü")), [3]bool{true, true, true}},
		{"add DECIMAL with a default", none, col(schemas.Decimal, def("-0.50")), [3]bool{true, true, true}},
		{"add NOT NULL without a default", none, col(schemas.Int), [3]bool{false, true, true}},
		{"drop", col(schemas.Int), none, [3]bool{true, true, true}},
		{"NULL to NOT NULL", col(schemas.Int, null), col(schemas.Int), [3]bool{false, true, true}},
		{"NOT NULL to NULL", col(schemas.Int), col(schemas.Int, null), [3]bool{true, true, true}},
		{"INT to BIGINT", col(schemas.Int), col(schemas.BigInt), [3]bool{true, true, true}},
		{"BIGINT to INT", col(schemas.BigInt), col(schemas.Int), [3]bool{false, false, false}},
		{"text to number", col(schemas.Text), col(schemas.Int), [3]bool{false, false, false}},
		{"scale", col(schemas.Decimal), col(schemas.Decimal, scale), [3]bool{true, true, true}},
		{"rename NULL", col(schemas.Int, null), col(schemas.Int, null, name), [3]bool{true, true, true}},
		{"rename NOT NULL", col(schemas.Int), col(schemas.Int, name), [3]bool{false, true, true}},
	} {
		for m, o := range modes {
			o.Registrar = c
			e, err := avro.New(o)
			if err != nil {
				t.Fatal(err)
			}
			table := func(more schemas.Column) *schemas.Table {
				t := &schemas.Table{Database: "shop", Name: "t", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}, PrimaryKey: []int{0}}
				if more.Name != "" {
					t.Columns = append(t.Columns, more)
				}
				return t
			}
			subject := fmt.Sprintf("%s-altered-%d-%d", topic, i, m)
			if err := e.Prepare(t.Context(), table(x.before), subject); err != nil {
				t.Fatal(err)
			}
			switch err := e.Prepare(t.Context(), table(x.after), subject); {
			case x.yes[m] && err != nil, !x.yes[m] && !fault.Has(err, fault.RegistryIncompatible):
				t.Errorf("%s, mode %d: %v", x.what, m, err)
			}
		}
	}
}

// registryAway has a registry away at the start and later: what needs it waits, and what does not goes on.
func registryAway(t *testing.T, reg *testbed.Registry, k *testbed.Kafka, topic string) {
	if err := reg.Kill(); err != nil {
		t.Fatal(err)
	}
	a, b := versions("a")[0], versions("b")[0]
	conf := kafka.Config{Brokers: k.Brokers(), Topic: topic + "-away.{table}", Partitions: 1}
	s := newAvroSink(t, avro.Options{Shape: avro.Envelope}, registry.Config{URLs: []string{reg.URL}}, conf)
	s.insert(a, batchtest.Uint(1), batchtest.Text("one"))
	s.stall(fault.RegistryUnreachable)
	if err := reg.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	s.stall(0)
	if err := reg.Kill(); err != nil {
		t.Fatal(err)
	}
	s.insert(a, batchtest.Uint(2), batchtest.Text("two")) // its schema is known
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	s.insert(a, batchtest.Uint(3), batchtest.Text("three"))
	s.insert(b, batchtest.Uint(1), batchtest.Text("one"))
	s.stall(fault.RegistryUnreachable)
	for deadline := time.Now().Add(time.Minute); len(read(t, k, topic+"-away.a")) < 3; {
		if time.Now().After(deadline) {
			t.Fatal("what was written before the table that waits is not sent")
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		s.mu.Lock()
		acked := s.acked
		s.mu.Unlock()
		if acked == 3 {
			return
		}
		if acked > 3 || time.Now().After(deadline) {
			t.Fatalf("%d are acked, want 3", acked)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// same compares lists without regard to their order.
func same(t testing.TB, got, want []string) {
	t.Helper()
	left := map[string]int{}
	for _, s := range got {
		left[s]++
	}
	for _, s := range want {
		left[s]--
	}
	for s, n := range left {
		if n != 0 {
			t.Errorf("%d times more than expected: %s", n, s)
		}
	}
}
