package avro_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/format/avro"
)

var (
	allowed = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	escaped = regexp.MustCompile(`_x([0-9a-f]+)_`)
)

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"id": "id", "order_id": "order_id", "_private": "_private", "pos_x": "pos_x", "max_x_scaled": "max_x_scaled", "_xml": "_xml",
		"order-id": "order_x2d_id", "1st": "_x31_st", "größe": "gr_xf6__xdf_e", "a b": "a_x20_b", "日": "_x65e5_", "a.b": "a_x2e_b",
		"order_x2d_id": "order_x5f_x2d_id", "_x2d-": "_x5f_x2d_x2d_", "_x2d": "_x2d", "__op": "__op", "a_xff": "a_xff",
	} {
		if got := avro.Escape(name); got != want {
			t.Errorf("%q is %q, not %q", name, got, want)
		}
	}
}

// TestEscapeInjective turns names back by the only rule there is.
func TestEscapeInjective(t *testing.T) {
	part := rapid.SampledFrom([]string{"_", "x", "_x", "2d", "_x2d_", "5f", "-", "a", "1", "ß", "z", "g", "日", " ", "_xz_", "\u2028"})
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOfN(part, 1, 8).Draw(t, "parts"), "")
		got := avro.Escape(name)
		if !allowed.MatchString(got) {
			t.Fatalf("%q becomes %q", name, got)
		}
		back := escaped.ReplaceAllStringFunc(got, func(s string) string {
			n, err := strconv.ParseInt(s[2:len(s)-1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return string(rune(n))
		})
		if back != name {
			t.Fatalf("%q becomes %q, which is %q", name, got, back)
		}
	})
}
