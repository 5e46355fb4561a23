package image

import (
	"strconv"
	"sync"

	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// Options of a plan.
type Options struct {
	// MaxRow is the largest row image in bytes, both as it is logged and as it is decoded; 0 is 1 GiB, which is MySQL's own limit.
	MaxRow int
}

// defaultMaxRow is the largest max_allowed_packet.
const defaultMaxRow = 1 << 30

// Plan decodes the row images of one table version as laid out by one table map. It may be used from many goroutines.
type Plan struct {
	table    *schemas.Table
	ops      []op
	maxRow   int
	json     int // number of columns that are JSON on the wire
	inflater sync.Pool
}

// op says how to read one column. A switch over its code was 7 % faster, for twelve mixed columns, than a call through a function it holds.
type op struct {
	code opcode
	n    uint8  // bytes of a value or of its length
	a    uint8  // DECIMAL: precision; temporal types: digits of a second
	b    uint8  // DECIMAL: scale
	size uint32 // strings: the longest value in bytes; ENUM: members
	mask uint64 // SET and BIT: bits that may be set
	text charset.DecodeFunc
}

type opcode uint8

// Integers come first, then what else has a fixed size, then the rest.
const (
	opInt8 opcode = iota
	opUint8
	opInt16
	opUint16
	opInt24
	opUint24
	opInt32
	opUint32
	opInt64
	opUint64
	opFloat32
	opFloat64
	opDate
	opDateTime
	opTimestamp
	opTime
	opYear
	opDecimal
	opEnum
	opSet
	opBits
	opOldDateTime
	opOldTimestamp
	opOldTime
	opHiresDateTime
	opHiresTimestamp
	opHiresTime
	opUTF8 // utf8mb4
	opUTF8MB3
	opASCII // also where the character set is not known
	opText
	opExtended // a character set in which ASCII is ASCII
	opBytes
	opBinary // padded
	opPacked // compressed text
	opPackedBytes
	opJSON
	opGeometry
	opVector
	opFixed // MariaDB's UUID, INET4, INET6
)

// Compile makes the plan for a table version and a table map. It checks that the numbers of columns agree and that each column's layout fits
// its definition; SchemaMismatch otherwise. A text column in an unknown character set is BinlogCharset.
func Compile(t *schemas.Table, w Wire, o Options) (*Plan, error) {
	if len(w.Meta) != len(w.Types) {
		return nil, fault.New(fault.BinlogMalformed, "table map with metadata of %d of its %d columns", len(w.Meta), len(w.Types)).At(fault.Where{Table: t.FullName()})
	}
	if len(w.Types) != len(t.Columns) {
		return nil, fault.New(fault.SchemaMismatch, "the row has %d columns, the definition %d", len(w.Types), len(t.Columns)).At(fault.Where{Table: t.FullName()})
	}
	p := &Plan{table: t, ops: make([]op, len(w.Types)), maxRow: o.MaxRow}
	if p.maxRow <= 0 {
		p.maxRow = defaultMaxRow
	}
	for i := range w.Types {
		c := &t.Columns[i]
		fits, err := p.ops[i].set(c, w.Types[i], w.Meta[i])
		if err != nil {
			if f, ok := fault.As(err); ok {
				return nil, f.At(fault.Where{Table: t.FullName()})
			}
			return nil, err
		}
		if !fits {
			return nil, fault.New(fault.SchemaMismatch, "column %d (%s) is %s in the definition and %s in the row", i+1, c.Name, c.ColumnType(), w.describe(i)).
				At(fault.Where{Table: t.FullName()})
		}
		if w.Types[i] == WireJSON {
			p.json++
		}
	}
	return p, nil
}

// Table is the table version that the plan decodes into.
func (p *Plan) Table() *schemas.Table { return p.table }

var integerOps = map[byte]struct {
	typ  schemas.Type
	code opcode // signed; unsigned follows
	n    uint8
}{
	WireTiny:     {schemas.TinyInt, opInt8, 1},
	WireShort:    {schemas.SmallInt, opInt16, 2},
	WireInt24:    {schemas.MediumInt, opInt24, 3},
	WireLong:     {schemas.Int, opInt32, 4},
	WireLongLong: {schemas.BigInt, opInt64, 8},
}

// set fills the op in, and reports whether the wire type fits the column.
func (o *op) set(c *schemas.Column, wire byte, meta uint16) (fits bool, err error) {
	if x, ok := integerOps[wire]; ok {
		o.code, o.n = x.code, x.n
		if c.Unsigned {
			o.code++
		}
		return c.Type == x.typ, nil
	}
	switch wire {
	case WireFloat:
		o.code, o.n = opFloat32, 4
		return c.Type == schemas.Float && meta == 4, nil
	case WireDouble:
		o.code, o.n = opFloat64, 8
		return c.Type == schemas.Double && meta == 8, nil
	case WireDecimal:
		o.code, o.a, o.b = opDecimal, uint8(meta>>8), uint8(meta)
		if o.a == 0 || o.a > 65 || o.b > 30 || o.b > o.a {
			return false, nil
		}
		o.n = uint8(jsonbin.DecimalBytes(o.a, o.b))
		return c.Type == schemas.Decimal && c.Precision == o.a && c.Scale == o.b, nil
	case WireYear:
		o.code, o.n = opYear, 1
		return c.Type == schemas.Year, nil
	case WireDate, WireNewDate:
		o.code, o.n = opDate, 3
		return c.Type == schemas.Date, nil
	case WireBit:
		o.code, o.n = opBits, uint8((meta+7)/8)
		o.mask = ^uint64(0) >> (64 - min(meta, 64))
		return c.Type == schemas.Bit && uint32(meta) == c.Length && meta >= 1 && meta <= 64, nil
	case WireEnum:
		o.code, o.n, o.size = opEnum, uint8(meta), uint32(len(c.Members))
		return c.Type == schemas.Enum && (meta == 1 || meta == 2) && (o.size == 0 || (o.size > 255) == (meta == 2)), nil
	case WireSet:
		o.code, o.n = opSet, uint8(meta)
		o.mask = ^uint64(0)
		n := len(c.Members)
		if n > 0 && n < 64 {
			o.mask = 1<<n - 1
		}
		return c.Type == schemas.Set && (meta >= 1 && meta <= 4 || meta == 8) && n <= 64 && (n == 0 || setBytes(n) == meta), nil
	case WireTimestamp, WireDateTime, WireTime, WireTimestampOld, WireDateTimeOld, WireTimeOld:
		return o.setTemporal(c, wire, meta), nil
	}
	return o.setString(c, wire, meta)
}

// setBytes is the size of a SET with n members.
func setBytes(n int) uint16 {
	if size := (n + 7) / 8; size <= 4 {
		return uint16(size)
	}
	return 8
}

func (o *op) setTemporal(c *schemas.Column, wire byte, meta uint16) bool {
	if c.Fsp > 6 {
		return false
	}
	o.a = c.Fsp
	frac := uint8(fracBytes(c.Fsp))
	switch wire {
	case WireTimestamp:
		o.code, o.n = opTimestamp, 4+frac
		return c.Type == schemas.Timestamp && uint16(c.Fsp) == meta
	case WireDateTime:
		o.code, o.n = opDateTime, 5+frac
		return c.Type == schemas.DateTime && uint16(c.Fsp) == meta
	case WireTime:
		o.code, o.n = opTime, 3+frac
		return c.Type == schemas.Time && uint16(c.Fsp) == meta
	}
	// The old types carry no digits, and those of MariaDB have them all the same: the definition must know.
	switch wire {
	case WireTimestampOld:
		o.code, o.n = opOldTimestamp, 4
		if c.Fsp > 0 {
			o.code, o.n = opHiresTimestamp, hiresTimestampBytes[c.Fsp]
		}
		return c.Type == schemas.Timestamp
	case WireDateTimeOld:
		o.code, o.n = opOldDateTime, 8
		if c.Fsp > 0 {
			o.code, o.n = opHiresDateTime, hiresDateTimeBytes[c.Fsp]
		}
		return c.Type == schemas.DateTime
	}
	o.code, o.n = opOldTime, 3
	if c.Fsp > 0 {
		o.code, o.n = opHiresTime, hiresTimeBytes[c.Fsp]
	}
	return c.Type == schemas.Time
}

// setString fills in what has a length in front of each value.
func (o *op) setString(c *schemas.Column, wire byte, meta uint16) (fits bool, err error) {
	switch wire {
	case WireJSON:
		o.code, o.n = opJSON, uint8(meta)
		return c.Type == schemas.JSON && lengthBytes(meta), nil
	case WireGeometry:
		o.code, o.n = opGeometry, uint8(meta)
		return c.Type == schemas.Geometry && lengthBytes(meta), nil
	case WireVector:
		o.code, o.n = opVector, uint8(meta)
		return c.Type == schemas.Vector && lengthBytes(meta), nil
	case WireBlob, WireBlobPacked, WireTinyBlob, WireMediumBlob, WireLongBlob:
		if !lengthBytes(meta) {
			return false, nil
		}
		o.n = uint8(meta)
		o.size = uint32(1<<(8*meta) - 1)
		switch c.Type {
		case schemas.TinyBlob, schemas.TinyText:
			fits = meta == 1
		case schemas.Blob, schemas.Text:
			fits = meta == 2
		case schemas.MediumBlob, schemas.MediumText:
			fits = meta == 3
		case schemas.LongBlob, schemas.LongText:
			fits = meta == 4
		}
		if !fits {
			return false, nil
		}
		if c.Type.IsBinary() {
			o.code = opBytes
			if wire == WireBlobPacked {
				o.code = opPackedBytes
			}
			return true, nil
		}
		return true, o.setText(c, wire == WireBlobPacked)
	case WireVarChar, WireVarString, WireStringPacked, WireString:
	default:
		return false, nil
	}
	o.n, o.size = 1, uint32(meta)
	if meta > 255 {
		o.n = 2
	}
	chars := uint32(1)
	switch c.Type {
	case schemas.UUID, schemas.INET6, schemas.INET4:
		o.code = opFixed
		if c.Type == schemas.INET4 {
			return wire == WireString && meta == 4, nil
		}
		return wire == WireString && meta == 16, nil
	case schemas.Vector: // MariaDB's is a VARBINARY underneath
		o.code = opVector
		return wire == WireVarChar, nil
	case schemas.Binary:
		o.code = opBinary
		fits = wire == WireString
	case schemas.VarBinary:
		o.code = opBytes
		if wire == WireStringPacked {
			o.code = opPackedBytes
		}
		fits = wire != WireString
	case schemas.Char, schemas.VarChar:
		chars = uint32(max(charset.MaxBytes(c.Charset), 1))
		fits = (wire == WireString) == (c.Type == schemas.Char)
		if !fits {
			return false, nil
		}
		if err := o.setText(c, wire == WireStringPacked); err != nil {
			return false, err
		}
	}
	if !fits {
		return false, nil
	}
	// The definition counts characters, the row bytes. Compressed columns have one more for a header.
	switch wire {
	case WireVarChar, WireString:
		return c.Charset == "" && c.Type.IsText() || c.Length*chars == uint32(meta), nil
	case WireStringPacked:
		return c.Charset == "" && c.Type.IsText() || c.Length*chars+1 == uint32(meta), nil
	}
	return true, nil
}

func lengthBytes(meta uint16) bool { return meta >= 1 && meta <= 4 }

// setText chooses how a text column is turned into UTF-8.
func (o *op) setText(c *schemas.Column, packed bool) error {
	o.text = asciiText
	if c.Charset != "" {
		var err error
		if o.text, err = charset.Decoder(c.Charset); err != nil {
			f, ok := fault.As(err)
			if !ok {
				return err
			}
			f.Text = "column " + strconv.Quote(c.Name) + ": " + f.Text
			return f
		}
	}
	switch {
	case packed:
		o.code = opPacked
	case c.Charset == "":
		o.code = opASCII
	default:
		switch charset.FormOf(c.Charset) {
		case charset.UTF8MB4:
			o.code = opUTF8
		case charset.UTF8MB3:
			o.code = opUTF8MB3
		case charset.ASCII:
			o.code = opASCII
		case charset.Extends:
			o.code = opExtended
		default:
			o.code = opText
		}
	}
	return nil
}

// asciiText is for a column whose character set is not known.
func asciiText(dst, src []byte) ([]byte, bool) {
	if !charset.ValidASCII(src) {
		return dst, false
	}
	return append(dst, src...), true
}
