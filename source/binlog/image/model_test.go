package image

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"

	"cdc/schemas"
)

// A slow encoder of rows, written from the server's side of each format, and the text of what it encoded: the model that decoding is checked
// against.

type modelColumn struct {
	col  schemas.Column
	typ  byte   // in the table map
	meta []byte // in the metadata block
	// value gives a random value as the row holds it, and its text.
	value func(r *rand.Rand) (wire []byte, text string)
}

// modelRow is one image.
type modelRow struct {
	bytes []byte
	texts []string
}

// modelImage encodes an image with the columns of present.
func modelImage(r *rand.Rand, cols []modelColumn, present []byte, nulls float64) modelRow {
	var row modelRow
	var values, bitmap []byte
	n := 0
	for i, c := range cols {
		if present[i/8]>>(i%8)&1 == 0 {
			row.texts = append(row.texts, "<absent>")
			continue
		}
		if n%8 == 0 {
			bitmap = append(bitmap, 0)
		}
		if r.Float64() < nulls {
			bitmap[n/8] |= 1 << (n % 8)
			row.texts = append(row.texts, "<null>")
		} else {
			b, text := c.value(r)
			values = append(values, b...)
			row.texts = append(row.texts, text)
		}
		n++
	}
	row.bytes = append(bitmap, values...)
	return row
}

// modelMap is the body of a table map without optional metadata, except for signedness.
func modelMap(id uint64, cols []modelColumn) (types, meta, nulls, body []byte) {
	nulls = make([]byte, (len(cols)+7)/8)
	var signs []byte
	n := 0
	for i, c := range cols {
		types = append(types, c.typ)
		meta = append(meta, c.meta...)
		nulls[i/8] |= 1 << (i % 8)
		switch c.typ {
		case WireTiny, WireShort, WireInt24, WireLong, WireLongLong, WireDecimal, WireFloat, WireDouble:
			if n%8 == 0 {
				signs = append(signs, 0)
			}
			if c.col.Unsigned {
				signs[n/8] |= 0x80 >> (n % 8)
			}
			n++
		}
	}
	body = binary.LittleEndian.AppendUint64(nil, id)[:6]
	body = append(body, 1, 0, 1, 'd', 0, 1, 't', 0)
	body = appendLenenc(body, len(types))
	body = append(body, types...)
	body = appendLenenc(body, len(meta))
	body = append(append(body, meta...), nulls...)
	if len(signs) > 0 {
		body = append(body, 1)
		body = appendLenenc(body, len(signs))
		body = append(body, signs...)
	}
	return types, meta, nulls, body
}

func appendLenenc(b []byte, n int) []byte {
	if n < 251 {
		return append(b, byte(n))
	}
	return append(b, 0xfc, byte(n), byte(n>>8))
}

// modelEvent wraps a body into an event with a header and no checksum.
func modelEvent(typ byte, body []byte) []byte {
	e := make([]byte, 19, 19+len(body))
	e[4] = typ
	binary.LittleEndian.PutUint32(e[9:], uint32(19+len(body)))
	return append(e, body...)
}

// modelRows is the body of a version 2 rows event.
func modelRows(id uint64, columns int, images []byte, bitmaps ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, id)[:6]
	b = append(b, 0, 0, 2, 0)
	b = appendLenenc(b, columns)
	for _, m := range bitmaps {
		b = append(b, m...)
	}
	return append(b, images...)
}

func modelTable(cols []modelColumn) *schemas.Table {
	t := &schemas.Table{Database: "d", Name: "t"}
	for i, c := range cols {
		c.col.Name = "c" + strconv.Itoa(i+1)
		t.Columns = append(t.Columns, c.col)
	}
	return t
}

func le(v uint64, n int) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:n] }

func be(v uint64, n int) []byte { return binary.BigEndian.AppendUint64(nil, v)[8-n:] }

// edgy draws numbers with edges among them.
func edgy(r *rand.Rand) uint64 {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return math.MaxUint64
	case 2:
		return 1 << r.IntN(64)
	case 3:
		return 1<<r.IntN(64) - 1
	}
	return r.Uint64() >> r.IntN(64)
}

func modelInt(typ byte, t schemas.Type, bytes int, unsigned bool) modelColumn {
	return modelColumn{col: schemas.Column{Type: t, Unsigned: unsigned}, typ: typ, value: func(r *rand.Rand) ([]byte, string) {
		v := edgy(r)
		b := le(v, bytes)
		if unsigned {
			return b, strconv.FormatUint(v&(math.MaxUint64>>(64-8*bytes)), 10)
		}
		shift := 64 - 8*bytes
		return b, strconv.FormatInt(int64(v<<shift)>>shift, 10)
	}}
}

