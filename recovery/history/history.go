package history

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
	"cdc/source"
	"cdc/transform"
)

// KeyValue is a column and the text that SELECT shows of its value. An empty Column stands for the next column of the primary key.
type KeyValue struct{ Column, Value string }

// Options say which rows are meant: all conditions have to hold.
type Options struct {
	Table schemas.Name
	Key   []KeyValue           // empty for all rows
	Where *transform.Condition // nil for all
}

// Version is one change of a row, or a statement on its table.
type Version struct {
	Commit time.Time `json:"commit"`
	GTID   string    `json:"gtid,omitempty"`
	File   string    `json:"file"`
	Offset uint64    `json:"offset"` // of the transaction
	Row    uint32    `json:"row"`    // number of the change in its transaction, among those of the table
	Server uint32    `json:"server_id"`
	Thread uint32    `json:"thread,omitempty"`
	Op     string    `json:"op"`              // insert, update, delete, truncate or ddl
	Query  string    `json:"query,omitempty"` // the statement, where the server logs it; of ddl always
	Values []Value   `json:"values,omitempty"`
}

// Value is one column of a version. Before and After are nil where there is none: see the other two fields for why.
type Value struct {
	Column  string  `json:"column"`
	Before  *string `json:"before"`            // NULL, no such image, or Absent
	After   *string `json:"after"`             // the same
	Changed bool    `json:"changed"`           // by an update
	Absent  string  `json:"absent,omitempty"`  // before, after or both: the image does not hold the column
	Partial bool    `json:"partial,omitempty"` // After is a partial update of a JSON document
}

// Read reads src to its end and calls yield with each version. yield must not keep what it is given.
func Read(ctx context.Context, src source.Source, o Options, yield func(*Version) error) error {
	r := reader{o: o, yield: yield}
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = r.batch(b)
		b.Release()
		if err != nil {
			return err
		}
	}
}

type reader struct {
	o     Options
	yield func(*Version) error

	table *schemas.Table // for which the rest was made
	key   []int
	where func(*event.Batch, int) (bool, error)
	text  []byte
}

func (r *reader) batch(b *event.Batch) error {
	if b.DDL != nil && len(b.Txns) > 0 {
		for _, n := range b.DDL.Names {
			if n == r.o.Table || n.Table == "" && n.Database == r.o.Table.Database {
				v := version(b, &b.Txns[0])
				v.Op, v.Query = "ddl", b.DDL.Text
				return r.yield(&v)
			}
		}
		return nil
	}
	for t := range b.Txns {
		x := &b.Txns[t]
		for i := x.First; i < x.Last; i++ {
			c := &b.Changes[i]
			table := b.Tables[c.Table]
			if table.Database != r.o.Table.Database || table.Name != r.o.Table.Table {
				continue
			}
			if err := r.change(b, x, int(i), table); err != nil {
				return err
			}
		}
	}
	return nil
}

func version(b *event.Batch, x *event.Txn) Version {
	return Version{Commit: time.UnixMicro(x.Commit).UTC(), GTID: x.GTID.String(), File: x.File, Offset: x.Off, Server: x.ServerID, Thread: x.Thread}
}

func (r *reader) change(b *event.Batch, x *event.Txn, i int, table *schemas.Table) error {
	if table != r.table {
		if err := r.bind(table); err != nil {
			return err
		}
	}
	before, after := b.Before(i), b.After(i)
	if !r.is(before) && !r.is(after) {
		return nil
	}
	if r.where != nil {
		if ok, err := r.where(b, i); err != nil || !ok {
			return err
		}
	}
	c := &b.Changes[i]
	v := version(b, x)
	v.Op, v.Row = c.Op.String(), c.Row
	v.Query = strings.ToValidUTF8(string(b.Text(b.Groups[c.Group].Query)), "\uFFFD")
	for n := range table.Columns {
		v.Values = append(v.Values, r.value(table, n, before, after))
	}
	return r.yield(&v)
}

// bind finds the key's columns in a table version.
func (r *reader) bind(t *schemas.Table) error {
	r.table, r.key = t, r.key[:0]
	next := 0
	for _, k := range r.o.Key {
		var i int
		switch {
		case k.Column != "":
			if i = t.Column(k.Column); i < 0 {
				return fault.New(fault.UsageInvalid, "table %s has no column %q", t.FullName(), k.Column).
					Hint("its columns are %s", names(t))
			}
		case next < len(t.PrimaryKey):
			i = t.PrimaryKey[next]
			next++
		case len(t.PrimaryKey) == 0:
			return fault.New(fault.UsageInvalid, "the primary key of table %s is not known", t.FullName()).
				Hint("name the column, as in --key id=%s; its columns are %s", k.Value, names(t))
		default:
			return fault.New(fault.UsageInvalid, "the primary key of table %s has %d columns, found %d values", t.FullName(), len(t.PrimaryKey), len(r.o.Key))
		}
		r.key = append(r.key, i)
	}
	if next > 0 && next < len(t.PrimaryKey) {
		return fault.New(fault.UsageInvalid, "the primary key of table %s has %d columns, found %d values", t.FullName(), len(t.PrimaryKey), next).
			Hint("give --key for each, in the order of the key, or name one, as in --key %s=%s", t.Columns[t.PrimaryKey[0]].Name, r.o.Key[0].Value)
	}
	if r.o.Where == nil {
		return nil
	}
	var err error
	r.where, err = r.o.Where.Bind(t)
	return err
}

func names(t *schemas.Table) string {
	list := make([]string, len(t.Columns))
	for i := range t.Columns {
		list[i] = t.Columns[i].Name
	}
	return strings.Join(list, ", ")
}

// is reports that an image is of the row that is asked for.
func (r *reader) is(row event.Row) bool {
	if row.IsZero() {
		return len(r.key) == 0 && len(r.o.Key) == 0
	}
	for n, i := range r.key {
		c := row.Cells[i]
		want := r.o.Key[n].Value
		switch c.Kind() {
		case event.Absent, event.JSONDiff:
			return false
		case event.Null:
			if want != "NULL" {
				return false
			}
			continue
		}
		r.text = celltext.Text(r.text[:0], c, row, &r.table.Columns[i])
		if string(r.text) != want && !strings.EqualFold(string(appendShown(nil, c, row, &r.table.Columns[i])), want) {
			return false
		}
	}
	return true
}

func (r *reader) value(t *schemas.Table, n int, before, after event.Row) Value {
	v := Value{Column: t.Columns[n].Name}
	gone := 0
	show := func(row event.Row, is int) *string {
		if row.IsZero() {
			return nil
		}
		c := row.Cells[n]
		switch c.Kind() {
		case event.Absent:
			gone |= is
			return nil
		case event.Null:
			return nil
		case event.JSONDiff:
			v.Partial = true
		}
		s := string(appendShown(nil, c, row, &t.Columns[n]))
		return &s
	}
	v.Before, v.After = show(before, 1), show(after, 2)
	v.Absent = []string{"", "before", "after", "both"}[gone]
	if !before.IsZero() && !after.IsZero() && gone != 3 && gone&2 == 0 {
		v.Changed = v.Partial || !format.SameCell(before, before.Cells[n], after, after.Cells[n])
	}
	return v
}

// Shown is a value as the text of a version shows it: as a literal where it is text.
func Shown(s *string) string {
	if s == nil {
		return "NULL"
	}
	for _, c := range *s {
		if (c < '0' || c > '9') && c != '-' && c != '.' {
			return strconv.Quote(*s)
		}
	}
	if *s == "" {
		return `""`
	}
	return *s
}
