package plain

import (
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/gtid"
	"cdc/schemas"
)

// Options are the settings of the format.
type Options struct {
	// Keys asks for record keys and tombstones. It is the sink's to say: a file has no use for them.
	Keys bool `yaml:"-"`
	// Query adds the statement, where the source logs it (binlog_rows_query_log_events).
	Query bool `yaml:"query,omitempty"`
}

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	o     Options
	plans format.Cache[plan]

	marks []int // where the columns of the last image begin in the buffer, and where it ends

	// The part of a record that the changes of one transaction to one table have in common.
	txn  identity
	head []byte // `,"gtid":"...","row":`
	rest []byte // `,"server":...,"pos":`
	ts   []byte // `,"ts":"..."`
}

var _ format.Encoder = (*Encoder)(nil)

// New makes an encoder.
func New(o Options) *Encoder { return &Encoder{o: o} }

// identity names a transaction. Batches are reused, so it is compared by value.
type identity struct {
	gtid     gtid.GTID
	file     string
	off      uint64
	commit   int64
	serverID uint32
}

// column is what is known of a column before any row.
type column struct {
	key     jsonenc.Key
	members [][]byte
	def     *schemas.Column
	kind    event.Kind
	fsp     uint8
}

// plan is what is known of a table version before any row.
type plan struct {
	columns []column
	keys    []int
	ops     [event.Read + 1][]byte // `{"op":"insert","db":"shop","table":"orders"` of each operation
}

