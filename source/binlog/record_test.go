//go:build servers

package binlog_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/internal/testbed"
)

// scenario is one recording: what a server with these options writes for these statements, each list in a session of its own.
type scenario struct {
	name     string
	kinds    []testbed.Kind
	options  testbed.Options
	sessions func(testbed.Kind) [][]string
}

// tables is the schema of all scenarios. What a kind does not have is left out.
func tables(k testbed.Kind) []string {
	list := []string{
		"CREATE DATABASE shop CHARACTER SET utf8mb4",
		"USE shop",
		`CREATE TABLE orders (id INT UNSIGNED NOT NULL AUTO_INCREMENT, customer VARCHAR(40) CHARACTER SET latin1, total DECIMAL(12,2),
			state ENUM('new','paid','größe') CHARACTER SET utf8mb4 DEFAULT 'new', flags SET('a','b','c'), placed DATETIME(3), changed TIMESTAMP(6) NULL, note TEXT, PRIMARY KEY (id))`,
		"CREATE TABLE plain (a INT, b VARCHAR(10) CHARACTER SET utf8mb4)",
		"CREATE TABLE prefixed (a VARBINARY(200) NOT NULL, b INT NOT NULL, c CHAR(80) CHARACTER SET utf8mb4, PRIMARY KEY (b, a(7)))",
		"CREATE TABLE other (id INT PRIMARY KEY, v BIGINT UNSIGNED)",
		"CREATE TABLE isam (id INT PRIMARY KEY, v INT) ENGINE=MyISAM",
		"CREATE TABLE places (id INT PRIMARY KEY, p POINT, g GEOMETRY, b BIT(11), y YEAR, t TIME(2), d DATE, f FLOAT, x DOUBLE)",
	}
	switch {
	case k == testbed.MySQL97:
		list = append(list, `CREATE TABLE odd (id INT PRIMARY KEY, v VECTOR(3), e ENUM('Ж','b') CHARACTER SET gbk, secret INT INVISIBLE DEFAULT 3, n INT, twice INT AS (n*2) STORED,
			u SET('é','ü') CHARACTER SET ucs2, raw ENUM('x') CHARACTER SET binary)`)
	case k.MariaDB():
		list = append(list, `CREATE TABLE odd (id INT PRIMARY KEY, c VARCHAR(100) COMPRESSED CHARACTER SET utf8mb4, d BLOB COMPRESSED, u UUID, i INET6,
			e ENUM('Ж','b') CHARACTER SET cp1251, hidden INT INVISIBLE)`)
	}
	if !k.MariaDB() {
		list = append(list, "CREATE TABLE docs (id INT PRIMARY KEY, j JSON)")
	}
	return list
}

