package avro

import (
	"context"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// HeaderSize is the length of what stands before the data of a key and a value: a zero byte, and the id of the schema in four, the highest first.
const HeaderSize = 5

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	o          Options
	tombstones bool
	plans      format.Cache[plan]
	source     source
	scratch    []byte
	marks      []int // where the columns of the last image begin in the buffer, and where it ends
}

var (
	_ format.Encoder  = (*Encoder)(nil)
	_ format.Preparer = (*Encoder)(nil)
)

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	e := &Encoder{o: o, tombstones: o.Keys && (o.Shape == Flat || o.Debezium.Tombstones == nil || *o.Debezium.Tombstones)}
	return e, nil
}

// Prepare registers the schemas of a table version for a topic, if they are not yet. Without it Change refuses the changes of that version. It may
// block until ctx ends; its errors are those of the Registrar.
func (e *Encoder) Prepare(ctx context.Context, t *schemas.Table, topic string) error {
	if p := e.plans.Get(t); p != nil && p.topic == topic {
		return nil
	}
	p := e.columnsOf(t)
	p.topic = topic
	for _, x := range e.describe(t, p) {
		id, err := e.o.Registrar.ID(ctx, x)
		if err != nil {
			return at(err, t)
		}
		if x.Subject.Key {
			p.keyHead = header(id)
		} else {
			p.head = header(id)
		}
	}
	e.plans.Put(t, p, 256+220*len(p.columns))
	return nil
}

// Describe gives the schemas of a table's records: that of their keys first, where the table has a key, then that of their values.
func (e *Encoder) Describe(t *schemas.Table, topic string) []format.Schema {
	p := e.columnsOf(t)
	p.topic = topic
	return e.describe(t, p)
}

func (e *Encoder) describe(t *schemas.Table, p *plan) (all []format.Schema) {
	value, key, name := e.schemasOf(t, p)
	if key != nil {
		all = append(all, format.Schema{Subject: format.Subject{Topic: p.topic, Record: e.record(t) + ".Key", Key: true}, Text: key})
	}
	return append(all, format.Schema{Subject: format.Subject{Topic: p.topic, Record: name}, Text: value})
}

func at(err error, t *schemas.Table) error {
	if f, ok := fault.As(err); ok {
		return f.At(fault.Where{Table: t.FullName()})
	}
	return err
}

// header is that of the records of a schema, as Confluent's serializers write it and readers of a registry expect.
func header(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0}, id) }

// Change appends the records of change i.
func (e *Encoder) Change(o *format.Out, b *event.Batch, i int) error {
	bytes, recs := len(o.Buf), len(o.Recs)
	if err := e.change(o, b, i); err != nil {
		o.Buf, o.Recs = o.Buf[:bytes], o.Recs[:recs]
		return format.Fault(err, b, i)
	}
	return nil
}

// DDL appends nothing: a DDL statement shows in the schemas of the records that follow it.
func (e *Encoder) DDL(*format.Out, *event.Batch) error { return nil }

func (e *Encoder) change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	p := e.plans.Get(b.Tables[c.Table])
	if p == nil && e.o.Bare {
		p = e.columnsOf(b.Tables[c.Table])
		e.plans.Put(b.Tables[c.Table], p, 256+220*len(p.columns))
	}
	if p == nil {
		return fault.New(fault.PipelineInternal, "the schemas of the table were not registered before its first change")
	}
	before, after := b.Before(i), b.After(i)
	r := entry{o: o, b: b, p: p, i: i}
	switch c.Op {
	case event.Insert, event.Read:
		return e.one(r, c.Op, event.Row{}, after, event.Row{}, after)
	case event.Delete:
		return e.delete(r, before)
	case event.Truncate:
		if e.o.Shape == Envelope && e.o.Debezium.Skipped == "t" {
			return nil
		}
		_, err := e.write(r, format.Span{}, c.Op, event.Row{}, event.Row{}, event.Row{})
		return err
	case event.Update:
		if format.Rekeyed(before, after, p.keys) { // p has keys only where that matters
			return e.rekey(r, before, after)
		}
		return e.one(r, c.Op, before, after, before, after)
	}
	return fault.New(fault.FormatValue, "operation %s is none of this format", c.Op)
}

// entry is what the records of one change have in common.
type entry struct {
	o *format.Out
	b *event.Batch
	p *plan
	i int
}

// one appends a record with its key, which is taken from the image key, or from fill where that leaves its columns out.
func (e *Encoder) one(r entry, op event.Op, before, after, fill, key event.Row) error {
	k, err := e.key(r, key, fill)
	if err != nil {
		return err
	}
	_, err = e.write(r, k, op, before, after, fill)
	return err
}

// delete appends a delete and its tombstone.
func (e *Encoder) delete(r entry, before event.Row) error {
	k, err := e.key(r, before, event.Row{})
	if err != nil {
		return err
	}
	if _, err = e.write(r, k, event.Delete, before, event.Row{}, event.Row{}); err != nil {
		return err
	}
	e.tombstone(r, k)
	return nil
}

