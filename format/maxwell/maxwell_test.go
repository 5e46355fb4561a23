package maxwell_test

import (
	"encoding/base64"
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
	"cdc/format/jsonenc"
	"cdc/format/maxwell"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

type fataler interface{ Fatal(...any) }

func newEncoder(t fataler, o maxwell.Options) *maxwell.Encoder {
	e, err := maxwell.New(o)
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

// reference is a slow and obvious encoder of one value.
func reference(o maxwell.Options, c *schemas.Column, v batchtest.Value) any {
	date := func(civil event.Civil, zero bool) any {
		if !zero {
			at := time.Date(civil.Year, time.Month(civil.Month), civil.Day, 0, 0, 0, 0, time.UTC)
			zero = civil.Month == 0 || civil.Day == 0 || at.Day() != civil.Day
		}
		if zero && o.NullZero {
			return nil
		}
		s := fmt.Sprintf("%04d-%02d-%02d", civil.Year, civil.Month, civil.Day)
		if c.Type == schemas.Date {
			return s
		}
		s += fmt.Sprintf(" %02d:%02d:%02d", civil.Hour, civil.Minute, civil.Second)
		if c.Fsp > 0 {
			s += "." + fmt.Sprintf("%06d", civil.Micro)[:c.Fsp]
		}
		return s
	}
	switch v.Kind {
	case event.Null:
		return nil
	case event.Int:
		return batchtest.Number(strconv.FormatInt(int64(v.Num), 10))
	case event.Uint, event.Year, event.Bits:
		return batchtest.Number(strconv.FormatUint(v.Num, 10))
	case event.Float32:
		return batchtest.Number(strconv.FormatFloat(float64(math.Float32frombits(uint32(v.Num))), 'g', -1, 32))
	case event.Float64:
		return math.Float64frombits(v.Num)
	case event.Decimal:
		return decimal(v.Data)
	case event.String:
		if v.Flags&event.Raw != 0 {
			if o.Text == maxwell.TextReplace {
				return string([]rune(v.Data))
			}
			panic(errReference("raw"))
		}
		return v.Data
	case event.JSON:
		x, err := batchtest.DecodeJSON([]byte(v.Data))
		if err != nil {
			panic(err)
		}
		return x
	case event.JSONDiff:
		panic(errReference("partial"))
	case event.Bytes:
		return base64.StdEncoding.EncodeToString([]byte(v.Data))
	case event.Date, event.DateTime:
		return date(event.NumCell(v.Kind, v.Num, 0).Civil(), false)
	case event.Timestamp:
		if v.Flags&event.ZeroTime != 0 {
			return date(event.Civil{}, true)
		}
		return date(jsonenc.CivilOf(int64(v.Num)), false)
	case event.Time:
		us := int64(v.Num)
		sign := ""
		if us < 0 {
			sign, us = "-", -us
		}
		s := fmt.Sprintf("%s%02d:%02d:%02d", sign, us/3600e6, us/60e6%60, us/1e6%60)
		if c.Fsp > 0 {
			s += "." + fmt.Sprintf("%06d", us%1e6)[:c.Fsp]
		}
		return s
	case event.Enum:
		if v.Num == 0 {
			return ""
		}
		return c.Members[v.Num-1]
	case event.SetBits:
		all := []any{}
		for i, m := range c.Members {
			if v.Num&(1<<i) != 0 {
				all = append(all, m)
			}
		}
		return all
	case event.Geometry:
		return wkt(v.Data)
	case event.Vector:
		all := []any{}
		for b := []byte(v.Data); len(b) > 0; b = b[4:] {
			all = append(all, batchtest.Number(strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 'g', -1, 32)))
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

// anything is a value that the tree takes on trust: another test looks at it.
type anything func(string) bool

func decimal(s string) any { return anything(func(got string) bool { return sameDecimal(got, s) }) }
func wkt(string) any {
	return anything(func(got string) bool { return strings.Contains(got, "(") || strings.Contains(got, "EMPTY") })
}

// same is batchtest.SameJSON that knows anything.
func same(got, want any) bool {
	switch w := want.(type) {
	case anything:
		return w(fmt.Sprint(got))
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

// leftOut reports a NULL, or a date that becomes null, which nobody asked for.
func leftOut(o maxwell.Options, c *schemas.Column, v batchtest.Value) bool {
	if o.Nulls == nil || *o.Nulls {
		return false
	}
	switch v.Kind {
	case event.Null:
		return true
	case event.Date, event.DateTime, event.Timestamp:
		return reference(o, c, v) == nil
	}
	return false
}

func image(o maxwell.Options, t *schemas.Table, row, fill []batchtest.Value) map[string]any {
	m := map[string]any{}
	for i, v := range row {
		if v.Kind == event.Absent && fill != nil {
			v = fill[i]
		}
		if v.Kind == event.Absent || leftOut(o, &t.Columns[i], v) {
			continue
		}
		m[t.Columns[i].Name] = reference(o, &t.Columns[i], v)
	}
	return m
}

func changed(o maxwell.Options, t *schemas.Table, before, after []batchtest.Value) (map[string]any, bool) {
	m, differs := map[string]any{}, false
	for i, v := range before {
		if v.Kind == event.Absent || after[i].Kind == event.Absent || v == after[i] {
			continue
		}
		differs = true
		if leftOut(o, &t.Columns[i], v) {
			continue
		}
		m[t.Columns[i].Name] = reference(o, &t.Columns[i], v)
	}
	return m, differs
}

type want struct {
	typ       string
	data, old any
	key       any
	pks       any
	tombstone bool
	commit    bool
	peer      bool
}

func expect(o maxwell.Options, b *event.Batch, i int) (recs []want, refused bool) {
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
	values := func(cols []int, row, fill []batchtest.Value) (all []any) {
		for _, k := range cols {
			v := row[k]
			if v.Kind == event.Absent && fill != nil {
				v = fill[k]
			}
			if v.Kind == event.Absent {
				panic(errReference("key"))
			}
			all = append(all, reference(o, &t.Columns[k], v))
		}
		return all
	}
	keys := format.KeyColumns(t)
	key := func(row, fill []batchtest.Value) any {
		if !o.Keys || len(keys) == 0 {
			return nil
		}
		vs := values(keys, row, fill)
		if o.KeyFormat == maxwell.KeyArray {
			pk := []any{}
			for j, v := range vs {
				pk = append(pk, map[string]any{strings.ToLower(t.Columns[keys[j]].Name): v})
			}
			return []any{t.Database, t.Name, pk}
		}
		m := map[string]any{"database": t.Database, "table": t.Name}
		for j, v := range vs {
			m["pk."+strings.ToLower(t.Columns[keys[j]].Name)] = v
		}
		return m
	}
	x := b.Txn(c)
	commit := (o.CommitInfo == nil || *o.CommitInfo) && x.End && i == int(x.Last)-1
	add := func(w want, row, fill []batchtest.Value) {
		w.key = key(row, fill)
		if o.PrimaryKeys {
			w.pks = append([]any{}, values(t.PrimaryKey, row, fill)...)
		}
		w.data = image(o, t, row, fill)
		recs = append(recs, w)
		if o.Tombstones && w.typ == "delete" && w.key != nil {
			recs = append(recs, want{tombstone: true, key: w.key, peer: w.peer})
		}
	}
	switch c.Op {
	case event.Insert:
		add(want{typ: "insert", commit: commit}, after, nil)
	case event.Read:
		add(want{typ: "bootstrap-insert"}, after, nil)
	case event.Delete:
		add(want{typ: "delete", commit: commit}, before, nil)
	case event.Truncate:
		if o.Truncate != maxwell.TruncateSkip {
			recs = append(recs, want{typ: "table-truncate", commit: commit})
		}
	case event.Update:
		moved := false
		for _, k := range keys {
			moved = moved || after[k].Kind != event.Absent && after[k] != before[k]
		}
		if o.Keys && moved && o.PKChange != maxwell.PKUpdate {
			add(want{typ: "delete", peer: true}, before, nil)
			add(want{typ: "insert", commit: commit, peer: true}, after, before)
			break
		}
		w := want{typ: "update", commit: commit}
		if old, differs := changed(o, t, before, after); differs {
			w.old = old
		}
		add(w, after, before)
	}
	return recs, false
}

func drawOptions(t *rapid.T) maxwell.Options {
	yes := func(s string) bool { return rapid.Bool().Draw(t, s) }
	maybe := func(s string) *bool {
		if yes(s + " unsaid") {
			return nil
		}
		b := yes(s)
		return &b
	}
	one := func(s string, of ...string) string { return rapid.SampledFrom(append(of, "")).Draw(t, s) }
	return maxwell.Options{
		Keys: yes("keys"), CommitInfo: maybe("commit"), XOffset: yes("xoffset"), Position: yes("position"), GTID: yes("gtid"), ServerID: yes("server"),
		ThreadID: yes("thread"), Nulls: maybe("nulls"), Query: yes("query"), PrimaryKeys: yes("pks"), PrimaryNames: yes("pk names"),
		NullZero: yes("null zero"), KeyFormat: one("key", maxwell.KeyHash, maxwell.KeyArray), XID: one("xid", maxwell.XIDGTID),
		PKChange: one("pk change", maxwell.PKUpdate), Truncate: one("truncate", maxwell.TruncateSkip), Tombstones: yes("tombstones"),
		Text: one("text", maxwell.TextReplace),
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
				check(t, o, &out, &out.Recs[recs+j], b, i, w)
			}
		}
	})
}

func check(t *rapid.T, o maxwell.Options, out *format.Out, r *format.Rec, b *event.Batch, i int, w want) {
	c := &b.Changes[i]
	x, g := b.Txn(c), &b.Groups[c.Group]
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
	tab := b.Tables[c.Table]
	m := map[string]any{"database": tab.Database, "table": tab.Name, "type": w.typ, "ts": batchtest.NumberOf(x.Commit / 1e6)}
	if w.data != nil {
		m["data"] = w.data
	}
	if w.old != nil {
		m["old"] = w.old
	}
	if w.pks != nil {
		m["primary_key"] = w.pks
	}
	if o.PrimaryNames {
		names := []any{}
		for _, k := range tab.PrimaryKey {
			names = append(names, tab.Columns[k].Name)
		}
		m["primary_key_columns"] = names
	}
	if o.CommitInfo == nil || *o.CommitInfo {
		id := x.XID
		if o.XID == maxwell.XIDGTID {
			id = x.GTID.Seq
		}
		if id != 0 {
			m["xid"] = batchtest.NumberOf(id)
		}
		if w.commit {
			m["commit"] = true
		} else if o.XOffset && w.typ != "bootstrap-insert" {
			m["xoffset"] = batchtest.NumberOf(c.Row)
		}
	}
	if o.Position {
		m["position"] = x.File + ":" + strconv.FormatUint(g.Off, 10)
	}
	if o.GTID {
		m["gtid"] = nil
		if !x.GTID.IsZero() {
			m["gtid"] = x.GTID.String()
		}
	}
	if o.ServerID {
		m["server_id"] = batchtest.NumberOf(x.ServerID)
	}
	if o.ThreadID && x.Thread != 0 {
		m["thread_id"] = batchtest.NumberOf(x.Thread)
	}
	if o.Query && g.Query.Len > 0 {
		m["query"] = string(b.Text(g.Query))
	}
	if got := decode(t, out.Bytes(r.Value)); !same(got, m) {
		t.Fatalf("change %d:\n%s\nwant %v", i, out.Bytes(r.Value), m)
	}
}
