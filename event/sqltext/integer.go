package sqltext

import (
	"math/bits"
	"slices"
)

// AppendInt appends a number.
func AppendInt(dst []byte, v int64) []byte {
	if v < 0 {
		dst = append(dst, '-')
		return AppendUint(dst, -uint64(v))
	}
	return AppendUint(dst, uint64(v))
}

// AppendUint appends a number: it is written in place, two digits at a time from its end.
func AppendUint(dst []byte, v uint64) []byte {
	if v < 10 {
		return append(dst, byte('0'+v))
	}
	n := decimalLen(v)
	start := len(dst)
	if cap(dst)-start < 20 {
		dst = slices.Grow(dst, 20)
	}
	b := dst[start : start+n]
	i := n
	for v >= 100 {
		q := v / 100
		r := (v - q*100) * 2
		v = q
		i -= 2
		b[i+1], b[i] = digits[r+1], digits[r]
	}
	if v >= 10 {
		b[1], b[0] = digits[2*v+1], digits[2*v]
	} else {
		b[0] = byte('0' + v)
	}
	return dst[:start+n]
}

// decimalLen is how many digits v has. The number of bits gives it but for one: 1233/4096 is a little more than log10(2).
func decimalLen(v uint64) int {
	n := bits.Len64(v) * 1233 >> 12
	if v >= pow10[n] {
		n++
	}
	return n
}

// pow10 are the powers of ten that fit 64 bits.
var pow10 = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// digits are the numbers 00 to 99.
const digits = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849" +
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"
