package debezium_test

import (
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// flatRecords gives keys and values, a line for each record; (none) is a tombstone's value.
func flatRecords(t *testing.T, e format.Encoder, b *event.Batch) string {
	t.Helper()
	var s strings.Builder
	for i := range b.Changes {
		var out format.Out
		if err := e.Change(&out, b, i); err != nil {
			t.Fatal(err)
		}
		for k := range out.Recs {
			r := &out.Recs[k]
			value := "(none)"
			if !r.Tombstone {
				value = string(out.Bytes(r.Value))
			}
			s.WriteString(string(out.Bytes(r.Key)) + " " + value + "\n")
		}
	}
	return s.String()
}

// TestUnwrap holds flat messages to what ExtractNewRecordState makes of the same changes, by its manual: modes of delete.tombstone.handling.mode, and fields
// of add.fields.
func TestUnwrap(t *testing.T) {
	table := &schemas.Table{
		Database: "shop", Name: "t", PrimaryKey: []int{0}, Charset: "utf8mb4",
		Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "v", Type: schemas.VarChar, Length: 10, Charset: "utf8mb4", Nullable: true}},
	}
	row := func(id int64, v string) []batchtest.Value {
		return []batchtest.Value{batchtest.Int(id), batchtest.Text(v)}
	}
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(7)).
		Insert(table, row(1, "a")...).Update(table, row(1, "a"), row(1, "b")).Update(table, row(1, "b"), row(2, "b")).
		Update(table, row(2, "b"), []batchtest.Value{batchtest.Absent(), batchtest.Null()}).Delete(table, row(2, "b")...).Change(event.Read, table, nil, row(3, "c")).Batch()
	b.Received = batchtest.Commit + 50_000
	none := ""
	for _, c := range []struct {
		name string
		o    debezium.Options
		want string
	}{
		{"tombstone", debezium.Options{Unwrap: &debezium.Unwrap{}}, `
{"id":1} {"id":1,"v":"a"}
{"id":1} {"id":1,"v":"b"}
{"id":1} (none)
{"id":2} {"id":2,"v":"b"}
{"id":2} {"id":2,"v":null}
{"id":2} (none)
{"id":3} {"id":3,"v":"c"}
`},
		{"drop", debezium.Options{Unwrap: &debezium.Unwrap{Deletes: debezium.DeleteDrop, AddFields: []string{"op"}}}, `
{"id":1} {"id":1,"v":"a","__op":"c"}
{"id":1} {"id":1,"v":"b","__op":"u"}
{"id":2} {"id":2,"v":"b","__op":"c"}
{"id":2} {"id":2,"v":null,"__op":"u"}
{"id":3} {"id":3,"v":"c","__op":"r"}
`},
		{"rewrite", debezium.Options{Unwrap: &debezium.Unwrap{Deletes: debezium.DeleteRewrite, AddFields: []string{"table", "source.ts_ms", "op:what"}}}, `
{"id":1} {"id":1,"v":"a","__deleted":"false","__table":"t","__source_ts_ms":1704164645130,"__what":"c"}
{"id":1} {"id":1,"v":"b","__deleted":"false","__table":"t","__source_ts_ms":1704164645130,"__what":"u"}
{"id":1} {"id":1,"v":"b","__deleted":"true","__table":"t","__source_ts_ms":1704164645130,"__what":"d"}
{"id":2} {"id":2,"v":"b","__deleted":"false","__table":"t","__source_ts_ms":1704164645130,"__what":"c"}
{"id":2} {"id":2,"v":null,"__deleted":"false","__table":"t","__source_ts_ms":1704164645130,"__what":"u"}
{"id":2} {"id":2,"v":"b","__deleted":"true","__table":"t","__source_ts_ms":1704164645130,"__what":"d"}
{"id":3} {"id":3,"v":"c","__deleted":"false","__table":"t","__source_ts_ms":1704164645130,"__what":"r"}
`},
		{"rewrite with tombstone", debezium.Options{Unwrap: &debezium.Unwrap{Deletes: debezium.DeleteRewriteTombstone}}, `
{"id":1} {"id":1,"v":"a","__deleted":"false"}
{"id":1} {"id":1,"v":"b","__deleted":"false"}
{"id":1} {"id":1,"v":"b","__deleted":"true"}
{"id":1} (none)
{"id":2} {"id":2,"v":"b","__deleted":"false"}
{"id":2} {"id":2,"v":null,"__deleted":"false"}
{"id":2} {"id":2,"v":"b","__deleted":"true"}
{"id":2} (none)
{"id":3} {"id":3,"v":"c","__deleted":"false"}
`},
		// What was deleted counts in the transaction, flat or not.
		{"order", debezium.Options{Transaction: true, Unwrap: &debezium.Unwrap{
			Deletes: debezium.DeleteDrop, Prefix: &none, AddFields: []string{"transaction.total_order:n", "transaction.id:txn", "ts_ms", "row", "snapshot"},
		}}, `
{"id":1} {"id":1,"v":"a","n":1,"txn":"24bc7850-2c16-11e6-a073-0242ac110002:7","ts_ms":1704164645173,"row":0,"snapshot":"false"}
{"id":1} {"id":1,"v":"b","n":2,"txn":"24bc7850-2c16-11e6-a073-0242ac110002:7","ts_ms":1704164645173,"row":1,"snapshot":"false"}
{"id":2} {"id":2,"v":"b","n":4,"txn":"24bc7850-2c16-11e6-a073-0242ac110002:7","ts_ms":1704164645173,"row":2,"snapshot":"false"}
{"id":2} {"id":2,"v":null,"n":5,"txn":"24bc7850-2c16-11e6-a073-0242ac110002:7","ts_ms":1704164645173,"row":3,"snapshot":"false"}
{"id":3} {"id":3,"v":"c","n":7,"txn":"24bc7850-2c16-11e6-a073-0242ac110002:7","ts_ms":1704164645173,"row":5,"snapshot":"true"}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Keys = true
			e, err := debezium.New(c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := "\n" + flatRecords(t, e, b); got != c.want {
				t.Errorf("%swant%s", got, c.want)
			}
		})
	}
}

// TestUnwrapEveryField has flat fields say what the envelope says.
func TestUnwrapEveryField(t *testing.T) {
	names := []string{"version", "connector", "name", "ts_ms", "snapshot", "db", "ts_us", "ts_ns", "table", "server_id", "gtid", "file", "pos", "row", "thread"}
	var fields []string
	for _, n := range names {
		fields = append(fields, "source."+n+":"+n)
	}
	none := ""
	flat, err := debezium.New(debezium.Options{Unwrap: &debezium.Unwrap{Deletes: debezium.DeleteRewrite, AddFields: fields, Prefix: &none}})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := debezium.New(debezium.Options{})
	if err != nil {
		t.Fatal(err)
	}
	table := &schemas.Table{Database: "shop", Name: "orders", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}}}
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(7)).Insert(table, batchtest.Int(1)).Delete(table, batchtest.Int(1)).Batch()
	for i := range b.Changes {
		var x, y format.Out
		if err := flat.Change(&x, b, i); err != nil {
			t.Fatal(err)
		}
		if err := whole.Change(&y, b, i); err != nil {
			t.Fatal(err)
		}
		env := string(y.Buf)
		_, source, _ := strings.Cut(env, `"source":{`)
		for _, n := range names {
			_, v, _ := strings.Cut(string(x.Buf), `"`+n+`":`)
			v, _, _ = strings.Cut(strings.TrimSuffix(v, "}"), ",")
			if !strings.Contains(source, `"`+n+`":`+v) {
				t.Errorf("%s is %s, and the envelope has %s", n, v, env)
			}
		}
	}
}

// TestUnwrapRefused has what cannot be flat.
func TestUnwrapRefused(t *testing.T) {
	keyless := &schemas.Table{Database: "shop", Name: "log", Columns: []schemas.Column{{Name: "v", Type: schemas.Int}}}
	for _, c := range []struct {
		name string
		keys bool
		b    *event.Batch
		want string
	}{
		{"delete without a key", true, batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Delete(keyless, batchtest.Int(1)).Batch(), "the record has no key"},
		{"truncate", true, batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Change(event.Truncate, keyless, nil, nil).Batch(), "no TRUNCATE"},
	} {
		e, err := debezium.New(debezium.Options{Keys: c.keys, Unwrap: &debezium.Unwrap{}})
		if err != nil {
			t.Fatal(err)
		}
		var out format.Out
		if err := e.Change(&out, c.b, 0); !fault.Has(err, fault.FormatValue) || !strings.Contains(err.Error(), c.want) || len(out.Recs) > 0 {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for name, o := range map[string]debezium.Options{
		"mode":        {Unwrap: &debezium.Unwrap{Deletes: "none"}},
		"field":       {Unwrap: &debezium.Unwrap{AddFields: []string{"lsn"}}},
		"twice":       {Unwrap: &debezium.Unwrap{AddFields: []string{"op", "table:op"}}},
		"transaction": {Unwrap: &debezium.Unwrap{AddFields: []string{"transaction.id"}}},
		"schemas":     {Schemas: true, Unwrap: &debezium.Unwrap{}},
	} {
		if err := o.Validate(); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
