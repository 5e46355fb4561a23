package jsonenc

import (
	"bytes"
	"math"
	"math/bits"
	"slices"
	"strconv"
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

// AppendFloat appends the shortest number that reads back as f, which has so many bits (32 or 64), with an exponent below 1e-6 and from 1e21
// on, as ECMAScript and encoding/json write it. f must be finite.
func AppendFloat(dst []byte, f float64, size int) []byte {
	abs := math.Abs(f)
	if out, ok := appendShort(dst, f, size); ok {
		return out
	}
	if abs != 0 && (size == 64 && (abs < 1e-6 || abs >= 1e21) || size == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'e', -1, size)
		// e-09 becomes e-9
		if n := len(dst); n-start >= 4 && dst[n-4] == 'e' && (dst[n-3] == '-' || dst[n-3] == '+') && dst[n-2] == '0' {
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, size)
}

// appendShort appends a number of at most four digits behind the point and fifteen (six of a FLOAT's) in all, as most are that people put
// into tables. Numbers of so few digits are all different as floats, so that if n/10^k is f, no shorter number is.
func appendShort(dst []byte, f float64, size int) ([]byte, bool) {
	limit := 1e15
	if size == 32 {
		limit = 1e6
	}
	if f == 0 || !(math.Abs(f) < limit) {
		return dst, false
	}
	scale := 1.0
	for k := range 5 {
		m := f * scale
		if m > limit || m < -limit {
			return dst, false
		}
		n := int64(math.Round(m))
		if size == 64 && float64(n)/scale == f || size == 32 && float32(float64(n)/scale) == float32(f) {
			if n < 0 {
				dst = append(dst, '-')
				n = -n
			}
			if k == 0 {
				return AppendUint(dst, uint64(n)), true
			}
			whole := uint64(n) / pow10[k]
			dst = AppendUint(dst, whole)
			rest := uint64(n) - whole*pow10[k]
			dst = append(dst, '.')
			for k--; k >= 0; k-- {
				d := rest / pow10[k]
				rest -= d * pow10[k]
				dst = append(dst, byte('0'+d))
			}
			return dst, true
		}
		scale *= 10
	}
	return dst, false
}

// AppendJavaFloat appends f, which has so many bits (32 or 64), as Float.toString and Double.toString of Java write it, and with them every
// JSON library there: with a point always, between 1e-3 and 1e7 without an exponent, else as 1.0E10. The digits are the shortest that read
// back as f, at least two (Java 19 and later; before, Java sometimes wrote one more than needed). f must be finite.
func AppendJavaFloat(dst []byte, f float64, size int) []byte {
	abs := math.Abs(f)
	if abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		if out, ok := appendShort(dst, f, size); ok {
			if bytes.IndexByte(out[start:], '.') < 0 {
				out = append(out, '.', '0')
			}
			return out
		}
		dst = strconv.AppendFloat(dst, f, 'f', -1, size)
		point := bytes.IndexByte(dst[start:], '.')
		switch {
		case point < 0:
			dst = append(dst, '.', '0')
		case dst[len(dst)-1]&1 != 0: // halfway between two numbers of so many digits, Java takes the even one
			dst = strconv.AppendFloat(dst[:start], f, 'f', len(dst)-start-point-1, size)
		}
		return dst
	}
	if f == 0 {
		if math.Signbit(f) {
			return append(dst, "-0.0"...)
		}
		return append(dst, "0.0"...)
	}
	var buf [32]byte
	s := strconv.AppendFloat(buf[:0], f, 'e', -1, size)
	e := bytes.IndexByte(s, 'e')
	switch point := bytes.IndexByte(s, '.'); {
	case point < 0:
		s = strconv.AppendFloat(buf[:0], f, 'e', 1, size) // one digit is not enough: the nearest number of two, 4.9E-324
	case s[e-1]&1 != 0:
		s = strconv.AppendFloat(buf[:0], f, 'e', e-point-1, size)
	}
	e = bytes.IndexByte(s, 'e')
	dst = append(dst, s[:e]...)
	dst = append(dst, 'E')
	if s[e+1] == '-' {
		dst = append(dst, '-')
	}
	exp := s[e+2:]
	if exp[0] == '0' {
		exp = exp[1:]
	}
	return append(dst, exp...)
}
