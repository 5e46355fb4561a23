package binlog

import (
	"strconv"

	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/source/binlog/image"
)

// TableMap is a table map event: what the rows events behind it are of. Its slices are views of the event unless it was cloned.
type TableMap struct {
	ID       uint64
	Flags    uint16
	Flavor   gtid.Flavor
	Name     schemas.Name
	Types    []byte     // one byte for each column
	Meta     []byte     // the metadata block, as it is in the event
	Nullable []byte     // bitmap of the columns that may be NULL, lowest bit first
	Wire     image.Wire // Types, Meta and Nullable taken apart
	Metadata Metadata

	wire []wireColumn
}

// wireColumn is one column of a table map with its metadata taken apart.
type wireColumn struct {
	typ      byte   // real type: ENUM and SET, which travel as STRING, are themselves
	size     uint16 // bytes of a string, width of a length, bits of a BIT, precision of a DECIMAL
	scale    uint8  // of a DECIMAL; digits of a second
	nullable bool
}

// maxColumns is more than any server allows (4,096 in MySQL, 4,096 in MariaDB).
const maxColumns = 1 << 16

// ParseTableMap reads the body of a table map event, without checksum.
func ParseTableMap(f *Format, body []byte) (*TableMap, error) {
	c := cursor{b: body}
	tm := &TableMap{Flavor: f.Flavor, ID: c.uint(f.idSize(TableMapEvent)), Flags: c.u16()}
	db := c.take(int(c.u8()))
	c.skip(1)
	table := c.take(int(c.u8()))
	c.skip(1)
	n := c.length()
	tm.Types = c.take(n)
	tm.Meta = c.text()
	tm.Nullable = c.take((n + 7) / 8)
	if c.bad || n > maxColumns {
		return nil, malformed("table map of %d bytes", len(body))
	}
	tm.Name = schemas.Name{Database: string(db), Table: string(table)}
	if err := tm.parseWire(); err != nil {
		return nil, err
	}
	if err := tm.parseMetadata(c.b); err != nil {
		return nil, err
	}
	return tm, nil
}

// Columns is the number of columns.
func (tm *TableMap) Columns() int { return len(tm.Types) }

func (tm *TableMap) parseWire() error {
	w, err := image.ParseWire(tm.Types, tm.Meta, tm.Nullable)
	if err != nil {
		return err
	}
	tm.Wire = w
	tm.wire = make([]wireColumn, len(w.Types))
	for i, t := range w.Types {
		c := wireColumn{typ: t, size: w.Meta[i], nullable: w.Nullable[i/8]>>(i%8)&1 != 0}
		switch t {
		case image.WireDecimal:
			c.size, c.scale = w.Meta[i]>>8, uint8(w.Meta[i])
		case image.WireTimestamp, image.WireDateTime, image.WireTime:
			c.scale = uint8(w.Meta[i])
		}
		tm.wire[i] = c
	}
	return nil
}

// numeric, character and the others below say which columns a field of the optional metadata has entries for.
func (w *wireColumn) numeric() bool {
	switch w.typ {
	case image.WireTiny, image.WireShort, image.WireInt24, image.WireLong, image.WireLongLong, image.WireDecimalOld, image.WireDecimal,
		image.WireFloat, image.WireDouble, image.WireYear:
		return true
	}
	return false
}

// character is the server's is_character_type. MySQL counts vectors too and MariaDB geometries, whose character set is binary.
func (w *wireColumn) character(f gtid.Flavor) bool {
	switch w.typ {
	case image.WireString, image.WireVarString, image.WireVarChar, image.WireBlob, image.WireVector:
		return true
	case image.WireGeometry, image.WireBlobPacked, image.WireStringPacked:
		return f == gtid.MariaDB
	}
	return false
}

func (w *wireColumn) members() bool { return w.typ == image.WireEnum || w.typ == image.WireSet }

