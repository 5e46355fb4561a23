package kafka_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/event"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// consume reads so many records of a topic.
func (f *fake) consume(t *testing.T, topic string, n int) (list []*kgo.Record) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(f.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for len(list) < n {
		c.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) { list = append(list, r) })
	}
	return list
}

// request asks the broker as a client would.
func (f *fake) request(t *testing.T, r kmsg.Request) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(f.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Request(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func headerOf(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// TestIdentity has (gtid, row, sub) name one record in each format: also where a change of the key becomes a delete, its tombstone and an insert,
// and the same record whether tombstones are written or not.
func TestIdentity(t *testing.T) {
	no := false
	for _, c := range []struct {
		name string
		enc  func() (format.Encoder, error)
		want string // sub and kind of the records of: insert, update, change of the key, delete
	}{
		{"debezium", func() (format.Encoder, error) { return debezium.New(debezium.Options{Keys: true, TopicPrefix: "p"}) }, "0v 0v 0v2t1v 0v2t"},
		{"debezium without tombstones", func() (format.Encoder, error) {
			return debezium.New(debezium.Options{Keys: true, TopicPrefix: "p", Tombstones: &no})
		}, "0v 0v 0v1v 0v"},
		{"maxwell", func() (format.Encoder, error) { return maxwell.New(maxwell.Options{Keys: true}) }, "0v 0v 0v1v 0v"},
		{"maxwell with tombstones", func() (format.Encoder, error) { return maxwell.New(maxwell.Options{Keys: true, Tombstones: true}) }, "0v 0v 0v2t1v 0v2t"},
		{"canal with tombstones", func() (format.Encoder, error) { return canal.New(canal.Options{Keys: true, Tombstones: true}) }, "0v 0v 0v2t1v 0v2t"},
		{"plain", func() (format.Encoder, error) { return plain.New(plain.Options{Keys: true}), nil }, "0v 0v 2t0v 0v2t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.enc(); err != nil {
				t.Fatal(err)
			}
			f := newFake(t)
			s, err := kafka.Open(kafka.Options{
				Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows", PartitionBy: "table", SchemaTopic: "ddl", TransactionTopic: "txns"},
				Encoder: func() format.Encoder {
					e, _ := c.enc()
					return e
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			table := tableOf("shop", "orders")
			row := func(id int64, v string) []batchtest.Value {
				return []batchtest.Value{batchtest.Int(id), batchtest.Int(7), batchtest.Text(v)}
			}
			w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).
				Insert(table, row(1, "a")...).Update(table, row(1, "a"), row(1, "b")).Update(table, row(1, "b"), row(2, "b")).Delete(table, row(2, "b")...)
			if err := s.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, x := range c.want {
				if x == 'v' || x == 't' {
					n++
				}
			}
			got, last, seen := "", "0", map[string]bool{}
			for _, r := range f.consume(t, "rows", n) {
				name := headerOf(r, "gtid") + "/" + headerOf(r, "row") + "/" + headerOf(r, "sub")
				if seen[name] || headerOf(r, "gtid") == "" {
					t.Errorf("two records are called %s", name)
				}
				seen[name] = true
				if headerOf(r, "row") != last {
					last = headerOf(r, "row")
					got += " "
				}
				kind := "v"
				if r.Value == nil {
					kind = "t"
				}
				got += headerOf(r, "sub") + kind
			}
			if got != c.want {
				t.Errorf("the records are %s, want %s", got, c.want)
			}
		})
	}
}

// TestIdentityOfSides numbers the records of a transaction that are not of rows.
func TestIdentityOfSides(t *testing.T) {
	f := newFake(t)
	s, err := kafka.Open(kafka.Options{
		Config:  kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows", SchemaTopic: "ddl", TransactionTopic: "txns"},
		Encoder: newKeyed,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ddl := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Batch()
	ddl.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "CREATE TABLE t (id INT)"}}
	rows := batchtest.NewWriter(nil).Begin(batchtest.Txn(2)).Insert(tableOf("shop", "t"), batchtest.Int(1), batchtest.Int(1), batchtest.Text("x")).Batch()
	for _, b := range []*event.Batch{ddl, rows} {
		if err := s.Write(t.Context(), b, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string][]string{"ddl": {"1 0"}, "txns": {"1 0", "1 1", "2 0", "2 1"}} {
		var got []string
		for _, r := range f.consume(t, topic, len(want)) {
			id := headerOf(r, "gtid")
			got = append(got, id[len(id)-1:]+" "+headerOf(r, "sub"))
			if headerOf(r, "row") != "" {
				t.Errorf("%s: a record has a row", topic)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", topic, got, want)
		}
	}
}
