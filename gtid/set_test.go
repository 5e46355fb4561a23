package gtid

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// check fails the test if s breaks a rule of its representation.
func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *Set,
) {
	t.Helper()
	if s == nil {
		t.Fatalf("nil set")
		return
	}
	if len(s.origins) > 0 && len(s.domains) > 0 || len(s.origins) > 0 && s.flavor != MySQL || len(s.domains) > 0 && s.flavor != MariaDB {
		t.Fatalf("mixed flavors: %s %+v %+v", s.flavor, s.origins, s.domains)
	}
	for i, o := range s.origins {
		if i > 0 && s.origins[i-1].compare(o.uuid, o.tag) >= 0 {
			t.Fatalf("origins out of order: %+v", s.origins)
		}
		if len(o.ivs) == 0 || !isStoredTag(o.tag) {
			t.Fatalf("bad origin: %+v", o)
		}
		last := uint64(0)
		for j, v := range o.ivs {
			if v.first == 0 || v.last < v.first || v.last > MaxSeq || j > 0 && v.first <= last+1 {
				t.Fatalf("bad intervals: %+v", o.ivs)
			}
			last = v.last
		}
	}
	for i, p := range s.domains {
		if p.seq == 0 || i > 0 && s.domains[i-1].domain >= p.domain {
			t.Fatalf("bad domains: %+v", s.domains)
		}
	}
}

func parse(t testing.TB, f Flavor, text string) *Set {
	t.Helper()
	s, err := Parse(f, strings.NewReplacer("A", textA, "B", textB).Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAlgebra(t *testing.T) {
	for _, c := range []struct {
		flavor                        Flavor
		a, b, union, minus, intersect string
	}{
		{MySQL, "A:1-10", "A:3-5:8", "A:1-10", "A:1-2:6-7:9-10", "A:3-5:8"},
		{MySQL, "A:1-5", "A:5-9", "A:1-9", "A:1-4", "A:5"},
		{MySQL, "A:1-5", "A:6-9", "A:1-9", "A:1-5", ""},
		{MySQL, "A:2:4:6", "A:1-9", "A:1-9", "", "A:2:4:6"},
		{MySQL, "A:1", "B:1", "A:1,B:1", "A:1", ""},
		{MySQL, "A:1", "A:t:1", "A:1:t:1", "A:1", ""},
		{MySQL, "A:1:t:1-3", "A:t:2,B:1", "A:1:t:1-3,B:1", "A:1:t:1:3", "A:t:2"},
		{MySQL, "A:1-9223372036854775806", "A:5", "A:1-9223372036854775806", "A:1-4:6-9223372036854775806", "A:5"},
		{MySQL, "A:5", "A:1-9223372036854775806", "A:1-9223372036854775806", "", "A:5"},
		{MySQL, "", "A:5", "A:5", "", ""},
		{MariaDB, "0-1-5,1-1-5,2-1-5,3-1-5", "1-2-4,2-2-5,3-2-6,4-2-5", "0-1-5,1-1-5,2-1-5,3-2-6,4-2-5", "0-1-5,1-1-5", "1-2-4,2-1-5,3-1-5"},
		{MariaDB, "", "0-1-5", "0-1-5", "", ""},
	} {
		a, b := parse(t, c.flavor, c.a), parse(t, c.flavor, c.b)
		before := a.String() + " " + b.String()
		for _, r := range []struct {
			name string
			got  *Set
			want string
		}{{"union", Union(a, b), c.union}, {"minus", Minus(a, b), c.minus}, {"intersect", Intersect(a, b), c.intersect}} {
			check(t, r.got)
			if want := parse(t, c.flavor, r.want); !r.got.Equal(want) || r.got.String() != want.String() {
				t.Errorf("%s of %q and %q:\n got %s\nwant %s", r.name, c.a, c.b, r.got, want)
			}
			if r.got.Flavor() != c.flavor {
				t.Errorf("%s of %q and %q is of %s", r.name, c.a, c.b, r.got.Flavor())
			}
		}
		if after := a.String() + " " + b.String(); after != before {
			t.Errorf("operands changed: %s, were %s", after, before)
		}
	}
}

func TestNil(t *testing.T) {
	var none *Set
	some := parse(t, MySQL, "A:1")
	if !none.Empty() || none.Len() != 0 || none.Flavor() != MySQL || none.String() != "" || none.Contains(GTID{Seq: 1}) ||
		none.UUIDs() != nil || none.Domains() != nil || !none.Only(UUID{}).Empty() || !none.Clone().Empty() {
		t.Error("nil is not an empty set")
	}
	if _, ok := none.DomainPos(0); ok {
		t.Error("nil has a domain")
	}
	if !none.Equal(nil) || !none.Equal(NewSet(MariaDB)) || none.Equal(some) || some.Equal(nil) ||
		!none.ContainsSet(nil) || none.ContainsSet(some) || !some.ContainsSet(nil) {
		t.Error("comparing with nil")
	}
	if !Union(nil, some).Equal(some) || !Union(some, nil).Equal(some) || !Minus(some, nil).Equal(some) || !Minus(nil, some).Empty() ||
		!Intersect(nil, some).Empty() || !Intersect(some, nil).Empty() || !Union(nil, nil).Empty() {
		t.Error("algebra with nil")
	}
	some.AddSet(nil)
	if some.Len() != 1 {
		t.Error("adding nil")
	}
	if got := none.AppendDump(nil); len(got) != 8 {
		t.Errorf("dump %x", got)
	}
	if s, rest, err := ParseBinary(MariaDB, none.AppendBinary(nil)); err != nil || !s.Empty() || s.Flavor() != MariaDB || len(rest) != 0 {
		t.Errorf("%v %v %v", s, rest, err)
	}
}

func TestFlavors(t *testing.T) {
	my, maria := parse(t, MySQL, "A:1"), parse(t, MariaDB, "0-1-5")
	if my.Equal(maria) || my.ContainsSet(maria) || maria.ContainsSet(my) || my.Contains(GTID{Flavor: MariaDB, Seq: 1}) || maria.Contains(GTID{Seq: 1}) {
		t.Error("sets of two flavors share members")
	}
	if !Minus(my, maria).Equal(my) || !Minus(maria, my).Equal(maria) || !Intersect(my, maria).Empty() {
		t.Error("algebra over flavors")
	}
	var s Set
	s.AddSet(maria)
	if s.Flavor() != MariaDB || !s.Equal(maria) {
		t.Error("an empty set takes the flavor of what is added")
	}
	other := NewSet(MariaDB)
	other.AddSet(my)
	if other.Flavor() != MySQL || !other.Equal(my) {
		t.Error("an empty set takes the flavor of what is added")
	}
	for name, f := range map[string]func(){
		"Add":      func() { my.Clone().Add(GTID{Flavor: MariaDB, Seq: 1}) },
		"AddRange": func() { maria.Clone().AddRange(UUID{}, "", 1, 2) },
		"AddSet":   func() { my.Clone().AddSet(maria) },
		"Union":    func() { Union(maria, my) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s joins two flavors", name)
				}
			}()
			f()
		}()
	}
	if got := maria.AppendDump([]byte("x")); string(got) != "x" {
		t.Errorf("dump of mariadb: %x", got)
	}
}

