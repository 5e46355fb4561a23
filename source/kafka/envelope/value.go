package envelope

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"

	"cdc/event"
)

var errValue = errors.New("the value is not of its type")

// value reads one value into a cell, whose bytes go to the arena. What it refuses it says in general: values are in no message.
func (d *Decoder) value(c *cursor, col *column, arena []byte) (event.Cell, []byte, error) {
	if c.null() {
		if !col.optional {
			return event.Cell{}, arena, errors.New("the value is null, which the schema does not allow")
		}
		return event.NullCell(), arena, nil
	}
	start := c.at
	cell, out, err := d.known(c, col, arena)
	if err != nil || col.def == nil || !col.optional || d.o.Defaults {
		return cell, out, err
	}
	if bytes.Equal(bytes.TrimSpace(c.b[start:c.at]), col.def) {
		return cell, out, errDefault
	}
	return cell, out, nil
}

var (
	errDefault     = errors.New("the value is the column's default, or a NULL that a converter with replace.null.with.default=true has made it")
	errPlaceholder = errors.New("the value is the placeholder of one that the message does not hold")
)

// known reads a value that is not null.
func (d *Decoder) known(c *cursor, col *column, arena []byte) (event.Cell, []byte, error) {
	at := len(arena)
	switch col.conv {
	case convText, convJSON:
		arena = c.text(arena)
		if c.bad {
			return event.Cell{}, arena, errValue
		}
		if string(arena[at:]) == d.o.Placeholder {
			return d.unavailable(arena[:at])
		}
		if col.conv == convJSON && !json.Valid(arena[at:]) {
			return event.Cell{}, arena, errValue
		}
		return event.ArenaCell(col.kind, at, len(arena)-at, 0), arena, nil
	case convBytes:
		var err error
		if arena, err = unbase64(arena, c.raw()); err != nil || c.bad {
			return event.Cell{}, arena, errValue
		}
		if string(arena[at:]) == d.o.Placeholder {
			return d.unavailable(arena[:at])
		}
		return event.ArenaCell(col.kind, at, len(arena)-at, 0), arena, nil
	case convDecimal:
		raw, err := unbase64(d.scratch[:0], c.raw())
		d.scratch = raw
		if err != nil || len(raw) == 0 || c.bad {
			return event.Cell{}, arena, errValue
		}
		arena = appendDecimal(arena, raw, col.scale)
		return event.ArenaCell(col.kind, at, len(arena)-at, 0), arena, nil
	case convEnum, convSet, convISODate, convISODateTime, convISOTime, convZoned, convUUID:
		d.scratch = c.text(d.scratch[:0])
		if c.bad {
			return event.Cell{}, arena, errValue
		}
		return d.ofText(col, d.scratch, arena)
	case convBits:
		raw, err := unbase64(d.scratch[:0], c.raw())
		d.scratch = raw
		if err != nil || len(raw) > 8 || c.bad {
			return event.Cell{}, arena, errValue
		}
		var all [8]byte
		copy(all[:], raw)
		n := binary.LittleEndian.Uint64(all[:])
		if col.length < 64 && n>>col.length != 0 {
			return event.Cell{}, arena, errValue
		}
		return event.NumCell(col.kind, n, 0), arena, nil
	case convGeometry:
		return d.geometry(c, col, arena)
	case convVector:
		c.elements(func() {
			f, err := strconv.ParseFloat(string(c.word()), 32)
			if err != nil {
				c.fail()
			}
			arena = binary.LittleEndian.AppendUint32(arena, math.Float32bits(float32(f)))
		})
		if c.bad {
			return event.Cell{}, arena, errValue
		}
		return event.ArenaCell(col.kind, at, len(arena)-at, 0), arena, nil
	}
	cell, err := ofWord(col, c.word())
	return cell, arena, err
}

func (d *Decoder) unavailable(arena []byte) (event.Cell, []byte, error) {
	if d.o.Absent {
		return event.Cell{}, arena, nil
	}
	return event.Cell{}, arena, errPlaceholder
}

// ofWord makes a cell of a number, true or false.
func ofWord(col *column, word []byte) (event.Cell, error) {
	text := string(word)
	switch col.conv {
	case convFloat:
		f, err := strconv.ParseFloat(text, 32)
		return event.Float32Cell(float32(f)), checked(err)
	case convDouble:
		f, err := strconv.ParseFloat(text, 64)
		return event.Float64Cell(f), checked(err)
	case convBool:
		switch text {
		case "true":
			return event.NumCell(col.kind, 1, 0), nil
		case "false":
			return event.NumCell(col.kind, 0, 0), nil
		}
		return event.Cell{}, errValue
	case convInt:
		n, err := strconv.ParseInt(text, 10, col.bits)
		return event.IntCell(n), checked(err)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return event.Cell{}, errValue
	}
	const day = 86400e6
	switch col.conv {
	case convYear:
		if n < 0 || n > 9999 {
			return event.Cell{}, errValue
		}
		return event.NumCell(col.kind, uint64(n), 0), nil
	case convDays:
		return civil(col, n, day)
	case convMillis:
		return civil(col, n, 1000)
	case convMicros:
		return civil(col, n, 1)
	case convNanos, convTimeNanos:
		if n%1000 != 0 {
			return event.Cell{}, errors.New("the value has parts of a microsecond")
		}
		if col.conv == convNanos {
			return civil(col, n/1000, 1)
		}
		return event.NumCell(col.kind, uint64(n/1000), 0), nil
	case convTimeMillis:
		return event.NumCell(col.kind, uint64(n*1000), 0), nil
	case convTimeMicros:
		return event.NumCell(col.kind, uint64(n), 0), nil
	}
	return event.Cell{}, errValue
}

