package schemas

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cdc/gtid"
)

// world is a catalog with a session.
type world struct {
	t   *testing.T
	cat *Catalog
	st  Statement
}

func newWorld(t *testing.T, flavor gtid.Flavor, version uint32) *world {
	w := &world{t: t, cat: NewCatalog(flavor, version)}
	w.cat.Replay(&Entry{Kind: PutDatabase, Name: Name{Database: "d"}, Charset: "latin1", Collation: "latin1_swedish_ci"})
	w.st = Statement{Database: "d", Flavor: flavor, Version: version}
	return w
}

func (w *world) apply(text string) *DDL {
	w.t.Helper()
	w.st.Text = text
	d, err := w.cat.Apply(&w.st)
	if err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	return d
}

// columns gives the columns of a table, or why there are none.
func (w *world) columns(table string) string {
	tab, state := w.cat.Table("d", table)
	switch state {
	case Known:
		var names []string
		for _, c := range tab.Columns {
			names = append(names, c.Name+" "+c.ColumnType())
		}
		return strings.Join(names, ", ")
	case Forgotten:
		return "forgotten: " + w.cat.Why("d", table).Reason
	default:
		return "unknown"
	}
}

func (w *world) want(table, columns string) {
	w.t.Helper()
	if got := w.columns(table); got != columns {
		w.t.Errorf("behind %s\n%s is %s\n   want %s", w.st.Text, table, got, columns)
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		text    string
		kind    DDLKind
		names   string
		entries int
	}{
		{"CREATE TABLE x (a INT)", CreateTable, "d.x", 1},
		{"CREATE TABLE IF NOT EXISTS t (z INT)", CreateTable, "d.t", 0},
		{"create temporary table x (a int)", CreateTable, "d.x", 0},
		{"ALTER TABLE t ADD b INT", AlterTable, "d.t", 1},
		{"ALTER TABLE t ENGINE=InnoDB", AlterTable, "d.t", 0},
		{"ALTER TABLE nope ADD b INT", AlterTable, "d.nope", 0},
		{"ALTER TABLE t RENAME e.u", AlterTable, "d.t e.u", 2},
		{"DROP TABLE IF EXISTS t, e.x, nope", DropTables, "d.t e.x d.nope", 1},
		{"RENAME TABLE t TO u, u TO v", RenameTables, "d.t d.u d.u d.v", 4},
		{"TRUNCATE t", TruncateTable, "d.t", 0},
		{"TRUNCATE TABLE e.t", TruncateTable, "e.t", 0},
		{"CREATE DATABASE e", CreateDatabase, "e.", 1},
		{"CREATE SCHEMA IF NOT EXISTS d", CreateDatabase, "d.", 0},
		{"ALTER DATABASE CHARACTER SET utf8mb4", AlterDatabase, "d.", 1},
		{"DROP DATABASE d", DropDatabases, "d.", 1},
		{"DROP DATABASE nope", DropDatabases, "nope.", 0},
		{"CREATE UNIQUE INDEX i ON t (a)", CreateIndex, "d.t", 1},
		{"DROP INDEX i ON t", DropIndex, "d.t", 0},
		{"ALTER TABLE t FROB x", Unparsed, "d.t", 1},
		{"ALTER TABLE nope FROB x", Unparsed, "d.nope", 0},
		{"CREATE TABLE x (a FROB)", Unparsed, "d.x", 1},
		{"ALTER TABLE t ADD b INT 'unfinished", Unparsed, "d.t", 1},
		{"CREATE VIEW v AS SELECT 1", OtherDDL, "", 0},
		{"CREATE OR REPLACE DEFINER=`x`@`y` PROCEDURE p () ALTER TABLE t DROP a", OtherDDL, "", 0},
		{"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1", OtherDDL, "", 0},
		{"GRANT SELECT ON t TO u", OtherDDL, "", 0},
		{"BEGIN", OtherDDL, "", 0},
		{"XA START 'x'", OtherDDL, "", 0},
		{"", OtherDDL, "", 0},
		{";;", OtherDDL, "", 0},
		{"\x00\xff'", OtherDDL, "", 0},
		{"DROP TEMPORARY TABLE IF EXISTS `t`", DropTables, "d.t", 0},
		{"ANALYZE TABLE t", OtherDDL, "", 0},
		{"ALTER USER u IDENTIFIED BY 'x'", OtherDDL, "", 0},
		{"RENAME USER a TO b", OtherDDL, "", 0},
		{"INSERT INTO t VALUES (1)", OtherDDL, "", 0},
		{"SAVEPOINT `x`", OtherDDL, "", 0},
	} {
		w := newWorld(t, gtid.MySQL, 80036)
		w.apply("CREATE TABLE t (a INT)")
		before := w.cat.Clone()
		d := w.apply(c.text)
		names := fmt.Sprint(d.Names)
		if names = strings.Trim(names, "[]"); d.Kind != c.kind || names != c.names || len(d.Entries) != c.entries {
			t.Errorf("%s: kind %d, names %s, entries %+v", c.text, d.Kind, names, d.Entries)
		}
		for i := range d.Entries {
			if d.Entries[i].Statement != strings.TrimSpace(c.text) {
				t.Errorf("%s: the entry says %q", c.text, d.Entries[i].Statement)
			}
			before.Replay(&d.Entries[i])
		}
		if everything(before) != everything(w.cat) {
			t.Errorf("%s: its entries do not do what it did", c.text)
		}
	}
}

