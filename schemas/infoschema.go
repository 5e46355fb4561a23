package schemas

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas/charset"
)

// ISDatabase is a row of information_schema.SCHEMATA.
type ISDatabase struct{ Name, Charset, Collation string }

// ISTable is a row of information_schema.TABLES.
type ISTable struct {
	Database, Name string
	Type           string // BASE TABLE, SYSTEM VERSIONED or SEQUENCE
	Collation      string
	Engine         string
}

// ISColumn is a row of information_schema.COLUMNS.
type ISColumn struct {
	Database, Table, Name string
	Default               sql.NullString
	Nullable              bool
	ColumnType            string
	Charset, Collation    string
	Extra                 string
	Expression            string // GENERATION_EXPRESSION
}

// ISKeyPart is a row of information_schema.STATISTICS, which lists the parts of each key in order.
type ISKeyPart struct {
	Database, Table, Key string
	Unique               bool
	Column               string // empty for an expression
	Prefix               uint32
	Type                 string // BTREE, HASH, ..
}

// ISQuery holds the statements that read a schema. Each gives its rows in the order that ISEntries wants; the session's character set must be
// utf8mb4. They want no privilege beyond one on each table.
type ISQuery struct{ Databases, Tables, Columns, Keys string }

// ISQueries gives the statements for all databases but the server's own, or for one.
func ISQueries(flavor gtid.Flavor, version uint32, db string) ISQuery {
	where := func(column string) string {
		if db != "" {
			// A literal that no sql_mode reads in another way.
			return column + " = _utf8 0x" + hex.EncodeToString([]byte(db))
		}
		return column + " NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')"
	}
	expression := "''"
	if flavor == gtid.MySQL && version >= 50700 || flavor == gtid.MariaDB && version >= 100205 {
		expression = "GENERATION_EXPRESSION"
	}
	return ISQuery{
		Databases: "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE " + where("SCHEMA_NAME"),
		Tables: "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_COLLATION, ENGINE FROM information_schema.TABLES WHERE " + where("TABLE_SCHEMA") +
			" AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')",
		Columns: "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, " +
			expression + " FROM information_schema.COLUMNS WHERE " + where("TABLE_SCHEMA") + " ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
		Keys: "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE FROM information_schema.STATISTICS WHERE " +
			where("TABLE_SCHEMA") + " ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
	}
}

// ISEntries makes entries of the rows that the statements of ISQueries gave: of each database, then of each table. Views are left out.
func ISEntries(flavor gtid.Flavor, version uint32, databases, tables, columns, keys [][]sql.NullString) ([]Entry, error) {
	for _, r := range []struct {
		rows [][]sql.NullString
		n    int
	}{{databases, 3}, {tables, 5}, {columns, 10}, {keys, 7}} {
		for _, row := range r.rows {
			if len(row) != r.n {
				return nil, fmt.Errorf("read information_schema: %d columns where %d were asked for", len(row), r.n)
			}
		}
	}
	var entries []Entry
	for _, r := range databases {
		entries = append(entries, Entry{Kind: PutDatabase, Name: Name{Database: r[0].String}, Charset: charset.Normalize(r[1].String), Collation: charset.Normalize(r[2].String)})
	}
	cols := map[Name][]ISColumn{}
	for _, r := range columns {
		n := Name{r[0].String, r[1].String}
		cols[n] = append(cols[n], ISColumn{
			Database: n.Database, Table: n.Table, Name: r[2].String, Default: r[3], Nullable: r[4].String == "YES", ColumnType: r[5].String,
			Charset: r[6].String, Collation: r[7].String, Extra: r[8].String, Expression: r[9].String,
		})
	}
	parts := map[Name][]ISKeyPart{}
	for _, r := range keys {
		n := Name{r[0].String, r[1].String}
		prefix, _ := strconv.ParseUint(r[5].String, 10, 32)
		parts[n] = append(parts[n], ISKeyPart{
			Database: n.Database, Table: n.Table, Key: r[2].String, Unique: r[3].String == "0", Column: r[4].String, Prefix: uint32(prefix), Type: r[6].String,
		})
	}
	for _, r := range tables {
		n := Name{r[0].String, r[1].String}
		t, err := FromInformationSchema(flavor, version, cols[n], parts[n], ISTable{
			Database: n.Database, Name: n.Table, Type: r[2].String, Collation: r[3].String, Engine: r[4].String,
		})
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Kind: PutTable, Name: n, Table: t})
	}
	return entries, nil
}

