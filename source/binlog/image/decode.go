package image

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/schemas/charset"
)

// Decode reads the image at the start of data: the null bitmap and the values of the columns whose bits are set in present. It appends one
// cell for each column of the table, Absent for those left out, and the bytes that they need to arena, and gives the number of bytes that
// the image takes. After an error cells and arena are as they were.
//
// Errors: BinlogMalformed where the data contradicts itself, SchemaMismatch where an ENUM or SET has more members than the definition,
// BinlogRowLimit where the row is larger than MaxRow.
func (p *Plan) Decode(data, present []byte, cells []event.Cell, arena []byte) (newCells []event.Cell, newArena []byte, n int, err error) {
	return p.image(data, 0, present, nil, cells, arena)
}

// image is Decode from data[pos:]; bits of partial, one for each JSON column, mark those that are logged as a difference.
func (p *Plan) image(data []byte, pos int, present, partial []byte, cells []event.Cell, arena []byte) ([]event.Cell, []byte, int, error) {
	columns := len(p.ops)
	count, ok := countPresent(present, columns)
	if !ok {
		return cells, arena, 0, p.malformed("the bitmap of columns has %d bytes for %d columns", len(present), columns)
	}
	nullBytes := (count + 7) / 8
	if len(data)-pos < nullBytes {
		return cells, arena, 0, p.malformed("it ends in its null bitmap")
	}
	firstCell, firstByte := len(cells), len(arena)
	cells = slices.Grow(cells, columns)[:firstCell+columns]
	c := cursor{data: data, nulls: data[pos : pos+nullBytes], arena: arena, pos: pos + nullBytes, first: firstByte}
	out := cells[firstCell:]
	var err error
	if count == columns && partial == nil {
		err = p.run(&c, out, 0, columns)
	} else {
		err = p.runs(&c, out, present, partial)
	}
	if size := max(c.pos, len(c.arena)-firstByte); err == nil && size > p.maxRow {
		err = p.tooLarge(size)
	}
	if err != nil {
		return cells[:firstCell], c.arena[:firstByte], 0, err
	}
	return cells, c.arena, c.pos, nil
}

// cursor is how far an image was read.
type cursor struct {
	data  []byte
	pos   int
	nulls []byte // bitmap of the columns that are present
	bit   int    // of the next column in it
	arena []byte
	first int // length of the arena before this image
}

// runs reads an image with columns left out or logged as a difference, run by run of the columns that are like any other.
func (p *Plan) runs(c *cursor, out []event.Cell, present, partial []byte) error {
	from, jsonBit := 0, 0
	for i := range p.ops {
		isPartial := false
		if partial != nil && p.ops[i].code == opJSON { // left out or not, each JSON column has a bit
			isPartial = partial[jsonBit>>3]>>(jsonBit&7)&1 != 0
			jsonBit++
		}
		isPresent := present[i>>3]>>(i&7)&1 != 0
		if isPresent && !isPartial {
			continue
		}
		if err := p.run(c, out, from, i); err != nil {
			return err
		}
		from = i + 1
		if !isPresent {
			out[i] = event.Cell{}
			continue
		}
		if err := p.difference(c, out, i); err != nil {
			return err
		}
	}
	return p.run(c, out, from, len(p.ops))
}

// difference reads column i, whose value is a vector of differences.
func (p *Plan) difference(c *cursor, out []event.Cell, i int) error {
	null := c.nulls[c.bit>>3]>>(c.bit&7)&1 != 0
	if c.bit++; null {
		out[i] = event.NullCell()
		return nil
	}
	width := int(p.ops[i].n)
	if len(c.data)-c.pos < width {
		return p.broken(i, endsInValue)
	}
	size := littleEndian(c.data[c.pos : c.pos+width])
	c.pos += width
	if size > uint64(len(c.data)-c.pos) {
		return p.broken(i, endsInValue)
	}
	off := len(c.arena)
	if off-c.first+int(size) > p.maxRow {
		return p.tooLarge(off - c.first + int(size))
	}
	c.arena = append(c.arena, c.data[c.pos:c.pos+int(size)]...)
	c.pos += int(size)
	out[i] = event.ArenaCell(event.JSONDiff, off, int(size), 0)
	return nil
}

