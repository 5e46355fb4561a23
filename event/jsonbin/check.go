package jsonbin

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
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
	case smallObject, largeObject, smallArray, largeArray:
		return c.container(b, t == largeObject || t == largeArray, t == smallObject || t == largeObject, depth)
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
		if !ok || !validUTF8(s) {
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

func (c *checker) container(b []byte, large, object bool, depth int) bool {
	d, ok := open(b, large, object)
	if !ok || depth > maxDepth {
		return false
	}
	if large {
		c.left -= d.values + 5*d.count
	} else {
		c.left -= d.values + 3*d.count
	}
	if object {
		for i := range d.count {
			key, ok := d.key(i)
			if c.left -= len(key); !ok || c.left < 0 || !validUTF8(key) {
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

// validUTF8 looks at eight bytes at a time, as long as they are ASCII.
func validUTF8(s []byte) bool {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if binary.LittleEndian.Uint64(s[i:])&highBits != 0 {
			return utf8.Valid(s[i:])
		}
	}
	for ; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return utf8.Valid(s[i:])
		}
	}
	return true
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