// modelDecimal writes digits group by group, as decimal2bin does.
func modelDecimal(precision, scale int) modelColumn {
	return modelColumn{
		col: schemas.Column{Type: schemas.Decimal, Precision: uint8(precision), Scale: uint8(scale)}, typ: WireDecimal, meta: []byte{byte(precision), byte(scale)},
		value: func(r *rand.Rand) ([]byte, string) {
			digits := make([]byte, precision)
			from := r.IntN(precision + 1)
			for i := range digits {
				digits[i] = '0'
				if i >= from {
					digits[i] += byte(r.IntN(10))
				}
			}
			whole, part := string(digits[:precision-scale]), string(digits[precision-scale:])
			negative := r.IntN(2) == 0 && strings.Trim(string(digits), "0") != ""
			var b []byte
			group := func(s string) {
				v, _ := new(big.Int).SetString(s, 10)
				size := []int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}[len(s)]
				b = append(b, v.FillBytes(make([]byte, size))...)
			}
			for s, first := whole, true; s != ""; first = false {
				n := 9
				if first && len(s)%9 != 0 {
					n = len(s) % 9
				}
				group(s[:n])
				s = s[n:]
			}
			for s := part; s != ""; {
				n := min(9, len(s))
				group(s[:n])
				s = s[n:]
			}
			if negative {
				for i := range b {
					b[i] = ^b[i]
				}
			}
			b[0] ^= 0x80
			text := strings.TrimLeft(whole, "0")
			if text == "" {
				text = "0"
			}
			if scale > 0 {
				text += "." + part
			}
			if negative {
				text = "-" + text
			}
			return b, text
		},
	}
}

// modelFraction gives the digits of micro seconds that fsp keeps, and their text.
func modelFraction(r *rand.Rand, fsp int) (micro int64, text string) {
	if fsp == 0 {
		return 0, ""
	}
	unit := int64(math.Pow10(6 - fsp))
	micro = r.Int64N(1000000/unit) * unit
	return micro, fmt.Sprintf(".%06d", micro)[:1+fsp]
}

// appendFraction is the tail of my_datetime_packed_to_binary and the like; negative fractions are of negative times.
func appendFraction(b []byte, micro int64, fsp int) []byte {
	switch (fsp + 1) / 2 {
	case 1:
		return append(b, byte(micro/10000))
	case 2:
		return append(b, be(uint64(micro/100), 2)...)
	case 3:
		return append(b, be(uint64(micro), 3)...)
	}
	return b
}

func modelDateTime(fsp int) modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.DateTime, Fsp: uint8(fsp)}, typ: WireDateTime, meta: []byte{byte(fsp)}, value: func(r *rand.Rand) ([]byte, string) {
		y, mo, d, h, mi, s := r.IntN(10000), r.IntN(13), r.IntN(32), r.IntN(24), r.IntN(60), r.IntN(60)
		micro, frac := modelFraction(r, fsp)
		ymd := uint64(y*13+mo)<<5 | uint64(d)
		hms := uint64(h)<<12 | uint64(mi)<<6 | uint64(s)
		return appendFraction(be(0x8000000000+(ymd<<17|hms), 5), micro, fsp), fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d%s", y, mo, d, h, mi, s, frac)
	}}
}

func modelTimestamp(fsp int) modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.Timestamp, Fsp: uint8(fsp)}, typ: WireTimestamp, meta: []byte{byte(fsp)}, value: func(r *rand.Rand) ([]byte, string) {
		if r.IntN(8) == 0 {
			return appendFraction(be(0, 4), 0, fsp), "0000-00-00 00:00:00" + strings.TrimSuffix("."+strings.Repeat("0", fsp), ".")
		}
		// Seconds counted by hand from the days of the months.
		y, mo, h, mi, s := 1970+r.IntN(136), r.IntN(12), r.IntN(24), r.IntN(60), 1+r.IntN(59)
		leap := func(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }
		days := func(y, mo int) int {
			if mo == 1 && leap(y) {
				return 29
			}
			return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[mo]
		}
		d := r.IntN(days(y, mo))
		total := d
		for i := range mo {
			total += days(y, i)
		}
		for i := 1970; i < y; i++ {
			for m := range 12 {
				total += days(i, m)
			}
		}
		micro, frac := modelFraction(r, fsp)
		return appendFraction(be(uint64(((total*24+h)*60+mi)*60+s), 4), micro, fsp), fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d%s", y, mo+1, d+1, h, mi, s, frac)
	}}
}

