package verify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cdc/event/sqltext"
	"cdc/schemas"
)

// form is how the values of a column are brought to one text on both servers.
type form uint8

const (
	digits   form = iota // integers, BIT, DECIMAL of one scale: digits without padding
	year                 // digits; four of them in a literal
	double               // FLOAT and DOUBLE: the shortest digits of the double, which both families print in one way
	ordinal              // ENUM and SET of the same members: the number
	temporal             // dates and times, TIMESTAMP in UTC
	raw                  // text of one character set, binary types, geometries: the bytes themselves
	text                 // text of different character sets, and everything else that is compared as text: in utf8mb4
	document             // JSON
)

// column is a column as it is compared.
type column struct {
	src, dst *schemas.Column
	form     form
	fsp      uint8 // of temporal, the larger of both
	big      bool  // hashed by itself, since a text of all columns would be too long
	loose    bool  // documents that may be written in different ways: equal as JSON is equal
	made     bool  // by the stream: src is what its transforms make, and its values are worked out here
	out      int   // of made: where src is in the table that the transforms make
}

// newColumn decides how two columns are compared.
func newColumn(src, dst *schemas.Column, sameServers bool) column {
	c := column{src: src, dst: dst, form: text}
	a, b := src.Type, dst.Type
	number := func(t schemas.Type) bool { return t.IsInteger() || t == schemas.Bit }
	switch {
	case a == schemas.JSON && b == schemas.JSON:
		c.form, c.loose = document, !sameServers
	case a == schemas.JSON && b.IsText(), b == schemas.JSON && a.IsText():
		c.form, c.loose = document, true
	case number(a) && number(b):
		c.form = digits
	case a == schemas.Decimal && b == schemas.Decimal && src.Scale == dst.Scale:
		c.form = digits
	case a == schemas.Year && b == schemas.Year:
		c.form = year
	case a == b && (a == schemas.Float || a == schemas.Double):
		c.form = double
	case a == b && (a == schemas.Enum || a == schemas.Set) && slices.Equal(src.Members, dst.Members):
		c.form = ordinal
	case a == b && (a == schemas.Date || a == schemas.Time || a == schemas.DateTime || a == schemas.Timestamp):
		c.form, c.fsp = temporal, max(src.Fsp, dst.Fsp)
	case a.IsBinary() && b.IsBinary(), a == b && (a == schemas.Geometry || a == schemas.Vector):
		c.form = raw
	case plainText(a) && plainText(b) && charset(src) == charset(dst):
		c.form = raw
	}
	return c
}

func plainText(t schemas.Type) bool { return t.IsText() && t != schemas.Enum && t != schemas.Set }

// charset gives a character set; those whose bytes are also utf8mb4 are one.
func charset(c *schemas.Column) string {
	switch c.Charset {
	case "utf8mb4", "utf8mb3", "utf8", "ascii":
		return "utf8mb4"
	}
	return c.Charset
}

// side gives the column of one of the sides.
func (c *column) side(target bool) *schemas.Column {
	if target {
		return c.dst
	}
	return c.src
}

// value is an expression for the text of the column, NULL for NULL.
func (c *column) value(target bool) string {
	k := c.side(target)
	n := sqltext.Name(k.Name)
	switch c.form {
	case digits:
		if k.Type == schemas.Bit || k.Zerofill {
			return n + "+0"
		}
	case year, ordinal:
		return n + "+0"
	case double:
		return doubleText(n)
	case temporal:
		if k.Fsp != c.fsp {
			to := "DATETIME"
			if k.Type == schemas.Time {
				to = "TIME"
			}
			return fmt.Sprintf("CAST(%s AS %s(%d))", n, to, c.fsp)
		}
	case text:
		if !k.Type.IsText() || charset(k) != "utf8mb4" {
			return "CONVERT(" + n + " USING utf8mb4)"
		}
	}
	return n
}

// doubleText is an expression for a text of a FLOAT or DOUBLE from which its double can be told.
//
// The servers print the shortest digits, but MySQL 8.0 and later cut what an expression gives at 22 characters, which -1.2345678901234568e-7 and
// 1.2345678901234568e-300 would lose digits by, and whether a number below 1 has an exponent is another thing in each version. So the sign stands before
// the number, and small numbers are multiplied by a power of two, which leaves their digits as they are; a letter says by which. -0 is 0.
func doubleText(n string) string {
	a := "ABS(" + n + ")"
	return "CONCAT(IF(" + n + "<0,'-',''),CASE WHEN " + a + ">=1 THEN CONCAT('a'," + a + "*1e0) WHEN " + a + ">=1e-280 THEN CONCAT('b'," + a + "*" + twoTo1000 +
		") ELSE CONCAT('c'," + a + "*" + twoTo1000 + "*" + twoTo150 + ") END)"
}

const (
	twoTo1000 = "1.0715086071862673e301"
	twoTo150  = "1.4272476927059599e45"
)

