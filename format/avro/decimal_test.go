package avro

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// unscaled reads what appendDecimal wrote: a length, and the fewest bytes of two's complement.
func unscaled(t *rapid.T, b []byte) *big.Int {
	n := int(b[0]) >> 1
	if b[0]&1 != 0 || b[0] > 127 || len(b) != n+1 || n == 0 {
		t.Fatalf("no length before %x", b)
	}
	b = b[1:]
	if n > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		t.Fatalf("%x is not the shortest", b)
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	return v
}

// TestDecimal compares decimals of any length, longer too than a server has them, with math/big.
func TestDecimal(t *testing.T) {
	digits := rapid.StringOfN(rapid.SampledFrom([]rune("0123456789")), 1, 80, -1)
	rapid.Check(t, func(t *rapid.T) {
		whole, frac := digits.Draw(t, "whole"), rapid.StringOfN(rapid.SampledFrom([]rune("0059")), 0, 30, -1).Draw(t, "fraction")
		fill := rapid.IntRange(0, 8).Draw(t, "fill")
		text := whole
		if frac != "" {
			text += "." + frac
		}
		want, _ := new(big.Int).SetString(whole+frac+strings.Repeat("0", fill), 10)
		if rapid.Bool().Draw(t, "negative") {
			text = "-" + text
			want.Neg(want)
		}
		b, ok := appendDecimal(nil, []byte(text), len(frac)+fill)
		if !ok {
			t.Fatalf("%s is refused", text)
		}
		if got := unscaled(t, b); got.Cmp(want) != 0 {
			t.Fatalf("%s of scale %d is %s, not %s", text, len(frac)+fill, got, want)
		}
		if frac != "" {
			if _, ok := appendDecimal(nil, []byte(text), len(frac)-1); ok {
				t.Fatalf("%s fits scale %d", text, len(frac)-1)
			}
		}
		u := rapid.Uint64().Draw(t, "unsigned")
		if got := unscaled(t, appendUnsigned(nil, u)); got.Cmp(new(big.Int).SetUint64(u)) != 0 {
			t.Fatalf("%d is %s", u, got)
		}
	})
	for _, bad := range []string{"", "-", ".", "1e5", "1.2.3", "+1", " 1", "1-"} {
		if b, ok := appendDecimal(nil, []byte(bad), 5); ok || len(b) > 0 {
			t.Errorf("%q is taken for a decimal", bad)
		}
	}
}
