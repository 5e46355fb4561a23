package batchtest

import (
	"fmt"
	"math"

	"cdc/event"
)

// Value is one value outside of a batch. It is comparable.
type Value struct {
	Kind  event.Kind
	Flags uint8
	Num   uint64 // of the kinds that are not in the arena, as the cell holds it
	Data  string // of the kinds in the arena
}

// Absent is a column that the row image does not hold.
func Absent() Value { return Value{} }

// Null is SQL NULL.
func Null() Value { return Value{Kind: event.Null} }

// Int is a signed integer.
func Int(v int64) Value { return Value{Kind: event.Int, Num: uint64(v)} }

// Uint is an unsigned integer.
func Uint(v uint64) Value { return Value{Kind: event.Uint, Num: v} }

// Float is a FLOAT.
func Float(v float32) Value { return Value{Kind: event.Float32, Num: uint64(math.Float32bits(v))} }

// Double is a DOUBLE.
func Double(v float64) Value { return Value{Kind: event.Float64, Num: math.Float64bits(v)} }

// Decimal is a DECIMAL as MySQL prints it.
func Decimal(text string) Value { return Value{Kind: event.Decimal, Data: text} }

// Text is a string in UTF-8.
func Text(s string) Value { return Value{Kind: event.String, Data: s} }

// RawText is a string whose bytes are not valid in the column's character set.
func RawText(s string) Value { return Value{Kind: event.String, Flags: event.Raw, Data: s} }

// Bytes is a BINARY, VARBINARY or BLOB.
func Bytes(s string) Value { return Value{Kind: event.Bytes, Data: s} }

// JSON is a JSON document as MySQL prints it.
func JSON(s string) Value { return Value{Kind: event.JSON, Data: s} }

// Num is a value of one of the kinds Time, Timestamp, Year, Enum, SetBits and Bits.
func Num(k event.Kind, n int64) Value { return Value{Kind: k, Num: uint64(n)} }

// Arena is a value of any kind in the arena.
func Arena(k event.Kind, data string) Value { return Value{Kind: k, Data: data} }

// Date is a DATE; parts may be zero.
func Date(year, month, day int) Value {
	return Value{Kind: event.Date, Num: event.Civil{Year: year, Month: month, Day: day}.Pack()}
}

// DateTime is a DATETIME; parts may be zero.
func DateTime(c event.Civil) Value { return Value{Kind: event.DateTime, Num: c.Pack()} }

// ZeroTimestamp is '0000-00-00 00:00:00' in a TIMESTAMP column.
func ZeroTimestamp() Value { return Value{Kind: event.Timestamp, Flags: event.ZeroTime} }

// Append makes a cell of the value, with its data appended to the arena.
func (v Value) Append(arena []byte) (event.Cell, []byte) {
	if v.Kind.InArena() {
		return event.ArenaCell(v.Kind, len(arena), len(v.Data), v.Flags), append(arena, v.Data...)
	}
	return event.NumCell(v.Kind, v.Num, v.Flags), arena
}

// ValueOf reads column i of a row image.
func ValueOf(r event.Row, i int) Value {
	c := r.Cells[i]
	v := Value{Kind: c.Kind(), Flags: c.Flags()}
	if v.Kind.InArena() {
		v.Data = string(r.Bytes(c))
	} else {
		v.Num = c.Uint64()
	}
	return v
}

// Values reads a whole row image; nil for none.
func Values(r event.Row) []Value {
	if r.IsZero() {
		return nil
	}
	vs := make([]Value, len(r.Cells))
	for i := range vs {
		vs[i] = ValueOf(r, i)
	}
	return vs
}

// String is for messages of tests.
func (v Value) String() string {
	switch {
	case v.Kind == event.Absent || v.Kind == event.Null:
		return v.Kind.String()
	case v.Kind.InArena():
		return fmt.Sprintf("%s(%q)", v.Kind, v.Data)
	case v.Kind == event.Float32:
		return fmt.Sprintf("float32(%v)", math.Float32frombits(uint32(v.Num)))
	case v.Kind == event.Float64:
		return fmt.Sprintf("float64(%v)", math.Float64frombits(v.Num))
	case v.Kind == event.Date || v.Kind == event.DateTime:
		return fmt.Sprintf("%s(%+v)", v.Kind, event.NumCell(v.Kind, v.Num, 0).Civil())
	}
	return fmt.Sprintf("%s(%d)", v.Kind, int64(v.Num))
}
