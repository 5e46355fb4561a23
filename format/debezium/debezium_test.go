package debezium_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func newEncoder(t interface{ Fatal(...any) }, o debezium.Options) *debezium.Encoder {
	e, err := debezium.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// decode reads one JSON value and nothing behind it.
func decode(t interface{ Fatal(...any) }, b []byte) any {
	v, err := batchtest.DecodeJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func drawOptions(t *rapid.T) debezium.Options {
	yes := func(s string) bool { return rapid.Bool().Draw(t, s) }
	o := debezium.Options{
		Keys: yes("keys"), Schemas: yes("schemas"), Query: yes("query"), Transaction: yes("transaction"),
		Decimal:        rapid.SampledFrom([]debezium.DecimalMode{"", debezium.DecimalPrecise, debezium.DecimalString, debezium.DecimalDouble}).Draw(t, "decimal"),
		BigintUnsigned: rapid.SampledFrom([]debezium.BigintUnsignedMode{"", debezium.BigintPrecise}).Draw(t, "bigint"),
		Time:           rapid.SampledFrom([]debezium.TimeMode{"", debezium.TimeConnect, debezium.TimeISO, debezium.TimeMicros, debezium.TimeNanos}).Draw(t, "time"),
		Binary:         rapid.SampledFrom([]debezium.BinaryMode{"", debezium.BinaryBase64, debezium.BinaryBase64URL, debezium.BinaryHex}).Draw(t, "binary"),
		Absent:         rapid.SampledFrom([]debezium.AbsentPolicy{"", debezium.AbsentOmit, debezium.AbsentError}).Draw(t, "absent"),
		ZeroDates:      rapid.SampledFrom([]debezium.ZeroDatePolicy{"", debezium.ZeroDateNull, debezium.ZeroDateEpoch, debezium.ZeroDateDebezium}).Draw(t, "zero"),
		Text:           rapid.SampledFrom([]debezium.TextPolicy{"", debezium.TextReplace}).Draw(t, "text"),
	}
	if o.Schemas && o.Absent == debezium.AbsentOmit {
		o.Absent = ""
	}
	if yes("no tombstones") {
		o.Tombstones = new(bool)
	}
	return o
}

// want is what the reference says of one change: op, before, after and key of each record.
type want struct {
	op                       string
	before, after, key, peer any
	tombstone                bool
}

func expect(o debezium.Options, b *event.Batch, i int) (recs []want, refused bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(errReference); !ok {
				panic(r)
			}
			recs, refused = nil, true
		}
	}()
	c := &b.Changes[i]
	t := b.Tables[c.Table]
	before, after := batchtest.Values(b.Before(i)), batchtest.Values(b.After(i))
	key := func(row, fill []batchtest.Value) any {
		if !o.Keys || len(t.PrimaryKey) == 0 || row == nil {
			return nil
		}
		m := map[string]any{}
		for _, k := range t.PrimaryKey {
			v := row[k]
			if v.Kind == event.Absent && fill != nil {
				v = fill[k]
			}
			if v.Kind == event.Absent {
				panic(errReference("key"))
			}
			m[t.Columns[k].Name] = reference(o, &t.Columns[k], v)
		}
		return m
	}
	tombstone := func(k any) {
		if k != nil && o.Tombstones == nil {
			recs = append(recs, want{tombstone: true, key: k, peer: recs[0].peer})
		}
	}
	switch c.Op {
	case event.Insert:
		return append(recs, want{op: "c", after: referenceImage(o, t, after, nil), key: key(after, nil)}), false
	case event.Read:
		return append(recs, want{op: "r", after: referenceImage(o, t, after, nil), key: key(after, nil)}), false
	case event.Truncate:
		return append(recs, want{op: "t"}), false
	case event.Delete:
		recs = append(recs, want{op: "d", before: referenceImage(o, t, before, nil), key: key(before, nil)})
		tombstone(recs[0].key)
		return recs, false
	}
	changed := false
	for _, k := range t.PrimaryKey {
		changed = changed || after[k].Kind != event.Absent && after[k] != before[k]
	}
	if changed && o.Keys {
		old, now := key(before, nil), key(after, before)
		recs = append(recs, want{op: "d", before: referenceImage(o, t, before, nil), key: old, peer: now})
		tombstone(old)
		return append(recs, want{op: "c", after: referenceImage(o, t, after, before), key: now, peer: old}), false
	}
	return append(recs, want{
		op: "u", before: referenceImage(o, t, before, nil), after: referenceImage(o, t, after, before), key: key(after, before),
	}), false
}

