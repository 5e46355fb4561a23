package format

import (
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// Fault says where the error of a value was met: table, transaction, and offset of the rows event.
func Fault(err error, b *event.Batch, i int) error {
	e, ok := fault.As(err)
	if !ok {
		return err
	}
	c := &b.Changes[i]
	t := b.Txn(c)
	return e.At(fault.Where{Table: b.Tables[c.Table].FullName(), GTID: t.GTID.String(), File: t.File, Offset: b.Groups[c.Group].Off})
}

// WrongKind is the fault of a cell that is not of its column's kind: a transform gave a value that does not fit the table it declared.
func WrongKind(c *schemas.Column, k event.Kind) error {
	return fault.New(fault.FormatValue, "column %s is %s and its value is %s", c.Name, c.ColumnType(), k).
		Hint("check the transforms of this stream: a transform that changes a value's type must declare it")
}

// NoMember is the fault of an ENUM or SET whose number stands for no member. Like all faults of values it does not show the value, which may
// be one that is masked elsewhere.
func NoMember(c *schemas.Column) error {
	return fault.New(fault.FormatValue, "column %s: the value is none of its %d members", c.Name, len(c.Members)).
		Hint("the column's definition does not fit the row: compare `cdc schema show` with the table")
}

// BadBytes is the fault of bytes that are no value of their column's type.
func BadBytes(c *schemas.Column, n int) error {
	return fault.New(fault.FormatValue, "column %s: %d bytes are no value of %s", c.Name, n, c.ColumnType())
}
