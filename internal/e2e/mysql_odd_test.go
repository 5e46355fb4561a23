//go:build servers

package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/gtid"
	"cdc/internal/testbed"
	random "cdc/internal/traffic"
)

// odd are statements that are seldom seen, and what they ask of a copy: each group is a session of its own.
var odd = []struct {
	what string
	only string // mysql or mariadb, where the other does not know it
	list []string
}{
	{"generated columns, also in keys", "mysql", []string{"CREATE TABLE odd.generated (a INT, b INT AS (a * 2) STORED, c VARCHAR(20) AS (CONCAT('c', a)) VIRTUAL, d INT, PRIMARY KEY (b), UNIQUE KEY (c))"}},
	{"generated columns, also in keys", "mariadb", []string{"CREATE TABLE odd.generated (a INT, b INT AS (a * 2) STORED, c VARCHAR(20) AS (CONCAT('c', a)) VIRTUAL, d INT, UNIQUE KEY (b), UNIQUE KEY (c))"}},
	{"rows of generated columns", "", []string{
		"INSERT INTO odd.generated (a, d) VALUES (1, 1), (2, 2), (3, 3)", "UPDATE odd.generated SET a = 10, d = 7 WHERE a = 1", "DELETE FROM odd.generated WHERE a = 2",
		"ALTER TABLE odd.generated ADD COLUMN e INT AS (d + 1) STORED AFTER a", "INSERT INTO odd.generated (a, d) VALUES (4, 4)",
	}},
	{"defaults that are expressions, and columns that nobody sees", "", []string{
		"CREATE TABLE odd.hidden (id INT PRIMARY KEY, a VARCHAR(40) DEFAULT (CONCAT('x', 1)), b INT DEFAULT 5 INVISIBLE, c TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))",
		"INSERT INTO odd.hidden (id) VALUES (1), (2)", "INSERT INTO odd.hidden (id, b) VALUES (3, 9)", "UPDATE odd.hidden SET a = NULL WHERE id = 1", "UPDATE odd.hidden SET b = 8, c = c WHERE id = 2",
		"ALTER TABLE odd.hidden ADD COLUMN d TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)", "SET time_zone = '+05:30'", "INSERT INTO odd.hidden (id) VALUES (4)",
	}},
	{"keys of BIT, FLOAT, DECIMAL, TIME, negative zero", "", []string{
		"CREATE TABLE odd.bits (k BIT(64) PRIMARY KEY, v INT)", "INSERT INTO odd.bits VALUES (b'0', 1), (18446744073709551615, 2), (b'1', 3)", "UPDATE odd.bits SET v = 9 WHERE k = 18446744073709551615", "DELETE FROM odd.bits WHERE k = b'0'",
		"CREATE TABLE odd.floats (k FLOAT PRIMARY KEY, d DOUBLE, UNIQUE KEY (d))", "INSERT INTO odd.floats VALUES (0.1, 0.1), (3.4e38, 1e308), (1e-38, -0.0), (16777217, 5)", "UPDATE odd.floats SET d = d + 1 WHERE k < 1", "DELETE FROM odd.floats WHERE k > 1e30",
		"CREATE TABLE odd.times (k TIME(6), d DECIMAL(65,30), PRIMARY KEY (k, d))", "INSERT INTO odd.times VALUES ('-838:59:59', -0.000000000000000000000000000001), ('-00:00:00.000001', 99999999999999999999999999999999999.999999999999999999999999999999)", "UPDATE odd.times SET d = d / 2", "DELETE FROM odd.times WHERE k < '-1:00:00'",
	}},
	{"unique keys of prefixes, collations with and without padding", "", []string{
		"CREATE TABLE odd.texts (id INT PRIMARY KEY, p TEXT, b BLOB, s VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, UNIQUE KEY (p(4)), UNIQUE KEY (b(2)), UNIQUE KEY (s)) CHARACTER SET utf8mb4",
		"INSERT INTO odd.texts VALUES (1, 'abcdef', 'xyz', 'a'), (2, 'abc', 'xaz', 'A'), (3, NULL, NULL, NULL), (4, NULL, NULL, NULL)", "UPDATE odd.texts SET p = 'abcdxx' WHERE id = 1", "DELETE FROM odd.texts WHERE id = 2", "INSERT INTO odd.texts VALUES (5, 'ABC', 'xa', 'A ')", "UPDATE odd.texts SET s = 'A' WHERE id = 5",
	}},
	{"members that are none, and dates that are none", "", []string{
		"SET sql_mode = ''", "CREATE TABLE odd.zeros (e ENUM('a', 'b') NOT NULL, s SET('x', 'y'), d DATE NOT NULL DEFAULT '0000-00-00', t DATETIME(2), ts TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00', y YEAR, PRIMARY KEY (e, d))",
		"INSERT INTO odd.zeros VALUES ('nothing', 'x,y', '2024-02-00', '0000-00-00', 0, 0), ('a', '', '0000-00-00', '2024-00-05 01:02:03.45', '1970-01-01 00:00:01', 1901), ('b', 'x', '0000-00-00', NULL, '2038-01-19 03:14:07', NULL)",
		"UPDATE odd.zeros SET y = 2155 WHERE e = 0", "UPDATE odd.zeros SET e = 'bad' WHERE e = 'b'", "ALTER TABLE odd.zeros ADD COLUMN more DATE NOT NULL DEFAULT '0000-00-00', ADD KEY (t)", "SET sql_mode = 'ALLOW_INVALID_DATES'", "INSERT INTO odd.zeros (e, d) VALUES ('a', '2023-02-31')", "DELETE FROM odd.zeros WHERE d = '2023-02-31'",
	}},
	{"partial updates of documents, images that lack columns", "mysql", []string{
		"SET binlog_row_value_options = 'PARTIAL_JSON'", "CREATE TABLE odd.docs (id INT PRIMARY KEY, j JSON, v VARCHAR(20))", `INSERT INTO odd.docs VALUES (1, '{"a": [1, 2, {"b": "x"}], "big": "0123456789012345678901234567890123456789"}', 'v'), (2, '[]', NULL)`,
		"UPDATE odd.docs SET j = JSON_SET(j, '$.a[2].b', 'longer than before', '$.a[1]', CAST(1.50 AS DECIMAL(5,2)))", "UPDATE odd.docs SET j = JSON_REMOVE(j, '$.a[0]'), v = 'w' WHERE id = 1", "SET binlog_row_image = MINIMAL", "UPDATE odd.docs SET v = 'm' WHERE id = 1", "UPDATE odd.docs SET j = JSON_SET(j, '$.a[0]', CAST('2024-01-01' AS DATE)) WHERE id = 1",
		"INSERT INTO odd.docs (id) VALUES (3)", "UPDATE odd.docs SET id = 30 WHERE id = 3", "SET binlog_row_image = NOBLOB", "UPDATE odd.docs SET v = 'n' WHERE id = 2", "DELETE FROM odd.docs WHERE id = 30",
	}},
	{"shapes", "mysql", []string{
		"CREATE TABLE odd.shapes (id INT PRIMARY KEY, g GEOMETRY NOT NULL SRID 4326, p POINT, SPATIAL KEY (g))", "INSERT INTO odd.shapes VALUES (1, ST_GeomFromText('POINT(10 20)', 4326), POINT(1, 2)), (2, ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326), NULL)",
		"UPDATE odd.shapes SET g = ST_GeomFromText('POLYGON((0 0, 0 1, 1 1, 0 0))', 4326) WHERE id = 2", "CREATE TABLE odd.loose (g GEOMETRY, n INT)", "INSERT INTO odd.loose VALUES (POINT(1, 2), 1), (POINT(1, 2), 1), (NULL, 1)", "DELETE FROM odd.loose WHERE n = 1 LIMIT 1", "UPDATE odd.loose SET n = 2 LIMIT 1",
		"CREATE TABLE odd.vectors (id INT PRIMARY KEY, v VECTOR(3))", "INSERT INTO odd.vectors VALUES (1, STRING_TO_VECTOR('[1, -2.5, 3e10]'))",
	}},
	{"no key, equal rows", "", []string{
		"CREATE TABLE odd.bag (a INT, b VARCHAR(10) CHARACTER SET latin1, c DOUBLE, d BLOB, j JSON)", `INSERT INTO odd.bag VALUES (1, 'é', 0.1, X'00ff', '{"a": 1}'), (1, 'é', 0.1, X'00ff', '{"a": 1}'), (NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL), (1, 'E', -0.0, '', '1')`,
		"DELETE FROM odd.bag WHERE a = 1 LIMIT 1", "UPDATE odd.bag SET b = 'É' WHERE a IS NULL LIMIT 1", "UPDATE odd.bag SET a = 5 WHERE b = 'e' LIMIT 1",
	}},
	{"rows as large as may be sent", "", []string{
		"CREATE TABLE odd.huge (id INT PRIMARY KEY, b LONGBLOB)", "INSERT INTO odd.huge VALUES (1, REPEAT(X'00', 1500000)), (2, REPEAT('''', 1500000)), (3, REPEAT('x', 3000000))", "UPDATE odd.huge SET b = CONCAT(b, '\\\\') WHERE id < 3", "UPDATE odd.huge SET b = 'small' WHERE id = 3", "DELETE FROM odd.huge WHERE id = 1",
	}},
	{"transactions that are prepared, and parts that are taken back", "", []string{
		"CREATE TABLE odd.x (id INT PRIMARY KEY, v INT) ENGINE=InnoDB", "XA START 'one'", "INSERT INTO odd.x VALUES (1, 1), (2, 2)", "XA END 'one'", "XA PREPARE 'one'", "XA COMMIT 'one'",
		"XA START 'two'", "INSERT INTO odd.x VALUES (3, 3)", "XA END 'two'", "XA PREPARE 'two'", "XA ROLLBACK 'two'", "XA START 'three'", "UPDATE odd.x SET v = 9", "XA END 'three'", "XA COMMIT 'three' ONE PHASE",
		"BEGIN", "INSERT INTO odd.x VALUES (4, 4)", "SAVEPOINT s", "INSERT INTO odd.x VALUES (5, 5)", "DELETE FROM odd.x WHERE id = 1", "ROLLBACK TO s", "INSERT INTO odd.x VALUES (6, 6)", "RELEASE SAVEPOINT s", "COMMIT",
	}},
	{"tables that come from queries and from others, chains of names", "", []string{
		"CREATE TABLE odd.a (id INT PRIMARY KEY, v INT)", "INSERT INTO odd.a VALUES (1, 1), (2, 2)", "CREATE TABLE odd.b AS SELECT id * 10 AS ten, v FROM odd.a", "CREATE TABLE odd.b2 (extra INT) AS SELECT v FROM odd.a", "CREATE TABLE odd.c (PRIMARY KEY (id)) SELECT * FROM odd.a WHERE id > 5", "INSERT INTO odd.c VALUES (3, 3)",
		"CREATE TABLE IF NOT EXISTS odd.a (other INT)", "RENAME TABLE odd.a TO odd.tmp, odd.c TO odd.a, odd.tmp TO odd.c", "INSERT INTO odd.a VALUES (4, 4)", "INSERT INTO odd.c VALUES (5, 5)", "ALTER TABLE odd.b RENAME TO odd2.b", "INSERT INTO odd2.b VALUES (7, 7)",
		"CREATE TABLE odd._c_gho LIKE odd.c", "ALTER TABLE odd._c_gho ADD COLUMN w INT DEFAULT 4 FIRST", "INSERT INTO odd._c_gho (id, v) SELECT id, v FROM odd.c", "RENAME TABLE odd.c TO odd._c_del, odd._c_gho TO odd.c", "INSERT INTO odd.c (id, v) VALUES (8, 8)",
		"CREATE TABLE odd.d1 (id INT PRIMARY KEY)", "CREATE TABLE odd.d2 (id INT PRIMARY KEY) ENGINE=MyISAM", "CREATE TABLE odd.d3 (id INT PRIMARY KEY)", "DROP TABLE odd.d1, odd.d2, odd._c_del", "DROP TABLE IF EXISTS odd.d3, odd.never",
		"CREATE TEMPORARY TABLE odd.passing (id INT)", "INSERT INTO odd.passing VALUES (1)", "CREATE TABLE odd.passing2 SELECT * FROM odd.passing", "DROP TABLE odd.passing", "TRUNCATE TABLE odd2.b", "INSERT INTO odd2.b VALUES (1, 2)", "CREATE OR REPLACE VIEW odd.view AS SELECT 1", "DROP VIEW odd.view", "CREATE TABLE odd.view (id INT PRIMARY KEY)",
	}},
	{"names and texts that need quotes", "", []string{
		"CREATE TABLE odd.`a``b 'c' \"d\" \\\\ .e` (`i``d` INT PRIMARY KEY, `select` VARCHAR(30) DEFAULT 'it''s \\\\ \"x\"' COMMENT 'a ''comment''\\nof two lines; -- # /* not one */', `日本` INT)", "INSERT INTO odd.`a``b 'c' \"d\" \\\\ .e` VALUES (1, 'a\\0b\\Z\\n\\r\\'\\\\', 1)", "INSERT INTO odd.`a``b 'c' \"d\" \\\\ .e` (`i``d`) VALUES (2)",
		"SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'", `CREATE TABLE odd."quoted ""so""" ("k" INT PRIMARY KEY, v VARCHAR(20) DEFAULT '\', w VARCHAR(50) AS (v || '-' || k) STORED)`, `INSERT INTO odd."quoted ""so""" (k) VALUES (1)`, `UPDATE odd."quoted ""so""" SET v = '\\'`,
		"SET sql_mode = DEFAULT", "SET NAMES latin1", "CREATE TABLE odd.latin (id INT PRIMARY KEY, v VARCHAR(10) DEFAULT '\xe9\xdf' COMMENT '\xfc') CHARACTER SET latin1", "INSERT INTO odd.latin (id) VALUES (1)", "INSERT INTO odd.latin VALUES (2, '\xff')",
	}},
	{"changes of keys, parts, sets of characters", "", []string{
		"CREATE TABLE odd.parts (id INT, v VARCHAR(20), PRIMARY KEY (id)) CHARACTER SET latin1 PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))", "INSERT INTO odd.parts VALUES (1, 'é'), (11, 'ü')", "ALTER TABLE odd.parts ADD PARTITION (PARTITION p2 VALUES LESS THAN (30))", "INSERT INTO odd.parts VALUES (21, 'x')", "ALTER TABLE odd.parts TRUNCATE PARTITION p0", "ALTER TABLE odd.parts DROP PARTITION p1",
		"ALTER TABLE odd.parts CONVERT TO CHARACTER SET utf8mb4", "UPDATE odd.parts SET v = '日本'", "ALTER TABLE odd.parts REMOVE PARTITIONING",
		"CREATE TABLE odd.keys_ (a INT NOT NULL, b INT NOT NULL, c VARCHAR(10) CHECK (c <> 'no'), PRIMARY KEY (a))", "INSERT INTO odd.keys_ VALUES (1, 2, 'x'), (2, 1, 'y')", "ALTER TABLE odd.keys_ DROP PRIMARY KEY, ADD PRIMARY KEY (b), ADD UNIQUE KEY (a)", "UPDATE odd.keys_ SET a = 5 WHERE b = 1", "ALTER TABLE odd.keys_ CHANGE a a2 BIGINT NOT NULL, ADD KEY named (c)", "ALTER TABLE odd.keys_ DROP KEY named, MODIFY c VARCHAR(20) FIRST", "INSERT INTO odd.keys_ (a2, b, c) VALUES (7, 7, 'z')",
		"CREATE TABLE odd.counted (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 100", "INSERT INTO odd.counted (v) VALUES (1), (2)", "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "INSERT INTO odd.counted VALUES (0, 0), (4294967295, 1)", "UPDATE odd.counted SET id = id + 1 WHERE id BETWEEN 100 AND 101 ORDER BY id DESC",
	}},
	{"parents and children", "", []string{
		"CREATE TABLE odd.parent (id INT PRIMARY KEY)", "CREATE TABLE odd2.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES odd.parent (id))", "SET foreign_key_checks = 0", "INSERT INTO odd2.child VALUES (1, 77)", "INSERT INTO odd.parent VALUES (1)", "SET foreign_key_checks = 1", "INSERT INTO odd2.child VALUES (2, 1)",
		"INSERT INTO odd.parent VALUES (77)", "UPDATE odd2.child SET p = 1 WHERE id = 1", "DELETE FROM odd.parent WHERE id = 77", "SET foreign_key_checks = 0", "DROP TABLE odd.parent", "CREATE TABLE odd.parent (id INT PRIMARY KEY, more INT)", "INSERT INTO odd.parent VALUES (1, 1)",
	}},
	{"a database that goes and comes", "", []string{
		"CREATE DATABASE odd3 CHARACTER SET latin1", "CREATE TABLE odd3.t (id INT PRIMARY KEY, v VARCHAR(5))", "INSERT INTO odd3.t VALUES (1, 'é')", "DROP DATABASE odd3", "CREATE DATABASE odd3 CHARACTER SET utf8mb4", "USE odd3", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(5))", "INSERT INTO t VALUES (1, 'б')", "ALTER DATABASE odd3 CHARACTER SET latin1", "CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(5))", "INSERT INTO u VALUES (1, 'é')", "TRUNCATE t", "INSERT INTO t VALUES (2, 'b')",
	}},
}

