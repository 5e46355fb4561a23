package parquet

import (
	"encoding/binary"
	"math/bits"

	"cdc/fault"
)

// decimal appends a DECIMAL, given as MySQL prints it: its unscaled value, the number without its point, as an integer, or as big-endian two's complement where it has
// more than 18 digits (Parquet, "DECIMAL"). One that no reader holds is appended as the text that it is.
func decimal(dst []byte, col *column, text []byte) ([]byte, error) {
	if col.phys == byteArray {
		return appendBytes(dst, text), nil
	}
	s := text
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	var hi, lo uint64
	digits, frac, point := 0, 0, false
	step := func(d uint64) {
		h, l := bits.Mul64(lo, 10)
		var carry uint64
		lo, carry = bits.Add64(l, d, 0)
		hi = hi*10 + h + carry
		if digits > 0 || d > 0 {
			digits++
		}
	}
	bad := len(s) == 0
	for _, c := range s {
		if c == '.' && !point {
			point = true
			continue
		}
		d := uint64(c - '0')
		if d > 9 {
			bad = true
			break
		}
		step(d)
		if point {
			frac++
		}
	}
	for ; frac < col.scale; frac++ {
		step(0)
	}
	if bad || frac > col.scale || digits > int(col.def.Precision) {
		return dst, fault.New(fault.FormatValue, "column %s: the value is not a decimal of %d digits, %d of them behind the point", col.def.Name, col.def.Precision, col.scale)
	}
	if neg {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	if col.phys != fixed {
		return number(dst, col, int64(lo)), nil
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return append(dst, b[16-col.width:]...), nil
}