// TestAgainstReference compares every mode with the slow encoder over random tables and batches.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		yes := func(s string) bool { return rapid.IntRange(0, 3).Draw(t, s) == 0 }
		b := batchtest.Batches(batchtest.Options{
			Absent: yes("absent rows"), Partial: yes("partial"), Raw: yes("raw"), ZeroDates: yes("zero dates"), Truncate: true, Read: true,
			Query: true, MariaDB: yes("mariadb"), NoGTID: yes("no gtid"),
		}).Draw(t, "batch")
		defer b.Release()
		b.Received = rapid.Int64Range(0, 4e15).Draw(t, "received")
		e := newEncoder(t, o)
		var out format.Out
		out.Buf = append(out.Buf, "before"...)
		for i := range b.Changes {
			c := &b.Changes[i]
			buf, recs := len(out.Buf), len(out.Recs)
			err := e.Change(&out, b, i)
			exp, refused := expect(o, b, i)
			if refused {
				if !fault.Has(err, fault.FormatValue) || len(out.Buf) != buf || len(out.Recs) != recs {
					t.Fatalf("change %d should be refused: %v", i, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("change %d: %v", i, err)
			}
			got := out.Recs[recs:]
			if len(got) != len(exp) {
				t.Fatalf("%d records, want %d", len(got), len(exp))
			}
			for n := range got {
				compare(t, o, b, c, &out, &got[n], &exp[n])
			}
		}
	})
}

func compare(t *rapid.T, o debezium.Options, b *event.Batch, c *event.Change, out *format.Out, r *format.Rec, w *want) {
	tab := b.Tables[c.Table]
	if int(r.Change) < 0 || &b.Changes[r.Change] != c || r.Table != c.Table || r.Tombstone != w.tombstone {
		t.Fatalf("record %+v", r)
	}
	prefix := "cdc." + tab.Database + "." + tab.Name
	payload := func(s format.Span, name string) any {
		if s.Empty() {
			return nil
		}
		v := decode(t, out.Bytes(s))
		if !o.Schemas {
			return v
		}
		m, ok := v.(map[string]any)
		if !ok || len(m) != 2 {
			t.Fatalf("%s", out.Bytes(s))
		}
		conforms(t, m["schema"], m["payload"], name)
		if got := m["schema"].(map[string]any)["name"].(string); len(got) > 249 || !isASCII(prefix) || o.TopicPrefix != "" {
			return m["payload"]
		} else if wantName := sanitized(prefix) + name; got != wantName {
			t.Fatalf("schema %s, want %s", got, wantName)
		}
		return m["payload"]
	}
	if got := payload(r.Key, ".Key"); !batchtest.SameJSON(got, w.key) {
		t.Fatalf("key %v, want %v", got, w.key)
	}
	if r.Peer.Empty() != (w.peer == nil) {
		t.Fatalf("peer %s, want %v", out.Bytes(r.Peer), w.peer)
	} else if w.peer != nil { // always without a schema
		if got := decode(t, out.Bytes(r.Peer)); !batchtest.SameJSON(got, w.peer) {
			t.Fatalf("peer %v, want %v", got, w.peer)
		}
	}
	if w.tombstone {
		if !r.Value.Empty() {
			t.Fatalf("a tombstone with a value")
		}
		return
	}
	m, ok := payload(r.Value, ".Envelope").(map[string]any)
	if !ok {
		t.Fatalf("%s", out.Bytes(r.Value))
	}
	if m["op"] != w.op || !batchtest.SameJSON(m["before"], w.before) || !batchtest.SameJSON(m["after"], w.after) {
		t.Fatalf("got %s\nwant op %s before %v after %v", out.Bytes(r.Value), w.op, w.before, w.after)
	}
	txn := *b.Txn(c)
	if c.Op == event.Truncate { // a statement: whole milliseconds, and no thread
		txn.Original -= txn.Original % 1000
		txn.Thread = 0
	}
	g := b.Groups[c.Group]
	num := batchtest.NumberOf[int64]
	source := map[string]any{
		"version": "3.5.0.Final", "connector": "mysql", "name": "cdc", "ts_ms": num(txn.Original / 1000), "snapshot": "false", "db": tab.Database, "sequence": nil,
		"ts_us": num(txn.Original), "ts_ns": num(txn.Original * 1000), "table": tab.Name, "server_id": num(int64(txn.ServerID)), "gtid": nil,
		"file": txn.File, "pos": num(int64(g.Off)), "row": num(int64(c.Row - g.First)), "thread": nil, "query": nil,
	}
	if txn.Original <= 0 {
		delete(source, "ts_ms")
		delete(source, "ts_us")
		delete(source, "ts_ns")
		for k := range source {
			if got := m["source"].(map[string]any); !batchtest.SameJSON(got[k], source[k]) && k != "gtid" && k != "thread" && k != "query" && k != "snapshot" {
				t.Fatalf("source.%s is %v", k, got[k])
			}
		}
		return
	}
	if !txn.GTID.IsZero() {
		source["gtid"] = txn.GTID.String()
	}
	if txn.Thread != 0 {
		source["thread"] = num(int64(txn.Thread))
	}
	if o.Query && g.Query.Len > 0 {
		source["query"] = string(b.Text(g.Query))
	}
	if c.Op == event.Read {
		source["snapshot"] = "true"
	}
	if !batchtest.SameJSON(m["source"], source) {
		t.Fatalf("source %v\nwant %v", m["source"], source)
	}
	for k, per := range map[string]int64{"ts_ms": 1000, "ts_us": 1, "ts_ns": 0} {
		wantTime := any(nil)
		switch {
		case b.Received == 0:
		case per == 0:
			wantTime = num(b.Received * 1000)
		default:
			wantTime = num(b.Received / per)
		}
		if !batchtest.SameJSON(m[k], wantTime) {
			t.Fatalf("%s is %v, want %v", k, m[k], wantTime)
		}
	}
	if (m["transaction"] != nil) != o.Transaction {
		t.Fatalf("transaction %v", m["transaction"])
	}
}

