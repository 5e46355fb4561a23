//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// objectsOf makes a shop with views that name each other against the alphabet, routines of other sessions than ours, events and triggers.
func objectsOf() []string {
	return []string{
		"CREATE DATABASE shop CHARACTER SET latin1", "USE shop", "CREATE TABLE orders (id int PRIMARY KEY, total int, note varchar(40))", "CREATE TABLE audit (id int AUTO_INCREMENT PRIMARY KEY, what varchar(40))",
		"CREATE USER app@'10.%'",
		"CREATE VIEW z AS SELECT id, total FROM orders WHERE total > 10", "CREATE DEFINER=app@'10.%' SQL SECURITY INVOKER VIEW a AS SELECT id AS `an ``id``` FROM z",
		"CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2", "CREATE TABLE gone (id int)", "CREATE VIEW calls AS SELECT twice(id) FROM gone", "DROP TABLE gone",
		"SET NAMES latin1", "CREATE PROCEDURE speak(OUT s varchar(20)) COMMENT 'ASCII' SET s = 'm\xfcde'", "CREATE VIEW umlauts AS SELECT id AS `\xe4`, 'm\xfcde' AS b FROM orders WHERE note <> _utf8'\xc3\xa4'",
		"CREATE PROCEDURE comments() COMMENT 'gr\xfc\xdfe' SELECT 1", "CREATE TRIGGER c_audit BEFORE UPDATE ON orders FOR EACH ROW SET NEW.note = 'm\xfcde'",
		"SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT,ONLY_FULL_GROUP_BY'", "CREATE DEFINER=app@'10.%' PROCEDURE \"odd name\"() SELECT 'a' || 'b', \"id\" FROM orders",
		"SET sql_mode=''", "SET time_zone='+02:00'", "CREATE EVENT nightly ON SCHEDULE EVERY 1 SECOND STARTS '2020-01-01 03:00:00' COMMENT 'ON COMPLETION ENABLE' DO INSERT INTO audit (what) VALUES ('event')",
		"CREATE EVENT resting ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE DO SELECT 1", "SET time_zone='+00:00'",
		"CREATE TRIGGER b_audit AFTER INSERT ON orders FOR EACH ROW INSERT INTO audit (what) VALUES (CONCAT('second of ', NEW.id))",
		"CREATE TRIGGER a_audit AFTER INSERT ON orders FOR EACH ROW PRECEDES b_audit INSERT INTO audit (what) VALUES (CONCAT('first of ', NEW.id))",
		"INSERT INTO orders VALUES (1, 5, 'x'), (2, 50, 'y')",
	}
}

// definitions gives what a server prints of the objects of shop, each byte as it was written.
func definitions(t testing.TB, s *testbed.Server) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range []string{"VIEW z", "VIEW a", "FUNCTION twice", "PROCEDURE speak", "PROCEDURE `odd name`", "EVENT nightly", "EVENT resting", "TRIGGER a_audit", "TRIGGER b_audit", "TRIGGER c_audit", "VIEW umlauts"} {
		kind, name, _ := strings.Cut(o, " ")
		rows, err := s.Query(t.Context(), "SET character_set_results=NULL", "SHOW CREATE "+kind+" shop."+name)
		if err != nil {
			continue // there is none
		}
		var all []string
		for i, v := range rows[0] {
			if kind == "TRIGGER" && i == 6 { // when
				continue
			}
			all = append(all, v.String)
		}
		out[o] = strings.Join(all, " | ")
	}
	return out
}

type object struct{ Kind, Name, Table, State, Reason string }

func (p *pipe) objects(t testing.TB, want int, args ...string) map[string]object {
	t.Helper()
	r := run(t, append([]string{"objects", p.yaml, "--json"}, args...)...)
	if r.code != want {
		t.Fatalf("objects %q: exit code %d\n%s%s", args, r.code, r.out, r.err)
	}
	var list []object
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	out := map[string]object{}
	for _, o := range list {
		out[o.Kind+" "+strings.TrimPrefix(o.Name, "shop.")] = o
	}
	return out
}

