//go:build servers

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// One source feeds three targets, each with a part of it: a copy that leaves tables out, one table made of many, and the whole under another name.
// These are recipes of docs/topologies.md.
func TestMySQLTopologies(t *testing.T) {
	t.Parallel()
	source := testbed.Start(t, testbed.MySQL57, testbed.Options{}) // and so an upgrade too
	targets := []*testbed.Server{testbed.Start(t, testbed.MySQL97, testbed.Options{}), testbed.Start(t, testbed.MySQL97, testbed.Options{})}
	for _, s := range targets {
		if err := s.Exec(t.Context(), "SET sql_log_bin = 0", "CREATE USER "+applier+" IDENTIFIED BY '"+testbed.Password+"'", "GRANT ALL ON *.* TO "+applier+" WITH GRANT OPTION"); err != nil {
			t.Fatal(err)
		}
	}
	testbed.MustExec(t, source, "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(40))", "CREATE TABLE shop.sessions (id INT PRIMARY KEY, data VARCHAR(40))",
		"CREATE TABLE shop.orders_1 (id INT PRIMARY KEY, customer INT)", "CREATE TABLE shop.orders_2 (id INT PRIMARY KEY, customer INT)",
		"INSERT INTO shop.customers VALUES (1, 'Ada')", "INSERT INTO shop.sessions VALUES (1, 'x')", "INSERT INTO shop.orders_1 VALUES (1, 1)", "INSERT INTO shop.orders_2 VALUES (2, 1)")
	sink := func(s *testbed.Server, more string) string {
		return fmt.Sprintf("    sink:\n      mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}%s}\n", s.Addr(), applier, more)
	}
	dir := t.TempDir()
	yaml := filepath.Join(dir, "cdc.yaml")
	text := fmt.Sprintf("source:\n  mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}}\n  start: start\n  tables: [\"shop.%%\"]\nstreams:\n", source.Addr(), testbed.User) +
		"  - name: filtered\n    transforms:\n      - exclude: [\"shop.sessions\"]\n" + sink(targets[0], ", exactly_once: gtid_next") +
		"  - name: merged\n    transforms:\n      - include: [\"shop.orders\\\\_%\"]\n      - route: {match: 'shop.orders\\_%', to: \"all.orders\"}\n" + sink(targets[1], ", exactly_once: table") +
		"  - name: renamed\n    transforms:\n      - route: {match: \"shop.%\", to: \"copy.{table}\"}\n" + sink(targets[1], ", exactly_once: table, database: cdc_copy") +
		"checkpoint: {dir: state, every: 100ms}\n"
	if err := os.WriteFile(yaml, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, []string{"run", yaml, "--log-level", "debug"})
	want := func(s *testbed.Server, what, query, want string) {
		t.Helper()
		poll(t, what, func() bool {
			if !r.running() {
				t.Fatalf("cdc ended by itself; stderr:\n%s", tailOf(r.err.String(), 30))
			}
			rows, err := s.Query(t.Context(), query)
			var got []string
			for _, row := range rows {
				for _, v := range row {
					got = append(got, v.String)
				}
			}
			return err == nil && strings.Join(got, " ") == want
		})
	}
	tables := func(database string) string {
		return "SELECT table_name FROM information_schema.tables WHERE table_schema = '" + database + "' ORDER BY 1"
	}
	want(targets[0], "the filtered copy", tables("shop"), "customers orders_1 orders_2")
	want(targets[1], "the merged table", "SELECT id FROM `all`.orders ORDER BY id", "1 2")
	want(targets[1], "the renamed copy", tables("copy"), "customers orders_1 orders_2 sessions")
	testbed.MustExec(t, source, "UPDATE shop.customers SET name = 'Grace' WHERE id = 1", "ALTER TABLE shop.sessions ADD COLUMN at INT", "INSERT INTO shop.orders_2 VALUES (3, 1)", "DELETE FROM shop.orders_1")
	want(targets[0], "the filtered copy", "SELECT name, (SELECT COUNT(*) FROM shop.orders_1) FROM shop.customers", "Grace 0")
	want(targets[1], "the merged table", "SELECT id FROM `all`.orders ORDER BY id", "2 3")
	want(targets[1], "the renamed copy", "SELECT name, (SELECT COUNT(at) FROM copy.sessions) FROM copy.customers", "Grace 0")
	if a, err := source.ExecutedGTIDs(t.Context()); err != nil {
		t.Fatal(err)
	} else {
		want(targets[0], "the GTID set of the source", "SELECT @@GLOBAL.gtid_executed", a)
	}
	r.stop(t)
}
