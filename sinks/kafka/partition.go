package kafka

import (
	"fmt"
	"strings"

	"cdc/broker"
	"cdc/event"
	"cdc/event/celltext"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// Settings of Config.PartitionBy.
const (
	byKey         = "key"
	byTable       = "table"
	byColumns     = "columns"
	byDatabase    = "database"
	byTransaction = "transaction"
)

// partitionings gives the settings of Config.PartitionBy.
func partitionings() []string { return []string{byKey, byTable, byColumns, byDatabase, byTransaction} }

// scattered reports that records of one key may be in several partitions of a topic.
func (o *Options) scattered() bool {
	return o.PartitionBy == byColumns || o.PartitionBy == byTransaction
}

// columnPattern names columns as database.table.column, whatever their case.
type columnPattern struct {
	text                    string
	database, table, column string
	exact                   bool // without %: the column must be there
}

// parseColumns reads the patterns of partition_columns.
func parseColumns(patterns []string) ([]columnPattern, error) {
	out := make([]columnPattern, 0, len(patterns))
	for _, text := range patterns {
		p := columnPattern{text: text, exact: !strings.Contains(text, "%")}
		var rest string
		var ok, ok2 bool
		p.database, rest, ok = schemas.CutDot(strings.ToLower(text))
		p.table, p.column, ok2 = schemas.CutDot(rest)
		if !ok || !ok2 || p.database == "" || p.table == "" || p.column == "" {
			return nil, fmt.Errorf("pattern %q: want database.table.column, as in shop.orders.customer_id or %%.%%.tenant", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// columnsOf gives the ordinals of the columns of a table that patterns name, in the order of the patterns; none where no pattern names the table.
func columnsOf(patterns []columnPattern, t *schemas.Table) ([]int, error) {
	var out []int
	for i := range patterns {
		p := &patterns[i]
		if len(t.Columns) == 0 || !schemas.Wild(p.database, strings.ToLower(t.Database)) || !schemas.Wild(p.table, strings.ToLower(t.Name)) {
			continue
		}
		found := false
	columns:
		for j := range t.Columns {
			c := &t.Columns[j]
			if !schemas.Wild(p.column, strings.ToLower(c.Name)) {
				continue
			}
			found = true
			for _, k := range out {
				if k == j {
					continue columns
				}
			}
			switch c.Type {
			case schemas.JSON, schemas.Geometry, schemas.Vector:
				return nil, fault.New(fault.SinkPartition, "partition_columns: column %s is of type %s, whose values have no one text", c.Name, c.Type).
					At(fault.Where{Table: t.FullName()})
			}
			out = append(out, j)
		}
		if !found && p.exact {
			return nil, fault.New(fault.SinkPartition, "partition_columns: %s names no column", p.text).At(fault.Where{Table: t.FullName()})
		}
	}
	return out, nil
}

// place appends what the rows of a partition have in common: the values of columns of one image, as the server prints them, with a zero byte between
// two, and FF for NULL, which is in no text. A column that the image leaves out is taken from other, which an update without a change of it has.
func appendPlace(dst []byte, t *schemas.Table, columns []int, row, other event.Row) ([]byte, error) {
	for n, i := range columns {
		if n > 0 {
			dst = append(dst, 0)
		}
		from, c := row, row.Cells[i]
		if c.Kind() == event.Absent && !other.IsZero() {
			from, c = other, other.Cells[i]
		}
		switch c.Kind() {
		case event.Absent:
			return dst, fault.New(fault.SinkPartition, "the row image does not hold column %s, which says to which partition the row belongs", t.Columns[i].Name)
		case event.Null:
			dst = append(dst, 0xff)
		default:
			dst = celltext.Text(dst, c, from, &t.Columns[i])
		}
	}
	return dst, nil
}

// spots says by which hashes the records of a change go: the one that deletes the row where it was, and the others. They differ where an update moves the
// row to other values of the columns.
type spots struct{ before, after uint32 }

// spots gives those of a change of a table that goes by columns.
func (e *encoder) spots(b *event.Batch, i int, columns []int) (s spots, err error) {
	t := b.Tables[b.Changes[i].Table]
	before, after := b.Before(i), b.After(i)
	one := func(row, other event.Row) uint32 {
		if err == nil {
			e.place, err = appendPlace(e.place[:0], t, columns, row, other)
		}
		return broker.Murmur2(e.place)
	}
	switch {
	case !before.IsZero() && !after.IsZero():
		s = spots{one(before, event.Row{}), one(after, before)}
	case !after.IsZero():
		s.after = one(after, event.Row{})
		s.before = s.after
	default:
		s.before = one(before, event.Row{})
		s.after = s.before
	}
	if f, ok := fault.As(err); ok {
		c := &b.Changes[i]
		where := fault.Where{Table: t.FullName()}
		if x := b.Txn(c); !x.GTID.IsZero() {
			where.GTID = x.GTID.String()
		}
		err = f.At(where).Hint("SET GLOBAL binlog_row_image=FULL on the source")
	}
	return s, err
}

// split encodes an update as the delete of the row where it was and the insert of the row where it is, for formats that know a change of the key as
// two records, and not one of other columns. It gives the number of records of the first.
func (e *encoder) split(b *event.Batch, i int) (int, error) {
	c := b.Changes[i]
	defer func() { b.Changes[i] = c }()
	before, after := b.Before(i), b.After(i)
	for k := range after.Cells {
		switch after.Cells[k].Kind() {
		case event.Absent: // it was not changed
			after.Cells[k] = before.Cells[k]
		case event.JSONDiff:
			t := b.Tables[c.Table]
			return 0, fault.New(fault.SinkPartition, "a row moves to another partition, and of column %s only what was changed is known", t.Columns[k].Name).
				At(fault.Where{Table: t.FullName()}).Hint("SET GLOBAL binlog_row_value_options='' on the source")
		}
	}
	e.out.Reset()
	gone, come := b.Halves(i)
	b.Changes[i] = gone
	if err := e.enc.Change(&e.out, b, i); err != nil {
		return 0, err
	}
	first := len(e.out.Recs)
	b.Changes[i] = come
	return first, e.enc.Change(&e.out, b, i)
}

// encode encodes a change. from is the index of the first record that belongs where the row is, those before it belong where the row was; moved says
// that these are two places, and that the key is the same in both.
func (e *encoder) encode(b *event.Batch, i int, to *route) (s spots, from int, moved bool, err error) {
	e.out.Reset()
	if len(to.columns) == 0 || b.Changes[i].Op == event.Truncate {
		return s, 0, false, e.enc.Change(&e.out, b, i)
	}
	if s, err = e.spots(b, i, to.columns); err != nil {
		return s, 0, false, err
	}
	if s.before == s.after {
		return s, 0, false, e.enc.Change(&e.out, b, i)
	}
	rekeyed := format.Rekeyed(b.Before(i), b.After(i), to.keys)
	if rekeyed {
		if err := e.enc.Change(&e.out, b, i); err != nil {
			return s, 0, false, err
		}
		if from = e.second(); from > 0 {
			return s, from, false, nil
		}
	}
	from, err = e.split(b, i)
	return s, from, !rekeyed, err
}

// second gives the index of the second record with a value, 0 where there is one.
func (e *encoder) second() int {
	n := 0
	for k := range e.out.Recs {
		if !e.out.Recs[k].Tombstone {
			if n++; n == 2 {
				return k
			}
		}
	}
	return 0
}
