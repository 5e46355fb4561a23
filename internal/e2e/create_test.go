//go:build servers

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/gtid"
	"cdc/internal/testbed"
)

// anyServer makes tables that every server has in the same way.
var anyServer = []string{
	"CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "USE shop",
	"CREATE TABLE ints (id int PRIMARY KEY, v int) COMMENT='it''s \\\\ one'",
	"CREATE TABLE a (id int PRIMARY KEY, b int, KEY (b))",
	"CREATE TABLE b (id int PRIMARY KEY, a int, CONSTRAINT ba FOREIGN KEY (a) REFERENCES a (id))",
	"ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b) REFERENCES b (id)",
	"CREATE TABLE made (id int PRIMARY KEY, v int, w int GENERATED ALWAYS AS (v * 2) STORED, x int GENERATED ALWAYS AS (v + 1) VIRTUAL, KEY (x))",
	"CREATE TABLE parts (id int, d date NOT NULL, v int, PRIMARY KEY (id, d)) PARTITION BY RANGE COLUMNS (d) (PARTITION p0 VALUES LESS THAN ('2021-01-01'), PARTITION p1 VALUES LESS THAN (MAXVALUE))",
	"CREATE TABLE `../../x` (`weird \"' name` int PRIMARY KEY, v varchar(30) CHARACTER SET latin1 COLLATE latin1_german2_ci DEFAULT 'ü?' COMMENT '表 ''?')",
	"CREATE TABLE r_1 (id int AUTO_INCREMENT PRIMARY KEY, e enum('a','b''c','ü'), s set('x','y'), u varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, UNIQUE KEY (u))",
	"SET sql_mode=''",
	"CREATE TABLE times (id int PRIMARY KEY, t timestamp NOT NULL DEFAULT '2001-02-03 04:05:06', z date NOT NULL DEFAULT '0000-00-00', " +
		"n timestamp(3) NULL, c datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), b bit(5) DEFAULT b'101', m decimal(12,4) unsigned DEFAULT 1.5)",
	"CREATE TABLE altered (id int PRIMARY KEY, v int)",
}

// ownTables makes tables that only one kind of server has.
func ownTables(k testbed.Kind) []string {
	switch {
	case k.MariaDB():
		return []string{
			"CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 10 NOCACHE", "DO NEXTVAL(numbers)", "DO NEXTVAL(numbers)",
			"CREATE TABLE own (id int PRIMARY KEY, v int INVISIBLE DEFAULT 3, n bigint DEFAULT NEXTVAL(numbers), i inet6, CONSTRAINT positive CHECK (v > -1))",
		}
	case k == testbed.MySQL57:
		return []string{"CREATE TABLE own (id int PRIMARY KEY, v varchar(20), j json, FULLTEXT KEY (v)) CHARACTER SET utf8mb4", "CREATE TABLE plain (id int PRIMARY KEY, t text) CHARACTER SET utf8"}
	}
	return []string{
		"CREATE TABLE own (id int PRIMARY KEY, v int INVISIBLE DEFAULT (1 + 2), u binary(16) DEFAULT (uuid_to_bin(uuid())), j json, s varchar(20) COLLATE utf8mb4_0900_ai_ci, " +
			"KEY expr ((v + 1)), KEY down (v DESC, s), CONSTRAINT positive CHECK (v > -1) NOT ENFORCED) COLLATE utf8mb4_0900_ai_ci",
		"SET SESSION sql_generate_invisible_primary_key=ON", "CREATE TABLE keyed (v int)", "SET SESSION sql_generate_invisible_primary_key=OFF",
	}
}