// run reads the columns from up to to, all of them present. It works on copies of the cursor's fields, which stay in registers, and knows
// nothing of columns left out: both are worth a fifth of the time of a row.
func (p *Plan) run(c *cursor, out []event.Cell, from, to int) error {
	data, pos, nulls, bit, arena := c.data, c.pos, c.nulls, c.bit, c.arena
	null := byte(0) // the bits of the null bitmap from bit on
	if bit&7 != 0 {
		null = nulls[bit>>3] >> (bit & 7)
	}
	limit := c.first + p.maxRow
	ops := p.ops[:to]
	out = out[:to]
	for i := from; i < len(ops); i++ {
		o := &ops[i]
		if bit&7 == 0 {
			null = nulls[bit>>3]
		}
		bit++
		isNull := null&1 != 0
		if null >>= 1; isNull {
			out[i] = event.NullCell()
			continue
		}
		if len(data)-pos < int(o.n) {
			return p.broken(i, endsInValue)
		}
		b := data[pos:]
		pos += int(o.n)
		var size int
		switch o.code {
		case opInt8:
			out[i] = event.IntCell(int64(int8(b[0])))
			continue
		case opUint8:
			out[i] = event.UintCell(uint64(b[0]))
			continue
		case opInt16:
			out[i] = event.IntCell(int64(int16(binary.LittleEndian.Uint16(b))))
			continue
		case opUint16:
			out[i] = event.UintCell(uint64(binary.LittleEndian.Uint16(b)))
			continue
		case opInt24:
			out[i] = event.IntCell(int64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8))
			continue
		case opUint24:
			out[i] = event.UintCell(uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16)
			continue
		case opInt32:
			out[i] = event.IntCell(int64(int32(binary.LittleEndian.Uint32(b))))
			continue
		case opUint32:
			out[i] = event.UintCell(uint64(binary.LittleEndian.Uint32(b)))
			continue
		case opInt64:
			out[i] = event.IntCell(int64(binary.LittleEndian.Uint64(b)))
			continue
		case opUint64:
			out[i] = event.UintCell(binary.LittleEndian.Uint64(b))
			continue
		case opFloat32:
			out[i] = event.Float32Cell(math.Float32frombits(binary.LittleEndian.Uint32(b)))
			continue
		case opFloat64:
			out[i] = event.Float64Cell(math.Float64frombits(binary.LittleEndian.Uint64(b)))
			continue
		case opDate:
			out[i] = event.NumCell(event.Date, date(b), 0)
			continue
		case opDateTime:
			num, ok := dateTime2(b, o.a)
			if !ok {
				return p.broken(i, badTime)
			}
			out[i] = event.NumCell(event.DateTime, num, 0)
			continue
		case opTimestamp:
			out[i] = timestamp(binary.BigEndian.Uint32(b), micros(b[4:], o.a))
			continue
		case opTime:
			us, ok := time2(b, o.a)
			if !ok {
				return p.broken(i, badTime)
			}
			out[i] = event.NumCell(event.Time, uint64(us), 0)
			continue
		case opYear:
			year := uint64(b[0])
			if year != 0 {
				year += 1900
			}
			out[i] = event.NumCell(event.Year, year, 0)
			continue
		case opDecimal:
			off := len(arena)
			var ok bool
			if arena, ok = jsonbin.AppendDecimal(arena, b[:o.n], o.a, o.b); !ok {
				return p.broken(i, badDecimal)
			}
			out[i] = event.ArenaCell(event.Decimal, off, len(arena)-off, 0)
			continue
		case opEnum:
			v := uint64(b[0])
			if o.n == 2 {
				v = uint64(binary.LittleEndian.Uint16(b))
			}
			if o.size > 0 && v > uint64(o.size) {
				return p.members(i, v)
			}
			out[i] = event.NumCell(event.Enum, v, 0)
			continue
		case opSet:
			v := littleEndian(b[:o.n])
			if v&^o.mask != 0 {
				return p.members(i, v)
			}
			out[i] = event.NumCell(event.SetBits, v, 0)
			continue
		case opBits:
			v := bigEndian(b[:o.n])
			if v&^o.mask != 0 {
				return p.broken(i, badBits)
			}
			out[i] = event.NumCell(event.Bits, v, 0)
			continue
		case opOldDateTime, opOldTimestamp, opOldTime, opHiresDateTime, opHiresTimestamp, opHiresTime:
			var ok bool
			if out[i], ok = o.oldTemporal(b[:o.n]); !ok {
				return p.broken(i, badTime)
			}
			continue
		default:
			// What is left has a length of o.n bytes in front.
			switch o.n {
			case 1:
				size = int(b[0])
			case 2:
				size = int(binary.LittleEndian.Uint16(b))
			case 3:
				size = int(b[0]) | int(b[1])<<8 | int(b[2])<<16
			default:
				size = int(binary.LittleEndian.Uint32(b))
			}
		}
		if size > len(data)-pos {
			return p.broken(i, endsInValue)
		}
		if len(arena)+size > limit { // before it is copied
			return p.tooLarge(len(arena) + size - c.first)
		}
		b = data[pos : pos+size]
		pos += size
		off := len(arena)
		switch o.code {
		case opUTF8:
			flags := uint8(0)
			if !charset.ValidUTF8(b) {
				flags = event.Raw
			}
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.String, off, size, flags)
		case opUTF8MB3:
			flags := uint8(0)
			if !charset.ValidUTF8MB3(b) {
				flags = event.Raw
			}
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.String, off, size, flags)
		case opASCII:
			flags := uint8(0)
			if !charset.ValidASCII(b) {
				flags = event.Raw
			}
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.String, off, size, flags)
		case opExtended:
			if !charset.ValidASCII(b) {
				arena, out[i] = o.toUTF8(arena, b)
				continue
			}
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.String, off, size, 0)
		case opText:
			arena, out[i] = o.toUTF8(arena, b)
		case opBytes:
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.Bytes, off, size, 0)
		case opBinary:
			if size > int(o.size) {
				return p.broken(i, tooLong)
			}
			arena = append(arena, b...)
			for range int(o.size) - size {
				arena = append(arena, 0)
			}
			out[i] = event.ArenaCell(event.Bytes, off, int(o.size), 0)
		case opFixed:
			if size > int(o.size) {
				return p.broken(i, tooLong)
			}
			var kind event.Kind
			arena, kind = appendFixed(arena, b, p.table.Columns[i].Type, int(o.size))
			out[i] = event.ArenaCell(kind, off, int(o.size), 0)
		case opGeometry:
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.Geometry, off, size, 0)
		case opVector:
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.Vector, off, size, 0)
		case opJSON:
			if err := jsonbin.Check(b); err != nil {
				return p.cause(i, err)
			}
			arena = append(arena, b...)
			out[i] = event.ArenaCell(event.JSONBinary, off, size, 0)
		default: // compressed
			var err error
			if out[i], arena, err = p.unpack(o, b, arena, p.maxRow-(off-c.first)); err != nil {
				return p.cause(i, err)
			}
		}
	}
	c.pos, c.bit, c.arena = pos, bit, arena
	return nil
}

