package gtid

import (
	"bytes"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", ",", textA + ":1-3:5:tag_a:1:tag_b:2-4, " + textB + ":1", textA + ":1-9223372036854775806", "{" + textA + "}:9:8:7",
		textA + ":0", textA + ":5-3", textA + ":tag", textA + " : 1 - 2\n,", "\x00",
	} {
		f.Add(false, s)
	}
	for _, s := range []string{"0-1-5,1-2-9", "0-1-5,0-2-9", " 4294967295 - 1 - 18446744073709551615", "0-1-0", ","} {
		f.Add(true, s)
	}
	f.Fuzz(func(t *testing.T, maria bool, text string) {
		flavor := MySQL
		if maria {
			flavor = MariaDB
		}
		if g, err := ParseGTID(flavor, text); err == nil {
			if back, err := ParseGTID(flavor, g.String()); err != nil || back != g || !g.Valid() {
				t.Fatalf("%q: %+v, %+v, %v", text, g, back, err)
			}
			if one, err := Parse(flavor, text); err != nil || !one.Contains(g) {
				t.Fatalf("%q is a gtid, but as a set: %q, %v", text, one, err)
			}
		}
		s, err := Parse(flavor, text)
		if err != nil {
			if s != nil || len(err.Error()) > 400 {
				t.Fatalf("%q: %q, %v", text, s, err)
			}
			return
		}
		check(t, s)
		canon := s.String()
		back, err := Parse(flavor, canon)
		if err != nil || !back.Equal(s) || back.String() != canon {
			t.Fatalf("%q: %q came back as %q, %v", text, canon, back, err)
		}
		if back, rest, err := ParseBinary(flavor, s.AppendBinary(nil)); err != nil || len(rest) != 0 || !back.Equal(s) {
			t.Fatalf("%q: %q came back as %q, %v", text, canon, back, err)
		}
		if maria {
			return
		}
		if back, err := ParseDump(s.AppendDump(nil)); err != nil || !back.Equal(s) {
			t.Fatalf("%q: %q came back as %q, %v", text, canon, back, err)
		}
	})
}

func FuzzParseBinary(f *testing.F) {
	for _, s := range []string{"", textA + ":1-3:5:tag_a:1:tag_b:2-4," + textB + ":1", textA + ":1-9223372036854775806"} {
		f.Add(parse(f, MySQL, s).AppendBinary(nil))
	}
	f.Add(parse(f, MariaDB, "0-1-5,7-2-9").AppendBinary(nil))
	f.Add(unhex(f, "01 00 ffffffffffffffffff01 A"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, flavor := range []Flavor{MySQL, MariaDB} {
			s, rest, err := ParseBinary(flavor, b)
			if err != nil {
				continue
			}
			check(t, s)
			// A flavor has one encoding per set, so what was read is what is written.
			if again := s.AppendBinary(nil); !bytes.Equal(again, b[:len(b)-len(rest)]) && !s.Empty() {
				t.Fatalf("%x: %q is written as %x", b, s, again)
			}
			if size := memory(s); size > 64*len(b) {
				t.Fatalf("%d bytes made %d bytes of memory", len(b), size)
			}
		}
	})
}

func FuzzParseDump(f *testing.F) {
	for _, s := range []string{"", textA + ":1-3:5," + textB + ":1", textA + ":1-3:5:tag_a:1:tag_b:2-4," + textB + ":1", textA + ":1-9223372036854775806"} {
		f.Add(parse(f, MySQL, s).AppendDump(nil))
	}
	f.Add(unhex(f, "0100000000000000 A 0000000000000010 0100000000000000 0200000000000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseDump(b)
		if err != nil {
			return
		}
		check(t, s)
		again := s.AppendDump(nil)
		if len(again) > len(b) {
			t.Fatalf("%x: longer again: %x", b, again)
		}
		if back, err := ParseDump(again); err != nil || !back.Equal(s) {
			t.Fatalf("%x: %q came back as %q, %v", b, s, back, err)
		}
		if size := memory(s); size > 64*len(b) {
			t.Fatalf("%d bytes made %d bytes of memory", len(b), size)
		}
	})
}

// memory estimates the bytes that s holds.
func memory(s *Set) int {
	n := cap(s.domains)*16 + cap(s.origins)*56
	for _, o := range s.origins {
		n += len(o.tag) + cap(o.ivs)*16
	}
	return n
}
