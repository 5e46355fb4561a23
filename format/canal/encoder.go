package canal

import (
	"time"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/gtid"
)

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	o     Options
	zone  *time.Location
	plans format.Cache[plan]

	// The parts of a message that the changes of one transaction in one batch have in common.
	txn  identity
	head []byte // `1704164645123,"gtid":"...","id":5,"isDdl":`
	at   []byte // when the batch was read
}

var _ format.Encoder = (*Encoder)(nil)

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	zone, err := o.zone()
	if err != nil {
		return nil, err
	}
	return &Encoder{o: o.withDefaults(), zone: zone}, nil
}

// identity is all that the messages of a transaction have in common. Batches are reused, so it is compared by value.
type identity struct {
	gtid     gtid.GTID
	commit   int64
	received int64
	seq      uint64
	known    bool
}

// Change appends the records of change i.
func (e *Encoder) Change(o *format.Out, b *event.Batch, i int) error {
	bytes, recs := len(o.Buf), len(o.Recs)
	if err := e.change(o, b, i); err != nil {
		o.Buf, o.Recs = o.Buf[:bytes], o.Recs[:recs]
		return format.Fault(err, b, i)
	}
	return nil
}

// record is what the records of one change have in common.
type record struct {
	o *format.Out
	b *event.Batch
	p *plan
	i int
}

// Ends of messages.
const (
	endInsert   = `,"type":"INSERT"}`
	endUpdate   = `,"type":"UPDATE"}`
	endDelete   = `,"type":"DELETE"}`
	endTruncate = `,"type":"TRUNCATE"}`
)

func (e *Encoder) change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	r := record{o: o, b: b, p: e.planOf(b.Tables[c.Table]), i: i}
	e.about(b, b.Txn(c))
	before, after := b.Before(i), b.After(i)
	switch c.Op {
	case event.Insert, event.Read:
		return e.write(r, endInsert, after, event.Row{}, event.Row{})
	case event.Delete:
		return e.delete(r, before)
	case event.Update:
		if !e.o.Keys || e.o.PKChange == PKUpdate || !format.Rekeyed(before, after, r.p.keys) {
			return e.write(r, endUpdate, after, before, before)
		}
		return e.rekey(r, before, after)
	case event.Truncate:
		if e.o.Truncate == TruncateMessage {
			e.truncate(r)
		}
		return nil
	}
	return fault.New(fault.FormatValue, "operation %s is none of this format", c.Op)
}

func (e *Encoder) delete(r record, before event.Row) error {
	if err := e.write(r, endDelete, before, event.Row{}, event.Row{}); err != nil {
		return err
	}
	if rec := r.o.Recs[len(r.o.Recs)-1]; e.o.Tombstones && !rec.Key.Empty() {
		r.o.Recs = append(r.o.Recs, format.Rec{Change: rec.Change, Table: rec.Table, Tombstone: true, Key: rec.Key})
	}
	return nil
}

// rekey appends what becomes of a change of the primary key: the row goes under its old key and comes under its new one.
func (e *Encoder) rekey(r record, before, after event.Row) error {
	first := len(r.o.Recs)
	if err := e.delete(r, before); err != nil {
		return err
	}
	if err := e.write(r, endInsert, after, before, event.Row{}); err != nil {
		return err
	}
	recs := r.o.Recs[first:]
	now := &recs[len(recs)-1]
	now.Peer = recs[0].Key
	for i := range recs[:len(recs)-1] {
		recs[i].Peer = now.Key
	}
	return nil
}

// about prepares what the changes of a transaction have in common.
func (e *Encoder) about(b *event.Batch, t *event.Txn) {
	id := identity{gtid: t.GTID, commit: t.Commit, received: b.Received, seq: b.Seq, known: true}
	if id == e.txn {
		return
	}
	e.txn = id
	e.head = jsonenc.AppendInt(e.head[:0], floorDiv(t.Commit, 1000))
	e.head = append(e.head, `,"gtid":"`...)
	if !t.GTID.IsZero() {
		e.head = t.GTID.Append(e.head)
	}
	e.head = jsonenc.AppendUint(append(e.head, `","id":`...), b.Seq)
	e.head = append(e.head, `,"isDdl":`...)
	at := b.Received
	if at == 0 { // from a source without a clock
		at = t.Commit
	}
	e.at = jsonenc.AppendInt(e.at[:0], floorDiv(at, 1000))
}

func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

