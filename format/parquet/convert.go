package parquet

import (
	"encoding/binary"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// Convert says how values of one definition of a column become those of another, as Reader gives them, where ALTER TABLE keeps every value exactly as it is: wider integers,
// decimals, texts and times, more members of an ENUM. A nil function leaves the bytes as they are. Where a server may have to round, cut or replace a value, why says so
// and there is none. NULL, and what a generated column is made of, are the caller's to look at.
func Convert(from, to *schemas.Column) (f func([]byte) ([]byte, error), why string) {
	if alike(from, to) {
		return nil, ""
	}
	no := func() (func([]byte) ([]byte, error), string) {
		return nil, from.ColumnType() + " becomes " + to.ColumnType()
	}
	switch {
	case from.Type.IsInteger() && to.Type.IsInteger():
		if wide := bitsOf(to.Type) - bitsOf(from.Type); wide < 0 || wide == 0 && from.Unsigned != to.Unsigned || to.Unsigned && !from.Unsigned {
			return no()
		}
		return integer(from, to), ""
	case from.Type != to.Type && !longer(from, to):
		return no()
	case from.Type.IsText() && !sameText(from, to):
		return nil, "character set " + from.Charset + " becomes " + to.Charset
	}
	kept := true
	switch to.Type {
	case schemas.Decimal:
		if to.Scale < from.Scale || to.Precision-to.Scale < from.Precision-from.Scale || to.Unsigned && !from.Unsigned {
			return no()
		}
		return widen(from, to), ""
	case schemas.Bit:
		if to.Length < from.Length {
			return no()
		}
		if from.Length <= 1 && to.Length > 1 {
			return func(v []byte) ([]byte, error) { return append(slices.Clone(v), make([]byte, 8-len(v))...), nil }, ""
		}
	case schemas.Time, schemas.DateTime, schemas.Timestamp:
		kept = to.Fsp >= from.Fsp
	case schemas.Char, schemas.VarChar, schemas.VarBinary:
		kept = to.Length >= from.Length
	case schemas.Enum:
		kept = !slices.ContainsFunc(from.Members, func(m string) bool { return !slices.Contains(to.Members, m) })
	case schemas.Set:
		kept = len(to.Members) >= len(from.Members) && slices.Equal(to.Members[:len(from.Members)], from.Members)
	case schemas.Geometry:
		kept = to.Geometry == from.Geometry || to.Geometry == 0
	case schemas.TinyText, schemas.Text, schemas.MediumText, schemas.LongText, schemas.TinyBlob, schemas.Blob, schemas.MediumBlob, schemas.LongBlob:
	default: // FLOAT(M,D), BINARY(n) and VECTOR(n) with another number, which rounds, pads, or is refused
		kept = false
	}
	if !kept {
		return no()
	}
	return nil, ""
}

// alike reports columns of one type, whatever else is different.
func alike(a, b *schemas.Column) bool {
	x, y := *a, *b
	for _, c := range []*schemas.Column{&x, &y} {
		c.Name, c.Zerofill, c.Width, c.Collation, c.Nullable, c.Generated, c.Invisible, c.Auto, c.Hidden = "", false, 0, "", false, 0, false, false, false
		c.Default, c.HasDefault = "", false
		if c.Charset == "" && c.Type.IsText() { // what is not known is the same as what is
			x.Charset, y.Charset = "", ""
		}
		if c.Members == nil {
			c.Members = []string{}
		}
	}
	return reflect.DeepEqual(x, y)
}

func sameText(from, to *schemas.Column) bool {
	return from.Charset == to.Charset || strings.EqualFold(to.Charset, "utf8mb4") && from.Charset != "binary"
}

// longer reports types of text or bytes of which the second holds every value of the first.
func longer(from, to *schemas.Column) bool {
	texts := []schemas.Type{schemas.TinyText, schemas.Text, schemas.MediumText, schemas.LongText}
	blobs := []schemas.Type{schemas.TinyBlob, schemas.Blob, schemas.MediumBlob, schemas.LongBlob}
	holds := []uint64{255, 65535, 1<<24 - 1, 1<<32 - 1}
	for i, list := range [][]schemas.Type{texts, blobs} {
		at := slices.Index(list, to.Type)
		if at < 0 {
			continue
		}
		if was := slices.Index(list, from.Type); was >= 0 {
			return was <= at
		}
		if i == 0 {
			return (from.Type == schemas.Char || from.Type == schemas.VarChar) && uint64(from.Length)*4 <= holds[at]
		}
		return from.Type == schemas.VarBinary && uint64(from.Length) <= holds[at]
	}
	return from.Type == schemas.Char && to.Type == schemas.VarChar && to.Length >= from.Length
}

func bitsOf(t schemas.Type) int {
	switch t {
	case schemas.TinyInt:
		return 8
	case schemas.SmallInt:
		return 16
	case schemas.MediumInt:
		return 24
	case schemas.Int:
		return 32
	}
	return 64
}

func integer(from, to *schemas.Column) func([]byte) ([]byte, error) {
	if to.Type != schemas.BigInt || from.Type == schemas.BigInt {
		return nil // 32 bits hold all of the smaller ones, with their sign or without
	}
	return func(v []byte) ([]byte, error) {
		if len(v) != 4 {
			return nil, fault.New(fault.MaterializeColumns, "an integer of column %s has %d bytes", from.Name, len(v))
		}
		n := binary.LittleEndian.Uint32(v)
		if from.Unsigned {
			return append64(nil, int64(n)), nil
		}
		return append64(nil, int64(int32(n))), nil
	}
}

// widen gives a DECIMAL more digits before or behind the point.
func widen(from, to *schemas.Column) func([]byte) ([]byte, error) {
	a := columnsOf(&schemas.Table{Columns: []schemas.Column{*from}})[0]
	b := columnsOf(&schemas.Table{Columns: []schemas.Column{*to}})[0]
	return func(v []byte) ([]byte, error) {
		rec, err := decimal(nil, &b, decimalText(&a, v))
		if err == nil && b.phys == byteArray {
			_, n := binary.Uvarint(rec)
			rec = rec[n:]
			if a.scale < b.scale { // a text has the digits that the server prints
				if a.scale == 0 {
					rec = append(rec, '.')
				}
				rec = append(rec, strings.Repeat("0", b.scale-a.scale)...)
			}
		}
		return rec, err
	}
}

// decimalText prints a DECIMAL as MySQL does.
func decimalText(c *column, v []byte) []byte {
	if c.phys == byteArray {
		return slices.Clone(v)
	}
	be := slices.Clone(v)
	if c.phys != fixed {
		slices.Reverse(be)
	}
	n := new(big.Int).SetBytes(be)
	if len(be) > 0 && be[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	neg := n.Sign() < 0
	s := n.Abs(n).String()
	if len(s) <= c.scale {
		s = strings.Repeat("0", c.scale+1-len(s)) + s
	}
	if c.scale > 0 {
		s = s[:len(s)-c.scale] + "." + s[len(s)-c.scale:]
	}
	if neg {
		s = "-" + s
	}
	return []byte(s)
}

// Filled is what an ALTER TABLE that adds a column writes into it in the rows that are there: its literal default, NULL, or what stands for none in a column that is NOT NULL.
// Where that takes more than reading a number or a text, ok is false. The caller has seen to it that the column has no default that is an expression, which is not in c.
func Filled(c *schemas.Column) (v []byte, ok bool) {
	if c.Generated != schemas.NotGenerated || c.Auto {
		return nil, false
	}
	if !c.HasDefault && c.Nullable {
		return nil, true
	}
	text := c.Default
	col := &columnsOf(&schemas.Table{Columns: []schemas.Column{*c}})[0]
	switch col.kind {
	case event.Int, event.Uint, event.Decimal:
		if !c.HasDefault {
			text = "0"
		}
		if col.kind == event.Decimal {
			if col.phys == byteArray {
				return nil, false
			}
			v, err := decimal(nil, col, []byte(text))
			return v, err == nil
		}
		n, ok := new(big.Int).SetString(text, 10)
		if !ok || c.Unsigned && !n.IsUint64() || !c.Unsigned && !n.IsInt64() {
			return nil, false
		}
		if c.Unsigned {
			return number(nil, col, int64(n.Uint64())), true
		}
		return number(nil, col, n.Int64()), true
	case event.String:
		plain := strings.HasPrefix(c.Charset, "utf8") && utf8.ValidString(text) || !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
		return append([]byte{}, text...), plain && (c.Type != schemas.Char || !strings.HasSuffix(text, " "))
	case event.Enum:
		return append([]byte{}, text...), c.HasDefault && slices.Contains(c.Members, text)
	}
	return nil, false
}
