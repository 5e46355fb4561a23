package jsonbin

import (
	"encoding/binary"
	"errors"
)

// Op is what a difference does.
type Op uint8

// The operations of a vector of differences, as the server numbers them.
const (
	Replace Op = iota // the value at a path that exists
	Insert            // a member of an object, or an element before that place in an array
	Remove            // the value at a path
)

var opNames = [...]string{"replace", "insert", "remove"}

func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "invalid"
}

// Diff is one difference. Path and Value are views of the vector.
type Diff struct {
	Op    Op
	Path  []byte // such as $.a[3]
	Value []byte // a binary document, nil for Remove
}

var errDiff = errors.New("malformed vector of json differences")

// Next takes the first difference off a vector, which must not be empty, and gives the rest.
func Next(b []byte) (d Diff, rest []byte, err error) {
	if len(b) == 0 || b[0] > byte(Remove) {
		return Diff{}, nil, errDiff
	}
	d.Op, b = Op(b[0]), b[1:]
	var ok bool
	if d.Path, b, ok = lenencBytes(b); !ok {
		return Diff{}, nil, errDiff
	}
	if d.Op == Remove {
		return d, b, nil
	}
	if d.Value, b, ok = lenencBytes(b); !ok {
		return Diff{}, nil, errDiff
	}
	return d, b, nil
}

// lenencBytes takes a string with a length-encoded length off b.
func lenencBytes(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	var n uint64
	size := 1
	switch x := b[0]; {
	case x < 0xfb:
		n = uint64(x)
	case x == 0xfc && len(b) >= 3:
		n, size = uint64(binary.LittleEndian.Uint16(b[1:])), 3
	case x == 0xfd && len(b) >= 4:
		n, size = uint64(b[1])|uint64(b[2])<<8|uint64(b[3])<<16, 4
	case x == 0xfe && len(b) >= 9:
		n, size = binary.LittleEndian.Uint64(b[1:]), 9
	default:
		return nil, nil, false
	}
	if b = b[size:]; n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}