func checked(err error) error {
	if err != nil {
		return errValue
	}
	return nil
}

// Moments in microseconds between which the years have four digits.
const (
	firstMicros = -62167219200e6
	lastMicros  = 253402300800e6
)

// civil makes a date, or date and time, of n units of so many microseconds since 1970.
func civil(col *column, n, unit int64) (event.Cell, error) {
	if n < firstMicros/unit || n >= lastMicros/unit {
		return event.Cell{}, errValue
	}
	t := time.UnixMicro(n * unit).UTC()
	v := event.Civil{Year: t.Year(), Month: int(t.Month()), Day: t.Day(), Hour: t.Hour(), Minute: t.Minute(), Second: t.Second(), Micro: t.Nanosecond() / 1000}
	return event.NumCell(col.kind, v.Pack(), 0), nil
}

// ofText makes a cell of a string that is not text.
func (d *Decoder) ofText(col *column, text, arena []byte) (event.Cell, []byte, error) {
	switch col.conv {
	case convEnum:
		n, ok := col.members[string(text)]
		if !ok && len(text) > 0 {
			return event.Cell{}, arena, errors.New("the value is none of the members that the schema allows")
		}
		return event.NumCell(col.kind, n, 0), arena, nil
	case convSet:
		var bits uint64
		for len(text) > 0 {
			one, rest, _ := bytes.Cut(text, []byte{','})
			n, ok := col.members[string(one)]
			if !ok {
				return event.Cell{}, arena, errors.New("the value has what is none of the members that the schema allows")
			}
			bits, text = bits|n, rest
		}
		return event.NumCell(col.kind, bits, 0), arena, nil
	case convUUID:
		at := len(arena)
		digits := bytes.ReplaceAll(text, []byte{'-'}, nil)
		if len(text) != 36 || len(digits) != 32 {
			return event.Cell{}, arena, errValue
		}
		arena, err := hex.AppendDecode(arena, digits)
		return event.ArenaCell(col.kind, at, 16, 0), arena, checked(err)
	case convISOTime:
		t, err := moment(text, "15:04:05.999999999", "15:04:05.999999999Z")
		if err != nil {
			return event.Cell{}, arena, err
		}
		micros := t.Sub(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)).Microseconds()
		return event.NumCell(col.kind, uint64(micros), 0), arena, nil
	case convISODate:
		t, err := moment(text, "2006-01-02", "2006-01-02Z")
		if err != nil {
			return event.Cell{}, arena, err
		}
		cell, err := civil(col, t.UnixMicro(), 1)
		return cell, arena, err
	}
	t, err := moment(text, "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999")
	if err != nil {
		return event.Cell{}, arena, err
	}
	if col.conv == convZoned {
		return event.NumCell(col.kind, uint64(t.UnixMicro()), 0), arena, nil
	}
	cell, err := civil(col, t.UnixMicro(), 1)
	return cell, arena, err
}

// moment reads a time in one of some layouts, as exact as cells are.
func moment(text []byte, layouts ...string) (time.Time, error) {
	for _, l := range layouts {
		t, err := time.Parse(l, string(text))
		if err == nil {
			if t.Nanosecond()%1000 != 0 {
				return t, errors.New("the value has parts of a microsecond")
			}
			return t, nil
		}
	}
	return time.Time{}, errValue
}

// geometry reads {"wkb":...,"srid":...}; x and y of a point are in its WKB.
func (d *Decoder) geometry(c *cursor, col *column, arena []byte) (event.Cell, []byte, error) {
	at := len(arena)
	var wkb []byte
	var srid uint64
	var err error
	c.each(func(name []byte) {
		switch string(name) {
		case "wkb":
			wkb, err = unbase64(d.scratch[:0], c.raw())
			d.scratch = wkb
		case "srid":
			if !c.null() {
				srid, err = strconv.ParseUint(string(c.word()), 10, 32)
			}
		default:
			c.skip()
		}
		if err != nil {
			c.fail()
		}
	})
	if c.bad || len(wkb) == 0 {
		return event.Cell{}, arena, errValue
	}
	arena = append(binary.LittleEndian.AppendUint32(arena, uint32(srid)), wkb...)
	return event.ArenaCell(col.kind, at, len(arena)-at, 0), arena, nil
}

// unbase64 appends what a string of standard base64 says. JsonConverter writes no escapes in it; others may write the slash with one.
func unbase64(dst, raw []byte) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		plain, ok := unescape(nil, raw)
		if !ok {
			return dst, errValue
		}
		raw = plain
	}
	out, err := base64.StdEncoding.AppendDecode(dst, raw)
	if err != nil {
		return dst, fmt.Errorf("base64: %w", err)
	}
	return out, nil
}

// appendDecimal appends an unscaled number in big-endian two's complement as MySQL prints a DECIMAL.
func appendDecimal(dst, twos []byte, scale int) []byte {
	var digits []byte
	negative := twos[0]&0x80 != 0
	if len(twos) <= 8 {
		var n int64
		if negative {
			n = -1
		}
		for _, b := range twos {
			n = n<<8 | int64(b)
		}
		u := uint64(n)
		if negative {
			u = -u
		}
		var buf [20]byte
		digits = strconv.AppendUint(buf[:0], u, 10)
	} else {
		n := new(big.Int).SetBytes(twos)
		if negative {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(twos))))
		}
		digits = n.Abs(n).Append(nil, 10)
	}
	if negative {
		dst = append(dst, '-')
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = append(bytes.Repeat([]byte{'0'}, missing), digits...)
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-scale:]...)
	}
	return dst
}