func TestForgottenIsNeverGuessed(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.apply("CREATE TABLE t (a INT)")
	w.apply("ALTER TABLE t ADD b QUUX")
	const forgotten = "forgotten: the type QUUX is not known near \"the end\""
	w.want("t", forgotten)
	w.apply("ALTER TABLE t ADD c INT")
	w.want("t", forgotten)
	w.apply("CREATE TABLE IF NOT EXISTS t (c INT)")
	w.want("t", forgotten)
	w.apply("CREATE TABLE u LIKE t")
	w.want("u", "forgotten: it is like d.t, which is forgotten")
	w.apply("RENAME TABLE t TO v")
	w.want("t", "unknown")
	if got := w.columns("v"); !strings.HasPrefix(got, "forgotten: it was d.t") {
		t.Error(got)
	}
	w.apply("DROP TABLE v")
	w.want("v", "unknown")
	w.apply("CREATE TABLE v (x INT)")
	w.want("v", "x int")
	w.apply("CREATE TABLE w SELECT * FROM v")
	w.want("w", "forgotten: some of its columns come from a query")
	w.apply("RENAME TABLE nope TO u2")
	w.want("u2", "unknown")
	w.apply("RENAME TABLE nope TO v")
	w.want("v", "forgotten: it was d.nope, which was not known")
	w.apply("CREATE TABLE c (a INT, b INT, a INT)")
	w.want("c", "forgotten: it has two columns a")
	w.apply("CREATE TABLE c (a INT, KEY (b))")
	w.want("c", "forgotten: a key names the column b, which is not known")
	w.apply("CREATE TABLE c (a INT)")
	w.apply("ALTER TABLE c MODIFY b INT")
	w.want("c", "forgotten: it changes the column b, which is not known")
}

