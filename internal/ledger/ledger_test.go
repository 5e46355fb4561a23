package ledger

import (
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
)

func TestCheckFindsEachFault(t *testing.T) {
	l := New()
	l.commit([]entry{{Change{'i', 1}, "orders"}, {Change{'u', 2}, "orders"}, {Change{'d', 2}, "orders"}, {Change{'i', 3}, "visits"}})
	l.lost([]entry{{Change{'i', 4}, "orders"}, {Change{'i', 5}, "orders"}})
	type add struct {
		key           string
		op            Op
		before, after uint64
	}
	good := []add{{"7", 'i', 0, 1}, {"7", 'u', 1, 2}, {"7", 'd', 2, 0}, {"", 'i', 0, 3}}
	for _, c := range []struct {
		name string
		adds []add
		want Verdict
	}{
		{"good", good, Verdict{}},
		{"lost", good[:3], Verdict{Lost: 1}},
		{"twice", append(good[:4:4], good[1]), Verdict{Duplicated: 1}},
		{"invented", append(good[:4:4], add{"9", 'i', 0, 99}), Verdict{Invented: 1}},
		{"order", []add{good[1], good[0], good[2], good[3]}, Verdict{OutOfOrder: 2}},
		{"unsure whole", append(good[:4:4], add{"8", 'i', 0, 4}, add{"9", 'i', 0, 5}), Verdict{}},
		{"unsure in part", append(good[:4:4], add{"8", 'i', 0, 4}), Verdict{Torn: 1}},
	} {
		d := NewDelivered()
		for _, a := range c.adds {
			d.Add("orders", a.key, a.op, a.before, a.after)
		}
		v := l.Check(d)
		if v.Lost != c.want.Lost || v.Duplicated != c.want.Duplicated || v.Invented != c.want.Invented || v.Torn != c.want.Torn ||
			(v.OutOfOrder > 0) != (c.want.OutOfOrder > 0) || v.OK() != (c.want.Lost+c.want.Duplicated+c.want.Invented+c.want.Torn+c.want.OutOfOrder == 0) {
			t.Errorf("%s: %v", c.name, v)
		}
	}
}

// Repeats are forgiven where they run on to the present, and not where they end in the past.
func TestAtLeastOnce(t *testing.T) {
	l := New()
	l.commit([]entry{{Change{'i', 1}, "orders"}, {Change{'u', 2}, "orders"}, {Change{'d', 2}, "orders"}, {Change{'i', 3}, "orders"}})
	for _, c := range []struct {
		name      string
		ids       string // i1 u2 d2 of one row, i3 of another
		ok, least bool
	}{
		{"once", "i1 u2 d2 i3", true, true},
		{"again from the middle", "i1 u2 u2 d2 i3", false, true},
		{"again from the beginning", "i1 u2 d2 i3 i1 u2 d2 i3", false, true},
		{"again to the middle", "i1 u2 d2 i3 i1 u2", false, false},
		{"repeats that hide a hole", "i1 i1 d2 i3", false, false},
	} {
		d := NewDelivered()
		for _, f := range strings.Fields(c.ids) {
			switch f {
			case "i1":
				d.Add("orders", "7", 'i', 0, 1)
			case "u2":
				d.Add("orders", "7", 'u', 1, 2)
			case "d2":
				d.Add("orders", "7", 'd', 2, 0)
			case "i3":
				d.Add("orders", "8", 'i', 0, 3)
			}
		}
		if v := l.Check(d); v.OK() != c.ok || v.AtLeastOnce() != c.least {
			t.Errorf("%s: %v", c.name, v)
		}
	}
}

func TestMessages(t *testing.T) {
	headers := func(row string) []kafka.Header {
		return []kafka.Header{{Key: "gtid", Value: []byte("u:1")}, {Key: "row", Value: []byte(row)}, {Key: "sub", Value: []byte("0")}}
	}
	row := func(op, key, before, after, number string) kafka.Message {
		return kafka.Message{
			Topic: "shop.orders", Key: []byte(key), Headers: headers(number),
			Value: []byte(`{"op":"` + op + `","before":` + before + `,"after":` + after + `,"source":{"table":"orders"}}`),
		}
	}
	one, two := `{"id":7,"change_id":1}`, `{"id":7,"change_id":2}`
	key := `{"id":7}`
	gone := kafka.Message{Topic: "shop.orders", Key: []byte(key)}
	l := New()
	l.commit([]entry{{Change{'i', 1}, "orders"}, {Change{'u', 2}, "orders"}, {Change{'d', 2}, "orders"}})
	i, u, d := row("c", key, "null", one, "0"), row("u", key, one, two, "1"), row("d", key, two, "null", "2")
	for _, c := range []struct {
		name string
		all  []kafka.Message
		ok   bool
	}{
		{"good", []kafka.Message{i, u, d, gone}, true},
		{"no tombstone", []kafka.Message{i, u, d}, false},
		{"two tombstones", []kafka.Message{i, u, d, gone, gone}, false},
		{"one name for two changes", []kafka.Message{i, row("u", key, one, two, "0"), d, gone}, false},
	} {
		got := NewDelivered()
		for _, m := range c.all {
			if err := got.Message(m); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if v := l.Check(got); v.OK() != c.ok {
			t.Errorf("%s: %v", c.name, v)
		}
	}
	nameless := i
	nameless.Headers = nil
	for name, m := range map[string]kafka.Message{
		"another key": row("c", `{"id":8}`, "null", one, "0"), "no row": row("c", key, "null", "null", "0"), "no headers": nameless, "operation": row("x", key, "null", one, "0"),
		"not JSON": {Key: []byte(key), Value: []byte("{")},
	} {
		if err := NewDelivered().Message(m); err == nil {
			t.Errorf("%s was counted", name)
		}
	}
}
