package canal_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/canal"
	"cdc/format/jsonenc"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

type fataler interface{ Fatal(...any) }

func newEncoder(t fataler, o canal.Options) *canal.Encoder {
	e, err := canal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func decode(t fataler, b []byte) any {
	v, err := batchtest.DecodeJSON(b)
	if err != nil {
		t.Fatal(string(b), err)
	}
	return v
}

// errReference is what the reference says where the encoder must refuse a value.
type errReference string

// floatText is a float as text, in any spelling.
type floatText struct {
	f    float64
	bits int
}

// reference is a slow and obvious encoder of one value.
func reference(o canal.Options, c *schemas.Column, v batchtest.Value) any {
	frac := func(micros int) string {
		if c.Fsp == 0 {
			return ""
		}
		return "." + fmt.Sprintf("%06d", micros)[:c.Fsp]
	}
	stamp := func(d event.Civil) string {
		return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", d.Year, d.Month, d.Day, d.Hour, d.Minute, d.Second) + frac(d.Micro)
	}
	switch v.Kind {
	case event.Null:
		return nil
	case event.Int:
		return strconv.FormatInt(int64(v.Num), 10)
	case event.Uint, event.Bits, event.Enum, event.SetBits:
		return strconv.FormatUint(v.Num, 10)
	case event.Year:
		return fmt.Sprintf("%04d", v.Num)
	case event.Float32:
		return floatText{float64(math.Float32frombits(uint32(v.Num))), 32}
	case event.Float64:
		return floatText{math.Float64frombits(v.Num), 64}
	case event.Decimal, event.JSON:
		return v.Data
	case event.String:
		if v.Flags&event.Raw != 0 {
			if o.Text == canal.TextReplace {
				return string([]rune(v.Data))
			}
			panic(errReference("raw"))
		}
		return v.Data
	case event.JSONDiff:
		panic(errReference("partial"))
	case event.Bytes, event.Geometry:
		var s []rune
		for _, b := range []byte(v.Data) {
			s = append(s, rune(b))
		}
		return string(s)
	case event.Date:
		return stamp(event.NumCell(v.Kind, v.Num, 0).Civil())[:10]
	case event.DateTime:
		return stamp(event.NumCell(v.Kind, v.Num, 0).Civil())
	case event.Timestamp:
		if v.Flags&event.ZeroTime != 0 {
			return stamp(event.Civil{})
		}
		us := int64(v.Num)
		if o.TimeZone == "+08:00" {
			us += 8 * 3600e6
		}
		return stamp(jsonenc.CivilOf(us))
	case event.Time:
		us := int64(v.Num)
		sign := ""
		if us < 0 {
			sign, us = "-", -us
		}
		return fmt.Sprintf("%s%02d:%02d:%02d", sign, us/3600e6, us/60e6%60, us/1e6%60) + frac(int(us%1e6))
	case event.Vector:
		var all []string
		for b := []byte(v.Data); len(b) > 0; b = b[4:] {
			all = append(all, string(jsonenc.AppendJavaFloat(nil, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 32)))
		}
		return "[" + strings.Join(all, ",") + "]"
	case event.UUID:
		h := hex.EncodeToString([]byte(v.Data))
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	case event.INET4, event.INET6:
		a, ok := netip.AddrFromSlice([]byte(v.Data))
		if !ok {
			panic(v.Data)
		}
		return batchtest.Address(a)
	}
	panic(fmt.Sprint("no reference for ", v))
}

// same is batchtest.SameJSON that knows floatText.
func same(got, want any) bool {
	switch w := want.(type) {
	case floatText:
		s, ok := got.(string)
		f, err := strconv.ParseFloat(s, w.bits)
		return ok && err == nil && f == w.f
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k, v := range w {
			if x, there := g[k]; !there || !same(x, v) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !same(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	return batchtest.SameJSON(got, want)
}

type want struct {
	typ       string
	data, old any
	types     any
	key       any
	tombstone bool
	peer      bool
}

func pick(row, fill []batchtest.Value, i int) batchtest.Value {
	if row[i].Kind == event.Absent && fill != nil {
		return fill[i]
	}
	return row[i]
}

// javaTypes is what Canal's LogEventConvert and RowsLogBuffer say of a row.
func javaTypes(t *schemas.Table, row, fill []batchtest.Value) map[string]any {
	m := map[string]any{}
	for i := range t.Columns {
		c, v := &t.Columns[i], pick(row, fill, i)
		high := func(bits uint, low, above int) int {
			if c.Unsigned && v.Kind == event.Uint && v.Num>>(bits-1) != 0 {
				return above
			}
			return low
		}
		n := 1111
		switch c.Type {
		case schemas.TinyInt:
			n = high(8, -6, 5)
		case schemas.SmallInt:
			n = high(16, 5, 4)
		case schemas.MediumInt, schemas.Enum:
			n = 4
		case schemas.Int:
			n = high(32, 4, -5)
		case schemas.BigInt:
			n = high(64, -5, 3)
		case schemas.Decimal:
			n = 3
		case schemas.Float:
			n = 7
		case schemas.Double:
			n = 8
		case schemas.Bit:
			n = -7
		case schemas.Set:
			n = -7
			if v.Kind == event.Null {
				n = 2004
			}
		case schemas.Date:
			n = 91
		case schemas.Time:
			n = 92
		case schemas.DateTime, schemas.Timestamp:
			n = 93
		case schemas.Char, schemas.UUID, schemas.INET4, schemas.INET6:
			n = 1
		case schemas.VarChar, schemas.Year:
			n = 12
		case schemas.JSON:
			n = 12
			if v.Kind == event.Null {
				n = 1111
			}
		case schemas.TinyText, schemas.Text, schemas.MediumText, schemas.LongText:
			n = 2005
		case schemas.Binary, schemas.VarBinary, schemas.TinyBlob, schemas.Blob, schemas.MediumBlob, schemas.LongBlob, schemas.Geometry:
			n = 2004
		}
		m[c.Name] = batchtest.NumberOf(n)
	}
	return m
}

func expect(o canal.Options, b *event.Batch, i int) (recs []want, refused bool) {
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
	keys := format.KeyColumns(t)
	add := func(w want, row, fill []batchtest.Value) {
		if o.Keys && len(keys) > 0 {
			m := map[string]any{}
			for _, k := range keys {
				v := pick(row, fill, k)
				if v.Kind == event.Absent {
					panic(errReference("key"))
				}
				m[t.Columns[k].Name] = reference(o, &t.Columns[k], v)
			}
			w.key = m
		}
		m := map[string]any{}
		for j := range t.Columns {
			if v := pick(row, fill, j); v.Kind != event.Absent {
				m[t.Columns[j].Name] = reference(o, &t.Columns[j], v)
			}
		}
		w.data, w.types = []any{m}, javaTypes(t, row, fill)
		recs = append(recs, w)
		if o.Tombstones && w.typ == "DELETE" && w.key != nil {
			recs = append(recs, want{tombstone: true, key: w.key, peer: w.peer})
		}
	}
	switch c.Op {
	case event.Insert, event.Read:
		add(want{typ: "INSERT"}, after, nil)
	case event.Delete:
		add(want{typ: "DELETE"}, before, nil)
	case event.Truncate:
		if o.Truncate != canal.TruncateSkip {
			recs = append(recs, want{typ: "TRUNCATE"})
		}
	case event.Update:
		moved := false
		for _, k := range keys {
			moved = moved || after[k].Kind != event.Absent && after[k] != before[k]
		}
		if o.Keys && moved && o.PKChange != canal.PKUpdate {
			add(want{typ: "DELETE", peer: true}, before, nil)
			add(want{typ: "INSERT", peer: true}, after, before)
			break
		}
		old := map[string]any{}
		for j, v := range before {
			if v.Kind != event.Absent && after[j].Kind != event.Absent && v != after[j] {
				old[t.Columns[j].Name] = reference(o, &t.Columns[j], v)
			}
		}
		add(want{typ: "UPDATE", old: []any{old}}, after, before)
	}
	return recs, false
}

func drawOptions(t *rapid.T) canal.Options {
	yes := func(s string) bool { return rapid.Bool().Draw(t, s) }
	one := func(s string, of ...string) string { return rapid.SampledFrom(append(of, "")).Draw(t, s) }
	return canal.Options{
		Keys: yes("keys"), TimeZone: one("zone", "+08:00", "UTC"), PKChange: one("pk change", canal.PKUpdate),
		Truncate: one("truncate", canal.TruncateSkip), Tombstones: yes("tombstones"), Text: one("text", canal.TextReplace),
	}
}

// TestAgainstReference compares every option with the slow encoder over random tables and batches.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		yes := func(s string) bool { return rapid.IntRange(0, 3).Draw(t, s) == 0 }
		b := batchtest.Batches(batchtest.Options{
			Absent: yes("absent rows"), Partial: yes("partial"), Raw: yes("raw"), ZeroDates: yes("zero dates"), Truncate: true, Read: true,
			Query: true, MariaDB: yes("mariadb"), NoGTID: yes("no gtid"), Split: yes("split"),
		}).Draw(t, "batch")
		defer b.Release()
		b.Seq = rapid.Uint64().Draw(t, "seq")
		b.Received = rapid.Int64Range(0, 4e15).Draw(t, "received")
		e := newEncoder(t, o)
		var out format.Out
		out.Buf = append(out.Buf, "before"...)
		for i := range b.Changes {
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
			if len(out.Recs)-recs != len(exp) {
				t.Fatalf("change %d: %d records, want %d", i, len(out.Recs)-recs, len(exp))
			}
			for j, w := range exp {
				check(t, &out, &out.Recs[recs+j], b, i, w)
			}
		}
	})
}

func check(t *rapid.T, out *format.Out, r *format.Rec, b *event.Batch, i int, w want) {
	c := &b.Changes[i]
	x, tab := b.Txn(c), b.Tables[c.Table]
	if int(r.Change) != i || r.Table != c.Table || r.Tombstone != w.tombstone || r.Role != format.Data || r.Peer.Empty() == w.peer {
		t.Fatalf("change %d: record %+v", i, r)
	}
	if w.key == nil != r.Key.Empty() || w.key != nil && !same(decode(t, out.Bytes(r.Key)), w.key) {
		t.Fatalf("change %d: key %s, want %v", i, out.Bytes(r.Key), w.key)
	}
	if w.tombstone {
		if !r.Value.Empty() {
			t.Fatal("a tombstone with a value")
		}
		return
	}
	ts := b.Received
	if ts == 0 {
		ts = x.Commit
	}
	m := map[string]any{
		"data": w.data, "database": tab.Database, "es": batchtest.NumberOf(x.Commit / 1000), "gtid": x.GTID.String(), "id": batchtest.NumberOf(b.Seq),
		"isDdl": w.typ == "TRUNCATE", "mysqlType": nil, "old": w.old, "pkNames": nil, "sql": "", "sqlType": w.types, "table": tab.Name,
		"ts": batchtest.NumberOf(ts / 1000), "type": w.typ,
	}
	if w.typ == "TRUNCATE" {
		m["sql"] = "TRUNCATE TABLE `" + strings.ReplaceAll(tab.Database, "`", "``") + "`.`" + strings.ReplaceAll(tab.Name, "`", "``") + "`"
	} else {
		types := map[string]any{}
		var pks []any
		for j := range tab.Columns {
			types[tab.Columns[j].Name] = tab.Columns[j].ColumnType()
			for _, k := range tab.PrimaryKey {
				if k == j {
					pks = append(pks, tab.Columns[j].Name)
				}
			}
		}
		m["mysqlType"] = types
		if pks != nil {
			m["pkNames"] = pks
		}
	}
	if got := decode(t, out.Bytes(r.Value)); !same(got, m) {
		t.Fatalf("change %d:\n%s\nwant %v", i, out.Bytes(r.Value), m)
	}
}

// TestMessage has whole messages byte by byte: the order of their fields is that of Canal's serializer.
func TestMessage(t *testing.T) {
	tab := &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}, Columns: []schemas.Column{
		{Name: "id", Type: schemas.Int, Unsigned: true},
		{Name: "b", Type: schemas.VarBinary, Length: 4, Nullable: true},
		{Name: "kind", Type: schemas.Enum, Members: []string{"a", "it's"}},
	}}
	row := func(id uint64, bytes string) []batchtest.Value {
		return []batchtest.Value{batchtest.Uint(id), batchtest.Bytes(bytes), batchtest.Num(event.Enum, 2)}
	}
	x := batchtest.Txn(7)
	b := batchtest.NewWriter(nil).Begin(x).Insert(tab, row(1, "a\x00\x0b\n\"\xff")...).Update(tab, row(1, "a"), row(4294967295, "b")).Batch()
	b.Seq, b.Received = 5, batchtest.Commit+1000
	var out format.Out
	e := newEncoder(t, canal.Options{})
	for i := range b.Changes {
		if err := e.Change(&out, b, i); err != nil {
			t.Fatal(err)
		}
	}
	es := strconv.FormatInt(b.Txns[0].Commit/1000, 10)
	mid := `],"database":"shop","es":` + es + `,"gtid":"` + x.GTID.String() + `","id":5,"isDdl":false,"mysqlType":{"id":"int unsigned","b":"varbinary(4)","kind":"enum('a','it''s')"},"old":`
	for i, w := range []string{
		`{"data":[{"id":"1","b":"a\u0000\u000b\n\"ÿ","kind":"2"}` + mid + `null,"pkNames":["id"],"sql":"","sqlType":{"id":4,"b":2004,"kind":4},"table":"orders","ts":1704164645124,"type":"INSERT"}`,
		`{"data":[{"id":"4294967295","b":"b","kind":"2"}` + mid + `[{"id":"1","b":"a"}],"pkNames":["id"],"sql":"","sqlType":{"id":-5,"b":2004,"kind":4},"table":"orders","ts":1704164645124,"type":"UPDATE"}`,
	} {
		if got := string(out.Bytes(out.Recs[i].Value)); got != w {
			t.Errorf("%s\nwant\n%s", got, w)
		}
	}
}

