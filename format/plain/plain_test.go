package plain_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/plain"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// reference is a slow and obvious encoder of one value.
func reference(c *schemas.Column, v batchtest.Value) any {
	raw := map[string]any{"raw": base64.StdEncoding.EncodeToString([]byte(v.Data))}
	civil := event.NumCell(v.Kind, v.Num, 0).Civil()
	fraction := func(micro int) string {
		if c.Fsp == 0 {
			return ""
		}
		return "." + fmt.Sprintf("%06d", micro)[:c.Fsp]
	}
	switch v.Kind {
	case event.Null:
		return nil
	case event.Int:
		return batchtest.NumberOf(int64(v.Num))
	case event.Uint, event.Year, event.Bits:
		return batchtest.NumberOf(v.Num)
	case event.Float32:
		return batchtest.Number(strconv.FormatFloat(float64(math.Float32frombits(uint32(v.Num))), 'f', -1, 32))
	case event.Float64:
		return math.Float64frombits(v.Num)
	case event.Decimal:
		return v.Data
	case event.String:
		if v.Flags&event.Raw != 0 {
			return raw
		}
		return v.Data
	case event.Bytes:
		return base64.StdEncoding.EncodeToString([]byte(v.Data))
	case event.Date:
		return fmt.Sprintf("%04d-%02d-%02d", civil.Year, civil.Month, civil.Day)
	case event.DateTime:
		return fmt.Sprintf("%04d-%02d-%02dT%02d:%02d:%02d", civil.Year, civil.Month, civil.Day, civil.Hour, civil.Minute, civil.Second) + fraction(civil.Micro)
	case event.Timestamp:
		if v.Flags&event.ZeroTime != 0 {
			return "0000-00-00T00:00:00" + fraction(0) + "Z"
		}
		at := time.UnixMicro(int64(v.Num)).UTC()
		return at.Format("2006-01-02T15:04:05") + fraction(at.Nanosecond()/1000) + "Z"
	case event.Time:
		n, sign := int64(v.Num), ""
		if n < 0 {
			n, sign = -n, "-"
		}
		return fmt.Sprintf("%s%02d:%02d:%02d", sign, n/3600e6, n/60e6%60, n/1e6%60) + fraction(int(n%1e6))
	case event.Enum:
		if v.Num == 0 || len(c.Members) == 0 {
			return batchtest.NumberOf(v.Num)
		}
		return c.Members[v.Num-1]
	case event.SetBits:
		if len(c.Members) == 0 && v.Num != 0 {
			return batchtest.NumberOf(v.Num)
		}
		var parts []string
		for i, m := range c.Members {
			if v.Num&(1<<i) != 0 {
				parts = append(parts, m)
			}
		}
		return strings.Join(parts, ",")
	case event.JSON:
		t, err := batchtest.DecodeJSON([]byte(v.Data))
		if err != nil {
			panic(err)
		}
		return t
	case event.Geometry:
		return map[string]any{
			"srid": batchtest.NumberOf(binary.LittleEndian.Uint32([]byte(v.Data))), "wkb": base64.StdEncoding.EncodeToString([]byte(v.Data[4:])),
		}
	case event.Vector:
		all := []any{}
		for b := []byte(v.Data); len(b) > 0; b = b[4:] {
			all = append(all, batchtest.Number(strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 'f', -1, 32)))
		}
		return all
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

func referenceDiffs(data string) any {
	all := []any{}
	for b := []byte(data); len(b) > 0; {
		d, rest, err := jsonbin.Next(b)
		if err != nil {
			panic(err)
		}
		m := map[string]any{"op": d.Op.String(), "path": string(d.Path)}
		if d.Op != jsonbin.Remove {
			doc, err := jsonbin.AppendText(nil, d.Value, 1<<20)
			if err != nil {
				panic(err)
			}
			if m["value"], err = batchtest.DecodeJSON(doc); err != nil {
				panic(err)
			}
		}
		all = append(all, m)
		b = rest
	}
	return all
}

func referenceChange(b *event.Batch, i int, query bool) map[string]any {
	c := &b.Changes[i]
	t, txn, g := b.Tables[c.Table], b.Txn(c), b.Groups[c.Group]
	m := map[string]any{
		"op": c.Op.String(), "db": t.Database, "table": t.Name, "row": batchtest.NumberOf(c.Row), "sub": batchtest.NumberOf(int(c.Sub)),
		"server": batchtest.NumberOf(txn.ServerID), "file": txn.File, "txn": batchtest.NumberOf(txn.Off), "pos": batchtest.NumberOf(g.Off),
		"ts": time.UnixMicro(txn.Commit).UTC().Format("2006-01-02T15:04:05.000000Z"),
	}
	if !txn.GTID.IsZero() {
		m["gtid"] = txn.GTID.String()
	}
	if query && g.Query.Len > 0 {
		m["query"] = string(b.Text(g.Query))
	}
	partial := map[string]any{}
	for name, row := range map[string]event.Row{"before": b.Before(i), "after": b.After(i)} {
		if row.IsZero() {
			continue
		}
		image := map[string]any{}
		for n, v := range batchtest.Values(row) {
			switch v.Kind {
			case event.Absent:
			case event.JSONDiff:
				partial[t.Columns[n].Name] = referenceDiffs(v.Data)
			default:
				image[t.Columns[n].Name] = reference(&t.Columns[n], v)
			}
		}
		m[name] = image
	}
	if len(partial) > 0 {
		m["partial"] = partial
	}
	return m
}

func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		yes := func(s string) bool { return rapid.IntRange(0, 2).Draw(t, s) == 0 }
		b := batchtest.Batches(batchtest.Options{
			Absent: yes("absent rows"), Partial: true, Raw: true, ZeroDates: true, Truncate: true, Read: true, Query: true, Split: true,
			MariaDB: yes("mariadb"), NoGTID: yes("no gtid"),
		}).Draw(t, "batch")
		defer b.Release()
		o := plain.Options{Query: yes("query")}
		e := plain.New(o)
		keyed := plain.New(plain.Options{Keys: true, Query: o.Query})
		var out, kout format.Out
		for i := range b.Changes {
			out.Reset()
			if err := e.Change(&out, b, i); err != nil {
				t.Fatal(err)
			}
			if len(out.Recs) != 1 || out.Recs[0].Change != int32(i) || !out.Recs[0].Key.Empty() {
				t.Fatalf("%+v", out.Recs)
			}
			got, err := batchtest.DecodeJSON(out.Bytes(out.Recs[0].Value))
			if err != nil {
				t.Fatal(err)
			}
			if want := referenceChange(b, i, o.Query); !batchtest.SameJSON(got, want) {
				t.Fatalf("got  %s\nwant %v", out.Buf, want)
			}
			kout.Reset()
			if err := keyed.Change(&kout, b, i); err != nil {
				t.Fatal(err)
			}
			checkKeys(t, b, i, &kout, string(out.Bytes(out.Recs[0].Value)))
		}
	})
}

