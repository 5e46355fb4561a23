package gtid

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The dumb models: for MySQL every GTID of a small universe, one by one; for
// MariaDB the last position per domain.
type (
	members  map[GTID]bool
	lastOnes map[uint32]GTID
)

var (
	worldUUIDs = []UUID{{1}, {1, 2}, {0xff, 3}}
	worldTags  = []string{"", "a", "b_1"}
)

const worldSeqs = 24

func world() []GTID {
	var all []GTID
	for _, u := range worldUUIDs {
		for _, tag := range worldTags {
			for n := uint64(1); n <= worldSeqs; n++ {
				all = append(all, GTID{UUID: u, Tag: tag, Seq: n})
			}
		}
	}
	return all
}

func genGTID(t *rapid.T) GTID {
	return GTID{
		UUID: rapid.SampledFrom(worldUUIDs).Draw(t, "uuid"),
		Tag:  rapid.SampledFrom(worldTags).Draw(t, "tag"),
		Seq:  rapid.Uint64Range(1, worldSeqs).Draw(t, "seq"),
	}
}

// genPair draws a set, built by a random series of changes, and its model.
func genPair(t *rapid.T, label string) (*Set, members) {
	s, m := NewSet(MySQL), members{}
	for range rapid.IntRange(0, 25).Draw(t, label) {
		change(t, s, m, 1)
	}
	return s, m
}

func change(t *rapid.T, s *Set, m members, depth int) {
	g := genGTID(t)
	switch op := rapid.IntRange(0, 3+depth).Draw(t, "op"); op {
	case 0, 1: // one transaction
		s.Add(g)
		m[g] = true
	case 2: // a run of transactions in order
		for range rapid.IntRange(1, 4).Draw(t, "run") {
			if g.Seq > worldSeqs {
				break
			}
			s.Add(g)
			m[g] = true
			g.Seq++
		}
	case 3:
		last := rapid.Uint64Range(0, worldSeqs).Draw(t, "last")
		s.AddRange(g.UUID, g.Tag, g.Seq, last)
		for ; g.Seq <= last; g.Seq++ {
			m[g] = true
		}
	default:
		o, om := NewSet(MySQL), members{}
		for range rapid.IntRange(0, 20).Draw(t, "more") {
			change(t, o, om, 0)
		}
		s.AddSet(o)
		maps.Copy(m, om)
	}
}

func same(t *rapid.T, what string, s *Set, m members) {
	t.Helper()
	check(t, s)
	if s.Len() != uint64(len(m)) || s.Empty() != (len(m) == 0) {
		t.Fatalf("%s: %q has %d members, the model %d", what, s, s.Len(), len(m))
	}
	for _, g := range world() {
		if s.Contains(g) != m[g] {
			t.Fatalf("%s: %q contains %s: %v, the model says %v", what, s, g, s.Contains(g), m[g])
		}
	}
}

// text prints the model naively, every number on its own, in random order.
func (m members) text(t *rapid.T) string {
	var parts []string
	for g := range m {
		parts = append(parts, g.String())
	}
	slices.Sort(parts)
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return strings.Join(parts, " ,\n")
}

func TestModelMySQL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, ma := genPair(t, "a")
		b, mb := genPair(t, "b")
		same(t, "a", a, ma)
		textA, textB := a.String(), b.String()

		union, minus, both := members{}, members{}, members{}
		maps.Copy(union, ma)
		maps.Copy(union, mb)
		for g := range ma {
			if mb[g] {
				both[g] = true
			} else {
				minus[g] = true
			}
		}
		same(t, "union", Union(a, b), union)
		same(t, "minus", Minus(a, b), minus)
		same(t, "intersect", Intersect(a, b), both)
		same(t, "clone", a.Clone(), ma)
		if got := a.ContainsSet(b); got != (len(both) == len(mb)) {
			t.Fatalf("%q contains %q: %v", a, b, got)
		}
		if got := a.Equal(b); got != maps.Equal(ma, mb) {
			t.Fatalf("%q equals %q: %v", a, b, got)
		}
		if (a.String() == b.String()) != a.Equal(b) {
			t.Fatalf("texts of %q and %q", a, b)
		}
		if !a.Equal(a.Clone()) || !Union(a, b).Equal(Union(b, a)) {
			t.Fatalf("equality of %q and %q", a, b)
		}

		u := rapid.SampledFrom(worldUUIDs).Draw(t, "only")
		only, uuids := members{}, map[UUID]bool{}
		for g := range ma {
			uuids[g.UUID] = true
			if g.UUID == u {
				only[g] = true
			}
		}
		same(t, "only", a.Only(u), only)
		if got := a.UUIDs(); len(got) != len(uuids) || !slices.IsSortedFunc(got, UUID.Compare) {
			t.Fatalf("uuids of %q: %v", a, got)
		}

		fromText, err := Parse(MySQL, ma.text(t))
		if err != nil || !fromText.Equal(a) || fromText.String() != textA {
			t.Fatalf("model as text: %q, %v; want %q", fromText, err, a)
		}
		same(t, "from text", fromText, ma)
		roundTrip(t, a)
		dump := a.AppendDump([]byte{9})[1:]
		if d, err := ParseDump(dump); err != nil || !d.Equal(a) {
			t.Fatalf("dump of %q: %q, %v", a, d, err)
		}
		if a.String() != textA || b.String() != textB {
			t.Fatalf("operands changed: %q was %q, %q was %q", a, textA, b, textB)
		}
		a.AddSet(b)
		same(t, "added", a, union)
		a.AddSet(a)
		same(t, "added to itself", a, union)
	})
}

