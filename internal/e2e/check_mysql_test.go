//go:build servers

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// into starts a source and a target with a table each, and a stream between them with the accounts that --grants prints.
func into(t *testing.T, from, to testbed.Kind, mode, start string) (p *pipe, target *testbed.Server) {
	t.Helper()
	s := testbed.Start(t, from, testbed.Options{FullMetadata: from.HasFullMetadata()})
	target = testbed.Start(t, to, testbed.Options{Durable: true})
	testbed.MustExec(t, s, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)")
	if start == "now" {
		testbed.MustExec(t, target, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)")
	}
	sink := fmt.Sprintf("mysql: {address: %q, user: applier, password: {env: CDC_PASSWORD}, exactly_once: %s}", target.Addr(), mode)
	p = newPipe(t, s, settings{tables: `"shop.%"`, start: start, sink: sink})
	p.user(t, "reader")
	for server, whose := range map[*testbed.Server]string{s: "source", target: "target"} {
		out := must(t, "check", p.yaml, "--grants="+whose)
		for l := range strings.SplitSeq(strings.ReplaceAll(out, "choose-a-password", testbed.Password), "\n") {
			if l != "" && !strings.HasPrefix(l, "--") && (!to.MariaDB() || !strings.Contains(l, "SESSION_VARIABLES_ADMIN")) {
				testbed.MustExec(t, server, l)
			}
		}
	}
	return p, target
}

// An empty target gives no warning but that of a table that the stream will make, and the stream runs with the account of least privilege, DDL too.
func TestCheckMySQLHealthy(t *testing.T) {
	t.Parallel()
	for _, w := range []way{
		{testbed.MySQL97, testbed.MySQL97, "gtid_next"},
		{testbed.MySQL97, testbed.MySQL80, "table"},
		{testbed.MariaDB118, testbed.MariaDB1011, "table"},
	} {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			p, target := into(t, w.from, w.to, w.mode, "start")
			p.finds(t, "warn table shop.t of all: CREATE TABLE `shop`.`t`")
			testbed.MustExec(t, p.server, "INSERT INTO shop.t VALUES (1), (2)", "ALTER TABLE shop.t ADD COLUMN v VARCHAR(20)", "INSERT INTO shop.t VALUES (3, 'c')",
				"CREATE TABLE shop.u (id INT PRIMARY KEY, v INT)", "INSERT INTO shop.u VALUES (1, 10)", "TRUNCATE TABLE shop.u", "INSERT INTO shop.u VALUES (2, 20)")
			must(t, "run", p.yaml, "--until", "now")
			rows := testbed.MustQuery(t, target, "SELECT id, v FROM shop.t ORDER BY id", "SELECT id, v FROM shop.u")
			if len(rows) != 1 || rows[0][0].String != "2" || rows[0][1].String != "20" {
				t.Errorf("the last table has %v", rows)
			}
			if rows := testbed.MustQuery(t, target, "SELECT GROUP_CONCAT(id, IFNULL(v, '-') ORDER BY id) FROM shop.t"); rows[0][0].String != "1-,2-,3c" {
				t.Errorf("the first table has %v", rows)
			}
			p.finds(t)
			testbed.MustExec(t, p.server, "CREATE TABLE shop.late (id INT PRIMARY KEY)")
			p.finds(t, "warn table shop.late of all: not reached yet")
			r := p.run(t)
			p.reached(t, r)
			p.finds(t) // beside a running pipeline
			r.stop(t)
		})
	}
}

// Broken targets: each fault is named with its cure, and nothing else is; a run stops for it.
func TestCheckMySQLTargets(t *testing.T) {
	t.Parallel()
	p, target := into(t, testbed.MySQL97, testbed.MySQL97, "gtid_next", "now")
	for _, c := range []struct {
		name      string
		breaks    []string
		mends     []string
		want, run string // the finding, and the code with which a run stops; empty where it runs
	}{
		{
			"password",
			[]string{"ALTER USER applier IDENTIFIED BY 'another'"},
			[]string{"ALTER USER applier IDENTIFIED BY '" + testbed.Password + "'"},
			"fail target of all CDC5202: check user and password", "CDC5202",
		},
		{
			"rights",
			[]string{"REVOKE UPDATE ON shop.* FROM applier"},
			[]string{"GRANT UPDATE ON shop.* TO applier"},
			"fail target grants of all CDC5208: GRANT UPDATE ON `shop`.* TO 'applier'@'%';", "CDC5208",
		},
		{
			"gtid_next",
			[]string{"REVOKE SESSION_VARIABLES_ADMIN ON *.* FROM applier"},
			[]string{"GRANT SESSION_VARIABLES_ADMIN ON *.* TO applier"},
			"fail exactly_once of all CDC5208: GRANT SESSION_VARIABLES_ADMIN", "CDC5208",
		},
		{
			"table",
			[]string{"RENAME TABLE shop.t TO shop.away"},
			[]string{"RENAME TABLE shop.away TO shop.t"},
			"fail table shop.t of all CDC5209: CREATE TABLE `shop`.`t` (`id` int NOT NULL, PRIMARY KEY (`id`));", "CDC5209",
		},
		{
			"column",
			[]string{"ALTER TABLE shop.t ADD COLUMN own INT NOT NULL"},
			[]string{"ALTER TABLE shop.t DROP COLUMN own"},
			"fail table shop.t of all CDC5210: SET DEFAULT", "CDC5210",
		},
		{
			"trigger",
			[]string{"CREATE TRIGGER shop.g BEFORE INSERT ON shop.t FOR EACH ROW SET @x = 1"},
			[]string{"DROP TRIGGER shop.g"},
			"fail table shop.t of all CDC5216: DROP TRIGGER `shop`.`g`;", "CDC5216",
		},
		{
			"foreign key",
			[]string{"CREATE TABLE shop.child (id INT PRIMARY KEY, t INT, CONSTRAINT c FOREIGN KEY (t) REFERENCES shop.t (id) ON DELETE CASCADE)"},
			[]string{"DROP TABLE shop.child"},
			"warn target foreign keys of all: ALTER TABLE `shop`.`child` DROP FOREIGN KEY `c`;", "",
		},
		{
			"durability",
			[]string{"SET GLOBAL sync_binlog=0"},
			[]string{"SET GLOBAL sync_binlog=1"},
			"warn target durability of all: SET PERSIST sync_binlog=1;", "",
		},
		{
			"read only",
			[]string{"SET GLOBAL super_read_only=ON"},
			[]string{"SET GLOBAL super_read_only=OFF", "SET GLOBAL read_only=OFF"},
			"fail read_only of all CDC5213: SET GLOBAL super_read_only=OFF;", "",
		},
		{
			"packet",
			[]string{"SET GLOBAL max_allowed_packet=1048576"},
			[]string{"SET GLOBAL max_allowed_packet=67108864"},
			"warn max_allowed_packet of all: SET PERSIST max_allowed_packet=67108864;", "",
		},
	} {
		testbed.MustExec(t, target, c.breaks...)
		p.finds(t, c.want)
		if c.run != "" {
			run(t, "run", p.yaml, "--until", "now").refused(t, 1, c.run)
		}
		testbed.MustExec(t, target, c.mends...)
		if t.Failed() {
			t.Fatalf("at %s", c.name)
		}
	}
	p.finds(t)
}
