package debezium

import (
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
)

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	o          Options
	tombstones bool
	flat       *flat // nil for whole envelopes
	plans      format.Cache[plan]
	head       []byte // `{"version":...,"connector":...,"name":...,"ts_ms":`
	source     source
	tail       tail
	scratch    []byte
	marks      []int // where the columns of the last image begin in the buffer, and where it ends
	txn        counts
	schemas    ddlSchemas
	markers    pairSchemas
	beats      pairSchemas
}

var (
	_ format.Encoder = (*Encoder)(nil)
	_ format.Marker  = (*Encoder)(nil)
	_ format.Heart   = (*Encoder)(nil)
)

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	e := &Encoder{o: o, tombstones: o.Keys && (o.Tombstones == nil || *o.Tombstones)}
	if o.Unwrap != nil {
		f, err := o.Unwrap.parse(o.Transaction)
		if err != nil {
			return nil, err // Validate has passed it
		}
		e.flat = f
		e.tombstones = e.tombstones && f.deletes == DeleteRewriteTombstone
	}
	if o.Schemas {
		e.plans.Limit = 16 << 20 // an inline schema of a wide table has tens of kilobytes
	}
	e.head = jsonenc.AppendSurrogateText([]byte(`{"version":`), o.Version)
	e.head = jsonenc.AppendSurrogateText(append(e.head, `,"connector":`...), o.Connector)
	e.head = jsonenc.AppendSurrogateText(append(e.head, `,"name":`...), o.TopicPrefix)
	e.head = append(e.head, `,"ts_ms":`...)
	return e, nil
}

// Change appends the records of change i.
func (e *Encoder) Change(o *format.Out, b *event.Batch, i int) error {
	bytes, recs, counted := len(o.Buf), len(o.Recs), e.txn.mark()
	if err := e.change(o, b, i); err != nil {
		o.Buf, o.Recs = o.Buf[:bytes], o.Recs[:recs]
		e.txn.restore(counted)
		return format.Fault(err, b, i)
	}
	return nil
}

func (e *Encoder) change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	p := e.plan(b.Tables[c.Table])
	before, after := b.Before(i), b.After(i)
	r := record{o: o, b: b, p: p, i: i}
	switch c.Op {
	case event.Insert:
		return e.one(r, 'c', event.Row{}, after, event.Row{}, after)
	case event.Read:
		return e.one(r, 'r', event.Row{}, after, event.Row{}, after)
	case event.Delete:
		return e.delete(r, before)
	case event.Truncate:
		if e.o.Skipped == "t" {
			return nil
		}
		_, err := e.write(r, format.Span{}, 't', event.Row{}, event.Row{}, event.Row{})
		return err
	case event.Update:
		if e.o.Keys && rekeyed(p, before, after) {
			return e.rekey(r, before, after)
		}
		return e.one(r, 'u', before, after, before, after)
	}
	return fault.New(fault.FormatValue, "operation %s is none of this format", c.Op)
}

// record is what the records of one change have in common.
type record struct {
	o *format.Out
	b *event.Batch
	p *plan
	i int
}

// one appends a record with its key, which is taken from the image key, or from before where that leaves its columns out.
func (e *Encoder) one(r record, op byte, before, after, fill, key event.Row) error {
	k, err := e.key(r, key, fill)
	if err != nil {
		return err
	}
	_, err = e.write(r, k, op, before, after, fill)
	return err
}

// delete appends a delete and its tombstone.
func (e *Encoder) delete(r record, before event.Row) error {
	k, err := e.key(r, before, event.Row{})
	if err != nil {
		return err
	}
	if _, err = e.write(r, k, 'd', before, event.Row{}, event.Row{}); err != nil {
		return err
	}
	e.tombstone(r, k)
	return nil
}

// rekey appends what becomes of a change of the primary key: the row goes under its old key and comes under its new one.
func (e *Encoder) rekey(r record, before, after event.Row) error {
	first := len(r.o.Recs)
	old, err := e.key(r, before, event.Row{})
	if err != nil {
		return err
	}
	if _, err = e.write(r, old, 'd', before, event.Row{}, event.Row{}); err != nil {
		return err
	}
	e.tombstone(r, old)
	k, err := e.key(r, after, before)
	if err != nil {
		return err
	}
	n, err := e.write(r, k, 'c', event.Row{}, after, before)
	if err != nil {
		return err
	}
	for i := first; i < n; i++ {
		r.o.Recs[i].Peer = r.p.bare(k)
	}
	r.o.Recs[n].Peer = r.p.bare(old)
	return nil
}

