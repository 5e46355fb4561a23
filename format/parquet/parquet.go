package parquet

import (
	"encoding/binary"

	"github.com/parquet-go/parquet-go/compress/zstd"

	"cdc/event"
	"cdc/format"
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
	zstd    *zstd.Codec // of all files
	scratch []byte

	// The part of a record that the changes of one transaction have in common.
	txn  identity
	head []byte // __gtid
	rest []byte // __commit, __server_id, __file
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

type plan struct {
	columns []column
	keys    []int
}

// New makes an encoder; its errors are those of Options.Validate.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.RowGroup == 0 {
		o.RowGroup = defaultRowGroup
	}
	// Of pages as of these the fastest level makes no larger ones than the default.
	return &Encoder{o: o, ddl: plain.New(plain.Options{}), zstd: &zstd.Codec{Level: zstd.SpeedFastest}}, nil
}

// Extension is that of the files.
func (e *Encoder) Extension() string { return ".parquet" }

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
	p := &plan{columns: columnsOf(t), keys: format.KeyColumns(t)}
	e.plans.Put(t, p, 256+64*len(p.columns))
	return p
}

// Whether there is a value.
const (
	null  = 0
	value = 1
)

func (e *Encoder) record(dst []byte, b *event.Batch, p *plan, c *event.Change, r *rows.Record) ([]byte, error) {
	for i := range p.columns {
		col := &p.columns[i]
		if r.Empty() {
			dst = append(dst, null)
			continue
		}
		row, cell, err := r.Cell(col.def, i)
		if err != nil {
			return dst, err
		}
		if cell.Kind() == event.Null {
			dst = append(dst, null)
			continue
		}
		if dst, err = e.value(dst, col, row, cell); err != nil {
			return dst, err
		}
	}
	g := &b.Groups[c.Group]
	e.about(&b.Txns[g.Txn])
	dst = appendBytes(append(dst, value), r.Op.String())
	dst = append(dst, e.head...)
	dst = append64(append(dst, value), int64(c.Row))
	dst = append32(append(dst, value), int32(c.Sub))
	dst = append(dst, e.rest...)
	return append64(append(dst, value), int64(g.Off)), nil
}

// about prepares what the changes of a transaction have in common.
func (e *Encoder) about(t *event.Txn) {
	id := identity{gtid: t.GTID, file: t.File, off: t.Off, commit: rows.Commit(t), serverID: t.ServerID}
	if id == e.txn && len(e.head) > 0 {
		return
	}
	e.txn = id
	if t.GTID.IsZero() {
		e.head = append(e.head[:0], null)
	} else {
		e.scratch = t.GTID.Append(e.scratch[:0])
		e.head = appendBytes(append(e.head[:0], value), e.scratch)
	}
	e.rest = append64(append(e.rest[:0], value), id.commit)
	e.rest = append64(append(e.rest, value), int64(t.ServerID))
	e.rest = appendBytes(append(e.rest, value), t.File)
}

func append32(dst []byte, v int32) []byte { return binary.LittleEndian.AppendUint32(dst, uint32(v)) }

func append64(dst []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(dst, uint64(v)) }

func appendBytes[B ~[]byte | ~string](dst []byte, b B) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
