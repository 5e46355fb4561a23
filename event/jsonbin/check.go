package jsonbin

import (
	"encoding/binary"
	"math"

	"cdc/schemas/charset"
)

// Check finds what AppendText would find malformed, without writing anything; a document that passes has a text. It is stricter in one thing:
// its values together may not be larger than the document, as they would be if they overlapped. Those that a server writes never do.
func Check(doc []byte) error {
	if len(doc) == 0 {
		return nil
	}
	c := checker{left: len(doc) - 1}
	if !c.value(doc[0], doc[1:], 1) || c.left < 0 {
		return errDocument
	}
	return nil
}

// checker counts what values occupy outside of the entries that they stand in.
type checker struct{ left int }

func (c *checker) value(t byte, b []byte, depth int) bool {
	var size int
	switch t {
	case smallObject, smallArray:
		return c.small(b, t == smallObject, depth)
	case largeObject, largeArray:
		return c.large(b, t == largeObject, depth)
	case literal:
		size = 1
		if len(b) < 1 || b[0] > literalFalse {
			return false
		}
	case int16Value, uint16Value:
		size = 2
	case int32Value, uint32Value:
		size = 4
	case int64Value, uint64Value:
		size = 8
	case doubleValue:
		size = 8
		if len(b) < 8 {
			return false
		}
		if v := math.Float64frombits(binary.LittleEndian.Uint64(b)); math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	case stringValue:
		s, ok := varString(b)
		size = len(s)
		if !ok || !charset.ValidUTF8(s) {
			return false
		}
	case opaqueValue:
		if len(b) < 1 {
			return false
		}
		s, ok := varString(b[1:])
		size = len(s)
		if !ok || !validOpaque(b[0], s) {
			return false
		}
	default:
		return false
	}
	if depth == 1 || !inlined(t, true) {
		c.left -= size
	}
	return len(b) >= size && c.left >= 0
}

// small checks a container of the small form, which is how nearly all documents are written: what its entries say most often is looked at here,
// without the steps that container and value take.
func (c *checker) small(b []byte, object bool, depth int) bool {
	if len(b) < 4 || depth > maxDepth {
		return false
	}
	count, size := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	values := 4
	if object {
		values += 4 * count
	}
	end := values + 3*count
	if size > len(b) || end > size {
		return false
	}
	b = b[:size]
	left := c.left - end
	if object {
		if left = checkKeys(b, b[4:values], left); left < 0 {
			return false
		}
	}
	for entries := b[values:end]; len(entries) >= 3; entries = entries[3:] {
		t, off := entries[0], int(entries[1])|int(entries[2])<<8
		switch t {
		case int16Value, uint16Value:
			continue
		case literal:
			if entries[1] > literalFalse {
				return false
			}
			continue
		}
		if off > len(b) {
			return false
		}
		v := b[off:]
		switch t {
		case int32Value, uint32Value:
			if len(v) < 4 {
				return false
			}
		case int64Value, uint64Value:
			if left -= 8; len(v) < 8 || left < 0 {
				return false
			}
		case stringValue:
			n := 0
			if len(v) > 0 {
				n = int(v[0])
			}
			if n < 0x80 && n < len(v) {
				v = v[1 : 1+n]
			} else {
				var ok bool
				if v, ok = varString(v); !ok {
					return false
				}
			}
			if left -= len(v); left < 0 || !charset.ValidUTF8(v) {
				return false
			}
		default:
			c.left = left
			if !c.value(t, v, depth+1) {
				return false
			}
			left = c.left
		}
	}
	c.left = left
	return left >= 0
}

// checkKeys takes the lengths of an object's keys from left, and gives -1 where a key is not well-formed. Keys stand one behind the other, and
// where all of them are ASCII each is: they are looked at together.
func checkKeys(b, entries []byte, left int) int {
	first, next := -1, 0
	for e := entries; len(e) >= 4; e = e[4:] {
		off, n := int(binary.LittleEndian.Uint16(e)), int(binary.LittleEndian.Uint16(e[2:]))
		if first < 0 {
			first, next = off, off
		}
		if off != next || off+n > len(b) {
			return checkEachKey(b, entries, left)
		}
		next += n
	}
	if first >= 0 && !charset.ValidASCII(b[first:next]) {
		return checkEachKey(b, entries, left)
	}
	return left - (next - max(first, 0))
}

func checkEachKey(b, entries []byte, left int) int {
	for ; len(entries) >= 4; entries = entries[4:] {
		off, n := int(binary.LittleEndian.Uint16(entries)), int(binary.LittleEndian.Uint16(entries[2:]))
		if off+n > len(b) || n > left || !charset.ValidUTF8(b[off:off+n]) {
			return -1
		}
		left -= n
	}
	return left
}

// large checks a container of the large form.
func (c *checker) large(b []byte, object bool, depth int) bool {
	d, ok := open(b, true, object)
	if !ok || depth > maxDepth {
		return false
	}
	c.left -= d.values + 5*d.count
	if object {
		for i := range d.count {
			key, ok := d.key(i)
			if c.left -= len(key); !ok || c.left < 0 || !charset.ValidUTF8(key) {
				return false
			}
		}
	}
	for i := range d.count {
		t, v, ok := d.value(i)
		if !ok || !c.value(t, v, depth+1) {
			return false
		}
	}
	return c.left >= 0
}

func validOpaque(t byte, b []byte) bool {
	switch t {
	case sqlNewDecimal:
		var buf [96]byte
		_, ok := appendOpaqueDecimal(buf[:0], b)
		return ok
	case sqlDate, sqlTime, sqlDateTime, sqlTimestamp:
		return len(b) == 8
	}
	return true
}
