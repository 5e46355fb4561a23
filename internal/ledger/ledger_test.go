package ledger

import "testing"

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
