//go:build servers

package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/mysql"
)

// The statements of a transaction go along with the COMMIT of the one before. What they meet is theirs alone: the one before is committed, and they are
// handled as if they had been sent by themselves.
func TestStatementsBehindCommit(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	table := &schemas.Table{Database: "d", Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}}}
	const last, missing, twice = 30, 7, 15
	for _, exact := range []string{"gtid_next", "table"} {
		for _, workers := range []int{1, 3} {
			for _, policy := range []string{"skip", "stop"} {
				t.Run(fmt.Sprint(exact, " ", workers, " ", policy), func(t *testing.T) {
					testbed.MustExec(t, s, "DROP DATABASE IF EXISTS d", "DROP DATABASE IF EXISTS cdc", "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v INT)",
						fmt.Sprintf("INSERT INTO d.t VALUES (%d, 1)", twice), "RESET BINARY LOGS AND GTIDS")
					o := mysql.Options{Config: config(s), Stream: "along", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7, Flavor: gtid.MySQL}}
					o.ExactlyOnce, o.Parallel.Workers, o.Parallel.Group, o.OnConflict = exact, workers, 1, policy
					sink, err := mysql.Open(o)
					if err != nil {
						t.Fatal(err)
					}
					defer sink.Close()
					if err := sink.Start(t.Context(), sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}); err != nil {
						t.Fatal(err)
					}
					w := batchtest.NewWriter(nil)
					want := []string{fmt.Sprintf("%d=1", twice)}
					for i := 1; i <= last; i++ {
						head := batchtest.Txn(uint64(i))
						head.Begin, head.End = true, true
						w.Begin(head)
						if i == missing {
							w.Update(table, []batchtest.Value{batchtest.Int(1000), batchtest.Int(1)}, []batchtest.Value{batchtest.Int(1000), batchtest.Int(2)})
						}
						w.Insert(table, batchtest.Int(int64(i)), batchtest.Int(int64(i)))
						w.End()
						if i != twice && (policy == "skip" || i < missing) {
							want = append(want, fmt.Sprintf("%d=%d", i, i))
						}
					}
					if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
						t.Fatal(err)
					}
					err = sink.Flush(t.Context())
					if policy == "stop" {
						if !fault.Has(err, fault.TargetConflict) || !strings.Contains(err.Error(), fmt.Sprintf(":%d", missing)) {
							t.Errorf("got %v", err)
						}
						_ = sink.Close()
					} else if st := sink.Status(); err != nil || st.Conflicts != 2 || st.Applied != last {
						t.Errorf("%v, %+v", err, st)
					}
					got, err := s.Query(t.Context(), "SELECT CONCAT(id, '=', v) FROM d.t ORDER BY id = "+fmt.Sprint(twice)+" DESC, id")
					if err != nil {
						t.Fatal(err)
					}
					var rows []string
					for _, r := range got {
						rows = append(rows, r[0].String)
					}
					if strings.Join(rows, " ") != strings.Join(want, " ") {
						t.Errorf("rows %q, want %q", rows, want)
					}
				})
			}
		}
	}
}
