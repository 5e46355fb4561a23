package statement

import (
	"fmt"

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
	json bool  // JSON columns are of the type JSON
}

type column struct {
	*schemas.Column
	name  []byte // quoted
	write bool   // the server lets a statement give its value
	// touch is set where the server may change the column by itself in an update that does not name it (ON UPDATE CURRENT_TIMESTAMP, which table
	// versions do not tell): such a column is always named.
	touch bool
}

// NewTable plans for a table of the target that has the name, the columns and the keys of t. It fails where no column can be written.
func NewTable(t *schemas.Table, f Flavor) (*Table, error) {
	p := &Table{json: f == MySQL, cols: make([]column, len(t.Columns))}
	p.name = AppendName(append(AppendName(nil, t.Database), '.'), t.Name)
	writable := false
	for i := range t.Columns {
		c := &t.Columns[i]
		write := c.Generated == schemas.NotGenerated && !c.Hidden
		p.cols[i] = column{Column: c, name: AppendName(nil, c.Name), write: write, touch: write && (c.Type == schemas.Timestamp || c.Type == schemas.DateTime)}
		writable = writable || write
	}
	if !writable {
		return nil, fmt.Errorf("table %s has no column that a statement may write", t.FullName())
	}
	p.key = keyOf(t)
	return p, nil
}

// keyOf gives the columns of the primary key, or else of the unique key with the fewest, all of them real, not NULL, and of exact values.
func keyOf(t *schemas.Table) []int {
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

// AppendName appends an identifier between backquotes.
func AppendName(dst []byte, name string) []byte {
	dst = append(dst, '`')
	for i := range len(name) {
		if name[i] == '`' {
			dst = append(dst, '`')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '`')
}
