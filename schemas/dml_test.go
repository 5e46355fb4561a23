package schemas

import (
	"fmt"
	"strings"
	"testing"

	"cdc/gtid"
)

func TestClassifyDML(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"INSERT INTO t VALUES (1)", "d.t"},
		{"insert low_priority ignore into `a b`.`c.d` (x) select * from u", "a b.c.d"},
		{"INSERT t SET a = 1", "d.t"},
		{"/* x */ -- y\n # z\n REPLACE DELAYED e.t VALUES (1)", "e.t"},
		{"INSERT INTO t PARTITION (p0) SELECT 1", "d.t"},
		{"/*!50003 INSERT */ INTO t VALUES (1)", "d.t"},
		{"UPDATE t SET a = 1", "d.t"},
		{"UPDATE LOW_PRIORITY IGNORE e.t AS x SET x.a = 1 WHERE b IN (SELECT b FROM u)", "e.t"},
		{"UPDATE t, e.u AS x JOIN (v) USING (a) LEFT JOIN (SELECT * FROM w) q ON q.a = v.a SET t.a = 1", "d.t e.u d.v"},
		{"UPDATE (t, u) NATURAL JOIN v STRAIGHT_JOIN w SET a = 1", "d.t d.u d.v d.w"},
		{"UPDATE t PARTITION (p0, p1) x USE INDEX (i, j), u SET a = 1", "d.t d.u"},
		{"WITH c AS (SELECT 1), r (x) AS (SELECT 2) UPDATE t JOIN c SET a = 1", "d.t d.c"},
		{"WITH RECURSIVE c AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM c)", "d.t"},
		{"DELETE FROM t WHERE a = 1", "d.t"},
		{"DELETE QUICK FROM e.t", "e.t"},
		{"DELETE FROM x USING t AS x JOIN e.u WHERE x.a = u.a", "d.t e.u"},
		{"DELETE x, u.* FROM t AS x, e.u WHERE x.a = u.a", "d.t e.u"},
		{"DELETE FROM x.*, e.u.* USING t x JOIN e.u", "d.t e.u"},
		{"DELETE HISTORY FROM t", "d.t"},
		{"LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE e.t FIELDS TERMINATED BY ','", "e.t"},
		{"LOAD XML INFILE 'x' INTO TABLE t", "d.t"},
		{"CALL p(1)", "?"},
		{"SELECT f()", "?"},
		{"DO f()", "?"},
		{"SET STATEMENT max_statement_time=1 FOR INSERT INTO t VALUES (1)", "d.t"},
		{"CREATE TABLE t AS SELECT 1", "d.t"},
		{"CREATE TABLE IF NOT EXISTS e.t (a INT) ENGINE=InnoDB IGNORE SELECT * FROM u", "e.t"},
		{"CREATE TABLE t (SELECT 1)", "d.t"},
		{"CREATE TABLE t (a INT) START TRANSACTION", "-"},
		{"CREATE TABLE t (a INT DEFAULT (1))", "-"},
		{"CREATE TABLE t LIKE u", "-"},
		{"CREATE TEMPORARY TABLE t SELECT 1", "-"},
		{"INSERT", "?"},
		{"UPDATE t", "?"},
		{"BEGIN", "-"},
		{"COMMIT", "-"},
		{"XA END 'x'", "-"},
		{"SAVEPOINT insert_into", "-"},
		{"TRUNCATE t", "-"},
		{"DROP TABLE t", "-"},
		{"LOAD INDEX INTO CACHE t", "-"},
		{"SET x = 1", "-"},
		{"FLUSH TABLES", "-"},
		{"", "-"},
	} {
		is, names := ClassifyDML(&Statement{Text: c.text, Database: "d", Flavor: gtid.MariaDB, Version: 101106})
		got := "-"
		switch {
		case is && names == nil:
			got = "?"
		case is:
			got = strings.Trim(fmt.Sprint(names), "[]")
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
		verb := DMLVerb(&Statement{Text: c.text, Database: "d", Flavor: gtid.MariaDB, Version: 101106})
		if is && (verb == "" || !strings.Contains(strings.ToUpper(c.text), verb)) {
			t.Errorf("%s: the verb is %q", c.text, verb)
		}
	}
}
