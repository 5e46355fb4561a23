package statement

import (
	"fmt"
	"strings"

	"cdc/event/sqltext"
	"cdc/schemas"
)

// Flavor is the kind of server that the statements are for.
type Flavor uint8

// The two differ in JSON, which is text in MariaDB.
const (
	MySQL Flavor = iota
	MariaDB
)

// Session gives the statements that a session needs for the texts to mean what they say. They change nothing outside of the session.
//
// Strict mode refuses what a column cannot hold. Zero dates and dates like February 30 are values a source may have and are kept; 0 in an
// AUTO_INCREMENT column is 0. Text goes to the server with backslashes as escapes, so NO_BACKSLASH_ESCAPES must not be there.
func Session() []string {
	return []string{
		"SET NAMES utf8mb4",
		"SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
	}
}

// Table is how rows of one table version are written. It does not change once it was made, and may be used side by side.
type Table struct {
	name []byte // `database`.`table`
	cols []column
	key  []int // ordinals of the columns that find a row; nil where there is none
	json bool  // the server has the type JSON
	// maria is set for MariaDB: see spelled.
	maria bool

	merge   bool   // see Target.Merge
	updates []byte // how an INSERT ends that updates rows by their key

	prefix []int // for each of key, how much of it the target's key sees; nil where that is all of each
	loose  bool  // rows are found by as much
}

type column struct {
	*schemas.Column
	name  []byte // quoted
	write bool   // the server lets a statement give its value
	// touch is set where the server may change the column by itself in an update that does not name it (ON UPDATE CURRENT_TIMESTAMP): such a column
	// is always named.
	touch bool
	// cut is set where the key holds no more than the beginning of a value, and so the before image may hold no more either (see ByPrefix): that it is like
	// the after image says nothing of the row.
	cut  bool
	json bool // of the type JSON at the target
}

// Target is what the target's own table says of the columns of a table version, and of how its rows are found.
type Target struct {
	Columns []TargetColumn // one for each column of the version
	Key     []int          // ordinals of the columns that find a row; nil where the whole image is needed
	// Prefix is, for each of Key, how many characters (bytes of a binary type) the target's unique key of these columns sees, 0 for all; nil for all of
	// each.
	Prefix []int
	// Merge says that the table has one unique key, Key, of which the server sees all, and nothing else by which a change of one of its rows could reach, or
	// be in the way of, another one: no foreign keys, no triggers. Its rows may be merged then: see Merger.
	Merge bool
	Alias bool // the rows of an INSERT may have a name: MySQL 8.0.19 and later
}

// TargetColumn is one column as the target has it.
type TargetColumn struct {
	Write bool // a statement may give its value: it is there, and not generated
	Touch bool // the server changes it by itself in an update that does not name it: ON UPDATE CURRENT_TIMESTAMP
	JSON  bool // it is of the type JSON, which MariaDB does not have
}

// NewTable plans for a table of the target that has the name, the columns and the keys of t. It fails where no column can be written.
func NewTable(t *schemas.Table, f Flavor) (*Table, error) {
	at := Target{Columns: make([]TargetColumn, len(t.Columns)), Key: KeyOf(t)}
	for i := range t.Columns {
		c := &t.Columns[i]
		write := c.Generated == schemas.NotGenerated && !c.Hidden
		at.Columns[i] = TargetColumn{
			Write: write, JSON: f == MySQL && c.Type == schemas.JSON,
			Touch: write && (c.Type == schemas.Timestamp || c.Type == schemas.DateTime), // which of them, table versions do not tell
		}
	}
	return NewTargetTable(t, f, at)
}

// NewTargetTable plans for a table of the target that has the name of t and is as at says.
func NewTargetTable(t *schemas.Table, f Flavor, at Target) (*Table, error) {
	if len(at.Columns) != len(t.Columns) {
		return nil, fmt.Errorf("table %s has %d columns, the target's table was described by %d", t.FullName(), len(t.Columns), len(at.Columns))
	}
	p := &Table{json: f == MySQL, maria: f == MariaDB, cols: make([]column, len(t.Columns)), key: at.Key, prefix: at.Prefix}
	p.name = sqltext.AppendName(append(sqltext.AppendName(nil, t.Database), '.'), t.Name)
	writable := false
	for i := range t.Columns {
		c, is := &t.Columns[i], at.Columns[i]
		p.cols[i] = column{Column: c, name: sqltext.AppendName(nil, c.Name), write: is.Write, touch: is.Write && is.Touch, json: p.json && is.JSON}
		writable = writable || is.Write
	}
	for n, length := range p.prefix {
		p.cols[p.key[n]].cut = length > 0
	}
	if p.merge = at.Merge && p.key != nil && p.prefix == nil; p.merge {
		others := false
		for i := range p.cols {
			others = others || p.cols[i].write && !p.isKey(i)
		}
		for _, i := range p.key {
			others = others && p.cols[i].write
		}
		if p.merge = others; p.merge {
			p.updates = p.onDuplicate(at.Alias && !strings.EqualFold(t.Name, newRows))
		}
	}
	if !writable {
		return nil, fmt.Errorf("table %s has no column that a statement may write", t.FullName())
	}
	return p, nil
}

// ByPrefix gives a plan that finds rows by what the unique key sees of their values, nil where that is all of them. The server cannot use an index then.
//
// MySQL 9.7 cuts a row to the prefix of its primary key when an update is rolled back after a column was added in an instant. No binlog tells that, and
// before images have no more of the value from then on. Its replicas do not notice: they look the key up in the index, which holds no more either.
func (t *Table) ByPrefix() *Table {
	if t.prefix == nil {
		return nil
	}
	p := *t
	p.loose = true
	return &p
}

// Whole gives a plan that finds a row by all that an image has of it.
func (t *Table) Whole() *Table {
	p := *t
	p.key, p.prefix = nil, nil
	return &p
}

// KeyOf gives the columns of the primary key, or else of the unique key with the fewest, all of them real, not NULL, and of exact values;
// nil where there is none.
func KeyOf(t *schemas.Table) []int {
	if len(t.PrimaryKey) > 0 {
		return t.PrimaryKey
	}
	var best []int
	for i := range t.Unique {
		parts := t.Unique[i].Parts
		if best != nil && len(parts) >= len(best) {
			continue
		}
		columns := make([]int, 0, len(parts))
		for _, part := range parts {
			if part.Column < 0 || t.Columns[part.Column].Nullable || t.Columns[part.Column].Hidden {
				columns = nil
				break
			}
			columns = append(columns, part.Column)
		}
		if len(columns) > 0 {
			best = columns
		}
	}
	return best
}
