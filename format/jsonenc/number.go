package jsonenc

import (
	"bytes"
	"math"
	"strconv"

	"cdc/event/sqltext"
)

// AppendInt appends a number.
func AppendInt(dst []byte, v int64) []byte { return sqltext.AppendInt(dst, v) }

// AppendUint appends a number.
func AppendUint(dst []byte, v uint64) []byte { return sqltext.AppendUint(dst, v) }

// digits are the numbers 00 to 99.
const digits = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849" +
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// AppendFloat appends the shortest number that reads back as f, which has so many bits (32 or 64), with an exponent below 1e-6 and from 1e21
// on, as ECMAScript and encoding/json write it. f must be finite.
func AppendFloat(dst []byte, f float64, size int) []byte {
	abs := math.Abs(f)
	if out, ok := sqltext.AppendShort(dst, f, size); ok {
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

// AppendJavaFloat appends f, which has so many bits (32 or 64), as Float.toString and Double.toString of Java write it, and with them every
// JSON library there: with a point always, between 1e-3 and 1e7 without an exponent, else as 1.0E10. The digits are the shortest that read
// back as f, at least two (Java 19 and later; before, Java sometimes wrote one more than needed). f must be finite.
func AppendJavaFloat(dst []byte, f float64, size int) []byte {
	abs := math.Abs(f)
	if abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		if out, ok := sqltext.AppendShort(dst, f, size); ok {
			if bytes.IndexByte(out[start:], '.') < 0 {
				out = append(out, '.', '0')
			}
			return out
		}
		dst = strconv.AppendFloat(dst, f, 'f', -1, size)
		point := bytes.IndexByte(dst[start:], '.')
		if point < 0 {
			return append(dst, '.', '0')
		}
		return nearest(dst, start, f, 'f', len(dst)-start-point-1, size)
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
	default:
		s = nearest(s, 0, f, 'e', e-point-1, size)
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

// nearest writes the number behind start again where strconv's shortest digits may not be the nearest to f of so many, or not the even ones of
// two that are as near: at powers of two. Java takes those. prec and format are of strconv.
func nearest(dst []byte, start int, f float64, format byte, prec, size int) []byte {
	if math.Float64bits(f)<<12 != 0 {
		return dst
	}
	var buf [32]byte
	s := strconv.AppendFloat(buf[:0], f, format, prec, size)
	if back, err := strconv.ParseFloat(string(s), size); err == nil && back == f {
		return append(dst[:start], s...)
	}
	return dst
}
