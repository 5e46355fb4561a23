package snapshot

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/schemas/charset"
)

// reader turns the rows of a query into cells that are equal to those of the same rows in the binlog. It is made once per table version.
//
// The session asks for text without conversion (character_set_results=NULL), so that the bytes of a value are those of the binlog and go through the
// same decoder; a value that is not valid in its character set comes out as it does there, and not as question marks. What the server would
// print with loss is asked for by an expression: see expression.
type reader struct {
	table   *schemas.Table
	columns []readColumn
	selects string // the list behind SELECT
	key     []int  // ordinals of the key's columns; nil without a key
	at      []int  // where they are in a row of the query
}

type readColumn struct {
	ordinal int // in the table
	column  *schemas.Column
	text    charset.DecodeFunc
}

// alias is the name of the table in queries.
const alias = "t"

func newReader(t *schemas.Table, key []int) (*reader, error) {
	r := &reader{table: t, key: key}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Hidden && c.Type == schemas.BigInt { // a hash that the server keeps for a long unique key: no query gives it
			continue
		}
		x := readColumn{ordinal: i, column: c}
		if c.Type.IsText() && c.Type != schemas.Enum && c.Type != schemas.Set {
			var err error
			if x.text, err = charset.Decoder(c.Charset); err != nil {
				return nil, fault.New(fault.BinlogCharset, "column %s: %w", c.Name, err).At(fault.Where{Table: t.FullName()})
			}
		}
		if len(r.columns) > 0 {
			r.selects += ","
		}
		r.selects += expression(c)
		r.columns = append(r.columns, x)
	}
	for _, k := range key {
		for i := range r.columns {
			if r.columns[i].ordinal == k {
				r.at = append(r.at, i)
			}
		}
	}
	return r, nil
}

// expression gives what to select for a column:
//
//	FLOAT          as a double, which is exact: a FLOAT itself is printed to six digits, which may be those of its neighbour too
//	FLOAT(M,D) ..  likewise: they are printed to D digits
//	ENUM, SET      ordinal and bits: two members may look alike, and '' may be a member or none
//	all others     the column
func expression(c *schemas.Column) string {
	name := alias + "." + identifier(c.Name)
	switch c.Type {
	case schemas.Float:
		return name + "*1e0"
	case schemas.Double:
		if c.Precision > 0 {
			return name + "*1e0"
		}
	case schemas.Enum, schemas.Set:
		return "CAST(" + name + " AS UNSIGNED)"
	}
	return name
}

// append appends a row to a batch as a Read. The batch has its transaction and its group.
func (r *reader) append(b *event.Batch, table uint16, number uint32, row [][]byte) error {
	at, err := r.image(b, row)
	if err != nil {
		return err
	}
	b.AddChange(event.Read, table, number, 0, at)
	return nil
}

// image appends the cells of a row to a batch, and says where they are.
func (r *reader) image(b *event.Batch, row [][]byte) (uint32, error) {
	if len(row) != len(r.columns) {
		return 0, fault.New(fault.SnapshotValue, "a row of %d values for %d columns", len(row), len(r.columns)).At(r.where())
	}
	cells, arena := b.Slabs()
	at := len(cells)
	for range r.table.Columns {
		cells = append(cells, event.Cell{})
	}
	for i := range r.columns {
		x := &r.columns[i]
		var c event.Cell
		var err error
		if row[i] == nil {
			c = event.NullCell()
		} else if c, arena, err = x.cell(row[i], arena); err != nil {
			b.PutSlabs(cells[:at], arena)
			return 0, fault.New(fault.SnapshotValue, "column %s (%s): %w", x.column.Name, x.column.ColumnType(), err).At(r.where())
		}
		cells[at+x.ordinal] = c
	}
	b.PutSlabs(cells, arena)
	return uint32(at), nil
}

func (r *reader) where() fault.Where { return fault.Where{Table: r.table.FullName()} }

