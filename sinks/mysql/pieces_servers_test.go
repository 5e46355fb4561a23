//go:build servers

package mysql_test

import (
	"slices"
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

// A table without a key that was copied by a run whose checkpoint did not come so far is left out where it comes as it was then, and refused where it was read at another moment, or got a key
// since; by each way of exactly once.
func TestPieces(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	loose := &schemas.Table{Database: "pieces", Name: "loose", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}}
	keyed := &schemas.Table{Database: "pieces", Name: "loose", Columns: loose.Columns, PrimaryKey: []int{0}}
	base := sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}
	for _, exact := range []string{"table", "gtid_next"} {
		t.Run(exact, func(t *testing.T) {
			testbed.MustExec(t, s, "DROP DATABASE IF EXISTS pieces", "DROP DATABASE IF EXISTS cdc_pieces", "CREATE DATABASE pieces", "CREATE TABLE pieces.loose (id INT)")
			commit := int64(0)
			// run gives the rows of a table to a sink of a new process.
			run := func(table *schemas.Table, snapshot, place string) error {
				t.Helper()
				o := mysql.Options{Config: config(s), Stream: "pieces", Source: event.Server{Flavor: gtid.MySQL, UUID: gtid.UUID{0xaa, 3}, ID: 7}}
				o.ExactlyOnce, o.Database = exact, "cdc_pieces"
				sink, err := mysql.Open(o)
				if err != nil {
					t.Fatal(err)
				}
				defer sink.Close()
				if err := sink.Start(t.Context(), base); err != nil {
					t.Fatal(err)
				}
				w := batchtest.NewWriter(nil)
				commit++ // no two chunks have the same
				w.Begin(event.Txn{Chunk: true, Begin: true, End: true, File: base.File, Off: base.Offset, Next: base.Offset, Commit: commit, ServerID: 7})
				for _, id := range []int64{5, 5, 6} {
					if id == 6 || len(table.PrimaryKey) == 0 {
						w.Change(event.Read, table, nil, []batchtest.Value{batchtest.Int(id)})
					}
				}
				b := w.End().Batch()
				b.Copying = true
				b.Mark = &event.Mark{ID: snapshot, Table: &event.TableCopy{Name: schemas.Name{Database: "pieces", Table: "loose"}, Done: true}, Low: place, High: place}
				if len(table.PrimaryKey) > 0 {
					b.Mark.Table.Key = []string{"id int"}
				}
				acked := make(chan error, 1)
				if err := sink.Write(t.Context(), b, func(err error) { acked <- err }); err != nil {
					return err
				}
				if err := sink.Flush(t.Context()); err != nil {
					return err
				}
				return <-acked
			}
			has := func(want ...string) {
				t.Helper()
				var got []string
				for _, r := range testbed.MustQuery(t, s, "SELECT id FROM pieces.loose ORDER BY id") {
					got = append(got, r[0].String)
				}
				if !slices.Equal(got, want) {
					t.Errorf("the target has %v, wanted %v", got, want)
				}
			}
			twice := func(err error) {
				t.Helper()
				if !fault.Has(err, fault.SnapshotTwice) || !strings.Contains(err.Error(), "pieces.loose") {
					t.Errorf("%v", err)
				}
				has("5", "5", "6")
			}
			if err := run(loose, "aa11", "f:4"); err != nil {
				t.Fatal(err)
			}
			has("5", "5", "6")
			if err := run(loose, "aa11", "f:4"); err != nil {
				t.Fatal(err)
			}
			has("5", "5", "6")
			twice(run(loose, "aa11", "f:5"))      // the source has committed something
			twice(run(loose, "aa11-00ff", "f:4")) // another round
			twice(run(loose, "bb22", "f:4"))      // another snapshot
			twice(run(keyed, "aa11", "f:5"))      // it has got a key
			testbed.MustExec(t, s, "DELETE FROM pieces.loose WHERE id = 5", "ALTER TABLE pieces.loose ADD PRIMARY KEY (id)")
			if err := run(keyed, "cc33", "f:5"); err != nil { // long ago
				t.Fatal(err)
			}
			has("6")
			testbed.MustExec(t, s, "DELETE FROM pieces.loose", "DELETE FROM cdc_pieces.pieces")
			if err := run(keyed, "aa11", "f:5"); err != nil { // as the fault says
				t.Fatal(err)
			}
			has("6")
			if err := run(keyed, "aa11", "f:6"); err != nil { // with a key rows may come again
				t.Fatal(err)
			}
			has("6")
		})
	}
	testbed.MustExec(t, s, "DROP DATABASE pieces", "DROP DATABASE cdc_pieces")
}
