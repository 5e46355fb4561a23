package target

import (
	"cdc/schemas"
)

// Table is a table as the target has it.
type Table struct {
	Name     schemas.Name // as the target spells it
	Kind     string       // information_schema.TABLES.TABLE_TYPE: BASE TABLE, VIEW, SYSTEM VERSIONED, SEQUENCE, ..
	Engine   string
	Columns  []Column
	Keys     []Key    // the primary key first
	Triggers []string // "name (BEFORE INSERT)"
	// Overlaps is set where a unique key is WITHOUT OVERLAPS (MariaDB): rows conflict whose values are not the same.
	Overlaps bool
}

// Column is a column of the target. A type that is not known is schemas.TypeUnknown.
type Column struct {
	schemas.Column
	Filled   bool // an insert may leave it out: it is nullable, generated, counted, or has a default of any kind
	Null     bool // an insert that leaves it out makes it NULL
	OnUpdate bool // ON UPDATE CURRENT_TIMESTAMP
}

// Key is a key of the target.
type Key struct {
	Name   string
	Unique bool
	Search bool // it finds rows: it is a tree (or a hash of the whole key), and not invisible
	Parts  []KeyPart
}

// KeyPart is a column of a key.
type KeyPart struct {
	Column int // ordinal; -1 for an expression
	Prefix int // characters, bytes for binary types; 0 for the whole value
}

// ForeignKey is a foreign key of the target.
type ForeignKey struct {
	Name          string
	Child, Parent schemas.Name // as the server compares them
	Columns       []string     // of the child
	Referenced    []string     // of the parent
	OnUpdate      string       // CASCADE, SET NULL, NO ACTION, ..
	OnDelete      string
}

// acts reports whether the target itself changes or deletes rows of the child along with the parent's.
func (f *ForeignKey) acts() bool {
	return acting(f.OnUpdate) || acting(f.OnDelete)
}

func acting(rule string) bool {
	return rule == "CASCADE" || rule == "SET NULL" || rule == "SET DEFAULT"
}

// column finds a column by name, -1 where there is none.
func (t *Table) column(name string) int {
	for i := range t.Columns {
		if sameName(t.Columns[i].Name, name) {
			return i
		}
	}
	return -1
}

// unique gives the unique key by which the named columns find at most one row, as a foreign key may refer to it: the one with the most columns, so
// that the fewest rows share a value. Nil where there is none.
func (t *Table) unique(columns []string) *Key {
	var best *Key
	for i := range t.Keys {
		k := &t.Keys[i]
		if !k.Unique || best != nil && len(k.Parts) <= len(best.Parts) {
			continue
		}
		fits := true
		for _, p := range k.Parts {
			fits = fits && p.Column >= 0 && p.Prefix == 0 && indexName(columns, t.Columns[p.Column].Name) >= 0
		}
		if fits {
			best = k
		}
	}
	return best
}
