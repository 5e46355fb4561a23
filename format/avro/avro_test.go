package avro_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/avro"
	"cdc/format/debezium"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// registrar is a registry of a test: ids count from 1, and a schema that goavro refuses is refused.
type registrar struct {
	schemas  []string
	subjects []format.Subject
	err      error
}

func (r *registrar) ID(_ context.Context, x format.Schema) (uint32, error) {
	s, schema := x.Subject, x.Text
	if r.err != nil {
		return 0, r.err
	}
	for i := range r.schemas {
		if r.schemas[i] == string(schema) && r.subjects[i] == s {
			return uint32(i + 1), nil
		}
	}
	if _, err := goavro.NewCodec(string(schema)); err != nil {
		return 0, fmt.Errorf("%w: %s", err, schema)
	}
	r.schemas, r.subjects = append(r.schemas, string(schema)), append(r.subjects, s)
	return uint32(len(r.schemas)), nil
}

// read decodes what has a wire header.
func (r *registrar) read(t interface {
	Helper()
	Fatalf(string, ...any)
}, b []byte, key bool,
) map[string]any {
	t.Helper()
	if len(b) < avro.HeaderSize || b[0] != 0 {
		t.Fatalf("no header: %x", b)
	}
	id := binary.BigEndian.Uint32(b[1:])
	if r.subjects[id-1].Key != key {
		t.Fatalf("schema %d is for %+v", id, r.subjects[id-1])
	}
	codec, err := goavro.NewCodec(r.schemas[id-1])
	if err != nil {
		t.Fatalf("%v", err)
	}
	v, rest, err := codec.NativeFromBinary(b[avro.HeaderSize:])
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, and %d bytes behind, in %x of %s", err, len(rest), b, r.schemas[id-1])
	}
	return v.(map[string]any)
}

// same compares what goavro gives.
func same(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if _, ok := y[k]; !ok || !same(x[k], y[k]) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case *big.Rat:
		y, ok := b.(*big.Rat)
		return ok && x.Cmp(y) == 0
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case float64:
		y, ok := b.(float64)
		return ok && math.Float64bits(x) == math.Float64bits(y)
	case float32:
		y, ok := b.(float32)
		return ok && math.Float32bits(x) == math.Float32bits(y)
	}
	return a == b
}

func drawOptions(t *rapid.T) avro.Options {
	yes := func(s string) bool { return rapid.Bool().Draw(t, s) }
	zero := []debezium.ZeroDatePolicy{"", debezium.ZeroDateNull, debezium.ZeroDateEpoch, debezium.ZeroDateDebezium}
	texts := []debezium.TextPolicy{"", debezium.TextReplace}
	if yes("flat") {
		return avro.Options{
			Shape: avro.Flat, Keys: yes("keys"),
			Unsigned:  rapid.SampledFrom([]avro.Unsigned{"", avro.UnsignedLong, avro.UnsignedString}).Draw(t, "unsigned"),
			ZeroDates: rapid.SampledFrom(zero[:2]).Draw(t, "zero"), Text: rapid.SampledFrom(texts).Draw(t, "text"),
		}
	}
	return avro.Options{
		Shape: avro.Envelope, Keys: yes("keys"), Optional: rapid.SampledFrom([]avro.Optional{"", avro.OptionalAll}).Draw(t, "optional"),
		Debezium: debezium.Options{
			Query:          yes("query"),
			Decimal:        rapid.SampledFrom([]debezium.DecimalMode{"", debezium.DecimalString, debezium.DecimalDouble}).Draw(t, "decimal"),
			BigintUnsigned: rapid.SampledFrom([]debezium.BigintUnsignedMode{"", debezium.BigintPrecise}).Draw(t, "bigint"),
			Time:           rapid.SampledFrom([]debezium.TimeMode{"", debezium.TimeConnect, debezium.TimeISO, debezium.TimeMicros, debezium.TimeNanos}).Draw(t, "time"),
			Binary:         rapid.SampledFrom([]debezium.BinaryMode{"", debezium.BinaryBase64, debezium.BinaryBase64URL, debezium.BinaryHex}).Draw(t, "binary"),
			Absent:         rapid.SampledFrom([]debezium.AbsentPolicy{"", debezium.AbsentError}).Draw(t, "absent"),
			ZeroDates:      rapid.SampledFrom(zero).Draw(t, "zero"), Text: rapid.SampledFrom(texts).Draw(t, "text"),
		},
	}
}

// fieldName is the name of a column in a record, by the slow way.
func fieldName(o avro.Options, name string) string {
	if o.Shape == avro.Flat && strings.HasPrefix(name, "__") {
		return "_x5f_" + avro.Escape(name[1:])
	}
	return avro.Escape(name)
}

