package format

import (
	"io"

	"cdc/schemas"
)

// Container is implemented by encoders whose records make files of a kind of their own, and do not go one to a line as JSON does. Only sinks of files take them.
// What such an encoder appends for a DDL statement is a line of JSON all the same: statements have files of their own.
type Container interface {
	// Extension ends the names of the files, with its dot.
	Extension() string
	// File says how the records of a table version become a file. Versions with the same names, columns and key give the same.
	File(t *schemas.Table) File
}

// File is how records become a file: Head and then the records as they are; or where Pack is set, what a Packer makes of them when the file is complete. In the
// second case the sink keeps the records until then, in whatever form it likes.
type File struct {
	Head []byte
	Pack func(w io.Writer) (Packer, error)
}

// Packer writes a file of the records that it is given. It is not safe for concurrent use, and only one of an encoder's Packers is in use at a time.
type Packer interface {
	// Add takes the next record, which it may not keep.
	Add(record []byte) error
	// Memory is how many bytes the Packer holds at the moment, about.
	Memory() int64
	// Close writes the end of the file. A Packer that is not closed leaves half a file and nothing else behind.
	Close() error
}
