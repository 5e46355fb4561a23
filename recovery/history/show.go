package history

import (
	"encoding/hex"
	"strconv"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/event/jsonbin"
	"cdc/schemas"
)

// appendShown appends a value as people can read it: binary values in hexadecimal, BIT as a number, a partial update as what it does.
func appendShown(dst []byte, c event.Cell, r event.Row, col *schemas.Column) []byte {
	switch c.Kind() {
	case event.Bits:
		return strconv.AppendUint(dst, c.Uint64(), 10)
	case event.Bytes, event.Geometry, event.Vector:
		return hex.AppendEncode(append(dst, "0x"...), r.Bytes(c))
	case event.String:
		if c.Flags()&event.Raw != 0 {
			return hex.AppendEncode(append(dst, "0x"...), r.Bytes(c))
		}
	case event.JSONDiff:
		return appendDiff(dst, r.Bytes(c))
	}
	return celltext.Text(dst, c, r, col)
}

func appendDiff(dst, b []byte) []byte {
	for n := 0; len(b) > 0; n++ {
		d, rest, err := jsonbin.Next(b)
		if err != nil {
			return append(dst, "(damaged)"...)
		}
		b = rest
		if n > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(append(append(dst, d.Op.String()...), ' '), d.Path...)
		if d.Op != jsonbin.Remove {
			dst = append(dst, ' ')
			if dst, err = jsonbin.AppendText(dst, d.Value, jsonbin.MaxText); err != nil {
				return append(dst, "(damaged)"...)
			}
		}
	}
	return dst
}
