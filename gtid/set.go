package gtid

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Set is a GTID set of one flavor: for MySQL, intervals of numbers per UUID and
// tag; for MariaDB, a position. The zero Set is empty and of flavor MySQL until a
// GTID of MariaDB is added to it. A Set is used through its pointer and not copied
// by assignment, which would share its memory; Clone copies it.
type Set struct {
	_       noCopy
	flavor  Flavor
	recent  int        // index in origins of the one that Add used last
	origins []origin   // MySQL, sorted, none empty
	domains []position // MariaDB, sorted, none with sequence number 0
}

// noCopy makes `go vet` find assignments of the struct it is in.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// origin is a source of numbers: a UUID with a tag or without one.
type origin struct {
	uuid UUID
	tag  string
	ivs  intervals
}

func (o *origin) compare(uuid UUID, tag string) int {
	if c := o.uuid.Compare(uuid); c != 0 {
		return c
	}
	return strings.Compare(o.tag, tag) // no tag comes first
}

// position is the last GTID of a domain.
type position struct {
	domain, server uint32
	seq            uint64
}

// NewSet returns an empty set of flavor f.
func NewSet(f Flavor) *Set { return &Set{flavor: f} }

// Flavor returns the flavor of s.
func (s *Set) Flavor() Flavor {
	if s == nil {
		return MySQL
	}
	return s.flavor
}

// Empty reports whether s contains nothing.
func (s *Set) Empty() bool { return s == nil || len(s.origins) == 0 && len(s.domains) == 0 }

// Len returns the number of transactions in s; for MariaDB, where nobody knows it,
// the sum of the sequence numbers. It stops at the highest uint64.
func (s *Set) Len() uint64 {
	if s == nil {
		return 0
	}
	var n, carry uint64
	for i := range s.origins {
		for _, v := range s.origins[i].ivs {
			if n, carry = bits.Add64(n, v.last-v.first+1, 0); carry != 0 {
				return math.MaxUint64
			}
		}
	}
	for _, p := range s.domains {
		if n, carry = bits.Add64(n, p.seq, 0); carry != 0 {
			return math.MaxUint64
		}
	}
	return n
}

// Clone returns a copy that shares no memory with s. The copy of nil is an empty
// set.
func (s *Set) Clone() *Set {
	if s == nil {
		return &Set{}
	}
	c := &Set{flavor: s.flavor, recent: s.recent, domains: slices.Clone(s.domains)}
	if len(s.origins) > 0 {
		c.origins = make([]origin, len(s.origins))
		for i, o := range s.origins {
			c.origins[i] = origin{o.uuid, o.tag, slices.Clone(o.ivs)}
		}
	}
	return c
}

// Contains reports whether g is in s. An anonymous GTID is in no set.
func (s *Set) Contains(g GTID) bool {
	if s == nil || g.IsZero() || g.Flavor != s.flavor {
		return false
	}
	if s.flavor == MariaDB {
		i, ok := s.findDomain(g.Domain)
		return ok && g.Seq <= s.domains[i].seq
	}
	// A set of one UUID is the usual one, and recent is the usual place in others;
	// it is only read here, so that many may ask at the same time.
	if r := s.recent; r < len(s.origins) && s.origins[r].uuid == g.UUID && s.origins[r].tag == g.Tag {
		return s.origins[r].ivs.contains(g.Seq)
	}
	i, ok := s.findOrigin(g.UUID, g.Tag)
	return ok && s.origins[i].ivs.contains(g.Seq)
}

// ContainsSet reports whether everything in o is in s.
func (s *Set) ContainsSet(o *Set) bool {
	if o.Empty() {
		return true
	}
	if s.Empty() || s.flavor != o.flavor {
		return false
	}
	if s.flavor == MariaDB {
		for _, p := range o.domains {
			if i, ok := s.findDomain(p.domain); !ok || s.domains[i].seq < p.seq {
				return false
			}
		}
		return true
	}
	for j := range o.origins {
		x := &o.origins[j]
		if i, ok := s.findOrigin(x.uuid, x.tag); !ok || !s.origins[i].ivs.containsAll(x.ivs) {
			return false
		}
	}
	return true
}

