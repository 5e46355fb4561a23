package batchtest

import (
	"strings"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// Options say what batches are drawn.
type Options struct {
	Tables  []*schemas.Table // to choose from; drawn where empty
	Txns    int              // at most so many transactions, 0 for 3
	Changes int              // at most so many changes in each, 0 for 4
	MariaDB bool             // GTIDs of MariaDB
	NoGTID  bool             // no GTIDs at all
	Pool    *event.Pool      // where the batches come from

	Absent    bool // leave columns out, as MINIMAL and NOBLOB row images do
	Partial   bool // partial updates of JSON documents
	Raw       bool // text that is not valid in its character set
	ZeroDates bool // zero dates and dates with zero parts
	Truncate  bool // TRUNCATE
	Read      bool // rows of snapshots
	Split     bool // begin in the middle of a transaction, and end in one
	Query     bool // statements in the groups
}

// Batches draws a batch.
func Batches(o Options) *rapid.Generator[*event.Batch] {
	return rapid.Custom(func(t *rapid.T) *event.Batch {
		tables := o.Tables
		if len(tables) == 0 {
			tables = rapid.SliceOfN(Tables(), 1, 3).Draw(t, "tables")
		}
		w := NewWriter(o.Pool)
		n := rapid.IntRange(1, orElse(o.Txns, 3)).Draw(t, "transactions")
		for i := range n {
			txn := o.txn(t, i)
			txn.Begin = !o.Split || i > 0 || rapid.Bool().Draw(t, "begins")
			txn.End = !o.Split || i < n-1 || rapid.Bool().Draw(t, "ends")
			w.Begin(txn)
			if !txn.Begin {
				w.Row(uint32(rapid.IntRange(1, 1e6).Draw(t, "row")))
			}
			for range rapid.IntRange(0, orElse(o.Changes, 4)).Draw(t, "changes") {
				if rapid.Bool().Draw(t, "group") {
					query := ""
					if o.Query && rapid.Bool().Draw(t, "query") {
						query = rapid.SampledFrom(texts[:]).Draw(t, "statement")
					}
					w.Group(uint16(rapid.IntRange(0, 7).Draw(t, "flags")), query)
				}
				o.change(t, w, rapid.SampledFrom(tables).Draw(t, "table"))
			}
			w.End()
		}
		return w.Batch()
	})
}

func orElse(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

func (o *Options) txn(t *rapid.T, i int) event.Txn {
	txn := Txn(uint64(rapid.IntRange(1, 1e9).Draw(t, "gtid")) + uint64(i))
	txn.Commit = rapid.Int64Range(0, 4294967295e6).Draw(t, "commit")
	txn.Original = txn.Commit - rapid.Int64Range(0, 1e6).Draw(t, "original")
	txn.Thread = rapid.Uint32().Draw(t, "thread")
	txn.ServerID = rapid.Uint32().Draw(t, "server")
	switch {
	case o.NoGTID:
		txn.GTID = gtid.GTID{}
	case o.MariaDB:
		txn.GTID = gtid.GTID{Flavor: gtid.MariaDB, Domain: rapid.Uint32().Draw(t, "domain"), Server: txn.ServerID, Seq: txn.GTID.Seq}
	case rapid.IntRange(0, 3).Draw(t, "tagged") == 0:
		txn.GTID.Tag = "tag_" + strings.Repeat("x", rapid.IntRange(0, 28).Draw(t, "tag"))
	}
	return txn
}

func (o *Options) change(t *rapid.T, w *Writer, table *schemas.Table) {
	ops := []event.Op{event.Insert, event.Update, event.Update, event.Delete}
	if o.Truncate {
		ops = append(ops, event.Truncate)
	}
	if o.Read {
		ops = append(ops, event.Read)
	}
	switch op := rapid.SampledFrom(ops).Draw(t, "op"); op {
	case event.Insert, event.Read:
		w.Change(op, table, nil, o.image(t, table, false))
	case event.Delete:
		w.Change(op, table, o.image(t, table, true), nil)
	case event.Truncate:
		w.Change(op, table, nil, nil)
	default:
		before := o.image(t, table, true)
		after := append([]Value(nil), before...)
		if o.Absent && rapid.Bool().Draw(t, "minimal") {
			clear(after)
		}
		for i := range after {
			if rapid.IntRange(0, 2).Draw(t, "changed") > 0 {
				continue
			}
			after[i] = o.value(t, &table.Columns[i], isKey(table, i))
			if o.Partial && table.Columns[i].Type == schemas.JSON && rapid.Bool().Draw(t, "partial") {
				after[i] = Arena(event.JSONDiff, rapid.SampledFrom(diffs[:]).Draw(t, "diff"))
			}
		}
		w.Change(op, table, before, after)
	}
}

// diffs are diff vectors as the binlog holds them: of each diff the operation, the length and text of the path, and but for a removal the
// length and bytes of a value in MySQL's binary JSON.
var diffs = [...]string{
	"\x00\x03$.a\x03\x05\x07\x00",                  // replace $.a by 7 (int16)
	"\x02\x03$.b",                                  // remove $.b
	"\x01\x04$[0]\x04\x0c\x02hi",                   // insert "hi" at $[0]
	"\x00\x03$.a\x02\x04\x01\x02\x07$.\"x y\"",     // replace by true, then remove
	"\x01\x03$.n\x02\x04\x00\x00\x01$\x02\x04\x02", // insert null; replace the root by false
}

// image draws a row image. Of a before image the key is always there, as the binlog has it; a before image of a MINIMAL row has nothing else.
func (o *Options) image(t *rapid.T, table *schemas.Table, before bool) []Value {
	vs := make([]Value, len(table.Columns))
	minimal := o.Absent && before && len(table.PrimaryKey) > 0 && rapid.Bool().Draw(t, "minimal")
	for i := range vs {
		key := isKey(table, i)
		if minimal && !key {
			continue
		}
		if o.Absent && !key && rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
			continue
		}
		vs[i] = o.value(t, &table.Columns[i], key)
	}
	return vs
}

func isKey(t *schemas.Table, column int) bool {
	for _, k := range t.PrimaryKey {
		if k == column {
			return true
		}
	}
	return false
}

func (o *Options) value(t *rapid.T, c *schemas.Column, key bool) Value {
	if c.Nullable && !key && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return Null()
	}
	if o.Raw && event.KindOf(c) == event.String && !key && rapid.IntRange(0, 3).Draw(t, "raw") == 0 {
		return RawText(rapid.SampledFrom(brokenTexts[:]).Draw(t, "bytes"))
	}
	if o.ZeroDates && rapid.IntRange(0, 2).Draw(t, "zero") == 0 {
		switch c.Type {
		case schemas.Date:
			return rapid.SampledFrom([]Value{Date(0, 0, 0), Date(2024, 0, 0), Date(2024, 1, 0), Date(0, 1, 1)}).Draw(t, "date")
		case schemas.DateTime:
			return DateTime(rapid.SampledFrom([]event.Civil{
				{}, {Year: 2024}, {Year: 2024, Month: 1}, {Month: 1, Day: 1}, {Year: 2024, Month: 1, Hour: 12, Minute: 34, Second: 56},
			}).Draw(t, "datetime"))
		case schemas.Timestamp:
			return ZeroTimestamp()
		}
	}
	return ValuesOf(c).Draw(t, "value")
}
