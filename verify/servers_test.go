//go:build servers

package verify

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
)

// side opens sessions at a server.
func side(s *testbed.Server) Side {
	out := Side{Flavor: gtid.MySQL, Open: func(ctx context.Context) (Conn, error) {
		c, err := session.Open(ctx, session.Config{Address: s.Addr(), User: "root"}, session.Options{Codes: session.SourceCodes()})
		if err != nil {
			return nil, err
		}
		return c, nil
	}}
	if s.Kind.MariaDB() {
		out.Flavor = gtid.MariaDB
	}
	return out
}

// lane is a replication as plain as can be: one session writes to the source, another repeats each transaction at the target, later and with
// the place of the source in the same transaction.
type lane struct {
	src, dst *testbed.Server
	flavor   gtid.Flavor
	writes   atomic.Int64
}

const placeTable = "lane.place"

func (l *lane) place(ctx context.Context, c Conn) (string, error) {
	q := "SELECT @@GLOBAL.gtid_executed"
	if l.flavor == gtid.MariaDB {
		q = "SELECT @@GLOBAL.gtid_binlog_pos"
	}
	rows, err := c.Query(ctx, q)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(rows[0][0]), "\n", ""), nil
}

// reached is Options.Reached.
func (l *lane) reached(ctx context.Context, c Conn, m *Mark) (bool, error) {
	rows, err := c.Query(ctx, "SELECT at FROM "+placeTable)
	if err != nil {
		return false, err
	}
	at, err := gtid.Parse(l.flavor, string(rows[0][0]))
	return err == nil && at.ContainsSet(m.GTIDs), err
}

func open(t *testing.T, s *testbed.Server) Conn {
	t.Helper()
	c, err := side(s).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, q := range session0 {
		if err := c.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return c
}

var session0 = []string{"SET NAMES utf8mb4", "SET time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"}

// run writes what next makes until stop is closed.
func (l *lane) run(t *testing.T, stop <-chan struct{}, next func() []string) (wait func()) {
	t.Helper()
	type done struct {
		statements []string
		at         string
	}
	src, dst := open(t, l.src), open(t, l.dst)
	ctx := t.Context()
	ch := make(chan done, 20)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ch)
		for {
			select {
			case <-stop:
				return
			default:
			}
			d := done{statements: next()}
			if err := transaction(ctx, src, d.statements); err != nil {
				t.Errorf("source: %v", err)
				return
			}
			at, err := l.place(ctx, src)
			if err != nil {
				t.Errorf("source: %v", err)
				return
			}
			d.at = at
			l.writes.Add(1)
			ch <- d
		}
	})
	wg.Go(func() {
		for d := range ch {
			s := []string{"UPDATE " + placeTable + " SET at='" + d.at + "'"}
			for _, q := range d.statements {
				s = append(s, strings.Replace(q, " shop.", " copy.", 1))
			}
			for { // a repair may hold a row, or be in the way
				err := transaction(ctx, dst, s)
				if n := session.Number(err); n == session.ErLockWait || n == session.ErDeadlock {
					if err = dst.Exec(ctx, "ROLLBACK"); err == nil {
						continue
					}
				}
				if err != nil {
					t.Errorf("target: %v", err)
					return
				}
				break
			}
		}
	})
	return wg.Wait
}

func transaction(ctx context.Context, c Conn, statements []string) error {
	for _, s := range slices.Concat([]string{"BEGIN"}, statements, []string{"COMMIT"}) {
		if err := c.Exec(ctx, s); err != nil {
			return fmt.Errorf("%.200s: %w", s, err)
		}
	}
	return nil
}

