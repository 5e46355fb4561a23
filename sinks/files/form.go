package files

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// form is of what kind the files of a table are: lines, a format's head and its records, or what it packs.
type form struct {
	format.File
	extension string
}

// lines is the form of JSON: a record to a line.
var lines = &form{extension: Extension}

// extensions are those of all the files that the sink may publish.
func extensions() []string { return []string{Extension, ".csv", ".avro", ".parquet"} }

// formOf is the form of a table version's files.
func formOf(c format.Container, t *schemas.Table) *form {
	if c == nil {
		return lines
	}
	return &form{File: c.File(t), extension: c.Extension()}
}

// record appends a record in the way of its form. Records that are to be packed stand with their length before them: so the end of the last complete transaction
// is a place in the file like any other, and what is behind it is moved by copying bytes.
func (w *temps) record(ctx context.Context, t *temp, rec []byte) error {
	switch {
	case t.form == lines:
		if n := len(t.buf); n+len(rec) < cap(t.buf) {
			t.buf = append(append(t.buf, rec...), '\n')
			return nil
		}
		if err := w.put(ctx, t, rec); err != nil {
			return err
		}
		return w.put(ctx, t, []byte{'\n'})
	case t.form.Pack != nil:
		var head [binary.MaxVarintLen64]byte
		if err := w.put(ctx, t, head[:binary.PutUvarint(head[:], uint64(len(rec)))]); err != nil {
			return err
		}
	}
	return w.put(ctx, t, rec)
}

// pack makes the file that is published of a temp's records, in a temp of its own. The records are compared with what was written of them: a file that is damaged
// between the two would be damaged for good.
func (w *temps) pack(ctx context.Context, t *temp) (_ *temp, err error) {
	if t.file != nil {
		if err := w.shut(t); err != nil {
			return nil, err
		}
	}
	if t.of.cur == t {
		t.of.cur = nil
	}
	p := &temp{of: t.of, name: w.name(), schema: t.schema, form: t.form, rows: t.rows, first: t.first, last: t.last, from: t.from, txn: t.txn}
	r, err := w.store.Open(ctx, t.name)
	if err != nil {
		return nil, classify("read", t.name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	k, err := t.form.Pack(writing(func(b []byte) error {
		if err := w.use(ctx, p); err != nil { // other temps may have closed it
			return err
		}
		return w.put(ctx, p, b)
	}))
	if err != nil {
		return nil, packed(p, err)
	}
	sum := &summed{r: r}
	in := &records{r: bufio.NewReaderSize(sum, w.opt.Buffer), of: t}
	used := int64(0)
	charge := func(n int64) { w.charge(n - used); used = n }
	defer charge(0)
	for n := range t.rows {
		rec, err := in.next()
		if err != nil {
			return nil, err
		}
		if err := k.Add(rec); err != nil {
			return nil, packed(p, err)
		}
		if n%packLook == 0 {
			charge(k.Memory() + int64(w.opt.Buffer+cap(in.rec)))
		}
	}
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) || sum.n != t.size || sum.crc != t.crc {
		return nil, fault.New(fault.SinkConflict, "%s is not as it was written: somebody else writes to it, or the disk fails", t.name)
	}
	if err := k.Close(); err != nil {
		return nil, packed(p, err)
	}
	w.spent = append(w.spent, t.name)
	return p, w.flush(ctx, p)
}

// packLook is after how many records the memory of a Packer is asked for.
const packLook = 256

func packed(p *temp, err error) error {
	if f, ok := fault.As(err); ok {
		return f.At(fault.Where{Table: p.of.name.String()})
	}
	return fault.New(fault.SinkWrite, "make %s: %w", p.name, err)
}

// writing is a function as an io.Writer.
type writing func([]byte) error

func (f writing) Write(b []byte) (int, error) {
	if err := f(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// summed counts what is read, and its checksum.
type summed struct {
	r   io.Reader
	n   int64
	crc uint32
}

func (s *summed) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	s.crc = crc32.Update(s.crc, castagnoli, b[:n])
	return n, err
}

// records reads a temp of records with their lengths.
type records struct {
	r   *bufio.Reader
	of  *temp
	rec []byte
}

// next gives the next record, which is valid until the one after it.
func (r *records) next() ([]byte, error) {
	size, err := binary.ReadUvarint(r.r)
	if err == nil && size > min(uint64(r.of.size), math.MaxInt32) {
		err = fmt.Errorf("a record of %d bytes", size)
	}
	if err == nil {
		r.rec = slices.Grow(r.rec[:0], int(size))[:size]
		_, err = io.ReadFull(r.r, r.rec)
	}
	if err != nil {
		return nil, fault.New(fault.SinkConflict, "%s is not as it was written: %w", r.of.name, err)
	}
	return r.rec, nil
}
