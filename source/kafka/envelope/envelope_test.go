package envelope_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/source/kafka/envelope"
)

func at(offset int64) envelope.At {
	return envelope.At{GTID: gtid.GTID{UUID: gtid.UUID{1}, Seq: uint64(offset) + 1}, Name: "shop.orders-0", Offset: offset, Time: 1000}
}

func encoder(t testing.TB, o debezium.Options) *debezium.Encoder {
	t.Helper()
	o.Keys, o.Schemas = true, true
	e, err := debezium.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// images gives the part of a message that holds the rows.
func images(t interface{ Fatalf(string, ...any) }, value []byte) []byte {
	i, j := bytes.Index(value, []byte(`"payload":{"before":`)), bytes.LastIndex(value, []byte(`,"source":{"version":`))
	if i < 0 || j < i {
		t.Fatalf("no change: %s", value)
	}
	return digits.ReplaceAll(value[i:j], []byte(`$1.${2}Z"`))
}

// digits finds the digits of a second of a TIMESTAMP: how many its column has is not in the schema.
var digits = regexp.MustCompile(`(:\d\d)(?:\.(\d*?)0*)?Z"`)

// TestBack reads what the encoder wrote of random changes of all types, and writes it again: the rows have to come out byte for byte. And the cells
// have to be those that went in, as far as the message has them.
func TestBack(t *testing.T) {
	for _, o := range []debezium.Options{
		{},
		{BigintUnsigned: debezium.BigintPrecise, Time: debezium.TimeMicros},
		{Time: debezium.TimeNanos},
		{Time: debezium.TimeISO},
	} {
		t.Run(string(o.Time), func(t *testing.T) {
			enc, again := encoder(t, o), encoder(t, o)
			carried := 0
			rapid.Check(t, func(t *rapid.T) {
				b := batchtest.Batches(batchtest.Options{Read: true}).Draw(t, "batch")
				defer b.Release()
				var out format.Out
				for i := range b.Changes {
					if err := enc.Change(&out, b, i); err != nil && !fault.Has(err, fault.FormatValue) {
						t.Fatal(err)
					}
				}
				got := new(event.Pool).Get()
				defer got.Release()
				d := envelope.New(envelope.Options{Placeholder: "nothing is called so"})
				for i := range out.Recs {
					r := &out.Recs[i]
					if err := d.Append(got, at(int64(i)), out.Bytes(r.Key), out.Bytes(r.Value)); err != nil {
						t.Fatalf("%v\n%s", err, out.Bytes(r.Value))
					}
					txn := &got.Txns[i]
					if r.Tombstone {
						if txn.First != txn.Last {
							t.Fatal("a tombstone has a change")
						}
						continue
					}
					n := int(txn.First)
					var back format.Out
					if err := again.Change(&back, got, n); err != nil {
						t.Fatal(err)
					}
					if want, have := images(t, out.Bytes(r.Value)), images(t, back.Bytes(back.Recs[0].Value)); !bytes.Equal(want, have) {
						t.Fatalf("read and written again:\n%s\nwas:\n%s", have, want)
					}
					if want, have := out.Bytes(r.Key), back.Bytes(back.Recs[0].Key); len(want) > 0 && !bytes.Equal(payload(want), payload(have)) {
						t.Fatalf("the key is %s, was %s", have, want)
					}
					if op := got.Changes[n].Op; op == b.Changes[r.Change].Op {
						same(t, b, int(r.Change), got, n)
						carried++
					}
				}
			})
			if carried < 100 {
				t.Fatalf("only %d changes were carried", carried)
			}
		})
	}
}

func payload(key []byte) []byte {
	return digits.ReplaceAll(key[bytes.Index(key, []byte(`"payload":`)):], []byte(`$1.${2}Z"`))
}

// same compares the cells of two changes.
func same(t *rapid.T, b *event.Batch, i int, got *event.Batch, n int) {
	for _, pair := range [][2]event.Row{{b.Before(i), got.Before(n)}, {b.After(i), got.After(n)}} {
		if pair[0].IsZero() != pair[1].IsZero() {
			t.Fatal("an image is missing")
		}
		for k, want := range pair[0].Cells {
			have := pair[1].Cells[k]
			def := b.Tables[b.Changes[i].Table].Columns[k]
			switch {
			case want.Kind() == event.JSON || want.Kind() == event.JSONBinary: // compared as text already
			case want.IsNull() != have.IsNull():
				t.Fatalf("%s: null is %v", def.ColumnType(), have.IsNull())
			case want.IsNull():
			case want.Kind() == event.Float32 && have.Kind() == event.Float64:
				if float64(want.Float32()) != have.Float64() {
					t.Fatalf("%s: %v, not %v", def.ColumnType(), have.Float64(), want.Float32())
				}
			case want.Kind() == event.INET4 || want.Kind() == event.INET6: // text of the address
			case want.Kind() == event.Uint && have.Kind() == event.Decimal:
			case want.Kind().InArena():
				w, h := string(pair[0].Bytes(want)), string(pair[1].Bytes(have))
				if want.Kind() == event.Decimal {
					w = strings.TrimPrefix(w, "-") // of a zero
					h = strings.TrimPrefix(h, "-")
				}
				if w != h {
					t.Fatalf("%s: %q, not %q", def.ColumnType(), h, w)
				}
			case want.Uint64() != have.Uint64():
				t.Fatalf("%s: %d, not %d", def.ColumnType(), have.Uint64(), want.Uint64())
			}
		}
	}
}

const (
	someSchema = `{"type":"struct","fields":[{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},` +
		`{"type":"string","optional":true,"field":"v"%s}],"optional":true,"field":"before"},{"type":"struct","fields":[` +
		`{"type":"int32","optional":false,"field":"id"},{"type":"string","optional":true,"field":"v"%s}],"optional":true,"field":"after"}],"optional":false}`
	someKey = `{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false},"payload":{"id":1}}`
)

// message makes a message with the rows as given, whose column v has something more in its schema.
func message(more, op, before, after string) []byte {
	return []byte(`{"schema":` + strings.ReplaceAll(someSchema, "%s", more) + `,"payload":{"before":` + before + `,"after":` + after +
		`,"source":{"db":"shop","table":"orders","ts_ms":1700000000000,"server_id":7},"op":"` + op + `","ts_ms":5}}`)
}

// TestRefused has what is not exact, not whole or not understood: each is an error with its code, and leaves nothing behind.
func TestRefused(t *testing.T) {
	for _, x := range []struct {
		name       string
		key, value string
		code       fault.Code
		says       string
	}{
		{"no schema part", someKey, `{"before":null,"after":{"id":1},"source":{},"op":"c"}`, fault.SourceMessageSchema, "no schema part"},
		{"schema null", someKey, `{"schema":null,"payload":{"before":null}}`, fault.SourceMessageSchema, "no schema part"},
		{"key without schema", `{"id":1}`, string(message("", "c", "null", `{"id":1,"v":"x"}`)), fault.SourceMessageSchema, "the key has no schema part"},
		{"cut off", someKey, string(message("", "c", "null", `{"id":1,"v":"x"}`)[:400]), fault.SourceMessage, "not JSON"},
		{"not JSON", someKey, "\x00\x00\x00\x00\x01abc", fault.SourceMessage, "not JSON"},
		{"more behind it", someKey, string(message("", "c", "null", `{"id":1,"v":"x"}`)) + "{}", fault.SourceMessage, "not JSON"},
		{"a second schema part", someKey, strings.TrimSuffix(string(message("", "c", "null", `{"id":1,"v":"x"}`)), "}") + `,"schema":{"type":"string"}}`, fault.SourceMessage, "not JSON"},
		{"truncate", someKey, string(message("", "t", "null", "null")), fault.SourceMessage, "TRUNCATE"},
		{"unknown operation", someKey, string(message("", "m", "null", "null")), fault.SourceMessage, "none of c, u, d, r"},
		{"update without before", someKey, string(message("", "u", "null", `{"id":1,"v":"x"}`)), fault.SourceMessage, "lacks the image"},
		{"a column is missing", someKey, string(message("", "c", "null", `{"id":1}`)), fault.SourceMessage, "lacks the column v"},
		{"a column twice", someKey, string(message("", "c", "null", `{"id":1,"id":1,"v":"x"}`)), fault.SourceMessage, "twice"},
		{"a column more", someKey, string(message("", "c", "null", `{"id":1,"v":"x","w":1}`)), fault.SourceMessage, "does not have"},
		{"a fraction", someKey, string(message("", "c", "null", `{"id":1.5,"v":"x"}`)), fault.SourceMessageType, "column id"},
		{"too large", someKey, string(message("", "c", "null", `{"id":2147483648,"v":"x"}`)), fault.SourceMessageType, "column id"},
		{"null where there is none", someKey, string(message("", "c", "null", `{"id":null,"v":"x"}`)), fault.SourceMessageType, "null"},
		{"half a character", someKey, string(message("", "c", "null", `{"id":1,"v":"\ud800"}`)), fault.SourceMessageType, "column v"},
		{"bytes that are no text", someKey, string(message("", "c", "null", "{\"id\":1,\"v\":\"\xff\"}")), fault.SourceMessageType, "column v"},
		{"placeholder", someKey, string(message("", "c", "null", `{"id":1,"v":"__debezium_unavailable_value"}`)), fault.SourceMessageType, "placeholder"},
		{"default", someKey, string(message(`,"default":"x"`, "c", "null", `{"id":1,"v":"x"}`)), fault.SourceMessageType, "default"},
		{"type of others", someKey, string(message(`,"name":"io.debezium.data.Ltree"`, "c", "null", `{"id":1,"v":"x"}`)), fault.SourceMessageType, "no exact counterpart"},
		{"other carrier", someKey, string(message(`,"name":"io.debezium.time.Date"`, "c", "null", `{"id":1,"v":"x"}`)), fault.SourceMessageType, "carried as int32"},
		{"no member", someKey, string(message(`,"name":"io.debezium.data.Enum","parameters":{"allowed":"a,b"}`, "c", "null", `{"id":1,"v":"x"}`)), fault.SourceMessageType, "none of the members"},
		{"no such day", someKey, string(message(`,"name":"io.debezium.time.IsoDate"`, "c", "null", `{"id":1,"v":"2024-02-30Z"}`)), fault.SourceMessageType, "not of its type"},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := new(event.Pool).Get()
			defer b.Release()
			err := envelope.New(envelope.Options{}).Append(b, at(9), []byte(x.key), []byte(x.value))
			f, ok := fault.As(err)
			if !ok || f.Code != x.code || !strings.Contains(err.Error(), x.says) {
				t.Fatalf("got %v, want %v with %q", err, x.code, x.says)
			}
			if f.Where.File != "shop.orders-0" || f.Where.Offset != 9 || f.Where.GTID != at(9).GTID.String() {
				t.Errorf("the place is %+v", f.Where)
			}
			if len(b.Txns)+len(b.Changes)+len(b.Groups) != 0 {
				t.Errorf("it left a change behind")
			}
		})
	}
}

