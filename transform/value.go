package transform

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"

	"cdc/event"
)

// class is what a value is while an expression is evaluated.
type class uint8

const (
	isAbsent class = iota // the row image does not hold the column
	isNull
	isBool
	isInt      // n, signed
	isUint     // n beyond the signed ones
	isDecimal  // s, as the server prints it
	isFloat    // f
	isText     // s, also bytes
	isDate     // n, packed as in event.Civil
	isDateTime // n, the same
	isMoment   // n, microseconds since 1970 UTC; TIMESTAMP
	isTime     // n, microseconds
	isJSON     // s
)

var classNames = [...]string{"absent", "null", "a condition", "a number", "a number", "a number", "a number", "text", "a date", "a date", "a date", "a time", "JSON"}

func (c class) String() string { return classNames[c] }

func (c class) number() bool { return c >= isInt && c <= isFloat }

func (c class) date() bool { return c >= isDate && c <= isMoment }

// value is one value of an expression. Its text may be a view of the batch's arena: it is used up before the arena is.
type value struct {
	s     string
	n     uint64
	f     float64
	class class
	why   uint8 // of an absent one
}

// Why a value is absent.
const (
	noColumn uint8 = iota // the row image lacks the column
	noImage               // there is no such image
	inPart                // a partial update of a JSON document
)

func null() value { return value{class: isNull} }

func boolean(v bool) value {
	if v {
		return value{class: isBool, n: 1}
	}
	return value{class: isBool}
}

func integer(v int64) value { return value{class: isInt, n: uint64(v)} }

func unsigned(v uint64) value {
	if v <= math.MaxInt64 {
		return value{class: isInt, n: v}
	}
	return value{class: isUint, n: v}
}

func text(s string) value { return value{class: isText, s: s} }

func float(f float64) value { return value{class: isFloat, f: f} }

func (v value) isTrue() bool { return v.class == isBool && v.n == 1 }

// decimalText gives an exact number as text.
func (v value) decimalText() string {
	switch v.class {
	case isInt:
		return strconv.FormatInt(int64(v.n), 10)
	case isUint:
		return strconv.FormatUint(v.n, 10)
	}
	return v.s
}

func (v value) float() float64 {
	switch v.class {
	case isInt:
		return float64(int64(v.n))
	case isUint:
		return float64(v.n)
	case isDecimal:
		f, _ := strconv.ParseFloat(v.s, 64)
		return f
	}
	return v.f
}

// compareNumbers is exact but where a float is one of them: then it is as near as floats are.
func compareNumbers(x, y value) int {
	switch {
	case x.class == isInt && y.class == isInt:
		return cmp.Compare(int64(x.n), int64(y.n))
	case x.class == isFloat || y.class == isFloat:
		return cmp.Compare(x.float(), y.float())
	case x.class != isDecimal && y.class != isDecimal: // one of them is beyond the signed ones
		if x.class == y.class {
			return cmp.Compare(x.n, y.n)
		}
		return cmp.Compare(x.class, y.class)
	}
	var bx, by [24]byte
	return compareDecimals(digitsOf(x, bx[:0]), digitsOf(y, by[:0]))
}

// digitsOf gives the text of an exact number without allocating.
func digitsOf(v value, buf []byte) []byte {
	switch v.class {
	case isInt:
		return strconv.AppendInt(buf, int64(v.n), 10)
	case isUint:
		return strconv.AppendUint(buf, v.n, 10)
	}
	return viewBytes(v.s)
}

// comparable says whether two values may be compared; order is their order then.
func compare(x, y value) (order int, ok bool) {
	switch {
	case x.class.number() && y.class.number():
		return compareNumbers(x, y), true
	case x.class == isText && y.class == isText:
		return strings.Compare(x.s, y.s), true
	case x.class == isBool && y.class == isBool, x.class == isTime && y.class == isTime:
		return cmp.Compare(int64(x.n), int64(y.n)), true
	case x.class.date() && y.class.date():
		if x.class == isMoment && y.class == isMoment {
			return cmp.Compare(int64(x.n), int64(y.n)), true
		}
		return cmp.Compare(x.civil().Pack(), y.civil().Pack()), true
	}
	return 0, false
}

// civil gives a date as date and time of day; that of a moment is in UTC.
func (v value) civil() event.Civil {
	if v.class == isMoment {
		return civilOfMicros(int64(v.n))
	}
	return event.NumCell(event.DateTime, v.n, 0).Civil()
}

// arithmetic works out x op y for numbers. It is exact but where a float is one of them.
func arithmetic(op byte, x, y value) (value, string) {
	if x.class == isFloat || y.class == isFloat {
		a, b := x.float(), y.float()
		var f float64
		switch op {
		case '+':
			f = a + b
		case '-':
			f = a - b
		case '*':
			f = a * b
		case '/':
			if b == 0 {
				return null(), ""
			}
			f = a / b
		case '%':
			if b == 0 {
				return null(), ""
			}
			f = math.Mod(a, b)
		}
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return null(), "the result is no number"
		}
		return float(f), ""
	}
	if x.class == isInt && y.class == isInt {
		a, b := int64(x.n), int64(y.n)
		switch op {
		case '+':
			if c := a + b; (c > a) == (b > 0) {
				return integer(c), ""
			}
		case '-':
			if c := a - b; (c < a) == (b > 0) {
				return integer(c), ""
			}
		case '*':
			if a == 0 || b == 0 {
				return integer(0), ""
			}
			if c := a * b; c/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64) {
				return integer(c), ""
			}
		case '%':
			if b == 0 {
				return null(), ""
			}
			if b == -1 {
				return integer(0), ""
			}
			return integer(a % b), ""
		}
	}
	return decimalArithmetic(op, x, y)
}

func decimalArithmetic(op byte, x, y value) (value, string) {
	a, as := unscaled(x.decimalText())
	b, bs := unscaled(y.decimalText())
	scale := max(as, bs)
	switch op {
	case '*':
		a.Mul(a, b)
		scale = as + bs
	case '/':
		if b.Sign() == 0 {
			return null(), ""
		}
		scale = as + divisionDigits
		// a/10^as / (b/10^bs), to scale digits and one more for rounding
		a.Mul(a, pow10(bs+divisionDigits+1))
		a.Quo(a, b)
		a = roundLast(a)
	default:
		a.Mul(a, pow10(scale-as))
		b.Mul(b, pow10(scale-bs))
		switch op {
		case '+':
			a.Add(a, b)
		case '-':
			a.Sub(a, b)
		case '%':
			if b.Sign() == 0 {
				return null(), ""
			}
			a.Rem(a, b)
		}
	}
	return scaled(a, scale), ""
}

// divisionDigits is what a quotient has more behind the point than the dividend: div_precision_increment.
const divisionDigits = 4

// roundLast drops the last digit, rounding half away from zero.
func roundLast(a *big.Int) *big.Int {
	five := big.NewInt(5)
	if a.Sign() < 0 {
		five.Neg(five)
	}
	a.Add(a, five)
	return a.Quo(a, big.NewInt(10))
}