func TestDDL(t *testing.T) {
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Batch()
	es := strconv.FormatInt(b.Txns[0].Commit/1000, 10)
	e := newEncoder(t, canal.Options{Keys: true})
	for _, x := range []struct {
		kind  schemas.DDLKind
		names []schemas.Name
		typ   string
		table string
	}{
		{schemas.CreateTable, []schemas.Name{{Database: "d", Table: "t"}}, "CREATE", "t"},
		{schemas.AlterTable, []schemas.Name{{Database: "d", Table: "t"}}, "ALTER", "t"},
		{schemas.DropTables, []schemas.Name{{Database: "d", Table: "t"}, {Database: "d", Table: "u"}}, "ERASE", "t"},
		{schemas.RenameTables, []schemas.Name{{Database: "x", Table: "t"}, {Database: "d", Table: "u"}}, "RENAME", "u"},
		{schemas.CreateIndex, []schemas.Name{{Database: "d", Table: "t"}}, "CINDEX", "t"},
		{schemas.DropIndex, []schemas.Name{{Database: "d", Table: "t"}}, "DINDEX", "t"},
		{schemas.CreateDatabase, []schemas.Name{{Database: "d"}}, "QUERY", ""},
		{schemas.Unparsed, nil, "QUERY", ""},
		{schemas.TruncateTable, []schemas.Name{{Database: "d", Table: "t"}}, "", ""},
	} {
		b.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "do \"it\"", Database: "d"}, Kind: x.kind, Names: x.names}
		var out format.Out
		if err := e.DDL(&out, b); err != nil {
			t.Fatal(err)
		}
		if x.typ == "" {
			if len(out.Recs) != 0 {
				t.Error(x.kind, out.Recs)
			}
			continue
		}
		w := `{"data":null,"database":"d","es":` + es + `,"gtid":"` + b.Txns[0].GTID.String() + `","id":0,"isDdl":true,"mysqlType":null,"old":null,"pkNames":null,` +
			`"sql":"do \"it\"","sqlType":null,"table":"` + x.table + `","ts":` + es + `,"type":"` + x.typ + `"}`
		r := &out.Recs[0]
		if got := string(out.Bytes(r.Value)); got != w || r.Role != format.SchemaChange || r.Change != -1 || string(out.Bytes(r.Key)) != `{"database":"d","table":"`+x.table+`"}` {
			t.Errorf("%s %s\nwant\n%s", out.Bytes(r.Key), got, w)
		}
	}
}

