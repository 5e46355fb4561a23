package transform

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cdc/event"
	"cdc/schemas"
)

// constantCell is a cell outside of a batch: of kinds in the arena, with its bytes.
type constantCell struct {
	cell event.Cell
	kind event.Kind
	text []byte
}

// put gives the cell in a batch.
func (c *constantCell) put(out *event.Builder) event.Cell {
	if c.kind.InArena() {
		return out.Text(c.kind, c.text)
	}
	return c.cell
}

func number(c event.Cell) (constantCell, error) { return constantCell{cell: c, kind: c.Kind()}, nil }

func arena(k event.Kind, text []byte) (constantCell, error) {
	return constantCell{kind: k, text: text}, nil
}

// literal reads a value as it is written in the configuration, for a column.
func literal(s string, col *schemas.Column) (value, error) {
	var v value
	ok := true
	switch kindOf(col) {
	case isInt, isDecimal:
		v, ok = value{class: isDecimal, s: s}, isDecimalText(s)
	case isFloat:
		f, err := strconv.ParseFloat(s, 64)
		v, ok = float(f), err == nil
	case isDate, isDateTime, isMoment:
		v, ok = parseDate(s)
	case isTime:
		v, ok = parseTime(s)
	default:
		v = text(s)
	}
	if !ok {
		return v, errors.New("it is not written as such a value")
	}
	return v, nil
}

// errors of conversion show no values.
var (
	errNotNumber = errors.New("the value is no number: use number()")
	errNotWhole  = errors.New("the value has digits behind the point: use round()")
	errRange     = errors.New("the value is outside of the type's range")
	errNotText   = errors.New("the value is no text: use text()")
	errTextLong  = errors.New("the text is longer than the column")
	errNotUTF8   = errors.New("the text is not valid in its character set")
	errNotMember = errors.New("the value is none of the members")
	errNotDate   = errors.New("the value is no date: use date()")
	errNotTime   = errors.New("the value is no time")
	errNotJSON   = errors.New("the text is not JSON")
	errNotKind   = errors.New("values of this type cannot be made")
	errNotNull   = errors.New("the value is NULL and the column is not nullable")
)

// convert makes a cell for a column of a value. buf is reused for text.
func convert(v value, col *schemas.Column, buf []byte) (constantCell, error) {
	if v.class == isNull {
		if !col.Nullable {
			return constantCell{}, errNotNull
		}
		return number(event.NullCell())
	}
	if v.class == isBool && col.Type != schemas.JSON {
		v = value{class: isInt, n: v.n}
	}
	switch t := col.Type; {
	case t.IsInteger():
		return convertInteger(v, col)
	case t == schemas.Year:
		n, err := whole(v)
		if err == nil && n != 0 && (n < 1901 || n > 2155) {
			err = errRange
		}
		return constantCell{cell: event.NumCell(event.Year, uint64(n), 0), kind: event.Year}, err
	case t == schemas.Bit:
		u, err := wholeUnsigned(v)
		if err == nil && col.Length < 64 && u>>col.Length != 0 {
			err = errRange
		}
		return constantCell{cell: event.NumCell(event.Bits, u, 0), kind: event.Bits}, err
	case t == schemas.Decimal:
		return convertDecimal(v, col, buf)
	case t == schemas.Float, t == schemas.Double:
		if !v.class.number() {
			return constantCell{}, errNotNumber
		}
		if t == schemas.Float {
			f := float32(v.float())
			if math.IsInf(float64(f), 0) {
				return constantCell{}, errRange
			}
			return number(event.Float32Cell(f))
		}
		return number(event.Float64Cell(v.float()))
	case t == schemas.JSON:
		return convertJSON(v, buf)
	case t == schemas.Enum, t == schemas.Set:
		return convertMembers(v, col)
	case t.IsText(), t.IsBinary():
		return convertText(v, col, buf)
	case t == schemas.Date, t == schemas.DateTime, t == schemas.Timestamp:
		return convertDate(v, col)
	case t == schemas.Time:
		if v.class == isText {
			var ok bool
			if v, ok = parseTime(v.s); !ok {
				return constantCell{}, errNotTime
			}
		}
		if v.class != isTime {
			return constantCell{}, errNotTime
		}
		return number(event.NumCell(event.Time, uint64(cut(int64(v.n), col.Fsp)), 0))
	}
	return constantCell{}, errNotKind
}

// cut drops the digits of a second that a column does not hold.
func cut(micros int64, fsp uint8) int64 {
	unit := int64(1)
	for range 6 - min(fsp, 6) {
		unit *= 10
	}
	return micros - micros%unit
}

func whole(v value) (int64, error) {
	switch v.class {
	case isInt:
		return int64(v.n), nil
	case isUint:
		return 0, errRange
	case isDecimal:
		negative, digits, fraction := partsOf(viewBytes(v.s))
		if len(fraction) > 0 {
			return 0, errNotWhole
		}
		if len(digits) == 0 {
			return 0, nil
		}
		s := string(digits)
		if negative {
			s = "-" + s
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, errRange
		}
		return n, nil
	case isFloat:
		if v.f != math.Trunc(v.f) {
			return 0, errNotWhole
		}
		if v.f < math.MinInt64 || v.f >= math.MaxInt64 {
			return 0, errRange
		}
		return int64(v.f), nil
	}
	return 0, errNotNumber
}

