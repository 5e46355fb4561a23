package maxwell

import (
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/gtid"
)

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	o      Options
	nulls  bool
	commit bool
	plans  format.Cache[plan]

	// The parts of a message that the changes of one transaction have in common.
	txn  identity
	head []byte // `1704164645,"xid":4711`
	file []byte // `,"position":"binlog.000007:`
	rest []byte // `,"gtid":"...","server_id":1,"thread_id":2`
}

var (
	_ format.Encoder = (*Encoder)(nil)
	_ format.Heart   = (*Encoder)(nil)
)

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	return &Encoder{o: o, nulls: *o.Nulls, commit: *o.CommitInfo}, nil
}

// identity names a transaction, and all that its messages have in common. Batches are reused, so it is compared by value.
type identity struct {
	gtid     gtid.GTID
	file     string
	off      uint64
	xid      uint64
	commit   int64
	serverID uint32
	thread   uint32
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
	o    *format.Out
	b    *event.Batch
	p    *plan
	i    int
	last bool // the last change of its transaction
}

func (e *Encoder) change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	t := b.Txn(c)
	r := record{o: o, b: b, p: e.planOf(b.Tables[c.Table]), i: i, last: t.End && int32(i) == t.Last-1}
	e.about(t)
	before, after := b.Before(i), b.After(i)
	switch c.Op {
	case event.Insert:
		return e.write(r, typeInsert, after, event.Row{}, after, event.Row{})
	case event.Read:
		return e.write(r, typeRead, after, event.Row{}, after, event.Row{})
	case event.Delete:
		return e.delete(r, before)
	case event.Update:
		if !e.o.Keys || e.o.PKChange == PKUpdate || !format.Rekeyed(before, after, r.p.keys) {
			return e.write(r, typeUpdate, after, before, after, before)
		}
		if err := e.rekey(r, before, after); err != nil {
			return err
		}
		return nil
	case event.Truncate:
		if e.o.Truncate == TruncateSkip {
			return nil
		}
		return e.write(r, typeTruncate, event.Row{}, event.Row{}, event.Row{}, event.Row{})
	}
	return fault.New(fault.FormatValue, "operation %s is none of this format", c.Op)
}

func (e *Encoder) delete(r record, before event.Row) error {
	if err := e.write(r, typeDelete, before, event.Row{}, before, event.Row{}); err != nil {
		return err
	}
	if rec := r.o.Recs[len(r.o.Recs)-1]; e.o.Tombstones && !rec.Key.Empty() {
		r.o.Recs = append(r.o.Recs, format.Rec{Change: rec.Change, Table: rec.Table, Tombstone: true, Key: rec.Key})
	}
	return nil
}

