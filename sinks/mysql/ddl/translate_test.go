package ddl

import (
	"errors"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/mysql/target"
)

// renamed is what the pipeline makes of a statement by a route.
func renamed(d *schemas.DDL, rename func(schemas.Name) (schemas.Name, bool)) *schemas.DDL {
	out := *d
	out.Original, out.Names, out.Entries, out.Before, out.Text = d, nil, nil, nil, "/* spoiled */"
	for _, n := range d.Names {
		if to, ok := rename(n); ok {
			out.Names = append(out.Names, to)
		}
	}
	table := func(t *schemas.Table) *schemas.Table {
		if t == nil {
			return nil
		}
		to, ok := rename(schemas.Name{Database: t.Database, Table: t.Name})
		if !ok {
			return nil
		}
		c := *t
		c.Database, c.Name = to.Database, to.Table
		return &c
	}
	for i, e := range d.Entries {
		to, ok := rename(e.Name)
		if !ok {
			continue
		}
		e.Name, e.Table = to, table(e.Table)
		old := d.Before[i]
		if old != nil {
			c := *old
			c.Database, c.Name = to.Database, to.Table
			old = &c
		}
		out.Entries, out.Before = append(out.Entries, e), append(out.Before, old)
	}
	return &out
}

// route carries the database shop to copy, all but tables that begin with an underscore; shards go into one table.
func route(n schemas.Name) (schemas.Name, bool) {
	switch {
	case n.Database != "shop" || strings.HasPrefix(n.Table, "_"):
		return n, false
	case strings.HasPrefix(n.Table, "shard"):
		return schemas.Name{Database: "copy", Table: "all"}, true
	}
	return schemas.Name{Database: "copy", Table: n.Table}, true
}

func routed() Options {
	return Options{Rename: route, Shared: func(n schemas.Name) bool { return n.Table == "all" }}
}

// apply runs statements in a catalog and gives what the last one did.
func apply(t *testing.T, st schemas.Statement, statements ...string) *schemas.DDL {
	t.Helper()
	if st.Version == 0 {
		st.Version = [...]uint32{90700, 110800}[st.Flavor]
	}
	if st.Database == "" {
		st.Database = "shop"
	}
	c := schemas.NewCatalog(st.Flavor, st.Version)
	c.Replay(&schemas.Entry{Kind: schemas.PutDatabase, Name: schemas.Name{Database: "shop"}, Charset: "latin1", Collation: "latin1_swedish_ci"})
	var last *schemas.DDL
	for _, text := range statements {
		st.Text = text
		d, err := c.Apply(&st)
		if err != nil {
			t.Fatal(err)
		}
		last = d
	}
	return last
}

