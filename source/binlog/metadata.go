package binlog

import (
	"unicode/utf8"

	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/source/binlog/image"
)

// Metadata is the optional metadata of a table map event. Each slice has an entry for each column of the table, or is nil where the server did
// not write the field: a MINIMAL server says signedness, collations and geometry types, a FULL one everything, MySQL before 8.0.1 and MariaDB
// with NO_LOG nothing.
type Metadata struct {
	Names      []string
	Unsigned   []bool
	Collations []uint16 // 0 for columns without one
	Members    [][]string
	Geometry   []schemas.GeometryKind
	Invisible  []bool
	Dimensions []uint32 // of VECTOR
	PrimaryKey []schemas.KeyPart
}

// Full reports that the columns' names are there.
func (m *Metadata) Full() bool { return m.Names != nil }

// Fields of the optional metadata (MySQL source, Table_map_event::Optional_metadata_field_type).
const (
	metaSignedness       = 1
	metaDefaultCharset   = 2
	metaColumnCharset    = 3
	metaColumnName       = 4
	metaSetMembers       = 5
	metaEnumMembers      = 6
	metaGeometryType     = 7
	metaPrimaryKey       = 8
	metaPrefixedKey      = 9
	metaEnumSetDefault   = 10
	metaEnumSetCharset   = 11
	metaColumnVisibility = 12
	metaVectorDimensions = 13
	maxMembers           = 1 << 16
	maxKeyParts          = 64
)

// parseMetadata reads the fields behind the table map's fixed part. A field of an unknown type is passed over by its length.
func (tm *TableMap) parseMetadata(b []byte) error {
	c := cursor{b: b}
	var sets, enums []byte // read when the collations are known
	for len(c.b) > 0 {
		typ := c.u8()
		f := cursor{b: c.text()}
		if c.bad {
			return malformed("table map of %s: optional metadata ends inside a field", tm.Name)
		}
		m := &tm.Metadata
		switch typ {
		case metaSignedness:
			m.Unsigned = tm.bits(&f, (*wireColumn).numeric)
		case metaDefaultCharset:
			tm.defaultCollation(&f, tm.isCharacter)
		case metaColumnCharset:
			tm.collations(&f, tm.isCharacter)
		case metaEnumSetDefault:
			tm.defaultCollation(&f, (*wireColumn).members)
		case metaEnumSetCharset:
			tm.collations(&f, (*wireColumn).members)
		case metaColumnName:
			names := make([]string, len(tm.wire))
			for i := range names {
				names[i] = string(f.text())
			}
			m.Names = names
		case metaSetMembers:
			sets, f.b = f.b, nil
		case metaEnumMembers:
			enums, f.b = f.b, nil
		case metaGeometryType:
			m.Geometry = make([]schemas.GeometryKind, len(tm.wire))
			for i := range tm.wire {
				if tm.wire[i].typ == image.WireGeometry {
					m.Geometry[i] = schemas.GeometryKind(min(f.lenenc(), 255))
				}
			}
		case metaPrimaryKey, metaPrefixedKey:
			tm.primaryKey(&f, typ == metaPrefixedKey)
		case metaColumnVisibility:
			visible := tm.bits(&f, func(*wireColumn) bool { return true })
			for i := range visible {
				visible[i] = !visible[i]
			}
			m.Invisible = visible
		case metaVectorDimensions:
			m.Dimensions = make([]uint32, len(tm.wire))
			for i := range tm.wire {
				if tm.wire[i].typ == image.WireVector {
					m.Dimensions[i] = uint32(f.lenenc())
				}
			}
		default:
			f.b = nil
		}
		if f.bad || len(f.b) != 0 {
			return malformed("table map of %s: optional metadata field %d does not fit its columns", tm.Name, typ)
		}
	}
	return tm.members(sets, enums)
}

func (tm *TableMap) isCharacter(w *wireColumn) bool { return w.character(tm.Flavor) }