// checkKeys sees that the value is the same with keys, and that keys and tombstones are where they belong.
func checkKeys(t *rapid.T, b *event.Batch, i int, out *format.Out, value string) {
	c := &b.Changes[i]
	tab := b.Tables[c.Table]
	before, after := batchtest.Values(b.Before(i)), batchtest.Values(b.After(i))
	key := func(row []batchtest.Value) any {
		m := map[string]any{}
		for _, k := range tab.PrimaryKey {
			v := row[k]
			if v.Kind == event.Absent {
				v = before[k]
			}
			m[tab.Columns[k].Name] = reference(&tab.Columns[k], v)
		}
		return m
	}
	var want []any // a key for each record; a tombstone's is followed by true
	rekeyed := false
	switch {
	case len(tab.PrimaryKey) == 0 || c.Op == event.Truncate:
		want = []any{nil, false}
	case c.Op == event.Delete:
		want = []any{key(before), false, key(before), true}
	case c.Op == event.Update:
		for _, k := range tab.PrimaryKey {
			rekeyed = rekeyed || after[k].Kind != event.Absent && after[k] != before[k]
		}
		if rekeyed {
			want = append(want, key(before), true)
		}
		want = append(want, key(after), false)
	default:
		want = []any{key(after), false}
	}
	if len(out.Recs) != len(want)/2 {
		t.Fatalf("%d records, want %v", len(out.Recs), want)
	}
	for n := range out.Recs {
		r := &out.Recs[n]
		var got any
		if !r.Key.Empty() {
			var err error
			if got, err = batchtest.DecodeJSON(out.Bytes(r.Key)); err != nil {
				t.Fatal(err)
			}
		}
		if !batchtest.SameJSON(got, want[2*n]) || r.Tombstone != want[2*n+1] || r.Tombstone != r.Value.Empty() || rekeyed == r.Peer.Empty() {
			t.Fatalf("record %d: %+v key %s, want %v", n, r, out.Bytes(r.Key), want)
		}
		if !r.Tombstone && string(out.Bytes(r.Value)) != value {
			t.Fatalf("%s with keys, %s without", out.Bytes(r.Value), value)
		}
	}
}

