package debezium

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/fault"
	"cdc/format"
	"cdc/format/jsonenc"
)

// image appends a row as an object. Absent cells take their value from fill, where it has one. Where each column begins is kept in e.marks.
func (e *Encoder) image(dst []byte, p *plan, row, fill *event.Row) ([]byte, error) {
	start := len(dst)
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
				if col.absent != nil {
					dst = append(col.key.Append(dst), col.absent...)
				} else if err := e.leaveOut(col); err != nil {
					return dst, err
				}
				continue
			}
		}
		dst = col.key.Append(dst)
		var err error
		if dst, err = e.value(dst, col, from, c); err != nil {
			return dst, err
		}
	}
	marks[len(cells)] = len(dst)
	e.marks = marks
	return object(dst, start), nil
}

// update appends the after image of an update, whose before image was appended last: most columns did not change, and runs of those are
// copied as they were written. An absent column was not changed.
func (e *Encoder) update(dst []byte, p *plan, before, after *event.Row) ([]byte, error) {
	start := len(dst)
	from := 0 // columns from here on are the same and not written yet
	same := func(to int) {
		if at := len(dst); e.marks[from] < e.marks[to] {
			dst = append(dst, dst[e.marks[from]:e.marks[to]]...)
			dst[at] = ',' // the first column of the before image had the brace
		}
	}
	cells := after.Cells
	others := before.Cells[:len(cells)]
	for i := range cells {
		c := cells[i]
		if c.Kind() == event.Absent || format.SameCell(*before, others[i], *after, c) {
			continue
		}
		same(i)
		from = i + 1
		col := &p.columns[i]
		var err error
		if dst, err = e.value(col.key.Append(dst), col, after, c); err != nil {
			return dst, err
		}
	}
	same(len(after.Cells))
	return object(dst, start), nil
}

// object makes an object of the fields behind start, each of which begins with a comma.
func object(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

// leaveOut reports whether an absent column without a placeholder may be left out.
func (e *Encoder) leaveOut(col *column) error {
	switch {
	case e.o.Absent == AbsentError:
		return fault.New(fault.FormatValue, "the row image does not hold column %s", col.def.Name).
			Hint("SET GLOBAL binlog_row_image=FULL on the source, or set absent: placeholder or omit")
	case e.o.Schemas:
		return fault.New(fault.FormatValue, "the row image does not hold column %s, and a reader of the inline schema would take it for null", col.def.Name).
			Hint("SET GLOBAL binlog_row_image=FULL on the source, or turn schemas_enable off")
	}
	return nil
}

// value appends one value.
func (e *Encoder) value(dst []byte, col *column, row *event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != col.kind {
		switch c.Kind() {
		case event.Null:
			return append(dst, "null"...), nil
		case event.JSONBinary:
			if col.conv == convJSON {
				out, err := jsonbin.AppendEscapedCompact(append(dst, '"'), row.Bytes(c), jsonbin.MaxText)
				if err != nil {
					return dst, fault.New(fault.FormatValue, "column %s: %w", col.def.Name, err)
				}
				return append(out, '"'), nil
			}
		case event.JSONDiff:
			return dst, fault.New(fault.FormatValue, "column %s was updated in part, which this format cannot say", col.def.Name).
				Hint("SET GLOBAL binlog_row_value_options='' on the source, or use format plain")
		}
		return dst, format.WrongKind(col.def, c.Kind())
	}
	switch col.conv {
	case convInt:
		return jsonenc.AppendInt(dst, c.Int64()), nil
	case convUint, convYear:
		return jsonenc.AppendUint(dst, c.Uint64()), nil
	case convUintLong:
		if c.Uint64() > math.MaxInt64 {
			return dst, fault.New(fault.FormatValue, "column %s: a number above 9223372036854775807 does not fit bigint_unsigned_handling_mode: long", col.def.Name).
				Hint("set bigint_unsigned_handling_mode: precise")
		}
		return jsonenc.AppendUint(dst, c.Uint64()), nil
	case convUintPrecise:
		return jsonenc.AppendUnscaledUint(dst, c.Uint64()), nil
	case convText:
		s := row.Bytes(c)
		if c.Flags()&event.Raw == 0 {
			if out, ok := jsonenc.AppendSurrogates(dst, s); ok {
				return out, nil
			}
		}
		return e.invalidText(dst, col, s)
	case convJSON:
		e.scratch = format.AppendCompact(e.scratch[:0], row.Bytes(c))
		if out, ok := jsonenc.AppendSurrogates(dst, e.scratch); ok {
			return out, nil
		}
		return e.invalidText(dst, col, e.scratch)
	case convDecimalPrecise:
		if out, ok := jsonenc.AppendUnscaled(dst, row.Bytes(c), int(col.scale)); ok {
			return out, nil
		}
		return dst, fault.New(fault.FormatValue, "column %s: the value is not a decimal of scale %d", col.def.Name, col.scale)
	case convDecimalString:
		dst = append(dst, '"')
		dst = append(dst, row.Bytes(c)...)
		return append(dst, '"'), nil
	case convDecimalDouble:
		f, err := strconv.ParseFloat(string(row.Bytes(c)), 64)
		if err != nil {
			return dst, fault.New(fault.FormatValue, "column %s: the value is not a decimal that a double can hold", col.def.Name)
		}
		return jsonenc.AppendJavaFloat(dst, f, 64), nil
	case convFloat:
		return float(dst, col, float64(c.Float32()), 32)
	case convFloatWide:
		return float(dst, col, float64(c.Float32()), 64)
	case convDouble:
		return float(dst, col, c.Float64(), 64)
	case convBase64:
		return jsonenc.AppendBase64(dst, row.Bytes(c)), nil
	case convBase64URL:
		return jsonenc.AppendBase64URL(dst, row.Bytes(c)), nil
	case convHex:
		return jsonenc.AppendHex(dst, row.Bytes(c)), nil
	case convDays, convISODate, convMillis, convMicros, convNanos, convISODateTime, convZoned:
		return e.date(dst, col, c)
	case convTimeMicros, convTimeMillis, convTimeNanos, convISOTime:
		return clock(dst, col, c.Int64())
	case convEnum, convSet, convBit, convBits:
		return members(dst, col, c.Uint64())
	}
	return special(dst, col, row.Bytes(c))
}

func float(dst []byte, col *column, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fault.New(fault.FormatValue, "column %s: the value is not a JSON number", col.def.Name)
	}
	return jsonenc.AppendJavaFloat(dst, f, bits), nil
}

