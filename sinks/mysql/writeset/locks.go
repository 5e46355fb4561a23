package writeset

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"cdc/event"
	"cdc/sinks/mysql/dependency"
)

// Builder collects the locks of one transaction. It is reused: Reset keeps its memory. The zero value is ready for use.
type Builder struct {
	locks []dependency.Lock
	buf   []byte
}

// Reset forgets the locks.
func (w *Builder) Reset() { w.locks = w.locks[:0] }

// Locks gives what was collected, valid until Reset. A name may be there more than once.
func (w *Builder) Locks() []dependency.Lock { return w.locks }

// Exclusive adds a lock by name.
func (w *Builder) Exclusive(name uint64) {
	w.locks = append(w.locks, dependency.Lock{Name: name})
}

func (w *Builder) shared(name uint64) {
	w.locks = append(w.locks, dependency.Lock{Name: name, Mode: dependency.Shared})
}

// Row adds the locks of one change of a row of t. before and after are its images; either may be zero, but not both. Parents count also where
// the source's session did not check foreign keys: the target's may.
func (w *Builder) Row(t *Table, before, after event.Row) {
	if t.Opaque || len(t.Unique) == 0 {
		w.Exclusive(t.Name)
	} else {
		w.shared(t.Name)
	}
	if !before.IsZero() {
		for _, name := range t.Cascades {
			w.Exclusive(name)
		}
	}
	// A row is the same one over several changes by the keys that it has in between. Where all of them are NULL in an image, only the table tells.
	old, now := before.IsZero(), after.IsZero()
	for i := range t.Unique {
		b, a := w.key(&t.Unique[i], before, after, false)
		old, now = old || b, now || a
	}
	if len(t.Unique) > 0 && !(old && now) {
		w.Exclusive(t.Name)
	}
	for i := range t.Parents {
		w.key(&t.Parents[i], before, after, true)
	}
}

// Chunk adds the locks of rows of t that are a chunk of a snapshot. It has the table to itself, but for other chunks: their rows have other keys, or the stream has what came
// between them, which lies between the chunks and waits for the one and is waited for by the other. So ten thousand rows need no more locks than one.
func (w *Builder) Chunk(t *Table) {
	alone := t.Opaque || len(t.Unique) == 0
	for i := range t.Unique {
		alone = alone || t.Unique[i].Whole // rows that differ at the source may not differ at the target
	}
	if alone {
		w.Exclusive(t.Name)
	} else {
		w.bulk(t.Name)
	}
	for i := range t.Unique { // of rows that refer to these
		w.bulk(t.Unique[i].Name)
	}
	for i := range t.Parents {
		w.bulk(t.Parents[i].Name)
	}
}

func (w *Builder) bulk(name uint64) {
	w.locks = append(w.locks, dependency.Lock{Name: name, Mode: dependency.Bulk})
}

// value is what one image says about a key.
type value uint8

const (
	none    value = iota // a part is NULL, which conflicts with nothing
	known                // its hash is known
	unknown              // a part is not in the image, or its spellings are not known
	absent               // no part is in the image
)

// key adds the locks of one key, and reports for each image whether they are those of its row.
func (w *Builder) key(k *Key, before, after event.Row, parent bool) (old, now bool) {
	if k.Whole {
		w.Exclusive(k.Name)
		return true, true
	}
	b, bh := w.value(k, before)
	a, ah := w.value(k, after)
	old = b == known || b == unknown || b == absent && a != absent
	now = a == known || a == unknown || a == absent && (old || before.IsZero())
	switch {
	case before.IsZero():
		b = none
	case after.IsZero():
		a = none
		if b == absent {
			b = unknown // a row goes away with a value that nobody knows
		}
	case a == absent && b == absent && !parent:
		return old, now // the update does not touch the key: what is not in the after image is as it was
	case a == absent && b == absent:
		b = unknown // which parent the row refers to is not known, and its end may take the row with it
	case a == absent:
		a = none
	case b == absent:
		b = unknown // the value before is freed, and nobody knows which
	}
	if a == absent {
		a = unknown // an insert with the column's default
	}
	if a == unknown || b == unknown {
		// The whole index, exclusively; also for a reference, since it is not known which parent is meant.
		w.Exclusive(k.Name)
		return old, now
	}
	if a == none && b == none {
		return old, now
	}
	w.shared(k.Name)
	add := w.Exclusive
	if parent {
		add = w.shared
	}
	if b == known {
		add(bh)
	}
	if a == known && !(b == known && ah == bh) {
		add(ah)
	}
	return old, now
}

