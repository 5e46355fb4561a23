package jsonenc

import (
	"bytes"
	"math"
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

// AppendUint appends a number: two digits at a time, written from the end of a small buffer.
func AppendUint(dst []byte, v uint64) []byte {
	if v < 10 {
		return append(dst, byte('0'+v))
	}
	if v < 100 {
		return append(dst, digits[2*v], digits[2*v+1])
	}
	var buf [20]byte
	i := len(buf)
	for v >= 100 {
		q := v / 100
		r := (v - q*100) * 2
		v = q
		i -= 2
		buf[i], buf[i+1] = digits[r], digits[r+1]
	}
	if v >= 10 {
		i -= 2
		buf[i], buf[i+1] = digits[2*v], digits[2*v+1]
	} else {
		i--
		buf[i] = byte('0' + v)
	}
	return append(dst, buf[i:]...)
}

// digits are the numbers 00 to 99.
const digits = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849" +
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// AppendFloat appends the shortest number that reads back as f, which has so many bits (32 or 64), with an exponent below 1e-6 and from 1e21
// on, as ECMAScript and encoding/json write it. f must be finite.
func AppendFloat(dst []byte, f float64, bits int) []byte {
	abs := math.Abs(f)
	if abs != 0 && (bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
		// e-09 becomes e-9
		if n := len(dst); n-start >= 4 && dst[n-4] == 'e' && (dst[n-3] == '-' || dst[n-3] == '+') && dst[n-2] == '0' {
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

// AppendJavaFloat appends f, which has so many bits (32 or 64), as Float.toString and Double.toString of Java write it, and with them every
// JSON library there: with a point always, between 1e-3 and 1e7 without an exponent, else as 1.0E10. The digits are the shortest that read
// back as f, at least two (Java 19 and later; before, Java sometimes wrote one more than needed). f must be finite.
func AppendJavaFloat(dst []byte, f float64, bits int) []byte {
	abs := math.Abs(f)
	if abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, bits)
		if bytes.IndexByte(dst[start:], '.') < 0 {
			dst = append(dst, '.', '0')
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
	s := strconv.AppendFloat(buf[:0], f, 'e', -1, bits)
	if bytes.IndexByte(s, '.') < 0 {
		s = strconv.AppendFloat(buf[:0], f, 'e', 1, bits) // one digit is not enough: the nearest number of two, 4.9E-324
	}
	e := bytes.IndexByte(s, 'e')
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
