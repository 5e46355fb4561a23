package jsonbin

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

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
	start := len(dst)
	dst = slices.Grow(dst, 2+maxDigits+1+8)[:start+2+maxDigits+1+8] // sign, zero before the point, digits, point, and what the last step writes too much
	buf := dst[start:]
	var mask uint32
	if b[0]&0x80 == 0 {
		mask = ^uint32(0)
	}
	sign := uint32(1) // taken out of the first group only
	ok := true
	at := 0
	if mask != 0 {
		buf[at] = '-'
		at++
	}
	left := precision - scale
	first := at // where zeros in front are left out
	if n := left % 9; n > 0 {
		size := groupBytes[n]
		v := group(b[:size], mask) ^ sign<<(8*size-1)
		b, sign = b[size:], 0
		ok = v < groupLimit[n]
		if v > 0 {
			at += putShort(buf[at:], v)
		}
	}
	for range left / 9 {
		v := group(b[:4], mask) ^ sign<<31
		b, sign = b[4:], 0
		ok = ok && v < groupLimit[9]
		switch {
		case at > first:
			putNine(buf[at:], v)
			at += 9
		case v > 0:
			at += putShort(buf[at:], v)
		}
	}
	if at == first {
		buf[at] = '0'
		at++
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
			binary.LittleEndian.PutUint64(buf[at:], (eight(v%1e8)+zeros)>>(8*(8-n)))
			at += int(n)
		}
	}
	return dst[:start+at], ok
}

// zeros are eight digits 0.
const zeros = 0x3030303030303030

// eight are the eight digits of v, below 10^8, as numbers, the first in the lowest byte. All are made at once: halves of four digits by one
// division, then pairs and digits by multiplications of each part of the word.
func eight(v uint32) uint64 {
	high := v / 10000
	x := uint64(high) | uint64(v-high*10000)<<32
	hundreds := x * 10486 >> 20 & 0x7f0000007f // x/100, right up to 43,698
	x = hundreds | (x-hundreds*100)<<16
	tens := x * 103 >> 10 & 0xf000f000f000f // x/10, right up to 178
	return tens | (x-tens*10)<<8
}

// putShort writes v, which is from 1 to 999,999,999, without zeros in front, and gives the number of its digits. It may write eight bytes where
// there are fewer.
func putShort(d []byte, v uint32) int {
	if v >= 1e8 {
		putNine(d, v)
		return 9
	}
	x := eight(v)
	skip := bits.TrailingZeros64(x) &^ 7
	binary.LittleEndian.PutUint64(d, (x+zeros)>>skip)
	return 8 - skip/8
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

// putNine writes v, below 10^9, with leading zeros to nine digits.
func putNine(d []byte, v uint32) {
	_ = d[8]
	first := v / 1e8
	d[0] = '0' + byte(first%10)
	binary.LittleEndian.PutUint64(d[1:], eight(v-first*1e8)+zeros)
}
