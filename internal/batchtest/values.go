package batchtest

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"cdc/event"
	"cdc/schemas"
)

// intBits are the widths of the integer types.
func intBits(t schemas.Type) int {
	switch t {
	case schemas.TinyInt:
		return 8
	case schemas.SmallInt:
		return 16
	case schemas.MediumInt:
		return 24
	case schemas.Int:
		return 32
	}
	return 64
}

// texts are strings that have broken an encoder somewhere. The lengths around 8 are for those that look at eight bytes at a time.
var texts = [...]string{
	"", "a", "hello", `"`, `\`, `\\"`, "\x00", "\x1f", "\x7f", "\b\f\n\r\t", "1234567", "12345678", "123456789", `1234567"`, `12345678"`, "1234567\n",
	"</script>&amp;", "\u2028\u2029", "\ufeff", "\ufffd", "é", "1234567é", "表示", "😀👨\u200d👩\u200d👧", "\U0010ffff", "e\u0301", "null", "true", "0", "\u0080",
	"2024-01-02 03:04:05", "__debezium_unavailable_value", "' or 1=1 --", "trailing space ",
}

// jsons are documents as MySQL prints them.
var jsons = [...]string{
	"null", "true", "0", "-1", "1.0", "1e300", "18446744073709551615", `""`, `"a\"b\\c\n"`, "[]", "{}", `[1, "two", null, [3]]`, `{"a": 1, "b": {"c": [true, false]}}`,
	`{"": 0, "é": "表", "x": 1.7976931348623157e308}`, `"2024-01-02 03:04:05.000000"`, `"base64:type15:AQI="`,
}