func TestTranslate(t *testing.T) {
	maria := schemas.Statement{Flavor: gtid.MariaDB}
	const a = "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9))"
	for _, c := range []struct {
		name  string
		st    schemas.Statement
		setup []string
		text  string
		want  string // text, "skip: ..", or "stop: .. => hint"
	}{
		{name: "create", text: "CREATE TABLE a (id INT) /* x */", want: "CREATE TABLE `copy`.`a` (id INT) DEFAULT CHARACTER SET latin1 COLLATE latin1_swedish_ci"},
		{name: "create with charset", text: "CREATE TABLE IF NOT EXISTS shop.a (id INT) CHARSET utf8mb4, ENGINE=InnoDB", want: "CREATE TABLE IF NOT EXISTS `copy`.`a` (id INT) CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci, ENGINE=InnoDB"},
		{name: "create with collation", text: "CREATE TABLE a (id INT) COLLATE utf8mb4_bin", want: "CREATE TABLE `copy`.`a` (id INT) COLLATE utf8mb4_bin"},
		{name: "partitions", text: "CREATE TABLE a (id INT) PARTITION BY HASH (id) PARTITIONS 2", want: "CREATE TABLE `copy`.`a` (id INT) DEFAULT CHARACTER SET latin1 COLLATE latin1_swedish_ci PARTITION BY HASH (id) PARTITIONS 2"},
		{name: "not carried", text: "CREATE TABLE _a (id INT)", want: "skip: the table is not carried"},
		{name: "there already", setup: []string{a}, text: "CREATE TABLE IF NOT EXISTS a (other INT)", want: "skip: the table was there already, and nothing happened"},
		{name: "rows follow", text: "CREATE TABLE a (id INT) START TRANSACTION", want: "CREATE TABLE `copy`.`a` (id INT) DEFAULT CHARACTER SET latin1 COLLATE latin1_swedish_ci"},
		{name: "query", text: "CREATE TABLE a (id INT) SELECT 1 AS id", want: "stop: its columns and rows come from a query => carry"},
		{name: "temporary", text: "CREATE TEMPORARY TABLE a (id INT)", want: "skip: it is about temporary tables"},
		{name: "like", setup: []string{a}, text: "CREATE TABLE b LIKE a", want: "CREATE TABLE `copy`.`b` LIKE `copy`.`a`"},
		{
			name: "like another", setup: []string{"CREATE TABLE _a (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'x')"}, text: "CREATE TABLE b LIKE _a",
			want: "stop: it is like the table shop._a, which the stream does not carry => run at the target: CREATE TABLE `copy`.`b` (`id` int NOT NULL, `v` varchar(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT 'x', PRIMARY KEY (`id`)) DEFAULT CHARACTER SET latin1 COLLATE latin1_swedish_ci;",
		},
		{
			name: "parent", text: "CREATE TABLE c (a INT, FOREIGN KEY (a) REFERENCES a (id), FOREIGN KEY (a) REFERENCES shop.b (id)) CHARSET latin1 COLLATE latin1_bin",
			want: "CREATE TABLE `copy`.`c` (a INT, FOREIGN KEY (a) REFERENCES `copy`.`a` (id), FOREIGN KEY (a) REFERENCES `copy`.`b` (id)) CHARSET latin1 COLLATE latin1_bin",
		},
		{name: "parent elsewhere", st: schemas.Statement{Database: "other"}, text: "CREATE TABLE shop.c (a INT REFERENCES p (id)) COLLATE latin1_bin", want: "CREATE TABLE `copy`.`c` (a INT REFERENCES `copy`.`p` (id)) COLLATE latin1_bin"},
		{name: "parent not carried", text: "CREATE TABLE c (a INT, FOREIGN KEY (a) REFERENCES _a (id))", want: "stop: its foreign key refers to the table shop._a, which the stream does not carry => carry it out at the target by hand without that foreign key"},
		{name: "drop", setup: []string{a}, text: "DROP TABLE IF EXISTS a, _b, other.c, d /* generated by server */", want: "DROP TABLE IF EXISTS `copy`.`a`, `copy`.`d`"},
		{name: "drop none", text: "DROP TABLE _b", want: "skip: none of the tables is carried"},
		{name: "drop some", st: schemas.Statement{ErrorCode: 1051}, text: "DROP TABLE a, b", want: "DROP TABLE IF EXISTS `copy`.`a`, `copy`.`b`"},
		{name: "failed", st: schemas.Statement{ErrorCode: 1062}, setup: []string{a}, text: "ALTER TABLE a ADD UNIQUE (v)", want: "stop: the statement ended with error 1062 at the source and may have been done in part => carry"},
		{name: "rename", setup: []string{a}, text: "RENAME TABLE a TO b, _x TO _y, other.z TO other.y", want: "RENAME TABLE `copy`.`a` TO `copy`.`b`"},
		{name: "leaves", setup: []string{a}, text: "RENAME TABLE a TO _a_old", want: "stop: the table shop.a gets a name that the stream does not carry => drop or rename copy.a at the target (DROP TABLE `copy`.`a`)"},
		{
			name: "enters", setup: []string{"CREATE TABLE _a (id INT)"}, text: "RENAME TABLE _a TO a",
			want: "stop: the table shop._a was put in the place of shop.a, and its rows did not come with the stream => run at the target: CREATE TABLE `copy`.`a` (`id` int) DEFAULT CHARACTER SET latin1 COLLATE latin1_swedish_ci; copy",
		},
		{
			name: "gh-ost", setup: []string{a, "CREATE TABLE _a_gho LIKE a", "ALTER TABLE _a_gho ADD COLUMN n DECIMAL(8,2) NOT NULL DEFAULT 1 AFTER id, MODIFY v VARCHAR(30), ADD KEY n (n)"}, text: "RENAME /* gh-ost */ TABLE shop.a TO shop._a_del, shop._a_gho TO shop.a",
			want: "stop: the table shop._a_gho was put in the place of shop.a, and its rows did not come with the stream => if it was an online schema change (gh-ost, pt-online-schema-change), run at the target: " +
				"ALTER TABLE `copy`.`a` ADD COLUMN `n` decimal(8,2) NOT NULL DEFAULT '1' AFTER `id`, MODIFY COLUMN `v` varchar(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci AFTER `n`, ADD KEY `n` (`n`);",
		},
		{
			name: "rebuilt", setup: []string{a, "CREATE TABLE _a_new LIKE a"}, text: "RENAME TABLE a TO _a_old, _a_new TO a",
			want: "stop: the table shop._a_new was put in the place of shop.a, and its rows did not come with the stream => if it was an online schema change (gh-ost, pt-online-schema-change) nothing is left to do",
		},
		{name: "alter", setup: []string{a}, text: "ALTER TABLE a ADD COLUMN n INT, RENAME TO b", want: "ALTER TABLE `copy`.`a` ADD COLUMN n INT, RENAME TO `copy`.`b`"},
		{name: "alter leaves", setup: []string{a}, text: "ALTER TABLE a RENAME TO _b", want: "stop: the table shop.a gets a name that the stream does not carry => drop"},
		{name: "alter enters", setup: []string{"CREATE TABLE _a (id INT)"}, text: "ALTER TABLE _a RENAME a", want: "stop: the table shop._a was put in the place of shop.a, and its rows did not come with the stream => run"},
		{name: "exchange", setup: []string{a}, text: "ALTER TABLE a EXCHANGE PARTITION p WITH TABLE _b", want: "stop: it is also about the table shop._b, which the stream does not carry => carry"},
		{name: "discard", setup: []string{a}, text: "ALTER TABLE a DISCARD TABLESPACE", want: "stop: it puts files in the place of rows, which the binlog does not hold => copy"},
		{name: "index", setup: []string{a}, text: "CREATE INDEX `i``j` ON a (v)", want: "CREATE INDEX `i``j` ON `copy`.`a` (v)"},
		{name: "no index", setup: []string{a, "CREATE INDEX i ON a (v)"}, text: "DROP INDEX i ON shop.a", want: "DROP INDEX i ON `copy`.`a`"},
		{name: "truncate", text: "TRUNCATE a", want: "TRUNCATE TABLE `copy`.`a`"},
		{name: "database", text: "CREATE DATABASE shop CHARSET latin1", want: "CREATE DATABASE IF NOT EXISTS `copy` CHARSET latin1"},
		{name: "its default", text: "ALTER DATABASE CHARSET latin1", want: "ALTER DATABASE `copy` CHARSET latin1"},
		{name: "no database", text: "DROP DATABASE shop", want: "stop: the stream carries only a part of the database, or not into a database of its own => drop at the target the tables that came from `shop`"},
		{name: "other database", text: "DROP DATABASE other", want: "skip: the database is not carried"},
		{name: "user", text: "CREATE USER a", want: "skip: it is none of the statements that are replicated"},
		{name: "grant", text: "GRANT ALL ON a TO b", want: "skip: it is none of the statements that are replicated"},
		{name: "view", text: "CREATE ALGORITHM=MERGE VIEW a AS SELECT 1", want: "skip: it is none of the statements that are replicated"},
		{name: "trigger", text: "CREATE DEFINER=root@localhost TRIGGER x BEFORE INSERT ON a FOR EACH ROW SET @a = 1", want: "skip: it is none of the statements that are replicated"},
		{name: "routine", text: "DROP PROCEDURE a", want: "skip: it is none of the statements that are replicated"},
		{name: "password", text: "SET PASSWORD = 'x'", want: "skip: it is none of the statements that are replicated"},
		{name: "tablespace", text: "CREATE TABLESPACE a ADD DATAFILE 'x'", want: "skip: it is none of the statements that are replicated"},
		{name: "not understood", setup: []string{a}, text: "ALTER TABLE a FROBNICATE", want: "stop: its names cannot be translated, since it is not understood (the clause is not known near \"FROBNICATE\") => carry"},
		{name: "shard", text: "CREATE TABLE shard1 (id INT) COLLATE latin1_bin", want: "CREATE TABLE IF NOT EXISTS `copy`.`all` (id INT) COLLATE latin1_bin"},
		{name: "drop shard", text: "DROP TABLE shard1", want: "stop: several tables of the source go into copy.all, and this statement is about the rows of shop.shard1 alone => delete"},
		{name: "truncate shard", text: "TRUNCATE shard1", want: "stop: several tables of the source go into copy.all, and this statement is about the rows of shop.shard1 alone => delete"},
		{name: "rename shard", text: "RENAME TABLE shard1 TO shard2", want: "skip: none of the tables is carried, or they are one at the target"},
		{name: "or replace", st: maria, text: "CREATE OR REPLACE TABLE a (id INT) COLLATE latin1_bin", want: "CREATE OR REPLACE TABLE `copy`.`a` (id INT) COLLATE latin1_bin"},
		{name: "sequence", st: maria, text: "DROP SEQUENCE IF EXISTS a", want: "DROP SEQUENCE IF EXISTS `copy`.`a`"},
		{name: "sequence in a default", st: maria, text: "CREATE TABLE a (id INT DEFAULT NEXT VALUE FOR s) COLLATE latin1_bin", want: "CREATE TABLE `copy`.`a` (id INT DEFAULT NEXT VALUE FOR `copy`.`s`) COLLATE latin1_bin"},
		{name: "statement variables", st: maria, setup: []string{a}, text: "SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE a ADD x INT", want: "SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE `copy`.`a` ADD x INT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := apply(t, c.st, append(c.setup, c.text)...)
			got := outcome(renamed(d, route), routed())
			if strings.HasPrefix(c.want, "stop:") {
				what, hint, _ := strings.Cut(c.want, " => ")
				gotWhat, gotHint, _ := strings.Cut(got, " => ")
				if !strings.HasPrefix(gotWhat, what+": ") || !strings.HasPrefix(gotHint, hint) {
					t.Errorf("%s\nwanted\n%s", got, c.want)
				}
				return
			}
			if got != c.want {
				t.Errorf("%s\nwanted\n%s", got, c.want)
			}
		})
	}
}

