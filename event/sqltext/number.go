package sqltext

import (
	"math"
	"strconv"
)

// digitsOfFloat is how many digits the server prints of a FLOAT (FLT_DIG), which may be fewer than it takes to read it back.
const digitsOfFloat = 6

// AppendDouble appends a double as the server prints it: the shortest digits that read back as the same number, with an exponent where the
// point would be more than 14 places left or 15 right of the first digit.
func AppendDouble(dst []byte, v float64) []byte {
	if out, ok := AppendShort(dst, v, 64); ok {
		return out
	}
	return gcvt(dst, v, -1)
}

// AppendFloat appends a FLOAT as the server prints it, to six digits.
func AppendFloat(dst []byte, v float32) []byte { return gcvt(dst, float64(v), digitsOfFloat-1) }

// AppendShort appends a number of at most four digits behind the point and fifteen (of a FLOAT, size 32, six) in all, as most are that people
// put into tables. ok is false, and dst as it was, for other numbers and for 0. Numbers of so few digits are all different as floats, so that
// if n/10^k is f, no shorter number is.
func AppendShort(dst []byte, f float64, size int) (out []byte, ok bool) {
	limit := 1e15
	if size == 32 {
		limit = 1e6
	}
	abs := math.Abs(f)
	if f == 0 || !(abs < limit) {
		return dst, false
	}
	// What has fewer digits behind the point has four, too: one look is enough for all but the largest numbers.
	k, scale := 4, 1e4
	if abs*scale > limit {
		k, scale = 0, 1
	}
	for ; abs*scale <= limit; k, scale = k+1, scale*10 {
		n := uint64(math.Round(abs * scale))
		if back := float64(n) / scale; size == 64 && back == abs || size == 32 && float32(back) == float32(abs) {
			for ; k > 0 && n%10 == 0; k-- {
				n /= 10
			}
			if f < 0 {
				dst = append(dst, '-')
			}
			return appendPoint(dst, n, k), true
		}
		if k == 4 {
			break
		}
	}
	return dst, false
}

// appendPoint appends n/10^k, k at most 4.
func appendPoint(dst []byte, n uint64, k int) []byte {
	if k == 0 {
		return AppendUint(dst, n)
	}
	div := [...]uint64{1, 10, 100, 1000, 10000}[k]
	whole := n / div
	rest := n - whole*div
	dst = append(AppendUint(dst, whole), '.')
	for div /= 10; div > 0; div /= 10 {
		d := rest / div
		rest -= d * div
		dst = append(dst, byte('0'+d))
	}
	return dst
}

// gcvt is the server's my_gcvt; prec is that of strconv for the format 'e'. Go and the server both give the shortest digits that read back,
// so only the layout differs.
func gcvt(dst []byte, v float64, prec int) []byte {
	if v == 0 {
		if 1/v < 0 {
			dst = append(dst, '-')
		}
		return append(dst, '0')
	}
	var buf [32]byte
	s := strconv.AppendFloat(buf[:0], v, 'e', prec, 64)
	if s[0] == '-' {
		dst, s = append(dst, '-'), s[1:]
	}
	e := len(s) - 1
	for e > 0 && s[e] != 'e' {
		e--
	}
	if e == 0 { // no number: the server stores none
		return append(dst, s...)
	}
	exp := 0
	for _, c := range s[e+2:] {
		exp = exp*10 + int(c-'0')
	}
	if s[e+1] == '-' {
		exp = -exp
	}
	digits := s[:1]
	if e > 1 {
		s[1] = s[0] // over the point
		digits = s[1:e]
	}
	for len(digits) > 1 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	point := exp + 1 // places of the point right of the first digit
	switch {
	case point < -14 || point > 15:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(dst, '.')
			dst = append(dst, digits[1:]...)
		}
		dst = append(dst, 'e')
		return AppendInt(dst, int64(exp))
	case point <= 0:
		dst = append(dst, "0."...)
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return dst
	}
	dst = append(dst, digits[:point]...)
	dst = append(dst, '.')
	return append(dst, digits[point:]...)
}