func wholeUnsigned(v value) (uint64, error) {
	if v.class == isUint {
		return v.n, nil
	}
	if v.class == isDecimal {
		negative, digits, fraction := partsOf(viewBytes(v.s))
		if len(fraction) == 0 && !negative && len(digits) > 0 {
			n, err := strconv.ParseUint(string(digits), 10, 64)
			if err != nil {
				return 0, errRange
			}
			return n, nil
		}
	}
	n, err := whole(v)
	if err == nil && n < 0 {
		err = errRange
	}
	return uint64(n), err
}

func convertInteger(v value, col *schemas.Column) (constantCell, error) {
	bits := [...]uint{schemas.TinyInt: 8, schemas.SmallInt: 16, schemas.MediumInt: 24, schemas.Int: 32, schemas.BigInt: 64}[col.Type]
	if col.Unsigned {
		n, err := wholeUnsigned(v)
		if err == nil && bits < 64 && n>>bits != 0 {
			err = errRange
		}
		return constantCell{cell: event.UintCell(n), kind: event.Uint}, err
	}
	n, err := whole(v)
	if err == nil && (n > 1<<(bits-1)-1 || n < -1<<(bits-1)) {
		err = errRange
	}
	return constantCell{cell: event.IntCell(n), kind: event.Int}, err
}

func convertDecimal(v value, col *schemas.Column, buf []byte) (constantCell, error) {
	if v.class == isFloat {
		v = value{class: isDecimal, s: floatDigits(v.f)}
	}
	if !v.class.number() {
		return constantCell{}, errNotNumber
	}
	s := rescale(v.decimalText(), int(col.Scale))
	negative, digits, _ := partsOf(viewBytes(s))
	if len(digits) > int(col.Precision)-int(col.Scale) || negative && col.Unsigned {
		return constantCell{}, errRange
	}
	return arena(event.Decimal, append(buf[:0], s...))
}

func convertText(v value, col *schemas.Column, buf []byte) (constantCell, error) {
	if v.class != isText && v.class != isJSON {
		return constantCell{}, errNotText
	}
	if col.Type.IsBinary() {
		if col.Type <= schemas.VarBinary && len(v.s) > int(col.Length) {
			return constantCell{}, errTextLong
		}
		buf = append(buf[:0], v.s...)
		for col.Type == schemas.Binary && len(buf) < int(col.Length) {
			buf = append(buf, 0)
		}
		return arena(event.Bytes, buf)
	}
	if !utf8.ValidString(v.s) {
		return constantCell{}, errNotUTF8
	}
	if (col.Type == schemas.Char || col.Type == schemas.VarChar) && col.Length > 0 && utf8.RuneCountInString(v.s) > int(col.Length) {
		return constantCell{}, errTextLong
	}
	return arena(event.String, append(buf[:0], v.s...))
}

func convertMembers(v value, col *schemas.Column) (constantCell, error) {
	if v.class != isText {
		return constantCell{}, errNotText
	}
	find := func(name string) int {
		for i, m := range col.Members {
			if m == name {
				return i
			}
		}
		return -1
	}
	if col.Type == schemas.Enum {
		i := find(v.s)
		if i < 0 {
			return constantCell{}, errNotMember
		}
		return number(event.NumCell(event.Enum, uint64(i+1), 0))
	}
	var bits uint64
	for name := range strings.SplitSeq(v.s, ",") {
		if v.s == "" {
			break
		}
		i := find(name)
		if i < 0 {
			return constantCell{}, errNotMember
		}
		bits |= 1 << i
	}
	return number(event.NumCell(event.SetBits, bits, 0))
}

func convertDate(v value, col *schemas.Column) (constantCell, error) {
	if v.class == isText {
		var ok bool
		if v, ok = parseDate(v.s); !ok {
			return constantCell{}, errNotDate
		}
	}
	if !v.class.date() {
		return constantCell{}, errNotDate
	}
	c := v.civil()
	c.Micro = int(cut(int64(c.Micro), col.Fsp))
	switch col.Type {
	case schemas.Date:
		c.Hour, c.Minute, c.Second, c.Micro = 0, 0, 0, 0
		return number(event.NumCell(event.Date, c.Pack(), 0))
	case schemas.DateTime:
		return number(event.NumCell(event.DateTime, c.Pack(), 0))
	}
	if c == (event.Civil{}) {
		return number(event.NumCell(event.Timestamp, 0, event.ZeroTime))
	}
	t := time.Date(c.Year, time.Month(c.Month), c.Day, c.Hour, c.Minute, c.Second, c.Micro*1000, time.UTC)
	if c.IsZeroDate() || t.Unix() < 0 || t.Unix() > math.MaxUint32 {
		return constantCell{}, errRange
	}
	return number(event.NumCell(event.Timestamp, uint64(t.UnixMicro()), 0))
}

func convertJSON(v value, buf []byte) (constantCell, error) {
	switch v.class {
	case isText:
		if !json.Valid(viewBytes(v.s)) {
			return constantCell{}, errNotJSON
		}
		return arena(event.JSON, append(buf[:0], v.s...))
	case isBool:
		return arena(event.JSON, strconv.AppendBool(buf[:0], v.n == 1))
	case isJSON, isInt, isUint, isDecimal, isFloat:
		return arena(event.JSON, appendValue(buf[:0], v))
	}
	return constantCell{}, errNotText
}