// plainDouble gives the number of a doubleText, in digits that every server reads as the same double.
func plainDouble(v []byte) string {
	text, negative := strings.CutPrefix(string(v), "-")
	if text == "" {
		return ""
	}
	f, err := strconv.ParseFloat(text[1:], 64)
	if err != nil {
		return string(v)
	}
	switch text[0] {
	case 'b':
		f = math.Ldexp(f, -1000)
	case 'c':
		f = math.Ldexp(f, -1150)
	}
	if negative {
		f = -f
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

// sized reports that the text may hold anything, so that its length must stand before it.
func (c *column) sized() bool { return c.form >= raw }

// most is how many bytes the text may have.
func (c *column) most(target bool) int64 {
	k := c.side(target)
	n := int64(k.Length)
	switch k.Type {
	case schemas.Char, schemas.VarChar:
		return 4 * n
	case schemas.Binary, schemas.VarBinary:
		return n
	case schemas.TinyText, schemas.TinyBlob:
		return 4 * 255
	case schemas.Text, schemas.Blob:
		return 2 * 65535 // of utf8mb4 as large as of latin1
	case schemas.MediumText, schemas.MediumBlob, schemas.LongText, schemas.LongBlob, schemas.JSON, schemas.Geometry:
		return 1 << 31
	case schemas.Vector:
		return 4 * n
	case schemas.Enum, schemas.Set:
		if c.form == ordinal {
			return 20
		}
		var sum int64
		for _, m := range k.Members {
			sum += 4*int64(len(m)) + 1
		}
		return sum
	}
	return 100
}

// items are the parts of the row's text that are of this column.
func (c *column) items(target bool) []string {
	v := c.value(target)
	switch {
	case c.big:
		return []string{"SHA2(" + v + ",256)"}
	case c.sized():
		return []string{"LENGTH(" + v + ")", v}
	}
	return []string{v}
}

// rowText is an expression for a text of all columns from which each of their values can be told, NULL too:
//
//	nulls # value # length # value ...
//
// CONCAT_WS leaves out what is NULL; nulls, a number with a bit for each column that may be NULL, says what it left out. What may hold the
// separator has its length before it. The separator's collation makes it all bytes, so that nothing is converted: an explicit collation wins
// over those of columns.
func rowText(columns []column, target bool) string {
	var b strings.Builder
	b.WriteString("CONCAT_WS(_binary'#' COLLATE `binary`")
	if len(columns) == 0 {
		b.WriteString(",''")
	}
	var bits []string
	nulls := func() {
		if len(bits) > 0 {
			b.WriteString("," + strings.Join(bits, "+"))
			bits = bits[:0]
		}
	}
	for i := range columns {
		c := &columns[i]
		if c.src.Nullable || c.dst.Nullable {
			bits = append(bits, fmt.Sprintf("ISNULL(%s)*%d", sqltext.Name(c.side(target).Name), uint64(1)<<len(bits)))
			if len(bits) == 60 {
				nulls()
			}
		}
	}
	nulls()
	for i := range columns {
		for _, item := range columns[i].items(target) {
			b.WriteString("," + item)
		}
	}
	b.WriteString(")")
	return b.String()
}

// shorten has columns hashed by themselves until the text of all is sure to fit a packet: a server gives NULL for a longer one.
func shorten(columns []column, packet int64) {
	const hashed = 64
	most := func(c *column) int64 { return max(c.most(false), c.most(true)) }
	var sum int64
	for i := range columns {
		c := &columns[i]
		if c.made {
			continue
		}
		if c.sized() && most(c) > 1<<20 {
			c.big = true
			sum += hashed
			continue
		}
		sum += most(c) + 12
	}
	for sum > packet/2 {
		worst := -1
		for i := range columns {
			if c := &columns[i]; c.sized() && !c.big && !c.made && most(c) > hashed && (worst < 0 || most(c) > most(&columns[worst])) {
				worst = i
			}
		}
		if worst < 0 {
			return
		}
		columns[worst].big = true
		sum -= most(&columns[worst]) - hashed
	}
}

// literal gives a value as SQL for the target or the source: to compare a column of a key with it, or to write it into the column.
func (c *column) literal(v []byte, target bool) string {
	k := c.side(target)
	switch {
	case v == nil:
		return "NULL"
	case c.form == digits && k.Type == schemas.Decimal:
		return "'" + string(v) + "'"
	case c.form == digits, c.form == ordinal:
		return string(v)
	case c.form == year:
		return "'" + strings.Repeat("0", max(0, 4-len(v))) + string(v) + "'"
	case c.form == double:
		return "'" + plainDouble(v) + "'"
	case c.form == temporal:
		return "'" + string(v) + "'"
	case len(v) == 0:
		return "''"
	case c.form == document, c.form == text:
		return fmt.Sprintf("_utf8mb4 0x%x", v)
	case plainText(k.Type):
		return fmt.Sprintf("_%s 0x%x", charset(k), v)
	}
	return fmt.Sprintf("0x%x", v)
}
