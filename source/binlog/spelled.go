package binlog

import (
	"slices"

	"cdc/schemas"
	"cdc/schemas/charset"
)

// spelled gives a copy of a table version with the character sets that the metadata of the event names and the version leaves open, since they
// hang on the default of a database that was never seen being made. It gives nil where there are none. MySQL 8 names them in each event,
// MySQL 5.7 and MariaDB's default in none.
func (tm *TableMap) spelled(t *schemas.Table) *schemas.Table {
	ids := tm.Metadata.Collations
	if ids == nil || len(ids) != len(t.Columns) {
		return nil
	}
	var out *schemas.Table
	for i := range t.Columns {
		c := &t.Columns[i]
		if ids[i] == 0 || c.Charset != "" || !c.Type.IsText() {
			continue
		}
		coll, ok := charset.CollationByID(tm.Flavor, ids[i])
		if !ok {
			continue
		}
		if out == nil {
			copied := *t
			copied.Columns = slices.Clone(t.Columns)
			out = &copied
		}
		c = &out.Columns[i]
		if ids[i] == charset.Binary {
			makeBinary(c)
			continue
		}
		c.Charset, c.Collation = coll.Charset, coll.Name
	}
	return out
}
