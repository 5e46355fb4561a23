//go:build servers

package verify

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
)

// TestDoubles holds what servers print of FLOAT and DOUBLE against each other, and reads it back.
func TestDoubles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	values := []float64{0, 1, -1, 0.1, 1e-15, 1e-14, 1e-20, 1e14, 1e15, 1e16, 5e-324, math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308}
	for len(values) < 3000 {
		v := math.Float64frombits(r.Uint64())
		if len(values)%3 == 0 {
			v = r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-25))
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	d := &column{src: &schemas.Column{Name: "d", Type: schemas.Double}, form: double}
	f := &column{src: &schemas.Column{Name: "f", Type: schemas.Float}, form: double}
	want := map[string][]string{}
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		db := testbed.FreshDB(t, s)
		c, err := session.Open(t.Context(), session.Config{Address: s.Addr(), User: "root"}, session.Options{Codes: session.SourceCodes()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		e := end{Side: Side{Open: func(context.Context) (Conn, error) { return c, nil }}}
		if k.MariaDB() {
			e.Flavor = 1
		}
		if _, err := e.use(t.Context()); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i, v := range values {
			small := float32(v)
			if math.IsInf(float64(small), 0) || small == 0 {
				small = float32(i)
			}
			fmt.Fprintf(&b, ",(%d,%s,%s)", i, strconv.FormatFloat(v, 'e', -1, 64), strconv.FormatFloat(float64(small), 'e', -1, 64))
		}
		for _, q := range []string{"CREATE TABLE " + db + ".t (i INT PRIMARY KEY, d DOUBLE, f FLOAT)", "INSERT INTO " + db + ".t VALUES " + b.String()[1:]} {
			if err := c.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		for _, col := range []*column{d, f} {
			rows, err := c.Query(t.Context(), "SELECT CONCAT("+col.value(false)+") FROM "+db+".t ORDER BY i")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, row := range rows {
				got = append(got, string(row[0]))
				if back := plainDouble(row[0]); col == d && back != strconv.FormatFloat(values[i], 'e', -1, 64) {
					t.Errorf("%v was printed as %s, which is %s", values[i], row[0], back)
				}
			}
			if want[col.src.Name] == nil {
				want[col.src.Name] = got
			} else if !slices.Equal(want[col.src.Name], got) {
				for i := range got {
					if got[i] != want[col.src.Name][i] {
						t.Errorf("%s: %v is %s here and %s elsewhere", col.src.Name, values[i], got[i], want[col.src.Name][i])
					}
				}
			}
		}
	})
}
