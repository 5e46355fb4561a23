package gtid

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "", "A", strings.ReplaceAll(textA, "-", ""), "B", strings.ReplaceAll(textB, "-", "")).Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBinaryLayout(t *testing.T) {
	for _, c := range []struct {
		flavor     Flavor
		text, want string
	}{
		{MySQL, "", "01 00 00"},
		{MySQL, "A:1", "01 00 01 A 00 01 00 00"},
		{MySQL, "A:1-3:5:tag:200-201,B:9", "01 00 03 A 00 02 00 02 01 00 A 03 746167 01 c701 01 B 00 01 08 00"},
		{MySQL, "A:1-9223372036854775806", "01 00 01 A 00 01 00 fdffffffffffffff7f"},
		{MariaDB, "", "01 01 00"},
		{MariaDB, "0-1-5,1-2-300,4294967295-1-18446744073709551615", "01 01 03 00 01 05 00 02 ac02 fdffffff0f 01 ffffffffffffffffff01"},
	} {
		s := parse(t, c.flavor, c.text)
		want := unhex(t, c.want)
		if got := s.AppendBinary(nil); !bytes.Equal(got, want) {
			t.Errorf("%q:\n got %x\nwant %x", c.text, got, want)
		}
		back, rest, err := ParseBinary(c.flavor, append(bytes.Clone(want), 7))
		if err != nil || !back.Equal(s) || !bytes.Equal(rest, []byte{7}) {
			t.Errorf("%q: %q, %x, %v", c.text, back, rest, err)
		}
		for n := range want {
			if _, _, err := ParseBinary(c.flavor, want[:n]); !errors.Is(err, errShort) {
				t.Errorf("%q cut at %d: %v", c.text, n, err)
			}
		}
	}
}

func TestParseBinaryErrors(t *testing.T) {
	for _, c := range []struct {
		flavor    Flavor
		hex, want string
	}{
		{MySQL, "00 00 00", "gtid set: binary encoding version 0 is not known"},
		{MySQL, "02 00 00", "gtid set: binary encoding version 2 is not known"},
		{MySQL, "01 02 00", "gtid set: offset 3: malformed"},
		{MySQL, "01 01 01 00 01 05", "gtid set: of mariadb, expected mysql"},
		{MariaDB, "01 00 01 A 00 01 00 00", "gtid set: of mysql, expected mariadb"},
		{Flavor(2), "01 00 00", "gtid set: unknown flavor(2)"},
		{MySQL, "01 00 80 00", "gtid set: offset 2: malformed"},                                     // not minimal
		{MySQL, "01 00 ffffffffffffffffffff01", "gtid set: offset 2: malformed"},                    // more than 64 bits
		{MySQL, "01 00 01 A 00 00", "gtid set: offset 21: malformed"},                               // no interval
		{MySQL, "01 00 01 A 01 41 01 00 00", "gtid set: offset 21: malformed"},                      // upper case tag
		{MySQL, "01 00 01 A 21", "gtid set: offset 20: malformed"},                                  // tag of 33 bytes
		{MySQL, "01 00 01 A 00 02 00 00 00 00", "gtid set: offset 25: malformed"},                   // intervals touch
		{MySQL, "01 00 01 A 00 01 00 feffffffffffffff7f", "gtid set: offset 31: malformed"},         // 2^63-1
		{MySQL, "01 00 01 A 00 01 ffffffffffffffffff01 00", "gtid set: offset 32: malformed"},       // wraps around
		{MySQL, "01 00 01 A 00 01 01 ffffffffffffffffff01", "gtid set: offset 32: malformed"},       // wraps around
		{MySQL, "01 00 02 B 00 01 00 00 A 00 01 00 00", "gtid set: offset 43: malformed"},           // not ascending
		{MySQL, "01 00 02 A 00 01 00 00 A 00 01 05 00", "gtid set: offset 43: malformed"},           // twice
		{MySQL, "01 00 ffffffffffffffffff01 A", "gtid set: offset 28: truncated"},                   // a count nobody should trust
		{MySQL, "01 00 01 A 00 ffffffffffffffffff01 00 00 01 00", "gtid set: offset 34: truncated"}, // a count nobody should trust
		{MariaDB, "01 01 01 00 01 00", "gtid set: offset 6: malformed"},                             // sequence number 0
		{MariaDB, "01 01 01 8080808010 01 01", "gtid set: offset 10: malformed"},                    // domain of 33 bits
		{MariaDB, "01 01 01 00 8080808010 01", "gtid set: offset 10: malformed"},                    // server of 33 bits
		{MariaDB, "01 01 02 ffffffff0f 01 01 00 01 01", "gtid set: offset 13: malformed"},           // past the last domain
		{MariaDB, "01 01 02 05 01 01 ffffffffffffffffff01 01 01", "gtid set: offset 18: malformed"}, // wraps around
		{MariaDB, "01 01 ffffffffffffffffff01 00 01 01 00 01 01", "gtid set: offset 18: truncated"}, // a count nobody should trust
		{MySQL, "01 00 01 A 00 01 00 01 ", ""},                                                      // all well
	} {
		s, rest, err := ParseBinary(c.flavor, unhex(t, c.hex))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.hex, err)
			}
			continue
		}
		if err == nil || err.Error() != c.want || s != nil || rest != nil {
			t.Errorf("%s: %q, %v, want %s", c.hex, s, err, c.want)
		}
	}
}

