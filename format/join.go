package format

import (
	"errors"
	"io"
)

// Joiner makes one file of several that a Container's encoder made, of one table version. It writes nothing but that file, reads only what it is given, and is not safe
// for concurrent use.
type Joiner interface {
	// Add appends the rows of a file and says how many there were. ErrUnlike means that the file has another head than the first, and that nothing of it was taken.
	// After any other error the Joiner is of no more use.
	Add(file *io.SectionReader) (rows int64, err error)
	// Memory is how many bytes the Joiner holds at the moment, about.
	Memory() int64
	// Close writes the end of the file.
	Close() error
}

// ErrUnlike says that two files cannot be one: their names of columns, schemas or compressions differ.
var ErrUnlike = errors.New("the files are not alike")
