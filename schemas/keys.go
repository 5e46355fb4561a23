package schemas

import (
	"slices"
	"strconv"
	"strings"
)

type keyKind uint8

const (
	primaryKey keyKind = iota
	uniqueKey
	plainKey   // also FULLTEXT, SPATIAL and VECTOR
	foreignKey // leaves an implicit plain key behind
)

const primaryName = "PRIMARY"

// keySpec is a key while a statement is being interpreted.
type keySpec struct {
	kind        keyKind
	name        string
	symbol      string // CONSTRAINT symbol
	parts       []partSpec
	implicit    bool
	ifNotExists bool
	dead        bool
	hash        bool // MariaDB keeps a unique key as a hash in a hidden column, where it has no such keys itself
}

type partSpec struct {
	column string
	expr   bool
	prefix uint32
	old    *colSpec // of a key that was there before the statement; nil for one that names its columns
	at     int      // the column's ordinal, once settled; -1 for an expression
}

// Limits of both servers, with room to spare; they keep the work on a text that no server wrote within bounds.
const (
	maxColumns  = 4096
	maxKeys     = 256
	maxKeyParts = 64
)

// keyClause reads a key or constraint of a table's definition. It says false, and reads nothing, where no such thing comes next. Of
// a CHECK, which makes no key, only the second result is nil.
func (p *parser) keyClause() (bool, *keySpec) {
	k := &keySpec{}
	constraint := p.accept("CONSTRAINT")
	if constraint {
		k.ifNotExists = p.ifNotExists()
		if !p.isAny("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") {
			k.symbol = p.ident()
		}
	}
	switch {
	case p.accept("PRIMARY", "KEY"):
		k.kind, k.name = primaryKey, primaryName
		k.ifNotExists = p.ifNotExists()
		if !p.isPunct('(') && !p.isAny("USING", "TYPE") {
			p.ident() // read and ignored by the server
		}
	case p.accept("UNIQUE"):
		k.kind = uniqueKey
		p.acceptAny("KEY", "INDEX")
		p.keyName(k)
		if k.name == "" {
			k.name = k.symbol
		}
	case p.accept("FOREIGN", "KEY"):
		k.kind, k.implicit = foreignKey, true
		p.keyName(k)
		if k.symbol != "" {
			k.name = k.symbol
		}
		p.keyParts(k)
		p.expect("REFERENCES")
		p.references()
		return true, k
	case p.accept("CHECK"):
		p.parens()
		if !p.accept("NOT", "ENFORCED") {
			p.accept("ENFORCED")
		}
		return true, nil
	case constraint:
		p.fail("a constraint expected")
		return true, nil
	case p.acceptAny("FULLTEXT", "SPATIAL"):
		k.kind = plainKey
		p.acceptAny("KEY", "INDEX")
		p.keyName(k)
	case p.accept("VECTOR", "INDEX"), p.accept("VECTOR", "KEY"):
		k.kind = plainKey
		p.keyName(k)
	case p.acceptAny("KEY", "INDEX"):
		k.kind = plainKey
		p.keyName(k)
	default:
		return false, nil
	}
	p.keyOptions(k)
	p.keyParts(k)
	p.keyOptions(k)
	return true, k
}

// keyName reads the optional name of a key.
func (p *parser) keyName(k *keySpec) {
	if p.ifNotExists() {
		k.ifNotExists = true
	}
	if !p.isPunct('(') && !p.isAny("USING", "TYPE") {
		k.name = p.ident()
	}
}

func (p *parser) keyParts(k *keySpec) {
	p.expectPunct('(')
	for p.err == nil {
		var part partSpec
		if p.isPunct('(') {
			p.parens()
			part.expr = true
		} else {
			part.column = p.ident()
			if p.punct('(') {
				part.prefix = p.uint()
				p.expectPunct(')')
			}
		}
		if p.accept("WITHOUT", "OVERLAPS") {
			p.doubt("WITHOUT OVERLAPS")
		}
		p.acceptAny("ASC", "DESC")
		k.parts = append(k.parts, part)
		if len(k.parts) > maxKeyParts {
			p.fail("more columns than a key can have")
		}
		if !p.punct(',') {
			break
		}
	}
	p.expectPunct(')')
}

// keyOptions reads the options before and behind the columns of a key.
func (p *parser) keyOptions(k *keySpec) {
	for p.err == nil {
		switch {
		case p.accept("USING"), p.accept("TYPE"):
			k.hash = strings.EqualFold(p.ident(), "HASH") && k.kind == uniqueKey
		case p.accept("WITH", "PARSER"):
			p.ident()
		case p.acceptAny("KEY_BLOCK_SIZE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE", "COMMENT", "CLUSTERING"):
			p.punct('=')
			p.value()
		case p.acceptAny("VISIBLE", "INVISIBLE", "IGNORED"), p.accept("NOT", "IGNORED"):
		default:
			if p.tok.kind != tokWord || !p.engineAttribute() {
				return
			}
		}
	}
}