// Rare statements arrive at a target whose operator does what operators do: ends connections, holds locks, makes it read-only, stops it.
func TestMySQLOdd(t *testing.T) {
	for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, way{testbed.MySQL97, testbed.MySQL97, "table"}, way{testbed.MariaDB118, testbed.MariaDB118, "table"}) {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed(t), 12))
			source, target := testbed.Start(t, w.from, testbed.Options{}), testbed.Start(t, w.to, testbed.Options{})
			p := direction(t, source, target, w.mode)
			o := towards(target, w.mode, "")
			o.tables = `"odd%.%"`
			p.write(t, o)
			run := p.run(t)
			testbed.MustExec(t, source, "CREATE DATABASE odd CHARACTER SET utf8mb4", "CREATE DATABASE odd2 CHARACTER SET utf8mb4")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { disturb(ctx, target, rng) })
			for _, g := range odd {
				if (g.only == "mysql") == w.from.MariaDB() && g.only != "" {
					continue
				}
				if err := source.Exec(t.Context(), append([]string{"SET NAMES utf8mb4"}, g.list...)...); err != nil {
					t.Fatalf("%s: %v", g.what, err)
				}
				pause(ctx, 50*time.Millisecond)
			}
			pause(ctx, time.Second)
			cancel()
			wg.Wait()
			if err := target.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := target.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			(&pair{pipe: p}).arrives(t, run)
			run.stop(t)
			sameTables(t, &pair{pipe: p, target: target, mode: w.mode, o: random.Options{Prefix: "odd"}})
		})
	}
}

