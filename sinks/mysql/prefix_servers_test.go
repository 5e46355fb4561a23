//go:build servers

package mysql_test

import (
	"testing"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// A before image that has no more of a text than the prefix that the primary key holds, as MySQL 9.7 logs it of rows that it has cut to that itself, finds its row all
// the same, and no other; and an update makes the row what the source has.
func TestImageOfPrefix(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "SET NAMES utf8mb4", "CREATE DATABASE d CHARACTER SET utf8mb4", "CREATE TABLE d.p (t TEXT NOT NULL, n INT, PRIMARY KEY (t(3), n))",
		"INSERT INTO d.p VALUES ('STRASSE', 1), ('STRASSE', 2), ('äöü and more', 1), ('so', 1), ('other', 1)")
	table := &schemas.Table{Database: "d", Name: "p", PrimaryKey: []int{0, 1}, Columns: []schemas.Column{
		{Name: "t", Type: schemas.Text, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"}, {Name: "n", Type: schemas.Int},
	}}
	o := mysql.Options{Config: config(s), Stream: "prefix", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
	sink, err := mysql.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	w := batchtest.NewWriter(nil)
	row := func(text string, n int64) []batchtest.Value {
		return []batchtest.Value{batchtest.Text(text), batchtest.Int(n)}
	}
	send := func(n uint64, change func()) error {
		w = batchtest.NewWriter(nil)
		head := batchtest.Txn(n)
		head.Begin, head.End = true, true
		w.Begin(head)
		change()
		w.End()
		if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
			return err
		}
		return sink.Flush(t.Context())
	}
	err = send(1, func() {
		w.Delete(table, row("so", 1)...).Delete(table, row("STR", 1)...).Update(table, row("äöü", 1), row("äöü", 7))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.One(t.Context(), "SELECT GROUP_CONCAT(HEX(CONVERT(t USING latin1)), n ORDER BY n) FROM d.p"); err != nil || got != "6F746865721,535452415353452,E4F6FC7" {
		t.Errorf("rows %q, %v", got, err)
	}
	if err := send(2, func() { w.Delete(table, row("so", 1)...) }); err == nil {
		t.Error("a row that is not there was deleted")
	}
}
