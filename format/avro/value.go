package avro

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/format/jsonenc"
)

// Branches of a union of null and a type, as their longs are written.
const (
	none = 0
	some = 2
)

// image appends a row as the fields of its record. Absent cells take their value from fill, where it has one. Where each column begins is kept in
// e.marks.
func (e *Encoder) image(dst []byte, p *plan, row, fill *event.Row) ([]byte, error) {
	cells := row.Cells
	columns := p.columns[:len(cells)]
	marks := slices.Grow(e.marks[:0], len(cells)+1)[:len(cells)+1]
	for i := range cells {
		marks[i] = len(dst)
		col := &columns[i]
		from, c := row, cells[i]
		if c.Kind() == event.Absent {
			if !fill.IsZero() {
				from, c = fill, fill.Cells[i]
			}
			if c.Kind() == event.Absent {
				if col.absent == nil {
					return dst, missing(col)
				}
				dst = append(dst, col.absent...)
				continue
			}
		}
		var err error
		if dst, err = e.cell(dst, col, from, c); err != nil {
			return dst, err
		}
	}
	marks[len(cells)] = len(dst)
	e.marks = marks
	return dst, nil
}

// update appends the after image of an update, whose before image was appended last: most columns did not change, and runs of those are copied as
// they were written. An absent column was not changed.
func (e *Encoder) update(dst []byte, p *plan, before, after *event.Row) ([]byte, error) {
	from := 0 // columns from here on are the same and not written yet
	cells := after.Cells
	others := before.Cells[:len(cells)]
	for i := range cells {
		c := cells[i]
		if c.Kind() == event.Absent || format.SameCell(*before, others[i], *after, c) {
			continue
		}
		dst = append(dst, dst[e.marks[from]:e.marks[i]]...)
		from = i + 1
		var err error
		if dst, err = e.cell(dst, &p.columns[i], after, c); err != nil {
			return dst, err
		}
	}
	return append(dst, dst[e.marks[from]:e.marks[len(cells)]]...), nil
}

// missing is the fault of a column that the row image leaves out.
func missing(col *column) error {
	return fault.New(fault.FormatValue, "the row image does not hold column %s, and a record of Avro has a value for each field", col.def.Name).
		Hint("SET GLOBAL binlog_row_image=FULL on the source")
}

// cell appends a value, with the branch of its union.
func (e *Encoder) cell(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() == event.Null {
		if !col.union {
			return dst, fault.New(fault.FormatValue, "column %s is NULL, which its definition does not allow", col.def.Name).
				Hint("compare `cdc schema show` with the table, or set avro.optional: all")
		}
		return append(dst, none), nil
	}
	at := len(dst)
	if col.union {
		dst = append(dst, some)
	}
	if c.Kind() != col.kind {
		switch c.Kind() {
		case event.JSONBinary:
			if col.conv == convJSON {
				text, err := jsonbin.AppendCompact(e.scratch[:0], row.Bytes(c), jsonbin.MaxText)
				if err != nil {
					return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
				}
				e.scratch = text
				return appendBytes(dst, text), nil
			}
		case event.JSONDiff:
			return dst, fault.New(fault.FormatValue, "column %s was updated in part, which this format cannot say", col.def.Name).
				Hint("SET GLOBAL binlog_row_value_options='' on the source, or use format plain")
		}
		return dst, format.WrongKind(col.def, c.Kind())
	}
	switch col.conv {
	case convInt:
		return appendLong(dst, c.Int64()), nil
	case convUint, convYear:
		return appendLong(dst, int64(c.Uint64())), nil
	case convUintLong:
		if c.Uint64() > math.MaxInt64 {
			setting := "debezium.bigint_unsigned_handling_mode: precise"
			if e.o.Shape == Flat {
				setting = "avro.bigint_unsigned: decimal"
			}
			return dst, fault.New(fault.FormatValue, "column %s: a number above 9223372036854775807 does not fit a long", col.def.Name).Hint("set %s", setting)
		}
		return appendLong(dst, int64(c.Uint64())), nil
	case convUintDecimal:
		return appendUnsigned(dst, c.Uint64()), nil
	case convUintString:
		var digits [20]byte
		return appendBytes(dst, strconv.AppendUint(digits[:0], c.Uint64(), 10)), nil
	case convText:
		return e.string(dst, col, row.Bytes(c), c.Flags())
	case convJSON:
		e.scratch = format.AppendCompact(e.scratch[:0], row.Bytes(c))
		return e.string(dst, col, e.scratch, 0)
	case convBytes:
		return appendBytes(dst, row.Bytes(c)), nil
	case convDecimal:
		if out, ok := appendDecimal(dst, row.Bytes(c), int(col.scale)); ok {
			return out, nil
		}
		return dst, fault.New(fault.FormatValue, "column %s: the value is not a decimal of scale %d", col.def.Name, col.scale)
	case convFloat:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(c.Float32())), nil
	case convFloatWide:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(float64(c.Float32()))), nil
	case convDouble:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(c.Float64())), nil
	case convDays, convISODate, convMillis, convMicros, convNanos, convISODateTime, convZoned:
		return e.date(dst, at, col, c)
	case convTimeMicros, convTimeMillis, convTimeNanos, convISOTime:
		return clock(dst, col, c.Int64())
	case convEnum, convSet, convSetArray, convBit, convBits:
		return members(dst, col, c.Uint64())
	}
	return special(dst, col, row.Bytes(c))
}