// Equal reports whether s and o are the same set. Positions of MariaDB are the
// same if the server ids agree too: 0-1-5 and 0-2-5 contain the same numbers, but
// are two histories.
func (s *Set) Equal(o *Set) bool {
	if s.Empty() || o.Empty() {
		return s.Empty() && o.Empty()
	}
	return s.flavor == o.flavor && slices.Equal(s.domains, o.domains) &&
		slices.EqualFunc(s.origins, o.origins, func(a, b origin) bool {
			return a.uuid == b.uuid && a.tag == b.tag && slices.Equal(a.ivs, b.ivs)
		})
}

// Add adds g to s. What names no transaction of any server (an anonymous GTID, a
// number or a tag that is not Valid) changes nothing. A GTID of MariaDB moves its
// domain to g, unless the domain is at that number already or beyond it. Add
// panics if s holds GTIDs of the other flavor.
func (s *Set) Add(g GTID) {
	if g.Seq == 0 {
		return
	}
	if g.Flavor != s.flavor {
		s.adopt(g.Flavor)
	}
	if s.flavor == MariaDB {
		s.addPosition(position{g.Domain, g.Server, g.Seq})
		return
	}
	if r := s.recent; r < len(s.origins) {
		o := &s.origins[r]
		if o.uuid == g.UUID && o.tag == g.Tag {
			// Nothing follows the last interval, so growing it joins it to nothing.
			if end := &o.ivs[len(o.ivs)-1]; end.last+1 == g.Seq && g.Seq <= MaxSeq {
				end.last = g.Seq
				return
			}
		}
	}
	s.AddRange(g.UUID, g.Tag, g.Seq, g.Seq)
}

// AddRange adds the numbers from first to last, both included, of a UUID and a tag
// (which is empty for none, else in lower case) to a set of MySQL. Numbers outside
// 1 to MaxSeq are left out; nothing is added if last is below first or the tag is
// not one. It panics if s holds GTIDs of MariaDB.
func (s *Set) AddRange(uuid UUID, tag string, first, last uint64) {
	first, last = max(first, 1), min(last, MaxSeq)
	if first > last {
		return
	}
	if s.flavor != MySQL {
		s.adopt(MySQL)
	}
	i, ok := s.recent, false
	if i < len(s.origins) {
		ok = s.origins[i].uuid == uuid && s.origins[i].tag == tag
	}
	if !ok {
		if i, ok = s.findOrigin(uuid, tag); !ok {
			if !isStoredTag(tag) {
				return
			}
			// The tag may lie in memory of a reader: a copy keeps that from living on.
			s.origins = slices.Insert(s.origins, i, origin{uuid: uuid, tag: strings.Clone(tag)})
		}
		s.recent = i
	}
	s.origins[i].ivs = s.origins[i].ivs.add(interval{first, last})
}

// adopt makes an empty set one of flavor f.
func (s *Set) adopt(f Flavor) {
	if !s.Empty() {
		panic(fmt.Sprintf("gtid: adding GTIDs of %s to a set of %s", f, s.flavor))
	}
	s.flavor = f
}

func (s *Set) findOrigin(uuid UUID, tag string) (int, bool) {
	lo, hi := 0, len(s.origins)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := s.origins[mid].compare(uuid, tag); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// UUIDs returns the UUIDs of a set of MySQL in order, each once.
func (s *Set) UUIDs() []UUID {
	if s == nil {
		return nil
	}
	var out []UUID
	for i := range s.origins {
		if n := len(out); n == 0 || out[n-1] != s.origins[i].uuid {
			out = append(out, s.origins[i].uuid)
		}
	}
	return out
}

// Only returns the part of a set of MySQL that is of u, with all its tags.
func (s *Set) Only(u UUID) *Set {
	out := NewSet(s.Flavor())
	if s == nil {
		return out
	}
	i, _ := s.findOrigin(u, "")
	for ; i < len(s.origins) && s.origins[i].uuid == u; i++ {
		o := s.origins[i]
		out.origins = append(out.origins, origin{o.uuid, o.tag, slices.Clone(o.ivs)})
	}
	return out
}