// write appends one record: the row, filled up from fill, and what it was before.
func (e *Encoder) write(r record, end string, row, fill, old event.Row) error {
	rec := format.Rec{Change: int32(r.i), Table: r.b.Changes[r.i].Table}
	var err error
	if e.o.Keys && len(r.p.keys) > 0 {
		if rec.Key, err = e.key(r, row, fill); err != nil {
			return err
		}
	}
	dst := r.o.Buf
	rec.Value.Start = len(dst)
	dst = append(dst, `{"data":[`...)
	dst, odd, err := e.image(dst, r.p, &row, &fill)
	if err != nil {
		return err
	}
	dst = append(dst, ']')
	dst = append(dst, r.p.name...)
	dst = append(dst, e.head...)
	dst = append(dst, "false"...)
	dst = append(dst, r.p.types...)
	if old.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '[')
		if dst, err = e.changed(dst, r.p, &old, &row); err != nil {
			return err
		}
		dst = append(dst, ']')
	}
	dst = append(dst, r.p.names...)
	if odd {
		dst = sqlTypes(dst, r.p, row, fill)
	} else {
		dst = append(dst, r.p.sql...)
	}
	dst = append(dst, r.p.table...)
	dst = append(dst, e.at...)
	dst = append(dst, end...)
	rec.Value.End = len(dst)
	r.o.Buf = dst
	r.o.Recs = append(r.o.Recs, rec)
	return nil
}

// truncate appends the message of a TRUNCATE, with its statement where the batch has it.
func (e *Encoder) truncate(r record) {
	t := r.b.Tables[r.b.Changes[r.i].Table]
	sql := "TRUNCATE TABLE " + sqltext.Name(t.Database) + "." + sqltext.Name(t.Name)
	if r.b.DDL != nil {
		sql = r.b.DDL.Text
	}
	rec := format.Rec{Change: int32(r.i), Table: r.b.Changes[r.i].Table}
	rec.Value.Start = len(r.o.Buf)
	dst := append(r.o.Buf, `{"data":null`...)
	dst = append(append(dst, r.p.name...), e.head...)
	dst = append(dst, `true,"mysqlType":null,"old":null,"pkNames":null,"sql":`...)
	dst = append(jsonenc.AppendText(dst, sql), `,"sqlType":null`...)
	dst = append(append(append(dst, r.p.table...), e.at...), endTruncate...)
	rec.Value.End = len(dst)
	r.o.Buf = dst
	r.o.Recs = append(r.o.Recs, rec)
}

// image appends a row. What it leaves out comes from fill, as far as that holds it. odd says that sqlType is another one than the plan's.
func (e *Encoder) image(dst []byte, p *plan, row, fill *event.Row) (out []byte, odd bool, err error) {
	start := len(dst)
	for i, c := range row.Cells {
		from := row
		if c.Kind() == event.Absent && !fill.IsZero() {
			from, c = fill, fill.Cells[i]
		}
		if c.Kind() == event.Absent {
			continue
		}
		col := &p.columns[i]
		if p.odd && col.sqlType(c) != col.sql {
			odd = true
		}
		if dst, err = e.value(col.key.Append(dst), col, from, c); err != nil {
			return dst, odd, err
		}
	}
	return object(dst, start), odd, nil
}

// sqlTypes appends the types of a row of which one is not the plan's.
func sqlTypes(dst []byte, p *plan, row, fill event.Row) []byte {
	start := len(dst)
	for i, c := range row.Cells {
		if c.Kind() == event.Absent && !fill.IsZero() {
			c = fill.Cells[i]
		}
		col := &p.columns[i]
		dst = jsonenc.AppendInt(col.key.Append(dst), int64(col.sqlType(c)))
	}
	return object(dst, start)
}

// changed appends what an update changed, as it was before.
func (e *Encoder) changed(dst []byte, p *plan, before, after *event.Row) ([]byte, error) {
	start := len(dst)
	var err error
	for i, c := range before.Cells {
		a := after.Cells[i]
		if c.Kind() == event.Absent || a.Kind() == event.Absent || format.SameCell(*before, c, *after, a) {
			continue
		}
		col := &p.columns[i]
		if dst, err = e.value(col.key.Append(dst), col, before, c); err != nil {
			return dst, err
		}
	}
	return object(dst, start), nil
}

// object makes an object of the fields behind start, each of which begins with a comma.
func object(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

// key appends the key of a row.
func (e *Encoder) key(r record, row, fill event.Row) (format.Span, error) {
	dst := r.o.Buf
	span := format.Span{Start: len(dst)}
	var err error
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
		if dst, err = e.value(col.key.Append(dst), col, from, c); err != nil {
			return span, err
		}
	}
	dst = object(dst, span.Start)
	span.End = len(dst)
	r.o.Buf = dst
	return span, nil
}
