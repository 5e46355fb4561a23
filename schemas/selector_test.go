package schemas

import "testing"

func TestSelector(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		yes, no  []Name
	}{
		{nil, []Name{{"shop", "orders"}}, []Name{{"mysql", "user"}, {"SYS", "x"}, {"performance_schema", "t"}}},
		{[]string{"shop.%", "!shop.tmp_%"}, []Name{{"shop", "orders"}, {"shop", "tm"}, {"shop", "tmp"}}, []Name{{"shop", "tmp_1"}, {"shop", "tmpx"}, {"shop2", "orders"}}},
		{[]string{`s\_p.a%z`}, []Name{{"s_p", "az"}, {"s_p", "abz"}, {"s_p", "azzz"}}, []Name{{"sap", "az"}, {"s_p", "azb"}}},
		{[]string{"!shop.%"}, []Name{{"other", "t"}}, []Name{{"shop", "t"}, {"mysql", "user"}}},
		{[]string{"mysql.user"}, []Name{{"mysql", "user"}}, []Name{{"mysql", "db"}}},
		{[]string{"%.user"}, []Name{{"a", "user"}}, []Name{{"mysql", "user"}}},
		{[]string{"d._"}, []Name{{"d", "表"}, {"d", "x"}}, []Name{{"d", "表表"}, {"d", ""}}},
		{[]string{`a\.b.c`}, []Name{{"a.b", "c"}}, []Name{{"a", "b.c"}}},
	} {
		s, err := ParseSelector(c.patterns)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.yes {
			if !s.Match(n.Database, n.Table) {
				t.Errorf("%q does not choose %v", c.patterns, n)
			}
			if !s.MatchDatabase(n.Database) {
				t.Errorf("%q does not choose database %s", c.patterns, n.Database)
			}
		}
		for _, n := range c.no {
			if s.Match(n.Database, n.Table) {
				t.Errorf("%q chooses %v", c.patterns, n)
			}
		}
	}
	for _, bad := range []string{"", "x", ".t", "d.", "!", `d.t\`} {
		if _, err := ParseSelector([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := ParseSelector([]string{"%%%%%%%%%%%%.%"}); err != nil {
		t.Fatal(err)
	}
}

func TestSelectorFolded(t *testing.T) {
	s, err := ParseSelector([]string{"Shop.Order%", "!shop.ORDERS_Old"})
	if err != nil {
		t.Fatal(err)
	}
	f := s.Folded()
	for name, want := range map[Name]bool{{"shop", "orders"}: true, {"SHOP", "OrderS"}: true, {"shop", "orders_old"}: false} {
		if got := f.Match(name.Database, name.Table); got != want {
			t.Errorf("%v: %v", name, got)
		}
	}
	if s.Match("shop", "orders") || !s.Match("Shop", "Orders") || s.MatchDatabase("shop") || !f.MatchDatabase("sHop") {
		t.Error("without folding, case counts")
	}
	if f.Hash() != s.Hash() || f.Folded() != f || (*Selector)(nil).Folded() != nil {
		t.Error("not the same choice")
	}
}

func TestSelectorIsFast(t *testing.T) {
	s, _ := ParseSelector([]string{"%a%a%a%a%a%a%a%a%a%a%a%b.t"})
	long := make([]byte, 1<<14)
	for i := range long {
		long[i] = 'a'
	}
	if s.Match(string(long), "t") {
		t.Error("matched")
	}
}
