package traffic

import (
	"fmt"
	"strings"
)

// Server says what the tables may have.
type Server struct {
	MariaDB bool
	Major   int // 5, 8, 9, 10, 11
	Minor   int // 7, 0, 7, 11, 8
}

func (s Server) modern() bool { return !s.MariaDB && s.Major >= 8 } // MySQL 8.0 and later

// unicode is the default of new servers for text that neither case nor accents tell apart.
func (s Server) unicode() string {
	switch {
	case s.MariaDB && s.Major >= 11:
		return "utf8mb4_uca1400_ai_ci"
	case s.modern():
		return "utf8mb4_0900_ai_ci"
	}
	return "utf8mb4_unicode_ci"
}

// column of a table.
type column struct {
	name, def string
	value     literal // nil for one that is never written
}

// table is one of the tables.
type table struct {
	db      int // 0 or 1: which of the two databases
	name    string
	columns []column
	more    []string // keys and constraints
	key     []int    // columns by which rows are chosen
	still   bool     // its definition stays
	rekey   bool     // keys are changed too
	auto    bool     // the first column counts by itself
}

func (t *table) full(o *Options) string { return "`" + o.database(t.db) + "`.`" + t.name + "`" }

func (t *table) create(o *Options) string {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, "`"+c.name+"` "+c.def)
	}
	parts = append(parts, t.more...)
	return "CREATE TABLE " + t.full(o) + " (" + strings.Join(parts, ", ") + ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=" + o.Server.unicode()
}

// simple is a table with a key of one column, and two more.
func simple(name, def string, key literal) *table {
	return &table{
		name: name, key: []int{0}, rekey: true, more: []string{"PRIMARY KEY (`k`)"},
		columns: []column{{"k", def, key}, {"v", "VARCHAR(200)", orNull(text(20))}, {"n", "BIGINT", orNull(among(-1000, 1000))}},
	}
}