// expectRow is a row as goavro shall give it. key says that it is for the key.
func expectRow(o avro.Options, t *schemas.Table, columns []int, row, fill []batchtest.Value, key bool) map[string]any {
	d := o.Debezium.WithDefaults()
	m := map[string]any{}
	inKey := map[int]bool{}
	if o.Keys {
		for _, k := range format.KeyColumns(t) {
			inKey[k] = true
		}
	}
	for _, i := range columns {
		c := &t.Columns[i]
		zero := d.ZeroDates
		if o.Shape == avro.Flat {
			zero = o.ZeroDates
		}
		k := event.KindOf(c)
		asked := zero == debezium.ZeroDateNull && (k == event.Date || k == event.DateTime || k == event.Timestamp) ||
			o.Shape != avro.Flat && k == event.Geometry && c.Geometry != 1
		optional := c.Nullable || asked
		switch {
		case o.Shape == avro.Flat:
			optional = !key || c.Nullable
		case o.Optional == avro.OptionalAll && key:
			optional = c.Nullable
		case o.Optional == avro.OptionalAll:
			optional = !inKey[i] || optional
		}
		v := row[i]
		if v.Kind == event.Absent && fill != nil {
			v = fill[i]
		}
		var n *native
		if v.Kind == event.Absent {
			n = placeholder(o, d, c, key)
		} else if v.Kind == event.JSONDiff {
			panic(refused("partial"))
		} else if n = reference(o, c, v, optional); n == nil && !optional {
			panic(refused("zero date in the key"))
		}
		name := fieldName(o, c.Name)
		switch {
		case n == nil:
			m[name] = nil
		case optional:
			m[name] = map[string]any{n.name: n.v}
		default:
			m[name] = n.v
		}
	}
	return m
}

func placeholder(o avro.Options, d debezium.Options, c *schemas.Column, key bool) *native {
	if o.Shape == avro.Flat || d.Absent == debezium.AbsentError || key {
		panic(refused("absent"))
	}
	switch event.KindOf(c) {
	case event.String, event.JSON:
		return &native{"string", d.Placeholder}
	case event.Bytes:
		return reference(o, c, batchtest.Bytes(d.Placeholder), false)
	}
	panic(refused("absent"))
}

// want is what the reference says of one record.
type want struct {
	op                       string
	before, after, key, peer map[string]any
	tombstone                bool
}

func expect(o avro.Options, b *event.Batch, i int) (recs []want, no bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(refused); !ok {
				panic(r)
			}
			recs, no = nil, true
		}
	}()
	c := &b.Changes[i]
	t := b.Tables[c.Table]
	keys := format.KeyColumns(t)
	before, after := batchtest.Values(b.Before(i)), batchtest.Values(b.After(i))
	all := make([]int, len(t.Columns))
	for i := range all {
		all[i] = i
	}
	row := func(row, fill []batchtest.Value) map[string]any { return expectRow(o, t, all, row, fill, false) }
	key := func(row, fill []batchtest.Value) map[string]any {
		if !o.Keys || len(keys) == 0 {
			return nil
		}
		return expectRow(o, t, keys, row, fill, true)
	}
	tombstone := func(k, peer map[string]any) {
		if k != nil {
			recs = append(recs, want{tombstone: true, key: k, peer: peer})
		}
	}
	switch c.Op {
	case event.Insert, event.Read:
		return append(recs, want{op: c.Op.String(), after: row(after, nil), key: key(after, nil)}), false
	case event.Truncate:
		return append(recs, want{op: "truncate"}), false
	case event.Delete:
		recs = append(recs, want{op: "delete", before: row(before, nil), key: key(before, nil)})
		tombstone(recs[0].key, nil)
		return recs, false
	}
	changed := false
	for _, k := range keys {
		changed = changed || after[k].Kind != event.Absent && after[k] != before[k]
	}
	if changed && o.Keys {
		old, now := key(before, nil), key(after, before)
		recs = append(recs, want{op: "delete", before: row(before, nil), key: old, peer: now})
		tombstone(old, now)
		return append(recs, want{op: "insert", after: row(after, before), key: now, peer: old}), false
	}
	w := want{op: "update", after: row(after, before), key: key(after, before)}
	if o.Shape == avro.Envelope {
		w.before = row(before, nil)
	}
	return append(recs, w), false
}

// TestAgainstGoavro reads what was written of random tables and batches, in every mode, with goavro.
func TestAgainstGoavro(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		yes := func(s string) bool { return rapid.IntRange(0, 3).Draw(t, s) == 0 }
		b := batchtest.Batches(batchtest.Options{
			Absent: yes("absent rows"), Partial: yes("partial"), Raw: yes("raw"), ZeroDates: yes("zero dates"), Truncate: true, Read: true,
			Query: true, MariaDB: yes("mariadb"), NoGTID: yes("no gtid"),
		}).Draw(t, "batch")
		defer b.Release()
		b.Received = rapid.Int64Range(0, 4e15).Draw(t, "received")
		reg := &registrar{}
		o.Registrar = reg
		e, err := avro.New(o)
		if err != nil {
			t.Fatal(err)
		}
		var out format.Out
		out.Buf = append(out.Buf, "before"...)
		for i := range b.Changes {
			c := &b.Changes[i]
			tab := b.Tables[c.Table]
			if err := e.Prepare(context.Background(), tab, "topic"); err != nil {
				t.Fatal(err)
			}
			buf, recs := len(out.Buf), len(out.Recs)
			err := e.Change(&out, b, i)
			exp, no := expect(o, b, i)
			if no {
				if !fault.Has(err, fault.FormatValue) || len(out.Buf) != buf || len(out.Recs) != recs {
					t.Fatalf("change %d should be refused: %v", i, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("change %d: %v", i, err)
			}
			if len(out.Recs)-recs != len(exp) {
				t.Fatalf("change %d has %d records, not %d", i, len(out.Recs)-recs, len(exp))
			}
			for k := range exp {
				checkRecord(t, o, reg, &out, b, i, &out.Recs[recs+k], &exp[k])
			}
		}
	})
}