// everyType has a column of each type that all servers have, with a value made of a number.
var everyType = []struct {
	name, def string
	value     func(r *rand.Rand) string
}{
	{"ti", "TINYINT", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(256) - 128) }},
	{"bu", "BIGINT UNSIGNED", func(r *rand.Rand) string { return fmt.Sprint(r.Uint64()) }},
	{"zf", "INT(8) ZEROFILL", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(1e6)) }},
	{"de", "DECIMAL(20,5)", func(r *rand.Rand) string { return fmt.Sprintf("%d.%05d", r.IntN(1e9)-5e8, r.IntN(1e5)) }},
	{"fl", "FLOAT", func(r *rand.Rand) string {
		return fmt.Sprintf("%.6e", r.NormFloat64()*math.Pow(10, float64(r.IntN(70)-36)))
	}},
	{"fm", "FLOAT(9,3)", func(r *rand.Rand) string { return fmt.Sprintf("%.3f", r.Float64()*1e5) }},
	{"dbl", "DOUBLE", func(r *rand.Rand) string {
		return fmt.Sprintf("%.16e", r.NormFloat64()*math.Pow(10, float64(r.IntN(600)-300)))
	}},
	{"bi", "BIT(11)", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(2048)) }},
	{"ye", "YEAR", func(r *rand.Rand) string { return fmt.Sprint([]int{0, 1901, 1999, 2155}[r.IntN(4)]) }},
	{"da", "DATE", func(r *rand.Rand) string { return []string{"'0000-00-00'", "'2024-02-30'", "'1999-12-31'"}[r.IntN(3)] }},
	{"tm", "TIME(3)", func(r *rand.Rand) string {
		return fmt.Sprintf("'-%d:%02d:01.%03d'", r.IntN(838), r.IntN(60), r.IntN(1000))
	}},
	{"dt", "DATETIME(6)", func(r *rand.Rand) string {
		return fmt.Sprintf("'2024-01-%02d 10:11:12.%06d'", 1+r.IntN(28), r.IntN(1e6))
	}},
	{"ts", "TIMESTAMP(2) NULL", func(r *rand.Rand) string { return fmt.Sprintf("'2024-03-31 0%d:30:00.%02d'", r.IntN(9), r.IntN(100)) }},
	{"ch", "CHAR(12) CHARACTER SET utf8mb4", func(r *rand.Rand) string { return fmt.Sprintf("'ß%d'", r.IntN(1000)) }},
	{"la", "VARCHAR(20) CHARACTER SET latin1", func(r *rand.Rand) string { return fmt.Sprintf("'é#%d ü'", r.IntN(1000)) }},
	{"tx", "TEXT CHARACTER SET utf8mb4", func(r *rand.Rand) string { return fmt.Sprintf("'😀%s'", strings.Repeat("x#", r.IntN(50))) }},
	{"lt", "LONGTEXT CHARACTER SET utf8mb4", func(r *rand.Rand) string { return fmt.Sprintf("'long %d'", r.IntN(1000)) }},
	{"bn", "BINARY(6)", func(r *rand.Rand) string { return fmt.Sprintf("0x%06x", r.IntN(1<<24)) }},
	{"vb", "VARBINARY(20)", func(r *rand.Rand) string { return fmt.Sprintf("0xff23%04x", r.IntN(1<<16)) }},
	{"bl", "LONGBLOB", func(r *rand.Rand) string { return fmt.Sprintf("0x00%08x", r.Uint32()) }},
	{"en", "ENUM('a','b#','ü') CHARACTER SET utf8mb4", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(4)) }},
	{"se", "SET('x','y','z') CHARACTER SET utf8mb4", func(r *rand.Rand) string { return fmt.Sprint(r.IntN(8)) }},
	{"js", "JSON", func(r *rand.Rand) string {
		return fmt.Sprintf(`'{"n": %d.50, "a": [true, null, "ü", 1e%d], "bb": {}}'`, r.IntN(100), r.IntN(20))
	}},
	{"ge", "GEOMETRY", func(r *rand.Rand) string {
		return fmt.Sprintf("ST_GeomFromText('LINESTRING(%d 1,2 %d)')", r.IntN(90), r.IntN(90))
	}},
	{"em", "VARCHAR(5) CHARACTER SET utf8mb4", func(r *rand.Rand) string { return []string{"''", "NULL", "' '"}[r.IntN(3)] }},
}

func columnsOf(r *rand.Rand) []string {
	var out []string
	for _, c := range everyType {
		v := c.value(r)
		if r.IntN(8) == 0 {
			v = "NULL"
		}
		out = append(out, v)
	}
	return out
}