func TestMariaDB(t *testing.T) {
	s := NewSet(MariaDB)
	add := func(domain, server uint32, seq uint64) {
		s.Add(GTID{Flavor: MariaDB, Domain: domain, Server: server, Seq: seq})
	}
	add(1, 1, 5)
	add(0, 1, 7)
	add(1, 2, 9)
	add(1, 3, 8) // below: no step back
	add(1, 3, 9) // the same number of another server: the first stays
	if s.String() != "0-1-7,1-2-9" || !slices.Equal(s.Domains(), []uint32{0, 1}) {
		t.Error(s)
	}
	if g, ok := s.DomainPos(1); !ok || g != (GTID{Flavor: MariaDB, Domain: 1, Server: 2, Seq: 9}) {
		t.Error(g, ok)
	}
	if g, ok := s.DomainPos(2); ok || !g.IsZero() {
		t.Error(g, ok)
	}
	for _, c := range []struct {
		domain, server uint32
		seq            uint64
		want           bool
	}{{0, 1, 7, true}, {0, 9, 1, true}, {0, 1, 8, false}, {2, 1, 1, false}, {1, 1, 9, true}, {1, 2, 10, false}} {
		if got := s.Contains(GTID{Flavor: MariaDB, Domain: c.domain, Server: c.server, Seq: c.seq}); got != c.want {
			t.Errorf("contains %+v: %v", c, got)
		}
	}
	a, b := parse(t, MariaDB, "0-1-5"), parse(t, MariaDB, "0-2-5")
	if a.Equal(b) || !a.ContainsSet(b) || !b.ContainsSet(a) {
		t.Error("two histories at the same number")
	}
}

