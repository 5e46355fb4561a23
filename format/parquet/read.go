package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"cdc/event"
	"cdc/fault"
	"cdc/format/rows"
	"cdc/schemas"
)

// Reader reads a file that was written here: one of changes, or one of rows alone (Writer). A value is the bytes that stand for it in the file: numbers, dates and
// times are little-endian in the width of their physical type, a BOOLEAN is a byte, everything else is as it is. It is not safe for concurrent use.
type Reader struct {
	table  *schemas.Table
	file   *parquet.File
	groups []parquet.RowGroup
	rows   parquet.Rows // of the row group at hand
	buf    []parquet.Row
	next   int
	have   int
	op     int // column of the operation; -1 in a file of rows alone
	values int // in each row
	row    [][]byte
	arena  []byte
}

// NewReader reads the end of a file of so many bytes. A file that does not hold the definition of its table is a fault.MaterializeFormat: older versions wrote such.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read the end of the file: %w", err)
	}
	text, ok := f.Lookup(definition)
	if !ok {
		return nil, fault.New(fault.MaterializeFormat, "the file does not hold the definition of its table")
	}
	p := &Reader{table: &schemas.Table{}, file: f, groups: f.RowGroups(), op: -1}
	if err := json.Unmarshal([]byte(text), p.table); err != nil {
		return nil, fmt.Errorf("read the definition of the table: %w", err)
	}
	columns, want := f.Root().Columns(), len(p.table.Columns)
	meta := rows.Meta()
	switch len(columns) {
	case want:
	case want + len(meta):
		p.op = want
	default:
		return nil, fmt.Errorf("the file has %d columns, and its table %d", len(columns), want)
	}
	for i, c := range columns {
		var name string
		if i < want {
			name = rows.Name(p.table.Columns[i].Name)
		} else {
			name = meta[i-want]
		}
		if c.Name() != name || !c.Leaf() {
			return nil, fmt.Errorf("column %d of the file is %s, and of the table %s", i, c.Name(), name)
		}
	}
	p.buf = make([]parquet.Row, chunk/8)
	p.row, p.values = make([][]byte, want), len(columns)
	return p, nil
}

// Table is the table's definition, as of the rows in the file.
func (r *Reader) Table() *schemas.Table { return r.table }

// Rows is how many rows the file has.
func (r *Reader) Rows() int64 { return r.file.NumRows() }

// Next gives the next row and what happened to it, event.Read in a file of rows alone; at the end io.EOF. NULL is nil. The row is valid until the next call.
func (r *Reader) Next() (event.Op, [][]byte, error) {
	for r.next == r.have {
		if err := r.fill(); err != nil {
			return 0, nil, err
		}
	}
	from := r.buf[r.next]
	r.next++
	if len(from) != r.values {
		return 0, nil, fmt.Errorf("a row has %d values, and not %d", len(from), r.values)
	}
	r.arena = r.arena[:0]
	size := 0
	for i := range r.row {
		size += 16
		if k := from[i].Kind(); k == parquet.ByteArray || k == parquet.FixedLenByteArray {
			size += len(from[i].ByteArray())
		}
	}
	if cap(r.arena) < size { // so that no value is moved by one behind it
		r.arena = make([]byte, 0, 2*size)
	}
	for i := range r.row {
		if from[i].IsNull() {
			r.row[i] = nil
			continue
		}
		at := len(r.arena)
		r.arena = from[i].AppendBytes(r.arena)
		r.row[i] = r.arena[at:len(r.arena):len(r.arena)]
	}
	if r.op < 0 {
		return event.Read, r.row, nil
	}
	name := string(from[r.op].ByteArray())
	for op := event.Insert; op <= event.Read; op++ {
		if op.String() == name {
			return op, r.row, nil
		}
	}
	return 0, nil, fmt.Errorf("a row has the operation %q", name)
}

// fill reads the next rows.
func (r *Reader) fill() error {
	for {
		if r.rows == nil {
			if len(r.groups) == 0 {
				return io.EOF
			}
			r.rows = r.groups[0].Rows()
			r.groups = r.groups[1:]
		}
		n, err := r.rows.ReadRows(r.buf)
		r.next, r.have = 0, n
		if errors.Is(err, io.EOF) {
			err = r.rows.Close()
			r.rows = nil
		}
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
}

// Close ends reading. What the file is read from is the caller's to close.
func (r *Reader) Close() error {
	if r.rows == nil {
		return nil
	}
	err := r.rows.Close()
	r.rows = nil
	return err
}

// Writer writes a file of rows of a table alone, without what happened to them. It is not safe for concurrent use.
type Writer struct {
	p   *packer
	rec []byte
}

// NewWriter begins a file; its errors are also those of Options.Validate.
func NewWriter(o Options, w io.Writer, t *schemas.Table) (*Writer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.RowGroup == 0 {
		o.RowGroup = defaultRowGroup
	}
	p, err := o.packer(w, t, false, &parquet.Zstd)
	return &Writer{p: p}, err
}

// Add writes a row, of values as Reader gives them.
func (w *Writer) Add(row [][]byte) error {
	rec := w.rec[:0]
	if len(row) != len(w.p.leaves) {
		return fault.New(fault.PipelineInternal, "a row has %d values, and its table %d columns", len(row), len(w.p.leaves))
	}
	for i, v := range row {
		switch {
		case v == nil:
			rec = append(rec, null)
		case w.p.leaves[i].phys == byteArray:
			rec = appendBytes(append(rec, value), v)
		default:
			rec = append(append(rec, value), v...)
		}
	}
	w.rec = rec
	return w.p.Add(rec)
}

// Close writes the end of the file.
func (w *Writer) Close() error { return w.p.Close() }