// traffic is what happens to the tables.
func traffic(k testbed.Kind) []string {
	list := []string{
		"USE shop",
		"SET sql_mode=''",
		"SET SESSION binlog_rows_query_log_events=ON",
		"INSERT INTO orders (customer,total,state,flags,placed,changed,note) VALUES ('Müller',12.50,'new','a,c','2024-02-29 12:00:00.125','2024-02-29 12:00:00.000001','first'),(NULL,-0.01,'größe','',NULL,NULL,REPEAT('x',300))",
		"UPDATE orders SET total=total+1, state='paid'",
		"DELETE FROM orders WHERE id=2",
		"INSERT INTO places VALUES (1,ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('LINESTRING(0 0,1 1)'),b'10101010101',1999,'-838:59:59','0000-00-00',1.5,-2.25)",
		"INSERT INTO prefixed VALUES (x'00ff00ff',7,'é')",
		"BEGIN", "INSERT INTO plain VALUES (1,'one')", "INSERT INTO other VALUES (1,18446744073709551615)", "UPDATE plain SET b='uno'", "COMMIT",
		"BEGIN", "INSERT INTO plain VALUES (2,'two')", "SAVEPOINT s1", "INSERT INTO plain VALUES (3,'three')", "ROLLBACK TO s1", "INSERT INTO plain VALUES (4,'four')", "COMMIT",
		"INSERT INTO isam VALUES (2,2)",
		"UPDATE plain, other SET plain.b='both', other.v=2 WHERE plain.a=other.id",
		"ALTER TABLE plain ADD COLUMN c INT FIRST, CHANGE b bb VARCHAR(20)",
		"INSERT INTO plain VALUES (9,10,'after')",
		"RENAME TABLE plain TO plain2, other TO plain",
		"INSERT INTO plain2 VALUES (1,2,'x')",
		"INSERT INTO plain VALUES (77,77)",
		"TRUNCATE TABLE plain2",
		"CREATE TABLE copied LIKE orders",
		"INSERT INTO copied SELECT * FROM orders",
		"DROP TABLE copied",
		"CREATE TEMPORARY TABLE tmp (a INT)", "INSERT INTO tmp VALUES (1)", "DROP TEMPORARY TABLE tmp",
		"CREATE VIEW v AS SELECT id FROM orders",
		"SET NAMES latin1", "ALTER TABLE orders COMMENT 'gr\xf6\xdfer'", "SET NAMES utf8mb4",
		"SET foreign_key_checks=0, unique_checks=0", "INSERT INTO plain VALUES (78,1)",
	}
	if k.MariaDB() {
		list[2] = "SET SESSION binlog_annotate_row_events=ON"
		list = append(list, "INSERT INTO odd VALUES (1,'packed text','packed blob','6ccd780c-baba-1026-9564-5b8c656024db','::1','Ж')")
	} else {
		if k == testbed.MySQL97 {
			list = append(list, "INSERT INTO odd (id,v,e,n) VALUES (1,STRING_TO_VECTOR('[1,2.5]'),'Ж',5)")
		}
		list = append(list, `INSERT INTO docs VALUES (1,'{"a":1,"b":[1,2,"x"]}')`, `UPDATE docs SET j=JSON_SET(j,'$.a',2)`)
	}
	return list
}

func xa(testbed.Kind) [][]string {
	return [][]string{
		{"USE shop", "XA START 'one','b',3", "INSERT INTO shop.plain VALUES (100,1)", "SAVEPOINT x", "INSERT INTO shop.plain VALUES (101,1)", "ROLLBACK TO x", "UPDATE shop.plain SET v=5 WHERE id=100", "XA END 'one','b',3", "XA PREPARE 'one','b',3", "XA COMMIT 'one','b',3"},
		{"XA START 'two'", "INSERT INTO shop.plain VALUES (102,1)", "XA END 'two'", "XA PREPARE 'two'", "XA ROLLBACK 'two'"},
		{"XA START 'three'", "INSERT INTO shop.plain VALUES (103,1)", "XA END 'three'", "XA COMMIT 'three' ONE PHASE"},
		{"XA START 'four'", "SELECT 1", "XA END 'four'", "XA PREPARE 'four'", "XA COMMIT 'four'"},
	}
}

func everything(k testbed.Kind) [][]string {
	all := [][]string{append(tables(k), traffic(k)...)}
	return append(all, xa(k)...)
}

// mixed touches tables with and without transactions at once, which MySQL refuses with GTIDs on, and rolls back.
func mixed(k testbed.Kind) [][]string {
	return append(everything(k), []string{
		"USE shop", "CREATE TABLE m (a INT)",
		"BEGIN", "INSERT INTO m VALUES (5)", "INSERT INTO isam VALUES (1001,1)", "ROLLBACK",
		"BEGIN", "INSERT INTO m VALUES (20)", "SAVEPOINT `S 2`", "INSERT INTO m VALUES (21)", "INSERT INTO isam VALUES (1003,1)", "ROLLBACK TO `S 2`", "COMMIT",
		"BEGIN", "INSERT INTO m VALUES (30)", "SAVEPOINT s", "INSERT INTO m VALUES (31)", "CREATE TEMPORARY TABLE tt (a INT)", "ROLLBACK TO s", "INSERT INTO m VALUES (32)", "COMMIT",
		"BEGIN", "INSERT INTO m VALUES (40)", "CREATE TEMPORARY TABLE t2 (a INT)", "ROLLBACK",
	})
}

