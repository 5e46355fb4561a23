package jsonbin

import "encoding/binary"

// Decimals are groups of nine digits, four bytes each and big-endian, left and right of the point; what is left of nine digits takes as few
// bytes as hold it. The first bit is inverted so that order of bytes is order of numbers; negative numbers are inverted altogether.

// groupBytes is the size of a group by its number of digits.
var groupBytes = [10]uint8{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// groupLimit is the first number that has too many digits.
var groupLimit = [10]uint32{1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000}

// DecimalBytes is the size of a DECIMAL(precision, scale).
func DecimalBytes(precision, scale uint8) int {
	left := precision - scale
	return int(left/9)*4 + int(groupBytes[left%9]) + int(scale/9)*4 + int(groupBytes[scale%9])
}

// maxDigits is what the largest binary decimal holds: nine groups (DECIMAL_BUFF_LENGTH).
const maxDigits = 81

// AppendDecimal appends the text of a DECIMAL as the server prints it; false if b holds more digits than it may. b is as long as DecimalBytes
// says, and the precision is 1 to 81.
func AppendDecimal(dst, b []byte, precision, scale uint8) ([]byte, bool) {
	// Each digit has its place; zeros in front are left out at the end.
	var buf [2 + maxDigits + 1]byte // sign, zero before the point, digits, point
	var mask uint32
	if b[0]&0x80 == 0 {
		mask = ^uint32(0)
	}
	sign := uint32(1) // taken out of the first group only
	ok := true
	at := 2
	left := precision - scale
	if n := left % 9; n > 0 {
		size := groupBytes[n]
		v := group(b[:size], mask) ^ sign<<(8*size-1)
		b, sign = b[size:], 0
		ok = v < groupLimit[n]
		putDigits(buf[at:], v, n)
		at += int(n)
	}
	for range left / 9 {
		v := group(b[:4], mask) ^ sign<<31
		b, sign = b[4:], 0
		ok = ok && v < groupLimit[9]
		putNine(buf[at:], v)
		at += 9
	}
	from := 2
	for from < at-1 && buf[from] == '0' {
		from++
	}
	if left == 0 {
		from = 1
		buf[from] = '0'
	}
	if mask != 0 {
		from--
		buf[from] = '-'
	}
	if scale > 0 {
		buf[at] = '.'
		at++
		for range scale / 9 {
			v := group(b[:4], mask) ^ sign<<31
			b, sign = b[4:], 0
			ok = ok && v < groupLimit[9]
			putNine(buf[at:], v)
			at += 9
		}
		if n := scale % 9; n > 0 {
			size := groupBytes[n]
			v := group(b[:size], mask) ^ sign<<(8*size-1)
			ok = ok && v < groupLimit[n]
			putDigits(buf[at:], v, n)
			at += int(n)
		}
	}
	return append(dst, buf[from:at]...), ok
}

// group reads a group of one to four bytes, inverted by mask.
func group(b []byte, mask uint32) uint32 {
	switch len(b) {
	case 1:
		return (uint32(b[0]) ^ mask) & 0xff
	case 2:
		return ((uint32(b[0])<<8 | uint32(b[1])) ^ mask) & 0xffff
	case 3:
		return ((uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])) ^ mask) & 0xffffff
	}
	return binary.BigEndian.Uint32(b) ^ mask
}

// putDigits writes v with leading zeros to n digits, fewer than nine.
func putDigits(d []byte, v uint32, n uint8) {
	i := int(n)
	for ; i >= 2; i -= 2 {
		q := v / 100
		r := 2 * (v - 100*q) % 200
		d[i-2], d[i-1] = digitPairs[r], digitPairs[r+1]
		v = q
	}
	if i == 1 {
		d[0] = '0' + byte(v%10)
	}
}

// putNine writes v with leading zeros to nine digits.
func putNine(d []byte, v uint32) {
	_ = d[8]
	high, low := v/10000, v%10000
	a, b := 2*(low/100), 2*(low%100)
	d[5], d[6], d[7], d[8] = digitPairs[a], digitPairs[a+1], digitPairs[b], digitPairs[b+1]
	first, middle := high/10000, high%10000
	a, b = 2*(middle/100), 2*(middle%100)
	d[1], d[2], d[3], d[4] = digitPairs[a], digitPairs[a+1], digitPairs[b], digitPairs[b+1]
	d[0] = '0' + byte(first%10)
}

const digitPairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869" +
	"707172737475767778798081828384858687888990919293949596979899"