// bare is a key without its inline schema, as headers have it.
func (p *plan) bare(key format.Span) format.Span {
	if n := len(p.key); n > 0 {
		key.Start += n
		key.End--
	}
	return key
}

func (e *Encoder) tombstone(r record, key format.Span) {
	if e.tombstones && !key.Empty() {
		r.o.Recs = append(r.o.Recs, format.Rec{Change: int32(r.i), Table: r.b.Changes[r.i].Table, Tombstone: true, Key: key})
	}
}

// rekeyed reports that an update changed the key. Columns that the after image leaves out were not changed.
func rekeyed(p *plan, before, after event.Row) bool {
	for _, k := range p.keys {
		if a := after.Cells[k]; a.Kind() != event.Absent && !format.SameCell(before, before.Cells[k], after, a) {
			return true
		}
	}
	return false
}

// key appends the key of a row.
func (e *Encoder) key(r record, row, fill event.Row) (format.Span, error) {
	if !e.o.Keys || len(r.p.keys) == 0 {
		return format.Span{}, nil
	}
	buf := r.o.Buf
	span := format.Span{Start: len(buf)}
	buf = append(buf, r.p.key...)
	start := len(buf)
	for _, k := range r.p.keys {
		col := &r.p.columns[k]
		from, c := &row, row.Cells[k]
		if c.Kind() == event.Absent && !fill.IsZero() {
			from, c = &fill, fill.Cells[k]
		}
		if c.Kind() == event.Absent {
			return span, fault.New(fault.FormatValue, "the row image does not hold column %s of the key", col.def.Name).
				Hint("SET GLOBAL binlog_row_image=FULL on the source")
		}
		buf = col.key.Append(buf)
		var err error
		if buf, err = e.value(buf, col, from, c); err != nil {
			return span, err
		}
	}
	buf = object(buf, start)
	if len(r.p.key) > 0 {
		buf = append(buf, '}')
	}
	span.End = len(buf)
	r.o.Buf = buf
	return span, nil
}

// write appends one record's value and the record, and gives the record's index.
func (e *Encoder) write(r record, key format.Span, op byte, before, after, fill event.Row) (int, error) {
	if e.flat != nil {
		err := e.unwrapped(r, key, op, before, after, fill)
		return len(r.o.Recs) - 1, err
	}
	c := &r.b.Changes[r.i]
	buf := r.o.Buf
	span := format.Span{Start: len(buf)}
	buf = append(buf, r.p.value...)
	buf = append(buf, `{"before":`...)
	var err error
	if before.IsZero() {
		buf = append(buf, "null"...)
	} else if buf, err = e.image(buf, r.p, &before, &event.Row{}); err != nil {
		return 0, err
	}
	buf = append(buf, `,"after":`...)
	switch {
	case after.IsZero():
		buf = append(buf, "null"...)
	case before.IsZero():
		buf, err = e.image(buf, r.p, &after, &fill)
	default:
		buf, err = e.update(buf, r.p, &before, &after)
	}
	if err != nil {
		return 0, err
	}
	buf = append(buf, `,"source":`...)
	buf = e.appendSource(buf, r.b, r.p, r.i)
	if e.o.Transaction {
		if buf, err = e.appendTransaction(buf, r.b, r.p, c); err != nil {
			return 0, err
		}
	} else {
		buf = append(buf, `,"transaction":null`...)
	}
	buf = append(buf, `,"op":"`...)
	buf = append(buf, op, '"')
	buf = append(buf, e.tail.of(r.b.Received)...)
	if len(r.p.value) > 0 {
		buf = append(buf, '}')
	}
	span.End = len(buf)
	r.o.Buf = buf
	r.o.Recs = append(r.o.Recs, format.Rec{Change: int32(r.i), Table: c.Table, Key: key, Value: span})
	return len(r.o.Recs) - 1, nil
}
