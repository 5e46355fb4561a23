package image

import (
	"encoding/binary"
	"strconv"

	"cdc/fault"
)

// Types of columns as they are in table maps (MySQL source, include/field_types.h; MariaDB's compressed ones in include/mysql_com.h).
const (
	WireDecimalOld   = 0
	WireTiny         = 1
	WireShort        = 2
	WireLong         = 3
	WireFloat        = 4
	WireDouble       = 5
	WireNull         = 6
	WireTimestampOld = 7
	WireLongLong     = 8
	WireInt24        = 9
	WireDate         = 10
	WireTimeOld      = 11
	WireDateTimeOld  = 12
	WireYear         = 13
	WireNewDate      = 14
	WireVarChar      = 15
	WireBit          = 16
	WireTimestamp    = 17
	WireDateTime     = 18
	WireTime         = 19
	WireBlobPacked   = 140
	WireStringPacked = 141
	WireVector       = 242
	WireJSON         = 245
	WireDecimal      = 246
	WireEnum         = 247
	WireSet          = 248
	WireTinyBlob     = 249
	WireMediumBlob   = 250
	WireLongBlob     = 251
	WireBlob         = 252
	WireVarString    = 253
	WireString       = 254
	WireGeometry     = 255
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
		case WireBit: // bits beyond the last whole byte, whole bytes
			w.Meta[i] = uint16(b[1])*8 + uint16(b[0])
		case WireDecimal:
			w.Meta[i] = uint16(b[0])<<8 | uint16(b[1])
		case WireString:
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
	case WireDecimalOld, WireTiny, WireShort, WireLong, WireNull, WireTimestampOld, WireLongLong, WireInt24, WireDate, WireTimeOld, WireDateTimeOld,
		WireYear, WireNewDate:
		return 0
	case WireFloat, WireDouble, WireTimestamp, WireDateTime, WireTime, WireBlobPacked, WireVector, WireJSON, WireTinyBlob, WireMediumBlob,
		WireLongBlob, WireBlob, WireGeometry:
		return 1
	case WireVarChar, WireBit, WireStringPacked, WireDecimal, WireEnum, WireSet, WireVarString, WireString:
		return 2
	}
	return -1
}

// unpackString gives the real type and size behind the type STRING. Sizes above 255 have their two high bits, inverted, in bits 4 and 5 of
// the real type (MySQL bug 37426); servers before 5.0 wrote no type there.
func unpackString(first, second byte) (typ byte, size uint16) {
	switch {
	case first == 0:
		return WireString, uint16(second)
	case first&0x30 != 0x30:
		return first | 0x30, uint16(second) | uint16(first&0x30^0x30)<<4
	}
	return first, uint16(second)
}

var wireNames = map[byte]string{
	WireDecimalOld: "DECIMAL of MySQL 4", WireTiny: "TINYINT", WireShort: "SMALLINT", WireLong: "INT", WireFloat: "FLOAT", WireDouble: "DOUBLE",
	WireNull: "NULL", WireTimestampOld: "TIMESTAMP (old format)", WireLongLong: "BIGINT", WireInt24: "MEDIUMINT", WireDate: "DATE",
	WireTimeOld: "TIME (old format)", WireDateTimeOld: "DATETIME (old format)", WireYear: "YEAR", WireNewDate: "DATE", WireVarChar: "VARCHAR",
	WireBit: "BIT", WireTimestamp: "TIMESTAMP", WireDateTime: "DATETIME", WireTime: "TIME", WireBlobPacked: "compressed BLOB",
	WireStringPacked: "compressed VARCHAR", WireVector: "VECTOR", WireJSON: "JSON", WireDecimal: "DECIMAL", WireEnum: "ENUM", WireSet: "SET",
	WireTinyBlob: "TINYBLOB", WireMediumBlob: "MEDIUMBLOB", WireLongBlob: "LONGBLOB", WireBlob: "BLOB", WireVarString: "VAR_STRING",
	WireString: "CHAR", WireGeometry: "GEOMETRY",
}

// describe names a column's layout in messages.
func (w *Wire) describe(i int) string {
	m := w.Meta[i]
	s := wireNames[w.Types[i]]
	if s == "" {
		s = "type " + strconv.Itoa(int(w.Types[i]))
	}
	switch w.Types[i] {
	case WireDecimal:
		return s + "(" + strconv.Itoa(int(m>>8)) + "," + strconv.Itoa(int(m&255)) + ")"
	case WireVarChar, WireVarString, WireString, WireStringPacked:
		return s + " of " + strconv.Itoa(int(m)) + " bytes"
	case WireBlob, WireBlobPacked, WireVector, WireJSON, WireGeometry:
		return s + " with a length of " + strconv.Itoa(int(m)) + " bytes"
	case WireEnum, WireSet:
		return s + " of " + strconv.Itoa(int(m)) + " bytes"
	case WireBit, WireTimestamp, WireDateTime, WireTime:
		return s + "(" + strconv.Itoa(int(m)) + ")"
	}
	return s
}