// definitions of the tables; at says the database.
func definitions(k testbed.Kind, db string) []string {
	var cols strings.Builder
	for _, c := range everyType {
		fmt.Fprintf(&cols, ", `%s` %s", c.name, c.def)
	}
	unlike, collation := "latin1", "utf8mb4_unicode_ci" // the target has other character sets, and another order of texts
	if db == "copy" {
		unlike, collation = "utf8mb4", "utf8mb4_general_ci"
	}
	if k == testbed.MySQL97 && db != "copy" {
		collation = "utf8mb4_0900_ai_ci"
	}
	return []string{
		"CREATE DATABASE " + db,
		"CREATE TABLE " + db + ".every (id BIGINT PRIMARY KEY" + cols.String() + ", gen INT AS (id + 1) VIRTUAL)",
		"CREATE TABLE " + db + ".texts (a VARCHAR(30) CHARACTER SET utf8mb4 COLLATE " + collation + ", b DATE, v VARCHAR(40) CHARACTER SET " + unlike + ", u INT UNIQUE, PRIMARY KEY (a, b))",
		"CREATE TABLE " + db + ".bytes (k VARBINARY(8), f DOUBLE, v INT, PRIMARY KEY (k, f))",
		"CREATE TABLE " + db + ".keyless (v INT, w VARCHAR(20))",
	}
}

func textKey(n int) string {
	return fmt.Sprintf("'%s%d', '2024-01-%02d'", []string{"é", "E", "z", "ß", "_", "ä x"}[n%6], n, 1+n%28)
}

func insert(db, table string, r *rand.Rand, n int) string {
	switch table {
	case "every":
		names := []string{"id"}
		for _, c := range everyType {
			names = append(names, "`"+c.name+"`")
		}
		return fmt.Sprintf("INSERT INTO %s.every (%s) VALUES (%d, %s)", db, strings.Join(names, ","), n, strings.Join(columnsOf(r), ", "))
	case "texts":
		return fmt.Sprintf("INSERT INTO %s.texts VALUES (%s, 'v é %d', %d)", db, textKey(n), r.IntN(1000), n)
	case "bytes":
		return fmt.Sprintf("INSERT INTO %s.bytes VALUES (0x%06x, %d.1e-3, %d)", db, n, n, r.IntN(1000))
	}
	return fmt.Sprintf("INSERT INTO %s.keyless VALUES (%d, 'w%d')", db, n%50, n%7)
}

func whereOf(table string, n int) string {
	switch table {
	case "every":
		return fmt.Sprintf("id=%d", n)
	case "texts":
		k := strings.SplitN(textKey(n), ", ", 2)
		return "a=" + k[0] + " AND b=" + k[1]
	}
	return fmt.Sprintf("k=0x%06x", n)
}

// planted says what a difference should be: kind, table and number.
type planted struct {
	kind  Kind
	table string
	n     int
}

// TestPlanted plants 100 differences among 20,000 rows of all types which are written to all the while. Each is found and none else; repair puts all right.
func TestPlanted(t *testing.T) {
	target := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	for _, pair := range []struct{ src, dst testbed.Kind }{
		{testbed.MySQL97, testbed.MySQL97}, {testbed.MySQL57, testbed.MySQL97}, {testbed.MySQL97, testbed.MariaDB118}, {testbed.MariaDB118, testbed.MySQL97},
	} {
		t.Run(string(pair.src)+"-"+string(pair.dst), func(t *testing.T) {
			src, dst := testbed.Shared(t, pair.src), target
			if pair.dst != testbed.MySQL97 {
				dst = testbed.Shared(t, pair.dst)
			}
			plant(t, src, dst, pair.src != pair.dst)
			testbed.MustExec(t, src, "DROP DATABASE shop")
			testbed.MustExec(t, dst, "DROP DATABASE copy", "DROP DATABASE lane")
		})
	}
}

