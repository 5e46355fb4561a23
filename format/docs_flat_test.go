package format_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/maxwell"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func newMaxwell(t *testing.T, o maxwell.Options) format.Encoder {
	t.Helper()
	e, err := maxwell.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newCanal(t *testing.T, o canal.Options) format.Encoder {
	t.Helper()
	e, err := canal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// flatValue is what a flat format makes of one value, in an insert: maxwell's data is an object, canal's an array of one, with two words for the type.
func flatValue(t *testing.T, e format.Encoder, col schemas.Column, v batchtest.Value) (value, mysqlType, sqlType string) {
	t.Helper()
	record, code := insertOf(t, e, col, v)
	if code != "" {
		return code, "", ""
	}
	var m struct {
		Data      json.RawMessage
		MysqlType struct{ C string }
		SQLType   struct{ C json.Number }
	}
	if err := json.Unmarshal(record, &m); err != nil {
		t.Fatal(err)
	}
	row := map[string]json.RawMessage{}
	if err := json.Unmarshal(m.Data, &row); err != nil {
		rows := []map[string]json.RawMessage{row}
		if err := json.Unmarshal(m.Data, &rows); err != nil {
			t.Fatal(err)
		}
		row = rows[0]
	}
	if row["c"] == nil {
		return "left out", m.MysqlType.C, string(m.SQLType.C)
	}
	return string(row["c"]), m.MysqlType.C, string(m.SQLType.C)
}

// flatTypesTable has every type in the flat formats.
func flatTypesTable(t *testing.T) string {
	mxw, cnl := newMaxwell(t, maxwell.Options{}), newCanal(t, canal.Options{})
	var m md
	m.head("type", "value", "maxwell", "canal", "its `mysqlType`", "its `sqlType`")
	for _, x := range examples() {
		a, _, _ := flatValue(t, mxw, x.col, x.v)
		b, word, number := flatValue(t, cnl, x.col, x.v)
		m.row(x.sql, "`"+x.value+"`", code(a), code(b), code(word), number)
	}
	return m.b.String()
}

// flatEdgesTable has what is special in the flat formats.
func flatEdgesTable(t *testing.T) string {
	var m md
	m.head("situation", "setting", "maxwell", "canal")
	add := func(what string, col schemas.Column, v batchtest.Value, setting string, mo maxwell.Options, co canal.Options) {
		a, _, _ := flatValue(t, newMaxwell(t, mo), col, v)
		b, _, _ := flatValue(t, newCanal(t, co), col, v)
		if setting != "" {
			setting = "`" + setting + "`"
		}
		m.row(what, setting, code(a), code(b))
	}
	plain := func(what string, col schemas.Column, v batchtest.Value) {
		add(what, col, v, "", maxwell.Options{}, canal.Options{})
	}
	no := false
	s := text(schemas.VarChar, 20)
	date, dt, ts := schemas.Column{Type: schemas.Date}, schemas.Column{Type: schemas.DateTime}, schemas.Column{Type: schemas.Timestamp}
	plain("NULL, whatever the column's default", s, batchtest.Null())
	add("NULL, whatever the column's default", s, batchtest.Null(), "output_nulls: false", maxwell.Options{Nulls: &no}, canal.Options{})
	plain("a column that the row image leaves out", s, batchtest.Absent())
	for _, x := range []struct {
		what string
		col  schemas.Column
		v    batchtest.Value
	}{
		{"DATE '0000-00-00'", date, batchtest.Date(0, 0, 0)},
		{"DATE '2024-00-00'", date, batchtest.Date(2024, 0, 0)},
		{"DATE '2024-02-30' (ALLOW_INVALID_DATES)", date, batchtest.Date(2024, 2, 30)},
		{"DATETIME '0000-00-00 00:00:00'", dt, batchtest.DateTime(event.Civil{})},
		{"TIMESTAMP '0000-00-00 00:00:00'", ts, batchtest.ZeroTimestamp()},
	} {
		plain(x.what, x.col, x.v)
		add(x.what, x.col, x.v, "output_null_zerodates: true", maxwell.Options{NullZero: true}, canal.Options{})
	}
	add("DATE '0000-00-00'", date, batchtest.Date(0, 0, 0), "output_null_zerodates: true, output_nulls: false", maxwell.Options{NullZero: true, Nulls: &no}, canal.Options{})
	at := batchtest.Num(event.Timestamp, 1704164645000000)
	plain("TIMESTAMP '2024-01-02 03:04:05' UTC", ts, at)
	add("TIMESTAMP '2024-01-02 03:04:05' UTC", ts, at, "time_zone: +08:00", maxwell.Options{}, canal.Options{TimeZone: "+08:00"})
	plain("YEAR 0", schemas.Column{Type: schemas.Year}, batchtest.Num(event.Year, 0))
	plain("BIGINT UNSIGNED 18446744073709551615", schemas.Column{Type: schemas.BigInt, Unsigned: true}, batchtest.Uint(1<<64-1))
	plain("BIT(64), all bits", schemas.Column{Type: schemas.Bit, Length: 64}, batchtest.Num(event.Bits, -1))
	plain("DECIMAL(10,10) 0.0000000001", schemas.Column{Type: schemas.Decimal, Precision: 10, Scale: 10}, batchtest.Decimal("0.0000000001"))
	e := schemas.Column{Type: schemas.Enum, Members: []string{"", "it's"}}
	plain("ENUM, the error value (index 0)", e, batchtest.Num(event.Enum, 0))
	plain("ENUM, the empty member", e, batchtest.Num(event.Enum, 1))
	plain("ENUM, a member with a quote", e, batchtest.Num(event.Enum, 2))
	plain("SET ''", schemas.Column{Type: schemas.Set, Members: []string{"a", "b"}}, batchtest.Num(event.SetBits, 0))
	doc := schemas.Column{Type: schemas.JSON}
	plain("JSON document that is null", doc, batchtest.JSON("null"))
	plain("JSON document that is text", doc, batchtest.JSON(`"a b"`))
	plain("JSON updated in part (PARTIAL_JSON)", doc, batchtest.Arena(event.JSONDiff, "\x00\x03$.a\x03\x05\x07\x00"))
	plain("text beyond U+FFFF, a control character", s, batchtest.Text("😀\x01"))
	plain("text with the byte FF, not valid in utf8mb4", s, batchtest.RawText("a\xff"))
	add("text with the byte FF, not valid in utf8mb4", s, batchtest.RawText("a\xff"), "invalid_text: replace", maxwell.Options{Text: maxwell.TextReplace}, canal.Options{Text: canal.TextReplace})
	return m.b.String()
}

// occasion is something that happens, of which a format makes messages.
type occasion struct {
	what string
	b    *event.Batch
	beat bool
}

func occasions() []occasion {
	cols := []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "state", Type: schemas.VarChar, Length: 10, Charset: "utf8mb4", Nullable: true}}
	orders := &schemas.Table{Database: "shop", Name: "orders", Charset: "utf8mb4", Columns: cols, PrimaryKey: []int{0}}
	notes := &schemas.Table{Database: "shop", Name: "notes", Charset: "utf8mb4", Columns: cols}
	row := func(id int64, state string) []batchtest.Value {
		return []batchtest.Value{batchtest.Int(id), batchtest.Text(state)}
	}
	txn := func() *batchtest.Writer { return batchtest.NewWriter(nil).Begin(batchtest.Txn(7)) }
	name := schemas.Name{Database: "shop", Table: "orders"}
	ddl := txn().Batch()
	ddl.DDL = &schemas.DDL{
		Statement: schemas.Statement{Text: "CREATE TABLE orders (id INT PRIMARY KEY, state VARCHAR(10))", Database: "shop"}, Kind: schemas.CreateTable,
		Names: []schemas.Name{name}, Entries: []schemas.Entry{{Kind: schemas.PutTable, Name: name, Table: orders}},
	}
	all := []occasion{
		{what: "INSERT", b: txn().Insert(orders, row(1, "new")...).Batch()},
		{what: "UPDATE", b: txn().Update(orders, row(1, "new"), row(1, "paid")).Batch()},
		{what: "UPDATE of the primary key", b: txn().Update(orders, row(1, "new"), row(2, "new")).Batch()},
		{what: "DELETE", b: txn().Delete(orders, row(1, "new")...).Batch()},
		{what: "INSERT into a table without a key", b: txn().Insert(notes, row(1, "new")...).Batch()},
		{what: "a row of a snapshot", b: txn().Change(event.Read, orders, nil, row(1, "new")).Batch()},
		{what: "TRUNCATE", b: txn().Change(event.Truncate, orders, nil, nil).Batch()},
		{what: "CREATE TABLE", b: ddl},
		{what: "the end of a transaction", b: txn().Batch()},
		{what: "a heartbeat", b: txn().Batch(), beat: true},
	}
	for _, o := range all {
		o.b.Received = batchtest.Commit + 50_000
		o.b.Seq = 5
	}
	return all
}

