package debezium_test

import (
	"fmt"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func keyed() *schemas.Table {
	return &schemas.Table{Database: "shop", Name: "t", PrimaryKey: []int{1, 0}, Columns: []schemas.Column{
		{Name: "a", Type: schemas.Int}, {Name: "b", Type: schemas.VarChar, Length: 9, Charset: "utf8mb4"}, {Name: "n", Type: schemas.Int, Nullable: true},
	}}
}

// brief shows records without source and times.
func brief(out *format.Out) string {
	var b strings.Builder
	for i := range out.Recs {
		r := &out.Recs[i]
		v := string(out.Bytes(r.Value))
		if at := strings.Index(v, `,"source"`); at > 0 {
			op := strings.Index(v, `"op":`)
			v = v[:at] + "," + v[op:op+8] + "}"
		}
		fmt.Fprintf(&b, "%s -> %s peer %s\n", out.Bytes(r.Key), v, out.Bytes(r.Peer))
	}
	return b.String()
}

func TestPrimaryKeyChange(t *testing.T) {
	tab := keyed()
	row := func(a int64, b string, n batchtest.Value) []batchtest.Value {
		return []batchtest.Value{batchtest.Int(a), batchtest.Text(b), n}
	}
	none := batchtest.Absent()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).
		Update(tab, row(1, "x", batchtest.Int(5)), row(1, "y", batchtest.Int(5))).                                                    // both images whole
		Update(tab, []batchtest.Value{batchtest.Int(1), batchtest.Text("x"), none}, []batchtest.Value{none, none, batchtest.Null()}). // MINIMAL, key unchanged
		Update(tab, []batchtest.Value{batchtest.Int(1), batchtest.Text("x"), batchtest.Int(7)}, []batchtest.Value{batchtest.Int(2), none, none}).
		Delete(tab, row(1, "x", batchtest.Null())...)
	const want = `{"b":"x","a":1} -> {"before":{"a":1,"b":"x","n":5},"after":null,"op":"d"} peer {"b":"y","a":1}
{"b":"x","a":1} ->  peer {"b":"y","a":1}
{"b":"y","a":1} -> {"before":null,"after":{"a":1,"b":"y","n":5},"op":"c"} peer {"b":"x","a":1}
{"b":"x","a":1} -> {"before":{"a":1,"b":"x"},"after":{"a":1,"b":"x","n":null},"op":"u"} peer 
{"b":"x","a":1} -> {"before":{"a":1,"b":"x","n":7},"after":null,"op":"d"} peer {"b":"x","a":2}
{"b":"x","a":1} ->  peer {"b":"x","a":2}
{"b":"x","a":2} -> {"before":null,"after":{"a":2,"b":"x","n":7},"op":"c"} peer {"b":"x","a":1}
{"b":"x","a":1} -> {"before":{"a":1,"b":"x","n":null},"after":null,"op":"d"} peer 
{"b":"x","a":1} ->  peer 
`
	var out format.Out
	encodeAll(t, newEncoder(t, debezium.Options{Keys: true}), &out, w.Batch())
	if got := brief(&out); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	encodeAll(t, newEncoder(t, debezium.Options{Keys: true, Tombstones: new(bool)}), &out, w.Batch())
	if len(out.Recs) != 6 {
		t.Errorf("%d records without tombstones", len(out.Recs))
	}
	encodeAll(t, newEncoder(t, debezium.Options{}), &out, w.Batch())
	if len(out.Recs) != 4 {
		t.Errorf("%d records without keys", len(out.Recs))
	}
}

// TestKeyColumns sees which columns name a row.
func TestKeyColumns(t *testing.T) {
	null, whole := schemas.Column{Name: "n", Type: schemas.Int, Nullable: true}, schemas.Column{Name: "w", Type: schemas.Int}
	cols := []schemas.Column{null, whole, whole}
	key := func(parts ...schemas.KeyPart) schemas.Key { return schemas.Key{Parts: parts} }
	for _, c := range []struct {
		primary []int
		unique  []schemas.Key
		want    string
	}{
		{nil, nil, "[]"},
		{[]int{2, 1}, []schemas.Key{key(schemas.KeyPart{Column: 1})}, "[2 1]"},
		{nil, []schemas.Key{key(schemas.KeyPart{Column: 0}), key(schemas.KeyPart{Column: -1}), key(schemas.KeyPart{Column: 1, Prefix: 3}), key(schemas.KeyPart{Column: 2}, schemas.KeyPart{Column: 1})}, "[2 1]"},
	} {
		if got := fmt.Sprint(format.KeyColumns(&schemas.Table{Columns: cols, PrimaryKey: c.primary, Unique: c.unique})); got != c.want {
			t.Errorf("%+v: %s, want %s", c, got, c.want)
		}
	}
}

