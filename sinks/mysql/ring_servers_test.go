//go:build servers

package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// A row that the source logs as deleted twice in one transaction, as MySQL 9.7 does for rows whose foreign keys make a ring, is gone after the first.
// One that is missing without that is a conflict.
func TestDeletedTwice(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v INT)", "INSERT INTO d.t VALUES (1, 0), (2, 0), (3, 0)")
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}}}
	for i, c := range []struct {
		ids  []int64
		good bool
	}{{[]int64{1, 2, 1}, true}, {[]int64{3, 4}, false}} {
		o := mysql.Options{Config: config(s), Stream: "twice", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
		o.ExactlyOnce = "table"
		sink, err := mysql.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
			t.Fatal(err)
		}
		w := batchtest.NewWriter(nil)
		head := batchtest.Txn(uint64(i + 1))
		head.Begin, head.End = true, true
		w.Begin(head)
		w.Group(event.GroupSQLForeignKeys|event.GroupNoForeignKeys, "")
		for _, id := range c.ids {
			w.Delete(table, batchtest.Int(id), batchtest.Int(0))
		}
		w.End()
		if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
			t.Fatal(err)
		}
		if err := sink.Flush(t.Context()); (err == nil) != c.good {
			t.Errorf("deletes of %v: %v", c.ids, err)
		}
		_ = sink.Close()
	}
	if got, err := s.One(t.Context(), "SELECT GROUP_CONCAT(id) FROM d.t"); err != nil || got != "3" {
		t.Errorf("rows %q, %v", got, err)
	}
}

// Transactions that came through other servers are not committed together: a reader of the target's binlog sees one transaction, which it ends or carries
// on whole.
func TestCommonCommitCameOneWay(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}}
	applied := &schemas.Table{Database: "cdc", Name: "applied", Columns: []schemas.Column{
		{Name: "stream", Type: schemas.Int}, {Name: "name", Type: schemas.VarBinary}, {Name: "came", Type: schemas.VarBinary},
	}}
	o := mysql.Options{Config: config(s), Stream: "ways", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
	o.ExactlyOnce = "table"
	sink, err := mysql.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	uuid, err := s.One(t.Context(), "SELECT @@server_uuid")
	if err != nil {
		t.Fatal(err)
	}
	w := batchtest.NewWriter(nil)
	for i, came := range []string{"", "", "x", "x", uuid, "x", "", "y x"} { // that from the target itself ends here, and is in nobody's way
		head := batchtest.Txn(uint64(i + 1))
		head.Begin, head.End = true, true
		w.Begin(head)
		w.Group(0, "")
		if came != "" {
			w.Insert(applied, batchtest.Int(1), batchtest.Bytes(fmt.Sprint("there:", i)), batchtest.Bytes(came))
		}
		w.Insert(table, batchtest.Int(int64(i)))
		w.End()
	}
	if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Query(t.Context(), "SHOW BINLOG EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	ours, commits := false, 0
	for _, r := range rows {
		switch kind, info := r[2].String, r[5].String; {
		case kind == "Table_map" && strings.Contains(info, "(d.t)"):
			ours = true
		case kind == "Xid" && ours:
			ours, commits = false, commits+1
		}
	}
	if got, err := s.One(t.Context(), "SELECT GROUP_CONCAT(id ORDER BY id) FROM d.t"); err != nil || got != "0,1,2,3,5,6,7" || commits != 4 {
		t.Errorf("rows %q in %d commits, %v", got, commits, err)
	}
}
