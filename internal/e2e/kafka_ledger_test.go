//go:build servers

package e2e

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

// messages are all records of the topics whose names begin with prefix: topic by topic, partition by partition, in order.
func messages(t testing.TB, k *testbed.Kafka, prefix string) []kafka.Message {
	t.Helper()
	var list []kafka.Message
	err := ledger.EachMessage(t.Context(), k.Brokers(), func(topic string) bool { return strings.HasPrefix(topic, prefix) }, func(m kafka.Message) error {
		m.Key, m.Value = bytes.Clone(m.Key), bytes.Clone(m.Value)
		m.Headers = slices.Clone(m.Headers)
		list = append(list, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// header is the value of a header, "" where there is none.
func header(m *kafka.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// write appends records to a topic of one partition.
func write(t testing.TB, k *testbed.Kafka, topic string, list []kafka.Message) {
	t.Helper()
	if err := k.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(list, 500) {
		var records []kafka.Record
		for _, m := range part {
			r := kafka.Record{Headers: m.Headers, Key: kafka.NewBytes(m.Key)}
			if m.Value != nil {
				r.Value = kafka.NewBytes(m.Value)
			}
			records = append(records, r)
		}
		answer, err := k.Client().Produce(t.Context(), &kafka.ProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...)})
		if err == nil {
			err = answer.Error
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// refuted checks that the count of topics can fail: copies of what was delivered, each with one fault, are told from the original.
func (p *topicPipe) refuted(t *testing.T, l *ledger.Ledger) {
	all := messages(t, p.cluster, p.prefix+".")
	find := func(what string, f func(i int) bool) int {
		for i := range all {
			if f(i) {
				return i
			}
		}
		t.Fatalf("there is no %s among %d records", what, len(all))
		return 0
	}
	op := func(i int, op string) bool { return bytes.Contains(all[i].Value, []byte(`"op":"`+op+`"`)) }
	same := func(i, j int) bool { return all[i].Topic == all[j].Topic && bytes.Equal(all[i].Key, all[j].Key) }
	insert := find("insert", func(i int) bool { return op(i, "c") })
	update := find("update", func(i int) bool { return op(i, "u") })
	gone := find("tombstone", func(i int) bool { return all[i].Value == nil })
	// The next record of the same row.
	later := func(i int) int {
		return find("later record of a row", func(j int) bool { return j > i && same(i, j) })
	}
	first := find("row with two records", func(i int) bool {
		return op(i, "c") && len(all[i].Key) > 0 && slices.ContainsFunc(all[i+1:], func(m kafka.Message) bool {
			return m.Topic == all[i].Topic && bytes.Equal(m.Key, all[i].Key) && m.Value != nil
		})
	})
	without := func(i int) []kafka.Message { return slices.Delete(slices.Clone(all), i, i+1) }
	swapped := slices.Clone(all)
	second := later(first)
	swapped[first], swapped[second] = swapped[second], swapped[first]
	renamed := slices.Clone(all)
	renamed[second].Headers = all[first].Headers
	for n, c := range []struct {
		name      string
		list      []kafka.Message
		ok, least bool
		says      func(v ledger.Verdict) bool
	}{
		{"the same", all, true, true, func(v ledger.Verdict) bool { return v.Delivered == v.Committed }},
		{"an update dropped", without(update), false, false, func(v ledger.Verdict) bool { return v.Lost == 1 }},
		{"a tombstone dropped", without(gone), false, false, func(v ledger.Verdict) bool { return v.OutOfOrder > 0 }},
		{"a record twice", slices.Insert(slices.Clone(all), update, all[update]), false, true, func(v ledger.Verdict) bool { return v.Duplicated == 1 }},
		{"an old record at the end", append(slices.Clone(all), all[first]), false, false, func(v ledger.Verdict) bool { return v.Duplicated == 1 && v.Stale == 1 }},
		{"two records of a row swapped", swapped, false, false, func(v ledger.Verdict) bool { return v.OutOfOrder > 0 && v.Lost == 0 }},
		{"the name of another change", renamed, false, false, func(v ledger.Verdict) bool { return v.OutOfOrder == 1 }},
	} {
		prefix := "copy" + strconv.Itoa(n) + "-" + p.prefix // not deleted with the others, which takes time: the broker ends with the tests
		byTopic := map[string][]kafka.Message{}
		for _, m := range c.list {
			topic := prefix + strings.TrimPrefix(m.Topic, p.prefix)
			byTopic[topic] = append(byTopic[topic], m)
		}
		for topic, list := range byTopic {
			write(t, p.cluster, topic, list)
		}
		d, err := ledger.ReadTopics(t.Context(), p.cluster.Brokers(), prefix+".")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if v := l.Check(d); v.OK() != c.ok || v.AtLeastOnce() != c.least || !c.says(v) {
			t.Errorf("%s: %v", c.name, v)
		}
	}
	// What is no change at all is an error.
	prefix := "junk-" + p.prefix
	write(t, p.cluster, prefix+".shop.orders", []kafka.Message{{Key: all[insert].Key, Value: []byte(`{"op":"c"}`), Headers: all[insert].Headers}})
	if _, err := ledger.ReadTopics(t.Context(), p.cluster.Brokers(), prefix); err == nil {
		t.Error("junk was counted")
	}
}
