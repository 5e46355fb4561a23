package format_test

import (
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// Two cells are the same when their values are: of binary JSON the document counts, and not how its bytes lie.
func TestSameCell(t *testing.T) {
	const small, large = "\x00\x01\x00\x0c\x00\x0b\x00\x01\x00\x05\x01\x00k", "\x01\x01\x00\x00\x00\x14\x00\x00\x00\x13\x00\x00\x00\x01\x00\x07\x01\x00\x00\x00k" // {"k": 1}
	doc := func(s string) batchtest.Value { return batchtest.Arena(event.JSONBinary, s) }
	table := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "c", Type: schemas.JSON, Nullable: true}}}
	for _, c := range []struct {
		x, y batchtest.Value
		want bool
	}{
		{doc(small), doc(small), true},
		{doc(small), doc(large), true},
		{doc(small + "gap"), doc(small), true},
		{doc(small), doc("\x00\x01\x00\x0c\x00\x0b\x00\x01\x00\x05\x02\x00k"), false},
		{doc(small), batchtest.JSON(`{"k": 1}`), false}, // of two kinds, which one column never has
		{doc(""), doc("\x04\x00"), true},                // the empty document is null
		{batchtest.Null(), doc("\x04\x00"), false},      // NULL is not
		{batchtest.Text("a"), batchtest.Text("a"), true},
		{batchtest.Text("a"), batchtest.Text("b"), false},
		{batchtest.Text("a"), batchtest.RawText("a"), false},
		{batchtest.Int(5), batchtest.Int(5), true},
		{batchtest.Int(5), batchtest.Int(6), false},
		{batchtest.Absent(), batchtest.Null(), false},
	} {
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Update(table, []batchtest.Value{c.x}, []batchtest.Value{c.y}).End().Batch()
		x, y := b.Before(0), b.After(0)
		if got := format.SameCell(x, x.Cells[0], y, y.Cells[0]); got != c.want {
			t.Errorf("%v and %v: %v", c.x, c.y, got)
		}
	}
}