// fillAny puts rows into the tables of anyServer.
func fillAny(rows int) (out []string) {
	for i := range rows {
		out = append(out, fmt.Sprintf("INSERT INTO shop.ints VALUES (%d, %d)", i, i), fmt.Sprintf("INSERT INTO shop.made (id, v) VALUES (%d, %d)", i, i%7))
		if i%10 == 0 {
			out = append(out, fmt.Sprintf("INSERT INTO shop.b VALUES (%d, NULL)", i), fmt.Sprintf("INSERT INTO shop.a VALUES (%d, %d)", i, i), fmt.Sprintf("UPDATE shop.b SET a=%d WHERE id=%d", i, i),
				fmt.Sprintf("INSERT INTO shop.parts VALUES (%d, '20%02d-02-03', 1)", i, 10+i%20), fmt.Sprintf("INSERT INTO shop.`../../x` VALUES (%d, 'a%d')", i, i),
				fmt.Sprintf("INSERT INTO shop.r_1 (id, e, s, u) VALUES (%d, 'ü', 'x,y', 'u%d')", i+1, i), fmt.Sprintf("INSERT INTO shop.times (id) VALUES (%d)", i),
				fmt.Sprintf("INSERT INTO shop.own (id) VALUES (%d)", i), fmt.Sprintf("INSERT INTO shop.altered (id) VALUES (%d)", i))
		}
	}
	return out
}

// alterAndWrite changes rows and tables until stop is called.
func alterAndWrite(t testing.TB, s *testbed.Server, n uint64) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	work := func(f func(exec func(string, ...any), rng *rand.Rand, i int) time.Duration) {
		wg.Go(func() {
			conn, err := s.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rng := rand.New(rand.NewPCG(n, uint64(len(s.Addr()))))
			exec := func(format string, args ...any) {
				_, err := testbed.QueryConn(t.Context(), conn, fmt.Sprintf(format, args...))
				if err != nil && !strings.Contains(err.Error(), "Deadlock") && !strings.Contains(err.Error(), "Duplicate") && !strings.Contains(err.Error(), "Record has changed") &&
					!strings.Contains(err.Error(), "foreign key") {
					t.Error(err)
				}
			}
			exec("SET NAMES utf8mb4")
			exec("USE shop")
			for i := 0; ctx.Err() == nil; i++ {
				pause(ctx, f(exec, rng, i))
			}
		})
	}
	work(func(exec func(string, ...any), rng *rand.Rand, i int) time.Duration {
		k := rng.IntN(1000)
		switch rng.IntN(5) {
		case 0:
			exec("INSERT IGNORE INTO ints VALUES (%d, %d)", k, i)
		case 1:
			exec("UPDATE made SET v=%d WHERE id=%d", i%50, k)
		case 2:
			exec("DELETE FROM ints WHERE id=%d", k)
		case 3:
			exec("INSERT INTO r_1 (e, u) VALUES ('a', 'w%d')", i)
		default:
			exec("UPDATE altered SET v=%d WHERE id=%d", i, k/10*10)
		}
		return time.Duration(rng.IntN(8)) * time.Millisecond
	})
	work(func(exec func(string, ...any), rng *rand.Rand, i int) time.Duration {
		switch {
		case i == 40: // a table that is never left alone is never copied
			<-ctx.Done()
		case i%20 == 19:
			exec("CREATE TABLE later%d (id int PRIMARY KEY)", i)
			exec("INSERT INTO later%d VALUES (1)", i)
		case i%2 == 0:
			exec("ALTER TABLE altered ADD COLUMN c%d int DEFAULT %d", i, i)
		default:
			exec("ALTER TABLE altered DROP COLUMN c%d, ADD COLUMN d%d varchar(10) DEFAULT 'd'", i-1, i)
		}
		return 120 * time.Millisecond
	})
	return func() { cancel(); wg.Wait() }
}

