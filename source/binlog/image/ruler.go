package image

import (
	"encoding/binary"
	"math/bits"

	"cdc/event/jsonbin"
)

// Ruler measures row images: where one ends and the next begins. It needs a table map and no definition of the table, and looks at no value, so it
// is some times as fast as a Plan. It may be used from many goroutines.
type Ruler struct {
	cols []span
	runs []span // of an image with all columns and no NULL: neighbours of a fixed size are one
	json int
	old  bool
}

// span is a stretch of an image: so many bytes, then, where length is not 0, a length of so many bytes and as many as it says.
type span struct {
	fixed  uint32
	length uint8
}

// NewRuler makes the ruler of a table map.
func NewRuler(w *Wire) *Ruler {
	r := &Ruler{cols: make([]span, len(w.Types))}
	for i, t := range w.Types {
		r.cols[i] = spanOf(t, w.Meta[i])
		switch t {
		case WireJSON:
			r.json++
		case WireTimestampOld, WireDateTimeOld, WireTimeOld:
			r.old = true
		}
		last := len(r.runs) - 1
		if last < 0 || r.runs[last].length != 0 {
			r.runs = append(r.runs, r.cols[i])
			continue
		}
		r.runs[last].fixed += r.cols[i].fixed
		r.runs[last].length = r.cols[i].length
	}
	return r
}

// Unsure reports a table with times in the format of before MySQL 5.6: MariaDB keeps fractions of a second in them without a word in the table map, so
// their size may be another one.
func (r *Ruler) Unsure() bool { return r.old }

func spanOf(t byte, meta uint16) span {
	switch t {
	case WireTiny, WireYear:
		return span{fixed: 1}
	case WireShort:
		return span{fixed: 2}
	case WireInt24, WireDate, WireNewDate, WireTimeOld:
		return span{fixed: 3}
	case WireLong, WireTimestampOld:
		return span{fixed: 4}
	case WireLongLong, WireDateTimeOld:
		return span{fixed: 8}
	case WireFloat, WireDouble, WireEnum, WireSet:
		return span{fixed: uint32(meta)}
	case WireTimestamp:
		return span{fixed: 4 + uint32(fracBytes(uint8(meta)))}
	case WireDateTime:
		return span{fixed: 5 + uint32(fracBytes(uint8(meta)))}
	case WireTime:
		return span{fixed: 3 + uint32(fracBytes(uint8(meta)))}
	case WireBit:
		return span{fixed: uint32(meta+7) / 8}
	case WireDecimal:
		return span{fixed: uint32(jsonbin.DecimalBytes(uint8(meta>>8), uint8(meta)))}
	case WireNull:
		return span{}
	case WireVarChar, WireVarString, WireString, WireStringPacked:
		if meta > 255 {
			return span{length: 2}
		}
		return span{length: 1}
	}
	return span{length: uint8(min(max(meta, 1), 4))} // BLOBs, JSON, GEOMETRY, VECTOR
}

// Measure gives the bytes of the image at the start of data, of the columns whose bits are set in present; ok is false where it does not end in data.
func (r *Ruler) Measure(data, present []byte) (n int, ok bool) {
	count, ok := countPresent(present, len(r.cols))
	nulls := (count + 7) / 8
	if !ok || len(data) < nulls {
		return 0, false
	}
	if count == len(r.cols) && noneSet(data[:nulls], count) {
		return measureRuns(data, nulls, r.runs)
	}
	pos, bit := nulls, 0
	for i := range r.cols {
		if present[i>>3]>>(i&7)&1 == 0 {
			continue
		}
		null := data[bit>>3]>>(bit&7)&1 != 0
		if bit++; null {
			continue
		}
		if pos, ok = measureRuns(data, pos, r.cols[i:i+1]); !ok {
			return 0, false
		}
	}
	return pos, true
}

// MeasurePartial is Measure of the after image of a PARTIAL_UPDATE_ROWS event.
func (r *Ruler) MeasurePartial(data, present []byte) (n int, ok bool) {
	options, pos := lenenc(data)
	if pos == 0 {
		return 0, false
	}
	if options&partialJSON != 0 {
		pos += (r.json + 7) / 8
	}
	if pos > len(data) {
		return 0, false
	}
	n, ok = r.Measure(data[pos:], present)
	return pos + n, ok
}

// Columns gives the bytes of some columns of the image at the start of data, one behind the other; ok is false where one is NULL or left out. list
// ascends.
func (r *Ruler) Columns(dst, data, present []byte, list []int) (out []byte, ok bool) {
	count, ok := countPresent(present, len(r.cols))
	nulls := (count + 7) / 8
	if !ok || len(data) < nulls {
		return dst, false
	}
	pos, bit := nulls, 0
	for i := 0; i < len(r.cols) && len(list) > 0; i++ {
		wanted := list[0] == i
		null := true
		if present[i>>3]>>(i&7)&1 != 0 {
			null = data[bit>>3]>>(bit&7)&1 != 0
			bit++
		}
		if null {
			if wanted {
				return dst, false
			}
			continue
		}
		end, ok := measureRuns(data, pos, r.cols[i:i+1])
		if !ok {
			return dst, false
		}
		if wanted {
			dst = append(dst, data[pos:end]...)
			list = list[1:]
		}
		pos = end
	}
	return dst, len(list) == 0
}

func measureRuns(data []byte, pos int, runs []span) (int, bool) {
	for _, s := range runs {
		pos += int(s.fixed)
		if s.length == 0 {
			continue
		}
		if len(data)-pos < int(s.length) {
			return 0, false
		}
		b := data[pos:]
		pos += int(s.length)
		switch s.length {
		case 1:
			pos += int(b[0])
		case 2:
			pos += int(binary.LittleEndian.Uint16(b))
		case 3:
			pos += int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		default:
			pos += int(binary.LittleEndian.Uint32(b))
		}
	}
	return pos, pos <= len(data)
}

// noneSet reports that none of the first n bits is set; those behind them mean nothing.
func noneSet(b []byte, n int) bool {
	for _, x := range b[:n>>3] {
		if x != 0 {
			return false
		}
	}
	return n&7 == 0 || bits.TrailingZeros8(b[n>>3]) >= n&7
}
