package gtid

import "slices"

// few is how many origins or intervals AddSet puts in one by one. Each of them may
// move all that follow, so beyond it one pass over both lists is cheaper; and it
// keeps the work linear for sets that somebody made up to be slow.
const few = 8

// AddSet adds everything in o to s. It panics if both hold GTIDs, of different
// flavors.
func (s *Set) AddSet(o *Set) {
	if o.Empty() || s == o {
		return
	}
	if s.flavor != o.flavor {
		s.adopt(o.flavor)
	}
	if s.flavor == MariaDB {
		if len(o.domains) > few {
			s.domains = mergeDomains(s.domains, o.domains, higher)
			return
		}
		for _, p := range o.domains {
			s.addPosition(p)
		}
		return
	}
	if len(o.origins) > few {
		s.origins = mergeOrigins(s.origins, o.origins, intervals.union)
		s.recent = 0
		return
	}
	for j := range o.origins {
		x := &o.origins[j]
		if len(x.ivs) <= few {
			for _, v := range x.ivs {
				s.AddRange(x.uuid, x.tag, v.first, v.last)
			}
			continue
		}
		i, ok := s.findOrigin(x.uuid, x.tag)
		if ok {
			s.origins[i].ivs = s.origins[i].ivs.union(x.ivs)
		} else {
			s.origins = slices.Insert(s.origins, i, origin{x.uuid, x.tag, slices.Clone(x.ivs)})
		}
		s.recent = i
	}
}

// Union returns a new set of what is in a or b. Where both positions of MariaDB
// are at the same number of a domain, a's server id stays. It panics if both hold
// GTIDs, of different flavors.
func Union(a, b *Set) *Set {
	out := a.Clone()
	out.AddSet(b)
	return out
}

// Minus returns a new set of what is in a and not in b; for MariaDB, the domains
// of a, as they are there, that are ahead of b.
func Minus(a, b *Set) *Set {
	if a.Empty() || b.Empty() || a.flavor != b.flavor {
		return a.Clone()
	}
	return &Set{
		flavor:  a.flavor,
		domains: mergeDomains(a.domains, b.domains, ahead),
		origins: mergeOrigins(a.origins, b.origins, intervals.minus),
	}
}

// Intersect returns a new set of what is in a and in b; for MariaDB, per domain
// that is in both, the lower of the two, with a's server id where they are at the
// same number.
func Intersect(a, b *Set) *Set {
	out := NewSet(a.Flavor())
	if a.Empty() || b.Empty() || a.flavor != b.flavor {
		return out
	}
	out.domains = mergeDomains(a.domains, b.domains, lower)
	out.origins = mergeOrigins(a.origins, b.origins, intervals.intersect)
	return out
}

// mergeOrigins walks two sorted lists together and collects what op makes of the
// intervals of each origin, leaving out what is empty. Op makes new lists: the
// result shares no intervals with a and b.
func mergeOrigins(a, b []origin, op func(v, w intervals) intervals) []origin {
	var out []origin
	for len(a) > 0 || len(b) > 0 {
		var o origin
		var c int
		switch {
		case len(b) == 0:
			c = -1
		case len(a) == 0:
			c = 1
		default:
			c = a[0].compare(b[0].uuid, b[0].tag)
		}
		switch {
		case c < 0:
			o = origin{a[0].uuid, a[0].tag, op(a[0].ivs, nil)}
		case c > 0:
			o = origin{b[0].uuid, b[0].tag, op(nil, b[0].ivs)}
		default:
			o = origin{a[0].uuid, a[0].tag, op(a[0].ivs, b[0].ivs)}
		}
		if c <= 0 {
			a = a[1:]
		}
		if c >= 0 {
			b = b[1:]
		}
		if len(o.ivs) > 0 {
			out = append(out, o)
		}
	}
	return out
}

func higher(a, b *position) position {
	if a == nil || b != nil && b.seq > a.seq {
		return *b
	}
	return *a
}

func lower(a, b *position) position {
	switch {
	case a == nil || b == nil:
		return position{}
	case b.seq < a.seq:
		return *b
	}
	return *a
}

func ahead(a, b *position) position {
	if a == nil || b != nil && b.seq >= a.seq {
		return position{}
	}
	return *a
}