// value hashes the key's parts in an image.
func (w *Builder) value(k *Key, row event.Row) (value, uint64) {
	if row.IsZero() {
		return absent, 0
	}
	w.buf = binary.LittleEndian.AppendUint64(w.buf[:0], k.Name)
	missing, state := 0, known
	for i := range k.Parts {
		p := &k.Parts[i]
		c := row.Cells[p.Column]
		switch c.Kind() {
		case event.Absent:
			missing++
			continue
		case event.Null:
			state = none
			continue
		}
		if state == none {
			continue
		}
		if !w.part(p, row, c) {
			state = unknown
		}
	}
	switch {
	case missing == len(k.Parts):
		return absent, 0
	case state == none:
		return none, 0 // whatever the missing parts are
	case missing > 0:
		return unknown, 0
	}
	return state, xxhash.Sum64(w.buf)
}

// part appends one value in the spelling that all equal values share, each preceded by its length so that ('a','bc') is not ('ab','c'). It
// reports false where that spelling is not known.
func (w *Builder) part(p *Part, row event.Row, c event.Cell) bool {
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0)
	switch k := c.Kind(); {
	case p.Class == Unknown:
		return false
	case k == event.JSONDiff || k == event.JSON || k == event.JSONBinary || k == event.Geometry:
		return false // no index compares these by their bytes
	case c.Flags()&event.Raw != 0 && k == event.String && p.Class != Bytes:
		return false // bytes of the source's character set, which may be another text's of the target's
	case k == event.Float32:
		f := c.Float32()
		if f == 0 {
			f = 0 // -0 is 0
		}
		w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(float64(f)))
	case k == event.Float64:
		f := c.Float64()
		if f == 0 {
			f = 0
		}
		w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(f))
	case !k.InArena():
		w.buf = binary.LittleEndian.AppendUint64(w.buf, c.Uint64())
		w.buf = append(w.buf, c.Flags()&event.ZeroTime)
	default:
		s := row.Bytes(c)
		switch p.Class {
		case Bytes:
			if p.Prefix > 0 && len(s) > p.Prefix {
				s = s[:p.Prefix]
			}
			w.buf = append(w.buf, s...)
		case Padded:
			// A prefix counts characters, at least a byte each: cut to it, values that differ behind are one at most too often.
			if p.Prefix > 0 && len(s) > p.Prefix {
				s = s[:p.Prefix]
			}
			for len(s) > 0 && s[len(s)-1] == ' ' {
				s = s[:len(s)-1]
			}
			w.buf = append(w.buf, s...)
		case Folded:
			if !w.folded(p, s) {
				return false
			}
		default:
			return false
		}
	}
	binary.LittleEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at-4))
	return true
}

// folded appends ASCII text in lower case, without control characters, which some collations ignore, and without spaces at the end. It reports
// false for other text: one letter may be the same as two, or as none.
func (w *Builder) folded(p *Part, s []byte) bool {
	start := len(w.buf)
	n := 0
	for _, c := range s {
		if c >= 0x80 {
			return false
		}
		if p.Prefix > 0 && n == p.Prefix {
			break
		}
		n++
		if c < 0x20 || c == 0x7f {
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		w.buf = append(w.buf, c)
	}
	for len(w.buf) > start && w.buf[len(w.buf)-1] == ' ' {
		w.buf = w.buf[:len(w.buf)-1]
	}
	return true
}
