package charset

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"cdc/fault"
)

// Form is how the bytes of a character set relate to UTF-8; a caller on a hot path may branch on it instead of calling a Decoder.
type Form uint8

const (
	Other   Form = iota // needs its Decoder
	Extends             // needs its Decoder, but ASCII is ASCII there: what ValidASCII takes is UTF-8 already
	ASCII               // valid exactly if all bytes are below 0x80, and then UTF-8
	UTF8MB3             // UTF-8 of at most three bytes
	UTF8MB4             // UTF-8
)

// FormOf gives the form of a character set.
func FormOf(charset string) Form {
	switch Normalize(charset) {
	case "ascii":
		return ASCII
	case "utf8mb3":
		return UTF8MB3
	case "utf8mb4":
		return UTF8MB4
	}
	for i := range tables {
		if tables[i].ascii && tables[i].name == Normalize(charset) {
			return Extends
		}
	}
	return Other
}

// DecodeFunc appends src, which is in some character set, to dst as UTF-8. It returns false, and dst as it was, if src is not valid in the
// character set or holds a code that stands for no character. It allocates only to grow dst, and may be used from many goroutines.
type DecodeFunc func(dst, src []byte) ([]byte, bool)

// Decoder gives the function that turns text of a character set into UTF-8. It differs from the server's CONVERT(... USING utf8mb4) only
// where the server loses something: codes without a character are refused where it writes '?', and so are lone surrogates, which it copies
// into bytes that are no UTF-8. "binary" is refused with BinlogCharset, as any unknown name is.
func Decoder(charset string) (DecodeFunc, error) {
	name := Normalize(charset)
	switch name {
	case "utf8mb4":
		return decodeUTF8MB4, nil
	case "utf8mb3":
		return decodeUTF8MB3, nil
	case "ascii":
		return decodeASCII, nil
	case "ucs2":
		return decodeUCS2, nil
	case "utf16":
		return decodeUTF16, nil
	case "utf16le":
		return decodeUTF16LE, nil
	case "utf32":
		return decodeUTF32, nil
	}
	for i := range tables {
		if tables[i].name == name {
			return tables[i].decode, nil
		}
	}
	return nil, fault.New(fault.BinlogCharset, "no text is in character set %q", charset)
}

func decodeUTF8MB4(dst, src []byte) ([]byte, bool) {
	if !ValidUTF8(src) {
		return dst, false
	}
	return append(dst, src...), true
}

func decodeUTF8MB3(dst, src []byte) ([]byte, bool) {
	if !ValidUTF8MB3(src) {
		return dst, false
	}
	return append(dst, src...), true
}

func decodeASCII(dst, src []byte) ([]byte, bool) {
	if !ValidASCII(src) {
		return dst, false
	}
	return append(dst, src...), true
}

func decodeUCS2(dst, src []byte) ([]byte, bool) {
	start := len(dst)
	if len(src)%2 != 0 {
		return dst, false
	}
	for ; len(src) > 0; src = src[2:] {
		r := rune(binary.BigEndian.Uint16(src))
		if utf16.IsSurrogate(r) {
			return dst[:start], false
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}

func decodeUTF16(dst, src []byte) ([]byte, bool) { return utf16To8(dst, src, 0) }

func decodeUTF16LE(dst, src []byte) ([]byte, bool) { return utf16To8(dst, src, 1) }

// utf16To8 reads units whose high byte is at offset hi of each pair.
func utf16To8(dst, src []byte, hi int) ([]byte, bool) {
	start := len(dst)
	if len(src)%2 != 0 {
		return dst, false
	}
	for len(src) > 0 {
		r := rune(src[hi])<<8 | rune(src[1-hi])
		src = src[2:]
		if utf16.IsSurrogate(r) {
			if len(src) == 0 {
				return dst[:start], false
			}
			r = utf16.DecodeRune(r, rune(src[hi])<<8|rune(src[1-hi]))
			if r == utf8.RuneError {
				return dst[:start], false
			}
			src = src[2:]
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}

func decodeUTF32(dst, src []byte) ([]byte, bool) {
	start := len(dst)
	if len(src)%4 != 0 {
		return dst, false
	}
	for ; len(src) > 0; src = src[4:] {
		u := binary.BigEndian.Uint32(src)
		if u > utf8.MaxRune || utf16.IsSurrogate(rune(u)) {
			return dst[:start], false
		}
		dst = utf8.AppendRune(dst, rune(u))
	}
	return dst, true
}
