package jsonbin

import (
	"bytes"
	"encoding/binary"
)

// Equal reports that two binary documents are the same document, so that they have the same text. Their bytes may differ nevertheless: an update
// in place leaves gaps, offsets may be small or large, and numbers of two bytes stand in their entry or outside of it. A malformed document
// equals nothing but its own bytes.
func Equal(x, y []byte) bool {
	if bytes.Equal(x, y) {
		return true
	}
	null := []byte{literal, literalNull} // the empty document
	if len(x) == 0 {
		x = null
	}
	if len(y) == 0 {
		y = null
	}
	e := equality{left: len(x) + len(y)}
	return e.value(x[0], x[1:], y[0], y[1:], 1)
}

// equality compares values; left is how many more may be looked at, which stops documents whose values overlap.
type equality struct{ left int }

func (e *equality) value(t byte, x []byte, u byte, y []byte, depth int) bool {
	if e.left--; e.left < 0 {
		return false
	}
	switch t {
	case smallObject, largeObject:
		return (u == smallObject || u == largeObject) && e.container(x, t == largeObject, y, u == largeObject, true, depth)
	case smallArray, largeArray:
		return (u == smallArray || u == largeArray) && e.container(x, t == largeArray, y, u == largeArray, false, depth)
	case int16Value, uint16Value, int32Value, uint32Value, int64Value, uint64Value:
		n, below, ok := integer(t, x)
		m, under, fine := integer(u, y)
		return ok && fine && n == m && below == under
	case literal:
		return u == t && len(x) > 0 && len(y) > 0 && x[0] == y[0]
	case doubleValue:
		return u == t && len(x) >= 8 && len(y) >= 8 && bytes.Equal(x[:8], y[:8])
	case stringValue:
		return u == t && sameString(x, y)
	case opaqueValue:
		return u == t && len(x) > 0 && len(y) > 0 && x[0] == y[0] && sameString(x[1:], y[1:])
	}
	return false
}

// container compares objects or arrays. The keys of an object stand in an order that depends on them alone.
func (e *equality) container(x []byte, xLarge bool, y []byte, yLarge, object bool, depth int) bool {
	a, ok := open(x, xLarge, object)
	b, fine := open(y, yLarge, object)
	if !ok || !fine || a.count != b.count || depth > maxDepth {
		return false
	}
	for i := range a.count {
		if object {
			k, ok := a.key(i)
			l, fine := b.key(i)
			if !ok || !fine || !bytes.Equal(k, l) {
				return false
			}
		}
		t, v, ok := a.value(i)
		u, w, fine := b.value(i)
		if !ok || !fine || !e.value(t, v, u, w, depth+1) {
			return false
		}
	}
	return true
}

// integer reads a number of any width, in two's complement where it is below zero.
func integer(t byte, b []byte) (n uint64, below, ok bool) {
	var signed int64
	switch {
	case (t == int16Value || t == uint16Value) && len(b) >= 2:
		n = uint64(binary.LittleEndian.Uint16(b))
		signed = int64(int16(n))
	case (t == int32Value || t == uint32Value) && len(b) >= 4:
		n = uint64(binary.LittleEndian.Uint32(b))
		signed = int64(int32(n))
	case (t == int64Value || t == uint64Value) && len(b) >= 8:
		n = binary.LittleEndian.Uint64(b)
		signed = int64(n)
	default:
		return 0, false, false
	}
	if t == int16Value || t == int32Value || t == int64Value {
		return uint64(signed), signed < 0, true
	}
	return n, false, true
}

func sameString(x, y []byte) bool {
	s, ok := varString(x)
	r, fine := varString(y)
	return ok && fine && bytes.Equal(s, r)
}
