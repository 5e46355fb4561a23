//go:build servers

package traffic_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"cdc/internal/testbed"
	"cdc/recovery/flashback"
)

// Rows come, change, move to other keys and go, many times each: one statement for each of them makes the tables what they were.
func TestServersNet(t *testing.T) {
	_, seed := seeds(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, n INT, d JSON)", "CREATE TABLE "+db+".u (k VARCHAR(9) PRIMARY KEY, n INT)")
	change := func(n int) {
		list := []string{"BEGIN"}
		for range n {
			i, j, v := rng.IntN(20), rng.IntN(20), rng.IntN(1000)
			k, l := string(rune('a'+i)), string(rune('A'+j))
			list = append(list, [...]string{
				fmt.Sprintf("INSERT IGNORE INTO %s.t VALUES (%d, %d, '{\"a\": %d}')", db, i, v, v),
				fmt.Sprintf("UPDATE %s.t SET n = %d, d = '[%d]' WHERE id = %d", db, v, v, i),
				fmt.Sprintf("UPDATE IGNORE %s.t SET id = %d WHERE id = %d", db, j, i),
				fmt.Sprintf("DELETE FROM %s.t WHERE id = %d", db, i),
				fmt.Sprintf("INSERT IGNORE INTO %s.u VALUES ('%s', %d)", db, k, v),
				fmt.Sprintf("UPDATE %s.u SET n = %d WHERE k = '%s'", db, v, l),
				fmt.Sprintf("UPDATE IGNORE %s.u SET k = '%s' WHERE k = '%s'", db, l, k),
				fmt.Sprintf("DELETE FROM %s.u WHERE k = '%s'", db, k),
			}[rng.IntN(8)])
			if rng.IntN(5) == 0 {
				list = append(list, "COMMIT", "BEGIN")
			}
		}
		testbed.MustExec(t, s, append(list, "COMMIT")...)
	}
	tables := []string{db + ".t", db + ".u"}
	change(100)
	from, before := end(t, s), checksums(t, s, tables)
	change(400)
	if maps.Equal(before, checksums(t, s, tables)) {
		t.Fatal("nothing happened")
	}
	u, err := collect(t, s, from, func(d, _ string) bool { return d == db }, flashback.Options{Net: true})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if u.Rows() > 120 {
		t.Errorf("%d statements for the rows of two tables with 20 keys each", u.Rows())
	}
	if done, err := u.Apply(t.Context(), open(t, s), flashback.ApplyOptions{Commit: true}); err != nil || done.Rows != u.Rows() {
		t.Errorf("%+v of %d rows: %v", done, u.Rows(), err)
	}
	if !maps.Equal(before, checksums(t, s, tables)) {
		t.Error("the tables are not what they were")
	}
}