func TestTablesThatMayHaveBeenThere(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.st.Database = "elsewhere"
	d := w.apply("CREATE TABLE IF NOT EXISTS t (a INT)")
	if len(d.Entries) != 1 || d.Entries[0].Kind != ForgetTable {
		t.Errorf("in a database that the catalog does not know: %+v", d.Entries)
	}
	w.apply("CREATE DATABASE IF NOT EXISTS elsewhere CHARACTER SET latin1")
	if cs, _, ok := w.cat.Database("elsewhere"); cs != "" || !ok {
		t.Errorf("its character set is %q, %v", cs, ok)
	}
	w.apply("CREATE TABLE u (a CHAR(1), b CHAR(1) CHARACTER SET gbk)")
	tab, _ := w.cat.Table("elsewhere", "u")
	if tab == nil || tab.Columns[0].Charset != "" || tab.Columns[1].Charset != "gbk" {
		t.Errorf("a column whose character set nothing says: %+v", tab)
	}
	w.apply("CREATE TABLE v (a TEXT(100))")
	if _, state := w.cat.Table("elsewhere", "v"); state != Forgotten {
		t.Errorf("a size that hangs on an unknown character set: %v", state)
	}
	w.cat.Replay(&Entry{Kind: PutDatabase}) // all databases are known
	w.st.ServerCollation = 8
	w.apply("CREATE DATABASE IF NOT EXISTS another")
	if cs, coll, _ := w.cat.Database("another"); cs != "latin1" || coll != "latin1_swedish_ci" {
		t.Errorf("%q %q", cs, coll)
	}
	w.apply("CREATE TABLE IF NOT EXISTS another.t (a INT)")
	if _, state := w.cat.Table("another", "t"); state != Known {
		t.Error(state)
	}
}

func TestTemporaryTables(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.apply("CREATE TABLE t (a INT)")
	w.st.ThreadSpecific = true
	for _, q := range []string{
		"CREATE TEMPORARY TABLE t (x INT)", "ALTER TABLE t DROP x", "CREATE INDEX i ON t (x)", "DROP INDEX i ON t", "TRUNCATE t",
		"DROP TEMPORARY TABLE t", "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`",
	} {
		if d := w.apply(q); !d.Temporary || len(d.Entries) != 0 {
			t.Errorf("%s: %+v", q, d)
		}
		w.want("t", "a int")
	}
	w.apply("CREATE TABLE l LIKE t")
	w.want("l", "forgotten: it is like a table that may be a temporary one")
	w.apply("ALTER TABLE t ADD b INT DEFAULT (CONNECTION_ID())")
	if got := w.columns("t"); !strings.HasPrefix(got, "forgotten: it may be a temporary table") {
		t.Error(got)
	}
}

func TestRenameOfTemporaryTables(t *testing.T) {
	w := newWorld(t, gtid.MariaDB, 101106)
	w.apply("CREATE TABLE t (a INT)")
	w.st.ThreadSpecific = true
	if d := w.apply("RENAME TABLE t TO u"); !d.Temporary || len(d.Entries) != 0 {
		t.Errorf("%+v", d)
	}
	w.apply("RENAME TABLE t TO u, v TO w")
	if got := w.columns("t"); !strings.HasPrefix(got, "forgotten: some of the tables may be temporary ones") {
		t.Error(got)
	}
}

func TestFailedStatements(t *testing.T) {
	w := newWorld(t, gtid.MariaDB, 101106)
	w.apply("CREATE TABLE t (a INT)")
	w.apply("CREATE TABLE u (a INT)")
	w.st.ErrorCode = 1060
	w.apply("CREATE OR REPLACE TABLE t (a INT, a INT)")
	w.want("t", "unknown")
	w.apply("CREATE TABLE t (a INT)")
	w.want("t", "unknown")
	w.st.ErrorCode = 1051
	w.apply("DROP TABLE u, nope")
	w.want("u", "unknown")
	w.st.ErrorCode = 0
	w.apply("CREATE TABLE u (a INT)")
	w.st.ErrorCode = 1317
	w.apply("DROP TABLE u, nope")
	if got := w.columns("u"); !strings.HasPrefix(got, "forgotten: the statement ended with error 1317") {
		t.Error(got)
	}
}

