package celltext

import "strconv"

// digitsOfFloat is how many digits the server prints of a FLOAT (FLT_DIG), which may be fewer than it takes to read it back.
const digitsOfFloat = 6

// AppendDouble appends a double as the server prints it: the shortest digits that read back as the same number, with an exponent where the
// point would be more than 14 places left or 15 right of the first digit.
func AppendDouble(dst []byte, v float64) []byte { return gcvt(dst, v, -1) }

// AppendFloat appends a FLOAT as the server prints it, to six digits.
func AppendFloat(dst []byte, v float32) []byte { return gcvt(dst, float64(v), digitsOfFloat-1) }

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
		return strconv.AppendInt(dst, int64(exp), 10)
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

// padded appends v with zeros in front to a width.
func padded(dst []byte, v uint64, width int) []byte {
	var buf [20]byte
	s := strconv.AppendUint(buf[:0], v, 10)
	for range width - len(s) {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}