func TestOnlyAndUUIDs(t *testing.T) {
	s := parse(t, MySQL, "A:1:t:2:u:3,B:4")
	a, b := mustUUID(t, textA), mustUUID(t, textB)
	if got := s.UUIDs(); !slices.Equal(got, []UUID{a, b}) {
		t.Error(got)
	}
	only := s.Only(a)
	if !only.Equal(parse(t, MySQL, "A:1:t:2:u:3")) || !s.Only(UUID{}).Empty() || !s.Only(b).Equal(parse(t, MySQL, "B:4")) {
		t.Error(only)
	}
	only.AddRange(a, "", 2, 9)
	if s.String() != parse(t, MySQL, "A:1:t:2:u:3,B:4").String() {
		t.Error("Only shares memory")
	}
}

// Results and copies live their own lives, and so do the operands.
func TestNoSharing(t *testing.T) {
	a, b := parse(t, MySQL, "A:1-5:9:t:1"), parse(t, MySQL, "B:1-3")
	u := mustUUID(t, textA)
	wantA, wantB := a.String(), b.String()
	for name, s := range map[string]*Set{
		"clone": a.Clone(), "union": Union(a, b), "minus": Minus(a, b), "minus nil": Minus(a, nil), "intersect": Intersect(a, a), "only": a.Only(u),
	} {
		s.AddRange(u, "", 6, 20)
		s.AddRange(u, "t", 2, 2)
		s.AddRange(mustUUID(t, textB), "", 4, 4)
		if a.String() != wantA || b.String() != wantB {
			t.Fatalf("%s shares memory: %s %s", name, a, b)
		}
	}
	large := NewSet(MySQL)
	for i := range uint64(100) {
		large.AddRange(u, "", 2*i+1, 2*i+1)
		large.AddRange(UUID{byte(i)}, "", 1, 1)
	}
	want := large.String()
	var s Set
	s.AddSet(large)
	s.AddRange(u, "", 1, 1000)
	s.AddRange(UUID{7}, "", 1, 1000)
	if large.String() != want {
		t.Error("AddSet shares memory")
	}
	gaps := large.Only(u) // many intervals of one origin go in whole
	want = gaps.String()
	var one Set
	one.AddSet(gaps)
	one.AddRange(u, "", 2, 2)
	one.AddRange(u, "", 1, 1000)
	if gaps.String() != want {
		t.Error("AddSet shares intervals")
	}
	m := parse(t, MariaDB, "0-1-5")
	c := m.Clone()
	c.Add(GTID{Flavor: MariaDB, Server: 1, Seq: 6})
	if m.String() != "0-1-5" {
		t.Error("clone of mariadb shares memory")
	}
}

func TestNoAllocation(t *testing.T) {
	my := parse(t, MySQL, "A:1-10:20-30:t:1,B:1-10")
	maria := parse(t, MariaDB, "0-1-5,7-1-5")
	next := GTID{UUID: mustUUID(t, textA), Tag: "t", Seq: 2}
	other := GTID{UUID: mustUUID(t, textB), Seq: 11}
	pos := GTID{Flavor: MariaDB, Domain: 7, Server: 1, Seq: 6}
	o := my.Clone()
	for name, f := range map[string]func(){
		"Add": func() {
			my.Add(next)
			next.Seq++
			my.Add(next)
			next.Seq++
			my.Add(other)
			other.Seq++
		},
		"Contains":    func() { my.Contains(next); my.Contains(other) },
		"ContainsSet": func() { my.ContainsSet(o) },
		"AddSet":      func() { my.AddSet(o) },
		"Equal":       func() { my.Equal(o) },
		"mariadb":     func() { maria.Add(pos); maria.Contains(pos); pos.Seq++ },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkAddNext(b *testing.B) {
	s, g := NewSet(MySQL), GTID{UUID: UUID{1}, Seq: 1}
	b.ReportAllocs()
	for b.Loop() {
		s.Add(g)
		g.Seq++
	}
}

func BenchmarkAddOutOfOrder(b *testing.B) {
	s, g := NewSet(MySQL), GTID{UUID: UUID{1}, Seq: 1}
	b.ReportAllocs()
	for b.Loop() {
		g.Seq ^= 1 // 2 3 ... as a multi-threaded replica writes them: 0/1 swapped
		s.Add(g)
		g.Seq ^= 1
		g.Seq++
	}
}

func BenchmarkContains(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("uuids=%d", n), func(b *testing.B) {
			s := NewSet(MySQL)
			for i := range n {
				for j := range uint64(100) {
					s.AddRange(UUID{byte(i)}, "", 10*j+1, 10*j+5)
				}
			}
			g := GTID{UUID: UUID{byte(n / 2)}, Seq: 1}
			b.ReportAllocs()
			for b.Loop() {
				s.Contains(g)
				g.Seq = g.Seq%1000 + 1
			}
		})
	}
}
