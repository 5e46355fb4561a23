//go:build servers

package verify

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
)

// BenchmarkSum compares the query of a chunk with the one that pt-table-checksum makes, on narrow rows: go test -tags servers -bench Sum -run '^$' ./verify
func BenchmarkSum(b *testing.B) {
	const rows = 1_000_000
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118} {
		s := testbed.Start(b, k, testbed.Options{})
		c, err := session.Open(b.Context(), session.Config{Address: s.Addr(), User: "root"}, session.Options{Codes: session.SourceCodes()})
		if err != nil {
			b.Fatal(err)
		}
		c.SetPatience(0)
		e := end{Side: Side{Open: func(context.Context) (Conn, error) { return c, nil }}}
		if k.MariaDB() {
			e.Flavor = 1
		}
		if err := e.ask(b.Context()); err != nil {
			b.Fatal(err)
		}
		exec := func(q string) {
			b.Helper()
			if err := c.Exec(b.Context(), q); err != nil {
				b.Fatalf("%.100s: %v", q, err)
			}
		}
		exec("CREATE DATABASE speed")
		exec("CREATE TABLE speed.t (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(30) NOT NULL, n DECIMAL(10,2), at DATETIME) CHARACTER SET utf8mb4")
		for i := 0; i < rows; {
			var q strings.Builder
			q.WriteString("INSERT INTO speed.t VALUES ")
			for n := range 5000 {
				if n > 0 {
					q.WriteByte(',')
				}
				fmt.Fprintf(&q, "(%d,%d,'row %x',%d.25,'2024-01-02 03:04:%02d')", i, i*7919%100003, i*31, i%10000, i%60)
				i++
			}
			exec(q.String())
		}
		tables, err := ReadTables(b.Context(), c, e.Flavor, func(db string) bool { return db == "speed" })
		if err != nil {
			b.Fatal(err)
		}
		t := tables.Known[schemas.Name{Database: "speed", Table: "t"}]
		pair, err := Map(t, nil)
		if err != nil {
			b.Fatal(err)
		}
		p, why := newPlan(pair, t, [2]facts{e.facts, e.facts}, false, nil)
		if why != "" {
			b.Fatal(why)
		}
		theirs := func(ch *chunk) string {
			return "SELECT COUNT(*) AS cnt, COALESCE(LOWER(CONV(BIT_XOR(CAST(CRC32(CONCAT_WS('#', `id`, `k`, CONVERT(`c` USING utf8mb4), `n`, `at`, CONCAT(ISNULL(`n`), ISNULL(`at`)))) AS UNSIGNED)), 10, 16)), 0) AS crc " +
				"FROM `speed`.`t` FORCE INDEX(`PRIMARY`)" + p.where(ch, false)
		}
		for name, query := range map[string]func(*chunk) string{"ours": func(ch *chunk) string { return p.sumQuery(ch, false) }, "crc32": theirs} {
			b.Run(k.String()+"/"+name, func(b *testing.B) {
				for b.Loop() {
					for i := 0; i < rows; i += 10_000 {
						ch := &chunk{to: bound{fmt.Append(nil, i+9999)}}
						if i > 0 {
							ch.after = bound{fmt.Append(nil, i-1)}
						}
						if _, err := c.Query(b.Context(), query(ch)); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
		c.Close()
		if err := s.Stop(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDigest works out the digest of some rows here: each server must have made both factors of the same text, and of its bytes.
func TestDigest(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		db := testbed.FreshDB(t, s)
		e := end{Side: side(s)}
		defer e.close()
		c, err := e.use(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := e.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		var want uint64
		exec := func(q string) {
			t.Helper()
			if err := c.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		exec("CREATE TABLE " + db + ".t (id INT PRIMARY KEY, v VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL, l VARCHAR(20) CHARACTER SET latin1 NOT NULL, n DECIMAL(9,3))")
		var rows []string
		for i := range 300 {
			v, l, n := strings.Repeat("ß😀", i%7)+fmt.Sprint(i*i), fmt.Sprintf("é%d", i), fmt.Sprintf("%d.250", i)
			latin := "\xe9" + l[2:]
			nulls, tail, lit := 0, "#"+n, n
			if i%3 == 0 {
				nulls, tail, lit = 1, "", "NULL"
			}
			rows = append(rows, fmt.Sprintf("(%d, '%s', '%s', %s)", i, v, l, lit))
			text := []byte(fmt.Sprintf("%d#%d#%d#%s#%d#%s%s", nulls, i, len(v), v, len(latin), latin, tail))
			a := crc32.ChecksumIEEE(text)
			slices.Reverse(text)
			h := uint64(a) * uint64(crc32.ChecksumIEEE(text))
			want ^= h
		}
		exec("INSERT INTO " + db + ".t VALUES " + strings.Join(rows, ","))
		tables, err := ReadTables(t.Context(), c, e.Flavor, func(d string) bool { return d == db })
		if err != nil {
			t.Fatal(err)
		}
		table := tables.Known[schemas.Name{Database: db, Table: "t"}]
		pair, err := Map(table, nil)
		if err != nil {
			t.Fatal(err)
		}
		other := e.facts
		other.version = 50700 // whatever this server can do, the other one is old
		p, why := newPlan(pair, table, [2]facts{e.facts, other}, false, nil)
		if why != "" {
			t.Fatal(why)
		}
		for range 2 { // what the variable holds from before must not matter
			ch := &chunk{}
			if err := p.sum(t.Context(), c, ch, false); err != nil || ch.rows != 300 || ch.digest != fmt.Sprint(want) {
				t.Errorf("%d rows, digest %s, want %d; %v", ch.rows, ch.digest, want, err)
			}
		}
	})
}

// TestSwap: two rows that have swapped a value have another digest. The XOR of a CRC-32 of each row stays as it was.
func TestSwap(t *testing.T) {
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
		if err := e.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"CREATE TABLE " + db + ".t (id INT PRIMARY KEY, v CHAR(8) CHARACTER SET utf8mb4 NOT NULL)", "INSERT INTO " + db + ".t VALUES (1,'aaaaaaaa'),(2,'bbbbbbbb')"} {
			if err := c.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		tables, err := ReadTables(t.Context(), c, e.Flavor, func(d string) bool { return d == db })
		if err != nil {
			t.Fatal(err)
		}
		table := tables.Known[schemas.Name{Database: db, Table: "t"}]
		pair, err := Map(table, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, why := newPlan(pair, table, [2]facts{e.facts, e.facts}, false, nil)
		if why != "" {
			t.Fatal(why)
		}
		look := func() (ours, theirs string) {
			ch := &chunk{}
			if err := p.sum(t.Context(), c, ch, false); err != nil {
				t.Fatal(err)
			}
			crc, err := c.One(t.Context(), "SELECT BIT_XOR(CRC32(CONCAT_WS('#', id, v))) FROM "+db+".t")
			if err != nil {
				t.Fatal(err)
			}
			return ch.digest, crc
		}
		ours, theirs := look()
		if err := c.Exec(t.Context(), "UPDATE "+db+".t SET v = IF(id = 1, 'bbbbbbbb', 'aaaaaaaa')"); err != nil {
			t.Fatal(err)
		}
		ours2, theirs2 := look()
		if ours == ours2 {
			t.Error("the digest does not see the swap")
		}
		if theirs != theirs2 {
			t.Error("CRC-32 sees the swap: the manual says that it does not")
		}
	})
}
