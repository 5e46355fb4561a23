// Package format turns changes into bytes. Each wire format has a package of its own below this one.
//
// An Encoder appends to the caller's buffer and keeps, per table version, everything that does not change from row to row as bytes ready to
// be copied. What a record is depends on the format and on the sink: a sink of messages asks for keys and gets tombstones and, where a
// primary key was changed, two records for one change; a sink of files asks for none of it and gets a line per record.
//
//	var out format.Out
//	for i := range b.Changes {
//		if err := enc.Change(&out, b, i); err != nil {
//			return err // a fault.FormatValue: out is as it was
//		}
//	}
//	for i := range out.Recs {
//		r := &out.Recs[i]
//		send(b.Tables[r.Table], out.Bytes(r.Key), out.Bytes(r.Value))
//	}
//	out.Reset()
package format

import (
	"cdc/event"
	"cdc/event/jsonbin"
	"cdc/schemas"
)

// Span is a piece of Out.Buf.
type Span struct{ Start, End int }

// Empty reports a span of no bytes.
func (s Span) Empty() bool { return s.Start == s.End }

// Role says what a record is for. A sink of messages sends all but Data to topics of their own.
type Role uint8

// Roles.
const (
	Data         Role = iota // a change of a row
	SchemaChange             // a DDL statement
	Transaction              // the begin or the end of a transaction
	Heartbeat                // the place of a stream that has nothing else to say
)

// Rec is one record.
type Rec struct {
	Role      Role
	Change    int32 // index of the change in its batch, -1 for records that stand for no change
	Table     uint16
	Tombstone bool // has a key and no value
	Key       Span // empty where keys were not asked for, or the table has none
	Value     Span
	// Peer is the key of the other record where a change of the primary key became two: the new key on the one that deletes and on its
	// tombstone, the old key on the one that creates. Formats that name it in a header say how in their packages. Else it is empty.
	Peer Span
	// Head is how many bytes at the beginning of Key do not name the row: a number of the schema, that another version of it does not have. Keys
	// that differ in nothing else are of one row, and go to one partition.
	Head uint8
}

// Out collects records. It is reused: Reset keeps its memory. Values end without a newline.
type Out struct {
	Buf  []byte
	Recs []Rec
}

// Reset empties o.
func (o *Out) Reset() { o.Buf, o.Recs = o.Buf[:0], o.Recs[:0] }

// Bytes gives the bytes of a span, nil for an empty one. They are valid until o is reset.
func (o *Out) Bytes(s Span) []byte {
	if s.Empty() {
		return nil
	}
	return o.Buf[s.Start:s.End:s.End]
}

// Encoder is not safe for concurrent use: each goroutine has its own.
type Encoder interface {
	// Change appends the records of change i: usually one; a change of the primary key may be two, a delete may be followed by a tombstone. An
	// error is a fault.FormatValue and leaves o as it was.
	Change(o *Out, b *event.Batch, i int) error
	// DDL appends the schema-change record of a batch with DDL, where the format has such a thing.
	DDL(o *Out, b *event.Batch) error
}

// Marker is implemented by encoders of formats that have records around transactions.
type Marker interface {
	// Txn appends what the format says at the begin, or at the end, of transaction i of b. It is called once for each Begin, before the changes
	// of the transaction, and once for each End, behind them, in their order; also for transactions without changes.
	Txn(o *Out, b *event.Batch, i int, end bool) error
}

// Heart is implemented by encoders of formats that have heartbeat records.
type Heart interface {
	// Heartbeat appends a record that says that the stream has come to pos at the time now, in microseconds since 1970.
	Heartbeat(o *Out, pos event.Position, now int64) error
}

// StatementOffset is where the statement of a batch with DDL stands in its file; where that is not known, where its transaction begins.
func StatementOffset(b *event.Batch) uint64 {
	if len(b.Txns) == 0 {
		return 0
	}
	t := &b.Txns[0]
	if e := b.DDL.Entries; len(e) > 0 && e[0].File == t.File && e[0].Offset != 0 {
		return e[0].Offset
	}
	return t.Off
}

// KeyColumns gives the ordinals of the columns that name a row of a table: its primary key, else its first unique key of whole columns none
// of which may be NULL, else none.
func KeyColumns(t *schemas.Table) []int {
	if len(t.PrimaryKey) > 0 {
		return t.PrimaryKey
	}
next:
	for _, k := range t.Unique {
		cols := make([]int, 0, len(k.Parts))
		for _, p := range k.Parts {
			if p.Column < 0 || p.Prefix != 0 || t.Columns[p.Column].Nullable {
				continue next
			}
			cols = append(cols, p.Column)
		}
		if len(cols) > 0 {
			return cols
		}
	}
	return nil
}

// Rekeyed reports that an update changed one of the columns keys. Columns that the after image leaves out were not changed.
func Rekeyed(before, after event.Row, keys []int) bool {
	for _, k := range keys {
		if a := after.Cells[k]; a.Kind() != event.Absent && !SameCell(before, before.Cells[k], after, a) {
			return true
		}
	}
	return false
}

// SameCell reports that two cells of one column, of two images of one batch, hold the same value.
func SameCell(x event.Row, xc event.Cell, y event.Row, yc event.Cell) bool {
	return xc == yc || sameBytes(&x, &y, xc, yc) // the same number or the same place in the arena, or the same bytes there
}

func sameBytes(x, y *event.Row, xc, yc event.Cell) bool {
	k := xc.Kind()
	if k == event.JSONBinary && yc.Kind() == k { // one document may have two forms
		return jsonbin.Equal(x.Bytes(xc), y.Bytes(yc))
	}
	return k == yc.Kind() && k.InArena() && xc.Flags() == yc.Flags() && xc.Len() == yc.Len() && string(x.Bytes(xc)) == string(y.Bytes(yc))
}
