package maxwell

import (
	"encoding/binary"
	"math"
	"strconv"
)

// appendWKT appends the text of a spatial value: OGC's Well-Known Text, spelled as the JTS library of Java does ("POINT (1 2)", "MULTIPOINT
// ((1 2), (3 4))"). ok is false where wkb is not one whole value in WKB (OGC 06-103r4, section 8), or a coordinate is not finite.
func appendWKT(dst, wkb []byte) (out []byte, ok bool) {
	r := wkbReader{b: wkb, ok: true}
	dst = r.geometry(dst, 0)
	return dst, r.ok && len(r.b) == 0
}

var wktNames = [...]string{"", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"}

type wkbReader struct {
	b   []byte
	big bool
	ok  bool
}

func (r *wkbReader) take(n int) []byte {
	if !r.ok || len(r.b) < n {
		r.ok = false
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *wkbReader) uint() uint32 {
	b := r.take(4)
	switch {
	case b == nil:
		return 0
	case r.big:
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// header reads byte order and type.
func (r *wkbReader) header() uint32 {
	if b := r.take(1); b != nil {
		r.big = b[0] == 0
	}
	return r.uint()
}

func (r *wkbReader) number(dst []byte) []byte {
	b := r.take(8)
	if b == nil {
		return dst
	}
	bits := binary.LittleEndian.Uint64(b)
	if r.big {
		bits = binary.BigEndian.Uint64(b)
	}
	f := math.Float64frombits(bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		r.ok = false
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

func (r *wkbReader) coordinate(dst []byte) []byte { return r.number(append(r.number(dst), ' ')) }

// list appends n times what one does, in brackets with commas, or EMPTY.
func (r *wkbReader) list(dst []byte, n uint32, one func([]byte) []byte) []byte {
	if n == 0 {
		return append(dst, "EMPTY"...)
	}
	dst = append(dst, '(')
	for i := uint32(0); i < n && r.ok; i++ {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = one(dst)
	}
	return append(dst, ')')
}

func (r *wkbReader) points(dst []byte) []byte { return r.list(dst, r.uint(), r.coordinate) }
func (r *wkbReader) rings(dst []byte) []byte  { return r.list(dst, r.uint(), r.points) }

// member reads an element of a multi-value, which has a header of its own.
func (r *wkbReader) member(typ uint32, body func([]byte) []byte) func([]byte) []byte {
	return func(dst []byte) []byte {
		if r.header() != typ {
			r.ok = false
			return dst
		}
		return body(dst)
	}
}

// maxDepth of collections in collections, which a server bounds by itself.
const maxDepth = 64

func (r *wkbReader) geometry(dst []byte, depth int) []byte {
	typ := r.header()
	if typ == 0 || typ >= uint32(len(wktNames)) || depth > maxDepth {
		r.ok = false
		return dst
	}
	dst = append(append(dst, wktNames[typ]...), ' ')
	point := func(dst []byte) []byte { return append(r.coordinate(append(dst, '(')), ')') }
	switch typ {
	case 1:
		return point(dst)
	case 2:
		return r.points(dst)
	case 3:
		return r.rings(dst)
	case 4:
		return r.list(dst, r.uint(), r.member(1, point))
	case 5:
		return r.list(dst, r.uint(), r.member(2, r.points))
	case 6:
		return r.list(dst, r.uint(), r.member(3, r.rings))
	}
	return r.list(dst, r.uint(), func(dst []byte) []byte { return r.geometry(dst, depth+1) })
}
