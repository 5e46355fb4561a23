package schemas

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes random DDL over a few tables of two databases. It knows roughly which tables and columns there are, so that most statements
// find their objects; the server refuses the rest.
type generator struct {
	r      *rand.Rand
	kind   string // of the server
	a, b   string
	tables map[string]*Table // as the server has them, by their names in SQL
	used   map[string]bool   // columns that the statement under construction names already
	seq    int
}

// observe tells the generator what there is.
func (g *generator) observe(tables map[Name]*Table) {
	g.tables = map[string]*Table{}
	for n, t := range tables {
		g.tables[n.Database+".`"+n.Table+"`"] = t
	}
}

func newGenerator(seed uint64, kind, a, b string) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, 7)), kind: kind, a: a, b: b, tables: map[string]*Table{}, used: map[string]bool{}}
}

func (g *generator) maria() bool { return strings.HasPrefix(g.kind, "mariadb") }
func (g *generator) chance(percent int) bool {
	return g.r.IntN(100) < percent
}

func pick[T any](g *generator, from ...T) T { return from[g.r.IntN(len(from))] }

// name quotes a name in one way or another.
func (g *generator) name(s string) string {
	if g.chance(50) || strings.ContainsAny(s, " `äİ.-") {
		return "`" + strings.ReplaceAll(s, "`", "``") + "`"
	}
	return s
}

// newColumn gives a name that the table has not, mostly.
func (g *generator) newColumn(table string) string {
	for range 20 {
		g.seq++
		c := pick(g, "a", "b", "c", "d", "e", "Key_", "Order_", "x y", "ä", "q`q", "v.w")
		if g.chance(60) {
			c = fmt.Sprintf("%s%d", c, g.seq%23)
		}
		t := g.tables[table]
		if !g.used[strings.ToLower(c)] && (t == nil || t.Column(c) < 0) || g.chance(2) {
			g.used[strings.ToLower(c)] = true
			return c
		}
	}
	g.seq++
	return fmt.Sprintf("n%d", g.seq)
}

func (g *generator) oldTable() string {
	if len(g.tables) == 0 {
		return g.newTable()
	}
	names := slices.Sorted(maps.Keys(g.tables))
	return names[g.r.IntN(len(names))]
}

func (g *generator) newTable() string {
	db := g.a
	if g.chance(25) {
		db = g.b
	}
	return db + "." + g.name(pick(g, "t1", "t2", "t3", "T1", "my table", "x-y", "tä"))
}

// column picks a column of the table that the statement does not name yet, mostly.
func (g *generator) column(table string) string {
	t := g.tables[table]
	if t == nil || g.chance(2) {
		return g.name(g.newColumn(table))
	}
	c := ""
	for range 20 {
		c = t.Columns[g.r.IntN(len(t.Columns))].Name
		if !g.used[strings.ToLower(c)] {
			break
		}
	}
	g.used[strings.ToLower(c)] = true
	if g.chance(5) {
		c = strings.ToUpper(c)
	}
	return g.name(c)
}

func (g *generator) charset() string {
	cs := pick(g, "latin1", "utf8mb4", "utf8", "ucs2", "gbk", "binary", "koi8r", "ascii", "utf16")
	coll := map[string][]string{
		"latin1": {"latin1_bin", "latin1_german1_ci"}, "utf8mb4": {"utf8mb4_bin", "utf8mb4_unicode_ci", "utf8mb4_general_ci"}, "utf8": {"utf8_bin", "utf8_unicode_ci"},
		"gbk": {"gbk_bin"}, "ucs2": {"ucs2_bin"},
	}[cs]
	word := pick(g, "CHARACTER SET ", "CHARSET ", "character set ")
	switch {
	case len(coll) > 0 && g.chance(30):
		return word + cs + " COLLATE " + coll[g.r.IntN(len(coll))]
	default:
		return word + cs
	}
}

func (g *generator) textAttributes() string {
	switch {
	case g.chance(60):
		return ""
	case g.chance(15):
		return " BINARY"
	case g.chance(10):
		return pick(g, " ASCII", " UNICODE")
	case g.chance(20):
		return " COLLATE " + pick(g, "latin1_bin", "utf8mb4_bin", "utf8_unicode_ci")
	default:
		return " " + g.charset()
	}
}

