package jsonbin

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf16"
	"unicode/utf8"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
)

// Types of values (MySQL source, sql-common/json_binary.cc).
const (
	smallObject = 0x00
	largeObject = 0x01
	smallArray  = 0x02
	largeArray  = 0x03
	literal     = 0x04
	int16Value  = 0x05
	uint16Value = 0x06
	int32Value  = 0x07
	uint32Value = 0x08
	int64Value  = 0x09
	uint64Value = 0x0a
	doubleValue = 0x0b
	stringValue = 0x0c
	opaqueValue = 0x0f

	literalNull  = 0
	literalTrue  = 1
	literalFalse = 2
)

// SQL types of opaque values that are printed as what they are (include/field_types.h).
const (
	sqlTimestamp  = 7
	sqlDate       = 10
	sqlTime       = 11
	sqlDateTime   = 12
	sqlNewDecimal = 246
)

// maxDepth is the deepest document that a server makes (JSON_DOCUMENT_MAX_DEPTH).
const maxDepth = 100

// growth is more than the text of any value takes per byte of the document: a control character grows sixfold, and no scalar more than that
// together with its entry. Escaped, no byte takes more than twice that.
const growth = 8

var errDocument = errors.New("malformed json document")

// MaxText is more than the text of any document takes that fits into a row, for callers that have no limit of their own.
const MaxText = 1 << 30

// AppendText appends the text of a binary document. The empty document, which INSERT IGNORE can make, is null. Text of more than limit bytes
// is BinlogRowLimit; what is malformed is a plain error. After an error dst is as it was.
func AppendText(dst, doc []byte, limit int) ([]byte, error) {
	return write(dst, doc, limit, writer{quote: `"`, colon: `": `, comma: ", ", growth: growth})
}

// AppendCompact appends the same text without the spaces behind commas and colons.
func AppendCompact(dst, doc []byte, limit int) ([]byte, error) {
	return write(dst, doc, limit, writer{quote: `"`, colon: `":`, comma: ",", growth: growth})
}

// AppendEscaped appends the text as it stands inside a JSON string, without the quotes around it: quotes and backslashes have a backslash in
// front.
func AppendEscaped(dst, doc []byte, limit int) ([]byte, error) {
	const none = 0xff // no byte of UTF-8
	return write(dst, doc, limit, writer{quote: `\"`, colon: `\": `, comma: ", ", growth: 2 * growth, escaped: true, wide: none})
}

// AppendEscapedCompact is AppendEscaped without the spaces behind commas and colons, and with characters beyond U+FFFF as two escapes,
// \uD83D\uDE00.
func AppendEscapedCompact(dst, doc []byte, limit int) ([]byte, error) {
	return write(dst, doc, limit, writer{quote: `\"`, colon: `\":`, comma: ",", growth: 2 * growth, escaped: true, wide: 0xf0})
}

func write(dst, doc []byte, limit int, w writer) ([]byte, error) {
	if len(doc) == 0 {
		return append(dst, "null"...), nil
	}
	start := len(dst)
	w.dst, w.end = dst, start+limit
	if most := start + w.growth*len(doc) + 64; most < w.end {
		w.end, w.overlap = most, true
	}
	if !w.value(doc[0], doc[1:], 1) {
		if len(w.dst) > w.end && !w.overlap {
			return w.dst[:start], fault.New(fault.BinlogRowLimit, "the text of a json document is longer than the limit of %d bytes", limit)
		}
		return w.dst[:start], errDocument
	}
	return w.dst, nil
}

// writer appends values until it meets a malformed one.
type writer struct {
	dst     []byte
	end     int  // dst may not be longer
	overlap bool // and if it were, the document's values would overlap
	growth  int
	quote   string // around strings
	colon   string // behind a key, with its quote
	comma   string
	escaped bool
	wide    byte // characters that begin with this or more are written as two escapes
}

