//go:build servers

package mysql_test

import (
	"regexp"
	"strings"
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

// A process lost the lock of its stream without knowing it, and another one has taken the stream: the sessions in which the first would go on are gone, and
// it gets no new ones.
func TestFence(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	testbed.MustExec(t, s, "CREATE DATABASE fenced", "CREATE TABLE fenced.t (id INT PRIMARY KEY)")
	table := &schemas.Table{Database: "fenced", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}}
	stalls := make(chan error, 100)
	open := func(stalled func(error)) *mysql.Sink {
		o := mysql.Options{Config: config(s), Stream: "fenced", Source: event.Server{UUID: gtid.UUID{0xaa, 2}, ID: 7}, Stalled: stalled}
		o.ExactlyOnce, o.Database = "table", "cdc_fenced"
		sink, err := mysql.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sink.Close() })
		return sink
	}
	base := sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}
	insert := func(n int) *event.Batch {
		w := batchtest.NewWriter(nil)
		head := batchtest.Txn(uint64(n))
		head.Begin, head.End = true, true
		w.Begin(head)
		w.Insert(table, batchtest.Int(int64(n)))
		w.End()
		return w.Batch()
	}
	first := open(func(err error) {
		if err != nil {
			select {
			case stalls <- err:
			default:
			}
		}
	})
	if err := first.Start(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	acked := make(chan error, 2)
	if err := first.Write(t.Context(), insert(1), func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-acked; err != nil {
		t.Fatal(err)
	}
	second := open(nil)
	started := make(chan error, 1)
	go func() { started <- second.Start(t.Context(), base) }()
	name := regexp.MustCompile(`GET_LOCK\('(cdc\.[0-9a-z]+)', 10\)`)
	var lock string
	for deadline := time.Now().Add(time.Minute); lock == ""; {
		info, err := s.One(t.Context(), "SELECT COALESCE(MAX(info), '') FROM information_schema.processlist WHERE state = 'User lock' AND info LIKE 'SELECT GET_LOCK(%'")
		if err != nil {
			t.Fatal(err)
		}
		if m := name.FindStringSubmatch(info); m != nil {
			lock = m[1]
		} else if time.Now().After(deadline) {
			t.Fatal("the second process does not wait for the lock")
		}
	}
	keeper, err := s.One(t.Context(), "SELECT IS_USED_LOCK('"+lock+"')")
	if err != nil {
		t.Fatal(err)
	}
	testbed.MustExec(t, s, "KILL "+keeper)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := first.Write(t.Context(), insert(2), func(err error) { acked <- err }); err == nil {
		select {
		case err := <-stalls:
			// At first that its session is gone; then, as often as it tries, that it gets none.
			for !strings.Contains(err.Error(), "is not this process's") && !strings.Contains(err.Error(), "another process applies") {
				select {
				case err = <-stalls:
				case err = <-acked:
					if err == nil {
						t.Fatal("it applied what it had under way")
					}
				case <-time.After(time.Minute):
					t.Fatalf("it says only %v", err)
				}
			}
		case err := <-acked:
			if err == nil {
				t.Fatal("it applied what it had under way")
			}
		case <-time.After(time.Minute):
			t.Fatal("it neither waits nor fails")
		}
	}
	if n, err := s.One(t.Context(), "SELECT COUNT(*) FROM fenced.t"); err != nil || n != "1" {
		t.Errorf("the table has %s rows, want 1 (%v)", n, err)
	}
	if err := second.Write(t.Context(), insert(2), func(err error) { acked <- err }); err != nil {
		t.Fatal(err)
	}
	for err := range acked {
		if err == nil {
			break
		}
	}
	if n, err := s.One(t.Context(), "SELECT COUNT(*) FROM fenced.t"); err != nil || n != "2" {
		t.Errorf("the table has %s rows, want 2 (%v)", n, err)
	}
}
