//go:build servers

package mysql_test

import (
	"fmt"
	"testing"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// A process was killed while its last COMMIT was under way at the target, which carries it out when the next process is at work already: of
// transactions that are committed together the one that is there is left out, and the others are not.
func TestLateCommit(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v INT)", "INSERT INTO d.t VALUES (1, 0), (2, 0), (3, 0)")
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}}}
	o := mysql.Options{Config: config(s), Stream: "late", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7}}
	o.ExactlyOnce, o.LockWait = "table", 20*time.Second
	sink, err := mysql.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	w := batchtest.NewWriter(nil)
	var names []string
	for i := range 3 {
		head := batchtest.Txn(uint64(i + 1))
		head.Begin, head.End = true, true
		names = append(names, head.GTID.String())
		w.Begin(head)
		w.Update(table, []batchtest.Value{batchtest.Int(int64(i + 1)), batchtest.Int(0)}, []batchtest.Value{batchtest.Int(int64(i + 1)), batchtest.Int(7)})
		w.End()
	}
	b := w.Batch()
	if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	late, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	for _, q := range []string{"BEGIN", fmt.Sprintf("INSERT INTO cdc.applied (stream, name, came) SELECT id, '%s', '' FROM cdc.streams", names[1]), "UPDATE d.t SET v = 7 WHERE id = 2"} {
		if _, err := late.Execute(q); err != nil {
			t.Fatal(err)
		}
	}
	acked := make(chan error, 1)
	if err := sink.Write(t.Context(), b, func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		n, err := s.One(t.Context(), "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'")
		if err != nil {
			t.Fatal(err)
		}
		if n != "0" {
			break
		}
		select {
		case err := <-acked:
			t.Fatalf("the batch was acked with %v", err)
		case <-time.After(300 * time.Millisecond): // the table is a copy, which is made anew where nobody has asked for a tenth of a second
		}
		if time.Now().After(deadline) {
			t.Fatal("the sink does not wait for the row")
		}
	}
	if _, err := late.Execute("COMMIT"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-acked:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the batch is not acked")
	}
	if got, err := s.One(t.Context(), "SELECT GROUP_CONCAT(id, '=', v ORDER BY id) FROM d.t"); err != nil || got != "1=7,2=7,3=7" {
		t.Errorf("rows %q, %v", got, err)
	}
}