// value writes the value of type t at the start of b.
func (w *writer) value(t byte, b []byte, depth int) bool {
	if len(w.dst) > w.end {
		return false
	}
	switch t {
	case smallObject, largeObject:
		return w.container(b, t == largeObject, true, depth)
	case smallArray, largeArray:
		return w.container(b, t == largeArray, false, depth)
	case literal:
		return len(b) >= 1 && w.literal(b[0])
	case int16Value:
		if len(b) < 2 {
			return false
		}
		w.int(int64(int16(binary.LittleEndian.Uint16(b))))
	case uint16Value:
		if len(b) < 2 {
			return false
		}
		w.uint(uint64(binary.LittleEndian.Uint16(b)))
	case int32Value:
		if len(b) < 4 {
			return false
		}
		w.int(int64(int32(binary.LittleEndian.Uint32(b))))
	case uint32Value:
		if len(b) < 4 {
			return false
		}
		w.uint(uint64(binary.LittleEndian.Uint32(b)))
	case int64Value:
		if len(b) < 8 {
			return false
		}
		w.int(int64(binary.LittleEndian.Uint64(b)))
	case uint64Value:
		if len(b) < 8 {
			return false
		}
		w.uint(binary.LittleEndian.Uint64(b))
	case doubleValue:
		if len(b) < 8 {
			return false
		}
		return w.double(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case stringValue:
		s, ok := varString(b)
		return ok && w.quoted(s, w.quote)
	case opaqueValue:
		if len(b) < 1 {
			return false
		}
		s, ok := varString(b[1:])
		return ok && w.opaque(b[0], s)
	default:
		return false
	}
	return true
}

func (w *writer) int(v int64)   { w.dst = sqltext.AppendInt(w.dst, v) }
func (w *writer) uint(v uint64) { w.dst = sqltext.AppendUint(w.dst, v) }

func (w *writer) literal(v byte) bool {
	switch v {
	case literalNull:
		w.dst = append(w.dst, "null"...)
	case literalTrue:
		w.dst = append(w.dst, "true"...)
	case literalFalse:
		w.dst = append(w.dst, "false"...)
	default:
		return false
	}
	return true
}

// container writes an object or an array.
func (w *writer) container(b []byte, large, object bool, depth int) bool {
	c, ok := open(b, large, object)
	if !ok || depth > maxDepth {
		return false
	}
	end := byte(']')
	if object {
		w.dst, end = append(w.dst, '{'), '}'
	} else {
		w.dst = append(w.dst, '[')
	}
	for i := range c.count {
		if i > 0 {
			w.dst = append(w.dst, w.comma...)
		}
		if object {
			key, ok := c.key(i)
			if !ok || !w.quoted(key, w.colon) {
				return false
			}
		}
		t, v, ok := c.value(i)
		if !ok || !w.value(t, v, depth+1) {
			return false
		}
	}
	w.dst = append(w.dst, end)
	return true
}

// double writes a number so that it is seen to be one.
func (w *writer) double(v float64) bool {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return false
	}
	at := len(w.dst)
	w.dst = sqltext.AppendDouble(w.dst, v)
	for _, c := range w.dst[at:] {
		if c == '.' || c == 'e' {
			return true
		}
	}
	w.dst = append(w.dst, ".0"...)
	return true
}

const hexDigits = "0123456789abcdef"

// Masks for looking at eight bytes at a time.
const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plain reports eight bytes of ASCII none of which is escaped.
func plain(x uint64) bool {
	q, s := x^lowBits*'"', x^lowBits*'\\'
	return (x|(x-lowBits*' ')|(q-lowBits)|(s-lowBits))&highBits == 0
}

// quoted writes a string, which is utf8mb4, between quotes; the last one is given, since it may go with more.
func (w *writer) quoted(s []byte, last string) bool {
	dst := append(w.dst, w.quote...)
	i := 0
	for i+8 <= len(s) && plain(binary.LittleEndian.Uint64(s[i:])) {
		i += 8
	}
	for i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	dst = append(dst, s[:i]...)
	if i < len(s) {
		if s = s[i:]; !utf8.Valid(s) {
			return false
		}
		if w.escaped {
			dst = appendTwice(dst, s, w.wide)
		} else {
			dst = appendOnce(dst, s)
		}
	}
	w.dst = append(dst, last...)
	return len(w.dst) <= w.end
}