// modelTime follows my_time_packed_to_binary: one signed number with 24 bits of micro seconds, cut at the fraction.
func modelTime(fsp int) modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.Time, Fsp: uint8(fsp)}, typ: WireTime, meta: []byte{byte(fsp)}, value: func(r *rand.Rand) ([]byte, string) {
		h, mi, s := r.IntN(839), r.IntN(60), r.IntN(60)
		if r.IntN(4) == 0 {
			h, mi, s = 0, 0, r.IntN(2)
		}
		micro, frac := modelFraction(r, fsp)
		packed := (int64(h)<<12|int64(mi)<<6|int64(s))<<24 + micro
		text := fmt.Sprintf("%02d:%02d:%02d%s", h, mi, s, frac)
		if packed != 0 && r.IntN(2) == 0 {
			packed, text = -packed, "-"+text
		}
		if fsp > 4 {
			return be(uint64(packed+0x800000000000), 6), text
		}
		return appendFraction(be(uint64(packed>>24+0x800000), 3), packed%(1<<24), fsp), text
	}}
}

func modelDate() modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.Date}, typ: WireDate, value: func(r *rand.Rand) ([]byte, string) {
		y, m, d := r.IntN(10000), r.IntN(13), r.IntN(32)
		return le(uint64(y*512+m*32+d), 3), fmt.Sprintf("%04d-%02d-%02d", y, m, d)
	}}
}

func modelString(typ byte, c schemas.Column, size int, text func(r *rand.Rand) string) modelColumn {
	meta := le(uint64(size), 2)
	if typ == WireString {
		meta = []byte{byte(WireString ^ (size&0x300)>>4), byte(size)}
	}
	return modelColumn{col: c, typ: typ, meta: meta, value: func(r *rand.Rand) ([]byte, string) {
		s := text(r)
		n := 1
		if size > 255 {
			n = 2
		}
		shown := s
		if c.Type == schemas.Binary {
			shown += strings.Repeat("\x00", size-len(s))
		}
		return append(le(uint64(len(s)), n), s...), shown
	}}
}

func modelBlob(t schemas.Type, charset string, width int, text func(r *rand.Rand) string) modelColumn {
	return modelColumn{col: schemas.Column{Type: t, Charset: charset}, typ: WireBlob, meta: []byte{byte(width)}, value: func(r *rand.Rand) ([]byte, string) {
		s := text(r)
		return append(le(uint64(len(s)), width), s...), s
	}}
}

func modelEnum(n int) modelColumn {
	names, _ := members(n)
	width := 1
	if n > 255 {
		width = 2
	}
	return modelColumn{col: schemas.Column{Type: schemas.Enum, Members: names}, typ: WireString, meta: []byte{WireEnum, byte(width)}, value: func(r *rand.Rand) ([]byte, string) {
		v := r.IntN(n + 1)
		if v == 0 {
			return le(0, width), ""
		}
		return le(uint64(v), width), names[v-1]
	}}
}

func modelSet(n int) modelColumn {
	names, _ := members(n)
	width := (n + 7) / 8
	if width > 4 {
		width = 8
	}
	return modelColumn{col: schemas.Column{Type: schemas.Set, Members: names}, typ: WireString, meta: []byte{WireSet, byte(width)}, value: func(r *rand.Rand) ([]byte, string) {
		v := r.Uint64() >> (64 - n)
		var set []string
		for i := range n {
			if v>>i&1 != 0 {
				set = append(set, names[i])
			}
		}
		return le(v, width), strings.Join(set, ",")
	}}
}

func modelBit(n int) modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.Bit, Length: uint32(n)}, typ: WireBit, meta: []byte{byte(n % 8), byte(n / 8)}, value: func(r *rand.Rand) ([]byte, string) {
		b := be(r.Uint64()>>(64-n), (n+7)/8)
		return b, string(b)
	}}
}

func modelFloat64() modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.Double}, typ: WireDouble, meta: []byte{8}, value: func(r *rand.Rand) ([]byte, string) {
		// Numbers whose text needs no rule of layout.
		whole, frac := r.IntN(1000000), r.IntN(999)+1
		v, _ := strconv.ParseFloat(fmt.Sprintf("%d.%03d", whole, frac), 64)
		return le(math.Float64bits(v), 8), strings.TrimRight(fmt.Sprintf("%d.%03d", whole, frac), "0")
	}}
}

