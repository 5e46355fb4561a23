package transform

import (
	"bytes"
	"math/big"
	"strings"
	"unsafe"
)

// Decimals are text as the server prints them: a sign, digits, a point and digits; no exponent.

// viewBytes looks at a string as bytes, which nobody changes.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// viewString looks at bytes as a string. They must not change while it is used.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// compareDecimals orders two decimals by their value, digit by digit.
func compareDecimals(x, y []byte) int {
	xn, xi, xf := partsOf(x)
	yn, yi, yf := partsOf(y)
	xz, yz := len(xi) == 0 && len(xf) == 0, len(yi) == 0 && len(yf) == 0
	switch {
	case xz && yz:
		return 0
	case xz:
		if yn {
			return 1
		}
		return -1
	case yz:
		if xn {
			return -1
		}
		return 1
	case xn != yn:
		if xn {
			return -1
		}
		return 1
	}
	var order int
	switch {
	case len(xi) != len(yi):
		order = 1
		if len(xi) < len(yi) {
			order = -1
		}
	default:
		if order = bytes.Compare(xi, yi); order == 0 {
			order = bytes.Compare(xf, yf) // without zeros at the end, a prefix is the smaller one
		}
	}
	if xn {
		return -order
	}
	return order
}

// partsOf takes a decimal apart, without zeros in front and at the end.
func partsOf(d []byte) (negative bool, whole, fraction []byte) {
	if len(d) > 0 && (d[0] == '-' || d[0] == '+') {
		negative, d = d[0] == '-', d[1:]
	}
	whole = d
	if i := bytes.IndexByte(d, '.'); i >= 0 {
		whole, fraction = d[:i], d[i+1:]
	}
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	for n := len(fraction); n > 0 && fraction[n-1] == '0'; n-- {
		fraction = fraction[:n-1]
	}
	return negative, whole, fraction
}

// isDecimalText reports text that is a decimal number without an exponent.
func isDecimalText(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	digits, point := 0, false
	for i := range len(s) {
		switch {
		case s[i] >= '0' && s[i] <= '9':
			digits++
		case s[i] == '.' && !point:
			point = true
		default:
			return false
		}
	}
	return digits > 0
}

// unscaled gives the digits of a decimal as a number, and how many of them stand behind the point.
func unscaled(s string) (*big.Int, int) {
	scale := 0
	if i := strings.IndexByte(s, '.'); i >= 0 {
		scale = len(s) - i - 1
		s = s[:i] + s[i+1:]
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return new(big.Int), 0
	}
	return n, scale
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// scaled makes a decimal of digits, so many of them behind the point.
func scaled(n *big.Int, scale int) value {
	if scale == 0 && n.IsInt64() {
		return integer(n.Int64())
	}
	s := new(big.Int).Abs(n).String()
	if scale > 0 {
		if pad := scale + 1 - len(s); pad > 0 {
			s = strings.Repeat("0", pad) + s
		}
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	}
	if n.Sign() < 0 {
		s = "-" + s
	}
	return value{class: isDecimal, s: s}
}

// rescale rounds a decimal to so many digits behind the point, half away from zero as the server does, and fills up with zeros.
func rescale(s string, scale int) string {
	n, have := unscaled(s)
	if have < scale {
		n.Mul(n, pow10(scale-have))
	}
	if have > scale {
		n.Quo(n, pow10(have-scale-1))
		n = roundLast(n)
	}
	v := scaled(n, scale)
	return v.decimalText()
}

// trimDecimal takes off the zeros at the end of the fraction, those in front, and the sign of zero: numbers that are equal become equal text.
func trimDecimal(dst []byte, d []byte) []byte {
	negative, whole, fraction := partsOf(d)
	if negative && len(whole)+len(fraction) > 0 {
		dst = append(dst, '-')
	}
	if len(whole) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, whole...)
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst
}
