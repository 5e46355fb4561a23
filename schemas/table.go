package schemas

import (
	"strconv"
	"strings"
)

// Type is the type of a column as its definition says it. Binlog rows carry a coarser one of their own (a TEXT and a BLOB look alike
// there), which is why a row cannot be read without the definition.
type Type uint8

// Types of MySQL and MariaDB. MariaDB's JSON is LongText with a check, as the server itself says.
const (
	TypeUnknown Type = iota
	TinyInt
	SmallInt
	MediumInt
	Int
	BigInt
	Decimal
	Float
	Double
	Bit
	Year
	Date
	Time
	DateTime
	Timestamp
	Char
	VarChar
	Binary
	VarBinary
	TinyText
	Text
	MediumText
	LongText
	TinyBlob
	Blob
	MediumBlob
	LongBlob
	Enum
	Set
	JSON
	Geometry
	Vector
	UUID  // MariaDB 10.7+
	INET6 // MariaDB 10.5+
	INET4 // MariaDB 10.10+
	numTypes
)

var typeNames = [numTypes]string{
	"unknown", "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year", "date", "time", "datetime",
	"timestamp", "char", "varchar", "binary", "varbinary", "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob",
	"longblob", "enum", "set", "json", "geometry", "vector", "uuid", "inet6", "inet4",
}