// appendOnce appends the rest of a string from its first character that is not plain.
func appendOnce(dst, s []byte) []byte {
	from := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		dst = append(dst, '\\')
		dst = appendShort(dst, c)
	}
	return append(dst, s[from:]...)
}

// appendTwice appends it as it stands inside of another string.
func appendTwice(dst, s []byte, wide byte) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= wide:
			dst = append(dst, s[from:i]...)
			r, n := utf8.DecodeRune(s[i:])
			hi, lo := utf16.EncodeRune(r)
			dst = appendUnicode(appendUnicode(dst, hi), lo)
			i += n - 1
		case c >= ' ' && c != '"' && c != '\\':
			continue
		default:
			dst = append(dst, s[from:i]...)
			dst = append(dst, '\\', '\\')
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = appendShort(dst, c)
		}
		from = i + 1
	}
	return append(dst, s[from:]...)
}

// appendShort appends what stands behind the backslash of an escaped character.
func appendShort(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, c)
	case '\b':
		return append(dst, 'b')
	case '\f':
		return append(dst, 'f')
	case '\n':
		return append(dst, 'n')
	case '\r':
		return append(dst, 'r')
	case '\t':
		return append(dst, 't')
	}
	return append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendUnicode(dst []byte, r rune) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// opaque writes a value of an SQL type.
func (w *writer) opaque(t byte, b []byte) bool {
	switch t {
	case sqlNewDecimal:
		var ok bool
		w.dst, ok = appendOpaqueDecimal(w.dst, b)
		return ok
	case sqlDate, sqlTime, sqlDateTime, sqlTimestamp:
		if len(b) != 8 {
			return false
		}
		w.dst = append(w.dst, w.quote...)
		w.packedTime(t, int64(binary.LittleEndian.Uint64(b)))
		w.dst = append(w.dst, w.quote...)
		return true
	}
	w.dst = append(append(w.dst, w.quote...), "base64:type"...)
	w.uint(uint64(t))
	w.dst = append(w.dst, ':')
	w.dst = base64.StdEncoding.AppendEncode(w.dst, b)
	w.dst = append(w.dst, w.quote...)
	return len(w.dst) <= w.end
}

// appendOpaqueDecimal writes a DECIMAL: precision, scale, and its groups of digits.
func appendOpaqueDecimal(dst, b []byte) ([]byte, bool) {
	if len(b) < 2 {
		return dst, false
	}
	precision, scale := b[0], b[1]
	// The precision is of the digits in use, rounded up to whole groups of nine: above the 65 that a column may have.
	if precision == 0 || precision > 81 || scale > precision || len(b) != 2+DecimalBytes(precision, scale) {
		return dst, false
	}
	return AppendDecimal(dst, b[2:], precision, scale)
}

// packedTime writes a packed time (mysys/my_time.cc): 24 bits of micro seconds below the bits of DATETIME or TIME.
func (w *writer) packedTime(t byte, v int64) {
	if t == sqlTime {
		neg := v < 0
		if neg {
			v = -v
		}
		hms := v >> 24
		us := ((hms>>12&1023)*3600+(hms>>6&63)*60+(hms&63))*1000000 + (v & 0xffffff)
		if neg {
			us = -us
		}
		w.dst = sqltext.AppendTime(w.dst, us, 6)
		return
	}
	if v < 0 {
		v = -v
	}
	ymd, hms := v>>41, v>>24&0x1ffff
	ym := ymd >> 5
	c := event.Civil{
		Year: int(ym / 13), Month: int(ym % 13), Day: int(ymd & 31),
		Hour: int(hms >> 12), Minute: int(hms >> 6 & 63), Second: int(hms & 63), Micro: int(v & 0xffffff),
	}
	if t == sqlDate {
		w.dst = sqltext.AppendDate(w.dst, c)
		return
	}
	w.dst = sqltext.AppendDateTime(w.dst, c, 6)
}
