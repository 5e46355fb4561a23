package target

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cdc/gtid"
	"cdc/schemas"
)

// texts are the statements that read one table. Names are literals that no sql_mode reads in another way.
type texts struct{ tables, columns, keys, triggers, create string }

func literal(s string) string { return "_utf8 0x" + hex.EncodeToString([]byte(s)) }

func (s *Server) texts(n schemas.Name) texts {
	of := func(db, table string) string {
		return " WHERE " + db + " = " + literal(n.Database) + " AND " + table + " = " + literal(n.Table)
	}
	visible := "'YES'"
	switch {
	case s.Flavor == gtid.MySQL && s.Version >= 80000:
		visible = "IS_VISIBLE"
	case s.Flavor == gtid.MariaDB && s.Version >= 100600:
		visible = "IF(IGNORED = 'YES', 'NO', 'YES')"
	}
	t := texts{
		tables: "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_COLLATION, ENGINE FROM information_schema.TABLES" + of("TABLE_SCHEMA", "TABLE_NAME"),
		columns: "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, " +
			"GENERATION_EXPRESSION FROM information_schema.COLUMNS" + of("TABLE_SCHEMA", "TABLE_NAME") + " ORDER BY ORDINAL_POSITION",
		keys: "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE, " + visible +
			" FROM information_schema.STATISTICS" + of("TABLE_SCHEMA", "TABLE_NAME") + " ORDER BY INDEX_NAME, SEQ_IN_INDEX",
		triggers: "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION FROM information_schema.TRIGGERS" +
			of("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE") + " ORDER BY TRIGGER_NAME",
	}
	if s.Flavor == gtid.MariaDB && s.Version >= 100503 {
		quote := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
		t.create = "SHOW CREATE TABLE " + quote(n.Database) + "." + quote(n.Table)
	}
	return t
}

// readTable reads one table; nil where the target has none of that name.
func (s *Server) readTable(ctx context.Context, q Query, n schemas.Name) (*Table, error) {
	ask := s.texts(n)
	var tables, columns, keys, triggers [][][]byte
	for _, step := range []struct {
		text  string
		into  *[][][]byte
		width int
	}{{ask.tables, &tables, 5}, {ask.columns, &columns, 10}, {ask.keys, &keys, 8}, {ask.triggers, &triggers, 5}} {
		rows, err := q(ctx, step.text)
		if err != nil {
			return nil, fmt.Errorf("read table %s of the target: %w", n, err)
		}
		for _, r := range rows {
			if len(r) != step.width {
				return nil, fmt.Errorf("read table %s of the target: %d columns where %d were asked for", n, len(r), step.width)
			}
			// Names that differ in case alone are equal to some versions of information_schema, and not to the server.
			if s.Fold(string(r[0])) == s.Fold(n.Database) && s.Fold(string(r[1])) == s.Fold(n.Table) {
				*step.into = append(*step.into, r)
			}
		}
		if len(tables) == 0 {
			return nil, nil
		}
	}
	t := s.table(tables[0], columns, keys, triggers)
	if ask.create != "" && slices.ContainsFunc(t.Keys, func(k Key) bool { return k.Unique }) {
		rows, err := q(ctx, ask.create)
		if err != nil {
			return nil, fmt.Errorf("read table %s of the target: %w", n, err)
		}
		// The words may stand in a comment too, which costs speed only.
		t.Overlaps = len(rows) == 1 && len(rows[0]) > 1 && strings.Contains(strings.ToUpper(string(rows[0][1])), "WITHOUT OVERLAPS")
	}
	return t, nil
}

// table makes a table of its rows.
func (s *Server) table(head [][]byte, columns, keys, triggers [][][]byte) *Table {
	t := &Table{Name: schemas.Name{Database: string(head[0]), Table: string(head[1])}, Kind: string(head[2]), Engine: string(head[4])}
	for _, r := range columns {
		t.Columns = append(t.Columns, s.column(r))
	}
	for _, r := range keys {
		name := string(r[2])
		// Names that are equal in the collation of ORDER BY (a and ä) come mixed.
		at := slices.IndexFunc(t.Keys, func(k Key) bool { return k.Name == name })
		if at < 0 {
			kind := string(r[6])
			at = len(t.Keys)
			t.Keys = append(t.Keys, Key{
				Name: name, Unique: string(r[3]) == "0",
				Search: string(r[7]) == "YES" && (kind == "BTREE" || kind == "HASH" && strings.EqualFold(t.Engine, "MEMORY")),
			})
		}
		part := KeyPart{Column: -1}
		if r[4] != nil {
			part.Column = t.column(string(r[4]))
			if prefix, err := strconv.Atoi(string(r[5])); err == nil {
				part.Prefix = prefix
			}
			if part.Column >= 0 && t.Columns[part.Column].Type == schemas.Geometry && kindOf(r) != "BTREE" {
				part.Prefix = 0 // what is said of spatial keys is none
			}
		}
		t.Keys[at].Parts = append(t.Keys[at].Parts, part)
	}
	slices.SortStableFunc(t.Keys, func(a, b Key) int {
		switch pa, pb := a.Name == primary, b.Name == primary; {
		case pa == pb:
			return strings.Compare(a.Name, b.Name)
		case pa:
			return -1
		default:
			return 1
		}
	})
	for _, r := range triggers {
		t.Triggers = append(t.Triggers, fmt.Sprintf("%s (%s %s)", r[2], r[3], r[4]))
	}
	return t
}

