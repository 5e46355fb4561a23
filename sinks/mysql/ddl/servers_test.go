//go:build servers

package ddl

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// replica runs statements at a source, reads them from its binlog, and carries out at a target what they become, under other names.
type replica struct {
	t              *testing.T
	source, target *testbed.Server
	from, to       string // databases
	writer         *client.Conn
	applier        *client.Conn
	stream         *replication.BinlogStreamer
	catalog        *schemas.Catalog
	own            *target.Server
	options        Options
	flavor         gtid.Flavor
	version        uint32
	read           uint32 // the binlog, up to there
}

func connect(t *testing.T, s *testbed.Server, statements ...string) *client.Conn {
	t.Helper()
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, q := range statements {
		if _, err := conn.Execute(q); err != nil {
			t.Fatalf("%v\nin: %s", err, q)
		}
	}
	return conn
}

func over(conn *client.Conn) target.Query {
	return func(ctx context.Context, text string) ([][][]byte, error) {
		rows, err := testbed.QueryConn(ctx, conn, text)
		out := make([][][]byte, len(rows))
		for i, r := range rows {
			for _, v := range r {
				if v.Valid {
					out[i] = append(out[i], []byte(v.String))
				} else {
					out[i] = append(out[i], nil)
				}
			}
		}
		return out, err
	}
}

