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
	key              bound
	src, dst         []digest // of each column at the last look; nil where there is no row
	lastSrc, lastDst []digest // at the look before
	streak           []int    // for how many looks in a row each column spoke against the row, with the same values; the first is of the row's being there
	kinds            map[Kind]bool
	from             *plan // the table of the source where it was seen
	clash            bool  // several of them have it
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
func (v *verifier) narrow(ctx context.Context, p *plan, chunks []chunk, known map[string]bool, r *TableReport) ([]*suspect, error) {
	type entry struct {
		key                  bound
		d                    digest
		equal, hidden, clash bool
	}
	rows := map[string]*entry{}
	var m *Mark
	err := v.back.snapshot(ctx, func(c Conn) (err error) {
		clear(rows)
		if m, err = v.o.mark(ctx, c); err != nil {
			return err
		}
		for i := range chunks {
			for _, q := range p.shards() {
				err := q.read(ctx, c, &chunks[i], false, func(key bound, d digest, passes bool) error {
					k := cloneBound(key)
					id := k.id()
					e := rows[id]
					switch {
					case e == nil || e.hidden:
						rows[id] = &entry{key: k, d: d, hidden: !passes}
					case passes:
						e.clash = true
					}
					return nil
				})
				if err != nil {
					return err
				}
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
			err := p.read(ctx, c, &chunks[i], true, func(k bound, d digest, _ bool) error {
				id := k.id()
				if e := rows[id]; e == nil {
					extra[id] = cloneBound(k)
				} else if e.d == d || e.hidden {
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
		switch {
		case e.hidden && e.equal:
			r.Kept++
		case e.clash || !e.equal && !e.hidden:
			add(id, e.key)
		}
	}
	for id, k := range extra {
		if p.changes() {
			r.Kept++
			continue
		}
		add(id, k)
	}
	return out, nil
}

const (
	looksAtOnce = 200 // keys of a query
	manyLooks   = 4   // times Looks: a row that is never judged is given up then
)

// settle looks at suspicious rows again and again: at the source, at the target when it has reached that place, and at the source again.
//
//	source   look 1 .................. look 2 .................. look 3
//	target          reached 1, look           reached 2, look
//
// A column speaks against a row where the source had one value before and behind, and the target another between. One that the source changed
// meanwhile does not: the target may have any of its values, and the change, which is on its way, writes the column anew. A row that nothing speaks against at one
// look is equal: what was seen was under way. One against which the same column speaks with the same values at Looks looks differs.
//
// A value that is changed to another one and back again between two looks could speak against a row by chance, with each look less likely; the pauses
// are random so that no rhythm helps it.
//
// Keys of rows that are equal are taken out of known.
func (v *verifier) settle(ctx context.Context, p *plan, suspects []*suspect, known map[string]bool, r *TableReport) error {
	var found []*Difference
	keys := map[*Difference]*suspect{}
	pause := 40 * time.Millisecond
	for look := 0; len(suspects) > 0; look++ {
		var m *Mark
		var src map[string][]digest
		err := v.back.snapshot(ctx, func(c Conn) (err error) {
			if m, err = v.o.mark(ctx, c); err != nil {
				return err
			}
			src, err = p.look(ctx, c, suspects, false)
			return err
		})
		if err != nil {
			return err
		}
		left := suspects[:0]
		for _, s := range suspects {
			id := s.key.id()
			if look > 0 && s.judge(src[id]) {
				delete(known, id)
				continue
			}
			if look > 0 {
				if d := s.verdict(p, v.o.Looks, look == manyLooks*v.o.Looks); d != nil {
					if d.Kind == Extra && p.changes() {
						r.Kept++
						continue
					}
					keys[d] = s
					found = append(found, d)
					continue
				}
			}
			s.src = src[id]
			left = append(left, s)
		}
		if suspects = left; len(suspects) == 0 {
			break
		}
		if err := v.reach(ctx, m); err != nil {
			return err
		}
		err = v.target.snapshot(ctx, func(c Conn) error {
			dst, err := p.look(ctx, c, suspects, true)
			for _, s := range suspects {
				s.dst = dst[s.key.id()]
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(pause*3/2, time.Second)
	}
	for _, d := range found {
		s := keys[d]
		d.Table, d.Key = p.pair.Source.FullName(), p.keyValues(s.key)
		if s.from != nil {
			d.Table = s.from.pair.Source.FullName()
		} else if len(p.others) > 0 {
			d.Table = p.pair.Target.String()
		}
		if s.clash {
			d.Kind, d.Columns = Clash, nil
		}
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
		case Clash:
			r.Clash++
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

// judge takes what the source has after the target was looked at; true means that nothing speaks against the row.
func (s *suspect) judge(next []digest) bool {
	if isHidden(s.src) || isHidden(next) {
		return true
	}
	if n := 1 + max(len(s.src), len(s.dst)); len(s.streak) < n {
		s.streak = append(s.streak, make([]int, n-len(s.streak))...)
	}
	if s.kinds == nil {
		s.kinds = map[Kind]bool{}
	}
	equal := true
	speaks := func(i int, against, again bool) {
		switch {
		case !against:
			s.streak[i] = 0
			return
		case again:
			s.streak[i]++
		default:
			s.streak[i] = 1
		}
		equal = false
	}
	speaks(0, (s.src == nil) == (next == nil) && (s.src == nil) != (s.dst == nil), same(s.lastSrc, s.src) && same(s.lastDst, s.dst))
	for i := range len(s.streak) - 1 {
		against := s.src != nil && s.dst != nil && next != nil && s.src[i] == next[i] && s.dst[i] != s.src[i]
		speaks(1+i, against, against && s.lastSrc != nil && s.lastDst != nil && s.lastSrc[i] == s.src[i] && s.lastDst[i] == s.dst[i])
	}
	switch {
	case s.src == nil:
		s.kinds[Extra] = true
	case s.dst == nil:
		s.kinds[Missing] = true
	default:
		s.kinds[Different] = true
	}
	s.lastSrc, s.lastDst = s.src, s.dst
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
