package parquet

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/format/rows"
	"cdc/schemas"
)

// field is a column with its name. Columns of the client's own groups are in the order of their names; these keep that of the table.
type field struct {
	parquet.Node
	name string
}

func (f *field) Name() string                           { return f.name }
func (f *field) Value(base reflect.Value) reflect.Value { return base } // rows are never made of Go values

type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g *group) Fields() []parquet.Field { return g.fields }

// leaf is a column of a file.
type leaf struct {
	name     string
	node     parquet.Node
	phys     physical
	width    int
	optional bool
	null     parquet.Value
}

// layout gives the columns of a table version's files: with those of package rows behind them, or of the table alone.
func layout(t *schemas.Table, meta bool) []leaf {
	var leaves []leaf
	add := func(name string, n parquet.Node, l leaf) {
		l.name, l.node, l.null = name, n, parquet.NullValue().Level(0, 0, len(leaves))
		leaves = append(leaves, l)
	}
	for _, c := range columnsOf(t) {
		add(c.name, nodeOf(&c), leaf{phys: c.phys, width: c.width, optional: true})
	}
	if !meta {
		return leaves
	}
	text, long, utc := parquet.String(), parquet.Leaf(parquet.Int64Type), parquet.TimestampAdjusted(parquet.Microsecond, true)
	for i, n := range []parquet.Node{text, text, long, parquet.Leaf(parquet.Int32Type), utc, long, text, long} {
		l := leaf{phys: int64s, optional: i == 1}
		switch i {
		case 0, 1, 6:
			l.phys = byteArray
		case 3:
			l.phys = int32s
		}
		add(rows.Meta()[i], n, l)
	}
	return leaves
}

// schemaOf gives the schema of files with such columns. Text has a dictionary, but where plain says that hardly a value comes twice.
func schemaOf(leaves []leaf, plain []bool) *parquet.Schema {
	g := &group{Group: parquet.Group{}}
	for i, l := range leaves {
		n := l.node
		switch {
		case l.phys == byteArray && plain[i]:
			n = parquet.Encoded(n, &parquet.Plain)
		case l.phys == byteArray:
			n = parquet.Encoded(n, &parquet.RLEDictionary)
		}
		if l.optional {
			n = parquet.Optional(n)
		}
		g.Group[l.name] = n
		g.fields = append(g.fields, &field{n, l.name})
	}
	return parquet.NewSchema("row", g)
}

// nodeOf gives the type of a column.
func nodeOf(c *column) parquet.Node {
	switch c.kind {
	case event.Int, event.Uint:
		n := map[schemas.Type]int{schemas.TinyInt: 8, schemas.SmallInt: 16, schemas.BigInt: 64}[c.def.Type]
		if n == 0 {
			n = 32
		}
		if c.kind == event.Uint {
			return parquet.Uint(n)
		}
		return parquet.Int(n)
	case event.Year:
		return parquet.Int(16)
	case event.Date:
		return parquet.Date()
	case event.DateTime:
		return parquet.TimestampAdjusted(parquet.Microsecond, false)
	case event.Timestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, true)
	case event.Bits:
		if c.phys == int64s {
			return parquet.Uint(64)
		}
	case event.Decimal:
		switch c.phys {
		case int32s:
			return parquet.Decimal(c.scale, int(c.def.Precision), parquet.Int32Type)
		case int64s:
			return parquet.Decimal(c.scale, int(c.def.Precision), parquet.Int64Type)
		case fixed:
			return parquet.Decimal(c.scale, int(c.def.Precision), parquet.FixedLenByteArrayType(c.width))
		}
	case event.UUID:
		return parquet.UUID()
	case event.Bytes, event.Geometry:
		return parquet.Leaf(parquet.ByteArrayType)
	}
	switch c.phys {
	case boolean:
		return parquet.Leaf(parquet.BooleanType)
	case int64s: // TIME, which is no time of day
		return parquet.Leaf(parquet.Int64Type)
	case float:
		return parquet.Leaf(parquet.FloatType)
	case double:
		return parquet.Leaf(parquet.DoubleType)
	}
	return parquet.String()
}

// chunk is how many rows become columns at a time.
const chunk = 512

// pageSize is of a page before compression.
const pageSize = 256 << 10

// File says how files are made of the records of a table version.
func (e *Encoder) File(t *schemas.Table) format.File {
	return format.File{Pack: func(w io.Writer) (format.Packer, error) { return e.o.packer(w, t, true, e.zstd) }}
}

// definition is under which key a file has the definition of its table, as JSON.
const definition = "cdc.schema"

func (o *Options) packer(w io.Writer, t *schemas.Table, meta bool, fast compress.Codec) (*packer, error) {
	def, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode the definition of %s: %w", t.FullName(), err)
	}
	leaves := layout(t, meta)
	p := &packer{to: w, leaves: leaves, group: int64(o.RowGroup), columns: make([][]parquet.Value, len(leaves))}
	p.options = []parquet.WriterOption{
		parquet.Compression(o.codec(fast)), parquet.DataPageStatistics(true), parquet.PageBufferSize(pageSize),
		parquet.DictionaryMaxBytes(1 << 20), parquet.CreatedBy("cdc", "1", ""),
		parquet.KeyValueMetadata("cdc.database", t.Database), parquet.KeyValueMetadata("cdc.table", t.Name),
		parquet.KeyValueMetadata("cdc.version", strconv.FormatUint(t.Seq, 10)), parquet.KeyValueMetadata(definition, string(def)),
	}
	return p, nil
}

