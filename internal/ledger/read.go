package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"

	"cdc/sinks/files"
)

// line is what is read of a change in the plain format.
type line struct {
	Op     string `json:"op"`
	Table  string `json:"table"`
	Before *shop  `json:"before"`
	After  *shop  `json:"after"`
}

type shop struct {
	ID     json.Number `json:"id"`
	Code   string      `json:"code"`
	Change uint64      `json:"change_id"`
}

func (s *shop) key() string {
	if s.Code != "" {
		return s.Code
	}
	return s.ID.String()
}

// ReadFiles counts what is in the published files of a folder.
func ReadFiles(dir string) (*Delivered, error) {
	d := NewDelivered()
	err := files.Read(dir, func(path string, text []byte) error {
		if err := d.Line(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	return d, err
}

// Line counts one line of the plain format.
func (d *Delivered) Line(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("%w in %q", err, bytes.TrimSpace(text))
	}
	var key string
	var before, after uint64
	if l.Before != nil {
		key, before = l.Before.key(), l.Before.Change
	}
	if l.After != nil {
		key, after = l.After.key(), l.After.Change
	}
	switch l.Op {
	case "insert":
		d.Add(l.Table, key, 'i', 0, after)
	case "update":
		d.Add(l.Table, key, 'u', before, after)
	case "delete":
		d.Add(l.Table, key, 'd', before, 0)
	case "ddl":
	default:
		return fmt.Errorf("operation %q", l.Op)
	}
	return nil
}
