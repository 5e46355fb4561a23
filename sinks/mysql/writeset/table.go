package writeset

import "strings"

// Table says by which keys the rows of one table version conflict. Columns are ordinals in the rows that come.
type Table struct {
	// Name stands for the whole table: what a change without a usable key locks. It is the same for all versions of the table.
	Name   uint64
	Unique []Key // all unique keys, the primary key too
	// Parents are the keys of other tables, or of this one, that rows refer to by foreign keys: Key.Name is that of the parent's key.
	Parents []Key
	// Cascades names the tables, children and theirs, whose rows the target itself changes or deletes along with rows of this one. What it
	// frees there no image shows, so a delete or an update here locks them whole.
	Cascades []uint64
	// Opaque is set where changes may conflict in ways that no key shows: a foreign key to a parent's columns that are not unique, a unique key
	// over expressions. Each change then locks the whole table.
	Opaque bool
}

// Key is a unique key, or the columns that refer to one.
type Key struct {
	Name  uint64 // of the index that is meant: that of the parent for one of Parents
	Parts []Part
	// Whole is set where no image tells the key's value: each change locks the whole index. A Key without parts is the same, but for updates that
	// show no column of it, and is what stands for a parent's columns that are not unique: its name is that of the parent's table.
	Whole bool
}

// Part is a column of a key.
type Part struct {
	Column int
	Class  Class
	Prefix int // of the value that is in the key, in characters; 0 for the whole value
}

// Class says when two values of a column are the same to the index.
type Class uint8

const (
	// Bytes: values are the same where their bytes are: numbers, times, binary strings.
	Bytes Class = iota
	// Padded: bytes but for spaces at the end, which the _bin collations of most character sets leave out of the comparison.
	Padded
	// Folded: text under a collation of which it is known that two texts of ASCII are the same only where they are but for case, control
	// characters, and spaces at the end.
	Folded
	// Unknown: text under any other collation (in utf8mb4_roman_ci, say, I is J), and any value that the target's column may keep as another one.
	Unknown
)

// ClassOf says how a column with this collation is compared; none is that of a column that is no text.
//
// The collations that fold were found by asking MySQL 9.7 and MariaDB 11.8 for WEIGHT_STRING of all texts of one and two ASCII characters; a
// test asks again.
func ClassOf(collation string) Class {
	switch c := strings.ToLower(collation); {
	case c == "" || c == "binary":
		return Bytes
	case strings.HasSuffix(c, "_bin"):
		return Padded
	default:
		for _, family := range folding {
			if rest, ok := strings.CutPrefix(c, family); ok && (rest == "" || rest[0] == '_') {
				return Folded
			}
		}
		return Unknown
	}
}

// folding are collations, or what they begin with up to an underscore. Languages have rules of their own and are not among them (but for the old
// Swedish one of latin1): in Lithuanian collations Y is I, in Roman ones J is I.
var folding = [...]string{
	"ascii_general", "latin1_swedish", "latin1_general", "latin2_general", "cp1250_general", "cp1251_general", "greek_general", "hebrew_general",
	"utf8mb3_general", "utf8mb3_unicode", "utf8mb4_general", "utf8mb4_unicode", "utf8mb4_0900", "utf8_general", "utf8_unicode",
	"utf8mb3_uca1400_ai", "utf8mb3_uca1400_as", "utf8mb3_uca1400_nopad_ai", "utf8mb3_uca1400_nopad_as",
	"utf8mb4_uca1400_ai", "utf8mb4_uca1400_as", "utf8mb4_uca1400_nopad_ai", "utf8mb4_uca1400_nopad_as",
}
