//go:build servers

package mysql_test

import (
	"fmt"
	"math/rand/v2"
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

// compactTables are one whose rows are merged, and one with a second unique key, whose rows are not.
var compactTables = []*schemas.Table{
	{Database: "d", Name: "merged", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}, {Name: "t", Type: schemas.VarChar, Length: 20, Nullable: true}}},
	{Database: "d", Name: "plain", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}, {Name: "t", Type: schemas.VarChar, Length: 20, Nullable: true}}},
}

func openCompact(t *testing.T, s *testbed.Server, exact, onConflict string, base sinks.Place) *mysql.Sink {
	t.Helper()
	o := mysql.Options{Config: config(s), Stream: "compact", Source: event.Server{UUID: gtid.UUID{0xaa, 1}, ID: 7, Flavor: gtid.MySQL}}
	o.ExactlyOnce, o.Compact, o.OnConflict = exact, true, onConflict
	sink, err := mysql.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Start(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	return sink
}

// Random changes of few keys, so that the rows of a transaction meet again, come to what they come to one by one.
func TestCompact(t *testing.T) {
	for _, c := range []struct {
		kind  testbed.Kind
		exact string
	}{{testbed.MySQL97, "table"}, {testbed.MySQL97, "gtid_next"}, {testbed.MySQL57, "table"}, {testbed.MariaDB118, "table"}} {
		t.Run(string(c.kind)+" "+c.exact, func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, c.kind, testbed.Options{})
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.merged (id INT PRIMARY KEY, v INT NOT NULL, t VARCHAR(20), mine INT NULL DEFAULT 5)",
				"CREATE TABLE d.plain (id INT PRIMARY KEY, v INT NOT NULL, t VARCHAR(20), UNIQUE (t, v))")
			seed := rand.Uint64()
			t.Log("seed", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			base := sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4}
			sink := openCompact(t, s, c.exact, "stop", base)
			defer sink.Close()
			rows := [2]map[int]string{{}, {}} // "v,t"
			image := func(id int, text string) []batchtest.Value {
				var v int
				var name string
				_, _ = fmt.Sscanf(text, "%d,%s", &v, &name)
				if name == "NULL" {
					return []batchtest.Value{batchtest.Int(int64(id)), batchtest.Int(int64(v)), batchtest.Null()}
				}
				return []batchtest.Value{batchtest.Int(int64(id)), batchtest.Int(int64(v)), batchtest.Text(name)}
			}
			next := 0
			value := func() string {
				next++
				if rng.IntN(4) == 0 {
					return fmt.Sprintf("%d,NULL", next)
				}
				return fmt.Sprintf("%d,text%d", next, rng.IntN(3))
			}
			txn := uint64(0)
			for range 12 {
				w := batchtest.NewWriter(nil)
				for range 1 + rng.IntN(30) {
					txn++
					head := batchtest.Txn(txn)
					head.Begin, head.End = true, true
					w.Begin(head)
					for range rng.IntN(12) {
						n, id := rng.IntN(2), rng.IntN(25)
						table, live := compactTables[n], rows[n]
						was, there := live[id]
						switch k := rng.IntN(10); {
						case !there:
							live[id] = value()
							w.Insert(table, image(id, live[id])...)
						case k < 3:
							delete(live, id)
							w.Delete(table, image(id, was)...)
						case k == 3: // another key
							to := rng.IntN(25)
							if _, taken := live[to]; taken {
								continue
							}
							delete(live, id)
							live[to] = value()
							w.Update(table, image(id, was), image(to, live[to]))
						case k == 4: // as it was
							w.Update(table, image(id, was), image(id, was))
						default:
							live[id] = value()
							w.Update(table, image(id, was), image(id, live[id]))
						}
					}
					w.End()
				}
				if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
					t.Fatal(err)
				}
			}
			if err := sink.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			for n, table := range compactTables {
				got, err := s.Query(t.Context(), "SELECT id, CONCAT(v, ',', COALESCE(t, 'NULL')) FROM d."+table.Name)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(rows[n]) {
					t.Errorf("%s has %d rows, not %d", table.Name, len(got), len(rows[n]))
				}
				for _, r := range got {
					var id int
					if _, err := fmt.Sscan(r[0].String, &id); err != nil || rows[n][id] != r[1].String {
						t.Errorf("row %s of %s is %s, not %q", r[0].String, table.Name, r[1].String, rows[n][id])
					}
				}
			}
			if st := sink.Status(); st.Conflicts > 0 || st.Applied != txn {
				t.Errorf("%+v of %d transactions", st, txn)
			}
		})
	}
}

