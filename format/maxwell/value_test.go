package maxwell_test

import (
	"encoding/binary"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/maxwell"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

func sameDecimal(got, want string) bool {
	a, ok1 := new(big.Rat).SetString(got)
	b, ok2 := new(big.Rat).SetString(want)
	return ok1 && ok2 && a.Cmp(b) == 0
}

// one encodes one value of an insert and gives data.c as it is written.
func one(t *testing.T, o maxwell.Options, c schemas.Column, v batchtest.Value) (string, error) {
	t.Helper()
	c.Name = "c"
	tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{c}}
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, v).Batch()
	var out format.Out
	if err := newEncoder(t, o).Change(&out, b, 0); err != nil {
		return "", err
	}
	decode(t, out.Buf)
	_, s, _ := strings.Cut(string(out.Buf), `"data":{"c":`)
	return strings.TrimSuffix(s, "}}"), nil
}

func geometry(order byte, parts ...any) batchtest.Value {
	b := []byte{0, 0, 0, 0}
	var e binary.AppendByteOrder = binary.LittleEndian
	if order == 0 {
		e = binary.BigEndian
	}
	for _, p := range parts {
		switch x := p.(type) {
		case string: // a header
			b = e.AppendUint32(append(b, order), uint32(x[0]-'0'))
		case int:
			b = e.AppendUint32(b, uint32(x))
		case float64:
			b = e.AppendUint64(b, math.Float64bits(x))
		}
	}
	return batchtest.Arena(event.Geometry, string(b))
}

// TestSpelling has what the random test compares by meaning only.
func TestSpelling(t *testing.T) {
	dec := schemas.Column{Type: schemas.Decimal, Precision: 20, Scale: 10}
	doc, geo := schemas.Column{Type: schemas.JSON}, schemas.Column{Type: schemas.Geometry}
	for _, x := range []struct {
		col  schemas.Column
		v    batchtest.Value
		want string
	}{
		{dec, batchtest.Decimal("1234.5000000000"), "1234.5000000000"},
		{dec, batchtest.Decimal("0.0000010000"), "0.0000010000"},
		{dec, batchtest.Decimal("-0.0000001200"), "-1.200E-7"},
		{dec, batchtest.Decimal("0.0000000001"), "1E-10"},
		{dec, batchtest.Decimal("0.0000000000"), "0E-10"},
		{schemas.Column{Type: schemas.Decimal, Precision: 9, Scale: 6}, batchtest.Decimal("0.000000"), "0.000000"},
		{schemas.Column{Type: schemas.Decimal, Precision: 9, Scale: 7}, batchtest.Decimal("0.0000000"), "0E-7"},
		{schemas.Column{Type: schemas.Double}, batchtest.Double(1e10), "1.0E10"},
		{schemas.Column{Type: schemas.Float}, batchtest.Float(3.14), "3.14"},
		{doc, batchtest.JSON(`{"a b": [1, {"c\" : , ": "\\ "}], "d": "x: y, z"}`), `{"a b":[1,{"c\" : , ":"\\ "}],"d":"x: y, z"}`},
		{schemas.Column{Type: schemas.Time, Fsp: 3}, batchtest.Num(event.Time, -3020399000000), `"-838:59:59.000"`},
		{schemas.Column{Type: schemas.Bit, Length: 64}, batchtest.Num(event.Bits, -1), "18446744073709551615"},
		{schemas.Column{Type: schemas.Set, Members: []string{"a", "b", "c"}}, batchtest.Num(event.SetBits, 5), `["a","c"]`},
		{schemas.Column{Type: schemas.Set, Members: []string{"a"}}, batchtest.Num(event.SetBits, 0), `[]`},
		{schemas.Column{Type: schemas.VarChar}, batchtest.Text("a\"\U0001F600é"), `"a\"\uD83D\uDE00é"`},
		{geo, geometry(1, "1", 1.5, -2.0), `"POINT (1.5 -2)"`},
		{geo, geometry(0, "1", 1e20, 0.1), `"POINT (100000000000000000000 0.1)"`},
		{geo, geometry(1, "2", 2, 0.0, 0.0, 1.0, 1.0), `"LINESTRING (0 0, 1 1)"`},
		{geo, geometry(1, "3", 2, 1, 0.0, 0.0, 1, 1.0, 1.0), `"POLYGON ((0 0), (1 1))"`},
		{geo, geometry(1, "4", 2, "1", 0.0, 0.0, "1", 1.0, 1.0), `"MULTIPOINT ((0 0), (1 1))"`},
		{geo, geometry(1, "5", 1, "2", 1, 1.0, 1.0), `"MULTILINESTRING ((1 1))"`},
		{geo, geometry(1, "6", 1, "3", 1, 1, 1.0, 1.0), `"MULTIPOLYGON (((1 1)))"`},
		{geo, geometry(1, "7", 2, "1", 1.0, 2.0, "7", 0), `"GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION EMPTY)"`},
		{geo, geometry(1, "1", 1.0), ""},
		{geo, geometry(1, "1", 1.0, math.NaN()), ""},
		{geo, geometry(1, "1", 1.0, 1.0, 1.0), ""},
		{geo, geometry(1, "8", 0), ""},
		{geo, geometry(1, "2", 1<<30), ""},
		{geo, batchtest.Arena(event.Geometry, "\x00"), ""},
	} {
		got, err := one(t, maxwell.Options{}, x.col, x.v)
		if got != x.want || (err != nil) != (x.want == "") || err != nil && !fault.Has(err, fault.FormatValue) {
			t.Errorf("%s: %s, want %s (%v)", x.col.ColumnType(), got, x.want, err)
		}
	}
}

