package statement

import "cdc/event"

const (
	imageMost = 2000 // bytes of an image
	valueMost = 100  // of a value in it
)

// AppendImage appends what is known of a row for an error message: names and values as SQL, long ones cut off.
func (t *Table) AppendImage(dst []byte, row event.Row) []byte {
	from, first := len(dst), true
	for i := range t.cols {
		if row.Cells[i].Kind() == event.Absent {
			continue
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		if len(dst)-from > imageMost {
			return append(dst, "..."...)
		}
		dst = append(append(dst, t.cols[i].Name...), '=')
		at := len(dst)
		out, err := t.AppendValue(dst, i, row)
		switch {
		case err != nil:
			dst = append(dst[:at], '?')
		case len(out)-at > valueMost:
			dst = append(out[:at+valueMost], "..."...)
		default:
			dst = out
		}
	}
	return dst
}

// Keyless reports that rows are found by all of their columns.
func (t *Table) Keyless() bool { return t.key == nil }