// string appends text, which Avro has in UTF-8 only.
func (e *Encoder) string(dst []byte, col *column, s []byte, flags uint8) ([]byte, error) {
	if flags&event.Raw == 0 && utf8.Valid(s) {
		return appendBytes(dst, s), nil
	}
	if e.text() == debezium.TextReplace {
		return appendBytes(dst, strings.ToValidUTF8(string(s), "\uFFFD")), nil
	}
	return dst, fault.New(fault.FormatValue, "column %s: the text is not valid in character set %s", col.def.Name, col.def.Charset).
		Hint("repair the row on the source, or set invalid_text: replace, or use format plain, which keeps the bytes")
}

// date appends a DATE, DATETIME or TIMESTAMP. Its value begins at at.
func (e *Encoder) date(dst []byte, at int, col *column, c event.Cell) ([]byte, error) {
	var days, micros int64
	var ok bool
	switch col.kind {
	case event.Date:
		days, ok = jsonenc.Days(c.Civil())
	case event.DateTime:
		micros, ok = jsonenc.Micros(c.Civil())
	default:
		micros, ok = c.Int64(), c.Flags()&event.ZeroTime == 0
	}
	if !ok {
		switch policy := e.zeroDates(); {
		case policy == debezium.ZeroDateNull && col.union, policy == debezium.ZeroDateDebezium && col.def.Nullable && col.kind != event.Timestamp:
			return append(dst[:at], none), nil
		case policy == debezium.ZeroDateError, policy == debezium.ZeroDateNull:
			return dst, fault.New(fault.FormatValue, "column %s holds a date that is no day of the calendar", col.def.Name).
				Hint("set zero_dates: null, or use format plain")
		}
		days, micros = 0, 0
	}
	switch col.conv {
	case convDays:
		return appendLong(dst, days), nil
	case convISODate:
		dst = append(dst, byte(len("2024-01-02Z"))<<1)
		dst = jsonenc.AppendDate(dst, jsonenc.CivilOf(days*86400e6))
		return append(dst, 'Z'), nil
	case convMillis:
		return appendLong(dst, floorDiv(micros, 1000)), nil
	case convMicros:
		return appendLong(dst, micros), nil
	case convNanos:
		if micros > math.MaxInt64/1000 || micros < math.MinInt64/1000 {
			return dst, fault.New(fault.FormatValue, "column %s: nanoseconds hold only the years 1678 to 2261", col.def.Name).
				Hint("set debezium.time_precision_mode: adaptive_time_microseconds")
		}
		return appendLong(dst, micros*1000), nil
	}
	v := jsonenc.CivilOf(micros)
	fsp := int(col.fsp)
	if col.conv == convISODateTime {
		fsp = jsonenc.Digits(v.Micro)
	}
	length := len(dst)
	dst = jsonenc.AppendDateTime(append(dst, 0), v, 'T', fsp)
	dst = append(dst, 'Z')
	dst[length] = byte(len(dst)-length-1) << 1 // fewer than 64 characters
	return dst, nil
}

func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

const day = 86400 * 1_000_000 // microseconds

// clock appends a TIME.
func clock(dst []byte, col *column, micros int64) ([]byte, error) {
	switch col.conv {
	case convTimeMicros:
		return appendLong(dst, micros), nil
	case convTimeNanos:
		return appendLong(dst, micros*1000), nil
	}
	if micros < 0 || micros >= day {
		return dst, fault.New(fault.FormatValue, "column %s: the value is no time of day", col.def.Name).
			Hint("set debezium.time_precision_mode: adaptive_time_microseconds")
	}
	if col.conv == convTimeMillis {
		return appendLong(dst, micros/1000), nil
	}
	v := jsonenc.CivilOf(micros)
	length := len(dst)
	dst = jsonenc.AppendClock(append(dst, 0), v, jsonenc.Digits(v.Micro))
	dst = append(dst, 'Z')
	dst[length] = byte(len(dst)-length-1) << 1
	return dst, nil
}

// members appends ENUM, SET and BIT.
func members(dst []byte, col *column, v uint64) ([]byte, error) {
	switch col.conv {
	case convBit:
		if v != 0 {
			return append(dst, 1), nil
		}
		return append(dst, 0), nil
	case convBits:
		var buf [8]byte
		binary.LittleEndian.PutUint64(buf[:], v)
		return appendBytes(dst, buf[:col.bytes]), nil
	case convEnum:
		switch {
		case v == 0:
			return append(dst, 0), nil
		case v <= uint64(len(col.members)):
			return append(dst, col.members[v-1]...), nil
		}
		return dst, format.NoMember(col.def)
	}
	if n := len(col.members); n < 64 && v>>n != 0 {
		return dst, format.NoMember(col.def)
	}
	if col.conv == convSetArray {
		return setArray(dst, col, v), nil
	}
	size := 0
	for i, left := 0, v; left != 0; left, i = left>>1, i+1 {
		if left&1 != 0 {
			size += len(col.members[i]) + 1
		}
	}
	dst = appendLong(dst, int64(max(size-1, 0)))
	for i, first := 0, true; v != 0; v, i = v>>1, i+1 {
		if v&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, col.members[i]...)
	}
	return dst, nil
}