// TestDecimals compares the spelling of random decimals with their value.
func TestDecimals(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := rapid.StringMatching(`-?(0|[1-9][0-9]{0,5})(\.0{0,9}[0-9]{1,9})?`).Draw(r, "decimal")
		got, err := one(t, maxwell.Options{}, schemas.Column{Type: schemas.Decimal, Precision: 30, Scale: 18}, batchtest.Decimal(s))
		if err != nil || !sameDecimal(got, s) {
			r.Fatalf("%s: %s, %v", s, got, err)
		}
	})
}

// TestCommit has a transaction that is split over batches: only the batch with its end can mark its last row.
func TestCommit(t *testing.T) {
	tab := &schemas.Table{Database: "d", Name: "t", Columns: []schemas.Column{{Name: "c", Type: schemas.Int}}}
	part := func(begin, end bool, rows int) *event.Batch {
		x := batchtest.Txn(3)
		x.Begin, x.End = begin, end
		if !end {
			x.XID = 0
		} else {
			x.XID = 77
		}
		w := batchtest.NewWriter(nil).Begin(x)
		for range rows {
			w.Insert(tab, batchtest.Int(1))
		}
		b := w.Batch()
		b.Txns[0].Begin, b.Txns[0].End = begin, end
		return b
	}
	e := newEncoder(t, maxwell.Options{XOffset: true})
	g := newEncoder(t, maxwell.Options{XID: maxwell.XIDGTID})
	var got, byGTID strings.Builder
	for _, b := range []*event.Batch{part(true, false, 2), part(false, true, 2), part(false, true, 0)} {
		for i := range b.Changes {
			b.Changes[i].Row = uint32(i)
			for _, x := range []struct {
				e *maxwell.Encoder
				w *strings.Builder
			}{{e, &got}, {g, &byGTID}} {
				var out format.Out
				if err := x.e.Change(&out, b, i); err != nil {
					t.Fatal(err)
				}
				_, s, _ := strings.Cut(string(out.Buf), `"ts":`)
				x.w.WriteString(s[:strings.Index(s, `,"data"`)] + "\n")
			}
		}
	}
	at := "1704164645"
	if want := at + ",\"xoffset\":0\n" + at + ",\"xoffset\":1\n" + at + ",\"xid\":77,\"xoffset\":0\n" + at + ",\"xid\":77,\"commit\":true\n"; got.String() != want {
		t.Errorf("%s\nwant\n%s", got.String(), want)
	}
	if want := strings.Repeat(at+",\"xid\":3\n", 3) + at + ",\"xid\":3,\"commit\":true\n"; byGTID.String() != want {
		t.Errorf("%s\nwant\n%s", byGTID.String(), want)
	}
}

func TestValidate(t *testing.T) {
	if _, err := maxwell.New(maxwell.Options{KeyFormat: "x", XID: "x", PKChange: "x", Truncate: "x", Text: "x"}); !fault.Has(err, fault.ConfigInvalid) ||
		strings.Count(err.Error(), "is none of") != 5 {
		t.Error(err)
	}
}

func TestHeartbeat(t *testing.T) {
	var out format.Out
	if err := newEncoder(t, maxwell.Options{}).Heartbeat(&out, event.Position{}, 5e6); err != nil || len(out.Recs) != 0 {
		t.Error(err, out)
	}
	if err := newEncoder(t, maxwell.Options{Heartbeats: true}).Heartbeat(&out, event.Position{}, 5_004_000); err != nil || len(out.Recs) != 1 || out.Recs[0].Role != format.Heartbeat {
		t.Error(err, out)
	}
	if got := string(out.Bytes(out.Recs[0].Value)); got != `{"database":"maxwell","table":"heartbeats","type":"update","ts":5,"data":{"client_id":"cdc","heartbeat":5004}}` {
		t.Error(got)
	}
}
