package schemas

import (
	"os"
	"path/filepath"
	"testing"

	"cdc/gtid"
)

// FuzzApply makes sure that no text panics, and that the entries of a statement do what the statement did.
func FuzzApply(f *testing.F) {
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range parseCases(f, string(text)) {
			for _, q := range c.statements {
				f.Add(q, uint64(0), true, false)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, mode uint64, maria, thread bool) {
		st := Statement{Text: text, Database: "d", SQLMode: mode, Version: 90704, ServerCollation: 8, ThreadSpecific: thread}
		if maria {
			st.Flavor, st.Version = gtid.MariaDB, 110806
		}
		cat := NewCatalog(st.Flavor, st.Version)
		cat.Replay(&Entry{Kind: PutDatabase, Name: Name{Database: "d"}, Charset: "latin1", Collation: "latin1_swedish_ci"})
		setup := st
		setup.ThreadSpecific, setup.SQLMode = false, 0
		for _, q := range []string{"CREATE TABLE t (a INT, b VARCHAR(10) UNIQUE, c TEXT, PRIMARY KEY (a), KEY (b, a))", "CREATE TABLE u (a INT)"} {
			setup.Text = q
			if _, err := cat.Apply(&setup); err != nil {
				t.Fatal(err)
			}
		}
		replayed := cat.Clone()
		d, err := cat.Apply(&st)
		if err != nil {
			t.Fatal(err)
		}
		for i := range d.Entries {
			replayed.Replay(&d.Entries[i])
			if len(d.Entries[i].Statement) > MaxStatement {
				t.Fatal("an entry keeps too much of the statement")
			}
		}
		if a, b := everything(cat), everything(replayed); a != b {
			t.Fatalf("leaves\n%s\nbut its entries make\n%s", a, b)
		}
		ClassifyDML(&st)
	})
}
