package avro

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// appendLong appends a long or an int: zigzag, then seven bits a byte, the lowest first (Avro 1.12, "Primitive types").
func appendLong(dst []byte, v int64) []byte { return appendUvarint(dst, uint64(v)<<1^uint64(v>>63)) }

func appendUvarint(dst []byte, u uint64) []byte {
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

// appendBytes appends bytes or a string: the length as a long, then the bytes.
func appendBytes[B ~[]byte | ~string](dst []byte, b B) []byte {
	if len(b) < 64 {
		dst = append(dst, byte(len(b))<<1)
	} else {
		dst = appendUvarint(dst, uint64(len(b))<<1)
	}
	return append(dst, b...)
}

// appendDecimal appends a DECIMAL, given as MySQL prints it, as bytes of the logical type decimal: its unscaled value, the number without its
// point, in the fewest bytes of big-endian two's complement (Avro 1.12, "Decimal"). scale is how many digits behind the point the schema says;
// text with fewer is filled up. ok is false, and dst as it was, where text is no decimal or has more digits there.
func appendDecimal(dst, text []byte, scale int) (out []byte, ok bool) {
	s := text
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	var v uint64
	n, frac, point := 0, 0, false
	for _, c := range s {
		if c == '.' && !point {
			point = true
			continue
		}
		d := uint64(c - '0')
		if d > 9 {
			return dst, false
		}
		if n < 18 {
			v = v*10 + d
		}
		n++
		if point {
			frac++
		}
	}
	if n == 0 || frac > scale {
		return dst, false
	}
	if n+scale-frac > 18 { // 10^18 < 2^63 is the last that is sure to fit
		return appendLarge(dst, s, neg, scale-frac), true
	}
	for ; frac < scale; frac++ {
		v *= 10
	}
	w := int64(v)
	if neg {
		w = -w
	}
	return appendTwos(dst, w), true
}

// appendTwos appends the fewest bytes of two's complement that hold v.
func appendTwos(dst []byte, v int64) []byte {
	n := (bits.Len64(uint64(v^v>>63)) + 1 + 7) / 8 // a bit for the sign
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], uint64(v)<<(64-8*n))
	return append(append(dst, byte(n)<<1), buf[:n]...)
}

// appendUnsigned appends a whole number that may need a ninth byte for its sign.
func appendUnsigned(dst []byte, v uint64) []byte {
	if v>>63 == 0 {
		return appendTwos(dst, int64(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 9<<1, 0), v)
}

// appendLarge appends a number of digits, one of which may be a point, times ten to the power of fill. A DECIMAL has 65 digits at most, which are 217
// bits: the number is held in four words.
func appendLarge(dst, digits []byte, neg bool, fill int) []byte {
	if len(digits)+fill > 76 {
		return appendHuge(dst, digits, neg, fill)
	}
	var w [4]uint64 // the lowest first
	step := func(d uint64) {
		for i := range w {
			hi, lo := bits.Mul64(w[i], 10)
			var carry uint64
			w[i], carry = bits.Add64(lo, d, 0)
			d = hi + carry
		}
	}
	for _, c := range digits {
		if c != '.' {
			step(uint64(c - '0'))
		}
	}
	for range fill {
		step(0)
	}
	if neg {
		carry := uint64(1)
		for i := range w {
			w[i], carry = bits.Add64(^w[i], 0, carry)
		}
	}
	var buf [32]byte
	for i := range w {
		binary.BigEndian.PutUint64(buf[24-8*i:], w[i])
	}
	i := 0
	for i < 31 && (buf[i] == 0 && buf[i+1] < 0x80 || buf[i] == 0xff && buf[i+1] >= 0x80) {
		i++
	}
	return appendBytes(dst, buf[i:])
}

// appendHuge is appendLarge for numbers that no server has: what a transform makes.
func appendHuge(dst, digits []byte, neg bool, fill int) []byte {
	n, d := new(big.Int), new(big.Int)
	ten := big.NewInt(10)
	for _, c := range digits {
		if c != '.' {
			n.Add(n.Mul(n, ten), d.SetInt64(int64(c-'0')))
		}
	}
	n.Mul(n, d.Exp(ten, big.NewInt(int64(fill)), nil))
	k := uint(n.BitLen()/8 + 1)
	if neg && n.Sign() != 0 {
		n.Neg(n)
		k = uint(new(big.Int).Not(n).BitLen()/8 + 1)
		n.Add(n, d.Lsh(big.NewInt(1), 8*k))
	}
	return appendBytes(dst, n.FillBytes(make([]byte, k)))
}