// TestTold has what settings let through.
func TestTold(t *testing.T) {
	b := new(event.Pool).Get()
	defer b.Release()
	d := envelope.New(envelope.Options{Absent: true, Defaults: true, Placeholder: "?"})
	for i, v := range []string{
		string(message(`,"default":"x"`, "c", "null", `{"id":1,"v":"x"}`)),
		string(message("", "c", "null", `{"id":1,"v":"?"}`)),
		" " + string(message("", "c", "null", ` { "v" : "a\u00e9\ud83d\ude00\n" , "id" : -3 } `)) + " ",
	} {
		if err := d.Append(b, at(int64(i)), []byte(someKey), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.After(0); string(got.Bytes(got.Cells[1])) != "x" {
		t.Error("the default did not come")
	}
	if got := b.After(1); got.Cells[1].Kind() != event.Absent {
		t.Error("the placeholder is a value")
	}
	if got := b.After(2); string(got.Bytes(got.Cells[1])) != "aé😀\n" || got.Cells[0].Int64() != -3 {
		t.Errorf("got %q", got.Bytes(got.Cells[1]))
	}
	if got := b.Txns[2]; got.Commit != 1700000000000000 || got.ServerID != 7 || got.Off != 2 || got.GTID.Seq != 3 {
		t.Errorf("the transaction is %+v", got)
	}
	if n := len(b.Tables); n != 2 {
		t.Errorf("%d versions of the table for two schemas", n)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte(someKey), message("", "u", `{"id":1,"v":null}`, `{"id":1,"v":"x"}`))
	f.Add([]byte(nil), message(`,"name":"io.debezium.time.ZonedTimestamp"`, "c", "null", `{"id":1,"v":"2024-01-02T03:04:05Z"}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		b := new(event.Pool).Get()
		defer b.Release()
		err := envelope.New(envelope.Options{}).Append(b, at(0), key, value)
		if err != nil {
			if _, ok := fault.As(err); !ok {
				t.Fatalf("%v has no code", err)
			}
			return
		}
		if len(b.Txns) != 1 || len(b.Changes) > 1 {
			t.Fatalf("%d transactions, %d changes", len(b.Txns), len(b.Changes))
		}
	})
}