// Reasons; constants, since a value of the table must not come into a log.
var (
	errNumber = errors.New("its value is no number")
	errTime   = errors.New("its value is no time")
	errLength = errors.New("its value has another length than its type")
	errText   = errors.New("its value is not the text of its type")
)

// cell turns one value into a cell.
func (x *readColumn) cell(v, arena []byte) (event.Cell, []byte, error) {
	c := x.column
	store := func(k event.Kind, v []byte) (event.Cell, []byte, error) {
		off := len(arena)
		arena = append(arena, v...)
		return event.ArenaCell(k, off, len(v), 0), arena, nil
	}
	number := func(k event.Kind, n uint64, ok bool, err error) (event.Cell, []byte, error) {
		if ok {
			err = nil
		}
		return event.NumCell(k, n, 0), arena, err
	}
	switch t := c.Type; {
	case t.IsInteger() && c.Unsigned:
		n, ok := digits(v)
		return number(event.Uint, n, ok, errNumber)
	case t.IsInteger():
		n, ok := signed(v)
		return number(event.Int, uint64(n), ok, errNumber)
	case t.IsBinary():
		return store(event.Bytes, v)
	case x.text != nil:
		off := len(arena)
		var ok bool
		if arena, ok = x.text(arena, v); !ok {
			arena = append(arena[:off], v...)
			return event.ArenaCell(event.String, off, len(v), event.Raw), arena, nil
		}
		return event.ArenaCell(event.String, off, len(arena)-off, 0), arena, nil
	}
	switch c.Type {
	case schemas.Decimal:
		return store(event.Decimal, plainDecimal(v))
	case schemas.Float:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return event.Cell{}, arena, errNumber
		}
		return event.Float32Cell(float32(f)), arena, nil
	case schemas.Double:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return event.Cell{}, arena, errNumber
		}
		return event.Float64Cell(f), arena, nil
	case schemas.Bit:
		if len(v) > 8 {
			return event.Cell{}, arena, errLength
		}
		var n uint64
		for _, b := range v {
			n = n<<8 | uint64(b)
		}
		return event.NumCell(event.Bits, n, 0), arena, nil
	case schemas.Year:
		n, ok := digits(v)
		return number(event.Year, n, ok, errNumber)
	case schemas.Enum:
		n, ok := digits(v)
		return number(event.Enum, n, ok && n <= uint64(len(c.Members)), errNumber)
	case schemas.Set:
		n, ok := digits(v)
		return number(event.SetBits, n, ok, errNumber)
	case schemas.Date:
		civil, ok := parseCivil(v, false)
		return number(event.Date, civil.Pack(), ok, errTime)
	case schemas.DateTime:
		civil, ok := parseCivil(v, true)
		return number(event.DateTime, civil.Pack(), ok, errTime)
	case schemas.Timestamp:
		civil, ok := parseCivil(v, true)
		if !ok {
			return event.Cell{}, arena, errTime
		}
		return timestamp(civil), arena, nil
	case schemas.Time:
		us, ok := parseTime(v)
		return number(event.Time, uint64(us), ok, errTime)
	case schemas.JSON:
		return store(event.JSON, v)
	case schemas.Geometry:
		return store(event.Geometry, v)
	case schemas.Vector:
		return store(event.Vector, v)
	case schemas.UUID:
		b, ok := parseUUID(v)
		if !ok {
			return event.Cell{}, arena, errText
		}
		return store(event.UUID, b[:])
	case schemas.INET6:
		a, err := netip.ParseAddr(string(v))
		if err != nil {
			return event.Cell{}, arena, errText
		}
		b := a.As16()
		return store(event.INET6, b[:])
	case schemas.INET4:
		a, err := netip.ParseAddr(string(v))
		if err != nil || !a.Is4() {
			return event.Cell{}, arena, errText
		}
		b := a.As4()
		return store(event.INET4, b[:])
	}
	return event.Cell{}, arena, errText
}