// bits reads a bitmap, highest bit first, of the columns that has takes.
func (tm *TableMap) bits(f *cursor, has func(*wireColumn) bool) []bool {
	n := 0
	for i := range tm.wire {
		if has(&tm.wire[i]) {
			n++
		}
	}
	bitmap := f.take((n + 7) / 8)
	if f.bad {
		return nil
	}
	out := make([]bool, len(tm.wire))
	n = 0
	for i := range tm.wire {
		if has(&tm.wire[i]) {
			out[i] = bitmap[n/8]<<(n%8)&0x80 != 0
			n++
		}
	}
	return out
}

func (tm *TableMap) collationSlots() []uint16 {
	if tm.Metadata.Collations == nil {
		tm.Metadata.Collations = make([]uint16, len(tm.wire))
	}
	return tm.Metadata.Collations
}

// collations reads one collation for each column that has takes.
func (tm *TableMap) collations(f *cursor, has func(*wireColumn) bool) {
	out := tm.collationSlots()
	for i := range tm.wire {
		if has(&tm.wire[i]) {
			out[i] = uint16(f.lenenc())
		}
	}
}

// defaultCollation reads the collation that most columns have, and pairs of an index (among the columns that has takes) and another one.
func (tm *TableMap) defaultCollation(f *cursor, has func(*wireColumn) bool) {
	out := tm.collationSlots()
	def := uint16(f.lenenc())
	var columns []int
	for i := range tm.wire {
		if has(&tm.wire[i]) {
			out[i] = def
			columns = append(columns, i)
		}
	}
	for len(f.b) > 0 {
		i, id := f.lenenc(), f.lenenc()
		if i >= uint64(len(columns)) {
			f.bad = true
			return
		}
		out[columns[i]] = uint16(id)
	}
}

func (tm *TableMap) primaryKey(f *cursor, prefixed bool) {
	for len(f.b) > 0 && !f.bad {
		p := schemas.KeyPart{Column: int(min(f.lenenc(), maxColumns))}
		if prefixed {
			p.Prefix = uint32(f.lenenc())
		}
		if p.Column >= len(tm.wire) || len(tm.Metadata.PrimaryKey) == maxKeyParts {
			f.bad = true
			return
		}
		tm.Metadata.PrimaryKey = append(tm.Metadata.PrimaryKey, p)
	}
}

// members reads the members of the SET and of the ENUM columns. They are stored in the column's character set.
func (tm *TableMap) members(sets, enums []byte) error {
	if sets == nil && enums == nil {
		return nil
	}
	s, e := cursor{b: sets}, cursor{b: enums}
	out := make([][]string, len(tm.wire))
	for i := range tm.wire {
		f := &s
		switch tm.wire[i].typ {
		case image.WireSet:
		case image.WireEnum:
			f = &e
		default:
			continue
		}
		n := f.length()
		if n > maxMembers {
			f.bad = true
		}
		if f.bad {
			break
		}
		collation := uint16(0)
		if tm.Metadata.Collations != nil {
			collation = tm.Metadata.Collations[i]
		}
		out[i] = make([]string, n)
		for j := range out[i] {
			out[i][j] = tm.decodeMember(f.text(), collation)
		}
	}
	if s.bad || e.bad || len(s.b)+len(e.b) != 0 {
		return malformed("table map of %s: the members of its ENUM and SET columns do not fit", tm.Name)
	}
	tm.Metadata.Members = out
	return nil
}

// decodeMember turns the text of a member into UTF-8. Bytes that are not valid in the character set stay as they are.
func (tm *TableMap) decodeMember(b []byte, collation uint16) string {
	coll, ok := charset.CollationByID(tm.Flavor, collation)
	if !ok || coll.Charset == "utf8mb4" || coll.Charset == "utf8mb3" || coll.Charset == "binary" || isASCII(b) && asciiSuperset(coll.Charset) {
		return string(b)
	}
	return decodeText(coll.Charset, b)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// asciiSuperset reports the character sets in which bytes below 0x80 are ASCII.
func asciiSuperset(name string) bool {
	switch name {
	case "ucs2", "utf16", "utf16le", "utf32", "swe7", "sjis", "cp932":
		return false
	}
	return true
}