func (e *Encoder) invalidText(dst []byte, col *column, s []byte) ([]byte, error) {
	if e.o.Text == TextReplace {
		return jsonenc.AppendSurrogateText(dst, string(s)), nil
	}
	return dst, fault.New(fault.FormatValue, "column %s: the text is not valid in character set %s", col.def.Name, col.def.Charset).
		Hint("repair the row on the source, or set invalid_text: replace, or use format plain, which keeps the bytes")
}

// date appends a DATE, DATETIME or TIMESTAMP.
func (e *Encoder) date(dst []byte, col *column, c event.Cell) ([]byte, error) {
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
		switch {
		case e.o.ZeroDates == ZeroDateError:
			return dst, fault.New(fault.FormatValue, "column %s holds a date that is no day of the calendar", col.def.Name).
				Hint("set zero_dates: null, epoch or debezium, or use format plain")
		case e.o.ZeroDates == ZeroDateNull || e.o.ZeroDates == ZeroDateDebezium && col.def.Nullable && col.kind != event.Timestamp:
			return append(dst, "null"...), nil
		}
		days, micros = 0, 0
	}
	switch col.conv {
	case convDays:
		return jsonenc.AppendInt(dst, days), nil
	case convISODate:
		dst = append(dst, '"')
		dst = jsonenc.AppendDate(dst, jsonenc.CivilOf(days*86400e6))
		return append(dst, 'Z', '"'), nil
	case convMillis:
		return jsonenc.AppendInt(dst, floorDiv(micros, 1000)), nil
	case convMicros:
		return jsonenc.AppendInt(dst, micros), nil
	case convNanos:
		if micros > math.MaxInt64/1000 || micros < math.MinInt64/1000 {
			return dst, fault.New(fault.FormatValue, "column %s: nanoseconds hold only the years 1678 to 2261", col.def.Name).
				Hint("set time_precision_mode: adaptive_time_microseconds")
		}
		return jsonenc.AppendInt(dst, micros*1000), nil
	}
	v := jsonenc.CivilOf(micros)
	fsp := int(col.fsp)
	if col.conv == convISODateTime {
		fsp = jsonenc.Digits(v.Micro)
	}
	dst = append(dst, '"')
	dst = jsonenc.AppendDateTime(dst, v, 'T', fsp)
	return append(dst, 'Z', '"'), nil
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
		return jsonenc.AppendInt(dst, micros), nil
	case convTimeNanos:
		return jsonenc.AppendInt(dst, micros*1000), nil
	}
	if micros < 0 || micros >= day {
		return dst, fault.New(fault.FormatValue, "column %s: the value is no time of day", col.def.Name).
			Hint("set time_precision_mode: adaptive_time_microseconds")
	}
	if col.conv == convTimeMillis {
		return jsonenc.AppendInt(dst, micros/1000), nil
	}
	v := jsonenc.CivilOf(micros)
	dst = append(dst, '"')
	dst = jsonenc.AppendClock(dst, v, jsonenc.Digits(v.Micro))
	return append(dst, 'Z', '"'), nil
}

