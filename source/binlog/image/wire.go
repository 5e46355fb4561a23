package image

import (
	"encoding/binary"
	"strconv"

	"cdc/fault"
)

// Types of columns in table maps (MySQL source, include/field_types.h; MariaDB's compressed ones in include/mysql_com.h).
const (
	wireDecimalOld   = 0
	wireTiny         = 1
	wireShort        = 2
	wireLong         = 3
	wireFloat        = 4
	wireDouble       = 5
	wireNull         = 6
	wireTimestampOld = 7
	wireLongLong     = 8
	wireInt24        = 9
	wireDate         = 10
	wireTimeOld      = 11
	wireDateTimeOld  = 12
	wireYear         = 13
	wireNewDate      = 14
	wireVarChar      = 15
	wireBit          = 16
	wireTimestamp    = 17
	wireDateTime     = 18
	wireTime         = 19
	wireBlobPacked   = 140
	wireStringPacked = 141
	wireVector       = 242
	wireJSON         = 245
	wireDecimal      = 246
	wireEnum         = 247
	wireSet          = 248
	wireTinyBlob     = 249
	wireMediumBlob   = 250
	wireLongBlob     = 251
	wireBlob         = 252
	wireVarString    = 253
	wireString       = 254
	wireGeometry     = 255
)

// Wire is how a table map lays out the columns of its rows. Types and Nullable may be views of the event.
type Wire struct {
	Types []byte // real types: ENUM and SET, which a table map writes as STRING, are themselves
	// Meta depends on the type. Strings: their size in bytes. BLOBs, JSON, GEOMETRY, VECTOR, FLOAT, DOUBLE, ENUM and SET: the number of bytes
	// of the length or the value. BIT: the number of bits. DECIMAL: precision << 8 | scale. Temporal types: the digits of a second.
	Meta     []uint16
	Nullable []byte // bitmap, lowest bit first
}

// ParseWire takes a table map's metadata block apart.
func ParseWire(types, metaBlock, nullBitmap []byte) (Wire, error) {
	if len(nullBitmap) < (len(types)+7)/8 {
		return Wire{}, fault.New(fault.BinlogMalformed, "table map of %d columns has a null bitmap of %d bytes", len(types), len(nullBitmap))
	}
	w := Wire{Types: types, Meta: make([]uint16, len(types)), Nullable: nullBitmap}
	cloned := false
	b := metaBlock
	for i, t := range types {
		n := metaBytes(t)
		if n < 0 {
			return Wire{}, fault.New(fault.BinlogMalformed, "table map has a column of unknown type %d", t)
		}
		if len(b) < n {
			return Wire{}, fault.New(fault.BinlogMalformed, "table map's metadata block of %d bytes is too short for its %d columns", len(metaBlock), len(types))
		}
		switch t {
		case wireBit: // bits beyond the last whole byte, whole bytes
			w.Meta[i] = uint16(b[1])*8 + uint16(b[0])
		case wireDecimal:
			w.Meta[i] = uint16(b[0])<<8 | uint16(b[1])
		case wireString:
			var typ byte
			typ, w.Meta[i] = unpackString(b[0], b[1])
			if typ != t {
				if !cloned {
					w.Types, cloned = append([]byte(nil), types...), true
				}
				w.Types[i] = typ
			}
		default:
			switch n {
			case 1:
				w.Meta[i] = uint16(b[0])
			case 2:
				w.Meta[i] = binary.LittleEndian.Uint16(b)
			}
		}
		b = b[n:]
	}
	if len(b) != 0 {
		return Wire{}, fault.New(fault.BinlogMalformed, "table map's metadata block has %d bytes more than its columns need", len(b))
	}
	return w, nil
}

// metaBytes is the size of a type's metadata, -1 for an unknown type.
func metaBytes(t byte) int {
	switch t {
	case wireDecimalOld, wireTiny, wireShort, wireLong, wireNull, wireTimestampOld, wireLongLong, wireInt24, wireDate, wireTimeOld, wireDateTimeOld,
		wireYear, wireNewDate:
		return 0
	case wireFloat, wireDouble, wireTimestamp, wireDateTime, wireTime, wireBlobPacked, wireVector, wireJSON, wireTinyBlob, wireMediumBlob,
		wireLongBlob, wireBlob, wireGeometry:
		return 1
	case wireVarChar, wireBit, wireStringPacked, wireDecimal, wireEnum, wireSet, wireVarString, wireString:
		return 2
	}
	return -1
}

// unpackString gives the real type and size behind the type STRING. Sizes above 255 have their two high bits, inverted, in bits 4 and 5 of
// the real type (MySQL bug 37426); servers before 5.0 wrote no type there.
func unpackString(first, second byte) (typ byte, size uint16) {
	switch {
	case first == 0:
		return wireString, uint16(second)
	case first&0x30 != 0x30:
		return first | 0x30, uint16(second) | uint16(first&0x30^0x30)<<4
	}
	return first, uint16(second)
}

var wireNames = map[byte]string{
	wireDecimalOld: "DECIMAL of MySQL 4", wireTiny: "TINYINT", wireShort: "SMALLINT", wireLong: "INT", wireFloat: "FLOAT", wireDouble: "DOUBLE",
	wireNull: "NULL", wireTimestampOld: "TIMESTAMP (old format)", wireLongLong: "BIGINT", wireInt24: "MEDIUMINT", wireDate: "DATE",
	wireTimeOld: "TIME (old format)", wireDateTimeOld: "DATETIME (old format)", wireYear: "YEAR", wireNewDate: "DATE", wireVarChar: "VARCHAR",
	wireBit: "BIT", wireTimestamp: "TIMESTAMP", wireDateTime: "DATETIME", wireTime: "TIME", wireBlobPacked: "compressed BLOB",
	wireStringPacked: "compressed VARCHAR", wireVector: "VECTOR", wireJSON: "JSON", wireDecimal: "DECIMAL", wireEnum: "ENUM", wireSet: "SET",
	wireTinyBlob: "TINYBLOB", wireMediumBlob: "MEDIUMBLOB", wireLongBlob: "LONGBLOB", wireBlob: "BLOB", wireVarString: "VAR_STRING",
	wireString: "CHAR", wireGeometry: "GEOMETRY",
}

// describe names a column's layout in messages.
func (w *Wire) describe(i int) string {
	m := w.Meta[i]
	s := wireNames[w.Types[i]]
	if s == "" {
		s = "type " + strconv.Itoa(int(w.Types[i]))
	}
	switch w.Types[i] {
	case wireDecimal:
		return s + "(" + strconv.Itoa(int(m>>8)) + "," + strconv.Itoa(int(m&255)) + ")"
	case wireVarChar, wireVarString, wireString, wireStringPacked:
		return s + " of " + strconv.Itoa(int(m)) + " bytes"
	case wireBlob, wireBlobPacked, wireVector, wireJSON, wireGeometry:
		return s + " with a length of " + strconv.Itoa(int(m)) + " bytes"
	case wireEnum, wireSet:
		return s + " of " + strconv.Itoa(int(m)) + " bytes"
	case wireBit, wireTimestamp, wireDateTime, wireTime:
		return s + "(" + strconv.Itoa(int(m)) + ")"
	}
	return s
}