// messages prints the keys and values of what an encoder makes of each occasion.
func messages(t *testing.T, e format.Encoder, only ...string) string {
	var s strings.Builder
	for _, o := range occasions() {
		if len(only) > 0 && only[0] != o.what {
			continue
		}
		var out format.Out
		var err error
		marker, marks := e.(format.Marker)
		heart, beats := e.(format.Heart)
		switch {
		case o.beat && beats:
			err = heart.Heartbeat(&out, event.Position{}, batchtest.Commit)
		case o.beat:
		case o.b.DDL != nil:
			err = e.DDL(&out, o.b)
		case len(o.b.Changes) == 0 && marks:
			err = marker.Txn(&out, o.b, 0, true)
		default:
			for i := range o.b.Changes {
				if err == nil {
					err = e.Change(&out, o.b, i)
				}
			}
		}
		if err != nil {
			t.Fatal(o.what, err)
		}
		fmt.Fprintf(&s, "%s\n", o.what)
		for i := range out.Recs {
			r := &out.Recs[i]
			key, value := "(no key)", "(no value)"
			if !r.Key.Empty() {
				key = string(out.Bytes(r.Key))
			}
			if !r.Tombstone {
				value = string(out.Bytes(r.Value))
			}
			fmt.Fprintf(&s, "    %s\n    %s\n", key, value)
		}
		if len(out.Recs) == 0 {
			s.WriteString("    (nothing)\n")
		}
	}
	return s.String()
}

