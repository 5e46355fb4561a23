package materialize

import (
	"context"
	"io"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
)

// Input is what a files sink has published, in the order of its manifests.
type Input struct {
	Stream string
	// Copied is set where the sink's place says that a snapshot of all tables was written whole; Copying, where one is being written.
	Copied, Copying bool
	// Place are the transactions that the folder has, with rows or without, as of publication At.
	Place *gtid.Set
	At    uint64
	// Into reports that a transform may bring rows of a table of another name to this one; nil where there is none, or it is not known.
	Into func(schemas.Name) bool

	Publications []Publication
}

// Publication is one of them.
type Publication struct {
	Number     uint64
	Time       int64 // microseconds since 1970
	GTIDs      *gtid.Set
	Server     event.Server // behind it
	Switched   bool         // before it there was another server, whose binlog has places of its own
	Files      []File
	Statements []Statement // in their order
}

// Place is where a transaction begins.
type Place struct {
	GTID, File string
	Offset     uint64
}

func (p Place) before(q Place) bool { return event.PlaceBefore(p.File, p.Offset, q.File, q.Offset) }

// File is a file of changes of one table.
type File struct {
	Path        string
	Name        schemas.Name
	Rows, Bytes int64
	First, Last Place
	Gone        string // why it cannot be read any more; empty where it can
}

// Statement is a DDL statement and where its transaction begins.
type Statement struct {
	schemas.Statement
	Names []schemas.Name // as the source spells them
	Place Place
}

// Format says how files are read and written.
type Format struct {
	Extension string
	Open      func(r io.ReaderAt, size int64) (Reader, error)
	Create    func(w io.Writer, t *schemas.Table) (Writer, error)
	// Convert and Filled say what ALTER TABLE makes of values; see package format/parquet.
	Convert func(from, to *schemas.Column) (f func([]byte) ([]byte, error), why string)
	Filled  func(c *schemas.Column) (v []byte, ok bool)
}

// Reader reads the changes, or rows, in a file. A row has a value for each column of Table, nil for NULL, and is valid until the next call; io.EOF ends it.
type Reader interface {
	Table() *schemas.Table
	Next() (op event.Op, row [][]byte, err error)
	Close() error
}

// Writer writes a file of rows.
type Writer interface {
	Add(row [][]byte) error
	Close() error
}

// Opened is a file of changes that is open.
type Opened interface {
	io.ReaderAt
	io.Closer
}

// Open opens a file of the input, and gives its length.
type Open func(ctx context.Context, f *File) (Opened, int64, error)
