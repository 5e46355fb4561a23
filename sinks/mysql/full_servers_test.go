//go:build servers

package mysql_test

import (
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// A target that has no space left is waited for, and says so; when there is space again all goes on where it was.
func TestTargetFull(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{Args: []string{"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M"}})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v LONGBLOB)", "CREATE TABLE d.filler (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
	o := mysql.Options{Config: config(s), Stream: "full", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
	o.ExactlyOnce = "table"
	stalled := make(chan error, 100)
	o.Stalled = func(err error) { stalled <- err }
	sink, err := mysql.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"1000000", "100000", "20000"} {
		for n := 0; ; n++ {
			if err := s.Exec(t.Context(), "INSERT INTO d.filler (v) VALUES (REPEAT('x', "+size+"))"); err != nil {
				if !strings.Contains(err.Error(), "is full") {
					t.Fatal(err)
				}
				break
			}
			if n > 2000 {
				t.Fatal("the server is never full")
			}
		}
	}
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.LongBlob, Nullable: true}}}
	w := batchtest.NewWriter(nil)
	for i := range 3 {
		head := batchtest.Txn(uint64(i + 1))
		head.Begin, head.End = true, true
		w.Begin(head)
		w.Insert(table, batchtest.Int(int64(i+1)), batchtest.Bytes(strings.Repeat("y", 400_000)))
		w.End()
	}
	acked := make(chan error, 1)
	if err := sink.Write(t.Context(), w.Batch(), func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	patience := time.After(time.Minute)
	select {
	case err := <-stalled:
		if !fault.Has(err, fault.SinkDiskFull) {
			t.Errorf("it waits for %v", err)
		}
	case err := <-acked:
		t.Fatalf("the batch was acked with %v", err)
	case <-patience:
		t.Fatal("nobody is told that the target is full")
	}
	testbed.MustExec(t, s, "DROP TABLE d.filler")
	select {
	case err := <-acked:
		if err != nil {
			t.Fatal(err)
		}
	case <-patience:
		t.Fatal("it does not go on")
	}
	if got, err := s.One(t.Context(), "SELECT CONCAT(COUNT(*), ' ', SUM(LENGTH(v))) FROM d.t"); err != nil || got != "3 1200000" {
		t.Errorf("rows, bytes: %q, %v", got, err)
	}
}