// An empty target gets its tables from the snapshot, while the source is written to and its tables are altered, and cdc is killed. In the end both
// are alike.
func TestEmptyTarget(t *testing.T) {
	for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, way{testbed.MariaDB118, testbed.MySQL97, "table"}) {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			n := seed(t)
			rng := rand.New(rand.NewPCG(n, 9))
			s, target := testbed.Start(t, w.from, testbed.Options{}), testbed.Start(t, w.to, testbed.Options{})
			const rows = 600
			own := ownTables(w.from)
			if w.from.MariaDB() != w.to.MariaDB() {
				own = []string{"CREATE TABLE own (id int PRIMARY KEY, v int)"}
			}
			testbed.MustExec(t, s, slices.Concat([]string{"SET NAMES utf8mb4"}, anyServer, own, fillAny(rows))...)
			p := &pair{target: target, mode: w.mode}
			p.pipe = newPipe(t, s, settings{
				tables: `"shop.%"`, memory: "64MiB", every: "100ms",
				sink: fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s}", target.Addr(), applier, w.mode),
				stream: "    snapshot: initial\n    snapshot_limits: {chunk_rows: 40, rows_per_second: 700}\n" +
					"    transforms:\n      - route: {match: \"shop.r\\\\_%\", to: \"archive.{table}\"}\n",
			})
			rights := []string{"SET SESSION sql_log_bin=0", "CREATE USER " + applier + " IDENTIFIED BY '" + testbed.Password + "'"}
			for _, line := range strings.Split(must(t, "check", p.yaml, "--grants=target"), "\n") {
				if strings.HasPrefix(line, "GRANT ") { // no more than it says
					rights = append(rights, strings.TrimSuffix(line, ";"))
				}
			}
			if w.mode == "gtid_next" {
				rights = append(rights, "GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO "+applier) // for gtid_purged, by which the set becomes the source's
			}
			testbed.MustExec(t, target, rights...)
			if out := must(t, "check", p.yaml); !strings.Contains(out, "made by the snapshot: ") {
				t.Errorf("the check says nothing of the tables that are made:\n%s", out)
			}
			stop := alterAndWrite(t, s, n)
			for range number(t, "CDC_SNAPSHOT_KILLS", 2) {
				r := p.run(t)
				p.streaming(t, r)
				pause(t.Context(), time.Duration(rng.Int64N(int64(1500*time.Millisecond))))
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				r.kill()
			}
			r := p.run(t)
			poll(t, "the snapshot is over", func() bool {
				if !r.running() {
					t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
				}
				st, ok := p.status(t)
				return ok && st.Snapshot != nil && st.Snapshot.State == "done"
			})
			pause(t.Context(), 500*time.Millisecond)
			stop()
			p.reached(t, r)
			r.stop(t)
			p.alike(t)
		})
	}
}

var said = regexp.MustCompile(` CHARACTER SET \w+ COLLATE`)

// alike compares all tables of shop, of which those called r_ are in archive at the target.
func (p *pair) alike(t testing.TB) {
	t.Helper()
	rows := testbed.MustQuery(t, p.server, "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'shop'")
	if len(rows) < 9 {
		t.Errorf("only %d tables", len(rows))
	}
	for _, r := range rows {
		name := "`shop`.`" + r[0].String + "`"
		there := name
		if strings.HasPrefix(r[0].String, "r_") {
			there = "`archive`.`" + r[0].String + "`"
		}
		// MySQL prints whether a statement has said a column's character set beside its collation.
		a, b := said.ReplaceAllString(p.definition(t, p.server, name), " COLLATE"), said.ReplaceAllString(p.definition(t, p.target, there), " COLLATE")
		if p.server.Kind == p.target.Kind && a != b {
			t.Errorf("%s is\n%s, want\n%s", name, b, a)
		}
		if r[1].String == "SEQUENCE" {
			continue
		}
		if there == name {
			p.rowsDiffer(t, name)
		} else if want, got := dump(t, p.server, name), dump(t, p.target, there); !slices.Equal(want, got) {
			t.Errorf("%s has other rows than %s: %d and %d", there, name, len(got), len(want))
		}
	}
	if p.mode != "gtid_next" {
		return
	}
	a, err := p.server.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.target.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want, got := parsed(t, a), parsed(t, b); !gtid.Minus(got, want).Empty() || !gtid.Minus(want, got).Empty() {
		t.Errorf("the target has executed\n%s, want\n%s", b, a)
	}
}