// brokenTexts are bytes that are not valid UTF-8.
var brokenTexts = [...]string{"\xff", "a\x80b", "\xc3", "12345678\xe8\xa1", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80"}

// daysOfMonth are right for every year but a leap year's February 29, which Edges adds.
var daysOfMonth = [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// roundMicro drops the digits that fsp does not hold.
func roundMicro(micro int64, fsp uint8) int64 {
	unit := int64(1)
	for range 6 - min(int(fsp), 6) {
		unit *= 10
	}
	return micro / unit * unit
}

const day = 86400e6

// timeLimit is the largest TIME, 838:59:59, in microseconds.
const timeLimit = (838*3600 + 59*60 + 59) * 1_000_000

// Edges gives the edge values of a column: all within its range, without NULL, and without zero dates.
func Edges(c *schemas.Column) []Value {
	var vs []Value
	k := event.KindOf(c)
	switch k {
	case event.Int:
		b := intBits(c.Type)
		for _, v := range []int64{0, 1, -1, 9, 10, 99, 100, 127, -128, 1<<(b-1) - 1, -1 << (b - 1), 1<<(b-2) + 1} {
			vs = append(vs, Int(v))
		}
	case event.Uint:
		b := intBits(c.Type)
		for _, v := range []uint64{0, 1, 9, 10, 99, 100, 255, 1 << (b - 1), 1<<(b-1) - 1, 1<<b - 1} {
			vs = append(vs, Uint(v))
		}
	case event.Float32:
		for _, v := range []float32{
			0, float32(math.Copysign(0, -1)), 1, -1, 0.1, 1.5, 0.001, 0.000999, 9999999, 1e7, 123456.79, 1e10, 1e-10, 16777216, math.MaxFloat32,
			math.SmallestNonzeroFloat32, 3.4e-5, 1e21, 100,
		} {
			vs = append(vs, Float(v))
		}
	case event.Float64:
		for _, v := range []float64{
			0, math.Copysign(0, -1), 1, -1, 0.1, 1.5, 0.001, 0.000999, 9999999, 1e7, 12345678.9, 1e10, 1e-10, 1 << 53, math.MaxFloat64,
			math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 1e21, 1e20, 1e-6, 1e-7, 123456789012345680, 1e23, 2e23, 100, 1.0e22,
		} {
			vs = append(vs, Double(v))
		}
	case event.Decimal:
		vs = decimalEdges(c)
	case event.String:
		for _, s := range texts {
			vs = append(vs, Text(s))
		}
	case event.Bytes:
		for _, s := range []string{"", "\x00", "a", "ab", "abc", "\xff\xfe", "1234567", "\xfb\xff\xbf"} {
			if c.Type == schemas.Binary {
				s = (s + strings.Repeat("\x00", int(c.Length)))[:c.Length]
			}
			vs = append(vs, Bytes(s))
		}
	case event.Date:
		vs = append(vs, Date(1, 1, 1), Date(1000, 1, 1), Date(1969, 12, 31), Date(1970, 1, 1), Date(2000, 2, 29), Date(2024, 2, 29), Date(2024, 12, 31), Date(9999, 12, 31))
	case event.DateTime:
		for _, v := range []event.Civil{
			{Year: 1, Month: 1, Day: 1},
			{Year: 1000, Month: 1, Day: 1},
			{Year: 1969, Month: 12, Day: 31, Hour: 23, Minute: 59, Second: 59, Micro: 999999},
			{Year: 1970, Month: 1, Day: 1},
			{Year: 2024, Month: 2, Day: 29, Hour: 12, Minute: 34, Second: 56, Micro: 123456},
			{Year: 2024, Month: 1, Day: 2, Hour: 3, Minute: 4, Second: 5, Micro: 120000},
			{Year: 9999, Month: 12, Day: 31, Hour: 23, Minute: 59, Second: 59, Micro: 999999},
		} {
			v.Micro = int(roundMicro(int64(v.Micro), c.Fsp))
			vs = append(vs, DateTime(v))
		}
	case event.Timestamp:
		for _, v := range []int64{1e6, Commit, 1704164645100000, 1704164645000001, 2147483647e6 + 999999, 4294967295e6} {
			vs = append(vs, Num(k, roundMicro(v, c.Fsp)))
		}
	case event.Time:
		for _, v := range []int64{0, 1e6, -1e6, 1, -1, 100000, 3723e6 + 123456, day - 1, day, timeLimit, -timeLimit, -day - 1} {
			vs = append(vs, Num(k, roundMicro(v, c.Fsp)))
		}
	case event.Year:
		vs = append(vs, Num(k, 0), Num(k, 1901), Num(k, 1970), Num(k, 2155))
	case event.Enum:
		for i := range len(c.Members) + 1 {
			vs = append(vs, Num(k, int64(i)))
		}
	case event.SetBits:
		n := len(c.Members)
		vs = append(vs, Num(k, 0), Num(k, 1), Num(k, 1<<(n-1)), Value{Kind: k, Num: 1<<n - 1})
	case event.Bits:
		n := int(c.Length)
		vs = append(vs, Num(k, 0), Num(k, 1), Num(k, 1<<(n-1)), Value{Kind: k, Num: 1<<n - 1})
	case event.JSON:
		for _, s := range jsons {
			vs = append(vs, JSON(s))
		}
	case event.Geometry:
		for _, srid := range []uint32{0, 4326} {
			vs = append(vs, Arena(k, GeometryText(c.Geometry, srid)))
		}
	case event.Vector:
		vs = append(vs, Arena(k, vector(c.Length, 0)), Arena(k, vector(c.Length, 1.5)), Arena(k, vector(c.Length, -3.4e38)))
	case event.UUID:
		vs = append(vs, Arena(k, strings.Repeat("\x00", 16)), Arena(k, "\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x55\x44\x00\x00"), Arena(k, strings.Repeat("\xff", 16)))
	case event.INET6:
		vs = append(vs, Arena(k, strings.Repeat("\x00", 16)), Arena(k, "\x20\x01\x0d\xb8"+strings.Repeat("\x00", 11)+"\x01"),
			Arena(k, strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x01"), Arena(k, strings.Repeat("\xff", 16)),
			Arena(k, strings.Repeat("\x00", 15)+"\x01"), Arena(k, strings.Repeat("\x00", 12)+"\xc0\x00\x02\x01"))
	case event.INET4:
		vs = append(vs, Arena(k, "\x00\x00\x00\x00"), Arena(k, "\xc0\x00\x02\x01"), Arena(k, "\xff\xff\xff\xff"))
	}
	return vs
}

func decimalEdges(c *schemas.Column) []Value {
	whole, scale := int(c.Precision-c.Scale), int(c.Scale)
	num := func(w, f string) string {
		w = strings.TrimLeft(w[max(0, len(w)-whole):], "0")
		if w == "" {
			w = "0"
		}
		if scale == 0 {
			return w
		}
		return w + "." + (f + strings.Repeat("0", scale))[:scale]
	}
	nines := strings.Repeat("9", 65)
	all := []string{num("0", ""), num("1", ""), num(nines, nines), num("123456789012345678901234567890", "123456789"), num("128", "")}
	if !c.Unsigned {
		for _, s := range all[1:] {
			if strings.Trim(s, "0.") != "" {
				all = append(all, "-"+s)
			}
		}
	}
	var vs []Value
	for _, s := range all {
		vs = append(vs, Decimal(s))
	}
	return vs
}

func vector(n uint32, v float32) string {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v/float32(i+1)))
	}
	return string(b)
}

