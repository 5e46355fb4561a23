package schemas

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/gtid"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// profile is a server that the statements are interpreted for without one.
type profile struct {
	kind      string
	flavor    gtid.Flavor
	version   uint32
	collation uint16 // of the server
}

var profiles = []profile{
	{"mysql97", gtid.MySQL, 90704, 255},
	{"mysql80", gtid.MySQL, 80015, 255},
	{"mysql57", gtid.MySQL, 50722, 8},
	{"mariadb118", gtid.MariaDB, 110806, 2304},
	{"mariadb1011", gtid.MariaDB, 101119, 45},
}

// TestGolden interprets the statements of testdata/*.sql and compares what is tracked behind each case with testdata/golden. The same
// statements are held against real servers by TestServersStatements; here a change of what is tracked shows without one.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no statements", err)
	}
	for _, p := range profiles {
		var out strings.Builder
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range parseCases(t, string(text)) {
				if c.wants(p.kind) {
					fmt.Fprintf(&out, "--- %s\n%s", c.name, p.play(t, &c))
				}
			}
		}
		golden := filepath.Join("testdata", "golden", p.kind+".txt")
		if *rewrite {
			if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != out.String() {
			a, b := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
			for i := range a {
				if i >= len(b) || a[i] != b[i] {
					t.Errorf("%s:%d: tracked %q; -rewrite if that is right", golden, i+1, a[i])
					break
				}
			}
		}
	}
}

// play interprets a case in the databases a and b, without what a server may refuse, and gives what is tracked in the end.
func (p *profile) play(t testing.TB, c *testCase) string {
	cat := NewCatalog(p.flavor, p.version)
	cat.Replay(&Entry{Kind: PutDatabase})
	st := Statement{Flavor: p.flavor, Version: p.version, ServerCollation: p.collation}
	apply := func(text string) {
		st.Text = text
		replayed := cat.Clone()
		d, err := cat.Apply(&st)
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Entries {
			replayed.Replay(&d.Entries[i])
		}
		if a, b := everything(cat), everything(replayed); a != b {
			t.Fatalf("%s\nleaves\n%s\nbut its entries make\n%s", text, a, b)
		}
	}
	apply("CREATE DATABASE a")
	apply("CREATE DATABASE b")
	st.Database = "a"
	for _, q := range c.statements {
		if !strings.HasPrefix(q, "?") {
			apply(strings.NewReplacer("{a}", "a", "{b}", "b").Replace(q))
		}
	}
	return everything(cat)
}

// everything gives all that a catalog holds as text.
func everything(c *Catalog) string {
	var b strings.Builder
	for _, db := range c.Databases() {
		cs, coll, _ := c.Database(db)
		fmt.Fprintf(&b, "%s: %s %s\n", db, orDash(cs), orDash(coll))
	}
	for _, n := range c.Names() {
		if t, state := c.Table(n.Database, n.Table); state == Known {
			b.WriteString(describe(t))
		} else {
			fmt.Fprintf(&b, "%s %s: %s\n", n, state, c.Why(n.Database, n.Table).Reason)
		}
	}
	return b.String()
}
