package format

import (
	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/fault"
)

// AppendCompact appends the text of a JSON document without the spaces that the server prints behind commas and colons. What a transform made of
// a document may not be JSON; it is then cut in the same places.
func AppendCompact(dst, s []byte) []byte {
	done, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++ // only within quotes
		case '"':
			quoted = !quoted
		case ' ':
			if !quoted {
				dst = append(dst, s[done:i]...)
				done = i + 1
			}
		}
	}
	return append(dst, s[done:]...)
}

// JSONText gives the text of a JSON column's cell, JSON or JSONBinary, as MySQL prints it: a view of the row, or what it has appended to
// scratch[:0]. What a transform made of such a cell may not be JSON.
func JSONText(scratch []byte, row event.Row, c event.Cell) ([]byte, error) {
	if c.Kind() != event.JSONBinary {
		return row.Bytes(c), nil
	}
	text, err := jsonbin.AppendText(scratch[:0], row.Bytes(c), jsonbin.MaxText)
	if err != nil {
		return nil, fault.New(fault.FormatValue, "%w", err)
	}
	return text, nil
}
