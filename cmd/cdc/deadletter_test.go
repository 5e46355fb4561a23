package main

import (
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/batchtest"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// letterOf is the letter of a row of batchtest's transaction.
func letterOf(txn uint64, row uint32, sub uint16, op, code string) kafka.Letter {
	return kafka.Letter{Database: "to", Table: "t", Op: op, GTID: batchtest.Txn(txn).GTID.String(), Row: row, Sub: sub, Commit: batchtest.Commit, Code: code}
}

// TestWants finds what overtook the changes that letters name.
func TestWants(t *testing.T) {
	table := &schemas.Table{
		Database: "shop", Name: "t", PrimaryKey: []int{0},
		Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.Int}},
	}
	other := &schemas.Table{Database: "shop", Name: "t2", PrimaryKey: []int{0}, Columns: table.Columns}
	keyless := &schemas.Table{Database: "shop", Name: "log", Columns: table.Columns}
	row := func(id, v int64) []batchtest.Value { return []batchtest.Value{batchtest.Int(id), batchtest.Int(v)} }
	const failed, large = "CDC8002", "CDC5108"
	for _, c := range []struct {
		name    string
		letters []kafka.Letter
		write   func(w *batchtest.Writer)
		want    string // the first letters of what becomes of each: found, overtaken, missing
	}{
		{"nothing follows", []kafka.Letter{letterOf(1, 1, 0, "insert", failed)}, func(w *batchtest.Writer) {
			w.Insert(table, row(1, 1)...).Insert(table, row(2, 1)...).Begin(batchtest.Txn(2)).Insert(table, row(3, 1)...).Delete(other, row(2, 1)...)
		}, "f"},
		{"the row follows in its transaction", []kafka.Letter{letterOf(1, 0, 0, "insert", failed)}, func(w *batchtest.Writer) {
			w.Insert(table, row(1, 1)...).Update(table, row(1, 1), row(1, 2))
		}, "o"},
		{"the key went away and came back", []kafka.Letter{letterOf(1, 0, 0, "update", failed)}, func(w *batchtest.Writer) {
			w.Update(table, row(1, 1), row(2, 1)).Begin(batchtest.Txn(2)).Insert(table, row(1, 7)...)
		}, "o"},
		{"all of a row are letters", []kafka.Letter{letterOf(1, 0, 0, "insert", failed), letterOf(2, 0, 0, "update", failed)}, func(w *batchtest.Writer) {
			w.Insert(table, row(1, 1)...).Begin(batchtest.Txn(2)).Update(table, row(1, 1), row(1, 2))
		}, "ff"},
		{"a later one is none", []kafka.Letter{letterOf(1, 0, 0, "insert", failed), letterOf(2, 0, 0, "update", failed)}, func(w *batchtest.Writer) {
			w.Insert(table, row(1, 1)...).Begin(batchtest.Txn(2)).Update(table, row(1, 1), row(1, 2)).Begin(batchtest.Txn(3)).Delete(table, row(1, 2)...)
		}, "oo"},
		{"truncate", []kafka.Letter{letterOf(1, 0, 0, "insert", failed), letterOf(1, 1, 0, "insert", failed)}, func(w *batchtest.Writer) {
			w.Insert(table, row(1, 1)...).Insert(other, row(1, 1)...).Begin(batchtest.Txn(2)).Change(event.Truncate, table, nil, nil)
		}, "of"},
		{"without a key", []kafka.Letter{letterOf(1, 0, 0, "insert", failed)}, func(w *batchtest.Writer) {
			w.Insert(keyless, row(1, 1)...).Delete(keyless, row(1, 1)...)
		}, "f"},
		{"purged", []kafka.Letter{letterOf(1, 9, 0, "insert", failed)}, func(w *batchtest.Writer) { w.Insert(table, row(1, 1)...) }, "m"},
		{"two records of a row", []kafka.Letter{letterOf(1, 0, 0, "update", large), letterOf(1, 0, 1, "update", large)}, func(w *batchtest.Writer) {
			w.Update(table, row(1, 1), row(2, 1))
		}, "f"},
	} {
		w := newWants(c.letters)
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
		c.write(b)
		if err := w.look(b.Batch()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := ""
		for _, x := range w.list {
			got += string("mfo"[x.state])
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}

	w := newWants([]kafka.Letter{letterOf(1, 0, 0, "delete", failed)})
	err := w.look(batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(table, row(1, 1)...).Batch())
	if !fault.Has(err, fault.UsageInvalid) || !strings.Contains(err.Error(), "rows are counted among the chosen tables") {
		t.Errorf("another choice of tables: %v", err)
	}
}

// TestWantsWritten says which records of a change are written, and which letters are done.
func TestWantsWritten(t *testing.T) {
	w := newWants([]kafka.Letter{
		letterOf(1, 0, 1, "update", "CDC5108"), letterOf(1, 1, 0, "update", "CDC8002"), letterOf(1, 2, 0, "insert", "CDC8002"), letterOf(1, 3, 0, "insert", "CDC8002"),
	})
	for _, x := range w.list {
		x.state = wantFound
	}
	w.choose(false)
	name := []byte(batchtest.Txn(1).GTID.String())
	got := ""
	for row := range uint32(4) {
		for sub := range uint16(3) {
			if w.written(name, row, sub) {
				got += string(rune('a'+row)) + string(rune('0'+sub))
			}
		}
	}
	if got != "a1b0b1b2c0c1c2d0d1d2" {
		t.Errorf("%s are written", got)
	}
	if w.written([]byte("other:1"), 0, 1) || w.written(name, 9, 0) {
		t.Error("what no letter names is written")
	}
	w.failed(letterOf(1, 2, 0, "insert", "CDC8002"))
	notes := w.done(time.Unix(1700000000, 0))
	if len(notes) != 3 || notes[0].Replayed != "2023-11-14T22:13:20Z" || notes[0].Sub != 1 || w.count(wantFailed) != 1 || w.count(wantDone) != 3 {
		t.Errorf("notes %+v", notes)
	}
	var out strings.Builder
	if err := w.print(&out); err != nil || !strings.Contains(out.String(), "4 letters: 3 replayed, 0 to be replayed (--yes), 0 overtaken, 1 cannot be") {
		t.Errorf("%v %s", err, &out)
	}
}