// TestAllTypes gives every edge value of every type.
func TestAllTypes(t *testing.T) {
	tab := batchtest.AllTypes()
	e := plain.New(plain.Options{})
	for i := range tab.Columns {
		one := &schemas.Table{Database: "d", Name: "t", Columns: tab.Columns[i : i+1]}
		for _, v := range append(batchtest.Edges(&tab.Columns[i]), batchtest.Null()) {
			b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(one, v).Batch()
			var out format.Out
			if err := e.Change(&out, b, 0); err != nil {
				t.Errorf("%s %v: %v", tab.Columns[i].Name, v, err)
				continue
			}
			got, err := batchtest.DecodeJSON(out.Buf)
			if err != nil || !batchtest.SameJSON(got, referenceChange(b, 0, false)) {
				t.Errorf("%s %v: %s %v", tab.Columns[i].Name, v, out.Buf, err)
			}
		}
	}
}

// TestUnknownMembers sees that an ENUM and a SET of a table without names keep their numbers.
func TestUnknownMembers(t *testing.T) {
	tab := &schemas.Table{Database: "d", Name: "t", Origin: schemas.FromImage, Columns: []schemas.Column{
		{Name: "@1", Type: schemas.Enum}, {Name: "@2", Type: schemas.Set}, {Name: "@3", Type: schemas.Set, Members: []string{"a"}},
	}}
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).
		Insert(tab, batchtest.Num(event.Enum, 3), batchtest.Num(event.SetBits, 5), batchtest.Num(event.SetBits, 2)).Batch()
	var out format.Out
	if err := plain.New(plain.Options{}).Change(&out, b, 0); err != nil || !strings.Contains(string(out.Buf), `"after":{"@1":3,"@2":5,"@3":2}`) {
		t.Errorf("%s %v", out.Buf, err)
	}
}

// TestRefused sees that a cell which does not fit its column is an error that says where, and leaves nothing behind.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		typ schemas.Type
		v   batchtest.Value
	}{
		{schemas.Int, batchtest.Text("x")},
		{schemas.VarChar, batchtest.Int(1)},
		{schemas.JSON, batchtest.Arena(event.JSONDiff, "\x07")},
		{schemas.JSON, batchtest.JSON("\"\xff\"")},
		{schemas.JSON, batchtest.JSON("")},
		{schemas.Int, batchtest.Arena(event.JSONDiff, "\x02\x03$.b")},
		{schemas.Geometry, batchtest.Arena(event.Geometry, "abc")},
		{schemas.Vector, batchtest.Arena(event.Vector, "abc")},
		{schemas.UUID, batchtest.Arena(event.UUID, "abc")},
		{schemas.INET4, batchtest.Arena(event.INET4, "abc")},
		{schemas.INET6, batchtest.Arena(event.INET6, "abc")},
	} {
		tab := &schemas.Table{Database: "shop", Name: "t", Columns: []schemas.Column{{Name: "id", Type: schemas.Int}, {Name: "c", Type: c.typ}}, PrimaryKey: []int{0}}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, batchtest.Int(1), c.v).Batch()
		out := format.Out{Buf: []byte("kept")}
		err := plain.New(plain.Options{Keys: true}).Change(&out, b, 0)
		e, ok := fault.As(err)
		if !ok || e.Code != fault.FormatValue || e.Where.Table != "shop.t" || e.Where.GTID == "" || e.Where.File == "" || string(out.Buf) != "kept" || len(out.Recs) != 0 {
			t.Errorf("%v: %v %q", c.v, err, out.Buf)
		}
	}
}

func TestDDL(t *testing.T) {
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	b := w.Batch()
	b.DDL = &schemas.DDL{
		Statement: schemas.Statement{Text: "alter table `a\"b` add c int", Database: "shop", SQLMode: 1168113696, ClientCollation: 255, TimeZone: "SYSTEM"},
		Kind:      schemas.AlterTable, Names: []schemas.Name{{Database: "shop", Table: `a"b`}, {Database: "x"}},
	}
	var out format.Out
	e := plain.New(plain.Options{})
	if err := e.DDL(&out, b); err != nil || len(out.Recs) != 1 || out.Recs[0].Change != -1 {
		t.Fatal(err, out.Recs)
	}
	want := `{"op":"ddl","db":"shop","gtid":"` + batchtest.TestUUID + `:1","server":223344,"file":"binlog.000007","txn":1000,"ts":"2024-01-02T03:04:05.124456Z",` +
		"\"ddl\":\"alter table `a\\\"b` add c int\",\"tables\":[{\"db\":\"shop\",\"table\":\"a\\\"b\"},{\"db\":\"x\"}]," +
		`"session":{"sql_mode":1168113696,"client":255,"time_zone":"SYSTEM"}}`
	if got := string(out.Buf); got != want || !json.Valid(out.Buf) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	out.Reset()
	b.DDL.Temporary = true
	if err := e.DDL(&out, b); err != nil || len(out.Recs) != 0 {
		t.Errorf("a temporary table's DDL: %v", out.Recs)
	}
	b.DDL = nil
	if err := e.DDL(&out, b); err != nil || len(out.Recs) != 0 {
		t.Errorf("no DDL: %v", out.Recs)
	}
}
