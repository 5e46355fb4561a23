package batchtest_test

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// TestWriter sees that what is written by hand is read back as it was given, and that the batch is laid out as a source lays it out.
func TestWriter(t *testing.T) {
	tab := batchtest.AllTypes()
	rows := make([][]batchtest.Value, 0, 30)
	for n := range 30 {
		row := make([]batchtest.Value, len(tab.Columns))
		for i := range row {
			edges := batchtest.Edges(&tab.Columns[i])
			if len(edges) == 0 {
				t.Fatalf("no edge values for %s", tab.Columns[i].Name)
			}
			row[i] = edges[n%len(edges)]
		}
		rows = append(rows, row)
	}
	w := batchtest.NewWriter(nil)
	for n := range 10 {
		w.Begin(batchtest.Txn(uint64(n+1))).Group(event.GroupStatementEnd, "insert").Insert(tab, rows[3*n]...)
		w.Update(tab, rows[3*n], rows[3*n+1]).Delete(tab, rows[3*n+2]...).End()
	}
	b := w.Batch()
	defer b.Release()
	if len(b.Txns) != 10 || len(b.Groups) != 10 || len(b.Changes) != 30 || b.Pos.GTIDs.Len() != 10 || b.Pos.Offset != b.Txns[9].Next {
		t.Fatalf("%d transactions, %d groups, %d changes, position %+v", len(b.Txns), len(b.Groups), len(b.Changes), b.Pos)
	}
	for n := range 10 {
		txn := b.Txns[n]
		if int(txn.First) != 3*n || int(txn.Last) != 3*n+3 || b.Changes[txn.First].Row != 0 || b.Changes[txn.First+2].Row != 2 {
			t.Errorf("transaction %d: %+v", n, txn)
		}
		same := func(r event.Row, want []batchtest.Value) {
			t.Helper()
			if got := batchtest.Values(r); !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		}
		same(b.Before(3*n), nil)
		same(b.After(3*n), rows[3*n])
		same(b.Before(3*n+1), rows[3*n])
		same(b.After(3*n+1), rows[3*n+1])
		same(b.Before(3*n+2), rows[3*n+2])
		same(b.After(3*n+2), nil)
		if q := string(b.Text(b.Groups[n].Query)); q != "insert" {
			t.Errorf("query %q", q)
		}
	}
}

// TestBatches sees that what is drawn is what the package comment promises.
func TestBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := batchtest.Options{
			Absent: rapid.Bool().Draw(t, "absent"), Partial: true, Raw: true, ZeroDates: true, Truncate: true, Read: true, Split: true, Query: true,
		}
		b := batchtest.Batches(o).Draw(t, "batch")
		defer b.Release()
		for i := range b.Changes {
			c := &b.Changes[i]
			tab := b.Tables[c.Table]
			for _, image := range [][]batchtest.Value{batchtest.Values(b.Before(i)), batchtest.Values(b.After(i))} {
				for col, v := range image {
					check(t, &tab.Columns[col], v)
					if v.Kind == event.Absent && !o.Absent {
						t.Fatalf("absent column")
					}
				}
			}
		}
	})
}

// TestKinds sees that every kind of cell is drawn. The seeds make it the same in each run.
func TestKinds(t *testing.T) {
	seen := map[event.Kind]bool{}
	g := batchtest.Batches(batchtest.Options{Tables: []*schemas.Table{batchtest.AllTypes()}, Absent: true, Partial: true})
	for seed := range 40 {
		b := g.Example(seed)
		for i := range b.Changes {
			for _, v := range append(batchtest.Values(b.Before(i)), batchtest.Values(b.After(i))...) {
				seen[v.Kind] = true
			}
		}
	}
	for k := event.Absent; k <= event.INET4; k++ {
		if !seen[k] && k != event.JSONBinary { // which is the same document as it was logged
			t.Errorf("no %s was drawn", k)
		}
	}
}

func check(t *rapid.T, c *schemas.Column, v batchtest.Value) {
	switch v.Kind {
	case event.Absent, event.JSONDiff:
	case event.Null:
		if !c.Nullable {
			t.Fatalf("null in a column that is not nullable")
		}
	case event.String:
		if valid := utf8.ValidString(v.Data); valid == (v.Flags&event.Raw != 0) {
			t.Fatalf("%v flags %d", v, v.Flags)
		}
	case event.JSON:
		if !json.Valid([]byte(v.Data)) {
			t.Fatalf("not JSON: %s", v.Data)
		}
		fallthrough
	default:
		if want := event.KindOf(c); v.Kind != want {
			t.Fatalf("%v in a column of %s", v, c.ColumnType())
		}
	}
}

// TestExample sees that a seed names one batch.
func TestExample(t *testing.T) {
	g := batchtest.Batches(batchtest.Options{Tables: []*schemas.Table{batchtest.AllTypes()}})
	a, b := g.Example(42), g.Example(42)
	if len(a.Changes) != len(b.Changes) {
		t.Fatalf("%d and %d changes", len(a.Changes), len(b.Changes))
	}
	for i := range a.Changes {
		if !slices.Equal(batchtest.Values(a.After(i)), batchtest.Values(b.After(i))) {
			t.Errorf("change %d differs", i)
		}
	}
}
