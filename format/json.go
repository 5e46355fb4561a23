package format

import (
	"bytes"

	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/fault"
)

// AppendCompact appends the text of a JSON document without the spaces that the server prints behind commas and colons. What a transform made of
// a document may not be JSON; it is then cut in the same places.
func AppendCompact(dst, s []byte) []byte {
	done := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i += quoted(s[i:])
		case ' ':
			dst = append(dst, s[done:i]...)
			done = i + 1
		}
	}
	return append(dst, s[done:]...)
}

// quoted gives the index of the quote that ends the text at the beginning of s; where there is none, that of the last byte.
func quoted(s []byte) int {
	for at := 1; at < len(s); {
		n := bytes.IndexByte(s[at:], '"')
		if n < 0 {
			break
		}
		at += n
		escapes := 0
		for s[at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
		at++
	}
	return len(s) - 1
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
