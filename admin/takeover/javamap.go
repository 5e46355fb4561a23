package takeover

import (
	"encoding/binary"
	"errors"
)

// Parts of Java's stream of objects.
const (
	javaMagic     = "\xac\xed\x00\x05"
	javaNull      = 0x70
	javaReference = 0x71
	javaClass     = 0x72
	javaObject    = 0x73
	javaArray     = 0x75
	javaBlock     = 0x77
	javaEnd       = 0x78

	javaFirstHandle = 0x7e0000
	javaMostEntries = 1 << 20
)

var errJava = errors.New("it is not a HashMap of byte arrays, as Kafka Connect writes it")

// javaPair is an entry of the map; nil is null.
type javaPair struct{ key, value []byte }

// javaMap reads a serialized java.util.HashMap<byte[], byte[]>. The rest of Java's serialization is not understood, and refused.
func javaMap(data []byte) ([]javaPair, error) {
	r := javaReader{b: data}
	if string(r.take(len(javaMagic))) != javaMagic || r.byte() != javaObject || r.class("java.util.HashMap") == nil {
		return nil, errJava
	}
	r.handles = append(r.handles, nil) // the map itself
	r.take(4 + 4)                      // its fields: loadFactor and threshold
	if r.byte() != javaBlock || r.byte() != 8 {
		return nil, errJava
	}
	r.take(4) // how many buckets there are
	n := r.uint32()
	if n > javaMostEntries {
		return nil, errJava
	}
	var out []javaPair
	for range n {
		p := javaPair{key: r.array(), value: r.array()}
		if r.bad {
			return nil, errJava
		}
		out = append(out, p)
	}
	if r.byte() != javaEnd || r.bad || len(r.b) > 0 {
		return nil, errJava
	}
	return out, nil
}

// javaReader takes bytes off the front; what is missing or does not fit makes it bad, for good.
type javaReader struct {
	b       []byte
	bad     bool
	handles []any // what was numbered: *javaClassDesc, []byte, or nil for what nothing may refer to
}

type javaClassDesc struct{ name string }

func (r *javaReader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *javaReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *javaReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *javaReader) text() string {
	if b := r.take(2); b != nil {
		return string(r.take(int(binary.BigEndian.Uint16(b))))
	}
	return ""
}

// reference gives what a number stands for.
func (r *javaReader) reference() any {
	n := r.uint32() - javaFirstHandle
	if r.bad || n >= uint32(len(r.handles)) {
		r.bad = true
		return nil
	}
	return r.handles[n]
}

// class takes the description of a class, which must be that of name; nil where it is not.
func (r *javaReader) class(name string) *javaClassDesc {
	switch r.byte() {
	case javaReference:
		if c, ok := r.reference().(*javaClassDesc); ok && c.name == name {
			return c
		}
	case javaClass:
		c := &javaClassDesc{name: r.text()}
		r.handles = append(r.handles, c)
		r.take(8 + 1) // serialVersionUID, flags
		fields := r.take(2)
		if r.bad || c.name != name {
			break
		}
		for range binary.BigEndian.Uint16(fields) {
			kind := r.byte()
			r.text()
			if kind == 'L' || kind == '[' { // the name of its class is an object; a HashMap and an array have no such field
				r.bad = true
			}
			if r.bad {
				return nil
			}
		}
		if r.byte() == javaEnd && r.byte() == javaNull && !r.bad { // no annotation, no superclass
			return c
		}
	}
	r.bad = true
	return nil
}

// array takes a byte array.
func (r *javaReader) array() []byte {
	switch r.byte() {
	case javaNull:
		return nil
	case javaReference:
		if b, ok := r.reference().([]byte); ok {
			return b
		}
	case javaArray:
		if r.class("[B") == nil {
			break
		}
		b := r.take(int(r.uint32()))
		r.handles = append(r.handles, b)
		return b
	}
	r.bad = true
	return nil
}
