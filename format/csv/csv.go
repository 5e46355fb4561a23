package csv

import (
	"cdc/event"
	"cdc/format"
	"cdc/format/jsonenc"
	"cdc/format/plain"
	"cdc/format/rows"
	"cdc/gtid"
	"cdc/schemas"
)

// Encoder writes one stream of changes. It is not safe for concurrent use.
type Encoder struct {
	o       Options
	plans   format.Cache[plan]
	ddl     *plain.Encoder
	end     string
	comma   byte
	hex     bool
	special [256]bool // characters that put a value into quotes
	scratch []byte

	// The part of a record that the changes of one transaction have in common.
	txn  identity
	head []byte // `,GTID,`
	rest []byte // `,COMMIT,SERVER,FILE,`
}

var (
	_ format.Encoder   = (*Encoder)(nil)
	_ format.Container = (*Encoder)(nil)
)

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
	def  *schemas.Column
	kind event.Kind
	fsp  int
}

type plan struct {
	columns []column
	keys    []int
}

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	e := &Encoder{o: o, ddl: plain.New(plain.Options{}), end: "\r\n", comma: o.Delimiter[0], hex: o.Binary == BinaryHex}
	if o.LineEnd == LineEndLF {
		e.end = "\n"
	}
	for _, c := range []byte("\"\r\n" + o.Delimiter) {
		e.special[c] = true
	}
	return e, nil
}

// Extension is that of the files.
func (e *Encoder) Extension() string { return ".csv" }

// File gives the line of names.
func (e *Encoder) File(t *schemas.Table) format.File {
	var head []byte
	for i := range t.Columns {
		head = append(e.text(head, []byte(rows.Name(t.Columns[i].Name))), e.comma)
	}
	for i, name := range rows.Meta() {
		if i > 0 {
			head = append(head, e.comma)
		}
		head = append(head, name...)
	}
	return format.File{Head: append(head, e.end...)}
}

// DDL appends the record of a statement: JSON, as of the format plain.
func (e *Encoder) DDL(o *format.Out, b *event.Batch) error { return e.ddl.DDL(o, b) }

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
	p := e.planOf(b.Tables[c.Table])
	recs, n, err := rows.Of(b, i, p.keys)
	if err != nil {
		return err
	}
	for k := range n {
		start := len(o.Buf)
		if o.Buf, err = e.record(o.Buf, b, p, c, &recs[k]); err != nil {
			return err
		}
		o.Recs = append(o.Recs, format.Rec{Change: int32(i), Table: c.Table, Value: format.Span{Start: start, End: len(o.Buf)}})
	}
	return nil
}

func (e *Encoder) planOf(t *schemas.Table) *plan {
	if p := e.plans.Get(t); p != nil {
		return p
	}
	p := &plan{columns: make([]column, len(t.Columns)), keys: format.KeyColumns(t)}
	for i := range t.Columns {
		def := &t.Columns[i]
		p.columns[i] = column{def: def, kind: event.KindOf(def), fsp: int(min(def.Fsp, 6))}
	}
	e.plans.Put(t, p, 256+32*len(p.columns))
	return p
}

func (e *Encoder) record(dst []byte, b *event.Batch, p *plan, c *event.Change, r *rows.Record) ([]byte, error) {
	for i := range p.columns {
		col := &p.columns[i]
		if r.Empty() {
			dst = append(append(dst, e.o.Null...), e.comma)
			continue
		}
		row, cell, err := r.Cell(col.def, i)
		if err == nil {
			dst, err = e.value(dst, col, row, cell)
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, e.comma)
	}
	g := &b.Groups[c.Group]
	e.about(&b.Txns[g.Txn])
	dst = append(dst, r.Op.String()...)
	dst = append(dst, e.head...)
	dst = jsonenc.AppendUint(dst, uint64(c.Row))
	dst = append(dst, e.comma)
	dst = jsonenc.AppendUint(dst, uint64(c.Sub))
	dst = append(dst, e.rest...)
	dst = jsonenc.AppendUint(dst, g.Off)
	return append(dst, e.end...), nil
}

// about prepares what the changes of a transaction have in common.
func (e *Encoder) about(t *event.Txn) {
	id := identity{gtid: t.GTID, file: t.File, off: t.Off, commit: rows.Commit(t), serverID: t.ServerID}
	if id == e.txn && len(e.head) > 0 {
		return
	}
	e.txn = id
	e.head = append(e.head[:0], e.comma)
	if t.GTID.IsZero() {
		e.head = append(e.head, e.o.Null...)
	} else {
		e.scratch = t.GTID.Append(e.scratch[:0])
		e.head = e.text(e.head, e.scratch)
	}
	e.head = append(e.head, e.comma)
	e.rest = append(e.rest[:0], e.comma)
	e.rest = append(jsonenc.AppendTimestamp(e.rest, id.commit, 'T', 6), 'Z', e.comma)
	e.rest = append(jsonenc.AppendUint(e.rest, uint64(t.ServerID)), e.comma)
	e.rest = append(e.text(e.rest, []byte(t.File)), e.comma)
}
