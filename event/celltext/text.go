package celltext

import (
	"encoding/hex"
	"strconv"

	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/event/sqltext"
	"cdc/schemas"
)

// Text appends the text that SELECT gives for a cell of row r and column col, in UTF-8 where it is text. TIMESTAMP is in UTC. Nothing is
// appended for what has no text: an absent cell, NULL, and a JSONDiff; the caller tells them by Kind. BIT, BINARY, BLOB, GEOMETRY and VECTOR
// come as bytes.
func Text(dst []byte, c event.Cell, r event.Row, col *schemas.Column) []byte {
	switch c.Kind() {
	case event.Int:
		return strconv.AppendInt(dst, c.Int64(), 10)
	case event.Uint:
		if col.Zerofill {
			return padded(dst, c.Uint64(), int(col.Width))
		}
		return strconv.AppendUint(dst, c.Uint64(), 10)
	case event.Float32:
		if col.Precision > 0 {
			return strconv.AppendFloat(dst, float64(c.Float32()), 'f', int(col.Scale), 64)
		}
		return sqltext.AppendFloat(dst, c.Float32())
	case event.Float64:
		if col.Precision > 0 {
			return strconv.AppendFloat(dst, c.Float64(), 'f', int(col.Scale), 64)
		}
		return sqltext.AppendDouble(dst, c.Float64())
	case event.Decimal:
		text := r.Bytes(c)
		if col.Zerofill {
			width := int(col.Precision)
			if col.Scale > 0 {
				width++
			}
			for range width - len(text) {
				dst = append(dst, '0')
			}
		}
		return append(dst, text...)
	case event.Date:
		return AppendDate(dst, c.Civil())
	case event.DateTime:
		return AppendDateTime(dst, c.Civil(), int(col.Fsp))
	case event.Timestamp:
		return AppendTimestamp(dst, c, int(col.Fsp))
	case event.Time:
		return AppendTime(dst, c.Int64(), int(col.Fsp))
	case event.Year:
		return padded(dst, c.Uint64(), 4)
	case event.Enum:
		if n := c.Uint64(); n > 0 && n <= uint64(len(col.Members)) {
			dst = append(dst, col.Members[n-1]...)
		}
		return dst
	case event.SetBits:
		return AppendSet(dst, c.Uint64(), col)
	case event.Bits:
		for i := (int(col.Length) + 7) / 8; i > 0; i-- {
			dst = append(dst, byte(c.Uint64()>>(8*(i-1))))
		}
		return dst
	case event.JSONBinary:
		dst, _ = jsonbin.AppendText(dst, r.Bytes(c), jsonbin.MaxText) // it was checked
		return dst
	case event.String, event.Bytes, event.JSON, event.Geometry, event.Vector:
		return append(dst, r.Bytes(c)...)
	case event.UUID:
		return AppendUUID(dst, r.Bytes(c))
	case event.INET6:
		return AppendINET6(dst, r.Bytes(c))
	case event.INET4:
		for i, b := range r.Bytes(c) {
			if i > 0 {
				dst = append(dst, '.')
			}
			dst = strconv.AppendUint(dst, uint64(b), 10)
		}
		return dst
	}
	return dst
}

// AppendSet appends the names of a SET's members, with commas between them.
func AppendSet(dst []byte, bits uint64, col *schemas.Column) []byte {
	first := true
	for i, name := range col.Members {
		if bits>>i&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		dst, first = append(dst, name...), false
	}
	return dst
}

// AppendUUID appends the text of 16 bytes.
func AppendUUID(dst, b []byte) []byte {
	if len(b) != 16 {
		return dst
	}
	dst = hex.AppendEncode(dst, b[:4])
	for i := 4; i < 10; i += 2 {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, b[i:i+2])
	}
	dst = append(dst, '-')
	return hex.AppendEncode(dst, b[10:])
}

// AppendINET6 appends the text of 16 bytes as MariaDB does: the first longest run of zero words shortened, and the end of addresses that are
// mapped to or compatible with IPv4 in its notation.
func AppendINET6(dst, b []byte) []byte {
	if len(b) != 16 {
		return dst
	}
	var words [8]uint16
	for i := range words {
		words[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	gap, length := -1, 0
	for i := 0; i < 8; {
		if words[i] != 0 {
			i++
			continue
		}
		j := i
		for j < 8 && words[j] == 0 {
			j++
		}
		if j-i > length {
			gap, length = i, j-i
		}
		i = j
	}
	for i := 0; i < 8; {
		switch {
		case i == gap:
			if i == 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, ':')
			i += length
		case i == 6 && gap == 0 && (length == 6 || length == 5 && words[5] == 0xffff):
			for k, x := range b[12:] {
				if k > 0 {
					dst = append(dst, '.')
				}
				dst = strconv.AppendUint(dst, uint64(x), 10)
			}
			return dst
		default:
			dst = strconv.AppendUint(dst, uint64(words[i]), 16)
			if i < 7 {
				dst = append(dst, ':')
			}
			i++
		}
	}
	return dst
}