func scenarios() []scenario {
	all := testbed.Kinds()
	full := []testbed.Kind{testbed.MySQL97, testbed.MySQL80, testbed.MariaDB118, testbed.MariaDB1011}
	mysql := []testbed.Kind{testbed.MySQL97, testbed.MySQL80, testbed.MySQL57}
	return []scenario{
		{"default", all, testbed.Options{}, everything},
		{"full", full, testbed.Options{FullMetadata: true}, everything},
		{"compressed", []testbed.Kind{testbed.MySQL97, testbed.MariaDB118, testbed.MariaDB1011}, testbed.Options{Compress: true, FullMetadata: true}, everything},
		{"minimal", all, testbed.Options{RowImage: "minimal"}, everything},
		{"nogtid", mysql, testbed.Options{GTIDOff: true, Args: []string{"--binlog-checksum=NONE"}}, mixed},
		{"mixed", []testbed.Kind{testbed.MariaDB118, testbed.MariaDB1011}, testbed.Options{GTIDOff: true}, mixed},
		{"select", all, testbed.Options{}, createSelect},
		{"partial", []testbed.Kind{testbed.MySQL97, testbed.MySQL80}, testbed.Options{Args: []string{"--binlog-row-value-options=PARTIAL_JSON"}}, partial},
		{"work", []testbed.Kind{testbed.MySQL97}, testbed.Options{}, work},
		{"statement", all, testbed.Options{}, statement},
		{"tagged", []testbed.Kind{testbed.MySQL97}, testbed.Options{}, tagged},
	}
}

func createSelect(k testbed.Kind) [][]string {
	list := []string{"CREATE DATABASE shop", "USE shop", "CREATE TABLE src (id INT PRIMARY KEY, v VARCHAR(5))", "INSERT INTO src VALUES (1,'a'),(2,'b'),(3,NULL)"}
	if k == testbed.MySQL57 || k == testbed.MySQL80 { // with GTIDs only from 8.0.21 on
		return [][]string{list}
	}
	return [][]string{append(list, "CREATE TABLE dst AS SELECT * FROM src", "INSERT INTO dst VALUES (4,'d')")}
}

