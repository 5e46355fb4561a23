package charset

import (
	_ "embed"
	"unicode/utf8"
)

//go:generate go run -tags servers ./gen

// table says where in the blob the codes of one character set are, -1 where it has none of that length. Numbers there are two bytes,
// big-endian. A table of single bytes has 256 entries; one of double bytes has a row for each lead byte with an entry for each trail byte;
// one of triple bytes is for codes that start with 8F; one of quadruple bytes is in the order of GB18030's codes from 81308130 on.
type table struct {
	name             string
	ascii            bool // the first 128 codes are ASCII
	single, double   int
	leadLo, leadHi   int
	trailLo, trailHi int
	triple, quad     int
}

//go:embed tables.bin
var blob string

const (
	noChar = 0xffff // in a single byte table: not valid
	isLead = 0xfffe // in a single byte table: the first byte of a longer code
)

func entry(off, i int) uint16 {
	off += 2 * i
	return uint16(blob[off])<<8 | uint16(blob[off+1])
}

// decode is a Decoder's function for character sets held in a table.
func (t *table) decode(dst, src []byte) ([]byte, bool) {
	start := len(dst)
	if t.ascii {
		n := asciiPrefix(src)
		dst, src = append(dst, src[:n]...), src[n:]
	}
	for i := 0; i < len(src); {
		c := src[i]
		if t.ascii && c < utf8.RuneSelf {
			dst = append(dst, c)
			i++
			continue
		}
		u := entry(t.single, int(c))
		if u < isLead {
			dst = utf8.AppendRune(dst, rune(u))
			i++
			continue
		}
		if u == noChar {
			return dst[:start], false
		}
		r, n := t.long(src[i:])
		if n == 0 {
			return dst[:start], false
		}
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst, true
}

// long reads a code of two to four bytes; n is 0 if there is none.
func (t *table) long(s []byte) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	lead, trail := int(s[0]), int(s[1])
	switch {
	case t.quad >= 0 && trail >= 0x30 && trail <= 0x39:
		return t.gb18030(s)
	case t.triple >= 0 && lead == 0x8f:
		if len(s) < 3 || s[1] < 0xa1 || s[1] > 0xfe || s[2] < 0xa1 || s[2] > 0xfe {
			return 0, 0
		}
		r, n = rune(entry(t.triple, (int(s[1])-0xa1)*94+int(s[2])-0xa1)), 3
	case lead >= t.leadLo && lead <= t.leadHi && trail >= t.trailLo && trail <= t.trailHi:
		r, n = rune(entry(t.double, (lead-t.leadLo)*(t.trailHi-t.trailLo+1)+trail-t.trailLo)), 2
	}
	if r == 0 {
		return 0, 0
	}
	return r, n
}

// gb18030Supplementary is the linear number of 90308130, which is U+10000; from there on codes are in the order of Unicode.
const gb18030Supplementary = 15 * 12600

// gb18030BMP is the number of codes from 81308130 to 8431A439, which is U+FFFF.
const gb18030BMP = 39420

func (t *table) gb18030(s []byte) (r rune, n int) {
	if len(s) < 4 || s[0] < 0x81 || s[0] == 0xff || s[2] < 0x81 || s[2] == 0xff || s[3] < 0x30 || s[3] > 0x39 {
		return 0, 0
	}
	i := (int(s[0])-0x81)*12600 + (int(s[1])-0x30)*1260 + (int(s[2])-0x81)*10 + int(s[3]) - 0x30
	switch {
	case i < gb18030BMP:
		r = rune(entry(t.quad, i))
	case i >= gb18030Supplementary && i-gb18030Supplementary <= utf8.MaxRune-0x10000:
		r = rune(i - gb18030Supplementary + 0x10000)
	}
	if r == 0 {
		return 0, 0
	}
	return r, 4
}
