package gtid

import (
	"slices"
	"strconv"
)

func (s *Set) findDomain(d uint32) (int, bool) {
	lo, hi := 0, len(s.domains)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch x := s.domains[mid].domain; {
		case x == d:
			return mid, true
		case x < d:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// addPosition moves a domain on to p, never back.
func (s *Set) addPosition(p position) {
	i, ok := s.findDomain(p.domain)
	switch {
	case !ok:
		s.domains = slices.Insert(s.domains, i, p)
	case s.domains[i].seq < p.seq:
		s.domains[i] = p
	}
}

// Domains returns the domains of a position of MariaDB in order.
func (s *Set) Domains() []uint32 {
	if s == nil {
		return nil
	}
	var out []uint32
	for _, p := range s.domains {
		out = append(out, p.domain)
	}
	return out
}

// DomainPos returns the last GTID of domain d in a position of MariaDB, and false
// if the position has none.
func (s *Set) DomainPos(d uint32) (GTID, bool) {
	if s == nil {
		return GTID{}, false
	}
	i, ok := s.findDomain(d)
	if !ok {
		return GTID{}, false
	}
	p := s.domains[i]
	return GTID{Flavor: MariaDB, Domain: p.domain, Server: p.server, Seq: p.seq}, true
}

func (p position) append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(p.domain), 10)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, uint64(p.server), 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, p.seq, 10)
}

// mergeDomains walks two sorted lists together and collects what pick returns for
// each domain; one side is nil where the other alone has the domain. Positions
// with sequence number 0 are left out.
func mergeDomains(a, b []position, pick func(a, b *position) position) []position {
	var out []position
	for len(a) > 0 || len(b) > 0 {
		var x, y *position
		if len(b) == 0 || len(a) > 0 && a[0].domain <= b[0].domain {
			x = &a[0]
		}
		if len(a) == 0 || len(b) > 0 && b[0].domain <= a[0].domain {
			y = &b[0]
		}
		if x != nil {
			a = a[1:]
		}
		if y != nil {
			b = b[1:]
		}
		if p := pick(x, y); p.seq > 0 {
			out = append(out, p)
		}
	}
	return out
}
