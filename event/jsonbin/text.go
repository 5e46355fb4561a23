package jsonbin

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
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
// together with its entry.
const growth = 8

var errDocument = errors.New("malformed json document")

// AppendText appends the text of a binary document. The empty document, which INSERT IGNORE can make, is null. Text of more than limit bytes
// is BinlogRowLimit; what is malformed is a plain error. After an error dst is as it was.
func AppendText(dst, doc []byte, limit int) ([]byte, error) {
	if len(doc) == 0 {
		return append(dst, "null"...), nil
	}
	start := len(dst)
	w := writer{dst: dst, end: start + limit}
	if most := start + growth*len(doc) + 64; most < w.end {
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
		return ok && w.quoted(s)
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

func (w *writer) int(v int64)   { w.dst = strconv.AppendInt(w.dst, v, 10) }
func (w *writer) uint(v uint64) { w.dst = strconv.AppendUint(w.dst, v, 10) }

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

// container writes an object or array: number of elements and size in bytes, for objects the offset and length of each key, then for each
// value its type and either its offset or, if it is small enough, itself. Numbers are of two bytes, in the large form of four. Offsets count
// from the start of b.
func (w *writer) container(b []byte, large, object bool, depth int) bool {
	width := 2
	if large {
		width = 4
	}
	if depth > maxDepth || len(b) < 2*width {
		return false
	}
	count, size := number(b, large), number(b[width:], large)
	if size > uint64(len(b)) {
		return false
	}
	b = b[:size]
	keys := uint64(2 * width)
	values := keys
	if object {
		values += count * uint64(width+2)
	}
	if values+count*uint64(width+1) > size {
		return false
	}
	if object {
		w.dst = append(w.dst, '{')
	} else {
		w.dst = append(w.dst, '[')
	}
	for i := range count {
		if i > 0 {
			w.dst = append(w.dst, ", "...)
		}
		if object {
			entry := b[keys+i*uint64(width+2):]
			off := number(entry, large)
			n := uint64(binary.LittleEndian.Uint16(entry[width:]))
			if off > size || n > size-off || !w.quoted(b[off:off+n]) {
				return false
			}
			w.dst = append(w.dst, ": "...)
		}
		entry := b[values+i*uint64(width+1):]
		t := entry[0]
		if inlined(t, large) {
			if !w.value(t, entry[1:1+width], depth+1) {
				return false
			}
			continue
		}
		off := number(entry[1:], large)
		if off > size || !w.value(t, b[off:], depth+1) {
			return false
		}
	}
	if object {
		w.dst = append(w.dst, '}')
	} else {
		w.dst = append(w.dst, ']')
	}
	return true
}

func number(b []byte, large bool) uint64 {
	if large {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return uint64(binary.LittleEndian.Uint16(b))
}

// inlined tells the types whose values stand in the entry itself.
func inlined(t byte, large bool) bool {
	switch t {
	case literal, int16Value, uint16Value:
		return true
	case int32Value, uint32Value:
		return large
	}
	return false
}

// varString reads a string behind a length of one to five bytes with seven bits each, the lowest first.
func varString(b []byte) ([]byte, bool) {
	var n uint64
	for i, x := range b {
		if i == 5 {
			return nil, false
		}
		n |= uint64(x&0x7f) << (7 * i)
		if x < 0x80 {
			b = b[i+1:]
			if n > uint64(len(b)) {
				return nil, false
			}
			return b[:n], true
		}
	}
	return nil, false
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

// quoted writes a string, which is utf8mb4.
func (w *writer) quoted(s []byte) bool {
	if !utf8.Valid(s) {
		return false
	}
	dst := append(w.dst, '"')
	from := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	w.dst = append(dst, '"')
	return len(w.dst) <= w.end
}

// opaque writes a value of an SQL type.
func (w *writer) opaque(t byte, b []byte) bool {
	switch t {
	case sqlNewDecimal:
		if len(b) < 2 {
			return false
		}
		precision, scale := b[0], b[1]
		// The precision is of the digits in use, rounded up to whole groups of nine: above the 65 that a column may have.
		if precision == 0 || precision > 81 || scale > precision || len(b) != 2+DecimalBytes(precision, scale) {
			return false
		}
		var ok bool
		w.dst, ok = AppendDecimal(w.dst, b[2:], precision, scale)
		return ok
	case sqlDate, sqlTime, sqlDateTime, sqlTimestamp:
		if len(b) != 8 {
			return false
		}
		w.dst = append(w.dst, '"')
		w.packedTime(t, int64(binary.LittleEndian.Uint64(b)))
		w.dst = append(w.dst, '"')
		return true
	}
	w.dst = append(w.dst, `"base64:type`...)
	w.uint(uint64(t))
	w.dst = append(w.dst, ':')
	w.dst = base64.StdEncoding.AppendEncode(w.dst, b)
	w.dst = append(w.dst, '"')
	return len(w.dst) <= w.end
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