// String gives the type's name in information_schema.COLUMNS.DATA_TYPE (geometry for each of the spatial types).
func (t Type) String() string {
	if t < numTypes {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// IsInteger reports TINYINT to BIGINT.
func (t Type) IsInteger() bool { return t >= TinyInt && t <= BigInt }

// IsText reports the types whose values have a character set: CHAR, VARCHAR, the TEXTs, ENUM and SET.
func (t Type) IsText() bool {
	return t == Char || t == VarChar || (t >= TinyText && t <= LongText) || t == Enum || t == Set
}

// IsBinary reports BINARY, VARBINARY and the BLOBs.
func (t Type) IsBinary() bool {
	return t == Binary || t == VarBinary || (t >= TinyBlob && t <= LongBlob)
}

// GeometryKind is the spatial type of a Geometry column, numbered as in the binlog's table map and in WKB; 0 is any.
type GeometryKind uint8

const point GeometryKind = 1

var geometryNames = [...]string{
	"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection",
}

func (g GeometryKind) String() string {
	if int(g) < len(geometryNames) {
		return geometryNames[g]
	}
	return geometryNames[0]
}

// Generated says whether and how a column is generated.
type Generated uint8

// A virtual column is computed when read, and is in the binlog all the same; a stored one is kept.
const (
	NotGenerated Generated = iota
	Virtual
	Stored
)

// Column is one column of a table version.
type Column struct {
	Name      string       `json:"name"`
	Type      Type         `json:"type"`
	Unsigned  bool         `json:"unsigned,omitempty"`
	Zerofill  bool         `json:"zerofill,omitempty"`
	Length    uint32       `json:"length,omitempty"`    // CHAR, VARCHAR: characters; BINARY, VARBINARY: bytes; BIT: bits; VECTOR: dimensions
	Width     uint8        `json:"width,omitempty"`     // declared display width of an integer, as in TINYINT(1); 0 where none is known
	Precision uint8        `json:"precision,omitempty"` // DECIMAL, and FLOAT and DOUBLE with (M,D)
	Scale     uint8        `json:"scale,omitempty"`
	Fsp       uint8        `json:"fsp,omitempty"`     // digits of a second, 0 to 6
	Charset   string       `json:"charset,omitempty"` // of a text type; always utf8mb3, never utf8; empty where it is not known
	Collation string       `json:"collation,omitempty"`
	Members   []string     `json:"members,omitempty"` // of ENUM and SET, in UTF-8
	Geometry  GeometryKind `json:"geometry,omitempty"`
	Nullable  bool         `json:"nullable,omitempty"`
	Generated Generated    `json:"generated,omitempty"`
	Invisible bool         `json:"invisible,omitempty"`
	Auto      bool         `json:"auto,omitempty"` // AUTO_INCREMENT
	// Hidden columns were made by the server for itself and are not in information_schema, but rows carry them: the row start and row end of
	// a system-versioned table of MariaDB that names none of its own, the hash of a long unique key.
	Hidden bool `json:"hidden,omitempty"`

	// Default is the literal default as information_schema.COLUMN_DEFAULT gives it; meaningful where HasDefault is set. Expressions and
	// CURRENT_TIMESTAMP are not kept. No row is ever filled from it.
	Default    string `json:"default,omitempty"`
	HasDefault bool   `json:"has_default,omitempty"`
}

// ColumnType gives the type as information_schema.COLUMN_TYPE of MySQL 8.0.19 and later does: without display width but for tinyint(1) and
// zerofill columns.
func (c *Column) ColumnType() string {
	var b strings.Builder
	switch c.Type {
	case Geometry:
		b.WriteString(c.Geometry.String())
	default:
		b.WriteString(c.Type.String())
	}
	arg := func(ns ...int) {
		b.WriteByte('(')
		for i, n := range ns {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	switch c.Type {
	case TinyInt, SmallInt, MediumInt, Int, BigInt:
		if c.Zerofill && c.Width > 0 || c.Type == TinyInt && c.Width == 1 && !c.Unsigned {
			arg(int(c.Width))
		}
	case Decimal:
		arg(int(c.Precision), int(c.Scale))
	case Float, Double:
		if c.Precision > 0 {
			arg(int(c.Precision), int(c.Scale))
		}
	case Bit, Char, VarChar, Binary, VarBinary, Vector:
		arg(int(c.Length))
	case Time, DateTime, Timestamp:
		if c.Fsp > 0 {
			arg(int(c.Fsp))
		}
	case Enum, Set:
		b.WriteByte('(')
		for i, m := range c.Members {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('\'')
			b.WriteString(strings.ReplaceAll(m, "'", "''"))
			b.WriteByte('\'')
		}
		b.WriteByte(')')
	}
	if c.Unsigned {
		b.WriteString(" unsigned")
	}
	if c.Zerofill {
		b.WriteString(" zerofill")
	}
	return b.String()
}

// KeyPart is one part of a key.
type KeyPart struct {
	Column int    `json:"column"`           // ordinal in Table.Columns; -1 for an expression
	Prefix uint32 `json:"prefix,omitempty"` // length of the prefix in characters (bytes for binary types); 0 for the whole value
}

// Key is a key: a unique one but for those in Table.Plain.
type Key struct {
	Name  string    `json:"name"`
	Parts []KeyPart `json:"parts"`
	// Implicit is set for a key that the server made for a foreign key. It goes away by itself when another key covers it.
	Implicit bool `json:"implicit,omitempty"`
}

// Origin says how a table version became known.
type Origin uint8

const (
	FromDDL      Origin = iota + 1 // a statement in the stream
	FromMetadata                   // the table map's own metadata
	FromServer                     // information_schema, behind a fence
	FromDump                       // a schema dump
	FromUser                       // `cdc schema set`
	FromImage                      // the table map without names: columns are called @1, @2
	FromRename                     // MariaDB's RENAME TABLE, which may have renamed a temporary table instead
)

var originNames = [...]string{"", "ddl", "metadata", "information_schema", "dump", "user", "image", "rename"}

func (o Origin) String() string {
	if int(o) < len(originNames) {
		return originNames[o]
	}
	return "origin " + strconv.Itoa(int(o))
}

// Table is one version of one table. It is immutable and shared: nobody who holds one may change it.
type Table struct {
	Database   string   `json:"database"`
	Name       string   `json:"name"`
	Columns    []Column `json:"columns"`
	PrimaryKey []int    `json:"primary_key,omitempty"` // ordinals of the key's columns, in key order; empty without a primary key
	Unique     []Key    `json:"unique,omitempty"`      // all unique keys, PRIMARY first, then by name; known only from DDL and information_schema
	Plain      []Key    `json:"plain,omitempty"`       // keys that are not unique, by name: what a statement to come may rename, or collide with
	Versioned  bool     `json:"versioned,omitempty"`   // WITH SYSTEM VERSIONING (MariaDB)
	Charset    string   `json:"charset,omitempty"`     // of columns to come
	Collation  string   `json:"collation,omitempty"`
	Origin     Origin   `json:"origin,omitempty"`
	Seq        uint64   `json:"seq,omitempty"` // of the Entry that made it, 0 before it is in a history
	Topic      string   `json:"-"`             // where a transform sends its changes; empty for what the sink's own setting says
	Message    *Message `json:"-"`             // set by a transform whose rows are messages of their own
}

// FullName gives database.table, unquoted.
func (t *Table) FullName() string { return t.Database + "." + t.Name }

// Column finds a column by name as the server does, without regard to case in ASCII, and gives its ordinal or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return i
		}
	}
	return -1
}

// Name is a table's name.
type Name struct{ Database, Table string }

func (n Name) String() string { return n.Database + "." + n.Table }
