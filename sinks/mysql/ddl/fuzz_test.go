package ddl

import (
	"strings"
	"testing"

	"cdc/gtid"
	"cdc/schemas"
)

// FuzzTranslate reads what becomes of any text once more: it names nothing but what the stream carries, by the target's names, and does what the statement
// of the source does.
func FuzzTranslate(f *testing.F) {
	for _, text := range []string{
		"CREATE TABLE b (id INT, FOREIGN KEY (id) REFERENCES shop.a (id)) CHARSET=latin1",
		"RENAME TABLE a TO c, _x TO _y", "DROP TABLE IF EXISTS a, `_b`, other.c", "ALTER TABLE a ADD x INT, RENAME TO b", "CREATE TABLE c LIKE a",
		"TRUNCATE TABLE a", "ALTER TABLE a EXCHANGE PARTITION p WITH TABLE c", "CREATE DATABASE shop", "DROP DATABASE shop", "CREATE INDEX i ON a (id)",
		"CREATE TABLE e (a INT DEFAULT NEXT VALUE FOR s) START TRANSACTION", "ALTER TABLE a UNION=(b,c)", "GRANT ALL ON a TO b", "/*!50000 DROP */ TABLE a",
	} {
		f.Add(text, uint64(0), false)
		f.Add(text, uint64(4), true)
	}
	f.Fuzz(func(t *testing.T, text string, mode uint64, maria bool) {
		st := schemas.Statement{Database: "shop", SQLMode: mode, Version: 90700, ClientCollation: 255}
		if maria {
			st.Flavor, st.Version = gtid.MariaDB, 110800
		}
		d := renamed(apply(t, st, "CREATE TABLE a (id INT PRIMARY KEY)", text), route)
		plan, err := Translate(d, routed())
		if err != nil || plan.Skip != "" {
			return
		}
		st.Text, st.Database = plan.Text, ""
		o, err := schemas.ReadOutline(&st)
		if err != nil {
			t.Fatalf("%q became %q, which is not understood: %v", text, plan.Text, err)
		}
		if o.Kind != d.Kind {
			t.Fatalf("%q became %q, which is another statement", text, plan.Text)
		}
		if len(o.Refs) == 0 {
			t.Fatalf("%q became %q, which names nothing", text, plan.Text)
		}
		for _, r := range o.Refs {
			if r.Name.Database != "copy" || strings.HasPrefix(r.Name.Table, "_") || strings.HasPrefix(r.Name.Table, "shard") {
				t.Fatalf("%q became %q, which names %s", text, plan.Text, r.Name)
			}
		}
	})
}