func outcome(d *schemas.DDL, o Options) string {
	plan, err := Translate(d, o)
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		if f.Code != fault.TargetDDL {
			return f.Error()
		}
		return "stop: " + f.Text + " => " + f.Next
	case err != nil:
		return err.Error()
	case plan.Skip != "":
		return "skip: " + plan.Skip
	}
	return plan.Text
}

func TestTranslatePlan(t *testing.T) {
	const a = "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9))"
	plan := func(st schemas.Statement, o Options, statements ...string) *Plan {
		t.Helper()
		d := apply(t, st, statements...)
		if o.Rename != nil {
			d = renamed(d, o.Rename)
		}
		p, err := Translate(d, o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := plan(schemas.Statement{}, routed(), "CREATE TABLE a (id INT) START TRANSACTION"); !p.Rows || len(p.Names) != 1 || p.Names[0].String() != "copy.a" {
		t.Errorf("%+v", p)
	}
	if p := plan(schemas.Statement{}, routed(), "CREATE TABLE shard1 (id INT)"); !p.Again {
		t.Errorf("%+v", p)
	}
	for text, want := range map[string]bool{
		"ALTER TABLE a ADD x INT":                                    true,
		"ALTER TABLE a DROP v":                                       true,
		"ALTER TABLE a CHANGE v w VARCHAR(9)":                        true,
		"ALTER TABLE a MODIFY v VARCHAR(10)":                         true,
		"ALTER TABLE a COMMENT 'x'":                                  true,
		"ALTER TABLE a ADD CHECK (id > 0)":                           false,
		"ALTER TABLE a ADD INDEX (v)":                                false,
		"ALTER TABLE a ADD FOREIGN KEY (id) REFERENCES b (id)":       false,
		"ALTER TABLE a RENAME COLUMN v TO id, RENAME COLUMN id TO v": false,
		"RENAME TABLE a TO b":                                        true,
		"RENAME TABLE a TO c, b TO a":                                true,
		"RENAME TABLE a TO c, b TO a, c TO b":                        false,
		"DROP TABLE a":                                               true,
	} {
		if p := plan(schemas.Statement{}, routed(), a, "CREATE TABLE b (id INT)", text); p.Repeatable != want {
			t.Errorf("%s: repeatable is %v", text, p.Repeatable)
		}
	}
	// What is not understood passes where nothing is renamed.
	p := plan(schemas.Statement{}, Options{}, a, "ALTER TABLE a FROBNICATE /* x */ b")
	if p.Text != "ALTER TABLE a FROBNICATE b" || p.Before[0] != "USE `shop`" {
		t.Errorf("%+v", p)
	}
	// A whole database goes.
	o := routed()
	o.Whole = func(string) bool { return true }
	if p := plan(schemas.Statement{}, o, "DROP DATABASE IF EXISTS shop"); p.Text != "DROP DATABASE IF EXISTS `copy`" || p.Names[0] != (schemas.Name{Database: "copy"}) {
		t.Errorf("%+v", p)
	}
	// A target without case has one table for names that differ in case alone.
	o = Options{Server: &target.Server{Version: 90700, LowerCaseTableNames: 1}}
	b := "CREATE TABLE b (id INT)"
	if p := plan(schemas.Statement{}, o, a, "RENAME TABLE a TO A"); p.Skip == "" {
		t.Errorf("%+v", p)
	}
	if p := plan(schemas.Statement{}, o, a, b, "RENAME TABLE a TO A, b TO c"); p.Text != "RENAME TABLE `shop`.`b` TO `shop`.`c`" || !p.Repeatable {
		t.Errorf("%+v", p)
	}
	if p := plan(schemas.Statement{}, o, a, b, "RENAME TABLE a TO c, b TO A, c TO B"); p.Text != "RENAME TABLE `shop`.`a` TO `shop`.`c`, `shop`.`b` TO `shop`.`A`, `shop`.`c` TO `shop`.`B`" || p.Repeatable {
		t.Errorf("%+v", p)
	}
	// Names in another case than the catalog's.
	o = routed()
	o.Fold = true
	if p := plan(schemas.Statement{}, o, "TRUNCATE Shop.A"); p.Text != "TRUNCATE TABLE `copy`.`a`" {
		t.Errorf("%+v", p)
	}
}

func TestTranslateHidden(t *testing.T) {
	d := apply(t, schemas.Statement{}, "CREATE TABLE a (id INT DEFAULT 5)")
	d = renamed(d, route)
	original := *d.Original
	original.Text = "CREATE TABLE a (id INT DEFAULT '***')"
	d.Original, d.Hidden = &original, true
	if got := outcome(d, routed()); !strings.HasPrefix(got, "stop: a transform hides values") || strings.Contains(got, "5") {
		t.Error(got)
	}
}

func TestTranslateColumns(t *testing.T) {
	// A transform leaves the column v out.
	narrow := func(t *schemas.Table) *schemas.Table {
		if t == nil {
			return nil
		}
		c := *t
		c.Columns = nil
		for _, col := range t.Columns {
			if col.Name != "v" {
				c.Columns = append(c.Columns, col)
			}
		}
		return &c
	}
	for text, want := range map[string]string{
		"ALTER TABLE a ADD v INT":            "skip: it changes only columns that are not carried",
		"ALTER TABLE a ADD v INT, ADD w INT": "stop: transforms change the columns of the table",
		"CREATE TABLE b (id INT, v INT)":     "stop: transforms change the columns of the table",
	} {
		d := renamed(apply(t, schemas.Statement{}, "CREATE TABLE a (id INT PRIMARY KEY)", text), route)
		for i := range d.Entries {
			d.Entries[i].Table, d.Before[i] = narrow(d.Entries[i].Table), narrow(d.Before[i])
		}
		if got := outcome(d, routed()); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, wanted %s", text, got, want)
		}
	}
}

func TestTranslateCharset(t *testing.T) {
	const latin1, sjis, utf8mb4 = 8, 13, 255
	for _, c := range []struct {
		client uint16
		text   string
		want   string
	}{
		{latin1, "ALTER TABLE a ADD é INT COMMENT 'ü'", "ALTER TABLE `copy`.`a` ADD é INT COMMENT 'ü'"},
		{latin1, "ALTER TABLE a ADD c CHAR(1) DEFAULT _latin1'é'", "ALTER TABLE `copy`.`a` ADD c CHAR(1) DEFAULT 'é'"},
		{latin1, "ALTER TABLE a ADD c CHAR(1) DEFAULT _latin1'e'", "ALTER TABLE `copy`.`a` ADD c CHAR(1) DEFAULT _latin1'e'"},
		{latin1, "ALTER TABLE a ADD c CHAR(1) DEFAULT _sjis'é'", "stop: it has a string in sjis in a text in latin1"},
		{sjis, "ALTER TABLE a ADD `表` INT COMMENT 'ソ'", "ALTER TABLE `copy`.`a` ADD `表` INT COMMENT 'ソ'"},
		{sjis, "ALTER TABLE a ADD c INT COMMENT '\xff'", "stop: it has bytes that are no text in the client's character set sjis"},
		{utf8mb4, "ALTER TABLE a ADD c CHAR(1) DEFAULT _utf8mb4'é'", "ALTER TABLE `copy`.`a` ADD c CHAR(1) DEFAULT _utf8mb4'é'"},
	} {
		d := renamed(apply(t, schemas.Statement{ClientCollation: c.client}, "CREATE TABLE a (id INT)", c.text), route)
		if got := outcome(d, routed()); got != c.want && !(strings.HasPrefix(c.want, "stop") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %s, wanted %s", c.text, got, c.want)
		}
	}
}

func TestSession(t *testing.T) {
	st := schemas.Statement{
		SQLMode: 1<<2 | 1<<22 | 1<<13 | 1<<28, ClientCollation: 33, ConnectionCollation: 8, ServerCollation: 255, TimeZone: "Europe/Berlin", Time: 1700000000123456,
	}
	mysql := &target.Server{Flavor: gtid.MySQL, Version: 90700, ExplicitTimestamp: true, RequirePrimaryKey: true, InvisibleKey: true}
	maria := &target.Server{Flavor: gtid.MariaDB, Version: 110800, ExplicitTimestamp: true}
	old := &target.Server{Flavor: gtid.MySQL, Version: 50722}
	for _, c := range []struct {
		name    string
		server  *target.Server
		version uint32
		text    string
		want    string
	}{
		{"new to new", mysql, 90700, "CREATE TABLE a (ts TIMESTAMP)", "SET SESSION foreign_key_checks = 0, character_set_client = 'utf8mb3', collation_connection = 'latin1_swedish_ci', default_collation_for_utf8mb4 = 'utf8mb4_0900_ai_ci', time_zone = 'Europe/Berlin', timestamp = 1700000000.123456, sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0; SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"},
		{"old to new", mysql, 50722, "CREATE TABLE a (ts TIMESTAMP)", "SET SESSION foreign_key_checks = 0, character_set_client = 'utf8mb3', collation_connection = 'latin1_swedish_ci', default_collation_for_utf8mb4 = 'utf8mb4_general_ci', time_zone = 'Europe/Berlin', timestamp = 1700000000.123456, explicit_defaults_for_timestamp = 0, sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0; SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"},
		{"new to old", old, 90700, "CREATE DATABASE shop", "SET SESSION foreign_key_checks = 0, character_set_client = 'utf8', collation_connection = 'latin1_swedish_ci', time_zone = 'Europe/Berlin', timestamp = 1700000000.123456; SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"},
		{"to MariaDB", maria, 80036, "CREATE TABLE a (id INT)", "SET SESSION foreign_key_checks = 0, character_set_client = 'utf8mb3', collation_connection = 'latin1_swedish_ci', character_set_collations = 'utf8mb4=utf8mb4_0900_ai_ci', time_zone = 'Europe/Berlin', timestamp = 1700000000.123456; SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,TIME_ROUND_FRACTIONAL'"},
	} {
		st := st
		st.Version = c.version
		p, err := Translate(apply(t, st, c.text), Options{Server: c.server})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.Before, "; "); got != c.want {
			t.Errorf("%s:\n%s\nwanted\n%s", c.name, got, c.want)
		}
		if len(p.After) < 2 || !strings.Contains(p.After[len(p.After)-1], "foreign_key_checks = DEFAULT") {
			t.Errorf("%s: %q", c.name, p.After)
		}
	}
	st.SQLMode, st.Version, st.Flavor = 1<<9, 110800, gtid.MariaDB
	if _, err := Translate(apply(t, st, "CREATE TABLE a (id INT)"), Options{Server: mysql}); !errors.Is(err, fault.New(fault.TargetDDL, "")) || !strings.Contains(err.Error(), "ORACLE") {
		t.Errorf("%v", err)
	}
}