func TestFoldNames(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.cat.FoldNames = true
	w.apply("CREATE TABLE MyTable (A INT)")
	if tab, state := w.cat.Table("D", "MYTABLE"); state != Known || tab.FullName() != "d.mytable" {
		t.Errorf("%v %v", tab, state)
	}
	w.apply("ALTER TABLE D.mytable ADD b INT")
	w.want("mytable", "A int, b int")
	w.cat.FoldNames = false
	w.apply("CREATE TABLE A (x INT)")
	w.apply("CREATE TABLE a (y INT)")
	w.want("A", "x int")
	w.want("a", "y int")
}

// A history that was replayed before it was known that names are compared without case.
func TestFoldLater(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.apply("CREATE TABLE T (x INT)")
	w.apply("CREATE TABLE t (y INT)")
	w.apply("CREATE TABLE Other (a INT)")
	for i, name := range []string{"T", "t"} {
		tab, _ := w.cat.Table("d", name)
		tab.Seq = uint64(i + 1)
	}
	w.cat.Replay(&Entry{Kind: PutDatabase, Name: Name{Database: "Shop"}, Charset: "latin1"})
	w.cat.Replay(&Entry{Kind: FoldNames})
	w.want("T", "y int")
	w.apply("ALTER TABLE D.OTHER ADD b INT")
	w.want("other", "a int, b int")
	if cs, _, ok := w.cat.Database("SHOP"); !ok || cs != "latin1" || w.cat.Len() != 2 {
		t.Errorf("%q %v, %d tables", cs, ok, w.cat.Len())
	}
}

// MySQL 8 and later make a TINYTEXT of the first of these, and of the others what the column was before.
func TestConvertWithNewText(t *testing.T) {
	for statement, want := range map[string]string{
		"ALTER TABLE t CONVERT TO CHARACTER SET latin1, MODIFY a TEXT":       "forgotten: CONVERT TO and the new definition of a",
		"ALTER TABLE t CONVERT TO CHARACTER SET latin1, CHANGE a b BLOB":     "forgotten: CONVERT TO and the new definition of b",
		"ALTER TABLE t CONVERT TO CHARACTER SET latin1, MODIFY a TEXT(1000)": "a text",
		"ALTER TABLE t CONVERT TO CHARACTER SET latin1, MODIFY a LONGTEXT":   "a longtext",
		"ALTER TABLE t MODIFY a TEXT":                                        "a text",
	} {
		w := newWorld(t, gtid.MySQL, 90704)
		w.apply("CREATE TABLE t (a INT)")
		w.apply(statement)
		if got := w.columns("t"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", statement, got)
		}
	}
	w := newWorld(t, gtid.MySQL, 50722)
	w.apply("CREATE TABLE t (a INT)")
	w.apply("ALTER TABLE t CONVERT TO CHARACTER SET latin1, MODIFY a TEXT")
	w.want("t", "a text")
}

// A table like a temporary one has its columns in the log, and not the character set of those to come.
func TestCharsetOfTableLikeTemporary(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 90704)
	w.st.ThreadSpecific = true
	w.apply("CREATE TABLE t (a INT) ENGINE=InnoDB")
	if tab, state := w.cat.Table("d", "t"); state != Known || tab.Charset != "" || tab.Collation != "" {
		t.Errorf("%v %+v", state, tab)
	}
}

func TestCloneIsIndependent(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.apply("CREATE TABLE t (a INT)")
	c := w.cat.Clone()
	w.apply("ALTER TABLE t ADD b INT")
	w.apply("DROP DATABASE d")
	if tab, state := c.Table("d", "t"); state != Known || len(tab.Columns) != 1 {
		t.Errorf("%v %v", tab, state)
	}
	if w.cat.Len() != 0 || c.Len() != 1 || !slices.Equal(c.Databases(), []string{"d"}) {
		t.Error(w.cat.Len(), c.Len(), c.Databases())
	}
}

