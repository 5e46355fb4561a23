package charset

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"cdc/fault"
)

func TestDecoder(t *testing.T) {
	for _, c := range []struct {
		charset, in, want string
		bad               bool
	}{
		{"utf8mb4", "häß 表 😀", "häß 表 😀", false},
		{"utf8mb4", "a\xffb", "", true},
		{"utf8mb4", "\xed\xa0\x80", "", true},
		{"utf8", "häß 表", "häß 表", false},
		{"utf8mb3", "twelve bytes and 😀", "", true},
		{"ascii", "plain", "plain", false},
		{"ascii", "0123456789\x80", "", true},
		{"latin1", "caf\xe9 \x80 \x81", "café € \u0081", false},
		{"latin2", "\xb1\xe6\xea", "ąćę", false},
		{"swe7", "r{dj}", "rädjå", false},
		{"koi8r", "\xf0\xd2\xc9", "При", false},
		{"cp1251", "\xcf\xf0\xe8\x98", "", true},
		{"gbk", "\xb1\xed a", "表 a", false},
		{"gbk", "\xb1", "", true},
		{"gbk", "\xb1\x20", "", true},
		{"gb18030", "\xb1\xed\x94\x39\xfc\x36\x81\x30\x81\x30", "表😀\u0080", false},
		{"gb18030", "\x94\x39\xfc", "", true},
		{"gb18030", "\xfe\x39\xfe\x39", "", true},
		{"big5", "\xaa\xed", "表", false},
		{"sjis", "\x95\x5c\xb1", "表ｱ", false},
		{"cp932", "\x95\x5c\x87\x40", "表①", false},
		{"ujis", "\xc9\xbd\x8e\xb1\x8f\xb0\xa1", "表ｱ丂", false},
		{"eucjpms", "\xc9\xbd\xad\xa1", "表①", false},
		{"euckr", "\xc7\xd1", "한", false},
		{"gb2312", "\xb1\xed", "表", false},
		{"ucs2", "\x88\x68\x00a", "表a", false},
		{"ucs2", "\xd8\x3d", "", true},
		{"ucs2", "\x88", "", true},
		{"utf16", "\xd8\x3d\xde\x00\x88\x68", "😀表", false},
		{"utf16", "\xde\x00\xd8\x3d", "", true},
		{"utf16", "\xd8\x3d", "", true},
		{"utf16le", "\x3d\xd8\x00\xde", "😀", false},
		{"utf32", "\x00\x01\xf6\x00", "😀", false},
		{"utf32", "\x00\x11\x00\x00", "", true},
	} {
		f, err := Decoder(c.charset)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := f([]byte(">"), []byte(c.in))
		if ok == c.bad || string(got) != ">"+c.want {
			t.Errorf("%s %x: got %q, %v; want %q, %v", c.charset, c.in, got, ok, ">"+c.want, !c.bad)
		}
	}
	for _, name := range []string{"binary", "klingon", ""} {
		if _, err := Decoder(name); !fault.Has(err, fault.BinlogCharset) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// Every character set has a decoder, which takes what is ASCII there without allocation.
func TestDecoderASCII(t *testing.T) {
	text := []byte("The quick brown fox 0123456789 <>&")
	dst := make([]byte, 0, 4*len(text))
	for _, name := range Names() {
		if name == "binary" {
			continue
		}
		f, err := Decoder(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if MaxBytes(name) > 1 && (name[:3] == "ucs" || name[:3] == "utf") && name != "utf8mb3" && name != "utf8mb4" {
			continue
		}
		got, ok := f(dst, text)
		if !ok || !bytes.Equal(got, text) {
			t.Errorf("%s: got %q, %v", name, got, ok)
		}
		if n := testing.AllocsPerRun(10, func() { f(dst, text) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestValidUTF8(t *testing.T) {
	// Every code of up to four bytes that can start with a lead byte, alone and between letters, against the standard library.
	edges := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff}
	for lead := 0x7f; lead < 256; lead++ {
		for _, b := range edges {
			for _, c := range edges {
				for _, d := range []byte{0x7f, 0x80, 0xbf, 0xc2} {
					code := []byte{byte(lead), b, c, d}
					for n := 1; n <= 4; n++ {
						for _, text := range [][]byte{code[:n], append([]byte("1234567"), code[:n]...), append(code[:n:n], "12345678"...)} {
							if got := ValidUTF8(text); got != utf8.Valid(text) {
								t.Fatalf("%x: got %v", text, got)
							}
						}
					}
				}
			}
		}
	}
}

func FuzzValidUTF8(f *testing.F) {
	f.Add([]byte("häß 표한😀 and then some plain text"))
	f.Fuzz(func(t *testing.T, s []byte) {
		if got := ValidUTF8(s); got != utf8.Valid(s) {
			t.Fatalf("%x: got %v", s, got)
		}
	})
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("\x8f\xb0\xa1\x94\x39\xfc\x36 plain \x81"))
	f.Add([]byte("\xd8\x3d\xde\x00"))
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, name := range Names() {
			if name == "binary" {
				continue
			}
			d, err := Decoder(name)
			if err != nil {
				t.Fatal(err)
			}
			dst, ok := d([]byte("x"), src)
			if !ok && string(dst) != "x" {
				t.Fatalf("%s: refused, but appended %q", name, dst)
			}
			if !utf8.Valid(dst) || dst[0] != 'x' {
				t.Fatalf("%s: %q is not UTF-8", name, dst)
			}
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	for _, name := range []string{"utf8mb4", "utf8mb3", "latin1", "gbk", "utf16"} {
		b.Run(name, func(b *testing.B) {
			f, err := Decoder(name)
			if err != nil {
				b.Fatal(err)
			}
			src := []byte("customer 1234567 of the shop!!")
			dst := make([]byte, 0, 256)
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				dst, _ = f(dst[:0], src)
			}
		})
	}
}