// members appends ENUM, SET and BIT.
func members(dst []byte, col *column, v uint64) ([]byte, error) {
	switch col.conv {
	case convBit:
		return strconv.AppendBool(dst, v != 0), nil
	case convBits:
		var buf [8]byte
		binary.LittleEndian.PutUint64(buf[:], v)
		return jsonenc.AppendBase64(dst, buf[:min(col.bytes, 8)]), nil
	case convEnum:
		switch {
		case v == 0:
			return append(dst, '"', '"'), nil
		case v <= uint64(len(col.members)):
			return append(dst, col.members[v-1]...), nil
		}
	default:
		if n := len(col.members); n >= 64 || v>>n == 0 {
			dst = append(dst, '"')
			for first, i := true, 0; v != 0; v, i = v>>1, i+1 {
				if v&1 == 0 {
					continue
				}
				if !first {
					dst = append(dst, ',')
				}
				first = false
				dst = append(dst, col.members[i]...)
			}
			return append(dst, '"'), nil
		}
	}
	return dst, format.NoMember(col.def)
}

// special appends the types that are rare, from their bytes.
func special(dst []byte, col *column, b []byte) ([]byte, error) {
	bad := func(what string) ([]byte, error) {
		return dst, fault.New(fault.FormatValue, "column %s: %s", col.def.Name, what)
	}
	switch col.conv {
	case convGeometry, convPoint:
		if len(b) < 4 {
			return bad("geometry without a SRID")
		}
		srid, wkb := binary.LittleEndian.Uint32(b), b[4:]
		out := append(dst, '{')
		if col.conv == convPoint {
			x, y, ok := point(wkb)
			if !ok {
				return bad("the WKB is not that of a finite point")
			}
			out = jsonenc.AppendJavaFloat(append(out, `"x":`...), x, 64)
			out = jsonenc.AppendJavaFloat(append(out, `,"y":`...), y, 64)
			out = append(out, ',')
		}
		out = jsonenc.AppendBase64(append(out, `"wkb":`...), wkb)
		out = append(out, `,"srid":`...)
		if srid == 0 { // Debezium has no other word for the unset one
			return append(out, "null}"...), nil
		}
		if srid > math.MaxInt32 {
			return bad("the SRID does not fit the int32 of this format")
		}
		return append(jsonenc.AppendUint(out, uint64(srid)), '}'), nil
	case convVector:
		if len(b)%4 != 0 {
			return bad("the vector's length is not a multiple of 4 bytes")
		}
		out := dst
		for i := 0; i < len(b); i += 4 {
			f := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return bad("a vector with an element that is no JSON number")
			}
			out = jsonenc.AppendJavaFloat(append(out, ','), f, 32)
		}
		if len(b) == 0 {
			return append(dst, '[', ']'), nil
		}
		out[len(dst)] = '['
		return append(out, ']'), nil
	case convUUID:
		if len(b) != 16 {
			return bad("a UUID that has not 16 bytes")
		}
		return append(celltext.AppendUUID(append(dst, '"'), b), '"'), nil
	case convINET6:
		if len(b) != 16 {
			return bad("an address of the wrong length")
		}
		return append(celltext.AppendINET6(append(dst, '"'), b), '"'), nil
	case convINET4:
		if len(b) != 4 {
			return bad("an address of the wrong length")
		}
		return append(jsonenc.AppendINET4(append(dst, '"'), [4]byte(b)), '"'), nil
	}
	return bad("a type that this format does not know")
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
