package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/gtid"
)

const mysqlDump = `-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version	8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;

CREATE DATABASE /*!32312 IF NOT EXISTS*/ ` + "`shop`" + ` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE ` + "`shop`" + `;

DROP TABLE IF EXISTS ` + "`orders`" + `;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE ` + "`orders`" + ` (
  ` + "`id`" + ` int NOT NULL AUTO_INCREMENT,
  ` + "`note`" + ` varchar(20) DEFAULT 'a;b -- c', -- a comment; with
  ` + "`e`" + ` enum('it''s','x;') DEFAULT NULL,
  ` + "`hidden`" + ` int DEFAULT NULL /*!80023 INVISIBLE */,
  PRIMARY KEY (` + "`id`" + `)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
LOCK TABLES ` + "`orders`" + ` WRITE;
/*!40000 ALTER TABLE ` + "`orders`" + ` DISABLE KEYS */;
INSERT INTO ` + "`orders`" + ` VALUES (1,'x\';CREATE TABLE nope (a INT);',NULL,1),(2,'y',';',2);
/*!40000 ALTER TABLE ` + "`orders`" + ` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=` + "`root`@`localhost`" + `*/ /*!50003 TRIGGER t BEFORE INSERT ON orders FOR EACH ROW BEGIN SET @a = '\'; DROP TABLE orders; END */;;
DELIMITER ;
/*!50001 DROP VIEW IF EXISTS ` + "`v`" + `*/;
/*!50001 CREATE TABLE ` + "`v`" + ` (
  ` + "`a`" + ` tinyint NOT NULL
) ENGINE=MyISAM */;
/*!50001 DROP TABLE IF EXISTS ` + "`v`" + `*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=` + "`root`@`localhost`" + ` SQL SECURITY DEFINER */
/*!50001 VIEW ` + "`v`" + ` AS select 1 AS ` + "`a`" + ` */;
CREATE DATABASE ` + "`b`" + ` CHARACTER SET gbk;
USE b
;
CREATE TABLE t (a CHAR(3))
`

func dumpText(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %s", e.Kind, e.Name)
		if e.Table != nil {
			fmt.Fprintf(&b, " %s\n%s", e.Table.Origin, describe(e.Table))
		} else {
			fmt.Fprintf(&b, " %s %s\n", e.Charset, e.Collation)
		}
	}
	return b.String()
}

func TestParseDump(t *testing.T) {
	entries, err := ParseDump(strings.NewReader(mysqlDump), DumpOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `put database b. gbk gbk_chinese_ci
put database shop. utf8mb4 utf8mb4_0900_ai_ci
put table b.t dump
b.t gbk_chinese_ci
  a char(3) gbk gbk_chinese_ci
put table shop.orders dump
shop.orders latin1_swedish_ci
  id int not null auto
  note varchar(20) latin1 latin1_swedish_ci
  e enum('it''s','x;') latin1 latin1_swedish_ci
  hidden int invisible
  unique PRIMARY (id)
`
	if got := dumpText(entries); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParseDumpOfMariaDB(t *testing.T) {
	text := "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)\n--\n" +
		"-- Server version\t10.11.6-MariaDB-0+deb12u1-log\n\n/*!40101 SET NAMES utf8mb4 */;\nCREATE TABLE `t` (\n  `u` uuid NOT NULL,\n  `j` longtext CHARACTER SET utf8mb4 " +
		"COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`)),\n  PRIMARY KEY (`u`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;\n"
	entries, err := ParseDump(strings.NewReader(text), DumpOptions{Database: "d"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "put table d.t dump\nd.t utf8mb4_general_ci\n  u uuid not null\n  j longtext utf8mb4 utf8mb4_bin\n  unique PRIMARY (u)\n"
	if got := dumpText(entries); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParseDumpFaults(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		want string
	}{
		{"\n\nCREATE TABLE d.t (\n a FROB);", 3, "the table d.t: the type FROB is not known"},
		{"CREATE TABLE t (a INT);", 1, "stands before any USE"},
		{"USE d;\nCREATE TABLE t (a INT DEFAULT 'x);", 2, "a quote has no end"},
		{"USE d;\nCREATE TABLE t SELECT 1;", 2, "come from a query"},
		{"/* x", 1, "a comment has no end"},
	} {
		_, err := ParseDump(strings.NewReader(c.text), DumpOptions{Flavor: gtid.MySQL, Version: 80036})
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.SchemaDumpInvalid || f.Where.Line != c.line || !strings.Contains(f.Text, c.want) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	if _, err := ParseDump(strings.NewReader("CREATE TABLE d.t (a INT);"), DumpOptions{}); err == nil || !strings.Contains(err.Error(), "of which server") {
		t.Error(err)
	}
	broken := io.MultiReader(strings.NewReader("USE d;"), brokenReader{})
	if _, err := ParseDump(broken, DumpOptions{Version: 80036}); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

// rowsReader is a dump with one INSERT of n bytes.
type rowsReader struct{ n int }

func (r *rowsReader) Read(p []byte) (int, error) {
	if r.n <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), r.n)
	for i := range n {
		p[i] = "(1,'a;'),"[(r.n-i)%9]
	}
	r.n -= n
	return n, nil
}

func TestParseDumpMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	// 9 divides the size, and the pattern runs backwards from its end: quotes pair up.
	in := io.MultiReader(strings.NewReader("USE d;\nINSERT INTO t VALUES "), &rowsReader{9 * 4 << 20}, strings.NewReader(";CREATE TABLE t (a INT);"))
	entries, err := ParseDump(in, DumpOptions{Version: 80036})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; len(entries) != 1 || used > 4<<20 {
		t.Errorf("%d entries, %d bytes allocated", len(entries), used)
	}
}

func FuzzParseDump(f *testing.F) {
	f.Add([]byte(mysqlDump))
	f.Add([]byte("DELIMITER $$\nCREATE TABLE t (a INT)$$"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := ParseDump(bytes.NewReader(b), DumpOptions{Flavor: gtid.MariaDB, Version: 101106, Database: "d"})
		if err != nil && entries != nil {
			t.Fatal("entries and an error")
		}
	})
}