// Table makes a table version from FULL metadata; it is nil where the names are missing. What the event does not say is left empty: secondary
// keys, defaults, which columns are generated, JSON on MariaDB, where it is a LONGTEXT.
func (tm *TableMap) Table() *schemas.Table {
	if !tm.Metadata.Full() {
		return nil
	}
	t := tm.table()
	t.Origin = schemas.FromMetadata
	for i := range t.Columns {
		t.Columns[i].Name = tm.Metadata.Names[i]
	}
	pk := tm.Metadata.PrimaryKey
	if len(pk) > 0 {
		key := schemas.Key{Name: "PRIMARY", Parts: pk}
		for _, p := range pk {
			t.PrimaryKey = append(t.PrimaryKey, p.Column)
		}
		t.Unique = []schemas.Key{key}
	}
	return t
}

// Unnamed makes a table version whose columns are called @1, @2 and so on, with all that is known about them.
func (tm *TableMap) Unnamed() *schemas.Table {
	t := tm.table()
	t.Origin = schemas.FromImage
	for i := range t.Columns {
		t.Columns[i].Name = "@" + strconv.Itoa(i+1)
	}
	return t
}

func (tm *TableMap) table() *schemas.Table {
	t := &schemas.Table{Database: tm.Name.Database, Name: tm.Name.Table, Columns: make([]schemas.Column, len(tm.wire))}
	m := &tm.Metadata
	for i := range tm.wire {
		tm.column(&t.Columns[i], &tm.wire[i])
		c := &t.Columns[i]
		if m.Unsigned != nil && c.Type != schemas.Year { // which the server calls unsigned
			c.Unsigned = m.Unsigned[i]
		}
		if m.Members != nil {
			c.Members = m.Members[i]
		}
		if m.Invisible != nil {
			c.Invisible = m.Invisible[i]
		}
		if m.Geometry != nil {
			c.Geometry = m.Geometry[i]
		}
		if m.Dimensions != nil && c.Type == schemas.Vector {
			c.Length = m.Dimensions[i]
		}
		if m.Collations == nil || m.Collations[i] == 0 {
			continue
		}
		id := m.Collations[i]
		if id == charset.Binary {
			makeBinary(c)
			continue
		}
		if coll, ok := charset.CollationByID(tm.Flavor, id); ok && c.Type.IsText() {
			c.Charset, c.Collation = coll.Charset, coll.Name
			if n := charset.MaxBytes(coll.Charset); n > 1 && (c.Type == schemas.Char || c.Type == schemas.VarChar) {
				c.Length /= uint32(n)
			}
		}
	}
	return t
}

var wireTypes = map[byte]schemas.Type{
	image.WireTiny: schemas.TinyInt, image.WireShort: schemas.SmallInt, image.WireInt24: schemas.MediumInt, image.WireLong: schemas.Int,
	image.WireLongLong: schemas.BigInt,
	image.WireFloat:    schemas.Float, image.WireDouble: schemas.Double, image.WireDecimal: schemas.Decimal, image.WireDecimalOld: schemas.Decimal,
	image.WireTimestampOld: schemas.Timestamp, image.WireTimestamp: schemas.Timestamp, image.WireDate: schemas.Date, image.WireNewDate: schemas.Date,
	image.WireTimeOld: schemas.Time, image.WireTime: schemas.Time, image.WireDateTimeOld: schemas.DateTime, image.WireDateTime: schemas.DateTime,
	image.WireYear: schemas.Year, image.WireBit: schemas.Bit, image.WireVarChar: schemas.VarChar, image.WireVarString: schemas.VarChar,
	image.WireStringPacked: schemas.VarChar, image.WireString: schemas.Char, image.WireEnum: schemas.Enum, image.WireSet: schemas.Set,
	image.WireJSON:     schemas.JSON,
	image.WireGeometry: schemas.Geometry, image.WireVector: schemas.Vector, image.WireTinyBlob: schemas.TinyText,
	image.WireMediumBlob: schemas.MediumText,
	image.WireLongBlob:   schemas.LongText,
}