func TestNumber(t *testing.T) {
	w := newWorld(t, gtid.MySQL, 80036)
	w.apply("CREATE TABLE t (a INT)")
	d := w.apply("RENAME TABLE t TO u")
	if last := Number(d.Entries, 7); last != 9 || d.Entries[0].Seq != 8 || d.Entries[1].Table.Seq != 9 {
		t.Errorf("%d %+v", last, d.Entries)
	}
	if tab, _ := w.cat.Table("d", "u"); tab.Seq != 9 {
		t.Errorf("the catalog has %d", tab.Seq)
	}
}

// TestStoredEntry makes sure that entries which were stored stay readable: field names are part of the layout.
func TestStoredEntry(t *testing.T) {
	w := newWorld(t, gtid.MariaDB, 101106)
	d := w.apply("CREATE TABLE t (id BIGINT UNSIGNED AUTO_INCREMENT, e ENUM('a','b') NOT NULL DEFAULT 'a', g POINT, d DECIMAL(5,2), ts TIMESTAMP(3) NULL, " +
		"v INT(4) ZEROFILL AS (1) STORED INVISIBLE, s TEXT UNIQUE, PRIMARY KEY (id), KEY k (e, s(3))) WITH SYSTEM VERSIONING")
	Number(d.Entries, 0)
	b, err := json.MarshalIndent(&d.Entries[0], "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const stored = `{"seq":1,"kind":1,"name":{"Database":"d","Table":"t"},"table":{"database":"d","name":"t","columns":[` +
		`{"name":"id","type":5,"unsigned":true,"width":20,"auto":true},` +
		`{"name":"e","type":27,"charset":"latin1","collation":"latin1_swedish_ci","members":["a","b"],"default":"a","has_default":true},` +
		`{"name":"g","type":30,"geometry":1,"nullable":true},{"name":"d","type":6,"precision":5,"scale":2,"nullable":true},` +
		`{"name":"ts","type":14,"fsp":3,"nullable":true},{"name":"v","type":4,"unsigned":true,"zerofill":true,"width":4,"nullable":true,"generated":2,"invisible":true},` +
		`{"name":"s","type":20,"charset":"latin1","collation":"latin1_swedish_ci","nullable":true},` +
		`{"name":"row_start","type":14,"fsp":6,"generated":2,"invisible":true,"hidden":true},` +
		`{"name":"row_end","type":14,"fsp":6,"generated":2,"invisible":true,"hidden":true},` +
		`{"name":"DB_ROW_HASH_1","type":5,"unsigned":true,"nullable":true,"generated":1,"invisible":true,"hidden":true}],` +
		`"primary_key":[0],"unique":[{"name":"PRIMARY","parts":[{"column":0}]},{"name":"s","parts":[{"column":6}]}],` +
		`"plain":[{"name":"k","parts":[{"column":1},{"column":6,"prefix":3}]}],"versioned":true,"charset":"latin1","collation":"latin1_swedish_ci","origin":1,"seq":1},` +
		`"gtid":{"Flavor":0,"UUID":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"Tag":"","Domain":0,"Server":0,"Seq":0}}`
	var want, got Entry
	if err := json.Unmarshal([]byte(stored), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if describe(want.Table) != describe(got.Table) || want.Seq != got.Seq || want.Kind != got.Kind || want.Name != got.Name {
		t.Errorf("stored\n%s\nnow\n%s\n%s", describe(want.Table), describe(got.Table), b)
	}
}

// TestManyTables holds ten thousand tables of equal columns and looks at what the catalog itself needs.
func TestManyTables(t *testing.T) {
	const n = 10000
	w := newWorld(t, gtid.MySQL, 80036)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		w.apply(fmt.Sprintf("CREATE TABLE table_%d (id INT PRIMARY KEY, customer_name VARCHAR(100), created DATETIME, note TEXT)", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (int(after.HeapAlloc) - int(before.HeapAlloc)) / n
	if w.cat.Len() != n || per > 2500 { // 4 columns of 160 bytes, the table itself, a key
		t.Errorf("%d tables, %d bytes each", w.cat.Len(), per)
	}
	t.Logf("%d bytes a table", per)
	runtime.KeepAlive(w)
}
