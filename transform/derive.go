package transform

import (
	"slices"

	"cdc/fault"
	"cdc/format"
	"cdc/schemas"
)

// derived is a column of a table that is made from another.
type derived struct {
	schemas.Column
	from int  // ordinal in the table that it is made from, -1 for none
	open bool // it holds the value of that column unchanged
	// unique says that different values stay different, as after a keyed hash, so that keys stay keys.
	unique bool
}

// same gives the columns of a table as they are.
func same(t *schemas.Table) []derived {
	cols := make([]derived, len(t.Columns))
	for i := range cols {
		cols[i] = derived{Column: t.Columns[i], from: i, open: true, unique: true}
	}
	return cols
}

// derive makes a table of columns of another. Keys whose columns are not all there, or no longer tell rows apart, are left out; the primary key
// stays where merged says so.
func derive(t *schemas.Table, cols []derived, merged bool) *schemas.Table {
	out := *t
	out.Columns = make([]schemas.Column, len(cols))
	at := make([]int, len(t.Columns)) // where a column went
	for i := range at {
		at[i] = -1
	}
	for i := range cols {
		out.Columns[i] = cols[i].Column
		if cols[i].from >= 0 {
			at[cols[i].from] = i
		}
	}
	out.PrimaryKey = nil
	for _, k := range t.PrimaryKey {
		if at[k] < 0 || !cols[at[k]].unique && !merged || cols[at[k]].Nullable {
			out.PrimaryKey = nil
			break
		}
		out.PrimaryKey = append(out.PrimaryKey, at[k])
	}
	out.Unique, out.Plain = nil, nil
	for i := range t.Unique {
		k := &t.Unique[i]
		if k.Name == "PRIMARY" && len(out.PrimaryKey) > 0 {
			out.Unique = append(out.Unique, primaryOf(k, out.PrimaryKey))
		} else if key, ok := deriveKey(k, at, cols, true); ok && k.Name != "PRIMARY" {
			out.Unique = append(out.Unique, key)
		}
	}
	for i := range t.Plain {
		if key, ok := deriveKey(&t.Plain[i], at, cols, false); ok {
			out.Plain = append(out.Plain, key)
		}
	}
	return &out
}

func primaryOf(k *schemas.Key, ordinals []int) schemas.Key {
	key := schemas.Key{Name: k.Name, Implicit: k.Implicit}
	for i, o := range ordinals {
		part := schemas.KeyPart{Column: o}
		if i < len(k.Parts) {
			part.Prefix = k.Parts[i].Prefix
		}
		key.Parts = append(key.Parts, part)
	}
	return key
}

func deriveKey(k *schemas.Key, at []int, cols []derived, unique bool) (schemas.Key, bool) {
	key := schemas.Key{Name: k.Name, Implicit: k.Implicit, Parts: slices.Clone(k.Parts)}
	for i := range key.Parts {
		p := &key.Parts[i]
		if p.Column < 0 || at[p.Column] < 0 {
			return key, false // an expression, whose columns are not known
		}
		c := &cols[at[p.Column]]
		if !c.open && (unique && !c.unique || p.Prefix > 0) {
			return key, false
		}
		p.Column = at[p.Column]
	}
	return key, true
}

// masked gives a column whose values are no longer those of the source: it has no default, is not generated and counts nothing.
func masked(c schemas.Column) schemas.Column {
	c.Default, c.HasDefault, c.Generated, c.Auto = "", false, schemas.NotGenerated, false
	return c
}

// mapping gives From and Open of a binding.
func mapping(t *schemas.Table, cols []derived) (from []int32, open []bool) {
	from, open = make([]int32, len(cols)), make([]bool, len(t.Columns))
	for i := range cols {
		from[i] = -1
		if cols[i].open {
			from[i] = int32(cols[i].from)
			open[cols[i].from] = true
		}
	}
	return from, open
}

// isKey reports that a column is one of those by which the rows of a table are told apart.
func isKey(t *schemas.Table, column int) bool { return slices.Contains(format.KeyColumns(t), column) }

func tableFault(t *schemas.Table, text string, args ...any) *fault.Error {
	return fault.New(fault.TransformTable, text, args...).At(fault.Where{Table: t.FullName()})
}