func modelYear() modelColumn {
	return modelColumn{col: schemas.Column{Type: schemas.Year}, typ: WireYear, value: func(r *rand.Rand) ([]byte, string) {
		v := r.IntN(256)
		if v == 0 {
			return []byte{0}, "0000"
		}
		return []byte{byte(v)}, strconv.Itoa(1900 + v)
	}}
}

// ascii draws up to n letters.
func ascii(n int) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		b := make([]byte, r.IntN(n+1))
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz 0123456789-_@."[r.IntN(41)]
		}
		return string(b)
	}
}

// unicode draws up to n characters of all lengths.
func unicode(n int) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(n + 1) {
			b.WriteRune([]rune("aäß表한😀z")[r.IntN(7)])
		}
		return b.String()
	}
}

// modelColumns is a column of each type and shape.
func modelColumns() []modelColumn {
	var cols []modelColumn
	for _, unsigned := range []bool{false, true} {
		cols = append(cols, modelInt(WireTiny, schemas.TinyInt, 1, unsigned), modelInt(WireShort, schemas.SmallInt, 2, unsigned),
			modelInt(WireInt24, schemas.MediumInt, 3, unsigned), modelInt(WireLong, schemas.Int, 4, unsigned), modelInt(WireLongLong, schemas.BigInt, 8, unsigned))
	}
	for p := 1; p <= 65; p += 4 {
		for s := 0; s <= min(p, 30); s += 3 {
			cols = append(cols, modelDecimal(p, s))
		}
	}
	for fsp := range 7 {
		cols = append(cols, modelDateTime(fsp), modelTimestamp(fsp), modelTime(fsp))
	}
	for _, n := range []int{1, 8, 9, 31, 64} {
		cols = append(cols, modelBit(n), modelSet(n))
	}
	return append(
		cols, modelDate(), modelYear(), modelFloat64(), modelEnum(3), modelEnum(300),
		modelString(WireVarChar, schemas.Column{Type: schemas.VarChar, Length: 60, Charset: "utf8mb4"}, 240, unicode(60)),
		modelString(WireVarChar, schemas.Column{Type: schemas.VarChar, Length: 100, Charset: "utf8mb4"}, 400, unicode(100)),
		modelString(WireString, schemas.Column{Type: schemas.Char, Length: 30, Charset: "utf8mb4"}, 120, unicode(30)),
		modelString(WireString, schemas.Column{Type: schemas.Char, Length: 255, Charset: "utf8mb4"}, 1020, unicode(255)),
		modelString(WireString, schemas.Column{Type: schemas.Binary, Length: 20}, 20, ascii(20)),
		modelString(WireVarChar, schemas.Column{Type: schemas.VarBinary, Length: 20}, 20, ascii(20)),
		modelBlob(schemas.TinyText, "utf8mb4", 1, unicode(60)), modelBlob(schemas.Text, "utf8mb4", 2, unicode(100)),
		modelBlob(schemas.MediumBlob, "", 3, ascii(100)), modelBlob(schemas.LongText, "latin1", 4, ascii(100)),
	)
}

// shopColumns is a row of twelve mixed columns as an application has them; note draws the largest text.
func shopColumns(note func(r *rand.Rand) string) []modelColumn {
	return []modelColumn{
		modelInt(WireLongLong, schemas.BigInt, 8, true), modelInt(WireLong, schemas.Int, 4, false), modelEnum(5), modelInt(WireShort, schemas.SmallInt, 2, false),
		modelDecimal(12, 2), modelString(WireVarChar, schemas.Column{Type: schemas.VarChar, Length: 100, Charset: "utf8mb4"}, 400, fixed(ascii(60))),
		modelString(WireVarChar, schemas.Column{Type: schemas.VarChar, Length: 255, Charset: "latin1"}, 255, fixed(ascii(60))), modelDateTime(6), modelTimestamp(0),
		modelBlob(schemas.Text, "utf8mb4", 2, fixed(note)), modelInt(WireTiny, schemas.TinyInt, 1, false), modelFloat64(),
	}
}

// fixed draws values of which half are as long as they may be.
func fixed(f func(r *rand.Rand) string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		best := ""
		for range 3 {
			if s := f(r); len(s) > len(best) {
				best = s
			}
		}
		return best
	}
}