// countPresent counts the bits of the first n columns; false if the bitmap is too short.
func countPresent(present []byte, n int) (int, bool) {
	whole := n >> 3
	if len(present) < (n+7)>>3 {
		return 0, false
	}
	count := 0
	for _, x := range present[:whole] {
		count += bits.OnesCount8(x)
	}
	if n&7 != 0 {
		count += bits.OnesCount8(present[whole] & (1<<(n&7) - 1))
	}
	return count, true
}

func littleEndian(b []byte) uint64 {
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// toUTF8 appends text of any character set, or the bytes as they are where they are not valid in it.
func (o *op) toUTF8(arena, b []byte) ([]byte, event.Cell) {
	off := len(arena)
	arena, ok := o.text(arena, b)
	flags := uint8(0)
	if !ok {
		arena, flags = append(arena, b...), event.Raw
	}
	return arena, event.ArenaCell(event.String, off, len(arena)-off, flags)
}

func (o *op) oldTemporal(b []byte) (c event.Cell, ok bool) {
	var num uint64
	var us int64
	switch o.code {
	case opOldTimestamp:
		return timestamp(binary.LittleEndian.Uint32(b), 0), true
	case opHiresTimestamp:
		return hiresTimestamp(b, o.a), true
	case opOldDateTime:
		num, ok = oldDateTime(binary.LittleEndian.Uint64(b))
		return event.NumCell(event.DateTime, num, 0), ok
	case opHiresDateTime:
		num, ok = hiresDateTime(b, o.a)
		return event.NumCell(event.DateTime, num, 0), ok
	case opOldTime:
		us, ok = oldTime(b)
	default:
		us, ok = hiresTime(b, o.a)
	}
	return event.NumCell(event.Time, uint64(us), 0), ok
}

// Reasons of broken; constants, so that the hot path does not format.
const (
	endsInValue = "the event ends within its value"
	badTime     = "its value is no time"
	badDecimal  = "its value is no decimal number"
	badBits     = "its value has more bits than the column"
	tooLong     = "its value is longer than the column"
)

func (p *Plan) where() fault.Where { return fault.Where{Table: p.table.FullName()} }

func (p *Plan) malformed(format string, args ...any) error {
	return fault.New(fault.BinlogMalformed, "row image: "+format, args...).At(p.where())
}

func (p *Plan) broken(i int, why string) error {
	return fault.New(fault.BinlogMalformed, "row image: column %d (%s): %s", i+1, p.table.Columns[i].Name, why).At(p.where())
}

func (p *Plan) cause(i int, err error) error {
	if f, ok := fault.As(err); ok {
		f.Text = "row image: column " + p.table.Columns[i].Name + ": " + f.Text
		return f.At(p.where())
	}
	return fault.New(fault.BinlogMalformed, "row image: column %d (%s): %w", i+1, p.table.Columns[i].Name, err).At(p.where())
}

func (p *Plan) members(i int, v uint64) error {
	c := &p.table.Columns[i]
	return fault.New(fault.SchemaMismatch, "column %d (%s) has %d members in the definition; the row's value is %d", i+1, c.Name, len(c.Members), v).At(p.where())
}

func (p *Plan) tooLarge(n int) error {
	return fault.New(fault.BinlogRowLimit, "a row image of %d bytes is larger than the limit of %d", n, p.maxRow).At(p.where())
}
