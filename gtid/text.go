package gtid

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Parse reads the text of a set: for MySQL as in gtid_executed, for MariaDB as in
// gtid_slave_pos. Space and line breaks are allowed around every part, and the
// empty text is the empty set. An error says the byte offset and the token. The
// result shares no memory with text.
func Parse(f Flavor, text string) (*Set, error) {
	p := parser{what: "gtid set", s: text}
	set := NewSet(f)
	switch f {
	case MySQL:
		set.origins = p.origins()
	case MariaDB:
		set.domains = p.positions()
	default:
		return nil, fmt.Errorf("gtid set: unknown %s", f)
	}
	if p.err != nil {
		return nil, p.err
	}
	return set, nil
}

// String returns the canonical text of s: sorted by UUID, within it the numbers
// without a tag before the tags in order, without line breaks; for MariaDB sorted
// by domain. Two sets are equal if and only if their texts are.
func (s *Set) String() string { return string(s.Append(nil)) }

// Append appends the text of s to dst.
func (s *Set) Append(dst []byte) []byte {
	if s == nil {
		return dst
	}
	for i, p := range s.domains {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.append(dst)
	}
	for i := range s.origins {
		o := &s.origins[i]
		if i == 0 || s.origins[i-1].uuid != o.uuid {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = o.uuid.Append(dst)
		}
		if o.tag != "" {
			dst = append(dst, ':')
			dst = append(dst, o.tag...)
		}
		for _, v := range o.ivs {
			dst = append(dst, ':')
			dst = strconv.AppendUint(dst, v.first, 10)
			if v.last > v.first {
				dst = append(dst, '-')
				dst = strconv.AppendUint(dst, v.last, 10)
			}
		}
	}
	return dst
}

var (
	errNumber   = errors.New("not a number")
	errRange    = errors.New("number out of range")
	errZero     = errors.New("numbers start at 1")
	errReversed = errors.New("interval ends before it starts")
	errTag      = errors.New("not a tag")
	errNoNumber = errors.New("tag without a number")
	errDomain   = errors.New("domain given twice")
	errEnd      = errors.New("unexpected text")
	errMissing  = errors.New("unexpected end")
)

func syntaxError(what string, offset int, token string, err error) error {
	if len(token) > 40 {
		token = token[:40] + "..."
	}
	return fmt.Errorf("%s: offset %d: %q: %w", what, offset, token, err)
}

// parser is a cursor over a text that keeps its first error; after one, all its
// methods return zeros and move nothing.
type parser struct {
	what string
	s    string
	at   int
	err  error
}

// fail records an error about the token that begins at offset.
func (p *parser) fail(offset int, err error) {
	if p.err != nil {
		return
	}
	if offset >= len(p.s) {
		p.err = fmt.Errorf("%s: offset %d: %w", p.what, len(p.s), errMissing)
		return
	}
	end := offset + 1 // a separator in the wrong place is a token too
	for end < len(p.s) && !isSeparator(p.s[end]) {
		end++
	}
	p.err = syntaxError(p.what, offset, p.s[offset:end], err)
}

func isSeparator(c byte) bool { return c == ':' || c == ',' || c == '-' || isSpace(c) }

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// peek skips space and returns the next byte, 0 at the end and after an error.
func (p *parser) peek() byte {
	if p.err != nil {
		return 0
	}
	for p.at < len(p.s) && isSpace(p.s[p.at]) {
		p.at++
	}
	if p.at == len(p.s) {
		return 0
	}
	return p.s[p.at]
}