func (g *generator) dataType() string {
	n := func(most int) int { return 1 + g.r.IntN(most) }
	signs := func() string { return pick(g, "", "", "", " UNSIGNED", " ZEROFILL", " UNSIGNED ZEROFILL") }
	switch g.r.IntN(24) {
	case 0, 1, 2:
		return pick(g, "INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "MEDIUMINT", "INT2", "INT8", "TINYINT(1)", "INT(7)", "BOOL") + map[bool]string{true: "", false: signs()}[false]
	case 3:
		return fmt.Sprintf("%s(%d,%d)%s", pick(g, "DECIMAL", "NUMERIC", "DEC", "FIXED"), 10+n(50), n(10), signs())
	case 4:
		return pick(g, "DECIMAL", "DECIMAL(7)", "FLOAT", "DOUBLE", "REAL", "DOUBLE PRECISION", "FLOAT(20)", "FLOAT(30)", "FLOAT(7,3)", "DOUBLE(12,4)") + signs()
	case 5, 6, 7, 8:
		return fmt.Sprintf("%s(%d)%s", pick(g, "VARCHAR", "CHAR", "CHARACTER VARYING", "VARCHARACTER", "CHARACTER"), n(60), g.textAttributes())
	case 9, 10:
		return pick(g, "TEXT", "TINYTEXT", "MEDIUMTEXT", "LONGTEXT", "LONG VARCHAR", "LONG") + g.textAttributes()
	case 11:
		return fmt.Sprintf("TEXT(%d)%s", pick(g, 10, 100, 255, 300, 20000, 70000, 17000000), g.textAttributes())
	case 12:
		return pick(g, "BLOB", "TINYBLOB", "LONGBLOB", "LONG VARBINARY", "BLOB(100)", "BLOB(70000)", "MEDIUMBLOB")
	case 13:
		return fmt.Sprintf("%s(%d)", pick(g, "BINARY", "VARBINARY", "BIT"), n(60))
	case 14:
		return pick(g, "NCHAR(5)", "NATIONAL VARCHAR(9)", "NVARCHAR(3)", "CHAR BYTE", "CHAR", "BINARY", "BIT", "CHAR(0)")
	case 15:
		return pick(g, "ENUM", "SET") + "('a','b''c','d e ')" + pick(g, "", "", " CHARACTER SET latin1", " BINARY")
	case 16:
		return pick(g, "DATE", "YEAR", "YEAR(4)", "TIME", "TIME(2)", "DATETIME", "DATETIME(6)")
	case 17, 18:
		return pick(g, "TIMESTAMP NULL", "TIMESTAMP(3) NULL DEFAULT NULL", "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP", "TIMESTAMP(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6)", "TIMESTAMP DEFAULT CURRENT_TIMESTAMP")
	case 19:
		return "JSON"
	case 20:
		return pick(g, "GEOMETRY", "POINT", "POLYGON", "MULTIPOINT", "GEOMETRYCOLLECTION")
	case 21:
		if g.maria() {
			return pick(g, "UUID", "INET6", "INET4", "VARCHAR(50) COMPRESSED", "TEXT COMPRESSED", "JSON")
		}
		return pick(g, "INT", "VARCHAR(300)")
	case 22:
		return fmt.Sprintf("VARCHAR(%d)%s", pick(g, 255, 256, 4000, 16383, 21845, 30000, 70000), g.textAttributes())
	default:
		return pick(g, "INT", "VARCHAR(20)", "BIGINT UNSIGNED")
	}
}

func (g *generator) definition() string {
	s := g.dataType()
	switch g.r.IntN(12) {
	case 0, 1:
		s += " NOT NULL"
	case 2:
		s += " NULL"
	case 3:
		s += " COMMENT 'it''s, (x) NOT NULL'"
	case 4:
		s += " UNIQUE"
	case 5:
		s += " DEFAULT NULL"
	case 6:
		s += pick(g, " DEFAULT 1", " DEFAULT '1'", " NOT NULL DEFAULT '2'", " DEFAULT 0x31")
	case 7:
		if g.kind == "mysql97" || g.maria() {
			s += " INVISIBLE"
		}
	case 8:
		s += pick(g, " /*!50000 NOT NULL */", " /*!99999 UNIQUE */", " /* UNIQUE */", " /*!80000 NOT NULL */", " /*M! NOT NULL */", " /*M!100100 NOT NULL */", " -- x\n")
	}
	return s
}

// keyParts makes a key over columns that can be in one; extra are those which the statement makes itself.
func (g *generator) keyParts(table string, extra ...Column) string {
	var parts []string
	columns := extra
	if t := g.tables[table]; t != nil && len(extra) == 0 {
		columns = t.Columns
	}
	seen := map[string]bool{}
	for range 8 {
		if len(columns) == 0 || len(parts) > g.r.IntN(4) {
			break
		}
		c := columns[g.r.IntN(len(columns))]
		if seen[c.Name] || g.used["-"+c.Name] {
			continue
		}
		seen[c.Name] = true
		p := g.name(c.Name)
		switch {
		case c.Type >= TinyText && c.Type <= LongBlob:
			p += fmt.Sprintf("(%d)", 1+g.r.IntN(20))
		case c.Type == JSON || c.Type == Geometry || c.Type == Vector || c.Length > 200 || c.Length == 0 && (c.Type == Char || c.Type == Binary):
			continue
		case (c.Type == VarChar || c.Type == Char || c.Type.IsBinary()) && g.chance(30):
			p += fmt.Sprintf("(%d)", 1+g.r.IntN(int(max(c.Length, 1))))
		}
		if g.chance(10) {
			p += pick(g, " ASC", " DESC")
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return "(a)"
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func (g *generator) key(table string, extra ...Column) string {
	name := pick(g, "", "", "k1", "k2", "`k 3`", "a")
	switch g.r.IntN(7) {
	case 0:
		return "PRIMARY KEY " + g.keyParts(table, extra...)
	case 1, 2:
		return "UNIQUE " + pick(g, "", "KEY ", "INDEX ") + name + " " + g.keyParts(table, extra...)
	case 3:
		return "CONSTRAINT " + pick(g, "", "c1 ", "c2 ") + "UNIQUE " + g.keyParts(table)
	default:
		return pick(g, "KEY ", "INDEX ") + name + " " + g.keyParts(table, extra...)
	}
}

func (g *generator) tableOptions() string {
	s := ""
	for range g.r.IntN(3) {
		s += pick(g, " ENGINE=InnoDB", " COMMENT 'x'", " "+pick(g, "", "DEFAULT ")+g.charset(), " ROW_FORMAT=DYNAMIC", " AUTO_INCREMENT 7,", " COLLATE utf8mb4_bin")
	}
	return strings.TrimSuffix(s, ",")
}

func (g *generator) create() string {
	table := g.newTable()
	prefix := "CREATE TABLE "
	switch {
	case g.maria() && g.chance(20):
		prefix = "CREATE OR REPLACE TABLE "
	case g.chance(15):
		prefix = "CREATE TABLE IF NOT EXISTS "
	case g.chance(5):
		prefix = "CREATE TEMPORARY TABLE "
	}
	if len(g.tables) > 0 && g.chance(10) {
		source := g.oldTable()
		if g.chance(50) {
			return prefix + table + " LIKE " + source
		}
		return prefix + table + " (LIKE " + source + ")"
	}
	if len(g.tables) > 0 && g.chance(8) {
		return prefix + table + g.tableOptions() + pick(g, " ", " AS ") + "SELECT * FROM " + g.oldTable()
	}
	var items []string
	var cols []Column
	for range 1 + g.r.IntN(8) {
		c := g.newColumn("")
		definition := g.definition()
		items = append(items, g.name(c)+" "+definition)
		var p parser // to know what can be in a key
		p.start(&Statement{Text: definition}, 0, 90000)
		spec := &colSpec{}
		p.dataType(spec)
		spec.Name = c
		spec.Length = max(spec.Length, spec.sized)
		if p.err == nil {
			cols = append(cols, spec.Column)
		}
	}
	for range g.r.IntN(3) {
		items = append(items, g.key("", cols...))
	}
	return prefix + table + " (" + strings.Join(items, ", ") + ")" + g.tableOptions()
}

func (g *generator) place(table string) string {
	switch {
	case g.chance(60):
		return ""
	case g.chance(30):
		return " FIRST"
	default:
		return " AFTER " + g.column(table)
	}
}

func (g *generator) clause(table string) string {
	column := pick(g, "", "COLUMN ")
	switch g.r.IntN(20) {
	case 0, 1, 2, 3:
		return "ADD " + column + g.name(g.newColumn(table)) + " " + g.definition() + g.place(table)
	case 4:
		return "ADD " + column + "(" + g.name(g.newColumn(table)) + " " + g.definition() + ", " + g.name(g.newColumn(table)) + " " + g.definition() + ")"
	case 5, 6, 7:
		c := g.column(table)
		g.used["-"+strings.Trim(c, "`")] = true
		return "DROP " + column + c
	case 8, 9, 10:
		return "MODIFY " + column + g.column(table) + " " + g.definition() + g.place(table)
	case 11, 12:
		old, c := g.column(table), g.name(g.newColumn(table))
		if g.chance(30) { // two change places
			other := g.column(table)
			return "CHANGE " + column + old + " " + other + " " + g.definition() + ", CHANGE " + column + other + " " + old + " " + g.definition() + g.place(table)
		}
		return "CHANGE " + column + old + " " + c + " " + g.definition() + g.place(table)
	case 13:
		if g.kind != "mysql57" {
			return "RENAME COLUMN " + g.column(table) + " TO " + g.name(g.newColumn(table))
		}
		return "ALTER " + column + g.column(table) + " DROP DEFAULT"
	case 14, 15:
		return "ADD " + g.key(table)
	case 16:
		if t := g.tables[table]; t != nil && len(t.Unique)+len(t.Plain) > 0 {
			keys := append(slices.Clone(t.Unique), t.Plain...)
			switch k := keys[g.r.IntN(len(keys))].Name; {
			case k == primaryName:
				return "DROP PRIMARY KEY"
			case g.chance(50):
				return "RENAME " + pick(g, "KEY ", "INDEX ") + g.name(k) + " TO " + pick(g, "k7", "k8", "k9")
			default:
				return "DROP " + pick(g, "KEY ", "INDEX ") + g.name(k)
			}
		}
		return "ADD " + g.key(table)
	case 17:
		return pick(g, "DEFAULT ", "") + g.charset()
	case 18:
		return "CONVERT TO " + g.charset()
	default:
		return pick(g, "ENGINE=InnoDB", "COMMENT 'y'", "ALTER "+column+g.column(table)+" DROP DEFAULT", "FORCE")
	}
}

// statement gives the next statement.
func (g *generator) statement() string {
	clear(g.used)
	switch n := g.r.IntN(100); {
	case n < 22 || len(g.tables) == 0:
		return g.create()
	case n < 78:
		table := g.oldTable()
		var clauses []string
		for range 1 + min(g.r.IntN(4), g.r.IntN(4)) {
			clauses = append(clauses, g.clause(table))
			if strings.HasPrefix(clauses[len(clauses)-1], "CONVERT") && g.kind == "mysql80" { // 8.0.15 crashes if a column is added beside
				return "ALTER TABLE " + table + " " + clauses[len(clauses)-1]
			}
		}
		s := "ALTER TABLE " + table + " " + strings.Join(clauses, pick(g, ", ", ","))
		if g.chance(6) {
			to := g.newTable()
			if g.maria() { // with other clauses it leaves a stale definition file behind where the name has a space
				return "ALTER TABLE " + table + " RENAME " + to
			}
			s += ", RENAME " + pick(g, "", "TO ", "AS ") + to
		}
		return s
	case n < 84:
		from, to := g.oldTable(), g.newTable()
		if g.chance(40) {
			return "RENAME TABLE " + from + " TO " + g.b + ".tmp, " + to + " TO " + from + ", " + g.b + ".tmp TO " + to
		}
		return "RENAME TABLE " + from + " TO " + to
	case n < 89:
		return pick(g, "DROP TABLE ", "DROP TABLE IF EXISTS ") + g.oldTable() + pick(g, "", "", ", "+g.newTable())
	case n < 94:
		table := g.oldTable()
		return "CREATE " + pick(g, "UNIQUE ", "") + "INDEX " + pick(g, "k1", "k2", "k3") + " ON " + table + " " + g.keyParts(table)
	case n < 96:
		return "DROP INDEX " + pick(g, "k1", "k2", "k3", "a") + " ON " + g.oldTable()
	case n < 98:
		return "ALTER DATABASE " + pick(g, g.a, g.b) + " " + g.charset()
	default:
		return pick(g, "SET sql_mode = ''", "SET sql_mode = 'STRICT_ALL_TABLES'", "SET sql_mode = DEFAULT", "SET explicit_defaults_for_timestamp = ON", "SET explicit_defaults_for_timestamp = OFF", "USE "+g.b, "USE "+g.a)
	}
}
