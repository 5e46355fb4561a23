package jsonenc

import (
	"encoding/base64"
	"math/big"
	"math/bits"
)

// AppendBase64 appends a JSON string of standard base64 with padding.
func AppendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendBase64URL is AppendBase64 with the alphabet that is safe in a URL.
func AppendBase64URL(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.URLEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendHex appends a JSON string of lower-case hex digits.
func AppendHex(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range b {
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return append(dst, '"')
}

// AppendUnscaled appends a DECIMAL, given as MySQL prints it, as a JSON string of the base64 of its unscaled value: the number without its
// point, in the fewest bytes of big-endian two's complement, as Java's BigInteger.toByteArray gives it. scale is how many digits behind the
// point the reader expects; text with fewer is filled up. ok is false, and dst as it was, where text is no decimal or has more digits there.
func AppendUnscaled(dst, text []byte, scale int) (out []byte, ok bool) {
	s := text
	neg := false
	if len(s) > 0 && s[0] == '-' {
		neg, s = true, s[1:]
	}
	if len(s) == 0 {
		return dst, false
	}
	var hi, lo uint64 // the digits so far, 128 bits
	point, n := -1, 0
	for i, c := range s {
		if c == '.' && point < 0 {
			point = i
			continue
		}
		d := uint64(c - '0')
		if d > 9 {
			return dst, false
		}
		n++
		if n > 38 { // 10^38 < 2^127 is the last that is sure to fit
			return appendLarge(dst, text, scale)
		}
		if hi == 0 && lo < 1<<60 {
			lo = lo*10 + d
			continue
		}
		hi, lo = mul10(hi, lo, d)
	}
	frac := 0
	if point >= 0 {
		frac = len(s) - point - 1
	}
	if n == 0 || frac > scale {
		return dst, false
	}
	for ; frac < scale; frac++ {
		n++
		if n > 38 {
			return appendLarge(dst, text, scale)
		}
		hi, lo = mul10(hi, lo, 0)
	}
	if hi == 0 && lo < 1<<63 {
		v := int64(lo)
		if neg {
			v = -v
		}
		return appendTwos(dst, v), true
	}
	if neg {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	return AppendBase64(dst, twos(hi, lo, new([16]byte))), true
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// appendTwos appends the base64 of the fewest bytes of two's complement that hold v.
func appendTwos(dst []byte, v int64) []byte {
	n := (bits.Len64(uint64(v^v>>63)) + 1 + 7) / 8 // a bit for the sign
	u := uint64(v) << (64 - 8*n)                   // the first byte on top
	dst = append(dst, '"')
	for ; n >= 3; n -= 3 {
		dst = append(dst, base64Digits[u>>58], base64Digits[u>>52&63], base64Digits[u>>46&63], base64Digits[u>>40&63])
		u <<= 24
	}
	switch n {
	case 1:
		dst = append(dst, base64Digits[u>>58], base64Digits[u>>52&63], '=', '=')
	case 2:
		dst = append(dst, base64Digits[u>>58], base64Digits[u>>52&63], base64Digits[u>>46&63], '=')
	}
	return append(dst, '"')
}

func mul10(hi, lo, d uint64) (uint64, uint64) {
	h, l := bits.Mul64(lo, 10)
	l, carry := bits.Add64(l, d, 0)
	return hi*10 + h + carry, l
}

// twos gives the fewest bytes that hold a 128-bit two's complement number with its sign.
func twos(hi, lo uint64, buf *[16]byte) []byte {
	for i := range 8 {
		buf[i] = byte(hi >> (56 - 8*i))
		buf[8+i] = byte(lo >> (56 - 8*i))
	}
	i := 0
	for i < 15 && (buf[i] == 0 && buf[i+1] < 0x80 || buf[i] == 0xff && buf[i+1] >= 0x80) {
		i++
	}
	return buf[i:]
}

// appendLarge is AppendUnscaled for numbers of more than 38 digits, which do not fit 128 bits.
func appendLarge(dst, text []byte, scale int) ([]byte, bool) {
	plain := make([]byte, 0, len(text)+scale)
	frac, point := 0, false
	for i, c := range text {
		switch {
		case c == '.' && !point:
			point = true
			continue
		case c >= '0' && c <= '9':
			if point {
				frac++
			}
		case c != '-' || i > 0:
			return dst, false
		}
		plain = append(plain, c)
	}
	if frac > scale {
		return dst, false
	}
	for ; frac < scale; frac++ {
		plain = append(plain, '0')
	}
	n, ok := new(big.Int).SetString(string(plain), 10)
	if !ok {
		return dst, false
	}
	return AppendBase64(dst, bigTwos(n)), true
}

// bigTwos gives the fewest bytes of two's complement.
func bigTwos(n *big.Int) []byte {
	if n.Sign() >= 0 {
		b := n.Bytes()
		if len(b) == 0 || b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	// -n in k bytes is 2^(8k) - n; k is enough where n-1 has fewer than 8k bits.
	m := new(big.Int).Not(n)
	k := uint(m.BitLen()/8 + 1)
	b := new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), 8*k)).Bytes()
	return b
}

// AppendUnscaledUint is AppendUnscaled of a whole number.
func AppendUnscaledUint(dst []byte, v uint64) []byte {
	return AppendBase64(dst, twos(0, v, new([16]byte)))
}
