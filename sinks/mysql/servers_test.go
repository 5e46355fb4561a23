//go:build servers

package mysql_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks"
	"cdc/sinks/mysql"
	"cdc/sinks/sinktest"
)

// config is how the tests reach a server.
func config(s *testbed.Server) mysql.Config {
	return mysql.Config{Config: session.Config{Address: s.Addr(), User: "root"}, LockWait: time.Second, RetryFor: time.Minute}
}

// target is a server with the tables of the suite's stream. They have one more column, which numbers the rows as they came.
type target struct {
	s    *testbed.Server
	o    mysql.Options
	open []sinks.Sink
}

var suiteTables = []string{"orders", "../x", "表"}

func newTarget(t testing.TB, s *testbed.Server, o mysql.Options) *target {
	t.Helper()
	list := []string{"SET NAMES utf8mb4", "DROP DATABASE IF EXISTS Shop", "DROP DATABASE IF EXISTS cdc", "CREATE DATABASE Shop DEFAULT CHARSET utf8mb4"}
	if s.Kind != testbed.MariaDB118 {
		reset := "RESET MASTER"
		if s.Kind == testbed.MySQL97 {
			reset = "RESET BINARY LOGS AND GTIDS"
		}
		list = append(list, reset)
	}
	for _, name := range suiteTables {
		var extra strings.Builder
		for i := range 60 {
			fmt.Fprintf(&extra, ", c%d INT NULL", i+2)
		}
		list = append(list, "CREATE TABLE Shop.`"+name+"` (n BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT, v VARCHAR(100)"+extra.String()+")")
	}
	testbed.MustExec(t, s, list...)
	return &target{s: s, o: o}
}

func (g *target) Open(_ context.Context, budget *event.Budget) (sinks.Sink, error) {
	o := g.o
	o.Budget = budget
	s, err := mysql.Open(o)
	if err == nil {
		g.open = append(g.open, s)
	}
	return s, err
}

// Crash has the server end the sink's sessions, which is what it does when a process is gone. MySQL 5.7 does not end sessions of TLS that it kills.
func (g *target) Crash(t testing.TB) sinktest.Target {
	for _, s := range g.open {
		defer s.Close()
	}
	if g.s.Kind == testbed.MySQL57 {
		return &target{s: g.s, o: g.o}
	}
	rows, err := g.s.Query(t.Context(), "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID()")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		_ = g.s.Exec(t.Context(), "KILL "+r[0].String)
	}
	return &target{s: g.s, o: g.o}
}

func (g *target) Delivered(t testing.TB) []sinktest.Record {
	t.Helper()
	var list []sinktest.Record
	for _, name := range suiteTables {
		rows, err := g.s.Query(t.Context(), "SET NAMES utf8mb4", "SELECT v FROM Shop.`"+name+"` ORDER BY n")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			row, txn, _ := strings.Cut(strings.TrimPrefix(r[0].String, "row "), " of ")
			n, err := strconv.ParseUint(row, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, sinktest.Record{Table: schemas.Name{Database: "Shop", Table: name}, Txn: txn, Row: uint32(n)})
		}
	}
	return list
}

// TestConformance runs the suite of all sinks.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		kind   testbed.Kind
		exact  string
		by     string
		stride int
	}{
		{testbed.MySQL97, "auto", "writeset", 5},
		{testbed.MySQL57, "table", "logical_clock", 7},
		{testbed.MariaDB118, "auto", "database", 7},
	} {
		t.Run(string(c.kind)+" "+c.exact+" "+c.by, func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, c.kind, testbed.Options{})
			o := mysql.Options{Config: config(s), Stream: "suite", Source: event.Server{Flavor: gtid.MySQL, UUID: gtid.UUID{0xaa, 1}, ID: 7}}
			o.ExactlyOnce, o.Parallel.By, o.DDL = c.exact, c.by, "ignore"
			sinktest.Run(t, sinktest.Harness{New: func(t testing.TB) sinktest.Target { return newTarget(t, s, o) }, Stride: c.stride})
		})
	}
}
