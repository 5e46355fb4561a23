//go:build servers

package e2e

import (
	"regexp"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// ends waits for the end of a process that stops with a code.
func ends(t *testing.T, r *process, code string, says ...string) {
	t.Helper()
	if exit := r.wait(t); exit == 0 {
		t.Fatal("it ended well")
	}
	for _, s := range append(says, code) {
		if !strings.Contains(r.err.String(), s) {
			t.Fatalf("stderr does not say %q:\n%s", s, tailOf(r.err.String(), 30))
		}
	}
}

// What would come out otherwise at the target than at the source stops the stream, and goes on as the message says.
func TestMySQLStops(t *testing.T) {
	t.Parallel()
	source := testbed.Start(t, testbed.MariaDB118, testbed.Options{})
	target := testbed.Start(t, testbed.MariaDB118, testbed.Options{Args: []string{"--lower-case-table-names=1"}})
	testbed.MustExec(t, source, "CREATE DATABASE ring CHARACTER SET utf8mb4")
	p := direction(t, source, target, "table")
	testbed.MustExec(t, source, "CREATE TABLE ring.`T` (id INT PRIMARY KEY)", "INSERT INTO ring.`T` VALUES (1)", "CREATE TABLE ring.bare (a INT)")
	r := p.run(t)
	has := func(what, query, want string) {
		t.Helper()
		poll(t, what, func() bool {
			if !r.running() {
				t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
			}
			got, err := target.One(t.Context(), query)
			return err == nil && got == want
		})
	}
	has("the table whose name has a capital", "SELECT GROUP_CONCAT(id ORDER BY id) FROM ring.t", "1")

	// Rows get their numbers in the order in which they lie on disk.
	testbed.MustExec(t, source, "INSERT INTO ring.bare VALUES (30), (10)")
	has("rows without a key", "SELECT GROUP_CONCAT(a ORDER BY a) FROM ring.bare", "10,30")
	testbed.MustExec(t, source, "ALTER TABLE ring.bare ADD id INT AUTO_INCREMENT PRIMARY KEY FIRST", "INSERT INTO ring.bare (a) VALUES (20)")
	ends(t, r, "CDC5214", "in the order in which they lie on disk", "cdc snapshot FILE all --tables ring.bare")
	if n, err := target.One(t.Context(), "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 'bare'"); err != nil || n != "1" {
		t.Fatalf("%s columns, %v", n, err)
	}
	at := regexp.MustCompile(`CDC5214[^\n]*\b(0-\d+-\d+)\b`).FindStringSubmatch(r.err.String())
	if at == nil {
		t.Fatalf("no GTID in\n%s", tailOf(r.err.String(), 5))
	}
	testbed.MustExec(t, target, "TRUNCATE TABLE ring.bare", "ALTER TABLE ring.bare ADD id INT AUTO_INCREMENT PRIMARY KEY FIRST")
	must(t, "skip", p.yaml, "all", "--gtid", at[1], "--yes")
	must(t, "snapshot", p.yaml, "all", "--tables", "ring.bare")
	r = p.run(t)
	has("the numbers of the source", "SELECT GROUP_CONCAT(id, '=', a ORDER BY id) FROM ring.bare", "1=30,2=10,3=20")

	// A statement that the target refuses is refused by the next run too: that a table is there is no sign that the first one has made it so.
	testbed.MustExec(t, target, "CREATE TABLE ring.taken (id INT)")
	testbed.MustExec(t, source, "CREATE TABLE ring.x (id INT PRIMARY KEY)", "INSERT INTO ring.x VALUES (1)", "RENAME TABLE ring.x TO ring.taken", "INSERT INTO ring.taken VALUES (2)")
	for range 2 {
		ends(t, r, "CDC5214", "RENAME TABLE")
		r = p.run(t)
	}
	ends(t, r, "CDC5214", "RENAME TABLE")
	testbed.MustExec(t, target, "DROP TABLE ring.taken")
	r = p.run(t)
	has("the rows of the renamed table", "SELECT GROUP_CONCAT(id ORDER BY id) FROM ring.taken", "1,2")

	// A name that changes only its case is the same there.
	testbed.MustExec(t, source, "RENAME TABLE ring.`T` TO ring.t", "INSERT INTO ring.t VALUES (5)", "ALTER TABLE ring.t RENAME TO ring.`T`, ADD w INT", "INSERT INTO ring.`T` VALUES (6, 6)",
		"RENAME TABLE ring.`T` TO ring.t, ring.taken TO ring.`Taken`", "INSERT INTO ring.t VALUES (7, 7)", "RENAME TABLE ring.t TO ring.between, ring.between TO ring.`T`", "INSERT INTO ring.`Taken` VALUES (3)",
		"DELETE FROM ring.`T` WHERE id > 4 AND id < 7")
	has("the rows under all names", "SELECT CONCAT(GROUP_CONCAT(id ORDER BY id), ' ', SUM(w), ' ', (SELECT GROUP_CONCAT(id ORDER BY id) FROM ring.taken)) FROM ring.t", "1,7 7 1,2,3")

	// T and t are one table there.
	testbed.MustExec(t, source, "INSERT INTO ring.`T` (id) VALUES (2)")
	has("a row of T", "SELECT GROUP_CONCAT(id ORDER BY id) FROM ring.t", "1,2,7")
	testbed.MustExec(t, source, "CREATE TABLE IF NOT EXISTS ring.t (id INT PRIMARY KEY)", "INSERT INTO ring.t VALUES (3)")
	ends(t, r, "CDC5212", "ring.T and ring.t are one table")
}