// FromInformationSchema makes a table of its rows, columns and the parts of keys in order. Flavor and version are the server's. An error means
// that the server says something of a type that is not known.
func FromInformationSchema(flavor gtid.Flavor, version uint32, columns []ISColumn, keys []ISKeyPart, table ISTable) (*Table, error) {
	if len(columns) == 0 {
		return nil, fault.New(fault.SchemaUnknown, "information_schema names no columns of it: the account has no privilege on the table").
			At(fault.Where{Table: table.Database + "." + table.Name})
	}
	t := &Table{Database: table.Database, Name: table.Name, Origin: FromServer, Versioned: table.Type == "SYSTEM VERSIONED"}
	if c, ok := charset.CollationByName(flavor, table.Collation); ok {
		t.Charset, t.Collation = c.Charset, c.Name
	}
	cols := make([]*colSpec, 0, len(columns))
	for i := range columns {
		c, err := columns[i].spec(flavor, version)
		if err != nil {
			return nil, fault.New(fault.SchemaUnknown, "column %s of type %s: %w", columns[i].Name, columns[i].ColumnType, err).
				At(fault.Where{Table: table.Database + "." + table.Name})
		}
		cols = append(cols, c)
	}
	cols = versionColumns(cols, t.Versioned)
	var specs []*keySpec
	for _, part := range keys {
		// Names that are equal in the collation of the server's ORDER BY (a and ä) come mixed.
		at := slices.IndexFunc(specs, func(k *keySpec) bool { return k.name == part.Key })
		if at < 0 {
			at = len(specs)
			k := &keySpec{kind: plainKey, name: part.Key}
			k.hash = part.Type == "HASH" && !strings.EqualFold(table.Engine, "MEMORY") // which has such keys itself
			switch {
			case part.Key == primaryName:
				k.kind = primaryKey
			case part.Unique:
				k.kind = uniqueKey
			}
			specs = append(specs, k)
		}
		k := specs[at]
		k.parts = append(k.parts, partSpec{column: part.Column, expr: part.Column == "", prefix: part.Prefix})
	}
	if reason := finish(t, cols, specs); reason != "" {
		return nil, fault.New(fault.SchemaUnknown, "information_schema contradicts itself: %s", reason).At(fault.Where{Table: t.FullName()})
	}
	if flavor == gtid.MariaDB {
		addHashes(t, specs)
	}
	return t, nil
}

// spec reads one column.
func (col *ISColumn) spec(flavor gtid.Flavor, version uint32) (*colSpec, error) {
	var p parser
	p.start(&Statement{Text: col.ColumnType}, flavor, version)
	c := &colSpec{old: -1}
	p.dataType(c)
	p.end()
	if p.err != nil {
		return nil, p.err
	}
	c.Name = col.Name
	if c.hasSize {
		c.Length, c.hasSize = c.sized, false
	}
	if c.Type.IsText() {
		c.Charset, c.Collation = charset.Normalize(col.Charset), charset.Normalize(col.Collation)
		if c.Charset == "" { // only ENUM and SET can be a text type of character set binary, of which MySQL says NULL
			c.Charset, c.Collation = "binary", "binary"
		}
	}
	c.Nullable = col.Nullable
	extra := strings.ToUpper(col.Extra)
	c.Auto = strings.Contains(extra, "AUTO_INCREMENT")
	c.Invisible = slices.Contains(strings.FieldsFunc(extra, func(r rune) bool { return r == ' ' || r == ',' }), "INVISIBLE")
	switch {
	case strings.Contains(extra, "VIRTUAL GENERATED"):
		c.Generated = Virtual
	case strings.Contains(extra, "STORED GENERATED"), strings.Contains(extra, "PERSISTENT"):
		c.Generated = Stored
	}
	c.rowStart, c.rowEnd = col.Expression == "ROW START", col.Expression == "ROW END"
	col.setDefault(c, flavor, version, extra)
	return c, nil
}

// setDefault keeps a literal default. MariaDB (10.2.7 and later) writes it as SQL, MySQL as its value.
func (col *ISColumn) setDefault(c *colSpec, flavor gtid.Flavor, version uint32, extra string) {
	if !col.Default.Valid || strings.Contains(extra, "DEFAULT_GENERATED") {
		return
	}
	text := col.Default.String
	if flavor == gtid.MariaDB && version >= 100207 {
		var p parser
		p.start(&Statement{Text: text}, flavor, version)
		p.defaultValue(c)
		p.end()
		if p.err != nil {
			c.HasDefault, c.Default = false, ""
		}
		return
	}
	if (c.Type == Timestamp || c.Type == DateTime) && strings.HasPrefix(text, "CURRENT_TIMESTAMP") {
		return
	}
	c.HasDefault, c.Default = true, text
}