func TestDumpLayout(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "0000000000000000"},
		{"A:1-3:5,B:9", `0200000000000000
			A 0200000000000000 0100000000000000 0400000000000000 0500000000000000 0600000000000000
			B 0100000000000000 0900000000000000 0a00000000000000`},
		{"A:1-3:tag_a:2,B:9", `0103000000000001
			A 00 0100000000000000 0100000000000000 0400000000000000
			A 0a7461675f61 0100000000000000 0200000000000000 0300000000000000
			B 00 0100000000000000 0900000000000000 0a00000000000000`},
		{"A:1-9223372036854775806", "0100000000000000 A 0100000000000000 0100000000000000 ffffffffffffff7f"},
	} {
		s, want := parse(t, MySQL, c.text), unhex(t, c.want)
		if got := s.AppendDump(nil); !bytes.Equal(got, want) {
			t.Errorf("%q:\n got %x\nwant %x", c.text, got, want)
		}
		if back, err := ParseDump(want); err != nil || !back.Equal(s) {
			t.Errorf("%q: %q, %v", c.text, back, err)
		}
		for n := range want {
			if _, err := ParseDump(want[:n]); err == nil {
				t.Errorf("%q cut at %d is accepted", c.text, n)
			}
		}
		if _, err := ParseDump(append(bytes.Clone(want), 0)); err == nil {
			t.Errorf("%q with a byte too many is accepted", c.text)
		}
	}
}

func TestParseDump(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"origins in any order, more than once", `0300000000000000
			B 0100000000000000 0900000000000000 0a00000000000000
			A 0100000000000000 0100000000000000 0400000000000000
			A 0100000000000000 0300000000000000 0700000000000000`, "A:1-6,B:9"},
		{"an origin of nothing", "0100000000000000 A 0000000000000000", ""},
		{"tagged format, no tag", "0101000000000001 A 00 0100000000000000 0100000000000000 0200000000000000", "A:1"},
		{"number 0", "0100000000000000 A 0100000000000000 0000000000000000 0200000000000000", "error"},
		{"number 2^63-1", "0100000000000000 A 0100000000000000 0100000000000000 0000000000000080", "error"},
		{"nothing in an interval", "0100000000000000 A 0100000000000000 0500000000000000 0500000000000000", "error"},
		{"intervals touch", "0100000000000000 A 0200000000000000 0100000000000000 0200000000000000 0200000000000000 0300000000000000", "error"},
		{"intervals go back", "0100000000000000 A 0200000000000000 0500000000000000 0600000000000000 0100000000000000 0200000000000000", "error"},
		{"count of intervals", "0100000000000000 A 0000000000000010 0100000000000000 0200000000000000", "error"},
		{"count of origins", "ffffffffffffff00 A 0000000000000000", "error"},
		{"unknown format", "0201000000000002 A 00 0000000000000000", "error"},
		{"half a format", "0001000000000001 A 00 0000000000000000", "error"},
		{"long form of a length", "0101000000000001 A 01 0000000000000000", "error"},
		{"upper case tag", "0101000000000001 A 0241 0100000000000000 0100000000000000 0200000000000000", "error"},
		{"tag of 33 bytes", "0101000000000001 A 42" + strings.Repeat("61", 33) + "0100000000000000 0100000000000000 0200000000000000", "error"},
	} {
		s, err := ParseDump(unhex(t, c.hex))
		switch {
		case c.want == "error":
			if err == nil || s != nil {
				t.Errorf("%s: accepted as %q", c.name, s)
			}
		case err != nil || !s.Equal(parse(t, MySQL, c.want)):
			t.Errorf("%s: %q, %v", c.name, s, err)
		default:
			check(t, s)
		}
	}
}
