package format_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/debezium"
	"cdc/format/maxwell"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// TestFaultsShowNoValue refuses one value of each kind that can be refused: a column that is masked elsewhere must not come out in an error.
func TestFaultsShowNoValue(t *testing.T) {
	mx, err := maxwell.New(maxwell.Options{Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	cn, err := canal.New(canal.Options{Keys: true})
	if err != nil {
		t.Fatal(err)
	}
	encoders := []format.Encoder{
		newDebezium(t, debezium.Options{Keys: true}),
		newDebezium(t, debezium.Options{Keys: true, Time: debezium.TimeISO}),
		newDebezium(t, debezium.Options{Keys: true, Time: debezium.TimeNanos, Decimal: debezium.DecimalDouble}),
		plain.New(plain.Options{Keys: true}), mx, cn,
	}
	secret := func(c schemas.Column, v batchtest.Value, shown ...string) {
		t.Helper()
		c.Name = "c"
		tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{c}, PrimaryKey: []int{0}}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, v).Batch()
		refused := false
		for _, e := range encoders {
			var out format.Out
			err := e.Change(&out, b, 0)
			if err == nil {
				continue
			}
			refused = true
			f, ok := fault.As(err)
			if !ok {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%s %+v %#v", f, f, f)
			if j, err := json.Marshal(f); err == nil {
				text += string(j)
			}
			for _, s := range shown {
				if strings.Contains(strings.ReplaceAll(text, "9223372036854775807", ""), s) {
					t.Errorf("%T shows %s: %v", e, s, err)
				}
			}
		}
		if !refused {
			t.Errorf("no format refuses %v", v)
		}
	}
	secret(schemas.Column{Type: schemas.BigInt, Unsigned: true}, batchtest.Uint(12345678901234567890), "1234567890", "ab54a98ceb1f0ad2")
	secret(schemas.Column{Type: schemas.Date}, batchtest.Date(1984, 2, 30), "1984")
	secret(schemas.Column{Type: schemas.DateTime}, batchtest.DateTime(event.Civil{Year: 1984, Month: 0, Day: 3}), "1984")
	secret(schemas.Column{Type: schemas.Time}, batchtest.Num(event.Time, -3020399000000), "838", "3020399")
	secret(schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 2}, batchtest.Decimal("98765.4321"), "98765")
	secret(schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 2}, batchtest.Decimal("geheim"), "geheim")
	secret(schemas.Column{Type: schemas.VarChar, Length: 20, Charset: "utf8mb4"}, batchtest.RawText("geheim\xff"), "geheim")
	secret(schemas.Column{Type: schemas.Enum, Members: []string{"a"}}, batchtest.Num(event.Enum, 54321), "54321")
	secret(schemas.Column{Type: schemas.Set, Members: []string{"a"}}, batchtest.Num(event.SetBits, 54321), "54321")
	secret(schemas.Column{Type: schemas.JSON}, batchtest.Arena(event.JSONDiff, "\x00\x03$.a\x08\x0c\x06geheim"), "geheim")
	secret(schemas.Column{Type: schemas.JSON}, batchtest.JSON("\"geheim\xff\""), "geheim")
	secret(schemas.Column{Type: schemas.Geometry, Geometry: 1}, batchtest.Arena(event.Geometry, "gei"), "gei")
	secret(schemas.Column{Type: schemas.UUID}, batchtest.Arena(event.UUID, "geheim"), "geheim")
	secret(schemas.Column{Type: schemas.Int}, batchtest.Text("geheim"), "geheim")
	secret(schemas.Column{Type: schemas.Double}, batchtest.Text("geheim"), "geheim")
}