// column fills in what the column's type and metadata say by themselves. Strings are taken for text until a collation says binary.
func (tm *TableMap) column(c *schemas.Column, w *wireColumn) {
	c.Type = wireTypes[w.typ]
	c.Nullable = w.nullable
	switch w.typ {
	case image.WireDecimal:
		c.Precision, c.Scale = uint8(w.size), w.scale
	case image.WireTimestamp, image.WireDateTime, image.WireTime:
		c.Fsp = w.scale
	case image.WireVarChar, image.WireVarString, image.WireString, image.WireBit:
		c.Length = uint32(w.size)
	case image.WireStringPacked: // one byte more than declared, for the header
		c.Length = uint32(max(w.size, 1) - 1)
	case image.WireBlob, image.WireBlobPacked:
		switch w.size {
		case 1:
			c.Type = schemas.TinyText
		case 2:
			c.Type = schemas.Text
		case 3:
			c.Type = schemas.MediumText
		default:
			c.Type = schemas.LongText
		}
	}
}

// makeBinary turns a text type into the binary one that has the same shape.
func makeBinary(c *schemas.Column) {
	switch c.Type {
	case schemas.Char:
		c.Type = schemas.Binary
	case schemas.VarChar:
		c.Type = schemas.VarBinary
	case schemas.TinyText, schemas.Text, schemas.MediumText, schemas.LongText:
		c.Type += schemas.TinyBlob - schemas.TinyText
	case schemas.Enum, schemas.Set:
		c.Charset, c.Collation = "binary", "binary"
	}
}

// Disagrees says in which way a table version contradicts the metadata of the event, and "" where it does not. The server writes more or less
// of it: what is not there contradicts nothing. Types are compared by image.Compile.
func (tm *TableMap) Disagrees(t *schemas.Table) string {
	if len(t.Columns) != len(tm.wire) {
		return strconv.Itoa(len(tm.wire)) + " columns in the row, " + strconv.Itoa(len(t.Columns)) + " in the definition"
	}
	m := &tm.Metadata
	for i := range tm.wire {
		c := &t.Columns[i]
		name := "column " + strconv.Itoa(i+1) + " (" + c.Name + ")"
		switch {
		case m.Names != nil && m.Names[i] != c.Name:
			return name + " is called " + m.Names[i] + " by the server"
		case m.Unsigned != nil && tm.wire[i].numeric() && (c.Type.IsInteger() || c.Type == schemas.Decimal) && m.Unsigned[i] != c.Unsigned:
			return name + " is signed in one and unsigned in the other"
		case m.Geometry != nil && c.Type == schemas.Geometry && m.Geometry[i] != c.Geometry:
			return name + " is a " + m.Geometry[i].String()
		case m.Invisible != nil && m.Invisible[i] != c.Invisible:
			return name + " is visible in one and invisible in the other"
		}
		if m.Members != nil && tm.wire[i].members() && !equalStrings(m.Members[i], c.Members) {
			return name + " has other members"
		}
		if m.Collations == nil || m.Collations[i] == 0 {
			continue
		}
		id := m.Collations[i]
		if !c.Type.IsText() {
			if c.Type.IsBinary() && id != charset.Binary {
				return name + " is text"
			}
			continue
		}
		if coll, ok := charset.CollationByID(tm.Flavor, id); ok && c.Collation != "" && coll.Name != c.Collation {
			return name + " has collation " + coll.Name
		}
	}
	if m.Full() && !samePrimaryKey(m.PrimaryKey, t) {
		return "another primary key"
	}
	return ""
}

func samePrimaryKey(parts []schemas.KeyPart, t *schemas.Table) bool {
	if len(parts) != len(t.PrimaryKey) {
		return false
	}
	for i, p := range parts {
		if p.Column != t.PrimaryKey[i] {
			return false
		}
	}
	return true
}

func equalStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