func (e *Encoder) planOf(t *schemas.Table) *plan {
	if p := e.plans.Get(t); p != nil {
		return p
	}
	p := &plan{columns: make([]column, len(t.Columns)), keys: format.KeyColumns(t)}
	size := 256
	for op := event.Insert; op <= event.Read; op++ {
		b := jsonenc.AppendText([]byte(`{"op":`), op.String())
		b = jsonenc.AppendText(append(b, `,"db":`...), t.Database)
		p.ops[op] = jsonenc.AppendText(append(b, `,"table":`...), t.Name)
		size += len(p.ops[op])
	}
	for i := range t.Columns {
		def := &t.Columns[i]
		c := column{def: def, kind: event.KindOf(def), fsp: min(def.Fsp, 6)}
		c.key = jsonenc.MakeKey(jsonenc.AppendText(nil, def.Name))
		for _, m := range def.Members {
			text := jsonenc.AppendText(nil, m)
			if def.Type == schemas.Set {
				text = text[1 : len(text)-1]
			}
			c.members = append(c.members, text)
			size += 24 + len(text)
		}
		p.columns[i] = c
		size += 160 + c.key.Len()
	}
	e.plans.Put(t, p, size)
	return p
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

func (e *Encoder) change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	if int(c.Op) >= len(plan{}.ops) || c.Op == 0 {
		return fault.New(fault.FormatValue, "operation %s is none of this format", c.Op)
	}
	p := e.planOf(b.Tables[c.Table])
	before, after := b.Before(i), b.After(i)
	rec := format.Rec{Change: int32(i), Table: c.Table}
	var err error
	if e.o.Keys && len(p.keys) > 0 && c.Op != event.Truncate {
		image := after
		if image.IsZero() {
			image = before
		}
		if c.Op == event.Update && rekeyed(p, before, after) {
			old := rec
			old.Tombstone = true
			if old.Key, err = appendKey(o, p, before, event.Row{}); err != nil {
				return err
			}
			if rec.Key, err = appendKey(o, p, after, before); err != nil {
				return err
			}
			old.Peer, rec.Peer = rec.Key, old.Key
			o.Recs = append(o.Recs, old)
		} else if rec.Key, err = appendKey(o, p, image, before); err != nil {
			return err
		}
	}
	rec.Value.Start = len(o.Buf)
	if o.Buf, err = e.appendValue(o.Buf, b, p, c, before, after); err != nil {
		return err
	}
	rec.Value.End = len(o.Buf)
	o.Recs = append(o.Recs, rec)
	if c.Op == event.Delete && !rec.Key.Empty() {
		o.Recs = append(o.Recs, format.Rec{Change: rec.Change, Table: rec.Table, Tombstone: true, Key: rec.Key})
	}
	return nil
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

func appendKey(o *format.Out, p *plan, row, fill event.Row) (format.Span, error) {
	span := format.Span{Start: len(o.Buf)}
	for _, k := range p.keys {
		col := &p.columns[k]
		from, c := row, row.Cells[k]
		if c.Kind() == event.Absent && !fill.IsZero() {
			from, c = fill, fill.Cells[k]
		}
		if c.Kind() == event.Absent {
			return span, fault.New(fault.FormatValue, "the row image does not hold column %s of the key", col.def.Name).
				Hint("SET GLOBAL binlog_row_image=FULL on the source")
		}
		o.Buf = col.key.Append(o.Buf)
		var err error
		if o.Buf, err = value(o.Buf, col, from, c); err != nil {
			return span, err
		}
	}
	o.Buf = object(o.Buf, span.Start)
	span.End = len(o.Buf)
	return span, nil
}

// object makes an object of the fields behind start, each of which begins with a comma.
func object(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

func (e *Encoder) appendValue(dst []byte, b *event.Batch, p *plan, c *event.Change, before, after event.Row) ([]byte, error) {
	g := &b.Groups[c.Group]
	e.about(&b.Txns[g.Txn])
	dst = append(dst, p.ops[c.Op]...)
	dst = append(dst, e.head...)
	dst = jsonenc.AppendUint(dst, uint64(c.Row))
	dst = append(dst, `,"sub":`...)
	dst = jsonenc.AppendUint(dst, uint64(c.Sub))
	dst = append(dst, e.rest...)
	dst = append(dst, `,"pos":`...)
	dst = jsonenc.AppendUint(dst, g.Off)
	dst = append(dst, e.ts...)
	var err error
	if !before.IsZero() {
		dst = append(dst, `,"before":`...)
		if dst, _, err = e.image(dst, p, before); err != nil {
			return dst, err
		}
	}
	partial := false
	if !after.IsZero() {
		dst = append(dst, `,"after":`...)
		if before.IsZero() {
			dst, partial, err = e.image(dst, p, after)
		} else {
			dst, partial, err = e.update(dst, p, before, after)
		}
		if err != nil {
			return dst, err
		}
	}
	if partial {
		dst = append(dst, `,"partial":`...)
		if dst, err = partials(dst, p, after); err != nil {
			return dst, err
		}
	}
	if e.o.Query && g.Query.Len > 0 {
		dst = text(append(dst, `,"query":`...), b.Text(g.Query), 0)
	}
	return append(dst, '}'), nil
}

// about prepares what the changes of a transaction have in common.
func (e *Encoder) about(t *event.Txn) {
	id := identity{gtid: t.GTID, file: t.File, off: t.Off, commit: t.Commit, serverID: t.ServerID}
	if id == e.txn && e.head != nil {
		return
	}
	e.txn = id
	e.head = appendGTID(e.head[:0], t.GTID)
	e.rest = appendPlace(e.rest[:0], t)
	e.head = append(e.head, `,"row":`...)
	e.ts = appendTime(e.ts[:0], t.Commit)
}

func appendGTID(dst []byte, g gtid.GTID) []byte {
	if g.IsZero() {
		return dst
	}
	return append(g.Append(append(dst, `,"gtid":"`...)), '"')
}

func appendPlace(dst []byte, t *event.Txn) []byte {
	dst = jsonenc.AppendUint(append(dst, `,"server":`...), uint64(t.ServerID))
	dst = jsonenc.AppendText(append(dst, `,"file":`...), t.File)
	return jsonenc.AppendUint(append(dst, `,"txn":`...), t.Off)
}

func appendTime(dst []byte, micros int64) []byte {
	return append(jsonenc.AppendTimestamp(append(dst, `,"ts":"`...), micros, 'T', 6), 'Z', '"')
}

// DDL appends the record of a statement. One that touched only temporary tables has none: nothing that is captured changed.
func (e *Encoder) DDL(o *format.Out, b *event.Batch) error {
	d := b.DDL
	if d == nil || d.Temporary {
		return nil
	}
	rec := format.Rec{Role: format.SchemaChange, Change: -1, Value: format.Span{Start: len(o.Buf)}}
	dst := append(o.Buf, `{"op":"ddl"`...)
	if d.Database != "" {
		dst = jsonenc.AppendText(append(dst, `,"db":`...), d.Database)
	}
	if len(b.Txns) > 0 {
		t := &b.Txns[0]
		dst = appendGTID(dst, t.GTID)
		dst = appendPlace(dst, t)
		dst = appendTime(dst, t.Commit)
	}
	dst = text(append(dst, `,"ddl":`...), []byte(d.Text), 0)
	dst = append(dst, `,"tables":[`...)
	for i, n := range d.Names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonenc.AppendText(append(dst, `{"db":`...), n.Database)
		if n.Table != "" {
			dst = jsonenc.AppendText(append(dst, `,"table":`...), n.Table)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"session":`...)
	dst = append(session(dst, &d.Statement), '}')
	rec.Value.End = len(dst)
	o.Buf = dst
	o.Recs = append(o.Recs, rec)
	return nil
}

// session appends what the meaning of a statement depends on; what the event did not say is left out.
func session(dst []byte, s *schemas.Statement) []byte {
	start := len(dst)
	dst = jsonenc.AppendUint(append(dst, `,"sql_mode":`...), s.SQLMode)
	for _, c := range [...]struct {
		name string
		id   uint16
	}{
		{`,"client":`, s.ClientCollation},
		{`,"connection":`, s.ConnectionCollation},
		{`,"server":`, s.ServerCollation},
		{`,"database":`, s.DatabaseCollation},
		{`,"utf8mb4":`, s.DefaultUTF8MB4},
		{`,"explicit_timestamp":`, uint16(s.ExplicitTimestamp)},
	} {
		if c.id != 0 {
			dst = jsonenc.AppendUint(append(dst, c.name...), uint64(c.id))
		}
	}
	if s.TimeZone != "" {
		dst = jsonenc.AppendText(append(dst, `,"time_zone":`...), s.TimeZone)
	}
	return object(dst, start)
}