// GeometryText makes a value of a spatial type: SRID and WKB. The type 0 is drawn as a point.
func GeometryText(g schemas.GeometryKind, srid uint32) string {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, srid)
	head := func(typ uint32) { b = le.AppendUint32(append(b, 1), typ) }
	points := func(xy ...float64) {
		for _, v := range xy {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	}
	line := func(xy ...float64) {
		b = le.AppendUint32(b, uint32(len(xy)/2))
		points(xy...)
	}
	switch g {
	case 2:
		head(2)
		line(0, 0, 1, 1.5)
	case 3:
		head(3)
		b = le.AppendUint32(b, 1)
		line(0, 0, 1, 0, 1, 1, 0, 0)
	case 4:
		head(4)
		b = le.AppendUint32(b, 1)
		head(1)
		points(-1, 1e-7)
	case 5:
		head(5)
		b = le.AppendUint32(b, 1)
		head(2)
		line(0, 0, 1, 1)
	case 6:
		head(6)
		b = le.AppendUint32(b, 1)
		head(3)
		b = le.AppendUint32(b, 1)
		line(0, 0, 1, 0, 1, 1, 0, 0)
	case 7:
		head(7)
		b = le.AppendUint32(b, 1)
		head(1)
		points(1, 2)
	default:
		head(1)
		points(1.5, -2.25)
	}
	return string(b)
}

