package gtid

import "slices"

// interval is the numbers from first to last, both included.
type interval struct{ first, last uint64 }

// intervals are sorted and neither overlap nor touch.
type intervals []interval

// firstReaching returns the index of the first interval that ends at n or later.
func (v intervals) firstReaching(n uint64) int {
	lo, hi := 0, len(v)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if v[mid].last < n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (v intervals) contains(n uint64) bool {
	i := v.firstReaching(n)
	return i < len(v) && v[i].first <= n
}

// containsAll reports whether all numbers of w are in v.
func (v intervals) containsAll(w intervals) bool {
	for _, x := range w {
		// The search is over what is left: w is sorted, so v never has to be
		// looked at again before the interval that held the previous one.
		i := v.firstReaching(x.first)
		if i == len(v) || v[i].first > x.first || v[i].last < x.last {
			return false
		}
		v = v[i:]
	}
	return true
}

// add puts x in its place, swallowing what it overlaps or touches.
func (v intervals) add(x interval) intervals {
	i := v.firstReaching(x.first - 1) // also the one that ends just before x
	j := i
	for j < len(v) && v[j].first <= x.last+1 {
		j++
	}
	if i == j {
		return slices.Insert(v, i, x)
	}
	v[i] = interval{min(v[i].first, x.first), max(v[j-1].last, x.last)}
	return slices.Delete(v, i+1, j)
}

// normalize sorts intervals that came in any order and joins those that overlap or
// touch. It works in place, in n log n time, or n if they are sorted already.
func normalize(v []interval) intervals {
	byFirst := func(a, b interval) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(v, byFirst) {
		slices.SortFunc(v, byFirst)
	}
	out := v[:0]
	for _, x := range v {
		out = appendJoined(out, x)
	}
	return out
}

// appendJoined appends x, which begins nowhere before the last of v, to v.
func appendJoined(v intervals, x interval) intervals {
	if n := len(v); n > 0 && x.first <= v[n-1].last+1 {
		v[n-1].last = max(v[n-1].last, x.last)
		return v
	}
	return append(v, x)
}

// union returns a new list of what is in v or w.
func (v intervals) union(w intervals) intervals {
	out := make(intervals, 0, len(v)+len(w))
	for len(v) > 0 || len(w) > 0 {
		if len(w) == 0 || len(v) > 0 && v[0].first <= w[0].first {
			out, v = appendJoined(out, v[0]), v[1:]
		} else {
			out, w = appendJoined(out, w[0]), w[1:]
		}
	}
	return out
}

// minus returns a new list of what is in v and not in w, nil if that is nothing.
func (v intervals) minus(w intervals) intervals {
	var out intervals
	for _, x := range v {
		for len(w) > 0 && w[0].last < x.first {
			w = w[1:]
		}
		// The last interval of w that cuts x may cut the next one too: it stays.
		for _, y := range w {
			if y.first > x.last {
				break
			}
			if y.first > x.first {
				out = append(out, interval{x.first, y.first - 1})
			}
			x.first = y.last + 1
			if x.first > x.last {
				break
			}
			w = w[1:]
		}
		if x.first <= x.last {
			out = append(out, x)
		}
	}
	return out
}

// intersect returns a new list of what is in both, nil if that is nothing.
func (v intervals) intersect(w intervals) intervals {
	var out intervals
	for len(v) > 0 && len(w) > 0 {
		first, last := max(v[0].first, w[0].first), min(v[0].last, w[0].last)
		if first <= last {
			out = append(out, interval{first, last})
		}
		if v[0].last < w[0].last {
			v = v[1:]
		} else {
			w = w[1:]
		}
	}
	return out
}
