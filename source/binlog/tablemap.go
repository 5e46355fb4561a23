package binlog

import "cdc/schemas"

// TableMap is a table map event.
type TableMap struct {
	ID       uint64
	Flags    uint16
	Name     schemas.Name
	Types    []byte // one byte for each column
	Meta     []byte // the metadata block, as it is in the event
	Nullable []byte // bitmap of the columns that may be NULL
	Metadata Metadata
}

// Columns is the number of columns.
func (tm *TableMap) Columns() int { return len(tm.Types) }

// Metadata is the optional metadata of a table map event. Slices are nil where the server did not write the field.
type Metadata struct {
	Names []string // of all columns, with binlog_row_metadata=FULL
}

// Full reports that the columns' names are there.
func (m *Metadata) Full() bool { return m.Names != nil }