// TestTransactionBlock counts records in all and by table, over batches of a split transaction, and takes back those of a refused change.
func TestTransactionBlock(t *testing.T) {
	a, b := keyed(), keyed()
	b.Name = "u"
	row := []batchtest.Value{batchtest.Int(1), batchtest.Text("x"), batchtest.Null()}
	moved := []batchtest.Value{batchtest.Int(2), batchtest.Text("x"), batchtest.Null()}
	broken := []batchtest.Value{batchtest.Int(2), batchtest.Text("x"), batchtest.Text("no int")}
	txn := batchtest.Txn(1)
	txn.End = false
	first := batchtest.NewWriter(nil).Begin(txn).Insert(a, row...).Insert(b, row...).Update(a, row, moved).Update(b, row, broken).Insert(b, row...).Batch()
	txn.Begin, txn.End, txn.Off = false, true, first.Txns[0].Off
	second := batchtest.NewWriter(nil).Begin(txn).Row(4).Insert(a, row...).Begin(batchtest.Txn(2)).Insert(a, row...).Batch()

	e := newEncoder(t, debezium.Options{Keys: true, Transaction: true})
	var got []string
	for _, batch := range []*event.Batch{first, second} {
		for i := range batch.Changes {
			var out format.Out
			if err := e.Change(&out, batch, i); err != nil {
				got = append(got, "refused")
				continue
			}
			for n := range out.Recs {
				if r := &out.Recs[n]; !r.Tombstone {
					m := decode(t, out.Bytes(r.Value)).(map[string]any)["transaction"].(map[string]any)
					got = append(got, fmt.Sprintf("%v %v of %s", m["total_order"], m["data_collection_order"], m["id"].(string)[36:]))
				}
			}
		}
	}
	want := []string{"1 1 of :1", "2 1 of :1", "3 2 of :1", "4 3 of :1", "refused", "5 2 of :1", "6 4 of :1", "1 1 of :2"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if err := newEncoder(t, debezium.Options{Transaction: true}).Change(&format.Out{}, second, 0); !fault.Has(err, fault.FormatValue) {
		t.Errorf("an encoder that came in the middle: %v", err)
	}
	txn = batchtest.Txn(3)
	txn.GTID.Seq = 0
	plain := batchtest.NewWriter(nil).Begin(txn).Insert(a, row...).Batch()
	var out format.Out
	if err := e.Change(&out, plain, 0); err != nil || !strings.Contains(string(out.Buf), `"transaction":{"id":"file=binlog.000007,pos=1000","total_order":1,`) {
		t.Errorf("%v %s", err, out.Buf)
	}
}

// TestRowOfEvent sees that source.row goes on where a rows event is split over batches, and does not move where a transform drops rows.
func TestRowOfEvent(t *testing.T) {
	tab := keyed()
	row := []batchtest.Value{batchtest.Int(1), batchtest.Text("x"), batchtest.Null()}
	txn := batchtest.Txn(1)
	txn.End = false
	first := batchtest.NewWriter(nil).Begin(txn).Group(0, "").Insert(tab, row...).Group(0, "").Insert(tab, row...).Insert(tab, row...).Batch()
	txn.Begin, txn.Off = false, first.Txns[0].Off
	second := batchtest.NewWriter(nil).Begin(txn).Row(3).Group(0, "").Insert(tab, row...).Insert(tab, row...).Batch()
	second.Groups[0].Off, second.Groups[0].First = first.Groups[1].Off, first.Groups[1].First
	w := event.NewBuilder(second, nil)
	w.Next(0)
	w.Next(1)
	w.Keep(w.Table(tab))
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	e := newEncoder(t, debezium.Options{})
	var got []string
	for _, b := range []*event.Batch{first, second} {
		for i := range b.Changes {
			var out format.Out
			if err := e.Change(&out, b, i); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(decode(t, out.Buf).(map[string]any)["source"].(map[string]any)["row"]))
		}
	}
	if s := strings.Join(got, " "); s != "0 0 1 3" {
		t.Errorf("rows %s", s)
	}
}

