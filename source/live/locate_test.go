//go:build servers

package live

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/source"
)

// step is an event of the binlog as the server lists it.
type step struct {
	kind     string
	off, end uint64
	text     string
}

func steps(t *testing.T, s *testbed.Server, file string) (out []step) {
	t.Helper()
	for _, r := range testbed.MustQuery(t, s, "SHOW BINLOG EVENTS IN '"+file+"'") {
		off, err := strconv.ParseUint(r[1].String, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		end, err := strconv.ParseUint(r[4].String, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, step{kind: r[2].String, off: off, end: end, text: r[5].String})
	}
	return out
}

// Every event of a file is the place of another reader once: what is found is between two transactions, with the rows that come again.
func TestServersLocate(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			locate(t, k)
		})
	}
}

func locate(t *testing.T, k testbed.Kind) {
	s := testbed.Start(t, k, testbed.Options{})
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, n INT)", "CREATE TABLE d.other (id INT PRIMARY KEY)", "FLUSH BINARY LOGS")
	head := func() string {
		set, err := s.ExecutedGTIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	var sets []string // before each transaction, and behind the last
	for _, txn := range [][]string{
		{"BEGIN", "INSERT INTO d.t VALUES (1, 1), (2, 2), (3, 3)", "UPDATE d.t SET n = 7 WHERE id < 3", "COMMIT"},
		{"ALTER TABLE d.t ADD c INT"},
		{"BEGIN", "INSERT INTO d.t VALUES (4, 4, 4)", "INSERT INTO d.other VALUES (1)", "COMMIT"},
		{"INSERT INTO d.other VALUES (2)"},
	} {
		sets = append(sets, head())
		testbed.MustExec(t, s, txn...)
	}
	sets = append(sets, head())
	files, err := s.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	last := files[len(files)-1]
	file := last[strings.LastIndexByte(last, '/')+1:]
	o := options(t, s, "d")
	sel, err := schemas.ParseSelector([]string{"d.t"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(offset, events, rows uint64) (*source.Located, error) {
		return Locate(t.Context(), LocateOptions{Config: o.Config, Flavor: flavorOf(k), Select: sel}, source.Progress{File: file, Offset: offset, Events: events, Rows: rows})
	}
	all := steps(t, s, file)
	begins := []uint64{} // of transactions
	for _, e := range all {
		if e.kind == "Gtid" {
			begins = append(begins, e.off)
		}
	}
	if len(begins) != 4 {
		t.Fatalf("%+v", all)
	}
	begins = append(begins, all[len(all)-1].end)
	check := func(what string, got *source.Located, err error, txn int, whole bool, again int64) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		set, err := gtid.Parse(flavorOf(k), sets[txn])
		if err != nil {
			t.Fatal(err)
		}
		between := !slices.ContainsFunc(all, func(e step) bool { return got.Offset <= e.off && e.off < begins[txn] && e.kind != "Binlog_checkpoint" })
		if got.Offset > begins[txn] || !between || !got.GTIDs.Equal(set) || got.Whole != whole || got.Again != again {
			t.Errorf("%s: %s:%d %s whole %v again %d, want %d %s whole %v again %d", what, got.File, got.Offset, got.GTIDs, got.Whole, got.Again, begins[txn], sets[txn], whole, again)
		}
	}
	first := slices.IndexFunc(all, func(e step) bool { return e.off == begins[0] })
	txn, before := 0, int64(0) // rows of d.t of this transaction that lie before
	total := []int64{5, 0, 1, 0}
	for _, e := range all[first:] {
		if e.off >= begins[txn+1] {
			txn, before = txn+1, 0
		}
		if e.kind == "Binlog_checkpoint" { // MariaDB writes it between transactions when it likes
			continue
		}
		got, err := ask(e.off, 0, 0)
		switch what := fmt.Sprintf("%s at %d", e.kind, e.off); {
		case e.off == begins[txn]:
			check(what, got, err, txn, false, 0)
		case before == total[txn]:
			check(what, got, err, txn+1, true, 0)
		default:
			check(what, got, err, txn, false, before)
		}
		if strings.HasPrefix(e.kind, "Write_rows") && txn == 0 {
			before += 3
		} else if strings.HasPrefix(e.kind, "Update_rows") && txn == 0 {
			before += 2
		} else if strings.HasPrefix(e.kind, "Write_rows") && txn == 2 && before == 0 {
			before++
		}
	}
	got, err := ask(begins[4], 0, 0)
	check("the end", got, err, 4, false, 0)
	// Counted from the first event behind the GTID: so does Debezium on MySQL.
	at := all[first+1].off
	kinds := []string{}
	for _, e := range all[first+1:] {
		kinds = append(kinds, e.kind)
	}
	insert := uint64(slices.IndexFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "Write_rows") }))
	update := uint64(slices.IndexFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "Update_rows") }))
	for _, c := range []struct {
		events, rows uint64
		txn          int
		whole        bool
		again        int64
	}{
		{insert, 0, 0, false, 0},
		{insert, 2, 0, false, 2},
		{insert, 3, 0, false, 3},
		{update, 1, 0, false, 4},
		{update, 2, 1, true, 0},
		{update + 1, 0, 1, true, 0},
	} {
		got, err := ask(at, c.events, c.rows)
		check(fmt.Sprintf("%d events and %d rows", c.events, c.rows), got, err, c.txn, c.whole, c.again)
	}
	if _, err := ask(begins[1]+1, 0, 0); !fault.Has(err, fault.SourcePositionUnknown) {
		t.Error(err)
	}
	if _, err := ask(1<<30, 0, 0); !fault.Has(err, fault.SourceAhead) {
		t.Error(err)
	}
	if !k.MariaDB() {
		compressed(t, s, file, ask)
	}
}

// Of a compressed transaction it cannot be said from outside which of its rows were taken.
func compressed(t *testing.T, s *testbed.Server, file string, ask func(offset, events, rows uint64) (*source.Located, error)) {
	t.Helper()
	testbed.MustExec(t, s, "SET SESSION binlog_transaction_compression = ON", "BEGIN", "INSERT INTO d.t VALUES (8, 8, 8), (9, 9, 9)", "COMMIT")
	all := steps(t, s, file)
	i := slices.IndexFunc(all, func(e step) bool { return e.kind == "Transaction_payload" })
	if i < 1 {
		t.Fatalf("%+v", all)
	}
	payload, begin := all[i], all[i-1].off
	for _, c := range []struct {
		offset, events, rows uint64
		want                 uint64
		whole                bool
		again                int64
	}{
		{payload.off, 0, 0, begin, false, 0},
		{payload.off, 3, 1, begin, false, -1},
		{payload.off + 9, 0, 0, begin, false, -1},
		{payload.end, 0, 0, payload.end, false, 0},
	} {
		got, err := ask(c.offset, c.events, c.rows)
		if err != nil || got.Offset != c.want || got.Whole != c.whole || got.Again != c.again {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
}