// disturb is an operator of the target with a bad day.
func disturb(ctx context.Context, s *testbed.Server, rng *rand.Rand) {
	for pause(ctx, time.Duration(rng.Int64N(int64(120*time.Millisecond)))) {
		switch rng.IntN(8) {
		case 0: // what needs a lock that somebody holds waits, and is carried out again
			rows, err := s.Query(ctx, "SELECT CONCAT('`', table_schema, '`.`', REPLACE(table_name, '`', '``'), '`') FROM information_schema.tables WHERE table_schema LIKE 'odd%' ORDER BY RAND() LIMIT 1")
			if err == nil && len(rows) == 1 {
				_ = s.Exec(ctx, "BEGIN", "SELECT 1 FROM "+rows[0][0].String+" FOR UPDATE", "SELECT SLEEP(0.3)", "ROLLBACK") // it may be gone
			}
		case 1:
			_ = s.Exec(ctx, "SET GLOBAL read_only = 1", "SELECT SLEEP(0.1)") // an account with all rights does not mind
			_ = s.Exec(context.WithoutCancel(ctx), "SET GLOBAL read_only = 0")
		case 2:
			if !s.Kind.MariaDB() {
				_ = s.Exec(ctx, "SET GLOBAL super_read_only = 1", "SELECT SLEEP(0.2)")
				_ = s.Exec(context.WithoutCancel(ctx), "SET GLOBAL super_read_only = 0", "SET GLOBAL read_only = 0")
			}
		default:
			rows, err := s.Query(ctx, "SELECT id FROM information_schema.processlist WHERE user = '"+applier+"' ORDER BY RAND() LIMIT 1")
			if err == nil && len(rows) == 1 {
				_ = s.Exec(ctx, "KILL "+rows[0][0].String) // it may have ended by itself
			}
		}
	}
}

