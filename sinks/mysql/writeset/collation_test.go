//go:build servers

package writeset

import (
	"encoding/hex"
	"fmt"
	"testing"

	"cdc/internal/testbed"
)

// TestFolding asks servers which texts of one and two ASCII characters are the same under each collation that is said to fold, and under each
// that ends in _bin.
func TestFolding(t *testing.T) {
	for _, kind := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			s := testbed.Shared(t, kind)
			db := testbed.FreshDB(t, s)
			var insert []byte
			for a := range 128 {
				insert = fmt.Appendf(insert, ",(x'%02x')", a)
				for b := ' '; b < 0x7f; b++ {
					insert = fmt.Appendf(insert, ",(x'%02x%02x')", a, b)
				}
			}
			testbed.MustExec(t, s, "USE "+db, "CREATE TABLE texts (b VARBINARY(2))", "INSERT INTO texts VALUES "+string(insert[1:]))
			// MariaDB names collations that go with several character sets without one.
			query := "SELECT COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATIONS"
			if kind == testbed.MariaDB118 {
				query = "SELECT FULL_COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
			}
			folded := 0
			for _, r := range testbed.MustQuery(t, s, query) {
				name, charset := r[0].String, r[1].String
				class := ClassOf(name)
				if class != Folded && class != Padded || charset == "swe7" {
					continue // which has not all of ASCII
				}
				folded++
				seen := map[string]string{} // weight to our spelling
				for _, row := range testbed.MustQuery(t, s, "USE "+db, fmt.Sprintf(
					"SELECT HEX(b), HEX(WEIGHT_STRING(CONVERT(CONVERT(b USING ascii) USING %s) COLLATE %s)) FROM texts", charset, name)) {
					text, err := hex.DecodeString(row[0].String)
					if err != nil {
						t.Fatal(err)
					}
					var w Builder
					if p := (Part{Class: class}); class == Folded && !w.folded(&p, text) {
						t.Fatalf("%q was not folded", text)
					} else if class == Padded {
						w.buf = text
					}
					weight := row[1].String
					if before, ok := seen[weight]; !ok {
						seen[weight] = string(w.buf)
					} else if before != string(w.buf) {
						t.Errorf("%s: %q has the weight of %q", name, text, before)
						break
					}
				}
			}
			t.Logf("%d collations", folded)
			if folded < 20 {
				t.Errorf("%d collations were compared", folded)
			}
		})
	}
}
