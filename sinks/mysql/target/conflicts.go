package target

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"cdc/schemas"
	"cdc/sinks/mysql/schedule"
	"cdc/sinks/mysql/writeset"
)

// The names of locks hang on the target's names alone, so that all versions of a table, and parents and children, mean the same by them.
func tableLock(n schemas.Name) uint64 { return lock("table", n.Database, n.Table) }

func keyLock(n schemas.Name, key string) uint64 {
	return lock("key", n.Database, n.Table, strings.ToLower(key))
}

func lock(parts ...string) uint64 { return xxhash.Sum64String(strings.Join(parts, "\x00")) }

// schedule says which changes conflict.
func (p *planner) schedule() schedule.Table {
	self := p.name()
	s := schedule.Table{Databases: []string{self.Database}}
	s.Keys = writeset.Table{Name: tableLock(self), Opaque: p.at.Overlaps || len(p.at.Triggers) > 0}
	for i := range p.at.Keys {
		k := &p.at.Keys[i]
		if !k.Unique {
			continue
		}
		if slices.ContainsFunc(k.Parts, func(part KeyPart) bool { return part.Column < 0 }) {
			s.Keys.Opaque = true
			continue
		}
		if key, ok := p.uniqueKey(k); ok {
			s.Keys.Unique = append(s.Keys.Unique, key)
		}
	}
	reach := func(n schemas.Name) {
		if !slices.Contains(s.Databases, n.Database) {
			s.Databases = append(s.Databases, n.Database)
		}
	}
	for _, f := range p.keys {
		if f.Child == self {
			reach(f.Parent)
			if key, ok := p.parent(f); ok {
				s.Keys.Parents = append(s.Keys.Parents, key)
			}
		}
		if f.Parent == self {
			reach(f.Child)
		}
	}
	for _, n := range p.cascades(self) {
		reach(n)
		s.Keys.Cascades = append(s.Keys.Cascades, tableLock(n))
	}
	return s
}

// cascades gives the tables whose rows the target itself changes or deletes along with rows of n: children, and theirs.
func (p *planner) cascades(n schemas.Name) []schemas.Name {
	var found []schemas.Name
	next := []schemas.Name{n}
	for len(next) > 0 {
		parent := next[0]
		next = next[1:]
		for _, f := range p.keys {
			if f.Parent == parent && f.acts() && !slices.Contains(found, f.Child) {
				found = append(found, f.Child)
				next = append(next, f.Child)
			}
		}
	}
	return found
}

// referenced reports whether a foreign key refers to this key of the table, as p.parent would find it.
func (p *planner) referenced(k *Key) bool {
	return slices.ContainsFunc(p.keys, func(f *ForeignKey) bool { return f.Parent == p.name() && p.at.unique(f.Referenced) == k })
}

// uniqueKey gives the lock of a unique key, false where no two rows can conflict by it.
func (p *planner) uniqueKey(k *Key) (writeset.Key, bool) {
	key := writeset.Key{Name: keyLock(p.name(), k.Name)}
	left, generated := 0, false
	for _, part := range k.Parts {
		to, from := &p.at.Columns[part.Column], p.from[part.Column]
		switch {
		case to.Generated != schemas.NotGenerated && (from < 0 || p.version.Columns[from].Generated == schemas.NotGenerated):
			generated = true
			left++
		case from < 0: // the default, for all rows
			left++
		default:
			key.Whole = key.Whole || !faithful(&p.version.Columns[from], &to.Column)
			key.Parts = append(key.Parts, writeset.Part{Column: from, Class: class(&to.Column), Prefix: part.Prefix})
		}
	}
	if len(key.Parts) == 0 {
		key.Whole = true
		return key, generated || p.referenced(k)
	}
	// A child names all the parts.
	key.Whole = key.Whole || left > 0 && p.referenced(k)
	return key, true
}

// parent gives the lock of the parent that a foreign key of the table refers to, false where no row refers to any.
func (p *planner) parent(f *ForeignKey) (writeset.Key, bool) {
	at := p.parents[f.Parent]
	if f.Parent == p.name() {
		at = p.at
	}
	if at == nil {
		return writeset.Key{}, false // without a parent no row refers to it
	}
	k := at.unique(f.Referenced)
	if k == nil {
		return writeset.Key{Name: tableLock(f.Parent), Whole: true}, true
	}
	key := writeset.Key{Name: keyLock(f.Parent, k.Name)}
	for _, part := range k.Parts {
		there := &at.Columns[part.Column].Column
		j := p.at.column(f.Columns[indexName(f.Referenced, there.Name)])
		if j < 0 {
			key.Whole = true
			continue
		}
		here, from := &p.at.Columns[j], p.from[j]
		switch {
		case from < 0 && here.Null:
			return writeset.Key{}, false // NULL in all rows
		case from < 0, here.Generated != schemas.NotGenerated && p.version.Columns[from].Generated == schemas.NotGenerated:
			key.Whole = true
		case !faithful(&p.version.Columns[from], &here.Column) || !faithful(&here.Column, there) || here.Collation != there.Collation:
			key.Whole = true // the parent's image may show another value
		default:
			key.Parts = append(key.Parts, writeset.Part{Column: from, Class: class(there)})
		}
	}
	return key, true
}