// setArray appends the members of a SET as an array: one block of them, and the end (Avro 1.12, "Arrays").
func setArray(dst []byte, col *column, v uint64) []byte {
	n := int64(0)
	for left := v; left != 0; left &= left - 1 {
		n++
	}
	if n == 0 {
		return append(dst, 0)
	}
	dst = appendLong(dst, n)
	for i := 0; v != 0; v, i = v>>1, i+1 {
		if v&1 != 0 {
			dst = append(dst, col.members[i]...)
		}
	}
	return append(dst, 0)
}

func appendEncoded(dst []byte, c conv, b []byte) []byte {
	switch c {
	case convHex:
		return hex.AppendEncode(appendLong(dst, int64(hex.EncodedLen(len(b)))), b)
	case convBase64URL:
		return base64.URLEncoding.AppendEncode(appendLong(dst, int64(base64.URLEncoding.EncodedLen(len(b)))), b)
	}
	return base64.StdEncoding.AppendEncode(appendLong(dst, int64(base64.StdEncoding.EncodedLen(len(b)))), b)
}

// special appends what is rare, from its bytes.
func special(dst []byte, col *column, b []byte) ([]byte, error) {
	bad := func(what string) ([]byte, error) {
		return dst, fault.New(fault.FormatValue, "column %s: %s", col.def.Name, what)
	}
	switch col.conv {
	case convDecimalString:
		return appendBytes(dst, b), nil
	case convDecimalDouble:
		f, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return bad("the value is not a decimal that a double can hold")
		}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
	case convBase64, convBase64URL, convHex:
		return appendEncoded(dst, col.conv, b), nil
	case convGeometry, convPoint, convSpatial:
		return spatial(dst, col, b)
	case convVector:
		if len(b)%4 != 0 {
			return bad("the vector's length is not a multiple of 4 bytes")
		}
		if len(b) > 0 { // in the binlog as in Avro a float has its lowest byte first
			dst = append(appendLong(dst, int64(len(b)/4)), b...)
		}
		return append(dst, 0), nil
	case convUUID:
		if len(b) != 16 {
			return bad("a UUID that has not 16 bytes")
		}
		return celltext.AppendUUID(append(dst, 36<<1), b), nil
	case convINET6:
		if len(b) != 16 {
			return bad("an address of the wrong length")
		}
		n := len(dst)
		dst = celltext.AppendINET6(append(dst, 0), b)
		dst[n] = byte(len(dst)-n-1) << 1
		return dst, nil
	case convINET4:
		if len(b) != 4 {
			return bad("an address of the wrong length")
		}
		n := len(dst)
		dst = jsonenc.AppendINET4(append(dst, 0), [4]byte(b))
		dst[n] = byte(len(dst)-n-1) << 1
		return dst, nil
	}
	return bad("a type that this format does not know")
}

// spatial appends a spatial value: SRID in four bytes, then WKB.
func spatial(dst []byte, col *column, b []byte) ([]byte, error) {
	bad := func(what string) ([]byte, error) {
		return dst, fault.New(fault.FormatValue, "column %s: %s", col.def.Name, what)
	}
	if len(b) < 4 {
		return bad("geometry without a SRID")
	}
	srid, wkb := binary.LittleEndian.Uint32(b), b[4:]
	if col.conv == convSpatial {
		return appendBytes(appendLong(dst, int64(srid)), wkb), nil
	}
	if srid > math.MaxInt32 {
		return bad("the SRID does not fit the int of this format")
	}
	if col.conv == convPoint {
		x, y, ok := point(wkb)
		if !ok {
			return bad("the WKB is not that of a finite point")
		}
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(y))
		dst = append(dst, some)
	}
	dst = appendBytes(dst, wkb)
	if srid == 0 { // Debezium has no other word for the unset one
		return append(dst, none), nil
	}
	return appendLong(append(dst, some), int64(srid)), nil
}

// point reads the WKB of a point: byte order, type 1, two doubles.
func point(wkb []byte) (x, y float64, ok bool) {
	if len(wkb) != 21 {
		return 0, 0, false
	}
	var o binary.ByteOrder = binary.LittleEndian
	if wkb[0] == 0 {
		o = binary.BigEndian
	}
	x, y = math.Float64frombits(o.Uint64(wkb[5:])), math.Float64frombits(o.Uint64(wkb[13:]))
	return x, y, o.Uint32(wkb[1:]) == 1 && !math.IsNaN(x) && !math.IsNaN(y) && !math.IsInf(x, 0) && !math.IsInf(y, 0)
}