func TestTranslateCollation(t *testing.T) {
	d := apply(t, schemas.Statement{Flavor: gtid.MariaDB}, "ALTER DATABASE shop COLLATE utf8mb4_uca1400_ai_ci", "CREATE TABLE a (v TEXT)")
	o := Options{Server: &target.Server{Flavor: gtid.MySQL, Version: 90700}}
	if p, err := Translate(d, o); err != nil || p.Text != "CREATE TABLE `shop`.`a` (v TEXT) DEFAULT CHARACTER SET utf8mb4" || len(p.Notes) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	d = apply(t, schemas.Statement{}, "CREATE TABLE a (v TEXT CHARACTER SET utf8mb4)")
	if p, err := Translate(d, Options{Server: &target.Server{Flavor: gtid.MySQL, Version: 50722}}); err != nil || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "utf8mb4_general_ci") {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestDone(t *testing.T) {
	for _, c := range []struct {
		number uint16
		kind   schemas.DDLKind
		want   bool
	}{
		{1050, schemas.CreateTable, true},
		{1051, schemas.DropTables, true},
		{1146, schemas.DropTables, true},
		{1146, schemas.TruncateTable, false},
		{1060, schemas.AlterTable, true},
		{1060, schemas.CreateTable, false},
		{1091, schemas.DropIndex, true},
		{1061, schemas.CreateIndex, true},
		{1007, schemas.CreateDatabase, true},
		{1008, schemas.DropDatabases, true},
		{1064, schemas.AlterTable, false},
	} {
		if Done(c.number, c.kind) != c.want {
			t.Errorf("error %d of kind %d: %v", c.number, c.kind, !c.want)
		}
	}
}

func TestApplied(t *testing.T) {
	d := apply(t, schemas.Statement{}, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9))", "ALTER TABLE a ADD INDEX (v)")
	like := func(v *schemas.Table) *target.Table {
		at := &target.Table{}
		for _, c := range v.Columns {
			at.Columns = append(at.Columns, target.Column{Column: c})
		}
		for i, keys := range [][]schemas.Key{v.Unique, v.Plain} {
			for _, k := range keys {
				key := target.Key{Name: k.Name, Unique: i == 0}
				for _, p := range k.Parts {
					key.Parts = append(key.Parts, target.KeyPart{Column: p.Column})
				}
				at.Keys = append(at.Keys, key)
			}
		}
		return at
	}
	for want, at := range map[State]*target.Table{
		NotApplied: like(d.Before[0]),
		IsApplied:  like(d.Entries[0].Table),
		Unsure:     nil,
	} {
		if got := Applied(d, func(schemas.Name) *target.Table { return at }); got != want {
			t.Errorf("%d, wanted %d", got, want)
		}
	}
}