func newReplica(t *testing.T, source, to *testbed.Server) *replica {
	r := &replica{t: t, source: source, target: to, from: testbed.FreshDB(t, source), to: testbed.FreshDB(t, to)}
	r.writer = connect(t, source, "USE "+r.from)
	r.applier = connect(t, to, statement.Session()...)
	server, err := target.Ask(t.Context(), over(connect(t, source, "SET NAMES utf8mb4")))
	if err != nil {
		t.Fatal(err)
	}
	if r.own, err = target.Ask(t.Context(), over(r.applier)); err != nil {
		t.Fatal(err)
	}
	r.flavor, r.version = server.Flavor, server.Version
	r.catalog = schemas.NewCatalog(server.Flavor, server.Version)
	text := testbed.MustQuery(t, source, "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '"+r.from+"'")[0]
	r.catalog.Replay(&schemas.Entry{Kind: schemas.PutDatabase, Name: schemas.Name{Database: r.from}, Charset: text[0].String, Collation: text[1].String})
	explicit := uint8(1)
	if server.ExplicitTimestamp {
		explicit = 2
	}
	r.options = Options{Rename: r.rename, Server: r.own, ExplicitTimestamp: explicit, Whole: func(db string) bool { return strings.HasPrefix(db, r.from) }}
	flavor := "mysql"
	if source.Kind.MariaDB() {
		flavor = "mariadb"
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 78000 + uint32(os.Getpid()%1000), Flavor: flavor, Host: "127.0.0.1", Port: uint16(source.Port), User: testbed.User, Password: testbed.Password,
		DisableRetrySync: true, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(syncer.Close)
	start := r.position()
	r.read = start.Pos
	if r.stream, err = syncer.StartSync(start); err != nil {
		t.Fatal(err)
	}
	return r
}

// rename carries the database to another one, but for tables that begin with an underscore; those that begin with r_ get another name.
func (r *replica) rename(n schemas.Name) (schemas.Name, bool) {
	rest, ok := strings.CutPrefix(n.Database, r.from)
	if !ok || strings.HasPrefix(n.Table, "_") {
		return n, false
	}
	n.Database = r.to + rest
	if strings.HasPrefix(n.Table, "r_") {
		n.Table = "x_" + n.Table
	}
	return n, true
}

func (r *replica) position() mysql.Position {
	q := "SHOW MASTER STATUS"
	if r.source.Kind == testbed.MySQL97 {
		q = "SHOW BINARY LOG STATUS"
	}
	row := testbed.MustQuery(r.t, r.source, q)[0]
	n, _ := strconv.ParseUint(row[1].String, 10, 32)
	return mysql.Position{Name: row[0].String, Pos: uint32(n)}
}

// run runs a statement at the source, and what it becomes at the target. It gives what was stopped at.
func (r *replica) run(text string) error {
	r.t.Helper()
	if _, err := testbed.QueryConn(r.t.Context(), r.writer, text); err != nil {
		r.t.Fatalf("%v: %s", err, text)
	}
	if strings.HasPrefix(text, "SET") || strings.HasPrefix(text, "USE") {
		return nil
	}
	if strings.HasPrefix(text, "INSERT") {
		testbed.MustExec(r.t, r.target, "USE "+r.to, text)
	}
	var stopped error
	end := r.position().Pos
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for r.read < end { // not every statement is logged
		e, err := r.stream.GetEvent(ctx)
		if err != nil {
			r.t.Fatalf("read the binlog behind %s: %v", text, err)
		}
		if q, ok := e.Event.(*replication.QueryEvent); ok {
			if verb := string(q.Query); verb != "BEGIN" && verb != "COMMIT" {
				if err := r.apply(r.statement(q, e.Header)); err != nil {
					stopped = err
				}
			}
		}
		r.read = max(r.read, e.Header.LogPos)
	}
	return stopped
}

func (r *replica) apply(st *schemas.Statement) error {
	r.t.Helper()
	d, err := r.catalog.Apply(st)
	if err != nil {
		r.t.Fatal(err)
	}
	plan, err := Translate(renamed(d, r.rename), r.options)
	if err != nil {
		return err
	}
	if plan.Skip != "" {
		return nil
	}
	for _, q := range append(append(plan.Before, plan.Text), plan.After...) {
		if _, err := testbed.QueryConn(r.t.Context(), r.applier, q); err != nil {
			r.t.Errorf("%v\nof: %s", err, st.Text)
			for _, q := range plan.After {
				_, _ = testbed.QueryConn(r.t.Context(), r.applier, q)
			}
			return nil
		}
	}
	return nil
}

// statement reads a query event.
func (r *replica) statement(q *replication.QueryEvent, h *replication.EventHeader) *schemas.Statement {
	st := &schemas.Statement{
		Database: string(q.Schema), ErrorCode: q.ErrorCode, Version: r.version, Time: int64(h.Timestamp) * 1e6, ThreadSpecific: h.Flags&4 != 0,
	}
	if r.source.Kind.MariaDB() {
		st.Flavor = gtid.MariaDB
	}
	b := bytes.NewBuffer(q.StatusVars)
	u16 := func() uint16 { return binary.LittleEndian.Uint16(b.Next(2)) }
	text := func() string { n, _ := b.ReadByte(); return string(b.Next(int(n))) }
	for known := true; known && b.Len() > 0; {
		switch code, _ := b.ReadByte(); code {
		case 0:
			if v := binary.LittleEndian.Uint32(b.Next(4)); st.Flavor == gtid.MariaDB {
				st.ExplicitTimestamp = uint8(v>>24&1) + 1
			}
		case 1:
			st.SQLMode = binary.LittleEndian.Uint64(b.Next(8))
		case 3, 10:
			b.Next(4)
		case 4:
			st.ClientCollation, st.ConnectionCollation, st.ServerCollation = u16(), u16(), u16()
		case 5:
			st.TimeZone = text()
		case 6:
			text()
		case 7:
			b.Next(2)
		case 8:
			st.DatabaseCollation = u16()
		case 9, 17, 129:
			b.Next(8)
		case 11:
			text()
			text()
		case 12:
			n, _ := b.ReadByte()
			for range n {
				_, _ = b.ReadBytes(0)
			}
		case 13, 128:
			m := b.Next(3)
			st.Time += int64(m[0]) | int64(m[1])<<8 | int64(m[2])<<16
		case 16:
			v, _ := b.ReadByte()
			st.ExplicitTimestamp = v + 1
		case 18:
			st.DefaultUTF8MB4 = u16()
		case 130:
			if v, _ := b.ReadByte(); v&0x80 != 0 {
				b.Next(8)
			}
		case 131:
			n, _ := b.ReadByte()
			for range n {
				st.CharsetCollations = append(st.CharsetCollations, [2]uint16{u16(), u16()})
			}
		default:
			known = code == 19 || code == 20
			b.Next(1)
		}
	}
	st.Text = string(q.Query)
	if c, ok := charset.CollationByID(st.Flavor, st.ClientCollation); ok && c.Charset != "binary" {
		decode, err := charset.Decoder(c.Charset)
		if err != nil {
			r.t.Fatal(err)
		}
		if out, ok := decode(nil, q.Query); ok {
			st.Text = string(out)
		}
	}
	return st
}

// compare holds the databases against each other.
func (r *replica) compare() {
	r.t.Helper()
	in := func(s *testbed.Server, db string) []string {
		var names []string
		for _, row := range testbed.MustQuery(r.t, s, "SET NAMES utf8mb4", "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '"+db+"' ORDER BY 1") {
			names = append(names, row[0].String)
		}
		return names
	}
	want := map[string]string{}
	for _, n := range in(r.source, r.from) {
		if to, ok := r.rename(schemas.Name{Database: r.from, Table: n}); ok {
			want[to.Table] = n
		}
	}
	got := in(r.target, r.to)
	if len(got) != len(want) {
		r.t.Errorf("tables %q, wanted %v", got, want)
	}
	for _, n := range got {
		if want[n] == "" {
			continue
		}
		a, b := r.described(r.source, r.from, want[n]), r.described(r.target, r.to, n)
		if a != b {
			r.t.Errorf("at the source:\n%s\nat the target:\n%s", a, b)
		}
	}
}

// described writes what a table is, without what differs by its place.
func (r *replica) described(s *testbed.Server, db, name string) string {
	if r.source.Kind != r.target.Kind { // SHOW CREATE TABLE differs by version
		flavor, version := r.own.Flavor, r.own.Version
		if s == r.source {
			flavor, version = r.flavor, r.version
		}
		q := schemas.ISQueries(flavor, version, db)
		var b strings.Builder
		for _, row := range testbed.MustQuery(r.t, s, "SET NAMES utf8mb4", q.Columns) {
			if row[1].String != name {
				continue
			}
			c := schemas.ISColumn{Name: row[2].String, Default: row[3], Nullable: row[4].String == "YES", ColumnType: row[5].String, Charset: row[6].String, Collation: row[7].String, Extra: row[8].String}
			t, err := schemas.FromInformationSchema(flavor, version, []schemas.ISColumn{c}, nil, schemas.ISTable{})
			if err != nil {
				r.t.Fatal(err)
			}
			col := t.Columns[0]
			col.Width, col.Zerofill = 0, false
			col.Collation = strings.Replace(col.Collation, "_uca1400_", "_0900_", 1) // which MySQL does not know
			fmt.Fprintf(&b, "%s: %+v\n", strings.TrimPrefix(name, "x_"), col)
		}
		return b.String()
	}
	text := testbed.MustQuery(r.t, s, "SET NAMES utf8mb4", "SHOW CREATE TABLE `"+db+"`.`"+name+"`")[0][1].String
	return strings.ReplaceAll(strings.ReplaceAll(text, "`x_r_", "`r_"), db, "DB")
}

func TestServersTranslate(t *testing.T) {
	all := []string{
		"CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9) COMMENT 'it''s', KEY (v)) COMMENT='t'",
		"CREATE TABLE r_b (id INT PRIMARY KEY, a INT, CONSTRAINT fk FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE)",
		"CREATE TABLE c LIKE r_b",
		"CREATE TABLE IF NOT EXISTS a (other INT)",
		"CREATE TABLE _hidden (id INT)",
		"ALTER TABLE a ADD COLUMN n DECIMAL(8,2) NOT NULL DEFAULT 1.5 AFTER id, ADD UNIQUE u (n), ADD CONSTRAINT self FOREIGN KEY (id) REFERENCES r_b (id)",
		"ALTER TABLE _hidden ADD x INT",
		"CREATE TABLE lat (t TEXT, c CHAR(3) CHARACTER SET utf8mb4) CHARSET latin1",
		"CREATE TABLE uni (t TEXT) CHARSET utf8mb4",
		"CREATE TABLE e (e ENUM('a','b'), s SET('x','y') NOT NULL DEFAULT 'x')",
		"CREATE TABLE g (id INT PRIMARY KEY, w INT GENERATED ALWAYS AS (id * 2) STORED, z INT GENERATED ALWAYS AS (id + 1) VIRTUAL, KEY (z))",
		"CREATE TABLE p (id INT PRIMARY KEY, d DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
		"CREATE TABLE q (id INT PRIMARY KEY, d DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
		"ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE q",
		"ALTER TABLE p REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)",
		"CREATE INDEX i ON a (v(3) , id)",
		"DROP INDEX i ON a",
		"CREATE UNIQUE INDEX j ON c (a)",
		"RENAME TABLE c TO r_c, uni TO uni2",
		"ALTER TABLE r_c RENAME TO c2, ADD COLUMN k INT",
		"CREATE TABLE gone1 (id INT)",
		"CREATE TABLE gone2 (id INT)",
		"DROP TABLE IF EXISTS gone1, _hidden, never, gone2",
		"CREATE TABLE swap1 (id INT, a INT)",
		"CREATE TABLE swap2 (id INT, b INT)",
		"RENAME TABLE swap1 TO swap_tmp, swap2 TO swap1, swap_tmp TO swap2",
		"TRUNCATE TABLE lat",
		"ALTER TABLE lat CONVERT TO CHARACTER SET utf8mb4",
		"ALTER TABLE lat DEFAULT CHARACTER SET latin1, ADD late TEXT",
		"CREATE TABLE `we``ird \"n'ame` (`c``ol` INT, `表` INT COMMENT 'ä')",
		"ALTER TABLE `we``ird \"n'ame` RENAME TO `x.y`",
		"CREATE TABLE cmt (a INT /*!99999 INVISIBLE */, b INT /*!40000 DEFAULT 3 */) /*!50100 PARTITION BY KEY (a) PARTITIONS 3 */ -- the end",
		// Time.
		"CREATE TABLE fill (id INT PRIMARY KEY)",
		"INSERT INTO fill VALUES (1)",
		"SET timestamp = 1500000000",
		"SET time_zone = '+05:00'",
		"ALTER TABLE fill ADD ts TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, ADD dt DATETIME DEFAULT CURRENT_TIMESTAMP",
		"ALTER TABLE fill MODIFY ts DATETIME",
		"SET timestamp = DEFAULT",
		"SET time_zone = DEFAULT",
		// Modes.
		"SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
		`CREATE TABLE "ansi" ("a" INT, "b" VARCHAR(9) GENERATED ALWAYS AS ("a" || 'x') VIRTUAL)`,
		"SET sql_mode = 'NO_BACKSLASH_ESCAPES,REAL_AS_FLOAT'",
		`CREATE TABLE back (a VARCHAR(9) DEFAULT 'x\', r REAL)`,
		"SET sql_mode = ''",
		"CREATE TABLE lax (a VARCHAR(70000), d DATE DEFAULT '0000-00-00')",
		"SET explicit_defaults_for_timestamp = OFF",
		"CREATE TABLE implicit (a TIMESTAMP, b TIMESTAMP)",
		"SET explicit_defaults_for_timestamp = DEFAULT",
		"SET sql_mode = DEFAULT",
		// Character sets of the client.
		"SET NAMES latin1",
		"CREATE TABLE \xe9t\xe9 (`\xe0` INT COMMENT '\xfc', d VARCHAR(9) DEFAULT '\xe4', i VARCHAR(9) DEFAULT _latin1'\xe4') CHARSET latin1",
		"ALTER TABLE \xe9t\xe9 ADD e ENUM('\xe4','b') CHARACTER SET utf8mb4",
		"SET NAMES sjis",
		"CREATE TABLE `\x95\x5c` (`\x83\x5c` INT COMMENT '\x83\x5c', d VARCHAR(9) CHARACTER SET sjis DEFAULT '\x83\x5c')",
		"SET NAMES utf8mb4",
		"SET collation_connection = latin1_german2_ci",
		"CREATE TABLE conn (a VARCHAR(9) CHARACTER SET utf8mb4, b VARCHAR(9) GENERATED ALWAYS AS (CONCAT(a, 'ü')) VIRTUAL)",
		"SET NAMES utf8mb4",
		"SET foreign_key_checks = 0",
		"CREATE TABLE orphan (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES later (id))",
		"CREATE TABLE later (id INT PRIMARY KEY)",
		"SET foreign_key_checks = 1",
	}
	more := map[testbed.Kind][]string{
		testbed.MySQL97: {
			"SET time_zone = '-03:00'",
			"ALTER TABLE fill ADD lit TIMESTAMP NULL DEFAULT '2020-01-01 00:00:00'",
			"SET time_zone = DEFAULT",
			"CREATE TABLE ctas SELECT id, v FROM a",
			"CREATE TABLE fx (id INT PRIMARY KEY, v VARCHAR(9), j JSON, KEY f ((LOWER(v))), KEY m ((CAST(j->'$' AS UNSIGNED ARRAY))), KEY d (v DESC), CHECK (id > 0))",
			"ALTER TABLE fx ALTER INDEX d INVISIBLE, ADD h INT INVISIBLE DEFAULT (id + 1)",
			"ALTER TABLE fx RENAME COLUMN h TO k, ALTER CHECK fx_chk_1 NOT ENFORCED",
			"SET sql_generate_invisible_primary_key = 1",
			"CREATE TABLE gipk (v INT)",
			"SET sql_generate_invisible_primary_key = 0",
			"SET default_collation_for_utf8mb4 = utf8mb4_general_ci",
			"CREATE TABLE general (t TEXT, c TEXT CHARACTER SET utf8mb4) CHARSET utf8mb4",
			"SET default_collation_for_utf8mb4 = DEFAULT",
			"CREATE TABLE sp (g POINT NOT NULL SRID 4326, SPATIAL KEY (g), FULLTEXT KEY (t), t TEXT)",
			"CREATE TABLE vec (id INT PRIMARY KEY, v VECTOR(3))",
		},
		testbed.MariaDB118: {
			"SET time_zone = '-03:00'",
			"ALTER TABLE fill ADD lit TIMESTAMP NULL DEFAULT '2020-01-01 00:00:00'",
			"SET time_zone = DEFAULT",
			"CREATE TABLE ctas SELECT id, v FROM a",
			"CREATE OR REPLACE TABLE swap1 (z INT)",
			"CREATE SEQUENCE sq START WITH 10",
			"CREATE TABLE sd (id INT DEFAULT NEXT VALUE FOR sq, o INT DEFAULT (nextval(sq) + 1))",
			"SET STATEMENT max_statement_time = 100 FOR ALTER TABLE sd ADD z INT",
			"CREATE TABLE ver (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
			"CREATE TABLE per (id INT, s DATE, e DATE, PERIOD FOR p (s, e), UNIQUE (id, p WITHOUT OVERLAPS))",
			"CREATE TABLE net (u UUID PRIMARY KEY, i INET6, j JSON)",
			"SET sql_mode = 'ORACLE'",
			"CREATE TABLE ora (a NUMBER, b VARCHAR2(20), c CLOB)",
			"SET sql_mode = DEFAULT",
			"SET character_set_collations = 'utf8mb4=utf8mb4_general_ci'",
			"CREATE TABLE general (t TEXT, c TEXT CHARACTER SET utf8mb4) CHARSET utf8mb4",
			"SET character_set_collations = DEFAULT",
			"CREATE TABLE bytes (a INT) /*M!100000 COMMENT='maria' */ /*!80000 COMMENT='mysql' */",
			"ALTER TABLE IF EXISTS sd ADD COLUMN IF NOT EXISTS y INT",
			"RENAME TABLE IF EXISTS swap2 TO swap3",
			"DROP SEQUENCE IF EXISTS sq2, sq3",
		},
	}
	for _, pair := range [][2]testbed.Kind{{testbed.MySQL97, testbed.MySQL97}, {testbed.MariaDB118, testbed.MariaDB118}, {testbed.MySQL57, testbed.MySQL97}, {testbed.MySQL97, testbed.MariaDB118}, {testbed.MariaDB118, testbed.MySQL97}} {
		t.Run(pair[0].String()+" to "+pair[1].String(), func(t *testing.T) {
			r := newReplica(t, testbed.Shared(t, pair[0]), testbed.Shared(t, pair[1]))
			if err := r.run("SET NAMES utf8mb4"); err != nil {
				t.Fatal(err)
			}
			list := all
			if pair[0] == pair[1] {
				list = append(all[:len(all):len(all)], more[pair[0]]...)
			}
			for _, text := range list {
				if err := r.run(text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			r.compare()
			a := fmt.Sprint(testbed.MustQuery(t, r.source, "SELECT * FROM "+r.from+".fill"))
			if b := fmt.Sprint(testbed.MustQuery(t, r.target, "SELECT * FROM "+r.to+".fill")); a != b {
				t.Errorf("rows of the source %s, of the target %s", a, b)
			}
			// Databases.
			for _, text := range []string{"CREATE DATABASE " + r.from + "_2 CHARACTER SET latin1", "ALTER DATABASE " + r.from + "_2 COLLATE latin1_bin", "CREATE TABLE " + r.from + "_2.t (c TEXT)"} {
				if err := r.run(text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			if got, err := r.target.One(t.Context(), "SELECT COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+r.to+"_2'"); err != nil || got != "latin1_bin" {
				t.Errorf("%q, %v", got, err)
			}
			if err := r.run("DROP DATABASE " + r.from + "_2"); err != nil {
				t.Error(err)
			}
			if got := testbed.MustQuery(t, r.target, "SHOW DATABASES LIKE '"+r.to+"\\_2'"); len(got) != 0 {
				t.Errorf("still there: %v", got)
			}
			// A swap as gh-ost makes it, of a table that is not carried: it stops with the statement to run, and behind that both are the same again.
			for _, text := range []string{"CREATE TABLE _a_gho LIKE a", "ALTER TABLE _a_gho ADD COLUMN gho INT NOT NULL DEFAULT 4 FIRST, DROP KEY u, MODIFY v VARCHAR(20)"} {
				if err := r.run(text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			err := r.run("RENAME TABLE a TO _a_del, _a_gho TO a")
			hint := hintOf(err)
			_, text, _ := strings.Cut(hint, "run at the target: ")
			text, _, _ = strings.Cut(text, "; then")
			if text == "" {
				t.Fatalf("%v: %s", err, hint)
			}
			testbed.MustExec(t, r.target, "SET foreign_key_checks = 0", text)
			columns := func(s *testbed.Server, db string) string {
				return fmt.Sprint(testbed.MustQuery(t, s, "SELECT COLUMN_NAME, REPLACE(COLUMN_TYPE, 'int(11)', 'int'), REPLACE(COLLATION_NAME, '_uca1400_', '_0900_') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+db+"' AND TABLE_NAME = 'a' ORDER BY ORDINAL_POSITION"),
					testbed.MustQuery(t, s, "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = '"+db+"' AND TABLE_NAME = 'a' ORDER BY INDEX_NAME, SEQ_IN_INDEX"))
			}
			if a, b := columns(r.source, r.from), columns(r.target, r.to); a != b {
				t.Errorf("behind %s:\n%s\n%s", text, a, b)
			}
		})
	}
}

func hintOf(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Next
	}
	return ""
}

// TestServersModes asks servers which bit of sql_mode has which name.
func TestServersModes(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118} {
		s := testbed.Shared(t, k)
		server, err := target.Ask(t.Context(), over(connect(t, s, "SET NAMES utf8mb4")))
		if err != nil {
			t.Fatal(err)
		}
		for i := range modes {
			m := &modes[i]
			got, err := s.One(t.Context(), fmt.Sprintf("SET sql_mode = %d", uint64(1)<<m.bit), "SELECT @@sql_mode")
			has := err == nil && slices.Contains(strings.Split(got, ","), m.name)
			if m.name == "ORACLE" && !k.MariaDB() {
				continue // MySQL 5.7 has the name, and reads nothing in another way
			}
			if has != m.known(server.Flavor, server.Version) {
				t.Errorf("%s: bit %d is %q, %v; %s", k, m.bit, got, err, m.name)
			}
		}
	}
}