// roundTrip checks text and binary, and that binary finds its own end.
func roundTrip(t *rapid.T, s *Set) {
	t.Helper()
	back, err := Parse(s.Flavor(), s.String())
	if err != nil || !back.Equal(s) {
		t.Fatalf("%q came back as %q, %v", s, back, err)
	}
	check(t, back)
	bin := s.AppendBinary([]byte("before"))
	back, rest, err := ParseBinary(s.Flavor(), append(bin, "after"...)[len("before"):])
	if err != nil || string(rest) != "after" || !back.Equal(s) || back.Flavor() != s.Flavor() {
		t.Fatalf("%q came back as %q, %q, %v", s, back, rest, err)
	}
	check(t, back)
	if again := back.AppendBinary([]byte("before")); !bytes.Equal(again, bin[:len(again)]) {
		t.Fatalf("%q: encodings %x and %x", s, bin, again)
	}
}

func genPosition(t *rapid.T, label string) (*Set, lastOnes) {
	s, m := NewSet(MariaDB), lastOnes{}
	for range rapid.IntRange(0, 20).Draw(t, label) {
		g := GTID{
			Flavor: MariaDB,
			Domain: rapid.SampledFrom([]uint32{0, 1, 2, 5, 9, 10, 11, 12, 13, 14, 1<<32 - 1}).Draw(t, "domain"),
			Server: rapid.Uint32Range(1, 3).Draw(t, "server"),
			Seq:    rapid.Uint64Range(1, 6).Draw(t, "seq"),
		}
		s.Add(g)
		m.add(g)
	}
	return s, m
}

func (m lastOnes) add(g GTID) {
	if g.Seq > m[g.Domain].Seq {
		m[g.Domain] = g
	}
}

func samePosition(t *rapid.T, what string, s *Set, m lastOnes) {
	t.Helper()
	check(t, s)
	domains := slices.Sorted(maps.Keys(m))
	if !slices.Equal(s.Domains(), domains) || s.Empty() != (len(m) == 0) {
		t.Fatalf("%s: %q, the model has %v", what, s, m)
	}
	var sum uint64
	var text []string
	for _, d := range domains {
		if g, ok := s.DomainPos(d); !ok || g != m[d] {
			t.Fatalf("%s: domain %d of %q: %s, the model says %s", what, d, s, g, m[d])
		}
		sum += m[d].Seq
		text = append(text, fmt.Sprintf("%d-%d-%d", d, m[d].Server, m[d].Seq))
	}
	if s.Len() != sum || s.String() != strings.Join(text, ",") {
		t.Fatalf("%s: %q of length %d, the model has %v", what, s, s.Len(), text)
	}
	for d := range uint32(16) {
		for seq := range uint64(8) {
			if got, want := s.Contains(GTID{Flavor: MariaDB, Domain: d, Seq: seq}), seq > 0 && seq <= m[d].Seq; got != want {
				t.Fatalf("%s: %q contains %d-x-%d: %v", what, s, d, seq, got)
			}
		}
	}
}

func TestModelMariaDB(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, ma := genPosition(t, "a")
		b, mb := genPosition(t, "b")
		samePosition(t, "a", a, ma)
		samePosition(t, "b", b, mb)
		union, minus, both, contains := maps.Clone(ma), lastOnes{}, lastOnes{}, true
		for d, g := range mb {
			union.add(g)
			contains = contains && ma[d].Seq >= g.Seq
		}
		for d, g := range ma {
			if g.Seq > mb[d].Seq {
				minus[d] = g
			}
			switch o, ok := mb[d]; {
			case ok && o.Seq < g.Seq:
				both[d] = o
			case ok:
				both[d] = g
			}
		}
		samePosition(t, "union", Union(a, b), union)
		samePosition(t, "minus", Minus(a, b), minus)
		samePosition(t, "intersect", Intersect(a, b), both)
		samePosition(t, "clone", a.Clone(), ma)
		if a.ContainsSet(b) != contains || Minus(b, a).Empty() != contains || a.Equal(b) != maps.Equal(ma, mb) {
			t.Fatalf("comparing %q and %q", a, b)
		}
		roundTrip(t, a)
		a.AddSet(b)
		samePosition(t, "added", a, union)
	})
}

// Numbers of any size, which the small model cannot hold: laws instead of a model.
func TestLawsOfLargeSets(t *testing.T) {
	gen := func(t *rapid.T, label string) *Set {
		s := NewSet(MySQL)
		for range rapid.IntRange(0, 30).Draw(t, label) {
			g := genGTID(t)
			first := rapid.Uint64Range(1, MaxSeq).Draw(t, "first")
			last := first + rapid.SampledFrom([]uint64{0, 1, 1000, 1 << 40, MaxSeq - first}).Draw(t, "more")
			s.AddRange(g.UUID, g.Tag, first, last)
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen(t, "a"), gen(t, "b")
		union, both, onlyA, onlyB := Union(a, b), Intersect(a, b), Minus(a, b), Minus(b, a)
		for _, s := range []*Set{a, b, union, both, onlyA, onlyB} {
			check(t, s)
			roundTrip(t, s)
			if d, err := ParseDump(s.AppendDump(nil)); err != nil || !d.Equal(s) {
				t.Fatalf("dump of %q: %q, %v", s, d, err)
			}
		}
		if !Union(Union(onlyA, both), onlyB).Equal(union) || !Minus(a, onlyA).Equal(both) ||
			!Intersect(onlyA, b).Empty() || !Intersect(onlyA, onlyB).Empty() ||
			!union.ContainsSet(a) || !union.ContainsSet(b) || !a.ContainsSet(both) || a.ContainsSet(b) != onlyB.Empty() {
			t.Fatalf("laws of %q and %q", a, b)
		}
	})
}