// tables makes all of them.
func tables(o *Options) []*table {
	s := o.Server
	uni := " CHARACTER SET utf8mb4 COLLATE " + s.unicode()
	no := " NOT NULL"
	list := []*table{
		// Keys of one column, of each type.
		simple("k_int", "INT", among(0, 60)),
		simple("k_bigint", "BIGINT UNSIGNED", edges(among(0, 30), "18446744073709551615", "9223372036854775808")),
		simple("k_text", "VARCHAR(40)"+uni, word),
		simple("k_bin", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", word),
		simple("k_general", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", word),
		simple("k_latin", "CHAR(8) CHARACTER SET latin1 COLLATE latin1_swedish_ci", western),
		simple("k_utf8", "VARCHAR(20) CHARACTER SET utf8mb3", basic),
		simple("k_varbinary", "VARBINARY(8)", few),
		simple("k_binary", "BINARY(4)", few),
		simple("k_decimal", "DECIMAL(12,4)", decimal(3, 2)),
		simple("k_double", "DOUBLE", pick("0", "-0.0", "0.1", "1e300", "-1.5", "3.141592653589793", "1e-300", "7")),
		simple("k_datetime", "DATETIME(6)", pick("'2024-02-29 23:59:59.999999'", "'2024-02-29 23:59:59.999998'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'", "'2024-01-01 00:00:00.5'")),
		simple("k_timestamp", "TIMESTAMP(3)"+no+" DEFAULT '2000-01-01 00:00:00'", pick("'2024-02-28 23:59:59.999'", "'2024-03-31 02:30:00'", "'2024-10-27 02:30:00.001'", "'2001-09-09 01:46:40'")),
		simple("k_time", "TIME(2)", pick("'-838:59:59'", "'00:00:00.01'", "'-00:00:00.01'", "'12:00:00'", "'838:59:59'")),
		simple("k_enum", "ENUM('a','b','ö','','x y')", pick("'a'", "'b'", "'ö'", "'x y'", "''")),
		simple("k_set", "SET('a','b','c','d')", pick("''", "'a'", "'a,b'", "'d'", "'a,b,c,d'", "'c'")),
		simple("k_bit", "BIT(20)", pick("b'0'", "b'1'", "b'11111111111111111111'", "b'10000000000'", "256", "255")),
		simple("k_year", "YEAR", pick("1901", "2155", "2024", "2000", "1999")),
	}
	list = append(list,
		&table{
			name: "k_pair", rekey: true, key: []int{0, 1}, more: []string{"PRIMARY KEY (`b`, `a`)", "KEY `by_v` (`v`)"},
			columns: []column{{"a", "VARCHAR(20)" + uni + no, word}, {"b", "SMALLINT" + no, among(1, 4)}, {"v", "INT", orNull(among(0, 9))}},
		},
		&table{
			name: "k_three", rekey: true, key: []int{0, 1, 2}, more: []string{"PRIMARY KEY (`d`, `e`, `f`)"},
			columns: []column{{"d", "DATE" + no, pick("'2024-01-01'", "'2024-01-02'", "'1000-01-01'")}, {"e", "ENUM('x','y')" + no, pick("'x'", "'y'")}, {"f", "VARBINARY(5)" + no, few}, {"v", "TEXT", orNull(text(50))}},
		},
		&table{ // a key that does not see all of a text, and texts that are equal to it
			name: "k_prefix", rekey: true, key: []int{0}, more: []string{"PRIMARY KEY (`t`(3))", "UNIQUE KEY `u` (`w`(2), `n`)"},
			columns: []column{{"t", "TEXT" + uni + no, word}, {"w", "VARCHAR(30)" + uni, orNull(word)}, {"n", "INT", among(0, 5)}},
		},
		&table{
			name: "u_two", rekey: true, key: []int{0}, more: []string{"PRIMARY KEY (`id`)", "UNIQUE KEY `one` (`a`)", "UNIQUE KEY `two` (`b`, `c`)"},
			columns: []column{{"id", "INT" + no, among(1, 40)}, {"a", "VARCHAR(20)" + uni, orNull(word)}, {"b", "INT", orNull(among(0, 6))}, {"c", "CHAR(3) CHARACTER SET latin1", orNull(western)}},
		},
		&table{ // its only key is one that may be named in place of a primary key
			name: "u_only", rekey: true, key: []int{1}, more: []string{"UNIQUE KEY `u` (`k`)"},
			columns: []column{{"v", "DOUBLE", orNull(floating)}, {"k", "INT" + no, among(1, 30)}, {"s", "VARCHAR(30)", orNull(word)}},
		},
		&table{ // a unique key with NULLs is none that names a row
			name: "n_unique", key: []int{0}, more: []string{"UNIQUE KEY `u` (`k`)"},
			columns: []column{{"k", "INT", orNull(among(1, 20))}, {"v", "VARCHAR(30)", orNull(word)}},
		},
		&table{
			name: "n_key", key: []int{0}, more: []string{"KEY `plain` (`k`)"},
			columns: []column{{"k", "INT", orNull(among(1, 12))}, {"f", "FLOAT", orNull(floating)}, {"s", "VARCHAR(20)" + uni, orNull(word)}, {"d", "DECIMAL(20,6)", orNull(decimal(8, 3))}, {"j", "JSON", orNull(document)}, {"g", "GEOMETRY", orNull(shape)}, {"b", "BIT(9)", orNull(among(0, 511))}, {"t", "TIMESTAMP NULL", orNull(timestamp(0))}},
		},
		&table{
			name: "auto", key: []int{0}, auto: true, more: []string{"PRIMARY KEY (`id`)", "KEY `by_v` (`v`)"},
			columns: []column{{"id", "BIGINT" + no + " AUTO_INCREMENT", among(0, 200)}, {"v", "VARCHAR(20)", orNull(word)}},
		},
		// Columns of each type.
		&table{
			name: "t_numbers", key: []int{0}, more: []string{"PRIMARY KEY (`id`)"},
			columns: []column{
				{"id", "INT" + no, among(1, 80)},
				{"i1", "TINYINT", orNull(edges(among(-9, 9), "-128", "127"))},
				{"u1", "TINYINT UNSIGNED", orNull(edges(among(0, 9), "255"))},
				{"i2", "SMALLINT", orNull(edges(among(-9, 9), "-32768", "32767"))},
				{"u2", "SMALLINT UNSIGNED", orNull(edges(among(0, 9), "65535"))},
				{"i3", "MEDIUMINT", orNull(edges(among(-9, 9), "-8388608", "8388607"))},
				{"u3", "MEDIUMINT UNSIGNED", orNull(edges(among(0, 9), "16777215"))},
				{"i4", "INT", orNull(edges(among(-9, 9), "-2147483648", "2147483647"))},
				{"u4", "INT UNSIGNED", orNull(edges(among(0, 9), "4294967295"))},
				{"i8", "BIGINT", orNull(edges(among(-9, 9), "-9223372036854775808", "9223372036854775807"))},
				{"u8", "BIGINT UNSIGNED", orNull(edges(among(0, 9), "18446744073709551615"))},
				{"d1", "DECIMAL(65,30)", orNull(decimal(60, 29))},
				{"d2", "DECIMAL(5,0)", orNull(among(-99999, 99999))},
				{"f", "FLOAT", orNull(floating)},
				{"g", "DOUBLE", orNull(floating)},
				{"b1", "BIT(1)", orNull(among(0, 1))},
				{"b64", "BIT(64)", orNull(edges(among(0, 1e15), "b'"+strings.Repeat("1", 64)+"'"))},
			},
		},
		&table{
			name: "t_times", key: []int{0}, more: []string{"PRIMARY KEY (`id`)"},
			columns: []column{
				{"id", "INT" + no, among(1, 80)},
				{"d", "DATE", orNull(date)},
				{"t0", "TIME", orNull(timeOfDay(0))},
				{"t6", "TIME(6)", orNull(timeOfDay(6))},
				{"dt0", "DATETIME", orNull(dateTime(0))},
				{"dt3", "DATETIME(3)", orNull(dateTime(3))},
				{"dt6", "DATETIME(6)", orNull(dateTime(6))},
				{"ts0", "TIMESTAMP NULL", orNull(timestamp(0))},
				{"ts6", "TIMESTAMP(6) NULL", orNull(timestamp(6))},
				{"y", "YEAR", orNull(among(1901, 2155))},
				{"up", "TIMESTAMP(2)" + no + " DEFAULT CURRENT_TIMESTAMP(2) ON UPDATE CURRENT_TIMESTAMP(2)", nil},
			},
		},
		&table{
			name: "t_texts", key: []int{0}, more: []string{"PRIMARY KEY (`id`)"},
			columns: []column{
				{"id", "INT" + no, among(1, 60)},
				{"c", "CHAR(20)", orNull(word)},
				{"v", "VARCHAR(500)", orNull(text(20))},
				{"tt", "TINYTEXT", orNull(word)},
				{"t", "TEXT", orNull(text(200))},
				{"mt", "MEDIUMTEXT", orNull(text(3000))},
				{"lt", "LONGTEXT", orNull(text(1000))},
				{"l1", "VARCHAR(30) CHARACTER SET latin1", orNull(western)},
				{"u16", "VARCHAR(30) CHARACTER SET utf16", orNull(word)},
				{"u2", "CHAR(9) CHARACTER SET ucs2", orNull(basic)},
				{"sj", "VARCHAR(20) CHARACTER SET sjis", orNull(pick("'a'", "'日本'", "'表'", "'ソ'", "''"))},
				{"gb", "VARCHAR(20) CHARACTER SET gbk", orNull(pick("'a'", "'中文'", "'誠'", "''"))},
				{"e", "ENUM('one','two','drei','ﬃ')", orNull(pick("'one'", "'two'", "'drei'"))},
				{"s", "SET('p','q','r')", orNull(pick("''", "'p'", "'q,r'"))},
				{"a", "VARCHAR(10) CHARACTER SET ascii", orNull(ascii)},
			},
		},
		&table{
			name: "t_blobs", key: []int{0}, more: []string{"PRIMARY KEY (`id`)"},
			columns: []column{
				{"id", "INT" + no, among(1, 60)},
				{"b", "BINARY(10)", orNull(bytes(10))},
				{"v", "VARBINARY(300)", orNull(bytes(300))},
				{"tb", "TINYBLOB", orNull(bytes(255))},
				{"bl", "BLOB", orNull(bytes(2000))},
				{"mb", "MEDIUMBLOB", orNull(bytes(70000))},
				{"lb", "LONGBLOB", orNull(bytes(100))},
				{"j", "JSON", orNull(document)},
				{"p", "POINT", orNull(point)},
				{"g", "GEOMETRY", orNull(shape)},
			},
		},
		&table{
			name: "generated", key: []int{0}, still: true, more: []string{"PRIMARY KEY (`id`)", "UNIQUE KEY `u` (`st`)"},
			columns: []column{
				{"id", "INT" + no, among(1, 50)},
				{"a", "INT", orNull(among(0, 200))},
				{"vi", "INT GENERATED ALWAYS AS (`a` + 1) VIRTUAL", nil},
				{"w", "VARCHAR(20)" + uni, orNull(word)},
				{"st", "BIGINT GENERATED ALWAYS AS (`a` * 3) STORED", nil},
				{"cc", "VARCHAR(60)" + uni + " GENERATED ALWAYS AS (CONCAT(`w`, '-', `id`)) STORED", nil},
			},
		},
		// Rows that many sessions change.
		&table{
			name: "counters", key: []int{0}, more: []string{"PRIMARY KEY (`id`)"},
			columns: []column{{"id", "INT" + no, among(1, 5)}, {"n", "BIGINT" + no + " DEFAULT 0", among(0, 9)}, {"who", "VARCHAR(20)", orNull(word)}},
		},
		// Keys that move: see swap and shift.
		&table{
			name: "swaps", key: []int{0}, more: []string{"PRIMARY KEY (`id`)", "UNIQUE KEY `place` (`place`)"},
			columns: []column{{"id", "INT" + no, among(1, 25)}, {"place", "INT", orNull(among(1, 25))}, {"v", "VARCHAR(20)", orNull(word)}},
		},
		// Parents, children, theirs, and a tree.
		&table{
			name: "parents", key: []int{0}, still: true, rekey: true, more: []string{"PRIMARY KEY (`id`)", "UNIQUE KEY `code` (`code`)"},
			columns: []column{{"id", "INT" + no, among(1, 25)}, {"code", "VARCHAR(20)" + uni, orNull(word)}, {"v", "INT", orNull(among(0, 99))}},
		},
		&table{
			name: "children", key: []int{0}, still: true, more: []string{
				"PRIMARY KEY (`id`)", "KEY `p` (`parent`)", "KEY `c` (`code`)",
				"CONSTRAINT `child_of` FOREIGN KEY (`parent`) REFERENCES `parents` (`id`)" + o.cascade("ON DELETE CASCADE ON UPDATE CASCADE"),
				"CONSTRAINT `child_code` FOREIGN KEY (`code`) REFERENCES `parents` (`code`)" + o.cascade("ON DELETE SET NULL ON UPDATE CASCADE"),
			},
			columns: []column{{"id", "INT" + no, among(1, 80)}, {"parent", "INT", orNull(among(1, 25))}, {"code", "VARCHAR(20)" + uni, orNull(word)}, {"v", "INT", orNull(among(0, 99))}},
		},
		&table{
			name: "grandchildren", key: []int{0}, still: true, more: []string{
				"PRIMARY KEY (`id`)", "KEY `c` (`child`)", "CONSTRAINT `grandchild_of` FOREIGN KEY (`child`) REFERENCES `children` (`id`)" + o.cascade("ON DELETE SET NULL ON UPDATE CASCADE"),
			},
			columns: []column{{"id", "INT" + no, among(1, 80)}, {"child", "INT", orNull(among(1, 80))}, {"v", "VARCHAR(20)", orNull(word)}},
		},
		&table{
			name: "tree", key: []int{0}, still: true, more: []string{
				"PRIMARY KEY (`id`)", "KEY `up` (`up`)", "CONSTRAINT `below` FOREIGN KEY (`up`) REFERENCES `tree` (`id`)" + o.cascade("ON DELETE CASCADE"),
			},
			columns: []column{{"id", "INT" + no, among(1, 60)}, {"up", "INT", orNull(among(1, 60))}, {"v", "INT", orNull(among(0, 9))}},
		},
		// The same names in another database.
		&table{
			db: 1, name: "k_int", key: []int{0}, rekey: true, more: []string{"PRIMARY KEY (`k`)"},
			columns: []column{{"k", "INT" + no, among(0, 60)}, {"v", "VARCHAR(20)" + uni, orNull(word)}},
		},
		&table{
			db: 1, name: "abroad", key: []int{0}, still: true, more: []string{
				"PRIMARY KEY (`id`)", "KEY `p` (`parent`)",
				"CONSTRAINT `abroad_of` FOREIGN KEY (`parent`) REFERENCES `" + o.database(0) + "`.`parents` (`id`)" + o.cascade("ON DELETE SET NULL"),
			},
			columns: []column{{"id", "INT" + no, among(1, 50)}, {"parent", "INT", orNull(among(1, 25))}, {"v", "VARCHAR(20)", orNull(word)}},
		},
		wide(),
	)
	if s.modern() || s.MariaDB {
		list = append(list, &table{
			db: 1, name: "hidden", key: []int{0}, still: true, more: []string{"PRIMARY KEY (`id`)"},
			columns: []column{{"id", "INT" + no, among(1, 40)}, {"v", "INT DEFAULT 3" + map[bool]string{true: " INVISIBLE", false: ""}[s.MariaDB || s.Minor > 0 || s.Major > 8], orNull(among(0, 99))}, {"w", "VARCHAR(20)", orNull(word)}},
		})
	}
	if s.modern() && (s.Major > 8 || s.Minor > 0) {
		list = append(list, &table{
			db: 1, name: "functional", key: []int{0}, rekey: true, still: true, more: []string{"PRIMARY KEY (`id` DESC)", "UNIQUE KEY `lower` ((LOWER(`w`)), `n`)"},
			columns: []column{{"id", "INT" + no, among(1, 40)}, {"w", "VARCHAR(20)" + uni, orNull(word)}, {"n", "INT", orNull(among(0, 9))}},
		})
	}
	return list
}

func wide() *table {
	t := &table{db: 1, name: "wide", key: []int{0}, more: []string{"PRIMARY KEY (`id`)"}, columns: []column{{"id", "INT NOT NULL", among(1, 30)}}}
	for i := range 70 {
		t.columns = append(t.columns, column{fmt.Sprintf("c%d", i), "INT", orNull(among(0, 9))})
	}
	return t
}
