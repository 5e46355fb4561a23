//go:build servers

package snapshot

import (
	"strings"
	"testing"

	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
)

// What Define gives holds until Release: no statement changes its tables, and tables that came meanwhile show.
func TestDefinitionsHold(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, k, testbed.Options{})
			testbed.MustExec(t, s, "SET NAMES utf8mb4", "CREATE DATABASE shop CHARACTER SET latin1", "CREATE DATABASE other", "CREATE TABLE other.x (id int PRIMARY KEY)",
				"CREATE TABLE shop.one (id int PRIMARY KEY, t timestamp NOT NULL DEFAULT '2001-02-03 04:05:06', v varchar(5) DEFAULT 'ü')", "CREATE TABLE shop.`../x``y` (v int, KEY (v))",
				"CREATE VIEW shop.seen AS SELECT id FROM shop.one")
			if k.MariaDB() {
				testbed.MustExec(t, s, "CREATE SEQUENCE shop.zero START WITH 7 NOCACHE", "DO NEXTVAL(shop.zero)")
			}
			define := func() (*Definitions, error) {
				c, err := session.Open(t.Context(), login(t, s), session.Options{Codes: session.SourceCodes()})
				if err != nil {
					t.Fatal(err)
				}
				return Define(t.Context(), c, flavorOf(k), selector(t, "shop.%"))
			}
			d, err := define()
			if err != nil {
				t.Fatal(err)
			}
			defer d.Release()
			var names []string
			for i := range d.Tables {
				x := &d.Tables[i]
				names = append(names, x.Name.String())
				if x.DDL.Kind != schemas.CreateTable || len(x.DDL.Entries) != 1 || x.DDL.Entries[0].Kind != schemas.PutTable {
					t.Errorf("%s was not understood: %s %+v", x.Name, x.DDL.Kind, x.DDL.Entries)
				}
			}
			want := "shop.../x`y shop.one"
			if k.MariaDB() {
				if want = "shop.zero " + want; d.Tables[0].Next != "8" {
					t.Errorf("the sequence gives %s next, want 8", d.Tables[0].Next)
				}
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("defined are %s, want %s", got, want)
			}
			if len(d.Databases) != 1 || d.Databases[0].Charset != "latin1" {
				t.Errorf("the databases are %+v", d.Databases)
			}
			for _, q := range []string{"ALTER TABLE shop.one ADD COLUMN n int", "DROP TABLE shop.`../x``y`", "RENAME TABLE shop.one TO shop.two"} {
				if err := s.Exec(t.Context(), "SET SESSION lock_wait_timeout=1", q); err == nil || !strings.Contains(err.Error(), "ock wait timeout") {
					t.Errorf("%s: %v, want that it waits for the lock", q, err)
				}
			}
			testbed.MustExec(t, s, "INSERT INTO shop.one (id) VALUES (1)", "CREATE TABLE other.y (id int)")
			if same, err := d.Same(t.Context()); err != nil || !same {
				t.Errorf("the tables are not the same: %v", err)
			}
			testbed.MustExec(t, s, "CREATE TABLE shop.later (id int)")
			if same, err := d.Same(t.Context()); err != nil || same {
				t.Errorf("a new table does not show: %v", err)
			}
			d.Release()
			testbed.MustExec(t, s, "ALTER TABLE shop.one ADD COLUMN n int")

			// A statement that does not end is no reason to wait for ever.
			holder, err := s.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Close()
			if _, err := testbed.QueryConn(t.Context(), holder, "LOCK TABLES shop.one WRITE"); err != nil {
				t.Fatal(err)
			}
			if d, err := define(); !fault.Has(err, fault.SnapshotDefinition) {
				t.Errorf("a locked table was defined: %v %v", d, err)
			}
		})
	}
}
