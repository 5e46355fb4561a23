package sqltext

import (
	"encoding/binary"
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

// AppendUint appends a number: it is written in place, four digits at a time from its end.
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
	for v >= 10000 {
		q := v / 10000
		r := uint32(v - q*10000)
		v = q
		i -= 4
		high := r / 100
		binary.LittleEndian.PutUint32(b[i:], uint32(pairs[high])|uint32(pairs[r-high*100])<<16)
	}
	if v >= 100 {
		q := v / 100
		i -= 2
		binary.LittleEndian.PutUint16(b[i:], pairs[v-q*100])
		v = q
	}
	if v >= 10 {
		binary.LittleEndian.PutUint16(b, pairs[v])
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

// pairs are the numbers 00 to 99, each as two bytes that are stored at once.
var pairs = func() (t [100]uint16) {
	for i := range t {
		t[i] = binary.LittleEndian.Uint16([]byte(digits[2*i:]))
	}
	return t
}()

// digits are the numbers 00 to 99.
const digits = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849" +
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"
