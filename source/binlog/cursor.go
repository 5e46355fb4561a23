package binlog

import "encoding/binary"

// cursor reads the fields of an event from the front of b. The first read beyond the end sets bad, and all later ones give zeros: callers
// check once, at the end of a group of fields. No length found in the data is believed before it was compared with what is there.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.b, c.bad = nil, true
		return nil
	}
	s := c.b[:n:n]
	c.b = c.b[n:]
	return s
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) u8() uint8 {
	if s := c.take(1); s != nil {
		return s[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if s := c.take(2); s != nil {
		return binary.LittleEndian.Uint16(s)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if s := c.take(4); s != nil {
		return binary.LittleEndian.Uint32(s)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if s := c.take(8); s != nil {
		return binary.LittleEndian.Uint64(s)
	}
	return 0
}

// uint reads a little-endian number of n bytes, at most 8.
func (c *cursor) uint(n int) uint64 {
	var v uint64
	for i, x := range c.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// lenenc reads a length-encoded integer (MySQL Internals, "Protocol::LengthEncodedInteger"). The NULL marker 0xfb and 0xff are malformed.
func (c *cursor) lenenc() uint64 {
	switch first := c.u8(); first {
	default:
		return uint64(first)
	case 0xfc:
		return uint64(c.u16())
	case 0xfd:
		return c.uint(3)
	case 0xfe:
		return c.u64()
	case 0xfb, 0xff:
		c.b, c.bad = nil, true
		return 0
	}
}

// length reads a length-encoded integer that counts bytes or items of at least one byte still to come.
func (c *cursor) length() int {
	n := c.lenenc()
	if n > uint64(len(c.b)) {
		c.b, c.bad = nil, true
		return 0
	}
	return int(n)
}

// text reads a length-encoded string.
func (c *cursor) text() []byte { return c.take(c.length()) }

// varlen reads an unsigned integer of the server's serialization library: the number of ones at the low end of the first byte is the number
// of further bytes (MySQL source documentation, "Library: Serialization").
func (c *cursor) varlen() uint64 {
	v, bits := c.varlenBits()
	if bits == 72 { // nine bytes: the first one only says so
		return v
	}
	return v >> (bits / 8)
}

// varlenSigned reads a signed integer of that library: the lowest bit of the value says negative, the others then hold -1 - value.
func (c *cursor) varlenSigned() int64 {
	v := c.varlen()
	if v&1 == 0 {
		return int64(v >> 1)
	}
	return -1 - int64(v>>1)
}

func (c *cursor) varlenBits() (v uint64, bits int) {
	if len(c.b) == 0 {
		c.bad = true
		return 0, 8
	}
	n := 0
	for first := c.b[0]; first&1 != 0; first >>= 1 {
		n++
	}
	if n == 8 {
		c.skip(1)
		return c.u64(), 72
	}
	return c.uint(n + 1), 8 * (n + 1)
}
