//go:build servers

package mysql_test

import (
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// MySQL 9.7 leaves undone, without a word, some of what foreign keys have to do when they are not the engine's. Nothing hangs on that: what the source has logged
// is applied without them, and where it has not the stream stops.
func TestCascadesOfTarget(t *testing.T) {
	const native = "innodb_native_foreign_keys=ON"
	for _, c := range []struct {
		name   string
		native bool
		flags  uint16 // of the change
		key    bool   // an update of the key, and not a delete
		want   string // children that are left, with their codes; "" where the stream stops
	}{
		{"logged by the source", false, event.GroupSQLForeignKeys, false, "1:NULL 2:a 3:b"}, // their changes come in the stream
		{"not logged", false, 0, false, ""},
		{"a key, not logged", false, 0, true, ""},
		{"not logged, and done by the engine", true, 0, false, "2:NULL 3:b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var so testbed.Options
			if c.native {
				so.Args = []string{"--" + native}
			}
			s := testbed.Start(t, testbed.MySQL97, so)
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.parents (id INT PRIMARY KEY, code VARCHAR(20), v INT, UNIQUE KEY (code))",
				"CREATE TABLE d.children (id INT PRIMARY KEY, parent INT, code VARCHAR(20), FOREIGN KEY (parent) REFERENCES d.parents (id) ON DELETE CASCADE, FOREIGN KEY (code) REFERENCES d.parents (code) ON DELETE SET NULL ON UPDATE CASCADE)",
				"INSERT INTO d.parents VALUES (1, 'a', 1), (2, 'b', 1)", "INSERT INTO d.children VALUES (1, 1, NULL), (2, 2, 'a'), (3, 2, 'b')")
			table := &schemas.Table{Database: "d", Name: "parents", PrimaryKey: []int{0}, Columns: []schemas.Column{
				{Name: "id", Type: schemas.Int}, {Name: "code", Type: schemas.VarChar, Length: 80, Nullable: true, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"}, {Name: "v", Type: schemas.Int, Nullable: true},
			}}
			o := mysql.Options{Config: config(s), Stream: "cascades", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
			sink, err := mysql.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
				t.Fatal(err)
			}
			row := func(id int64, code string, v int64) []batchtest.Value {
				return []batchtest.Value{batchtest.Int(id), batchtest.Text(code), batchtest.Int(v)}
			}
			send := func(n uint64, flags uint16, change func(*batchtest.Writer)) error {
				w := batchtest.NewWriter(nil)
				head := batchtest.Txn(n)
				head.Begin, head.End = true, true
				w.Begin(head)
				change(w)
				w.End()
				b := w.Batch()
				for i := range b.Groups {
					b.Groups[i].Flags |= flags
				}
				if err := sink.Write(t.Context(), b, func(error) {}); err != nil {
					return err
				}
				return sink.Flush(t.Context())
			}
			// What no foreign key is for goes through.
			if err := send(1, 0, func(w *batchtest.Writer) { w.Update(table, row(1, "a", 1), row(1, "a", 2)) }); err != nil {
				t.Fatal(err)
			}
			err = send(2, c.flags, func(w *batchtest.Writer) {
				if c.key {
					w.Update(table, row(1, "a", 2), row(1, "A", 3))
				} else {
					w.Delete(table, row(1, "a", 2)...)
				}
			})
			if c.want == "" {
				if !fault.Has(err, fault.TargetCascade) {
					t.Errorf("%v, want %s", err, fault.TargetCascade)
				}
				c.want = "1:NULL 2:a 3:b" // nothing of it was done
				if n, err := s.One(t.Context(), "SELECT COUNT(*) FROM d.parents"); err != nil || n != "2" {
					t.Errorf("%s parents, %v", n, err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got, err := s.One(t.Context(), "SELECT GROUP_CONCAT(id, ':', IFNULL(code, 'NULL') ORDER BY id SEPARATOR ' ') FROM d.children"); err != nil || got != c.want {
				t.Errorf("children %q, want %q (%v)", got, c.want, err)
			}
		})
	}
}
