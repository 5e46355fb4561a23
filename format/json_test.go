package format_test

import (
	"encoding/hex"
	"testing"

	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// A document comes out the same whether the cell holds it as it was logged or as text.
func TestJSONBinary(t *testing.T) {
	col := schemas.Column{Type: schemas.JSON, Nullable: true}
	for _, s := range []string{"", "0400", "05ffff", "0b000000000000f03f", "0c0361c3a9", "0c0a225c080c0a0d09011f2f", "0c0af09f9880225cf09f9880", "0001000c000b0001000501006b", "0ff6040302810a"} {
		doc, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jsonbin.AppendText(nil, doc, jsonbin.MaxText)
		if err != nil {
			t.Fatal(err)
		}
		binary := batchtest.Arena(event.JSONBinary, string(doc))
		for _, e := range []format.Encoder{newDebezium(t, debezium.Options{}), plain.New(plain.Options{})} {
			got, _ := encode(t, e, col, binary)
			want, _ := encode(t, e, col, batchtest.JSON(string(text)))
			if got != want {
				t.Errorf("%T: %s, want %s", e, got, want)
			}
		}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(&schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "j", Type: schemas.JSON}}}, binary).Batch()
		row := b.After(0)
		if got, err := format.JSONText(make([]byte, 3), row, row.Cells[0]); err != nil || string(got) != string(text) {
			t.Errorf("%s, %v; want %s", got, err, text)
		}
	}
	for _, e := range []format.Encoder{newDebezium(t, debezium.Options{}), plain.New(plain.Options{})} {
		tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "j", Type: schemas.JSON}}}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, batchtest.Arena(event.JSONBinary, "\x00\xff")).Batch()
		var out format.Out
		if err := e.Change(&out, b, 0); err == nil || len(out.Buf) != 0 {
			t.Errorf("%T took a malformed document: %s", e, out.Buf)
		}
	}
}