// work is the mixture that the project measures itself with: transactions of 1 to 10 changes, half of them of a narrow table, half of one with
// mixed types; 60 inserts, 28 updates and 12 deletes of a hundred.
func work(testbed.Kind) [][]string {
	list := []string{
		"CREATE DATABASE bench CHARACTER SET utf8mb4", "USE bench",
		`CREATE TABLE narrow (id BIGINT PRIMARY KEY AUTO_INCREMENT, account INT NOT NULL, kind TINYINT UNSIGNED NOT NULL, amount BIGINT NOT NULL, created DATETIME NOT NULL,
			name VARCHAR(64) NOT NULL, note VARCHAR(200) NOT NULL)`,
		`CREATE TABLE wide (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, doc JSON, price DECIMAL(18,4), tax DECIMAL(10,2) NULL, at DATETIME(6), seen TIMESTAMP(3) NULL,
			title VARCHAR(100), body TEXT, state ENUM('new','paid','sent'), ratio DOUBLE, ok TINYINT(1), raw VARBINARY(32))`,
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 38 {
		list = append(list, "BEGIN")
		for range i%10 + 1 {
			table, values := "narrow", fmt.Sprintf("(NULL,%d,%d,%d,'2026-11-21 10:%02d:%02d','%s','%s')", r.IntN(1e6), r.IntN(200), r.Int64N(1e12), r.IntN(60), r.IntN(60),
				strings.Repeat("n", 10+r.IntN(20)), strings.Repeat("some words ", 8+r.IntN(8)))
			if r.IntN(100) < 48 {
				table = "wide"
				values = fmt.Sprintf(`(NULL,'{"id":%d,"tags":["a","b%d"],"address":{"street":"Straße %d","zip":"%05d"},"score":%d.5}',%d.1234,NULL,'2026-11-21 10:11:%02d.%06d','2026-11-21 10:11:12.345','%s','%s','paid',%d.25,1,x'%032x')`,
					r.IntN(1e9), r.IntN(9), r.IntN(99), r.IntN(99999), r.IntN(100), r.IntN(1e9), r.IntN(60), r.IntN(1e6), strings.Repeat("Überschrift ", 1+r.IntN(4)),
					strings.Repeat("längerer Text ", 5+r.IntN(9)), r.IntN(1000), r.Int64())
			}
			switch n := r.IntN(100); {
			case n < 60 || i < 5:
				list = append(list, "INSERT INTO "+table+" VALUES "+values)
			case n < 88 && table == "narrow":
				list = append(list, "UPDATE narrow SET amount=amount+1 ORDER BY RAND() LIMIT 1")
			case n < 88:
				list = append(list, "UPDATE wide SET price=price+1, title='geändert' ORDER BY RAND() LIMIT 1")
			default:
				list = append(list, "DELETE FROM "+table+" ORDER BY RAND() LIMIT 1")
			}
		}
		list = append(list, "COMMIT")
	}
	return [][]string{list}
}

// statement ends with a change in statement format.
func statement(testbed.Kind) [][]string {
	return [][]string{{
		"CREATE DATABASE shop", "USE shop", "CREATE TABLE s (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(5))", "INSERT INTO s (v) VALUES ('a')",
		"SET SESSION binlog_format=STATEMENT", "SET @v='b'", "INSERT INTO s (v) VALUES (@v)",
	}}
}

func partial(testbed.Kind) [][]string {
	return [][]string{{
		"CREATE DATABASE shop", "USE shop", "CREATE TABLE docs (id INT PRIMARY KEY, j JSON, k JSON)",
		`INSERT INTO docs VALUES (1,CONCAT('{"a":"',REPEAT('x',200),'","b":[1,2,3]}'),'{"z":1}')`,
		`UPDATE docs SET j=JSON_SET(j,'$.b[1]',7,'$.c',true)`, `UPDATE docs SET k=JSON_REMOVE(k,'$.z'), j=JSON_REPLACE(j,'$.b[0]','s')`,
	}}
}

func tagged(testbed.Kind) [][]string {
	return [][]string{{
		"CREATE DATABASE shop", "USE shop", "CREATE TABLE t (id INT PRIMARY KEY)", "SET gtid_next='AUTOMATIC:blue'", "INSERT INTO t VALUES (1)",
		"SET gtid_next='aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeff:a_tag_of_32_letters_and_a_bit_ab:1000000000000'", "INSERT INTO t VALUES (2)", "SET gtid_next='AUTOMATIC'", "INSERT INTO t VALUES (3)",
	}}
}

// TestRecord runs each scenario on each server. With -rewrite what the servers wrote goes to testdata/corpus; without, a fresh recording is
// decoded, which has to work but is compared with nothing.
func TestRecord(t *testing.T) {
	for _, sc := range scenarios() {
		for _, k := range sc.kinds {
			name := string(k) + "-" + sc.name
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				raw := record(t, k, sc)
				if *rewrite {
					if err := os.WriteFile(filepath.Join("testdata", "corpus", name+".binlog"), raw, 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if _, err := dump(raw, dumpOptions{}); (sc.name == "statement") != fault.Has(err, fault.SourceStatementFormat) || err != nil && sc.name != "statement" {
					t.Error(err)
				}
			})
		}
	}
}

func record(t *testing.T, k testbed.Kind, sc scenario) []byte {
	s := testbed.Start(t, k, sc.options)
	for _, session := range sc.sessions(k) {
		testbed.MustExec(t, s, session...)
	}
	testbed.MustExec(t, s, "FLUSH BINARY LOGS")
	files, err := s.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, f := range files[:len(files)-1] {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > len(out) {
			out = b
		}
	}
	if len(out) > 100<<10 || !bytes.HasPrefix(out, []byte("\xfebin")) {
		t.Errorf("recorded %d bytes", len(out))
	}
	return out
}