// What the target has otherwise than the source is found as it is without merging, and handled change by change.
func TestCompactConflicts(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	table := compactTables[0]
	row := func(id, v int64) []batchtest.Value {
		return []batchtest.Value{batchtest.Int(id), batchtest.Int(v), batchtest.Null()}
	}
	for i, c := range []struct {
		what    string
		changes func(*batchtest.Writer)
		says    string // of the fault
		skipped string // rows, where it is left out
	}{
		{"an update of a row that is not there", func(w *batchtest.Writer) {
			w.Update(table, row(1, 1), row(1, 2)).Update(table, row(8, 1), row(8, 2)).Update(table, row(2, 1), row(2, 2))
		}, "update of row 1 of the transaction: the row is missing", "1=2,2=2,3=1"},
		{"a delete of a row that is not there", func(w *batchtest.Writer) {
			w.Delete(table, row(1, 1)...).Delete(table, row(8, 1)...)
		}, "delete of row 1 of the transaction: the row is missing", "2=1,3=1"},
		{"an insert of a row that is there", func(w *batchtest.Writer) {
			w.Insert(table, row(7, 1)...).Insert(table, row(3, 9)...)
		}, "insert of row 1 of the transaction", "1=1,2=1,3=1,7=1"},
		{"an insert of a row that is there, which is deleted again", func(w *batchtest.Writer) {
			w.Insert(table, row(7, 1)...).Insert(table, row(3, 9)...).Delete(table, row(3, 9)...)
		}, "insert of row 1 of the transaction", "1=1,2=1,7=1"},
		{"a row that is as it should become", func(w *batchtest.Writer) {
			w.Update(table, row(1, 5), row(1, 1)).Update(table, row(2, 1), row(2, 2))
		}, "", "1=1,2=2,3=1"},
	} {
		for _, policy := range []string{"stop", "skip"} {
			t.Run(c.what+" "+policy, func(t *testing.T) {
				testbed.MustExec(t, s, "DROP DATABASE IF EXISTS d", "DROP DATABASE IF EXISTS cdc", "CREATE DATABASE d",
					"CREATE TABLE d.merged (id INT PRIMARY KEY, v INT NOT NULL, t VARCHAR(20))", "INSERT INTO d.merged VALUES (1,1,NULL),(2,1,NULL),(3,1,NULL)")
				sink := openCompact(t, s, "table", policy, sinks.Place{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: 4})
				defer sink.Close()
				w := batchtest.NewWriter(nil)
				head := batchtest.Txn(uint64(i + 1))
				head.Begin, head.End = true, true
				w.Begin(head)
				c.changes(w)
				w.End()
				if err := sink.Write(t.Context(), w.Batch(), func(error) {}); err != nil {
					t.Fatal(err)
				}
				err := sink.Flush(t.Context())
				want := c.skipped
				if policy == "stop" && c.says != "" {
					if !fault.Has(err, fault.TargetConflict) || !strings.Contains(err.Error(), c.says) {
						t.Errorf("got %v, want %q", err, c.says)
					}
					want = "1=1,2=1,3=1"
				} else if err != nil {
					t.Fatal(err)
				}
				_ = sink.Close()
				deadline := time.Now().Add(time.Minute)
				for { // the server may not have seen yet that the connection is gone
					got, err := s.One(t.Context(), "SELECT GROUP_CONCAT(id, '=', v ORDER BY id) FROM d.merged")
					if err != nil {
						t.Fatal(err)
					}
					if got == want {
						break
					}
					if time.Now().After(deadline) {
						t.Errorf("rows %s, want %s", got, want)
						break
					}
				}
			})
		}
	}
}
