package jsonenc

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Masks for looking at eight bytes at a time.
const (
	low   = 0x0101010101010101
	high  = 0x8080808080808080
	quote = low * '"'
	slash = low * '\\'
	space = low * ' '
)

// special sets the top bit of every byte of x that must be escaped: a control character, a quote, a backslash. A borrow may set bits above
// the first hit, never below it, so that the lowest one is right.
func special(x uint64) uint64 {
	q, s := x^quote, x^slash
	return ((x-space)&^x | (q-low)&^q | (s-low)&^s) & high
}

// AppendString appends a JSON string. ok is false, and dst as it was, where s is not valid UTF-8.
//
// Only what JSON demands is escaped: quote, backslash and control characters, with \b \t \n \f \r for those that have a short form and upper
// case hex digits for the others, as Jackson writes them (RFC 8259, section 7).
func AppendString(dst, s []byte) (out []byte, ok bool) { return appendString(dst, s, 0) }

// AppendSurrogates is AppendString with characters beyond U+FFFF as two escapes, \uD83D\uDE00, as Jackson writes them.
func AppendSurrogates(dst, s []byte) (out []byte, ok bool) { return appendString(dst, s, high) }

// appendString escapes the bytes that begin a character of four bytes, too, where wide is high and not 0.
func appendString(dst, s []byte, wide uint64) (out []byte, ok bool) {
	start := len(dst)
	dst = append(dst, '"')
	done, i := 0, 0 // s[:done] is written
	// ASCII: until the first byte that is not, the loop below needs no check of UTF-8.
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		if m := special(x) | x&high; m != 0 {
			i += bits.TrailingZeros64(m) / 8
			break
		}
	}
	checked := false
	for i < len(s) {
		if i+8 <= len(s) {
			x := binary.LittleEndian.Uint64(s[i:])
			m := special(x) | x&(x<<1)&(x<<2)&(x<<3)&wide
			if !checked && x&high != 0 {
				if !utf8.Valid(s[i:]) {
					return dst[:start], false
				}
				checked = true
			}
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		}
		c := s[i]
		switch {
		case c >= utf8.RuneSelf && !checked:
			if !utf8.Valid(s[i:]) {
				return dst[:start], false
			}
			checked = true
		case c >= 0xf0 && wide != 0:
			r, n := utf8.DecodeRune(s[i:])
			hi, lo := utf16.EncodeRune(r)
			dst = append(dst, s[done:i]...)
			dst = appendUnicode(appendUnicode(dst, hi), lo)
			i += n
			done = i
		case c >= ' ' && c != '"' && c != '\\':
			for i++; i < len(s) && plain[s[i]]; i++ {
			}
		default:
			dst = append(dst, s[done:i]...)
			dst = appendEscape(dst, c)
			i++
			done = i
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"'), true
}

// plain are the bytes of ASCII that stand for themselves.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return appendUnicode(dst, rune(c))
}

func appendUnicode(dst []byte, r rune) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// Key is `,"name":`, ready to be copied: all fields of an object begin with a comma, of which the first becomes a brace.
type Key struct {
	text  []byte
	short [24]byte // the text where it fits: a copy of fixed size needs no call
}

// MakeKey makes the key of a field from its name, a JSON string.
func MakeKey(name []byte) Key {
	k := Key{text: append(append([]byte{','}, name...), ':')}
	copy(k.short[:], k.text)
	return k
}

// Len is the length of a key in bytes.
func (k *Key) Len() int { return len(k.text) }

// Append appends a key.
func (k *Key) Append(dst []byte) []byte {
	n := len(dst)
	if len(k.text) <= len(k.short) && cap(dst)-n >= len(k.short) {
		*(*[24]byte)(dst[n : n+24]) = k.short
		return dst[:n+len(k.text)]
	}
	return append(dst, k.text...)
}

// AppendText is AppendString for a string: for names and what else is encoded once and kept. Invalid UTF-8 is not a name that a server can
// have; each bad byte becomes U+FFFD.
func AppendText(dst []byte, s string) []byte { return appendText(dst, s, 0) }

// AppendSurrogateText is AppendText as AppendSurrogates writes.
func AppendSurrogateText(dst []byte, s string) []byte { return appendText(dst, s, high) }

func appendText(dst []byte, s string, wide uint64) []byte {
	out, ok := appendString(dst, []byte(s), wide)
	if !ok {
		out, _ = appendString(dst, []byte(string([]rune(s))), wide)
	}
	return out
}

// AppendINET4 appends the text of an IPv4 address, without quotes.
func AppendINET4(dst []byte, b [4]byte) []byte {
	for i, x := range b {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = AppendUint(dst, uint64(x))
	}
	return dst
}
