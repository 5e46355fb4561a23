package event

import (
	"math"
)

// Kind says how a cell's value is held.
type Kind uint8

// Kinds of cells. The zero Kind is Absent: the row image does not hold the column.
const (
	Absent     Kind = iota
	Null            // SQL NULL
	Int             // signed integers
	Uint            // unsigned integers
	Float32         // FLOAT
	Float64         // DOUBLE
	Decimal         // DECIMAL, exact, as MySQL prints it: arena text, no exponent
	String          // text in UTF-8 in the arena; with Raw set, bytes that are not valid in the column's character set
	Bytes           // BINARY (padded to its length), VARBINARY and BLOBs, in the arena
	Date            // packed civil date, see Civil; may be zero or have zero parts
	DateTime        // packed civil date and time without a zone; may be zero or have zero parts
	Timestamp       // microseconds since 1970 UTC; ZeroTime set for '0000-00-00 00:00:00'
	Time            // signed microseconds, beyond a day and negative too
	Year            // 0 and 1901 to 2155
	Enum            // ordinal in Column.Members from 1; 0 is the error value ''
	SetBits         // SET: bit i stands for Column.Members[i]
	Bits            // BIT(n) as a number
	JSON            // arena text as MySQL prints it: what transforms make
	JSONBinary      // a document in MySQL's binary form, in the arena, checked: package jsonbin prints it
	JSONDiff        // a partial update of a JSON document: the diff vector as it was logged, in the arena
	Geometry        // SRID in 4 bytes little-endian, then WKB, in the arena
	Vector          // float32 little-endian, in the arena
	UUID            // MariaDB: 16 bytes in the order of the text, in the arena
	INET6           // MariaDB: 16 bytes in network order, in the arena
	INET4           // MariaDB: 4 bytes in network order, in the arena
	numKinds
)

var kindNames = [numKinds]string{
	"absent", "null", "int", "uint", "float32", "float64", "decimal", "string", "bytes", "date", "datetime", "timestamp", "time", "year", "enum",
	"set", "bits", "json", "jsonbinary", "jsondiff", "geometry", "vector", "uuid", "inet6", "inet4",
}

func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return "invalid"
}

// InArena reports the kinds whose value is arena bytes.
func (k Kind) InArena() bool {
	return k == Decimal || k == String || k == Bytes || (k >= JSON && k <= INET4)
}

// Flags of a cell.
const (
	// Raw marks a String whose bytes are not valid in the column's character set, and so could not be turned into UTF-8.
	Raw uint8 = 1 << iota
	// ZeroTime marks the Timestamp '0000-00-00 00:00:00', which is no moment.
	ZeroTime
)

// Cell is one value. It has no pointers; values in the arena are offset and length there.
type Cell struct {
	num   uint64
	n     uint32
	kind  Kind
	flags uint8
}

// Kind of the value.
func (c Cell) Kind() Kind { return c.kind }

// Flags of the value.
func (c Cell) Flags() uint8 { return c.flags }

// IsNull reports SQL NULL; an absent cell is not NULL.
func (c Cell) IsNull() bool { return c.kind == Null }

// Int64 is the number of an Int, Time (microseconds) or Timestamp (microseconds since 1970 UTC) cell.
func (c Cell) Int64() int64 { return int64(c.num) }

// Uint64 is the number of a Uint, Year, Enum, SetBits or Bits cell.
func (c Cell) Uint64() uint64 { return c.num }

// Float64 is the value of a Float64 cell.
func (c Cell) Float64() float64 { return math.Float64frombits(c.num) }

// Float32 is the value of a Float32 cell.
func (c Cell) Float32() float32 { return math.Float32frombits(uint32(c.num)) }

// Len is the length in bytes of a value in the arena.
func (c Cell) Len() int { return int(c.n) }

// NullCell, IntCell and the others below make cells. Those of kinds in the arena take the offset and length of bytes that are there already.
func NullCell() Cell { return Cell{kind: Null} }

// IntCell makes an Int cell.
func IntCell(v int64) Cell { return Cell{kind: Int, num: uint64(v)} }

// UintCell makes a Uint cell.
func UintCell(v uint64) Cell { return Cell{kind: Uint, num: v} }

// Float32Cell makes a Float32 cell.
func Float32Cell(v float32) Cell { return Cell{kind: Float32, num: uint64(math.Float32bits(v))} }

// Float64Cell makes a Float64 cell.
func Float64Cell(v float64) Cell { return Cell{kind: Float64, num: math.Float64bits(v)} }

// NumCell makes a cell of a kind whose number is all there is: Year, Enum, SetBits, Bits, Time, Timestamp, Date and DateTime (packed, see
// Civil.Pack).
func NumCell(k Kind, num uint64, flags uint8) Cell { return Cell{kind: k, num: num, flags: flags} }

// ArenaCell makes a cell of a kind in the arena from offset and length there.
func ArenaCell(k Kind, off, n int, flags uint8) Cell {
	return Cell{kind: k, num: uint64(off), n: uint32(n), flags: flags}
}

// Civil is a date and time of day without a zone. MySQL allows zero months and days, and the zero date.
type Civil struct {
	Year, Month, Day, Hour, Minute, Second, Micro int
}

// Pack puts a Civil into the number of a Date or DateTime cell. The order of packed numbers is the order of time.
func (v Civil) Pack() uint64 {
	return uint64(v.Year)<<46 | uint64(v.Month)<<42 | uint64(v.Day)<<37 | uint64(v.Hour)<<32 | uint64(v.Minute)<<26 | uint64(v.Second)<<20 |
		uint64(v.Micro)
}

// Civil is the value of a Date or DateTime cell.
func (c Cell) Civil() Civil {
	n := c.num
	return Civil{
		Year: int(n >> 46 & 0x3fff), Month: int(n >> 42 & 0xf), Day: int(n >> 37 & 0x1f), Hour: int(n >> 32 & 0x1f),
		Minute: int(n >> 26 & 0x3f), Second: int(n >> 20 & 0x3f), Micro: int(n & 0xfffff),
	}
}

// IsZeroDate reports a date with a zero month or day ('0000-00-00', '2024-00-00', '2024-01-00'), which is no day of the calendar.
func (v Civil) IsZeroDate() bool { return v.Month == 0 || v.Day == 0 }