// TestTruncate has the statement where the batch holds it.
func TestTruncate(t *testing.T) {
	tab := &schemas.Table{Database: "d", Name: "t"}
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Change(event.Truncate, tab, nil, nil).Batch()
	b.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "truncate t"}, Kind: schemas.TruncateTable}
	var out format.Out
	if err := newEncoder(t, canal.Options{}).Change(&out, b, 0); err != nil || !strings.Contains(string(out.Buf), `"sql":"truncate t"`) {
		t.Errorf("%s %v", out.Buf, err)
	}
}

func TestTimeZone(t *testing.T) {
	if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
		t.Log("this machine has no time zones") // offsets are tested all the same
	} else {
		col := schemas.Column{Name: "c", Type: schemas.Timestamp}
		tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{col}}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, batchtest.Num(event.Timestamp, 1704164645e6)).Insert(tab, batchtest.Num(event.Timestamp, 1720000000e6)).Batch()
		var out format.Out
		e := newEncoder(t, canal.Options{TimeZone: "Europe/Berlin"})
		for i := range b.Changes {
			if err := e.Change(&out, b, i); err != nil {
				t.Fatal(err)
			}
		}
		if s := string(out.Buf); !strings.Contains(s, `"c":"2024-01-02 04:04:05"`) || !strings.Contains(s, `"c":"2024-07-03 11:46:40"`) {
			t.Error(s)
		}
	}
	for _, bad := range []string{"+8", "Nowhere/Land", "Local"} {
		if err := (canal.Options{TimeZone: bad}).Validate(); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := (canal.Options{PKChange: "x", Truncate: "x", Text: "x"}).Validate(); strings.Count(err.Error(), "is none of") != 3 {
		t.Error(err)
	}
}

func TestAllocs(t *testing.T) {
	tab := batchtest.AllTypes()
	row := func(n int) (vs []batchtest.Value) {
		for i := range tab.Columns {
			e := batchtest.Edges(&tab.Columns[i])
			vs = append(vs, e[n%len(e)])
		}
		return vs
	}
	w := batchtest.NewWriter(nil)
	for i := range 40 {
		if i%5 == 0 {
			w.Begin(batchtest.Txn(uint64(i)))
		}
		w.Update(tab, row(i), row(i+1)).Insert(tab, row(i)...)
	}
	b := w.Batch()
	for _, o := range []canal.Options{{}, {Keys: true, Tombstones: true, TimeZone: "+08:00"}} {
		e := newEncoder(t, o)
		var out format.Out
		all := func() {
			out.Reset()
			for i := range b.Changes {
				if err := e.Change(&out, b, i); err != nil {
					t.Fatal(err)
				}
			}
		}
		all()
		if n := testing.AllocsPerRun(10, all); n != 0 {
			t.Errorf("%+v: %v allocations for %d rows", o, n, len(b.Changes))
		}
	}
}
