package kafka_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// messagesOf is a table whose rows are messages.
func messagesOf(name string) *schemas.Table {
	var cols []schemas.Column
	for _, c := range []string{"topic", "key", "value", "id", "kind"} {
		cols = append(cols, schemas.Column{Name: c, Type: schemas.LongText, Charset: "utf8mb4", Nullable: true})
	}
	return &schemas.Table{
		Database: "shop", Name: name, Columns: cols,
		Message: &schemas.Message{Topic: 0, Key: 1, Value: 2, Headers: []schemas.MessageHeader{{Name: "id", Column: 3}, {Name: "kind", Column: 4}}},
	}
}

// TestMessages writes rows that are messages of their own, beside rows, twice, as after a crash.
func TestMessages(t *testing.T) {
	f := newFake(t)
	some := func(s string) batchtest.Value {
		if s == "-" {
			return batchtest.Null()
		}
		return batchtest.Text(s)
	}
	o := kafka.Options{
		Config:  kafka.Config{Brokers: f.ListenAddrs(), Topic: "{database}.{table}", Partitions: 4, TransactionalID: "messages"},
		Encoder: newKeyed, Fresh: true,
	}
	outbox, orders := messagesOf("outbox"), tableOf("shop", "orders")
	batch := func() *event.Batch {
		w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
		for _, m := range []string{"ev.a 1 x 7 k", "ev.b 1 - 8 -", "ev.a - y 9 k", "ev.a  z 10 k", "ev.a 1 w 11 k"} {
			p := strings.Split(m, " ")
			w.Insert(outbox, some(p[0]), some(p[1]), some(p[2]), some(p[3]), some(p[4]))
			w.Insert(orders, batchtest.Int(1), batchtest.Int(2), batchtest.Text("row"))
		}
		return w.Batch()
	}
	var got []string
	for range 2 {
		s, err := kafka.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Write(t.Context(), batch(), func(error) {}); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o.State, err = s.State(0); err != nil {
			t.Fatal(err)
		}
		o.Fresh = false
		_ = s.Close()
		got = nil
		where := map[string]int32{}
		list := everything(t, f.ListenAddrs(), "ev.a", "ev.b")
		for _, r := range list {
			show := func(b []byte) string {
				if b == nil {
					return "-"
				}
				return fmt.Sprintf("%q", b)
			}
			kind := "?"
			for _, h := range r.Headers {
				if h.Key == "kind" {
					kind = show(h.Value)
				}
			}
			got = append(got, fmt.Sprintf("%s %s %s %s %s row %s", r.Topic, show(r.Key), show(r.Value), headerOf(r, "id"), kind, headerOf(r, "row")))
			at := r.Topic + show(r.Key)
			if p, ok := where[at]; ok && p != r.Partition {
				t.Errorf("messages of %s are in two partitions", at)
			}
			where[at] = r.Partition
		}
		if n := len(everything(t, f.ListenAddrs(), "shop.orders")); n != 5 {
			t.Errorf("%d rows, want 5", n)
		}
	}
	slices.Sort(got)
	want := []string{
		`ev.a "" "z" 10 "k" row 6`, `ev.a "1" "w" 11 "k" row 8`, `ev.a "1" "x" 7 "k" row 0`, `ev.a - "y" 9 "k" row 4`, `ev.b "1" - 8 - row 2`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("messages\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMessageTopics has messages whose topics are none, or somebody else's.
func TestMessageTopics(t *testing.T) {
	for topic, want := range map[string]string{
		"shop.orders": "is that of table shop.orders", "dead": "is that of the setting dead_letter.topic", "": "cannot be the name", "..": "cannot be the name",
		strings.Repeat("x", 300): "Kafka allows 249", "ev a": "",
	} {
		f := newFake(t)
		s, err := kafka.Open(kafka.Options{
			Config:  kafka.Config{Brokers: f.ListenAddrs(), Topic: "{database}.{table}", DeadLetter: kafka.DeadLetter{Topic: "dead"}},
			Encoder: newKeyed,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		text := batchtest.Text
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tableOf("shop", "orders"), batchtest.Int(1), batchtest.Int(2), text("row")).
			Insert(messagesOf("outbox"), text(topic), text("k"), text("v"), text("1"), text("x")).Batch()
		if err = s.Write(t.Context(), b, func(error) {}); err == nil {
			err = s.Flush(t.Context())
		}
		if want == "" && err != nil || want != "" && (!fault.Has(err, fault.SinkTopicName) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", topic, err, want)
		}
	}
}
