package schemas

import (
	"slices"
	"strconv"
	"strings"
)

// versionColumns adds the row start and row end that MariaDB adds to a system-versioned table which names none of its own.
func versionColumns(cols []*colSpec, versioned bool) []*colSpec {
	if !versioned {
		return cols
	}
	for _, c := range cols {
		if c.rowStart || c.rowEnd || c.Hidden {
			return cols
		}
	}
	for _, name := range []string{"row_start", "row_end"} {
		cols = append(cols, &colSpec{old: -1, Column: Column{Name: name, Type: Timestamp, Fsp: 6, Generated: Stored, Invisible: true, Hidden: true}})
	}
	return cols
}

// addHashes adds the hidden columns that MariaDB (10.4 and later) makes for unique keys over columns that are too long for a key, and for those
// which a statement wants to be a hash. Rows carry them. An ALTER TABLE, also one of something else, and CREATE TABLE .. LIKE make anew only
// the first.
func addHashes(t *Table, keys []*keySpec) {
	n := 0
	for _, k := range t.Unique {
		wanted := slices.ContainsFunc(keys, func(s *keySpec) bool { return s.hash && !s.dead && s.kind == uniqueKey && s.name == k.Name })
		if k.Name != primaryName && (wanted || t.tooLong(&k)) {
			n++
			t.Columns = append(t.Columns, Column{
				Name: hashName + strconv.Itoa(n), Type: BigInt, Unsigned: true, Nullable: true, Generated: Virtual, Invisible: true, Hidden: true,
			})
		}
	}
}

const (
	hashName    = "DB_ROW_HASH_"
	maxKeyBytes = 3072 // of InnoDB with its default row format
)

func isHash(c *Column) bool { return c.Hidden && strings.HasPrefix(c.Name, hashName) }

// tooLong reports whether the values of a unique key are too long to be kept in it.
func (t *Table) tooLong(k *Key) bool {
	bytes := 0
	for _, part := range k.Parts {
		if part.Column < 0 {
			continue
		}
		c := &t.Columns[part.Column]
		switch {
		case (c.Type >= TinyText && c.Type <= LongBlob) && part.Prefix == 0:
			return true
		case c.Type == Char || c.Type == VarChar || c.Type >= TinyText && c.Type <= LongText:
			n := part.Prefix
			if n == 0 {
				n = c.Length
			}
			bytes += int(n * maxBytes(c.Charset))
		case c.Type.IsBinary():
			bytes += int(max(part.Prefix, c.Length))
		default:
			bytes += 8
		}
	}
	return bytes > maxKeyBytes
}

// applyPeriods makes the columns of periods NOT NULL.
func applyPeriods(cols []*colSpec, periods [][2]string) {
	for _, period := range periods {
		for _, name := range period {
			if at := findSpec(cols, name); at >= 0 {
				cols[at].Nullable = false
			}
		}
	}
}
