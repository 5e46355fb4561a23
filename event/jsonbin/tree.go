package jsonbin

import "encoding/binary"

// container is an object or an array: number of elements and size in bytes, for objects the offset and length of each key, then for each value
// its type and either its offset or, if it is small enough, itself. Numbers are of two bytes, in the large form of four. Offsets count from the
// start of b.
type container struct {
	b      []byte // as long as the size says
	count  int
	values int // offset of the entries of the values
	large  bool
}

// open reads the head of a container at the start of b; false where b does not hold all its entries.
func open(b []byte, large, object bool) (c container, ok bool) {
	var count, size, head, key, entry uint64
	if large {
		if len(b) < 8 {
			return c, false
		}
		count, size, head, key, entry = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:])), 8, 6, 5
	} else {
		if len(b) < 4 {
			return c, false
		}
		count, size, head, key, entry = uint64(binary.LittleEndian.Uint16(b)), uint64(binary.LittleEndian.Uint16(b[2:])), 4, 4, 3
	}
	values := head
	if object {
		values += key * count
	}
	if size > uint64(len(b)) || values+entry*count > size {
		return c, false
	}
	return container{b: b[:size], count: int(count), values: int(values), large: large}, true
}

// key gives the key of element i of an object.
func (c *container) key(i int) ([]byte, bool) {
	var off, n int
	if c.large {
		entry := c.b[8+6*i:]
		off, n = int(binary.LittleEndian.Uint32(entry)), int(binary.LittleEndian.Uint16(entry[4:]))
	} else {
		entry := c.b[4+4*i:]
		off, n = int(binary.LittleEndian.Uint16(entry)), int(binary.LittleEndian.Uint16(entry[2:]))
	}
	if off > len(c.b) || n > len(c.b)-off {
		return nil, false
	}
	return c.b[off : off+n], true
}

// value gives the type of element i and the bytes at whose start its value is.
func (c *container) value(i int) (t byte, v []byte, ok bool) {
	var off int
	if c.large {
		entry := c.b[c.values+5*i:][:5]
		if t = entry[0]; inlined(t, true) {
			return t, entry[1:], true
		}
		off = int(binary.LittleEndian.Uint32(entry[1:]))
	} else {
		entry := c.b[c.values+3*i:][:3]
		if t = entry[0]; inlined(t, false) {
			return t, entry[1:], true
		}
		off = int(binary.LittleEndian.Uint16(entry[1:]))
	}
	if off > len(c.b) {
		return t, nil, false
	}
	return t, c.b[off:], true
}

// inlined tells the types whose values stand in the entry itself.
func inlined(t byte, large bool) bool {
	switch t {
	case literal, int16Value, uint16Value:
		return true
	case int32Value, uint32Value:
		return large
	}
	return false
}

// varString reads a string behind a length of one to five bytes with seven bits each, the lowest first.
func varString(b []byte) ([]byte, bool) {
	var n uint64
	for i, x := range b {
		if i == 5 {
			return nil, false
		}
		n |= uint64(x&0x7f) << (7 * i)
		if x < 0x80 {
			b = b[i+1:]
			if n > uint64(len(b)) {
				return nil, false
			}
			return b[:n], true
		}
	}
	return nil, false
}