func TestDDL(t *testing.T) {
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Batch()
	b.DDL = &schemas.DDL{
		Statement: schemas.Statement{Text: "alter table t rename u", Database: "other"}, Kind: schemas.RenameTables,
		Names: []schemas.Name{{Database: "shop", Table: "t"}, {Database: "shop", Table: "u"}},
		Entries: []schemas.Entry{
			{Kind: schemas.DropTable, Name: schemas.Name{Database: "shop", Table: "t"}},
			{Kind: schemas.PutTable, Name: schemas.Name{Database: "shop", Table: "u"}, Table: keyed()},
			{Kind: schemas.ForgetTable, Name: schemas.Name{Database: "shop", Table: "x"}},
		},
	}
	for _, inline := range []bool{false, true} {
		e := newEncoder(t, debezium.Options{Keys: true, Schemas: inline})
		var out format.Out
		if err := e.DDL(&out, b); err != nil || len(out.Recs) != 1 || out.Recs[0].Change != -1 {
			t.Fatal(err, out.Recs)
		}
		key, value := decode(t, out.Bytes(out.Recs[0].Key)).(map[string]any), decode(t, out.Bytes(out.Recs[0].Value)).(map[string]any)
		if inline {
			conforms(t, key["schema"], key["payload"], "key")
			conforms(t, value["schema"], value["payload"], "value")
			key, value = key["payload"].(map[string]any), value["payload"].(map[string]any)
		}
		changes := value["tableChanges"].([]any)
		source := value["source"].(map[string]any)
		if key["databaseName"] != "shop" || value["databaseName"] != "shop" || value["ddl"] != "alter table t rename u" || source["table"] != "u" || len(changes) != 1 ||
			changes[0].(map[string]any)["type"] != "ALTER" || changes[0].(map[string]any)["id"] != `"shop"."u"` {
			t.Errorf("%v %v", key, value)
		}
		columns := changes[0].(map[string]any)["table"].(map[string]any)
		if fmt.Sprint(columns["primaryKeyColumnNames"]) != "[b a]" || len(columns["columns"].([]any)) != 3 {
			t.Errorf("%v", columns)
		}
		for _, none := range []*schemas.DDL{nil, {Kind: schemas.OtherDDL}, {Kind: schemas.TruncateTable}, {Kind: schemas.CreateTable, Temporary: true}} {
			out.Reset()
			if err := e.DDL(&out, &event.Batch{DDL: none}); err != nil || len(out.Recs) != 0 {
				t.Errorf("%+v: %v", none, out.Recs)
			}
		}
	}
}

// TestDropTables has a message for each table, and TestDDL one for each other statement.
func TestDropTables(t *testing.T) {
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Batch()
	x := &b.Txns[0]
	names := []schemas.Name{{Database: "shop", Table: "a`b"}, {Database: "other", Table: "c"}}
	b.DDL = &schemas.DDL{
		Statement: schemas.Statement{Text: "drop  table if exists `a``b`, other.c /* generated by server */", Database: "shop"}, Kind: schemas.DropTables,
		Names: names, Entries: []schemas.Entry{{Kind: schemas.DropTable, Name: names[0], File: x.File, Offset: x.Off + 77}},
	}
	var out format.Out
	if err := newEncoder(t, debezium.Options{Keys: true}).DDL(&out, b); err != nil || len(out.Recs) != 2 {
		t.Fatal(err, out.Recs)
	}
	for i, want := range []string{"DROP TABLE IF EXISTS `shop`.`a``b`", "DROP TABLE IF EXISTS `other`.`c`"} {
		value := decode(t, out.Bytes(out.Recs[i].Value)).(map[string]any)
		source := value["source"].(map[string]any)
		changes := fmt.Sprint(value["tableChanges"])
		if value["ddl"] != want || source["table"] != "a`b,c" || fmt.Sprint(source["pos"]) != fmt.Sprint(x.Off+77) || source["thread"] != nil || !strings.Contains(changes, "DROP") || !strings.Contains(changes, `"`+names[i].Table+`"`) {
			t.Errorf("%v", value)
		}
	}
}

func TestSkippedTruncate(t *testing.T) {
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Change(event.Truncate, keyed(), nil, nil).Batch()
	for skipped, want := range map[string]string{"": ` -> {"before":null,"after":null,"op":"t"} peer `, "t": ""} {
		var out format.Out
		encodeAll(t, newEncoder(t, debezium.Options{Keys: true, Skipped: skipped}), &out, b)
		if got := strings.TrimSuffix(brief(&out), "\n"); got != want {
			t.Errorf("%q: %s", skipped, got)
		}
	}
}

