package verify

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// mostKeyless is how many rows of a table without a key are told apart.
const mostKeyless = 2_000_000

// keyless compares a table without a key: by one sum, and where that differs by how often each row is there.
func (v *verifier) keyless(ctx context.Context, p *plan, r *TableReport) error {
	var src, dst chunk
	var m *Mark
	err := v.source.snapshot(ctx, func(c Conn) (err error) {
		if m, err = v.o.mark(ctx, c); err != nil {
			return err
		}
		return p.sum(ctx, c, &src, false)
	})
	if err != nil {
		return err
	}
	if err := v.reach(ctx, m); err != nil {
		return err
	}
	if err := v.target.snapshot(ctx, func(c Conn) error { return p.sum(ctx, c, &dst, true) }); err != nil {
		return err
	}
	r.Chunks = 1
	v.count(src.rows, r)
	r.Filtered = src.filtered
	v.step(false)
	if src.rows == dst.rows && src.digest == dst.digest {
		return nil
	}
	r.Narrowed = 1
	if max(src.rows, dst.rows) > mostKeyless {
		r.Stopped = fmt.Sprintf("it differs; the rows of a table without a key are told apart up to %d rows", mostKeyless)
		r.Different++
		return nil
	}
	var left map[digest]int // copies that are too few at the target, or less than 0 that are too many, at every look
	pause := 40 * time.Millisecond
	for look := 1; look <= v.o.Looks; look++ {
		now, err := v.surplus(ctx, p)
		if err != nil {
			return err
		}
		if left == nil {
			left = now
		}
		for d, n := range left {
			switch k := now[d]; {
			case n > 0:
				left[d] = min(n, max(k, 0))
			default:
				left[d] = max(n, min(k, 0))
			}
			if left[d] == 0 {
				delete(left, d)
			}
		}
		if len(left) == 0 {
			return nil
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
	var found []*Difference
	filtered := slices.ContainsFunc(p.shards(), func(q *plan) bool { return q.pair.Filtered })
	for d, n := range left {
		if n < 0 && filtered {
			r.Kept -= n // rows that the filter let go look the same
			continue
		}
		one := &Difference{Table: r.Table, Target: r.Target, Kind: Missing, Digest: hex.EncodeToString(d[:]), Copies: n}
		if n < 0 {
			one.Kind, one.Copies = Extra, -n
		}
		if v.o.Repair {
			one.Why = "no key tells the rows apart"
		}
		found = append(found, one)
		if len(found) == v.o.Limit {
			r.Stopped = fmt.Sprintf("it has %d differing rows or more", v.o.Limit)
			break
		}
	}
	return v.tell(found, r)
}

// surplus counts rows by digest: how many more of each the source has. The source is counted before the target and behind it, and what lies
// between both counts is no difference: equal rows that come and go all the time are never the same number at two moments.
func (v *verifier) surplus(ctx context.Context, p *plan) (map[digest]int, error) {
	whole := &chunk{}
	var m *Mark
	count := func(e *end, target bool) (n map[digest]int, err error) {
		err = e.snapshot(ctx, func(c Conn) (err error) {
			n = map[digest]int{}
			if !target {
				if m, err = v.o.mark(ctx, c); err != nil {
					return err
				}
			}
			for _, q := range p.side(target) {
				err := q.read(ctx, c, whole, target, func(_ bound, d digest, passes bool) error {
					if passes {
						n[d]++
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		return n, err
	}
	first, err := count(&v.back, false)
	if err != nil {
		return nil, err
	}
	if err := v.reach(ctx, m); err != nil {
		return nil, err
	}
	dst, err := count(&v.target, true)
	if err != nil {
		return nil, err
	}
	second, err := count(&v.back, false)
	if err != nil {
		return nil, err
	}
	out := map[digest]int{}
	for _, of := range []map[digest]int{first, second, dst} {
		for d := range of {
			least, most := min(first[d], second[d]), max(first[d], second[d])
			out[d] = max(0, least-dst[d]) + min(0, most-dst[d])
		}
	}
	for d, k := range out {
		if k == 0 {
			delete(out, d)
		}
	}
	return out, nil
}
