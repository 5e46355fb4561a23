package traffic

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// literal makes a value of a column as SQL.
type literal func(*rand.Rand) string

// pick takes one of a few.
func pick(list ...string) literal {
	return func(r *rand.Rand) string { return list[r.IntN(len(list))] }
}

// among is an integer from low to high.
func among(low, high int64) literal {
	return func(r *rand.Rand) string { return fmt.Sprint(low + r.Int64N(high-low+1)) }
}

// edges is now and then one of the values named, which are those at the ends of a type, else one of f.
func edges(f literal, ends ...string) literal {
	return func(r *rand.Rand) string {
		if r.IntN(4) == 0 {
			return ends[r.IntN(len(ends))]
		}
		return f(r)
	}
}

// orNull is NULL now and then.
func orNull(f literal) literal {
	return func(r *rand.Rand) string {
		if r.IntN(5) == 0 {
			return "NULL"
		}
		return f(r)
	}
}

// quote makes a literal of text without backslashes.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// words are texts that some collations hold for equal and others do not: case, accents, ligatures, spaces at the end, characters that are nothing.
var words = []string{
	"a", "A", "á", "Ä", "ae", "æ", "b", "B", "ß", "ss", "SS", "ẞ", "straße", "STRASSE", "e\u0301", "é", "E", "", "a ", " a", "i", "İ", "ı", "I", "ñ", "n\u0303", "日本", "にほん",
	"ﬃ", "ffi", "😀", "o'clock", "100%", "under_score", "a\u00adb", "ab",
}

// word is a text of words.
func word(r *rand.Rand) string { return quote(words[r.IntN(len(words))]) }

// western are those that latin1 can hold.
var western = pick(quote("a"), quote("A"), quote("á"), quote("Ä"), quote("b"), quote("ß"), quote("ss"), quote("é"), quote("E"), quote(""), quote("a "), quote("ñ"), quote("N"))

// basic are those of three bytes at most.
var basic = pick(quote("a"), quote("A"), quote("á"), quote("日本"), quote("ß"), quote("ss"), quote(""), quote("b "), quote("б"))

// ascii are those of one byte.
var ascii = pick(quote("a"), quote("A"), quote("b"), quote("B"), quote("c"), quote(""), quote("a b"))

// text is a longer one, now and then much longer.
func text(most int) literal {
	return func(r *rand.Rand) string {
		n := 1 + r.IntN(12)
		if r.IntN(20) == 0 {
			n = 1 + r.IntN(most)
		}
		var b strings.Builder
		for range n {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(' ')
		}
		return quote(b.String())
	}
}

// bytes is binary of up to so many bytes.
func bytes(most int) literal {
	return func(r *rand.Rand) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = byte(r.IntN(256))
			if r.IntN(6) == 0 {
				b[i] = 0
			}
		}
		if len(b) == 0 {
			return "''"
		}
		return "X'" + hex.EncodeToString(b) + "'"
	}
}

// few is binary of which there are few.
var few = pick("''", "X'00'", "X'0000'", "X'61'", "X'6100'", "X'41'", "X'FF'", "X'FF00FF'", "X'20'", "X'6120'")

// date is now and then none, which a server takes in some modes only.
func date(r *rand.Rand) string {
	if r.IntN(12) == 0 {
		return pick("'0000-00-00'", "'2024-00-00'", "'0000-01-01'")(r)
	}
	return fmt.Sprintf("'%04d-%02d-%02d'", 1000+r.IntN(9000), 1+r.IntN(12), 1+r.IntN(28))
}

// fraction is that of a second, with so many digits.
func fraction(r *rand.Rand, digits int) string {
	if digits == 0 {
		return ""
	}
	return fmt.Sprintf(".%06d", r.IntN(1e6))[:digits+1]
}

func clock(r *rand.Rand) string {
	return fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
}

func dateTime(digits int) literal {
	return func(r *rand.Rand) string {
		return fmt.Sprintf("'%04d-%02d-%02d %s%s'", 1000+r.IntN(9000), 1+r.IntN(12), 1+r.IntN(28), clock(r), fraction(r, digits))
	}
}

// timestamp is one that exists in every time zone.
func timestamp(digits int) literal {
	return func(r *rand.Rand) string {
		if r.IntN(6) == 0 {
			return fmt.Sprintf("NOW(%d)", digits)
		}
		return fmt.Sprintf("'%04d-%02d-%02d %s%s'", 1971+r.IntN(60), 1+r.IntN(12), 2+r.IntN(26), clock(r), fraction(r, digits))
	}
}

func timeOfDay(digits int) literal {
	return func(r *rand.Rand) string {
		sign := ""
		if r.IntN(3) == 0 {
			sign = "-"
		}
		return fmt.Sprintf("'%s%d:%02d:%02d%s'", sign, r.IntN(838), r.IntN(60), r.IntN(60), fraction(r, digits))
	}
}

// decimal has so many digits, some of them behind the point.
func decimal(digits, behind int) literal {
	return func(r *rand.Rand) string {
		var b strings.Builder
		if r.IntN(2) == 0 {
			b.WriteByte('-')
		}
		for range 1 + r.IntN(digits-behind) {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		b.WriteByte('.')
		for range 1 + r.IntN(max(behind, 1)) {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		return b.String()
	}
}

// floating is a floating-point number of few or of many digits.
func floating(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return fmt.Sprint(r.IntN(100))
	case 1:
		return fmt.Sprintf("%d.1", r.IntN(1000))
	case 2:
		return fmt.Sprintf("%de%d", 1+r.IntN(9), r.IntN(30))
	}
	return fmt.Sprintf("%.9f", r.NormFloat64()*1000)
}

func document(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return pick("'null'", "'[]'", "'{}'", "'\"text\"'", "'17'", "'-0.5'", "'true'")(r)
	case 1:
		return fmt.Sprintf(`'[%d, "%s", [null, {"b": [1.5, false]}]]'`, r.IntN(1000), pick("a", "é", "日本", "")(r))
	}
	return fmt.Sprintf(`'{"n": %d, "s": "%s", "list": [%d, %d], "deep": {"x": {"y": %d}}, "big": 18446744073709551615}'`, r.IntN(100), pick("a", "ß", "😀", "long "+strings.Repeat("x", r.IntN(300)))(r), r.IntN(9), r.IntN(9), r.IntN(9))
}

func point(r *rand.Rand) string {
	return fmt.Sprintf("ST_GeomFromText('POINT(%d %d.5)')", r.IntN(100)-50, r.IntN(100)-50)
}

func shape(r *rand.Rand) string {
	n := r.IntN(50)
	return pick(
		fmt.Sprintf("ST_GeomFromText('LINESTRING(0 0,%d 1,2 2)')", n),
		fmt.Sprintf("ST_GeomFromText('POLYGON((0 0,%d 0,%d 9,0 0))')", n+1, n+1),
		fmt.Sprintf("ST_GeomFromText('MULTIPOINT(1 1,%d 2)')", n),
		fmt.Sprintf("ST_GeomFromText('GEOMETRYCOLLECTION(POINT(%d 1),LINESTRING(0 0,1 1))')", n),
	)(r)
}