const primary = "PRIMARY"

func kindOf(statistics [][]byte) string { return string(statistics[6]) }

// column reads one column. The definition is read by package schemas, one column at a time: a type that it does not know spoils no other column.
func (s *Server) column(r [][]byte) Column {
	is := schemas.ISColumn{
		Database: string(r[0]), Table: string(r[1]), Name: string(r[2]), Nullable: string(r[4]) == "YES", ColumnType: string(r[5]),
		Charset: string(r[6]), Collation: string(r[7]), Extra: string(r[8]), Expression: string(r[9]),
	}
	is.Default.String, is.Default.Valid = string(r[3]), r[3] != nil
	c := Column{Column: schemas.Column{Name: is.Name, Nullable: is.Nullable, Collation: is.Collation}}
	read, err := schemas.FromInformationSchema(s.Flavor, s.Version, []schemas.ISColumn{is}, nil,
		schemas.ISTable{Database: is.Database, Name: is.Table, Type: "BASE TABLE"})
	if err == nil && len(read.Columns) == 1 {
		c.Column = read.Columns[0]
	}
	extra := strings.ToUpper(is.Extra)
	if strings.Contains(extra, " GENERATED") && c.Generated == schemas.NotGenerated { // also in a column of an unknown type
		c.Generated = schemas.Stored
	}
	c.Auto = strings.Contains(extra, "AUTO_INCREMENT")
	c.Filled = is.Nullable || is.Default.Valid || c.Auto || c.Generated != schemas.NotGenerated || strings.Contains(extra, "DEFAULT_GENERATED")
	c.Null = is.Nullable && c.Generated == schemas.NotGenerated && !strings.Contains(extra, "DEFAULT_GENERATED") &&
		(!is.Default.Valid || s.Flavor == gtid.MariaDB && is.Default.String == "NULL")
	c.OnUpdate = strings.Contains(extra, "ON UPDATE")
	return c
}

const systemDatabases = "('information_schema', 'performance_schema', 'mysql', 'sys')"

// readForeignKeys reads all foreign keys, or those of one child.
func (s *Server) readForeignKeys(ctx context.Context, q Query, child *schemas.Name) ([]*ForeignKey, error) {
	of := func(db string) string {
		if child == nil {
			return " " + db + " NOT IN " + systemDatabases
		}
		return " " + db + " = " + literal(child.Database) + " AND TABLE_NAME = " + literal(child.Table)
	}
	columns, err := q(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME "+
		"FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND"+of("TABLE_SCHEMA")+
		" ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION")
	if err != nil {
		return nil, fmt.Errorf("read the foreign keys of the target: %w", err)
	}
	// The schema of a foreign key is that of its table.
	rules, err := q(ctx, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE "+
		"FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE"+of("CONSTRAINT_SCHEMA"))
	if err != nil {
		return nil, fmt.Errorf("read the foreign keys of the target: %w", err)
	}
	for _, r := range columns {
		if len(r) != 7 {
			return nil, fmt.Errorf("read the foreign keys of the target: %d columns where 7 were asked for", len(r))
		}
	}
	for _, r := range rules {
		if len(r) != 5 {
			return nil, fmt.Errorf("read the foreign keys of the target: %d columns where 5 were asked for", len(r))
		}
	}
	return s.foreignKeys(columns, rules), nil
}

// foreignKeys makes foreign keys of their rows.
func (s *Server) foreignKeys(columns, rules [][][]byte) []*ForeignKey {
	type id struct {
		child schemas.Name
		name  string
	}
	name := func(db, table []byte) schemas.Name {
		return schemas.Name{Database: s.Fold(string(db)), Table: s.Fold(string(table))}
	}
	known := map[id]*ForeignKey{}
	var all []*ForeignKey
	for _, r := range columns {
		i := id{name(r[0], r[1]), string(r[2])}
		f := known[i]
		if f == nil {
			// A rule that is not shown is taken for one that acts.
			f = &ForeignKey{Name: i.name, Child: i.child, Parent: name(r[4], r[5]), OnUpdate: "CASCADE", OnDelete: "CASCADE"}
			known[i] = f
			all = append(all, f)
		}
		f.Columns, f.Referenced = append(f.Columns, string(r[3])), append(f.Referenced, string(r[6]))
	}
	for _, r := range rules {
		if f := known[id{name(r[0], r[1]), string(r[2])}]; f != nil {
			f.OnUpdate, f.OnDelete = string(r[3]), string(r[4])
		}
	}
	return all
}

// sameName compares names of columns as the server does, near enough: without case in ASCII and in what Unicode folds.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

func indexName(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return sameName(n, name) })
}
