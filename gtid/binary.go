package gtid

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// binaryVersion begins the binary encoding. A change of layout takes the next
// number, and ParseBinary keeps reading this one.
//
//	version  1 byte, 1
//	flavor   1 byte
//	count    of origins or domains; this and all that follow are minimal uvarints
//	MySQL, per origin, ascending:
//	  uuid   16 bytes
//	  tag    length, bytes
//	  count  of intervals, not 0
//	  per interval: numbers left out since the previous one, last - first
//	MariaDB, per domain, ascending:
//	  domain numbers left out since the previous one
//	  server, sequence number
const binaryVersion = 1

var (
	errShort     = errors.New("truncated")
	errMalformed = errors.New("malformed")
)

// AppendBinary appends the binary encoding of s to dst. Equal sets have equal
// encodings, but for the flavor of empty ones.
func (s *Set) AppendBinary(dst []byte) []byte {
	dst = append(dst, binaryVersion, byte(s.Flavor()))
	if s == nil {
		return append(dst, 0)
	}
	if s.flavor == MariaDB {
		dst = binary.AppendUvarint(dst, uint64(len(s.domains)))
		next := uint64(0)
		for _, p := range s.domains {
			dst = binary.AppendUvarint(dst, uint64(p.domain)-next)
			dst = binary.AppendUvarint(dst, uint64(p.server))
			dst = binary.AppendUvarint(dst, p.seq)
			next = uint64(p.domain) + 1
		}
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.origins)))
	for i := range s.origins {
		o := &s.origins[i]
		dst = append(dst, o.uuid[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(o.tag)))
		dst = append(dst, o.tag...)
		dst = binary.AppendUvarint(dst, uint64(len(o.ivs)))
		next := uint64(1)
		for _, v := range o.ivs {
			dst = binary.AppendUvarint(dst, v.first-next)
			dst = binary.AppendUvarint(dst, v.last-v.first)
			next = v.last + 1
		}
	}
	return dst
}

// ParseBinary reads a set of flavor f from the front of b and returns what follows
// it. Only what AppendBinary writes is accepted; an empty set may have been of the
// other flavor. The result shares no memory with b.
func ParseBinary(f Flavor, b []byte) (set *Set, rest []byte, err error) {
	if f > MariaDB {
		return nil, nil, fmt.Errorf("gtid set: unknown %s", f)
	}
	r := reader{b: b}
	version, flavor := r.byte(), Flavor(r.byte())
	n := r.uvarint()
	switch {
	case r.err != nil:
	case version != binaryVersion:
		return nil, nil, fmt.Errorf("gtid set: binary encoding version %d is not known", version)
	case flavor > MariaDB:
		r.fail(errMalformed)
	case flavor != f && n > 0:
		return nil, nil, fmt.Errorf("gtid set: of %s, expected %s", flavor, f)
	}
	set = NewSet(f)
	if f == MariaDB {
		set.domains = r.domains(n)
	} else {
		set.origins = r.origins(n)
	}
	if r.err != nil {
		return nil, nil, fmt.Errorf("gtid set: offset %d: %w", r.at, r.err)
	}
	return set, b[r.at:], nil
}

// reader is a cursor over bytes that keeps its first error. No count read with it
// is trusted for an allocation.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// bytes returns the next n bytes of the input itself, nil after an error.
func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b)-r.at {
		r.fail(errShort)
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.at:])
	switch {
	case n == 0:
		r.fail(errShort)
		return 0
	case n < 0 || n > 1 && r.b[r.at+n-1] == 0: // too long, or not minimal
		r.fail(errMalformed)
		return 0
	}
	r.at += n
	return v
}

func (r *reader) uuid() (u UUID) {
	copy(u[:], r.bytes(len(u)))
	return u
}

// tag reads n bytes that must be a tag as it is stored, or nothing.
func (r *reader) tag(n uint64) string {
	if n > maxTag {
		r.fail(errMalformed)
		return ""
	}
	t := string(r.bytes(int(n)))
	if !isStoredTag(t) {
		r.fail(errMalformed)
		return ""
	}
	return t
}

func (r *reader) origins(n uint64) []origin {
	var out []origin
	for ; n > 0 && r.err == nil; n-- {
		o := origin{uuid: r.uuid()}
		o.tag = r.tag(r.uvarint())
		count := r.uvarint()
		if count == 0 {
			r.fail(errMalformed)
		}
		next := uint64(1)
		for ; count > 0 && r.err == nil; count-- {
			gap, more := r.uvarint(), r.uvarint()
			// Each step is checked before the sum: nothing here can wrap around.
			if gap > MaxSeq-next+1 || next > 1 && gap == 0 {
				r.fail(errMalformed)
				break
			}
			first := next + gap
			if first > MaxSeq || more > MaxSeq-first {
				r.fail(errMalformed)
				break
			}
			o.ivs = append(o.ivs, interval{first, first + more})
			next = first + more + 1
		}
		if k := len(out); k > 0 && out[k-1].compare(o.uuid, o.tag) >= 0 {
			r.fail(errMalformed)
		}
		out = append(out, o)
	}
	return out
}

func (r *reader) domains(n uint64) []position {
	var out []position
	next := uint64(0)
	for ; n > 0 && r.err == nil; n-- {
		gap, server, seq := r.uvarint(), r.uvarint(), r.uvarint()
		if gap > 1<<32-1 || next+gap > 1<<32-1 || server > 1<<32-1 || seq == 0 {
			r.fail(errMalformed)
			break
		}
		out = append(out, position{uint32(next + gap), uint32(server), seq})
		next += gap + 1
	}
	return out
}