// sameTables checks that both servers have the same tables with the same rows.
func sameTables(t *testing.T, p *pair) {
	t.Helper()
	names := func(s *testbed.Server) (all []string) {
		rows, err := s.Query(t.Context(), "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE 'odd%' ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			all = append(all, "`"+r[0].String+"`.`"+strings.ReplaceAll(r[1].String, "`", "``")+"`")
		}
		return all
	}
	want, got := names(p.server), names(p.target)
	if !slices.Equal(want, got) {
		t.Errorf("the tables are\n%q, want\n%q", got, want)
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			continue
		}
		if a, b := p.definition(t, p.server, name), p.definition(t, p.target, name); a != b {
			t.Errorf("%s is\n%s, want\n%s", name, b, a)
		}
		var sums []string
		for _, s := range []*testbed.Server{p.server, p.target} {
			rows, err := s.Query(t.Context(), "CHECKSUM TABLE "+name)
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, rows[0][1].String)
		}
		if sums[0] != sums[1] {
			p.rowsDiffer(t, name)
			t.Errorf("%s: the checksums are %v", name, sums)
		}
	}
	if p.mode == "gtid_next" {
		var sets []*gtid.Set
		for _, s := range []*testbed.Server{p.server, p.target} {
			text, err := s.ExecutedGTIDs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			set, err := gtid.Parse(gtid.MySQL, text)
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, set)
		}
		uuid, err := p.target.One(t.Context(), "SELECT @@server_uuid")
		if err != nil {
			t.Fatal(err)
		}
		// A table that comes from a query is made under a GTID of the target's, and filled under that of the source.
		more := gtid.Minus(sets[1], sets[0]).String()
		if !gtid.Minus(sets[0], sets[1]).Empty() || more != "" && (!strings.HasPrefix(more, uuid+":") || strings.Contains(more, ",")) {
			t.Errorf("GTID sets %s and %s", sets[0], sets[1])
		}
	}
}