// rekey appends what becomes of a change of the primary key: the row goes under its old key and comes under its new one.
func (e *Encoder) rekey(r entry, before, after event.Row) error {
	first := len(r.o.Recs)
	old, err := e.key(r, before, event.Row{})
	if err != nil {
		return err
	}
	if _, err = e.write(r, old, event.Delete, before, event.Row{}, event.Row{}); err != nil {
		return err
	}
	e.tombstone(r, old)
	k, err := e.key(r, after, before)
	if err != nil {
		return err
	}
	n, err := e.write(r, k, event.Insert, event.Row{}, after, before)
	if err != nil {
		return err
	}
	for i := first; i < n; i++ {
		r.o.Recs[i].Peer = k
	}
	r.o.Recs[n].Peer = old
	return nil
}

func (e *Encoder) tombstone(r entry, key format.Span) {
	if e.tombstones && !key.Empty() {
		r.o.Recs = append(r.o.Recs, format.Rec{Change: int32(r.i), Table: r.b.Changes[r.i].Table, Tombstone: true, Key: key, Head: HeaderSize})
	}
}

// key appends the key of a row.
func (e *Encoder) key(r entry, row, fill event.Row) (format.Span, error) {
	if len(r.p.keys) == 0 || e.o.Bare {
		return format.Span{}, nil
	}
	buf := r.o.Buf
	span := format.Span{Start: len(buf)}
	buf = append(buf, r.p.keyHead...)
	for n, k := range r.p.keys {
		col := &r.p.key[n]
		from, c := &row, row.Cells[k]
		if c.Kind() == event.Absent && !fill.IsZero() {
			from, c = &fill, fill.Cells[k]
		}
		if c.Kind() == event.Absent {
			return span, fault.New(fault.FormatValue, "the row image does not hold column %s of the key", col.def.Name).
				Hint("SET GLOBAL binlog_row_image=FULL on the source")
		}
		var err error
		if buf, err = e.cell(buf, col, from, c); err != nil {
			return span, err
		}
	}
	span.End = len(buf)
	r.o.Buf = buf
	return span, nil
}

// ops are Debezium's words for operations, with their length.
var ops = [...]string{event.Insert: "\x02c", event.Update: "\x02u", event.Delete: "\x02d", event.Truncate: "\x02t", event.Read: "\x02r"}

// write appends one record's value and the record, and gives the record's index.
func (e *Encoder) write(r entry, key format.Span, op event.Op, before, after, fill event.Row) (int, error) {
	c := &r.b.Changes[r.i]
	buf := r.o.Buf
	span := format.Span{Start: len(buf)}
	buf = append(buf, r.p.head...)
	var err error
	if e.o.Shape == Flat {
		buf, err = e.row(buf, r.p, before, after, fill)
		if err != nil {
			return 0, err
		}
		buf = e.appendFlat(buf, r.b, r.p, r.i, op)
	} else {
		if buf, err = e.images(buf, r.p, before, after, fill); err != nil {
			return 0, err
		}
		buf = e.appendSource(buf, r.b, r.p, r.i)
		buf = append(buf, none) // transaction
		buf = append(buf, ops[op]...)
		buf = append(buf, e.source.times(r.b.Received)...)
	}
	span.End = len(buf)
	r.o.Buf = buf
	rec := format.Rec{Change: int32(r.i), Table: c.Table, Key: key, Value: span, Head: HeaderSize}
	if e.o.Bare {
		rec.Head = 0
	}
	r.o.Recs = append(r.o.Recs, rec)
	return len(r.o.Recs) - 1, nil
}

// row appends the columns of a flat record: the row as it is, or was where it is gone.
func (e *Encoder) row(buf []byte, p *plan, before, after, fill event.Row) ([]byte, error) {
	switch {
	case !after.IsZero():
		return e.image(buf, p, &after, &fill)
	case !before.IsZero():
		return e.image(buf, p, &before, &event.Row{})
	}
	for range p.columns { // a TRUNCATE
		buf = append(buf, none)
	}
	return buf, nil
}

// images appends before and after of an envelope.
func (e *Encoder) images(buf []byte, p *plan, before, after, fill event.Row) ([]byte, error) {
	var err error
	if before.IsZero() {
		buf = append(buf, none)
	} else if buf, err = e.image(append(buf, some), p, &before, &event.Row{}); err != nil {
		return buf, err
	}
	switch {
	case after.IsZero():
		return append(buf, none), nil
	case before.IsZero():
		return e.image(append(buf, some), p, &after, &fill)
	}
	return e.update(append(buf, some), p, &before, &after)
}

// query gives the text of a statement, which is for the eye only: bytes in another character set are replaced.
func (e *Encoder) query(s []byte) []byte {
	if utf8.Valid(s) {
		return s
	}
	e.scratch = append(e.scratch[:0], strings.ToValidUTF8(string(s), "\uFFFD")...)
	return e.scratch
}