// ValuesOf draws a value of a column, without NULL and without zero dates: half of them edges, half at random.
func ValuesOf(c *schemas.Column) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		edges := Edges(c)
		if rapid.Bool().Draw(t, "edge") {
			return rapid.SampledFrom(edges).Draw(t, "value")
		}
		k := event.KindOf(c)
		switch k {
		case event.Int:
			lim := int64(1)<<(intBits(c.Type)-1) - 1
			return Int(rapid.Int64Range(-lim-1, lim).Draw(t, "int"))
		case event.Uint:
			return Uint(rapid.Uint64Max(1<<intBits(c.Type)-1).Draw(t, "uint"))
		case event.Float32:
			return Float(rapid.Float32().Draw(t, "float"))
		case event.Float64:
			return Double(rapid.Float64().Draw(t, "double"))
		case event.Decimal:
			return Decimal(randomDecimal(t, c))
		case event.String:
			return Text(rapid.String().Draw(t, "text"))
		case event.Bytes:
			s := string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))
			if c.Type == schemas.Binary {
				s = (s + strings.Repeat("\x00", int(c.Length)))[:c.Length]
			}
			return Bytes(s)
		case event.Date:
			y, m, d := randomDay(t)
			return Date(y, m, d)
		case event.DateTime:
			y, m, d := randomDay(t)
			at := rapid.Int64Range(0, day-1).Draw(t, "time")
			s := int(at / 1e6)
			return DateTime(event.Civil{
				Year: y, Month: m, Day: d, Hour: s / 3600, Minute: s / 60 % 60, Second: s % 60, Micro: int(roundMicro(at%1e6, c.Fsp)),
			})
		case event.Timestamp:
			return Num(k, roundMicro(rapid.Int64Range(1e6, 4294967295e6+999999).Draw(t, "timestamp"), c.Fsp))
		case event.Time:
			return Num(k, roundMicro(rapid.Int64Range(-timeLimit, timeLimit).Draw(t, "time"), c.Fsp))
		case event.Year:
			return Num(k, rapid.Int64Range(1901, 2155).Draw(t, "year"))
		case event.SetBits:
			return Value{Kind: k, Num: rapid.Uint64Max(1<<len(c.Members)-1).Draw(t, "set")}
		case event.Bits:
			return Value{Kind: k, Num: rapid.Uint64Max(1<<c.Length-1).Draw(t, "bits")}
		case event.JSON:
			return JSON(randomJSON(t, 3))
		case event.Vector:
			return Arena(k, vector(c.Length, rapid.Float32Range(-1e30, 1e30).Draw(t, "vector")))
		case event.UUID, event.INET6, event.INET4:
			n := 16
			if k == event.INET4 {
				n = 4
			}
			return Arena(k, string(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")))
		}
		return rapid.SampledFrom(edges).Draw(t, "value")
	})
}

func randomDay(t *rapid.T) (y, m, d int) {
	y, m = rapid.IntRange(1, 9999).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month")
	return y, m, rapid.IntRange(1, daysOfMonth[m-1]).Draw(t, "day")
}

func randomDecimal(t *rapid.T, c *schemas.Column) string {
	digits := rapid.SliceOfN(rapid.IntRange(0, 9), int(c.Precision), int(c.Precision)).Draw(t, "digits")
	var b strings.Builder
	for _, d := range digits {
		b.WriteByte(byte('0' + d))
	}
	s := b.String()
	w := strings.TrimLeft(s[:len(s)-int(c.Scale)], "0")
	if w == "" {
		w = "0"
	}
	if c.Scale > 0 {
		w += "." + s[len(s)-int(c.Scale):]
	}
	if !c.Unsigned && strings.Trim(w, "0.") != "" && rapid.Bool().Draw(t, "negative") {
		w = "-" + w
	}
	return w
}

// randomJSON draws a document as MySQL prints it: ", " and ": " as separators.
func randomJSON(t *rapid.T, depth int) string {
	most := 6
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "json") {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
	case 1:
		return strconv.FormatInt(rapid.Int64().Draw(t, "number"), 10)
	case 2:
		return strconv.FormatFloat(rapid.Float64Range(-1e15, 1e15).Draw(t, "double"), 'e', -1, 64)
	case 3, 4:
		return quote(rapid.SampledFrom(texts[:]).Draw(t, "string"))
	case 5:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			parts = append(parts, randomJSON(t, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	var parts []string
	for i := range rapid.IntRange(0, 3).Draw(t, "length") {
		parts = append(parts, quote(strings.Repeat("k", i)+rapid.SampledFrom(texts[:]).Draw(t, "key"))+": "+randomJSON(t, depth-1))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// quote writes a JSON string as MySQL does: only what must be escaped is.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x20:
			b.WriteString(`\u00`)
			b.WriteByte("0123456789abcdef"[r>>4])
			b.WriteByte("0123456789abcdef"[r&15])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