// checkRecord compares a record with what the reference says of it.
func checkRecord(t *rapid.T, o avro.Options, reg *registrar, out *format.Out, b *event.Batch, i int, r *format.Rec, w *want) {
	t.Helper()
	key := func(what string, s format.Span, exp map[string]any) {
		t.Helper()
		if exp == nil {
			if !s.Empty() {
				t.Fatalf("change %d has a %s", i, what)
			}
			return
		}
		if got := reg.read(t, out.Bytes(s), true); !same(got, exp) {
			t.Fatalf("change %d, %s:\n%v\n%v", i, what, got, exp)
		}
	}
	key("key", r.Key, w.key)
	key("peer", r.Peer, w.peer)
	if r.Tombstone != w.tombstone || r.Head != avro.HeaderSize || int(r.Change) != i {
		t.Fatalf("change %d: %+v", i, r)
	}
	if w.tombstone {
		return
	}
	got := reg.read(t, out.Bytes(r.Value), false)
	var exp map[string]any
	if o.Shape == avro.Flat {
		exp = expectFlat(o, b, i, w)
	} else {
		exp = expectEnvelope(o, b, i, w)
	}
	if !same(got, exp) {
		t.Fatalf("change %d:\n%v\n%v", i, got, exp)
	}
}

// expectFlat is a flat record as goavro shall give it.
func expectFlat(o avro.Options, b *event.Batch, i int, w *want) map[string]any {
	c := &b.Changes[i]
	g := &b.Groups[c.Group]
	t := &b.Txns[g.Txn]
	m := w.after
	if m == nil {
		m = w.before
	}
	if m == nil {
		m = map[string]any{}
		for _, c := range b.Tables[c.Table].Columns {
			m[fieldName(o, c.Name)] = nil
		}
	}
	m["__op"], m["__row"], m["__sub"], m["__pos"] = w.op, int64(c.Row), int32(c.Sub), int64(g.Off)
	m["__commit"], m["__server_id"], m["__file"] = time.UnixMicro(commitTime(t)).UTC(), int64(t.ServerID), t.File
	m["__gtid"] = union("string", t.GTID.String(), !t.GTID.IsZero())
	return m
}

func union(name string, v any, is bool) any {
	if !is {
		return nil
	}
	return map[string]any{name: v}
}

func commitTime(t *event.Txn) int64 {
	if t.Original != 0 {
		return t.Original
	}
	return t.Commit
}

// expectEnvelope is an envelope as goavro shall give it.
func expectEnvelope(o avro.Options, b *event.Batch, i int, w *want) map[string]any {
	c := &b.Changes[i]
	g := &b.Groups[c.Group]
	t := &b.Txns[g.Txn]
	tab := b.Tables[c.Table]
	name := "cdc." + avro.Escape(tab.Database) + "." + avro.Escape(tab.Name) + ".Value"
	at, thread := commitTime(t), t.Thread
	floor := func(n int64) int64 { return time.UnixMicro(n).UnixMilli() }
	if c.Op == event.Truncate {
		at, thread = 1000*floor(at), 0
	}
	query := strings.ToValidUTF8(string(b.Text(g.Query)), "\uFFFD")
	source := map[string]any{
		"version": "3.5.0.Final", "connector": "mysql", "name": "cdc", "ts_ms": floor(at),
		"snapshot": map[string]any{"string": fmt.Sprint(c.Op == event.Read)}, "db": tab.Database, "sequence": nil,
		"ts_us": map[string]any{"long": at}, "ts_ns": map[string]any{"long": at * 1000}, "table": map[string]any{"string": tab.Name},
		"server_id": int64(t.ServerID), "gtid": union("string", t.GTID.String(), !t.GTID.IsZero()), "file": t.File,
		"pos": int64(g.Off), "row": int32(c.Row - g.First), "thread": union("long", int64(thread), thread != 0),
		"query": union("string", query, o.Debezium.Query && g.Query.Len > 0),
	}
	read := b.Received != 0
	return map[string]any{
		"before": union(name, w.before, w.before != nil), "after": union(name, w.after, w.after != nil), "source": source, "transaction": nil,
		"op":    map[string]string{"insert": "c", "update": "u", "delete": "d", "truncate": "t", "read": "r"}[w.op],
		"ts_ms": union("long", floor(b.Received), read), "ts_us": union("long", b.Received, read), "ts_ns": union("long", b.Received*1000, read),
	}
}