func parsed(t testing.TB, text string) *gtid.Set {
	t.Helper()
	set, err := gtid.Parse(gtid.MySQL, text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// What another kind of server does not have, or a table that the stream does not carry, stops the stream with what to do; done by hand it goes on. Where
// transforms change a table, it is made with the columns that leave them.
func TestEmptyTargetByHand(t *testing.T) {
	s, target := testbed.Start(t, testbed.MariaDB118, testbed.Options{}), testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "SET NAMES utf8mb4", "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "USE shop",
		"CREATE TABLE marked (id int PRIMARY KEY, mark uuid)", "INSERT INTO marked VALUES (1, uuid())",
		"CREATE TABLE sorted (id int PRIMARY KEY, word varchar(9) COLLATE utf8mb4_uca1400_ai_ci)",
		"CREATE TABLE parent (id int PRIMARY KEY)", "CREATE TABLE child (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES parent (id))", "INSERT INTO child VALUES (5, NULL)",
		"CREATE TABLE users (id int PRIMARY KEY, name varchar(20) DEFAULT 'geheim', password varchar(20) NOT NULL, city varchar(10), UNIQUE KEY n (name), KEY (city, name(3)))",
		"INSERT INTO users VALUES (1, 'anna', 'x', 'Ulm'), (2, 'berta', 'y', NULL)")
	testbed.MustExec(t, target, "SET SESSION sql_log_bin=0", "CREATE USER "+applier+" IDENTIFIED BY '"+testbed.Password+"'", "GRANT ALL ON *.* TO "+applier+" WITH GRANT OPTION")
	only := func(table, transforms string) *pipe {
		return newPipe(t, s, settings{
			tables: `"shop.` + table + `"`, sink: fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, on_conflict: stop}", target.Addr(), applier),
			stream: "    snapshot: only\n" + transforms,
		})
	}
	run(t, "run", only("marked", "").yaml).refused(t, 1, "CDC5222", "the target has no type for the column mark (uuid)", "shop.marked")
	run(t, "run", only("sorted", "").yaml).refused(t, 1, "CDC5222", "the column word (utf8mb4_uca1400_ai_ci)")
	p := only("child", "")
	run(t, "run", p.yaml).refused(t, 1, "CDC5222", "shop.parent", "CREATE TABLE `shop`.`child` (`id` int NOT NULL")
	testbed.MustExec(t, target, "CREATE TABLE shop.child (id int PRIMARY KEY, parent int)")
	must(t, "run", p.yaml)
	if got := testbed.MustQuery(t, target, "SELECT id FROM shop.child"); len(got) != 1 || got[0][0].String != "5" {
		t.Errorf("the table that was made by hand holds %v", got)
	}

	p = only("users", "    transforms:\n      - exclude_columns: [\"shop.users.password\"]\n      - mask: {columns: [\"shop.users.name\"], keep_last: 1}\n")
	yaml, err := os.ReadFile(p.yaml)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.yaml, []byte(strings.Replace(string(yaml), "name: all", "name: users", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "run", p.yaml)
	made := testbed.MustQuery(t, target, "SHOW CREATE TABLE shop.users")[0][1].String
	for _, want := range []string{"`name` varchar(20)", "PRIMARY KEY (`id`)", " KEY `n` (`name`)", "(`city`,`name`(3))", "COLLATE utf8mb4_general_ci"} {
		if !strings.Contains(made, want) {
			t.Errorf("the table lacks %s:\n%s", want, made)
		}
	}
	if strings.Contains(made, "password") || strings.Contains(made, "geheim") || strings.Contains(made, "UNIQUE") {
		t.Errorf("the table shows what the transforms hide:\n%s", made)
	}
	if got := testbed.MustQuery(t, target, "SELECT name FROM shop.users ORDER BY id"); len(got) != 2 || got[0][0].String != "***a" {
		t.Errorf("the masked table holds %v", got)
	}
}