// An empty target gets views, routines and events as they are at the source, and what acts does so only from the cut-over on.
func TestEmptyTargetObjects(t *testing.T) {
	for _, w := range ways(t, way{testbed.MySQL97, testbed.MySQL97, "gtid_next"}, way{testbed.MariaDB118, testbed.MySQL97, "table"}) {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			s, target := testbed.Start(t, w.from, testbed.Options{}), testbed.Start(t, w.to, testbed.Options{})
			testbed.MustExec(t, s, "GRANT SHOW VIEW, EVENT, TRIGGER ON *.* TO "+testbed.User, "SET GLOBAL event_scheduler=OFF")
			testbed.MustExec(t, s, objectsOf()...)
			if !w.to.MariaDB() {
				testbed.MustExec(t, target, "SET GLOBAL event_scheduler=ON")
			}
			p := &pair{target: target, mode: w.mode}
			p.pipe = newPipe(t, s, settings{
				tables: `"shop.%"`, stream: "    snapshot: initial\n",
				sink: fmt.Sprintf("mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s}", target.Addr(), applier, w.mode),
			})
			rights := []string{"SET SESSION sql_log_bin=0", "CREATE USER " + applier + " IDENTIFIED BY '" + testbed.Password + "'", "SET GLOBAL log_bin_trust_function_creators=ON"}
			for _, line := range strings.Split(must(t, "check", p.yaml, "--grants=target"), "\n") {
				switch {
				case !strings.HasPrefix(line, "GRANT "):
				case strings.Contains(line, "DEFINER") && w.to.MariaDB():
					rights = append(rights, "GRANT SET USER ON *.* TO "+applier)
				case strings.Contains(line, "_ADMIN") && w.to.MariaDB():
				case strings.Contains(line, "_ADMIN") && w.to == testbed.MySQL57, strings.Contains(line, "DEFINER") && w.to != testbed.MySQL97:
					rights = append(rights, "GRANT SUPER ON *.* TO "+applier)
				default: // no more than it says
					rights = append(rights, strings.TrimSuffix(line, ";"))
				}
			}
			if w.to == testbed.MySQL97 {
				rights = append(rights, "GRANT SYSTEM_USER ON *.* TO "+applier) // root is the DEFINER
			}
			testbed.MustExec(t, target, rights...)
			if out := must(t, "check", p.yaml); !strings.Contains(out, "the account may make views, routines, events, triggers") || strings.Contains(out, "does not see") || !strings.Contains(strings.Join(strings.Fields(out), " "), "target excess grants of all none") {
				t.Errorf("the check says of the objects:\n%s", out)
			}
			r := p.run(t)
			p.streaming(t, r)
			testbed.MustExec(t, s, "INSERT INTO shop.orders VALUES (3, 30, 'z')", "UPDATE shop.orders SET total=total+1")
			p.reached(t, r)
			p.rowsDiffer(t, "`shop`.`audit`")
			p.rowsDiffer(t, "`shop`.`orders`")
			if w.mode == "gtid_next" { // it waits ten seconds for the other to go, which one of the ways may do
				if r := run(t, "objects", p.yaml, "--cut-over"); r.code != 1 || !strings.Contains(r.err, "CDC5007: ") {
					t.Errorf("a cut-over while cdc applies: exit code %d\n%s", r.code, r.err)
				}
			}
			r.stop(t)

			was := definitions(t, s)
			now := definitions(t, target)
			for name, text := range was {
				got, there := now[name]
				switch {
				case strings.HasPrefix(name, "TRIGGER"):
					if there {
						t.Errorf("%s is there before the cut-over", name)
					}
				case name == "EVENT nightly":
					if !strings.Contains(got, "DISABLE ON") {
						t.Errorf("%s runs: %s", name, got)
					}
				case got != text && w.from == w.to:
					t.Errorf("%s is\n%s, want\n%s", name, got, text)
				case !there:
					t.Errorf("%s is missing", name)
				}
			}
			kept := p.objects(t, 1)
			for name, state := range map[string]string{
				"view z": "made", "view calls": "failed", "procedure comments": "failed", "view umlauts": "made", "event nightly": "made", "trigger a_audit": "waits", "procedure odd name": "made", "function twice": "made",
			} {
				if kept[name].State != state {
					t.Errorf("%s: %+v, want %s", name, kept[name], state)
				}
			}

			// What the stream does not carry comes by a refresh, and what is gone is named.
			testbed.MustExec(t, s, "DROP VIEW shop.calls", "DROP PROCEDURE shop.comments", "CREATE VIEW shop.late AS SELECT id FROM shop.orders", "ALTER EVENT shop.resting COMMENT 'later'", "DROP FUNCTION shop.twice")
			kept = p.objects(t, 0, "--cut-over")
			for name, state := range map[string]string{
				"view calls": "gone", "function twice": "gone", "view late": "made", "event resting": "made", "event nightly": "acts", "trigger a_audit": "acts", "trigger b_audit": "acts",
			} {
				if kept[name].State != state {
					t.Errorf("%s: %+v, want %s", name, kept[name], state)
				}
			}
			was, now = definitions(t, s), definitions(t, target)
			for name, text := range was {
				if got := now[name]; got == "" || got != text && w.from == w.to {
					t.Errorf("%s is\n%s, want\n%s", name, got, text)
				}
			}
			before := testbed.MustQuery(t, target, "SELECT MAX(id) FROM shop.audit")[0][0].String
			testbed.MustExec(t, target, "INSERT INTO shop.orders VALUES (9, 9, '')")
			rows := testbed.MustQuery(t, target, "SELECT what FROM shop.audit WHERE what LIKE '% of 9' AND id > "+before+" ORDER BY id")
			if len(rows) != 2 || rows[0][0].String != "first of 9" {
				t.Errorf("the triggers of the target have written %v", rows)
			}
			if !w.to.MariaDB() {
				poll(t, "the event runs", func() bool {
					return testbed.MustQuery(t, target, "SELECT COUNT(*) FROM shop.audit WHERE what = 'event'")[0][0].String != "0"
				})
			}
			if r := run(t, "run", p.yaml); r.code != 1 || !strings.Contains(r.err, "CDC5216: ") {
				t.Errorf("a run after the cut-over: exit code %d\n%s", r.code, r.err)
			}
			p.objects(t, 0, "--cut-over", "--kept") // nothing is left to do
		})
	}
}
