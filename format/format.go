// Package format turns changes into bytes. Each wire format has a package of its own below this one.
//
// An Encoder appends to the caller's buffer and keeps, per table version, everything that does not change from row to row as bytes ready to
// be copied.
package format

import "cdc/event"

// Span is a piece of Out.Buf.
type Span struct{ Start, End int }

// Rec is one record.
type Rec struct {
	Change    int32 // index of the change in its batch, -1 for records that stand for no change
	Table     uint16
	Tombstone bool // has a key and no value
	Key       Span // empty where keys were not asked for, or the table has none
	Value     Span
}

// Out collects records. It is reused: Reset keeps its memory.
type Out struct {
	Buf  []byte
	Recs []Rec
}

// Reset empties o.
func (o *Out) Reset() { o.Buf, o.Recs = o.Buf[:0], o.Recs[:0] }

// Encoder is not safe for concurrent use: each goroutine has its own.
type Encoder interface {
	// Change appends the records of change i: usually one; a change of the primary key may be two, a delete may be followed by a tombstone. An
	// error is a fault.FormatValue and leaves o as it was.
	Change(o *Out, b *event.Batch, i int) error
	// DDL appends the schema-change record of a batch with DDL, where the format has such a thing.
	DDL(o *Out, b *event.Batch) error
}
