package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
	"unicode/utf8"
)

// suspect is a row that was seen to differ.
type suspect struct {
	key      bound
	src, dst []digest // of each column at the last look; nil where there is no row
	streak   []int    // how many looks in a row each column differed, with neither side changed; the first is of the row's being there
	kinds    map[Kind]bool
}

// id makes a key that a map can have.
func (b bound) id() string {
	var out []byte
	for _, v := range b {
		out = strconv.AppendInt(out, int64(len(v)), 10)
		out = append(append(out, ':'), v...)
	}
	return string(out)
}

func cloneBound(row [][]byte) bound {
	out := make(bound, len(row))
	for i, v := range row {
		out[i] = append([]byte{}, v...)
	}
	return out
}

// narrow finds the rows of some chunks that differ, at a place of its own. They are matched by key, not by order, which two servers may see
// differently; known are keys that need not be found again.
func (v *verifier) narrow(ctx context.Context, p *plan, chunks []chunk, known map[string]bool) ([]*suspect, error) {
	type entry struct {
		key   bound
		d     digest
		equal bool
	}
	rows := map[string]*entry{}
	n := len(p.key)
	var m *Mark
	err := v.back.snapshot(ctx, func(c Conn) (err error) {
		clear(rows)
		if m, err = v.o.mark(ctx, c); err != nil {
			return err
		}
		for i := range chunks {
			err := c.Stream(ctx, p.rowsQuery(&chunks[i], false), func(row [][]byte) error {
				k := cloneBound(row[:n])
				rows[k.id()] = &entry{key: k, d: fold(row[n:])}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := v.reach(ctx, m); err != nil {
		return nil, err
	}
	extra := map[string]bound{}
	err = v.target.snapshot(ctx, func(c Conn) error {
		clear(extra)
		for _, e := range rows {
			e.equal = false
		}
		for i := range chunks {
			err := c.Stream(ctx, p.rowsQuery(&chunks[i], true), func(row [][]byte) error {
				k := bound(row[:n])
				id := k.id()
				if e := rows[id]; e == nil {
					extra[id] = cloneBound(k)
				} else if e.d == fold(row[n:]) {
					e.equal = true
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []*suspect
	add := func(id string, k bound) {
		if !known[id] {
			known[id] = true
			out = append(out, &suspect{key: k})
		}
	}
	for id, e := range rows {
		if !e.equal {
			add(id, e.key)
		}
	}
	for id, k := range extra {
		add(id, k)
	}
	return out, nil
}

const (
	looksAtOnce = 200 // keys of a query
	manyLooks   = 4   // times Looks: a row that goes on changing is given up then
)

// settle looks at suspicious rows again and again, each time at the source first, and at the target when it has reached that place. A row that is
// equal once is equal: what was seen was a row in flight. One that differs in a column which neither side changed between Looks looks differs
// for good:
//
//	source   look 1 ......... look 2 ......... look 3     the column is A each time
//	target         . reached 1, look ... reached 2, look  and B each time: nothing is on its way that would make it A
//
// A value that is changed to another one and back again faster than that could show A and B by chance, with each look less likely; the pauses
// are random so that no rhythm helps it.
//
// Keys of rows that are equal are taken out of known.
func (v *verifier) settle(ctx context.Context, p *plan, suspects []*suspect, known map[string]bool, r *TableReport) error {
	var found []*Difference
	keys := map[*Difference]*suspect{}
	pause := 40 * time.Millisecond
	for look := 1; len(suspects) > 0; look++ {
		src, dst, err := v.look(ctx, p, suspects)
		if err != nil {
			return err
		}
		left := suspects[:0]
		for _, s := range suspects {
			id := s.key.id()
			if s.judge(src[id], dst[id]) {
				delete(known, id)
				continue
			}
			d := s.verdict(p, v.o.Looks, look == manyLooks*v.o.Looks)
			if d == nil {
				left = append(left, s)
				continue
			}
			keys[d] = s
			found = append(found, d)
		}
		if suspects = left; len(suspects) > 0 {
			if err := wait(ctx, pause); err != nil {
				return err
			}
			pause = min(pause*3/2, time.Second)
		}
	}
	for _, d := range found {
		d.Table, d.Key = p.pair.Source.FullName(), p.keyValues(keys[d].key)
		if to := p.pair.Target.String(); to != d.Table {
			d.Target = to
		}
	}
	if v.o.Repair {
		if err := v.repair(ctx, p, found, keys); err != nil {
			return err
		}
	}
	return v.tell(found, r)
}

// tell counts differences and hands them on.
func (v *verifier) tell(found []*Difference, r *TableReport) error {
	for _, d := range found {
		switch d.Kind {
		case Missing:
			r.Missing++
		case Extra:
			r.Extra++
		case Different:
			r.Different++
		default:
			r.Unsettled++
		}
		if d.Fixed {
			r.Fixed++
		} else {
			v.p.Differing++
		}
		if err := v.o.Changed(d); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	return rest(ctx, d/2+rand.N(d))
}

// look reads rows at the source and, when the target has reached that place, there.
func (v *verifier) look(ctx context.Context, p *plan, suspects []*suspect) (src, dst map[string][]digest, err error) {
	var m *Mark
	err = v.back.snapshot(ctx, func(c Conn) (err error) {
		if m, err = v.o.mark(ctx, c); err != nil {
			return err
		}
		src, err = p.look(ctx, c, suspects, false)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if err := v.reach(ctx, m); err != nil {
		return nil, nil, err
	}
	err = v.target.snapshot(ctx, func(c Conn) (err error) {
		dst, err = p.look(ctx, c, suspects, true)
		return err
	})
	return src, dst, err
}

// look reads the rows of suspects: of each column a digest.
func (p *plan) look(ctx context.Context, c Conn, suspects []*suspect, target bool) (map[string][]digest, error) {
	out := map[string][]digest{}
	n := len(p.key)
	for len(suspects) > 0 {
		k := min(len(suspects), looksAtOnce)
		keys := make([]bound, k)
		for i, s := range suspects[:k] {
			keys[i] = s.key
		}
		suspects = suspects[k:]
		err := c.Stream(ctx, p.looksQuery(keys, target), func(row [][]byte) error {
			ds := make([]digest, len(p.columns))
			for i, v := range row[n:] {
				if p.columns[i].loose {
					ds[i] = documentDigest(v)
				} else {
					ds[i] = parseDigest(v)
				}
			}
			out[bound(row[:n]).id()] = ds
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judge takes the outcome of a look; true means that the row is equal.
func (s *suspect) judge(src, dst []digest) bool {
	first := s.streak == nil
	if first {
		s.streak = make([]int, 1+max(len(src), len(dst)))
		s.kinds = map[Kind]bool{}
	}
	if s.streak == nil || len(s.streak) < 1+max(len(src), len(dst)) {
		s.streak = append(s.streak, make([]int, 1+max(len(src), len(dst))-len(s.streak))...)
	}
	equal := (src == nil) == (dst == nil)
	alike := func(a, b []digest) bool { // of one side at two looks
		if (a == nil) != (b == nil) {
			return false
		}
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	grow := func(i int, differs, same bool) {
		switch {
		case !differs:
			s.streak[i] = 0
		case first || !same:
			s.streak[i] = 1
		default:
			s.streak[i]++
		}
		equal = equal && !differs
	}
	grow(0, (src == nil) != (dst == nil), alike(s.src, src) && alike(s.dst, dst))
	for i := range len(s.streak) - 1 {
		both := src != nil && dst != nil
		grow(1+i, both && src[i] != dst[i], both && s.src != nil && s.dst != nil && s.src[i] == src[i] && s.dst[i] == dst[i])
	}
	switch {
	case src == nil:
		s.kinds[Extra] = true
	case dst == nil:
		s.kinds[Missing] = true
	default:
		s.kinds[Different] = true
	}
	s.src, s.dst = src, dst
	return equal
}

// verdict gives the difference as soon as it is sure, or at the last look what there is of it.
func (s *suspect) verdict(p *plan, looks int, last bool) *Difference {
	kind := Different
	switch {
	case s.src == nil:
		kind = Extra
	case s.dst == nil:
		kind = Missing
	}
	sure := false
	var columns []string
	for i, n := range s.streak {
		sure = sure || n >= looks
		if i > 0 && n > 0 {
			columns = append(columns, p.columns[i-1].dst.Name)
		}
	}
	switch {
	case sure, last && len(s.kinds) == 1 && kind != Different: // never seen there in all the looks
		return &Difference{Kind: kind, Columns: columns}
	case last:
		return &Difference{Kind: Unsettled, Columns: columns}
	}
	return nil
}

// keyValues names the values of a key.
func (p *plan) keyValues(b bound) []Value {
	var out []Value
	for i, v := range b {
		text := string(v)
		if p.columns[p.key[i]].form == double {
			text = plainDouble(v)
		}
		if !utf8.Valid(v) || p.columns[p.key[i]].src.Type.IsBinary() {
			text = fmt.Sprintf("0x%x", v)
		}
		out = append(out, Value{Column: p.index[i], Value: text})
	}
	return out
}