// digits reads a number without a sign, with the zeros of ZEROFILL.
func digits(v []byte) (n uint64, ok bool) {
	if len(v) == 0 {
		return 0, false
	}
	for _, c := range v {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

func signed(v []byte) (int64, bool) {
	if len(v) > 0 && v[0] == '-' {
		n, ok := digits(v[1:])
		return -int64(n), ok && n <= 1<<63
	}
	n, ok := digits(v)
	return int64(n), ok && n < 1<<63
}

// plainDecimal takes away the zeros of ZEROFILL.
func plainDecimal(v []byte) []byte {
	for len(v) > 1 && v[0] == '0' && v[1] != '.' {
		v = v[1:]
	}
	return v
}

// parseCivil reads YYYY-MM-DD, and behind it hh:mm:ss with up to six digits of a second where time is set.
func parseCivil(v []byte, clock bool) (c event.Civil, ok bool) {
	if len(v) < 10 || v[4] != '-' || v[7] != '-' || clock && (len(v) < 19 || v[10] != ' ') || !clock && len(v) != 10 {
		return c, false
	}
	year, ok1 := digits(v[:4])
	month, ok2 := digits(v[5:7])
	day, ok3 := digits(v[8:10])
	c.Year, c.Month, c.Day = int(year), int(month), int(day)
	if ok = ok1 && ok2 && ok3 && month <= 12 && day <= 31; !clock || !ok {
		return c, ok
	}
	us, ok := parseTime(v[11:])
	if !ok || us < 0 || us >= 24*3600*1e6 {
		return c, false
	}
	s := int(us / 1e6)
	c.Hour, c.Minute, c.Second, c.Micro = s/3600, s/60%60, s%60, int(us%1e6)
	return c, true
}

// parseTime reads [-]hh:mm:ss[.ffffff] with two or three digits of the hour, as signed microseconds.
func parseTime(v []byte) (us int64, ok bool) {
	negative := len(v) > 0 && v[0] == '-'
	if negative {
		v = v[1:]
	}
	h := 2
	if len(v) > 2 && v[2] != ':' {
		h = 3
	}
	if len(v) < h+6 || v[h] != ':' || v[h+3] != ':' {
		return 0, false
	}
	hours, ok1 := digits(v[:h])
	minutes, ok2 := digits(v[h+1 : h+3])
	seconds, ok3 := digits(v[h+4 : h+6])
	if !ok1 || !ok2 || !ok3 || minutes > 59 || seconds > 59 {
		return 0, false
	}
	us = int64(hours*3600+minutes*60+seconds) * 1e6
	if rest := v[h+6:]; len(rest) > 0 {
		frac, ok := digits(rest[1:])
		if !ok || rest[0] != '.' || len(rest) > 7 {
			return 0, false
		}
		for range 7 - len(rest) {
			frac *= 10
		}
		us += int64(frac)
	}
	if negative {
		us = -us
	}
	return us, true
}

// timestamp makes the cell of a moment that was printed in UTC. The zero date is no moment.
func timestamp(c event.Civil) event.Cell {
	if c.IsZeroDate() {
		return event.NumCell(event.Timestamp, 0, event.ZeroTime)
	}
	at := time.Date(c.Year, time.Month(c.Month), c.Day, c.Hour, c.Minute, c.Second, c.Micro*1000, time.UTC)
	return event.NumCell(event.Timestamp, uint64(at.UnixMicro()), 0)
}

// parseUUID reads the 36 characters of a UUID.
func parseUUID(v []byte) (out [16]byte, ok bool) {
	n := 0
	for i, c := range v {
		if c == '-' {
			if i != 8 && i != 13 && i != 18 && i != 23 {
				return out, false
			}
			continue
		}
		var d byte
		switch {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		default:
			return out, false
		}
		if n == 32 {
			return out, false
		}
		out[n/2] |= d << (4 * (1 - n%2))
		n++
	}
	return out, n == 32
}