// codec compresses pages: by fast, where that is the setting.
func (o *Options) codec(fast compress.Codec) compress.Codec {
	switch o.Codec {
	case CodecSnappy:
		return &parquet.Snappy
	case CodecGzip:
		return &parquet.Gzip
	case CodecNone:
		return &parquet.Uncompressed
	}
	return fast
}

// packer writes one file.
type packer struct {
	to      io.Writer
	options []parquet.WriterOption
	w       *parquet.GenericWriter[any] // nil until the first rows have said how the columns are written
	leaves  []leaf
	columns [][]parquet.Value // of the rows that are no columns yet
	rows    int
	arena   []byte // their text
	group   int64
	bytes   int64 // of records in the row group
}

// Add takes the next record.
func (p *packer) Add(record []byte) error {
	at := len(p.arena)
	p.arena = append(p.arena, record...)
	r := cursor{b: p.arena[at:]}
	for i := range p.leaves {
		l := &p.leaves[i]
		v := l.null
		if r.byte() != null {
			if v = r.value(l); l.optional {
				v = v.Level(0, 1, i)
			}
		}
		p.columns[i] = append(p.columns[i], v)
	}
	if r.bad || len(r.b) > 0 {
		return fault.New(fault.SinkConflict, "a row that waited for its file is damaged")
	}
	p.rows++
	p.bytes += int64(len(record))
	if p.rows < chunk && len(p.arena) < 1<<20 && p.bytes < p.group {
		return nil
	}
	if err := p.move(); err != nil {
		return err
	}
	if p.bytes >= p.group {
		p.bytes = 0
		if err := p.w.Flush(); err != nil {
			return fmt.Errorf("write a row group: %w", err)
		}
	}
	return nil
}

// begin writes the head of the file. A dictionary costs a look-up of each value, which is in vain where values are all different: that is decided by the first rows.
func (p *packer) begin() {
	plain := make([]bool, len(p.leaves))
	if p.rows >= chunk/4 {
		seen := map[string]struct{}{}
		for i := range p.leaves {
			if p.leaves[i].phys != byteArray {
				continue
			}
			clear(seen)
			values := 0
			for _, v := range p.columns[i] {
				if !v.IsNull() {
					values++
					seen[string(v.ByteArray())] = struct{}{}
				}
			}
			plain[i] = len(seen) > values/2
		}
	}
	p.w = parquet.NewGenericWriter[any](p.to, append([]parquet.WriterOption{schemaOf(p.leaves, plain)}, p.options...)...)
}

// move makes columns of the rows that wait.
func (p *packer) move() error {
	if p.w == nil {
		p.begin()
	}
	for i, c := range p.w.ColumnWriters() {
		if _, err := c.WriteRowValues(p.columns[i]); err != nil {
			return fmt.Errorf("write column %d: %w", i, err)
		}
		p.columns[i] = p.columns[i][:0]
	}
	p.rows, p.arena = 0, p.arena[:0]
	return nil
}

// Memory is about what the row group, its pages and the rows that wait hold.
func (p *packer) Memory() int64 {
	return p.bytes + int64(cap(p.arena)) + int64(len(p.leaves))*(chunk*24+64<<10)
}

// Close writes the last row group and the footer.
func (p *packer) Close() error {
	if err := p.move(); err != nil {
		return err
	}
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("write the end of the file: %w", err)
	}
	return nil
}

// cursor reads a record; after a fault everything is empty.
type cursor struct {
	b   []byte
	bad bool
}

func (r *cursor) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad = true
		r.b = nil
		return make([]byte, min(max(n, 0), 16))
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *cursor) byte() byte { return r.take(1)[0] }

func (r *cursor) value(l *leaf) parquet.Value {
	switch l.phys {
	case boolean:
		return parquet.BooleanValue(r.byte() != 0)
	case int32s:
		return parquet.Int32Value(int32(binary.LittleEndian.Uint32(r.take(4))))
	case int64s:
		return parquet.Int64Value(int64(binary.LittleEndian.Uint64(r.take(8))))
	case float:
		return parquet.FloatValue(math.Float32frombits(binary.LittleEndian.Uint32(r.take(4))))
	case double:
		return parquet.DoubleValue(math.Float64frombits(binary.LittleEndian.Uint64(r.take(8))))
	case fixed:
		return parquet.FixedLenByteArrayValue(r.take(l.width))
	}
	size, n := binary.Uvarint(r.b)
	if n <= 0 || size > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return parquet.ByteArrayValue(nil)
	}
	r.b = r.b[n:]
	return parquet.ByteArrayValue(r.take(int(size)))
}
