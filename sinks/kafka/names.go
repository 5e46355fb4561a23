package kafka

import (
	"slices"

	"cdc/gtid"
)

// names are the records that an earlier run wrote behind the place at which this one begins: what comes again is not written again where its name
// is here. A name is the transaction, the row and the sub of the record's headers, in a topic. The partition is no part of it, so that it stays the
// same where partitions were added.
//
// Rows of large transactions take a bit each, or two bytes where they are sparse.
type names struct {
	txns map[string]*past
	left int // records
	keys map[keyIn]int32
}

// keyIn is the key of a record, by its hash, in a topic that is compacted. There a record that an earlier run has written may be gone, since a later
// one of its key is there. Written again it would come behind that, and be what the key has from then on. So it is passed over while a later one
// that was found has not come again.
type keyIn struct {
	topic string
	hash  uint64
}

// keyIn gives the hash by which a key is followed: its own, or, where a key may be in several partitions, of which each is compacted by itself, that of
// both.
func (g *guard) keyIn(hash uint64, partition int32) uint64 {
	if hash == 0 || !g.s.opt.scattered() {
		return hash
	}
	for i := range 4 {
		hash = (hash ^ uint64(byte(partition>>(8*i)))) * 1099511628211
	}
	return hash
}

// hashKey goes on with a hash (FNV-1a, 64 bits) that begins at keyBasis.
func hashKey[T []byte | string](h uint64, b T) uint64 {
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * 1099511628211
	}
	return h
}

const keyBasis uint64 = 14695981039346656037

// past is what was found of one transaction.
type past struct {
	names *names
	rows  map[stretchOfRows]*ordinals
	keys  map[keyIn]int32
	own   int // records
}

// stretchOfRows are 65536 rows of a transaction whose records have one sub, in one topic.
type stretchOfRows struct {
	topic string
	sub   uint16
	high  uint16
}

// noRow stands for the sub of records that have no row, whose sub then takes the place of the row.
const noRow = 1<<16 - 1

// follow counts records of a key of a transaction up or down.
func (p *past) follow(at keyIn, by int32) {
	if p.keys == nil {
		p.keys = map[keyIn]int32{}
	}
	if p.keys[at] += by; p.keys[at] == 0 {
		delete(p.keys, at)
	}
	if p.names.keys == nil {
		p.names.keys = map[keyIn]int32{}
	}
	if p.names.keys[at] += by; p.names.keys[at] == 0 {
		delete(p.names.keys, at)
	}
}

// add notes a record. key is the hash of its key where compaction may have taken others of it, else 0.
func (n *names) add(topic string, txn []byte, row uint32, sub uint16, key uint64) {
	p := n.txns[string(txn)]
	if p == nil {
		if n.txns == nil {
			n.txns = map[string]*past{}
		}
		p = &past{names: n, rows: map[stretchOfRows]*ordinals{}}
		n.txns[string(txn)] = p
	}
	at := stretchOfRows{topic, sub, uint16(row >> 16)}
	o := p.rows[at]
	if o == nil {
		o = &ordinals{}
		p.rows[at] = o
	}
	if !o.add(uint16(row)) {
		return
	}
	n.left++
	p.own++
	if key != 0 {
		p.follow(keyIn{topic, key}, 1)
	}
}

// take reports that a record is there, and forgets it.
func (p *past) take(topic string, row uint32, sub uint16, key uint64) bool {
	o := p.rows[stretchOfRows{topic, sub, uint16(row >> 16)}]
	if o == nil || !o.take(uint16(row)) {
		return false
	}
	p.names.left--
	p.own--
	if at := (keyIn{topic, key}); p.keys[at] > 0 {
		p.follow(at, -1)
	}
	return true
}

// forget drops a transaction that has come whole, but for its records in the topic keep, which may come later.
func (n *names) forget(txn []byte, keep string) {
	p := n.txns[string(txn)]
	if p == nil {
		return
	}
	for at, o := range p.rows {
		if keep == "" || at.topic != keep {
			n.left -= o.n
			p.own -= o.n
			delete(p.rows, at)
		}
	}
	for at, of := range p.keys {
		p.follow(at, -of)
	}
	if p.own == 0 {
		delete(n.txns, string(txn))
	}
}

// empty reports that nothing is left that could come again.
func (n *names) empty() bool { return n == nil || n.left == 0 }

// ordinals is a set of 16-bit numbers: a sorted list while that is smaller, then a bit each.
type ordinals struct {
	few  []uint16
	bits *[1 << 16 / 64]uint64
	n    int
}

// fewest is the length of the list from which on bits are smaller.
const fewest = 4096

func (o *ordinals) add(v uint16) bool {
	if o.bits != nil {
		if o.bits[v>>6]&(1<<(v&63)) != 0 {
			return false
		}
		o.bits[v>>6] |= 1 << (v & 63)
		o.n++
		return true
	}
	i := len(o.few)
	if i > 0 && o.few[i-1] >= v { // mostly they come in order
		var found bool
		if i, found = slices.BinarySearch(o.few, v); found {
			return false
		}
	}
	o.few = slices.Insert(o.few, i, v)
	if o.n++; o.n > fewest {
		o.bits = new([1 << 16 / 64]uint64)
		for _, x := range o.few {
			o.bits[x>>6] |= 1 << (x & 63)
		}
		o.few = nil
	}
	return true
}

func (o *ordinals) take(v uint16) bool {
	if o.bits != nil {
		if o.bits[v>>6]&(1<<(v&63)) == 0 {
			return false
		}
		o.bits[v>>6] &^= 1 << (v & 63)
		o.n--
		return true
	}
	i, found := slices.BinarySearch(o.few, v)
	if !found {
		return false
	}
	o.few = slices.Delete(o.few, i, i+1)
	o.n--
	return true
}

// sieve lets through the names of transactions that may come again: not of those that the place at which the stream begins holds. It remembers its
// last answer, since records of a transaction mostly lie side by side. It belongs to one goroutine.
type sieve struct {
	done *gtid.Set
	last []byte
	pass bool
}

func (s *sieve) passes(name []byte) bool {
	if s.done.Empty() {
		return true
	}
	if s.last == nil || string(s.last) != string(name) {
		s.last = append(s.last[:0], name...)
		g, err := gtid.ParseGTID(s.done.Flavor(), string(name))
		s.pass = err != nil || !s.done.Contains(g) // what is no GTID is a position
	}
	return s.pass
}