func fenced(s string) string { return "```text\n" + s + "```\n" }

func maxwellMessages(t *testing.T) string {
	rest := func(setting string, o maxwell.Options, what string) string {
		o.Keys = true
		return strings.Replace(messages(t, newMaxwell(t, o), what), what, what+", "+setting, 1)
	}
	return fenced(messages(t, newMaxwell(t, maxwell.Options{Keys: true})) +
		rest("primary_key_change: update", maxwell.Options{PKChange: maxwell.PKUpdate}, "UPDATE of the primary key") +
		rest("tombstones: true", maxwell.Options{Tombstones: true}, "DELETE") +
		rest("kafka_key_format: array", maxwell.Options{KeyFormat: maxwell.KeyArray}, "INSERT") +
		rest("all of output_", maxwell.Options{
			XOffset: true, Position: true, GTID: true, ServerID: true, ThreadID: true, Query: true, PrimaryKeys: true, PrimaryNames: true,
		}, "INSERT") +
		rest("output_ddl: true", maxwell.Options{DDL: true}, "CREATE TABLE") +
		rest("heartbeats: true", maxwell.Options{Heartbeats: true}, "a heartbeat"))
}

func canalMessages(t *testing.T) string {
	rest := func(setting string, o canal.Options, what string) string {
		o.Keys = true
		return strings.Replace(messages(t, newCanal(t, o), what), what, what+", "+setting, 1)
	}
	return fenced(messages(t, newCanal(t, canal.Options{Keys: true})) +
		rest("primary_key_change: update", canal.Options{PKChange: canal.PKUpdate}, "UPDATE of the primary key") +
		rest("tombstones: true", canal.Options{Tombstones: true}, "DELETE"))
}