func plant(t *testing.T, src, dst *testbed.Server, repair bool) {
	l := &lane{src: src, dst: dst}
	if src.Kind.MariaDB() {
		l.flavor = gtid.MariaDB
	}
	ctx := t.Context()
	a, b := open(t, src), open(t, dst)
	all := map[string]int{"every": 6000, "texts": 6000, "bytes": 7000, "keyless": 1000}
	for i, db := range []string{"shop", "copy"} {
		c, kind := a, src.Kind
		if i == 1 {
			c, kind = b, dst.Kind
		}
		for _, s := range definitions(kind, db) {
			if err := c.Exec(ctx, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
		for table, n := range all {
			r := rand.New(rand.NewPCG(1, 2))
			for k := 0; k < n; {
				var s strings.Builder
				s.WriteString(insert(db, table, r, k))
				for k++; k < n && k%500 != 0; k++ {
					_, values, _ := strings.Cut(insert(db, table, r, k), " VALUES ")
					s.WriteString("," + values)
				}
				if err := c.Exec(ctx, s.String()); err != nil {
					t.Fatalf("%.300s: %v", s.String(), err)
				}
			}
		}
	}
	at, err := l.place(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := transaction(ctx, b, []string{"CREATE DATABASE lane", "CREATE TABLE " + placeTable + " (at TEXT)", "INSERT INTO " + placeTable + " VALUES ('" + at + "')"}); err != nil {
		t.Fatal(err)
	}

	// Rows whose number leaves 3 when divided by 5 are of the plants, the others of the traffic.
	r := rand.New(rand.NewPCG(3, 4))
	var want []planted
	for i := range 99 {
		table := []string{"every", "texts", "bytes"}[i%3]
		n := (10+i*50)/5*5 + 3
		p := planted{Different, table, n}
		var s string
		switch i % 5 {
		case 0:
			p.kind = Missing
			s = "DELETE FROM copy." + table + " WHERE " + whereOf(table, n)
		case 1:
			p.kind, p.n = Extra, 1_000_003+5*i
			s = insert("copy", table, r, p.n)
		default:
			set := "v=v+1"
			switch table {
			case "every":
				c := everyType[i/3%len(everyType)]
				set = fmt.Sprintf("`%s`=IF(`%s` IS NULL, %s, NULL)", c.name, c.name, strings.ReplaceAll(c.value(r), "NULL", "'x'"))
			case "texts":
				set = "v=CONCAT(v, ' ')"
			}
			s = "UPDATE copy." + table + " SET " + set + " WHERE " + whereOf(table, n)
		}
		if err := b.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		want = append(want, p)
	}
	if err := b.Exec(ctx, "DELETE FROM copy.keyless LIMIT 1"); err != nil {
		t.Fatal(err)
	}

	stop := make(chan struct{})
	halt := sync.OnceFunc(func() { close(stop) })
	defer halt()
	fresh := 100_000
	traffic := rand.New(rand.NewPCG(5, 6))
	wait := l.run(t, stop, func() []string {
		var out []string
		for range 1 + traffic.IntN(3) {
			table := []string{"every", "texts", "bytes", "keyless"}[traffic.IntN(4)]
			n := traffic.IntN(5000)/5*5 + traffic.IntN(3)
			switch k := traffic.IntN(5); {
			case table == "keyless":
				out = append(out, fmt.Sprintf("INSERT INTO shop.keyless VALUES (%d, 'new')", 1000+traffic.IntN(10)))
			case k == 0:
				fresh += 5
				out = append(out, insert("shop", table, traffic, fresh))
			case k == 1:
				out = append(out, "DELETE FROM shop."+table+" WHERE "+whereOf(table, n))
			case table == "every":
				c := everyType[traffic.IntN(len(everyType))]
				out = append(out, fmt.Sprintf("UPDATE shop.every SET `%s`=%s WHERE id=%d", c.name, c.value(traffic), n))
			case table == "texts":
				out = append(out, fmt.Sprintf("UPDATE shop.texts SET v='%d' WHERE %s", traffic.IntN(1000), whereOf(table, n)))
			default:
				out = append(out, fmt.Sprintf("UPDATE shop.bytes SET v=%d WHERE %s", traffic.IntN(1000), whereOf(table, n)))
			}
		}
		return out
	})

	pairs := pairsOf(t, src)
	o := Options{Source: side(src), Target: side(dst), Reached: l.reached, Rows: 1000, Wait: 2 * time.Minute, Repair: true}
	found := compare(t, o, pairs)
	check(t, want, found)
	for _, d := range found { // the dry run
		if d.Fixed || len(d.Fix) == 0 && d.Digest == "" {
			t.Errorf("a dry run of %s %v gives %v, and fixed is %v", d.Table, d.Key, d.Fix, d.Fixed)
		}
	}
	if !repair {
		halt()
		wait()
		return
	}
	o.Apply = true
	for _, d := range compare(t, o, pairs) {
		if !d.Fixed && d.Digest == "" {
			t.Errorf("%s %s %v was not repaired: %s", d.Kind, d.Table, d.Key, d.Why)
		}
	}
	o.Repair = false
	t.Logf("%d transactions beside it", l.writes.Load())
	if l.writes.Load() == 0 {
		t.Error("nothing was written beside the comparison")
	}
	halt()
	wait()
	if left := compare(t, o, pairs); len(left) != 1 || left[0].Table != "shop.keyless" {
		t.Errorf("behind the repair there are left: %v", left)
	}
}

// pairsOf are the tables of the source, each to the same name in the other database.
func pairsOf(t *testing.T, src *testbed.Server) []Pair {
	t.Helper()
	tables, err := ReadTables(t.Context(), open(t, src), side(src).Flavor, func(db string) bool { return db == "shop" })
	if err != nil {
		t.Fatal(err)
	}
	if len(tables.Strange) > 0 {
		t.Fatal(tables.Strange)
	}
	var pairs []Pair
	for _, k := range tables.Known {
		p, err := Map(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Target = schemas.Name{Database: "copy", Table: k.Name}
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Source.Name, b.Source.Name) })
	return pairs
}

func compare(t *testing.T, o Options, pairs []Pair) []*Difference {
	t.Helper()
	began := time.Now()
	var found []*Difference
	o.Changed = func(d *Difference) error {
		found = append(found, d)
		return nil
	}
	report, err := Run(t.Context(), o, pairs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Tables {
		if r.Skipped != "" || r.Stopped != "" || len(r.LeftOut) > 0 || r.Unsettled > 0 {
			t.Errorf("%+v", r)
		}
		t.Logf("%s: %d rows, %d chunks, %d narrowed, %d missing, %d extra, %d different, %.2f s", r.Table, r.Rows, r.Chunks, r.Narrowed, r.Missing, r.Extra, r.Different, r.Seconds)
	}
	t.Logf("compared in %s", time.Since(began))
	return found
}

func check(t *testing.T, want []planted, found []*Difference) {
	t.Helper()
	seen := map[string]bool{}
	for _, d := range found {
		key := ""
		for _, v := range d.Key {
			key += v.Value + "|"
		}
		seen[string(d.Kind)+" "+strings.TrimPrefix(d.Table, "shop.")+" "+key] = true
		if d.Kind == Different && len(d.Columns) != 1 {
			t.Errorf("%s %v differs in %v", d.Table, d.Key, d.Columns)
		}
	}
	if len(found) != len(want)+1 {
		t.Errorf("%d differences found, %d planted", len(found), len(want)+1)
	}
	for _, p := range want {
		key := fmt.Sprintf("%d|", p.n)
		switch p.table {
		case "texts":
			key = strings.ReplaceAll(strings.ReplaceAll(textKey(p.n), "'", ""), ", ", "|") + "|"
		case "bytes":
			key = fmt.Sprintf("0x%06x|", p.n)
		}
		if p.table == "bytes" {
			ok := false
			for k := range seen {
				ok = ok || strings.HasPrefix(k, string(p.kind)+" bytes "+key)
			}
			if !ok {
				t.Errorf("not found: %v", p)
			}
		} else if k := string(p.kind) + " " + p.table + " " + key; !seen[k] {
			t.Errorf("not found: %v", k)
		}
	}
	if t.Failed() {
		t.Logf("found: %v", seen)
	}
}
