package ddl

import (
	"slices"
	"strings"

	"cdc/schemas"
	"cdc/sinks/mysql/target"
)

// Errors of the servers that say that a statement was carried out before.
const (
	databaseExists   = 1007
	databaseMissing  = 1008
	tableExists      = 1050
	columnUnknown    = 1054
	columnExists     = 1060
	keyExists        = 1061
	primaryKeyExists = 1068
	keyMissing       = 1091 // or column
	tableMissing     = 1146
	keyUnknown       = 1176 // RENAME INDEX
	partitionMissing = 1507
	partitionExists  = 1517
	foreignKeyExists = 1826
	checkMissing     = 3821
	checkExists      = 3822
	constraintGone   = 3940
	sequenceExists   = 4091 // MariaDB: unknown sequence, at DROP
)

// Done reports whether an error of the target says that a statement of this kind was carried out before. It is asked only where that may be: after a
// crash in the middle, or where several tables of the source go into one.
func Done(number uint16, kind schemas.DDLKind) bool {
	switch kind {
	case schemas.CreateDatabase:
		return number == databaseExists
	case schemas.DropDatabases:
		return number == databaseMissing
	case schemas.CreateTable:
		return number == tableExists
	case schemas.DropTables:
		return number == unknownTable || number == tableMissing || number == sequenceExists
	case schemas.RenameTables:
		return number == tableExists || number == tableMissing
	case schemas.CreateIndex:
		return number == keyExists
	case schemas.DropIndex:
		return number == keyMissing
	case schemas.AlterTable:
		switch number {
		case tableExists, tableMissing, columnUnknown, columnExists, keyExists, primaryKeyExists, keyMissing, keyUnknown, partitionMissing, partitionExists,
			foreignKeyExists, checkMissing, checkExists, constraintGone:
			return true
		}
	}
	return false
}

// State is what Applied finds out.
type State uint8

// Unsure where the target's tables are neither what they were nor what they become, or both, or that is not known.
const (
	Unsure State = iota
	NotApplied
	IsApplied
)

// Applied compares the target's tables with what they were before the statement and what they become, by columns and keys. table gives a table of the target,
// nil where there is none; d is as the transforms left it.
func Applied(d *schemas.DDL, table func(schemas.Name) *target.Table) State {
	old, behind := map[schemas.Name]*schemas.Table{}, map[schemas.Name]*schemas.Table{}
	var names []schemas.Name
	for i := range d.Entries {
		e := &d.Entries[i]
		if e.Kind != schemas.PutTable && e.Kind != schemas.DropTable {
			return Unsure
		}
		if !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
			if i < len(d.Before) {
				old[e.Name] = d.Before[i]
			}
		}
		behind[e.Name] = e.Table // nil where it was dropped
	}
	if len(names) == 0 {
		return Unsure
	}
	before, after := true, true
	for _, n := range names {
		at := table(n)
		before = before && looksLike(at, old[n])
		after = after && looksLike(at, behind[n])
	}
	switch {
	case before && !after:
		return NotApplied
	case after && !before:
		return IsApplied
	}
	return Unsure
}

// looksLike reports whether a table of the target has the columns and keys of a version. A table that is not there looks like none.
func looksLike(at *target.Table, t *schemas.Table) bool {
	if at == nil || t == nil {
		return at == nil && t == nil
	}
	n := 0
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Hidden {
			continue
		}
		if n >= len(at.Columns) {
			return false
		}
		o := &at.Columns[n]
		n++
		if !strings.EqualFold(o.Name, c.Name) || o.Type != c.Type || o.Nullable != c.Nullable || o.Unsigned != c.Unsigned || o.Length != c.Length ||
			o.Precision != c.Precision || o.Scale != c.Scale || o.Fsp != c.Fsp || o.Generated != c.Generated || !slices.Equal(o.Members, c.Members) {
			return false
		}
	}
	if n != len(at.Columns) {
		return false
	}
	if t.Origin != schemas.FromDDL && t.Origin != schemas.FromServer && t.Origin != schemas.FromRename {
		return true // its keys are not known
	}
	keys := func(list []schemas.Key, unique bool) bool {
		count := 0
		for i := range at.Keys {
			if at.Keys[i].Unique == unique {
				count++
			}
		}
		if count != len(list) {
			return false
		}
		for i := range list {
			if !slices.ContainsFunc(at.Keys, func(k target.Key) bool {
				return k.Unique == unique && strings.EqualFold(k.Name, list[i].Name) && len(k.Parts) == len(list[i].Parts)
			}) {
				return false
			}
		}
		return true
	}
	return keys(t.Unique, true) && keys(t.Plain, false)
}

// repeatable reports whether a second run of an ALTER TABLE is an error for which Done is true, or changes nothing. What adds something without a name would
// add it twice, and what swaps would swap back: so it must be shown that the statement needs what it takes away.
func (t *translation) repeatable(n schemas.Name) bool {
	now, was := t.becomes(n)
	if len(t.src.Entries) == 0 {
		// Nothing that a version tells: an option, a comment, a default. These words may add something without a name, wherever they stand.
		text := strings.ToUpper(t.out.Text)
		return !slices.ContainsFunc([]string{"PARTITION", "CHECK", "FOREIGN", "REFERENCES"}, func(w string) bool { return strings.Contains(text, w) })
	}
	if now == nil || was == nil {
		return false
	}
	for i := range now.Columns {
		if was.Column(now.Columns[i].Name) < 0 {
			return true // ADD of a column, or its new name
		}
	}
	for i := range was.Columns {
		if now.Column(was.Columns[i].Name) < 0 {
			return true // DROP of one
		}
	}
	return slices.EqualFunc(was.Unique, now.Unique, sameKey) && slices.EqualFunc(was.Plain, now.Plain, sameKey) &&
		slices.EqualFunc(was.Columns, now.Columns, func(a, b schemas.Column) bool { return a.Name == b.Name })
}

func sameKey(a, b schemas.Key) bool { return a.Name == b.Name && slices.Equal(a.Parts, b.Parts) }
