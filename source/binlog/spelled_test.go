package binlog

import (
	"testing"

	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// Only what the definition leaves open is taken from the event.
func TestSpelled(t *testing.T) {
	id := func(name string) uint16 {
		c, ok := charset.CollationByName(gtid.MySQL, name)
		if !ok {
			t.Fatal(name)
		}
		return c.ID
	}
	known := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{
		{Name: "n", Type: schemas.Int},
		{Name: "open", Type: schemas.VarChar, Length: 20},
		{Name: "set", Type: schemas.VarChar, Length: 20, Charset: "utf8mb4", Collation: "utf8mb4_bin"},
		{Name: "bytes", Type: schemas.Text},
		{Name: "kind", Type: schemas.Enum, Members: []string{"a"}},
	}}
	tm := &TableMap{Flavor: gtid.MySQL}
	if got := tm.spelled(known); got != nil {
		t.Errorf("without metadata: %v", got.Columns)
	}
	latin := id("latin1_swedish_ci")
	tm.Metadata.Collations = []uint16{0, latin, latin, charset.Binary, latin}
	got := tm.spelled(known)
	if got == nil {
		t.Fatal("nothing was taken from the event")
	}
	if c := got.Columns[1]; c.Charset != "latin1" || c.Collation != "latin1_swedish_ci" || c.Length != 20 {
		t.Errorf("open: %+v", c)
	}
	if c := got.Columns[2]; c.Charset != "utf8mb4" || c.Collation != "utf8mb4_bin" {
		t.Errorf("set: %+v", c)
	}
	if c := got.Columns[3]; c.Type != schemas.Blob {
		t.Errorf("bytes: %+v", c)
	}
	if c := got.Columns[4]; c.Charset != "latin1" {
		t.Errorf("kind: %+v", c)
	}
	if known.Columns[1].Charset != "" {
		t.Error("the version that others read was changed")
	}
	tm.Metadata.Collations = []uint16{0, 0, latin, 0, 0}
	if got := tm.spelled(known); got != nil {
		t.Errorf("nothing new: %v", got.Columns)
	}
}