func isASCII(s string) bool {
	for _, r := range s {
		if r > 127 {
			return false
		}
	}
	return true
}

func sanitized(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return r
		}
		return '_'
	}, s)
}

// conforms checks a payload against its inline schema as Kafka's JsonConverter does when it reads.
func conforms(t interface{ Fatalf(string, ...any) }, schema, v any, where string) {
	s := schema.(map[string]any)
	if v == nil {
		if s["optional"] != true {
			t.Fatalf("%s is null and not optional", where)
		}
		return
	}
	switch typ := s["type"].(string); typ {
	case "struct":
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%s is no struct: %v", where, v)
		}
		fields := s["fields"].([]any)
		for _, f := range fields {
			name := f.(map[string]any)["field"].(string)
			conforms(t, f, m[name], where+"."+name)
		}
		if len(m) != len(fields) {
			t.Fatalf("%s has %d fields, its schema %d", where, len(m), len(fields))
		}
	case "array":
		for i, x := range v.([]any) {
			conforms(t, s["items"], x, fmt.Sprintf("%s[%d]", where, i))
		}
	case "string", "bytes":
		if _, ok := v.(string); !ok {
			t.Fatalf("%s is no %s: %v", where, typ, v)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			t.Fatalf("%s is no boolean: %v", where, v)
		}
	case "float", "double":
		if _, ok := v.(json.Number); !ok {
			t.Fatalf("%s is no number: %v", where, v)
		}
	case "int16", "int32", "int64":
		bits, _ := strconv.Atoi(typ[3:])
		n, ok := v.(json.Number)
		if !ok {
			t.Fatalf("%s is no number: %v", where, v)
		}
		if _, err := strconv.ParseInt(n.String(), 10, bits); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	default:
		t.Fatalf("%s: type %s", where, typ)
	}
}

// TestAllTypes gives every edge value of every type to every mode, with a schema and without.
func TestAllTypes(t *testing.T) {
	tab := batchtest.AllTypes()
	for _, o := range []debezium.Options{
		{},
		{Schemas: true},
		{Decimal: debezium.DecimalString, BigintUnsigned: debezium.BigintPrecise, Time: debezium.TimeISO, Binary: debezium.BinaryHex, Schemas: true},
		{Decimal: debezium.DecimalDouble, Time: debezium.TimeConnect, Binary: debezium.BinaryBase64URL, Schemas: true},
		{Time: debezium.TimeMicros, Binary: debezium.BinaryBase64},
		{Time: debezium.TimeNanos, Schemas: true},
	} {
		e := newEncoder(t, o)
		for i := range tab.Columns {
			one := &schemas.Table{Database: "d", Name: "t", Columns: tab.Columns[i : i+1]}
			for _, v := range append(batchtest.Edges(&tab.Columns[i]), batchtest.Null()) {
				w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(one, v)
				exp, refused := expect(o, w.Batch(), 0)
				var out format.Out
				err := e.Change(&out, w.Batch(), 0)
				if refused != (err != nil) {
					t.Errorf("%s %v in %+v: %v", tab.Columns[i].Name, v, o, err)
				}
				if err != nil {
					continue
				}
				m := decode(t, out.Buf).(map[string]any)
				if o.Schemas {
					if v.Kind != event.Null || tab.Columns[i].Nullable {
						conforms(t, m["schema"], m["payload"], tab.Columns[i].Name)
					}
					m = m["payload"].(map[string]any)
				}
				if !batchtest.SameJSON(m["after"], exp[0].after) {
					t.Errorf("%s %v in %+v: %v, want %v", tab.Columns[i].Name, v, o, m["after"], exp[0].after)
				}
			}
		}
	}
}
