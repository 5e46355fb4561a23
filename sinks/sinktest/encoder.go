package sinktest

import (
	"encoding/json"
	"fmt"
	"strconv"

	"cdc/event"
	"cdc/format"
	"cdc/schemas"
)

// Record names one delivered change.
type Record struct {
	Table schemas.Name
	Txn   string // its GTID, or file:offset without GTIDs
	Row   uint32
	Sub   uint8
}

func (r Record) String() string { return fmt.Sprintf("%s %s %d %d", r.Table, r.Txn, r.Row, r.Sub) }

type encoder struct{}

// NewEncoder gives the suite's encoder: a line of JSON per change, which Parse reads, and a line per statement.
func NewEncoder() format.Encoder { return encoder{} }

func (encoder) Change(o *format.Out, b *event.Batch, i int) error {
	c := &b.Changes[i]
	t, x := b.Tables[c.Table], b.Txn(c)
	row := b.After(i)
	start := len(o.Buf)
	o.Buf = append(o.Buf, `{"d":`...)
	o.Buf = strconv.AppendQuoteToASCII(o.Buf, t.Database)
	o.Buf = append(o.Buf, `,"t":`...)
	o.Buf = strconv.AppendQuoteToASCII(o.Buf, t.Name)
	o.Buf = append(o.Buf, `,"x":"`...)
	if x.GTID.IsZero() {
		o.Buf = append(append(o.Buf, x.File...), ':')
		o.Buf = strconv.AppendUint(o.Buf, x.Off, 10)
	} else {
		o.Buf = x.GTID.Append(o.Buf)
	}
	o.Buf = append(o.Buf, `","r":`...)
	o.Buf = strconv.AppendUint(o.Buf, uint64(c.Row), 10)
	o.Buf = append(o.Buf, `,"s":`...)
	o.Buf = strconv.AppendUint(o.Buf, uint64(c.Sub), 10)
	o.Buf = append(o.Buf, `,"id":`...)
	o.Buf = strconv.AppendInt(o.Buf, row.Cells[0].Int64(), 10)
	o.Buf = append(o.Buf, `,"v":"`...)
	o.Buf = append(o.Buf, row.Bytes(row.Cells[1])...)
	o.Buf = append(o.Buf, `"}`...)
	o.Recs = append(o.Recs, format.Rec{Change: int32(i), Table: c.Table, Value: format.Span{Start: start, End: len(o.Buf)}})
	return nil
}

func (encoder) DDL(o *format.Out, b *event.Batch) error {
	start := len(o.Buf)
	o.Buf = append(o.Buf, `{"ddl":`...)
	o.Buf = strconv.AppendQuoteToASCII(o.Buf, b.DDL.Text)
	o.Buf = append(o.Buf, '}')
	o.Recs = append(o.Recs, format.Rec{Change: -1, Value: format.Span{Start: start, End: len(o.Buf)}})
	return nil
}

// Parse reads a line of NewEncoder's and checks that the row in it is the one that was written. ok is false for a statement.
func Parse(line []byte) (r Record, ok bool, err error) {
	var l struct {
		DDL     string `json:"ddl"`
		D, T, X string
		R       uint32
		S       uint8
		ID      int64
		V       string
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return r, false, fmt.Errorf("parse %q: %w", line, err)
	}
	if l.DDL != "" {
		return r, false, nil
	}
	if l.ID != int64(l.R) || l.V != text(l.X, l.R) {
		return r, false, fmt.Errorf("the row was changed on its way: %q", line)
	}
	return Record{Table: schemas.Name{Database: l.D, Table: l.T}, Txn: l.X, Row: l.R, Sub: l.S}, true, nil
}

// Statement gives a DDL that NewEncoder makes one line of.
func Statement() *schemas.DDL {
	return &schemas.DDL{Statement: schemas.Statement{Text: "ALTER TABLE ..."}, Kind: schemas.AlterTable}
}