// rekey appends what becomes of a change of the primary key: the row goes under its old key and comes under its new one.
func (e *Encoder) rekey(r record, before, after event.Row) error {
	first, last := len(r.o.Recs), r.last
	r.last = false
	if err := e.delete(r, before); err != nil {
		return err
	}
	r.last = last
	if err := e.write(r, typeInsert, after, before, after, event.Row{}); err != nil {
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
func (e *Encoder) about(t *event.Txn) {
	id := identity{
		gtid: t.GTID, file: t.File, off: t.Off, xid: t.XID, commit: t.Commit, serverID: t.ServerID, thread: t.Thread, known: true,
	}
	if id == e.txn {
		return
	}
	e.txn = id
	e.head = jsonenc.AppendInt(e.head[:0], floorDiv(t.Commit, 1e6))
	if e.commit {
		if e.o.XID == XIDGTID {
			id.xid = t.GTID.Seq
		}
		if id.xid != 0 {
			e.head = jsonenc.AppendUint(append(e.head, `,"xid":`...), id.xid)
		}
	}
	e.file = jsonenc.AppendSurrogateText(append(e.file[:0], `,"position":`...), t.File)
	e.file[len(e.file)-1] = ':'
	e.rest = e.rest[:0]
	if e.o.GTID {
		e.rest = appendGTID(e.rest, t.GTID)
	}
	if e.o.ServerID {
		e.rest = jsonenc.AppendUint(append(e.rest, `,"server_id":`...), uint64(t.ServerID))
	}
	if e.o.ThreadID && t.Thread != 0 {
		e.rest = jsonenc.AppendUint(append(e.rest, `,"thread_id":`...), uint64(t.Thread))
	}
}

func appendGTID(dst []byte, g gtid.GTID) []byte {
	dst = append(dst, `,"gtid":`...)
	if g.IsZero() {
		return append(dst, "null"...)
	}
	return append(g.Append(append(dst, '"')), '"')
}

func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

// write appends one record: the row, filled up from fill, and what it was before. Its key is that of the image key, filled up from fill.
func (e *Encoder) write(r record, typ int, row, fill, key, old event.Row) error {
	c := &r.b.Changes[r.i]
	rec := format.Rec{Change: int32(r.i), Table: c.Table}
	var err error
	if e.o.Keys && !key.IsZero() && len(r.p.keys) > 0 {
		if rec.Key, err = e.key(r, key, fill); err != nil {
			return err
		}
	}
	g := &r.b.Groups[c.Group]
	dst := r.o.Buf
	rec.Value.Start = len(dst)
	if e.o.Query && g.Query.Len > 0 {
		dst = append(dst, r.p.name...)
		dst = append(dst, `,"query":`...)
		if out, ok := jsonenc.AppendSurrogates(dst, r.b.Text(g.Query)); ok {
			dst = out
		} else { // a literal in another character set: the statement is for the eye only
			dst = jsonenc.AppendSurrogateText(dst, string(r.b.Text(g.Query)))
		}
		dst = append(dst, r.p.types[typ]...)
	} else {
		dst = append(dst, r.p.heads[typ]...)
	}
	dst = append(dst, e.head...)
	if e.commit && typ != typeRead {
		if r.last {
			dst = append(dst, `,"commit":true`...)
		} else if e.o.XOffset {
			dst = jsonenc.AppendUint(append(dst, `,"xoffset":`...), uint64(c.Row))
		}
	}
	if e.o.Position {
		dst = append(dst, e.file...)
		dst = append(jsonenc.AppendUint(dst, g.Off), '"')
	}
	dst = append(dst, e.rest...)
	if e.o.PrimaryKeys && !row.IsZero() {
		if dst, err = e.primary(dst, r.p, row, fill); err != nil {
			return err
		}
	}
	if e.o.PrimaryNames {
		dst = append(dst, r.p.names...)
	}
	if !row.IsZero() {
		dst = append(dst, `,"data":`...)
		if dst, err = e.image(dst, r.p, &row, &fill); err != nil {
			return err
		}
	}
	if !old.IsZero() {
		if dst, err = e.changed(dst, r.p, &old, &row); err != nil {
			return err
		}
	}
	dst = append(dst, '}')
	rec.Value.End = len(dst)
	r.o.Buf = dst
	r.o.Recs = append(r.o.Recs, rec)
	return nil
}

// image appends a row. What it leaves out comes from fill, as far as that holds it.
func (e *Encoder) image(dst []byte, p *plan, row, fill *event.Row) ([]byte, error) {
	start := len(dst)
	var err error
	cells, nulls := row.Cells, e.nulls
	columns := p.columns[:len(cells)]
	for i := range cells {
		from, c := row, cells[i]
		if c.Kind() == event.Absent {
			if fill.IsZero() {
				continue
			}
			from, c = fill, fill.Cells[i]
			if c.Kind() == event.Absent {
				continue
			}
		}
		col := &columns[i]
		if !nulls && e.null(col, c) {
			continue
		}
		if dst, err = e.value(col.key.Append(dst), col, from, c); err != nil {
			return dst, err
		}
	}
	return object(dst, start), nil
}

// null reports a value that is written as null.
func (e *Encoder) null(col *column, c event.Cell) bool {
	return c.Kind() == event.Null || e.o.NullZero && zeroDate(col, c)
}

// changed appends what an update changed, as it was before, and nothing where that is nothing.
func (e *Encoder) changed(dst []byte, p *plan, before, after *event.Row) ([]byte, error) {
	start := len(dst)
	const name = `,"old":`
	dst = append(dst, name...)
	first := len(dst)
	differs := false
	var err error
	cells := before.Cells
	others := after.Cells[:len(cells)]
	for i := range cells {
		c, a := cells[i], others[i]
		if c.Kind() == event.Absent || a.Kind() == event.Absent || format.SameCell(*before, c, *after, a) {
			continue
		}
		differs = true
		col := &p.columns[i]
		if !e.nulls && e.null(col, c) {
			continue
		}
		if dst, err = e.value(col.key.Append(dst), col, before, c); err != nil {
			return dst, err
		}
	}
	if !differs {
		return dst[:start], nil
	}
	return object(dst, first), nil
}

// object makes an object of the fields behind start, each of which begins with a comma.
func object(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

// primary appends the values of the primary key.
func (e *Encoder) primary(dst []byte, p *plan, row, fill event.Row) ([]byte, error) {
	dst = append(dst, `,"primary_key":[`...)
	for i, k := range p.primary {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = e.keyValue(dst, &p.columns[k], k, row, fill); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// key appends the key of a row.
func (e *Encoder) key(r record, row, fill event.Row) (format.Span, error) {
	dst := r.o.Buf
	span := format.Span{Start: len(dst)}
	dst = append(dst, r.p.key...)
	array := e.o.KeyFormat == KeyArray
	var err error
	for i, k := range r.p.keys {
		col := &r.p.columns[k]
		if array && i > 0 {
			dst = append(dst, ',')
		}
		at := len(dst)
		if dst, err = e.keyValue(col.pk.Append(dst), col, k, row, fill); err != nil {
			return span, err
		}
		if array {
			dst = object(dst, at)
		}
	}
	if array {
		dst = append(dst, ']', ']')
	} else {
		dst = append(dst, '}')
	}
	span.End = len(dst)
	r.o.Buf = dst
	return span, nil
}

func (e *Encoder) keyValue(dst []byte, col *column, k int, row, fill event.Row) ([]byte, error) {
	c := row.Cells[k]
	if c.Kind() == event.Absent && !fill.IsZero() {
		row, c = fill, fill.Cells[k]
	}
	if c.Kind() == event.Absent {
		return dst, fault.New(fault.FormatValue, "the row image does not hold column %s of the key", col.def.Name).
			Hint("SET GLOBAL binlog_row_image=FULL on the source")
	}
	return e.value(dst, col, &row, c)
}

// Heartbeat appends what Maxwell's own heartbeat looks like in the binlog, an update of maxwell.heartbeats, where it is asked for.
func (e *Encoder) Heartbeat(o *format.Out, _ event.Position, now int64) error {
	if !e.o.Heartbeats {
		return nil
	}
	rec := format.Rec{Role: format.Heartbeat, Change: -1, Value: format.Span{Start: len(o.Buf)}}
	o.Buf = append(o.Buf, `{"database":"maxwell","table":"heartbeats","type":"update","ts":`...)
	o.Buf = jsonenc.AppendInt(o.Buf, floorDiv(now, 1e6))
	o.Buf = append(o.Buf, `,"data":{"client_id":"cdc","heartbeat":`...)
	o.Buf = append(jsonenc.AppendInt(o.Buf, floorDiv(now, 1000)), "}}"...)
	rec.Value.End = len(o.Buf)
	o.Recs = append(o.Recs, rec)
	return nil
}