// accept skips c if it is next.
func (p *parser) accept(c byte) bool {
	if p.peek() != c || p.err != nil || p.at == len(p.s) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(c byte) {
	if !p.accept(c) {
		p.fail(p.at, fmt.Errorf("expected %q", c))
	}
}

// end demands that nothing but space is left.
func (p *parser) end() {
	if p.peek(); p.at < len(p.s) {
		p.fail(p.at, errEnd)
	}
}

func (p *parser) uuid() UUID {
	p.peek()
	if p.err != nil {
		return UUID{}
	}
	end := p.at
	for end < len(p.s) && p.s[end] != ':' && p.s[end] != ',' && !isSpace(p.s[end]) {
		end++
	}
	u, ok := parseUUID(p.s[p.at:end])
	if !ok {
		if end > p.at {
			p.err = syntaxError(p.what, p.at, p.s[p.at:end], errUUID) // with its dashes
		} else {
			p.fail(p.at, errUUID)
		}
		return UUID{}
	}
	p.at = end
	return u
}

// atTag reports whether what follows begins as a tag does.
func (p *parser) atTag() bool {
	c := p.peek()
	return isTagByte(c) && (c < '0' || c > '9')
}

// tag returns the tag that follows, in lower case; it may be a part of the text.
func (p *parser) tag() string {
	p.peek()
	start := p.at
	for p.at < len(p.s) && isTagByte(p.s[p.at]) {
		p.at++
	}
	t := p.s[start:p.at]
	if !isTag(t) || p.at < len(p.s) && !isSeparator(p.s[p.at]) {
		p.fail(start, errTag)
		return ""
	}
	return strings.ToLower(t)
}

// number returns the decimal number that follows, at most limit.
func (p *parser) number(limit uint64) uint64 {
	p.peek()
	if p.err != nil {
		return 0
	}
	start, n := p.at, uint64(0)
	for ; p.at < len(p.s) && '0' <= p.s[p.at] && p.s[p.at] <= '9'; p.at++ {
		d := uint64(p.s[p.at] - '0')
		if n > (limit-d)/10 {
			p.fail(start, errRange)
			return 0
		}
		n = n*10 + d
	}
	if p.at == start || p.at < len(p.s) && !isSeparator(p.s[p.at]) {
		p.fail(start, errNumber)
		return 0
	}
	return n
}

// seq returns a transaction number of MySQL.
func (p *parser) seq() uint64 {
	p.peek()
	start := p.at
	n := p.number(MaxSeq)
	if n == 0 {
		p.fail(start, errZero)
	}
	return n
}

func (p *parser) interval() interval {
	p.peek()
	start := p.at
	v := interval{first: p.seq()}
	v.last = v.first
	if p.accept('-') {
		v.last = p.seq()
	}
	if p.err == nil && v.last < v.first {
		p.err = syntaxError(p.what, start, p.s[start:p.at], errReversed)
	}
	return v
}

// origins reads the text of a set of MySQL. It collects a list per mention of a
// UUID and tag, and sorts and joins at the end, so that no order of the text makes
// it slow.
func (p *parser) origins() []origin {
	var list []origin
	for {
		for p.accept(',') {
		}
		if p.peek(); p.err != nil || p.at == len(p.s) {
			break
		}
		o := origin{uuid: p.uuid()}
		p.expect(':')
		for {
			if p.atTag() {
				if o.tag != "" && len(o.ivs) == 0 {
					p.fail(p.at, errNoNumber)
				}
				if len(o.ivs) > 0 {
					list = append(list, o)
				}
				o = origin{uuid: o.uuid, tag: strings.Clone(p.tag())}
			} else {
				o.ivs = append(o.ivs, p.interval())
			}
			if !p.accept(':') {
				break
			}
		}
		if len(o.ivs) == 0 {
			p.fail(p.at, errNoNumber)
		}
		list = append(list, o)
		if p.peek(); p.at < len(p.s) && p.s[p.at] != ',' {
			p.fail(p.at, errEnd)
		}
	}
	if p.err != nil {
		return nil
	}
	return joinOrigins(list)
}

// joinOrigins sorts a list in which an origin may come more than once and
// intervals in any order, and joins what belongs together, in place.
func joinOrigins(list []origin) []origin {
	byOrigin := func(a, b origin) int { return a.compare(b.uuid, b.tag) }
	if !slices.IsSortedFunc(list, byOrigin) {
		slices.SortFunc(list, byOrigin)
	}
	out := list[:0]
	for _, o := range list {
		if n := len(out); n > 0 && out[n-1].compare(o.uuid, o.tag) == 0 {
			out[n-1].ivs = append(out[n-1].ivs, o.ivs...)
		} else {
			out = append(out, o)
		}
	}
	for i := range out {
		out[i].ivs = normalize(out[i].ivs)
	}
	clear(list[len(out):])
	return out
}

// position returns a position in a domain of MariaDB; number 0 is its beginning.
func (p *parser) position() position {
	d := p.number(1<<32 - 1)
	p.expect('-')
	s := p.number(1<<32 - 1)
	p.expect('-')
	return position{uint32(d), uint32(s), p.number(1<<64 - 1)}
}

// positions reads the text of a position of MariaDB. A domain at number 0 is one
// that is not there, but two of them are still given twice.
func (p *parser) positions() []position {
	type mention struct {
		position
		offset int
	}
	var list []mention
	for p.peek() != 0 || p.err == nil && p.at < len(p.s) {
		offset := p.at
		list = append(list, mention{p.position(), offset})
		if p.peek(); p.at < len(p.s) {
			p.expect(',')
			if p.peek(); p.at == len(p.s) {
				p.fail(p.at, errMissing)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b mention) int {
		switch {
		case a.domain < b.domain:
			return -1
		case a.domain > b.domain:
			return 1
		}
		return 0
	})
	out := make([]position, 0, len(list))
	for i, m := range list {
		if i > 0 && list[i-1].domain == m.domain && p.err == nil {
			p.err = fmt.Errorf("%s: offset %d: %q: %w", p.what, m.offset, m.append(nil), errDomain)
		}
		if m.seq > 0 {
			out = append(out, m.position)
		}
	}
	return out
}
