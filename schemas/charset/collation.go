package charset

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cdc/gtid"
)

// Collation is a collation of one flavor.
type Collation struct {
	ID      uint16
	Name    string // full name, such as utf8mb4_uca1400_ai_ci
	Charset string // such as utf8mb4
}

// Binary is the collation "binary" of both flavors, which marks BINARY, VARBINARY and BLOB columns.
const Binary uint16 = 63

//go:embed collations.txt
var collationText string

// collationIndex holds the collations of a flavor, by number and by name.
type collationIndex struct {
	byID   []Collation
	byName []Collation
}

var collations = sync.OnceValue(func() *[2]collationIndex {
	var x [2]collationIndex
	for line := range strings.Lines(collationText) {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		flavor := gtid.MySQL
		if f[0] == gtid.MariaDB.String() {
			flavor = gtid.MariaDB
		}
		id, err := strconv.ParseUint(f[1], 10, 16)
		if err != nil {
			continue
		}
		name := f[2] // "binary" is the name of a character set and of its only collation
		if f[3] != "-" {
			name += "_" + f[3]
		}
		x[flavor].byID = append(x[flavor].byID, Collation{ID: uint16(id), Name: name, Charset: f[2]})
	}
	for i := range x {
		slices.SortFunc(x[i].byID, func(a, b Collation) int { return int(a.ID) - int(b.ID) })
		x[i].byName = slices.Clone(x[i].byID)
		slices.SortFunc(x[i].byName, func(a, b Collation) int { return strings.Compare(a.Name, b.Name) })
	}
	return &x
})

func index(f gtid.Flavor) *collationIndex {
	if f == gtid.MariaDB {
		return &collations()[gtid.MariaDB]
	}
	return &collations()[gtid.MySQL]
}

// CollationByID finds a collation by the number that table maps, query events and column definitions of the protocol carry.
func CollationByID(f gtid.Flavor, id uint16) (Collation, bool) {
	x := index(f).byID
	i, ok := slices.BinarySearchFunc(x, id, func(c Collation, id uint16) int { return int(c.ID) - int(id) })
	if !ok {
		return Collation{}, false
	}
	return x[i], true
}

// CollationByName finds a collation by its name as DDL spells it: in any case, with utf8_ for utf8mb3_. MariaDB's short names, such as
// uca1400_ai_ci, name a collation only together with a character set: see CollationFor.
func CollationByName(f gtid.Flavor, name string) (Collation, bool) {
	x := index(f).byName
	name = Normalize(name)
	i, ok := slices.BinarySearchFunc(x, name, func(c Collation, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return Collation{}, false
	}
	return x[i], true
}

// CollationFor finds what COLLATE name means for a column of a character set: a full name of that character set, or one of MariaDB's short
// names.
func CollationFor(f gtid.Flavor, charset, name string) (Collation, bool) {
	charset, name = Normalize(charset), Normalize(name)
	if c, ok := CollationByName(f, name); ok {
		return c, c.Charset == charset
	}
	if f == gtid.MariaDB && strings.HasPrefix(name, "uca1400_") {
		return CollationByName(f, charset+"_"+name)
	}
	return Collation{}, false
}

// Normalize gives the current spelling of the name of a character set or collation: lower case, utf8mb3 for utf8.
func Normalize(name string) string {
	name = strings.ToLower(name)
	if name == "utf8" {
		return "utf8mb3"
	}
	if rest, ok := strings.CutPrefix(name, "utf8_"); ok {
		return "utf8mb3_" + rest
	}
	return name
}

// ServerName gives the spelling that a server uses in information_schema for the name of a character set or collation. MySQL says utf8mb3
// from 8.0.28 on for the character set and from 8.0.30 on for the collations, MariaDB from 10.6 on.
func ServerName(f gtid.Flavor, version uint32, name string) string {
	rest, ok := strings.CutPrefix(name, "utf8mb3")
	if !ok {
		return name
	}
	since := uint32(80030)
	switch {
	case f == gtid.MariaDB:
		since = 100600
	case rest == "":
		since = 80028
	}
	if version >= since {
		return name
	}
	return "utf8" + rest
}

// DefaultCollation gives the collation that a column or table gets from CHARACTER SET charset alone on a server of this version, which is
// written as in executable comments: 50722, 80015, 101118. A session can choose another one by default_collation_for_utf8mb4 (MySQL) or
// character_set_collations (MariaDB); query events carry the former. False for an unknown character set.
func DefaultCollation(f gtid.Flavor, version uint32, charset string) (string, bool) {
	charset = Normalize(charset)
	c := find(charset)
	if c == nil {
		return "", false
	}
	switch {
	case charset == "utf8mb4" && f == gtid.MySQL && version >= 80001:
		return "utf8mb4_0900_ai_ci", true
	case f == gtid.MariaDB && version >= 110500 && c.uca1400:
		return charset + "_uca1400_ai_ci", true
	case c.collation == "":
		return charset, true
	}
	return charset + "_" + c.collation, true
}

// MaxBytes is the longest encoding of one character in a character set, 0 for an unknown one.
func MaxBytes(charset string) int {
	if c := find(Normalize(charset)); c != nil {
		return int(c.maxBytes)
	}
	return 0
}
