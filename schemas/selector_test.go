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
