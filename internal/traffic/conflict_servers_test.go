//go:build servers

package traffic_test

import (
	"strings"
	"testing"

	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/recovery/flashback"
)

// What others have changed since survives: another column of a row that is put back, and rows that are not as the change has left them.
func TestServersConflicts(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, price INT, note VARCHAR(20))",
		"INSERT INTO d.t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, 'd'), (5, 50, 'e')")
	from := end(t, s)
	testbed.MustExec(t, s, "BEGIN", "UPDATE d.t SET price = 0 WHERE id <= 2", "DELETE FROM d.t WHERE id > 3", "INSERT INTO d.t VALUES (6, 60, 'f')", "COMMIT")
	bad := end(t, s)
	testbed.MustExec(t, s, "UPDATE d.t SET note = 'mine' WHERE id = 1") // another column
	testbed.MustExec(t, s, "UPDATE d.t SET price = 99 WHERE id = 2")    // the same column
	testbed.MustExec(t, s, "INSERT INTO d.t VALUES (4, 44, 'new')")     // the key is taken
	testbed.MustExec(t, s, "UPDATE d.t SET note = 'kept' WHERE id = 6")
	rows := func() string {
		var out []string
		for _, r := range testbed.MustQuery(t, s, "SELECT concat_ws(' ', id, price, note) FROM d.t ORDER BY id") {
			out = append(out, r[0].String)
		}
		return strings.Join(out, ", ")
	}
	u, err := collectUntil(t, s, from, bad, func(db, _ string) bool { return db == "d" }, flashback.Options{})
	if err != nil || u.Rows() != 5 {
		t.Fatal(err, u)
	}
	defer u.Close()
	conn := open(t, s)
	now := rows()
	done, err := u.Apply(t.Context(), conn, flashback.ApplyOptions{Commit: true})
	if !fault.Has(err, fault.RecoveryConflict) || !strings.Contains(err.Error(), "VALUES (6") && !strings.Contains(err.Error(), "`id`=6") || done.Commits != 0 || rows() != now {
		t.Errorf("%+v %v\n%s", done, err, rows())
	}
	var told []string
	o := flashback.ApplyOptions{OnConflict: flashback.Skip, Conflict: func(_, text, _ string) { told = append(told, text) }}
	if done, err = u.Apply(t.Context(), conn, o); err != nil || done.Rows != 2 || done.Conflicts != 3 || len(told) != 3 || rows() != now {
		t.Errorf("%+v %v\n%q\n%s", done, err, told, rows())
	}
	testbed.MustExec(t, s, "CREATE TRIGGER d.tr BEFORE UPDATE ON d.t FOR EACH ROW SET NEW.note = 'trigger'")
	if _, err := u.Apply(t.Context(), conn, o); !fault.Has(err, fault.RecoveryTable) || !strings.Contains(err.Error(), "tr") {
		t.Error(err)
	}
	testbed.MustExec(t, s, "DROP TRIGGER d.tr")
	o.Commit = true
	if done, err = u.Apply(t.Context(), conn, o); err != nil || done.Rows != 2 || done.Commits != 1 {
		t.Errorf("%+v %v", done, err)
	}
	if got, want := rows(), "1 10 mine, 2 99 b, 3 30 c, 4 44 new, 5 50 e, 6 60 kept"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