// settleKeys turns the keys of a statement, those that were there before it first, into those of the table. cols are the table's columns, in
// order. It follows mysql_prepare_create_table in sql_table.cc: which implicit keys fall away, which names are made up.
func settleKeys(t *Table, cols []*colSpec, keys []*keySpec) string {
	if len(keys) > maxKeys {
		return "more keys than a table can have"
	}
	for _, k := range keys {
		for i := range k.parts {
			part := &k.parts[i]
			if part.at = -1; !part.expr {
				if part.at = part.find(cols); part.at < 0 {
					return "a key names the column " + part.column + ", which is not known"
				}
			}
		}
	}
	for i, k := range keys {
		for _, earlier := range keys[:i] {
			if earlier.dead || k.dead {
				continue
			}
			if covered(k, earlier) {
				if !earlier.implicit || k.implicit && len(k.parts) < len(earlier.parts) {
					k.dead = true
				} else {
					earlier.dead = true
				}
				break
			}
		}
	}
	var names []string
	taken := func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return sameName(n, name) })
	}
	for _, k := range keys {
		if k.dead || len(k.parts) == 0 {
			continue
		}
		parts := make([]KeyPart, len(k.parts))
		for i := range k.parts {
			at := k.parts[i].at
			if at < 0 {
				parts[i] = KeyPart{Column: -1}
				continue
			}
			prefix := cols[at].prefix(k.parts[i].prefix)
			if cols[at].Type == Geometry && k.kind <= uniqueKey {
				prefix = k.spatialPrefix(cols[at], k.parts[i].prefix)
			}
			parts[i] = KeyPart{Column: at, Prefix: prefix}
			if k.kind == primaryKey {
				cols[at].Nullable = false
			}
		}
		if k.name == "" {
			k.name = madeUpName(k, parts, cols, taken)
		}
		names = append(names, k.name)
		key := Key{Name: k.name, Parts: parts, Implicit: k.implicit}
		switch k.kind {
		case primaryKey:
			t.PrimaryKey = nil
			for _, part := range parts {
				t.PrimaryKey = append(t.PrimaryKey, part.Column)
			}
			t.Unique = append(t.Unique, key)
		case uniqueKey:
			t.Unique = append(t.Unique, key)
		default:
			t.Plain = append(t.Plain, key)
		}
	}
	sortKeys(t.Unique)
	sortKeys(t.Plain)
	return ""
}

// sortKeys puts the primary key first and the others in order of their names, wherever they come from.
func sortKeys(keys []Key) {
	slices.SortStableFunc(keys, func(a, b Key) int {
		if pa, pb := a.Name == primaryName, b.Name == primaryName; pa != pb {
			if pa {
				return -1
			}
			return 1
		}
		if d := strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// find gives the ordinal of the part's column in cols, or -1.
func (part *partSpec) find(cols []*colSpec) int {
	for i, c := range cols {
		if part.old != nil && part.old == c || part.old == nil && sameName(part.column, c.Name) {
			return i
		}
	}
	return -1
}

// covered reports whether one of the two keys is implicit and is the beginning of the other.
func covered(k, other *keySpec) bool {
	short, long := k, other
	switch {
	case k.implicit && other.implicit:
		if len(k.parts) > len(other.parts) {
			short, long = other, k
		}
	case k.implicit:
	case other.implicit:
		short, long = other, k
	default:
		return false
	}
	if len(short.parts) > len(long.parts) {
		return false
	}
	for i := range short.parts {
		a, b := &short.parts[i], &long.parts[i]
		if b.expr || a.prefix != b.prefix || a.at != b.at {
			return false
		}
	}
	return true
}

// prefix gives the length of a key's prefix of the column, 0 where it is the whole column. A key that keeps its column while the column gets a
// type that has no prefixes loses the prefix; and what MySQL says of spatial keys (32) is none.
func (c *colSpec) prefix(n uint32) uint32 {
	switch {
	case c.Type == Char || c.Type == VarChar || c.Type == Binary || c.Type == VarBinary:
		if n >= c.Length {
			return 0
		}
		return n
	case c.Type >= TinyText && c.Type <= LongBlob:
		return n
	default:
		return 0
	}
}

// spatialPrefix gives the prefix of a spatial column in a key that is unique and not a spatial one: none of MySQL 8 and later. A key over the whole
// of a value is a hash in MariaDB, and the next ALTER TABLE makes one over 8 bytes of it, its pointer's size, so 8 is said from the beginning,
// as information_schema does.
func (k *keySpec) spatialPrefix(c *colSpec, n uint32) uint32 {
	switch {
	case c.Geometry == point:
		return 25
	case n == 0:
		k.hash = true
		return 8
	default:
		return n
	}
}

// madeUpName names a key that was given no name: after its first column, with a number if that is taken.
func madeUpName(k *keySpec, parts []KeyPart, cols []*colSpec, taken func(string) bool) string {
	base := "functional_index"
	if parts[0].Column >= 0 {
		base = cols[parts[0].Column].Name
	}
	if !taken(base) && !sameName(base, primaryName) {
		return base
	}
	for i := 2; i < 100; i++ {
		if name := base + "_" + strconv.Itoa(i); !taken(name) {
			return name
		}
	}
	return base
}
