package parquet

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"cdc/format"
)

// Join makes one file of several. Rows are read as the physical values of their columns and written as such, in row groups of the default size, with the schema, the
// codec and the metadata of the first file, which all others must have.
func Join(w io.Writer) (format.Joiner, error) { return &joiner{w: w}, nil }

// joiner writes one file.
type joiner struct {
	w     io.Writer
	first *parquet.File // whose schema is that of all
	out   *parquet.GenericWriter[any]
	group int64 // bytes of rows in the row group
	size  int64 // row groups are no longer than that; 0 is the default
	buf   []parquet.Row
}

// Memory is about what the row group and its pages hold.
func (j *joiner) Memory() int64 {
	if j.out == nil {
		return 0
	}
	return j.group + int64(len(j.first.Root().Columns()))*(chunk*24+2*pageSize)
}

// Close writes the last row group and the footer.
func (j *joiner) Close() error {
	if j.out == nil {
		return nil
	}
	if err := j.out.Close(); err != nil {
		return fmt.Errorf("write the end of the file: %w", err)
	}
	return nil
}

// Add takes the rows of a file.
func (j *joiner) Add(file *io.SectionReader) (rows int64, err error) {
	f, err := parquet.OpenFile(file, file.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	if j.out == nil {
		if err := j.begin(f); err != nil {
			return 0, err
		}
	} else if a, b := f.Metadata(), j.first.Metadata(); !reflect.DeepEqual(a.Schema, b.Schema) || !reflect.DeepEqual(a.KeyValueMetadata, b.KeyValueMetadata) || codecOf(f) != codecOf(j.first) {
		return 0, format.ErrUnlike
	}
	for _, g := range f.RowGroups() {
		n, err := j.rows(g)
		if err != nil {
			return 0, err
		}
		rows += n
	}
	if rows != f.NumRows() {
		return 0, fmt.Errorf("it has %d rows and says that it has %d", rows, f.NumRows())
	}
	return rows, nil
}

// codecOf gives the name of the compression of a file's first column.
func codecOf(f *parquet.File) string { return f.Root().Columns()[0].Compression().String() }

// begin opens the new file.
func (j *joiner) begin(f *parquet.File) error {
	columns := f.Root().Columns()
	if len(columns) == 0 {
		return errors.New("it has no columns")
	}
	g := &group{Group: parquet.Group{}}
	for i, c := range columns {
		if !c.Leaf() || c.Repeated() {
			return fmt.Errorf("column %s is none of this format", c.Name())
		}
		typ := c.Type()
		if !f.Metadata().Schema[i+1].ConvertedType.Valid { // a number of which no more is said than how wide it is: not the same to the client
			switch typ.String() {
			case "INT(32,true)":
				typ = parquet.Int32Type
			case "INT(64,true)":
				typ = parquet.Int64Type
			}
		}
		n := parquet.Leaf(typ)
		if c.Type().Kind() == parquet.ByteArray {
			n = parquet.Encoded(n, &parquet.RLEDictionary)
		}
		if c.Optional() {
			n = parquet.Optional(n)
		}
		g.Group[c.Name()] = n
		g.fields = append(g.fields, &field{n, c.Name()})
	}
	options := []parquet.WriterOption{ // as of a file that is packed
		parquet.NewSchema(f.Schema().Name(), g), parquet.Compression(columns[0].Compression()), parquet.DataPageStatistics(true), parquet.PageBufferSize(pageSize),
		parquet.DictionaryMaxBytes(1 << 20), parquet.CreatedBy("cdc", "1", ""),
	}
	for _, kv := range f.Metadata().KeyValueMetadata {
		options = append(options, parquet.KeyValueMetadata(kv.Key, kv.Value))
	}
	if j.size == 0 {
		j.size = defaultRowGroup
	}
	j.first, j.out, j.buf = f, parquet.NewGenericWriter[any](j.w, options...), make([]parquet.Row, 64)
	return nil
}

// rows moves the rows of a row group.
func (j *joiner) rows(g parquet.RowGroup) (rows int64, err error) {
	r := g.Rows()
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		n, end := r.ReadRows(j.buf)
		if end != nil && !errors.Is(end, io.EOF) {
			return 0, fmt.Errorf("read rows: %w", end)
		}
		for _, row := range j.buf[:n] {
			for i := range row {
				j.group += 8
				if k := row[i].Kind(); k == parquet.ByteArray || k == parquet.FixedLenByteArray {
					j.group += int64(len(row[i].ByteArray()))
				}
			}
		}
		if _, err := j.out.WriteRows(j.buf[:n]); err != nil {
			return 0, fmt.Errorf("write rows: %w", err)
		}
		rows += int64(n)
		if j.group >= j.size {
			if err := j.out.Flush(); err != nil {
				return 0, fmt.Errorf("write a row group: %w", err)
			}
			j.group = 0
		}
		if end != nil {
			return rows, nil
		}
	}
}
