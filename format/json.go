package format

import (
	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/fault"
)

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