func TestOptions(t *testing.T) {
	if err := (debezium.Options{}).Validate(); err != nil {
		t.Error(err)
	}
	err := debezium.Options{
		Connector: "oracle", Skipped: "c", Decimal: "x", BigintUnsigned: "x", Time: "adaptive", Binary: "x", Absent: debezium.AbsentOmit, Schemas: true, ZeroDates: "x", Text: "x",
	}.Validate()
	if !fault.Has(err, fault.ConfigInvalid) {
		t.Fatal(err)
	}
	for _, s := range []string{"connector", "skipped_operations", "decimal_handling_mode", "bigint_unsigned", "time_precision_mode", "binary_handling", "absent: omit", "zero_dates", "invalid_text"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q is not named: %v", s, err)
		}
	}
	if _, err := debezium.New(debezium.Options{Decimal: "x"}); !fault.Has(err, fault.ConfigInvalid) {
		t.Error(err)
	}
}

// TestRefused sees that an error says where, names the cure, and leaves nothing behind.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		col  schemas.Column
		v    batchtest.Value
		cure string
	}{
		{schemas.Column{Type: schemas.Int}, batchtest.Text("x"), "transforms"},
		{schemas.Column{Type: schemas.BigInt, Unsigned: true}, batchtest.Uint(1 << 63), "precise"},
		{schemas.Column{Type: schemas.Date}, batchtest.Date(2024, 2, 30), "zero_dates"},
		{schemas.Column{Type: schemas.JSON}, batchtest.Arena(event.JSONDiff, "\x02\x03$.b"), "binlog_row_value_options"},
		{schemas.Column{Type: schemas.VarChar, Charset: "utf8mb4"}, batchtest.RawText("\xff"), "invalid_text"},
		{schemas.Column{Type: schemas.VarChar, Charset: "utf8mb4"}, batchtest.Text("\xff"), "invalid_text"},
		{schemas.Column{Type: schemas.JSON}, batchtest.JSON("\xff"), "invalid_text"},
		{schemas.Column{Type: schemas.Decimal, Scale: 2}, batchtest.Decimal("1.234"), ""},
		{schemas.Column{Type: schemas.Enum, Members: []string{"a"}}, batchtest.Num(event.Enum, 2), "schema show"},
		{schemas.Column{Type: schemas.Set, Members: []string{"a"}}, batchtest.Num(event.SetBits, 2), "schema show"},
		{schemas.Column{Type: schemas.Geometry}, batchtest.Arena(event.Geometry, "abc"), ""},
		{schemas.Column{Type: schemas.Geometry}, batchtest.Arena(event.Geometry, "\xff\xff\xff\xff"), ""},
		{schemas.Column{Type: schemas.Geometry, Geometry: 1}, batchtest.Arena(event.Geometry, batchtest.GeometryText(2, 0)), ""},
		{schemas.Column{Type: schemas.Vector}, batchtest.Arena(event.Vector, "abc"), ""},
		{schemas.Column{Type: schemas.Vector}, batchtest.Arena(event.Vector, "\x00\x00\xc0\x7f"), ""},
		{schemas.Column{Type: schemas.UUID}, batchtest.Arena(event.UUID, "abc"), ""},
		{schemas.Column{Type: schemas.INET6}, batchtest.Arena(event.INET6, "abc"), ""},
		{schemas.Column{Type: schemas.INET4}, batchtest.Arena(event.INET4, "abc"), ""},
	} {
		c.col.Name = "c"
		tab := &schemas.Table{Database: "shop", Name: "t", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, c.col}, PrimaryKey: []int{0}}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, batchtest.Int(1), c.v).Batch()
		out := format.Out{Buf: []byte("kept")}
		err := newEncoder(t, debezium.Options{Keys: true}).Change(&out, b, 0)
		e, ok := fault.As(err)
		if !ok || e.Code != fault.FormatValue || e.Where.Table != "shop.t" || e.Where.GTID == "" || e.Where.Offset == 0 || string(out.Buf) != "kept" || len(out.Recs) != 0 {
			t.Errorf("%v: %v %q", c.v, err, out.Buf)
			continue
		}
		if !strings.Contains(e.Next, c.cure) || !strings.Contains(e.Text, "column c") {
			t.Errorf("%v: %v; %s", c.v, e, e.Next)
		}
	}
}

// TestCache sees that the plans of many tables stay within their bound.
func TestCache(t *testing.T) {
	var c format.Cache[int]
	c.Limit = 1000
	first := &schemas.Table{}
	one := 1
	c.Put(first, &one, 100)
	if c.Get(first) != &one {
		t.Error("forgotten at once")
	}
	for range 1000 {
		tab := &schemas.Table{Name: "x"}
		c.Put(tab, &one, 100)
		if c.Get(tab) == nil || c.Len() > 10 {
			t.Fatalf("%d kept", c.Len())
		}
	}
	if c.Get(first) != nil {
		t.Error("never forgotten")
	}
}
