package plain

import (
	"cdc/event/jsonbin"
)

// maxDiff bounds the text of one value of a partial update, in bytes: as much as a document may have (max_allowed_packet's limit).
const maxDiff = 1 << 30

// appendDiffs appends the steps of a partial update as an array of {op, path, value}; remove has no value.
func appendDiffs(dst, diffs []byte) ([]byte, error) {
	start := len(dst)
	for len(diffs) > 0 {
		d, rest, err := jsonbin.Next(diffs)
		if err != nil {
			return dst, err
		}
		diffs = rest
		dst = append(dst, `,{"op":"`...)
		dst = append(dst, d.Op.String()...)
		dst = text(append(dst, `","path":`...), d.Path, 0)
		if d.Op != jsonbin.Remove {
			if dst, err = jsonbin.AppendText(append(dst, `,"value":`...), d.Value, maxDiff); err != nil {
				return dst, err
			}
		}
		dst = append(dst, '}')
	}
	if len(dst) == start {
		return append(dst, '[', ']'), nil
	}
	dst[start] = '['
	return append(dst, ']'), nil
}
