//go:build servers

package target

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/event"
	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/sinks/mysql/statement"
)

func each(t *testing.T, f func(t *testing.T, s *testbed.Server)) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) { f(t, testbed.Shared(t, k)) })
}

func connect(t *testing.T, s *testbed.Server, user, password string) *client.Conn {
	t.Helper()
	conn, err := s.ConnAs(t.Context(), user, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, statement := range statement.Session() {
		if _, err := testbed.QueryConn(t.Context(), conn, statement); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func over(conn *client.Conn) Query {
	return func(ctx context.Context, text string) ([][][]byte, error) {
		rows, err := testbed.QueryConn(ctx, conn, text)
		if err != nil {
			return nil, err
		}
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
		return out, nil
	}
}

func ask(t *testing.T, q Query) *Server {
	t.Helper()
	server, err := Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// versions reads the tables of a database as a source would know them, under the name of another.
func versions(t *testing.T, s *testbed.Server, server *Server, from, to string) map[string]*schemas.Table {
	t.Helper()
	ask := schemas.ISQueries(server.Flavor, server.Version, from)
	var rows [4][][]sql.NullString
	for i, q := range []string{ask.Databases, ask.Tables, ask.Columns, ask.Keys} {
		rows[i] = testbed.MustQuery(t, s, "SET NAMES utf8mb4", q)
	}
	entries, err := schemas.ISEntries(server.Flavor, server.Version, rows[0], rows[1], rows[2], rows[3])
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]*schemas.Table{}
	for _, e := range entries {
		if e.Table != nil {
			e.Table.Database = to
			tables[e.Table.Name] = e.Table
		}
	}
	return tables
}

func TestServersAsk(t *testing.T) {
	each(t, func(t *testing.T, s *testbed.Server) {
		conn := connect(t, s, "root", "")
		server := ask(t, over(conn))
		maria := s.Kind.MariaDB()
		if (server.Flavor == gtid.MariaDB) != maria || server.Version < 50700 || server.ServerID == 0 || server.UUID.IsZero() != maria ||
			!server.LogBin || server.ReadOnly || server.MaxAllowedPacket < 1<<20 || (server.GTIDMode == "ON") == maria || server.Executed == nil {
			t.Errorf("%+v", server)
		}
		if !server.MaySkipLog || server.MayGTIDNext == maria || server.MayServerID != maria || server.MayTag != (s.Kind == testbed.MySQL97) {
			t.Errorf("root may: %+v", server)
		}
		// The session is as it was: what it writes is logged, under a GTID of the server.
		db := testbed.FreshDB(t, s)
		before, err := s.ExecutedGTIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(before, "00000000-0000-0000-0000-000000000001") {
			t.Errorf("the GTID that was tried was executed: %s", before)
		}
		if _, err := testbed.QueryConn(t.Context(), conn, "CREATE TABLE "+db+".t (id INT PRIMARY KEY)", "INSERT INTO "+db+".t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		after, err := s.ExecutedGTIDs(t.Context())
		if err != nil || after == before {
			t.Errorf("nothing was logged: %s, %v", after, err)
		}
		// An account that may nothing of it.
		weak := ask(t, over(connect(t, s, testbed.User, testbed.Password)))
		if weak.MaySkipLog || weak.MayGTIDNext || weak.MayTag || weak.MayServerID {
			t.Errorf("%s may: %+v", testbed.User, weak)
		}
		if s.Kind == testbed.MySQL97 {
			testbed.MustExec(t, s, "CREATE USER applier IDENTIFIED BY 'x'", "GRANT REPLICATION_APPLIER ON *.* TO applier")
			t.Cleanup(func() { _ = s.Exec(context.WithoutCancel(t.Context()), "DROP USER applier") })
			if a := ask(t, over(connect(t, s, "applier", "x"))); a.MaySkipLog || !a.MayGTIDNext || a.MayTag {
				t.Errorf("an applier may: %+v", a)
			}
		}
	})
}

func TestServersPlans(t *testing.T) {
	type table struct {
		name   string
		source string // definition, without the name
		target string
		only   func(*Server) bool
		want   string
		key    string // columns that find a row
		fault  fault.Code
	}
	mysql8 := func(s *Server) bool { return s.Flavor == gtid.MySQL && s.Version >= 80013 }
	mysql := func(s *Server) bool { return s.Flavor == gtid.MySQL }
	maria := func(s *Server) bool { return s.Flavor == gtid.MariaDB }
	const utf8 = " DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_unicode_ci"
	tables := []table{
		{name: "plain", source: "(id INT PRIMARY KEY, v VARCHAR(20))", want: "unique plain.PRIMARY id:bytes\n", key: "id"},
		{name: "wider", source: "(id INT PRIMARY KEY)", target: "(extra INT NULL, ID BIGINT PRIMARY KEY, at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)", want: "unique wider.PRIMARY id:bytes\n", key: "id"},
		{name: "lacks", source: "(id INT PRIMARY KEY, v VARCHAR(20))", target: "(id INT PRIMARY KEY)", fault: fault.TargetColumn},
		{name: "wants", source: "(id INT PRIMARY KEY)", target: "(id INT PRIMARY KEY, v INT NOT NULL)", fault: fault.TargetColumn},
		{name: "absent", source: "(id INT PRIMARY KEY)", target: "-", fault: fault.TargetTableMissing},
		{name: "seen", source: "(id INT PRIMARY KEY)", target: "VIEW", fault: fault.TargetTableMissing},
		{
			name: "texts", source: "(a VARCHAR(20) NOT NULL, b VARCHAR(20) COLLATE utf8mb4_bin, c CHAR(4) CHARSET latin1 COLLATE latin1_german2_ci, d VARBINARY(9), PRIMARY KEY (a), UNIQUE x (b, c), UNIQUE y (d), UNIQUE z (b(3), d(2)))" + utf8,
			want: "unique texts.PRIMARY a:folded\nunique texts.x b:padded c:unknown\nunique texts.y d:bytes\nunique texts.z b:padded(3) d:bytes(2)\n", key: "a",
		},
		{
			name: "coarser", source: "(a VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY)" + utf8, target: "(a VARCHAR(20) PRIMARY KEY)" + utf8,
			want: "unique coarser.PRIMARY a:folded\nwarn: the key's column a is utf8mb4_unicode_ci at the target and utf8mb4_bin at the source: what the source keeps apart may be one row at the target\n", key: "a",
		},
		{name: "enums", source: "(e ENUM('a','b') PRIMARY KEY, s SET('x','y') NOT NULL, UNIQUE (s))", want: "unique enums.PRIMARY e:bytes\nunique enums.s s:bytes\n", key: "e"},
		{
			name: "members", source: "(id INT PRIMARY KEY, e ENUM('a','b') NOT NULL, UNIQUE (e))", target: "(id INT PRIMARY KEY, e ENUM('b','a') NOT NULL, UNIQUE (e))",
			want: "unique members.PRIMARY id:bytes\nunique members.e e:bytes whole\n", key: "id",
		},
		{
			name: "rounds", source: "(id INT PRIMARY KEY, at DATETIME(6) UNIQUE)", target: "(id INT PRIMARY KEY, at DATETIME UNIQUE)",
			want: "unique rounds.PRIMARY id:bytes\nunique rounds.at at:bytes whole\nwarn: the target's column at is datetime, which rounds values of the source's datetime(6) in silence\n", key: "id",
		},
		{name: "otherkey", source: "(id INT PRIMARY KEY, code INT NOT NULL)", target: "(id INT NOT NULL, code INT PRIMARY KEY)", want: "unique otherkey.PRIMARY code:bytes\n", key: "code"},
		{
			name: "shards", source: "(id INT PRIMARY KEY, v INT)", target: "(shard INT NOT NULL DEFAULT 1, id INT NOT NULL, v INT, PRIMARY KEY (id, shard))",
			want: "unique shards.PRIMARY id:bytes\nwarn: rows are found by id, which is not unique at the target: a change that finds several rows stops the stream\n", key: "id",
		},
		{
			name: "scans", source: "(id INT PRIMARY KEY, v INT)", target: "(shard INT NOT NULL DEFAULT 1, id INT NOT NULL, v INT, PRIMARY KEY (shard, id))",
			want: "unique scans.PRIMARY id:bytes\nwarn: the target has no index that begins with id: each update and delete reads the whole table\n", key: "id",
		},
		{name: "keyless", source: "(a INT, b INT)", want: ""},
		{name: "gained", source: "(a INT NOT NULL, b INT)", target: "(a INT PRIMARY KEY, b INT)", want: "unique gained.PRIMARY a:bytes\n", key: "a"},
		{name: "counted", source: "(a INT NOT NULL)", target: "(n BIGINT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL)", want: ""},
		{
			name: "generated", source: "(id INT PRIMARY KEY, a INT, g INT GENERATED ALWAYS AS (a + 1) STORED, UNIQUE (g))",
			want: "unique generated.PRIMARY id:bytes\nunique generated.g g:bytes\n", key: "id",
		},
		{
			name: "made", source: "(id INT PRIMARY KEY, a INT, g INT)", target: "(id INT PRIMARY KEY, a INT, g INT GENERATED ALWAYS AS (a + 1) VIRTUAL, UNIQUE (g), UNIQUE x (a, g))",
			want: "unique made.PRIMARY id:bytes\nunique made.g whole\nunique made.x a:bytes\nwarn: the target generates the column g, which is plain at the source: the source's values are not written\n", key: "id",
		},
		{name: "kept", source: "(id INT PRIMARY KEY, a INT, g INT GENERATED ALWAYS AS (a + 1) VIRTUAL)", target: "(id INT PRIMARY KEY, a INT, g INT)", want: "unique kept.PRIMARY id:bytes\n", key: "id"},
		{name: "functional", source: "(id INT PRIMARY KEY, a VARCHAR(9))", target: "(id INT PRIMARY KEY, a VARCHAR(9), UNIQUE x ((LOWER(a))))", only: mysql8, want: "unique functional.PRIMARY id:bytes\nopaque\n", key: "id"},
		{name: "descending", source: "(a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a DESC, b))", only: mysql8, want: "unique descending.PRIMARY a:bytes b:bytes\n", key: "a,b"},
		{
			name: "multivalued", source: "(id INT PRIMARY KEY, j JSON)", target: "(id INT PRIMARY KEY, j JSON, UNIQUE x ((CAST(j->'$' AS UNSIGNED ARRAY))))", only: func(s *Server) bool { return mysql8(s) && s.Version >= 80017 },
			want: "unique multivalued.PRIMARY id:bytes\nopaque\n", key: "id",
		},
		{name: "unseen", source: "(a INT, id INT INVISIBLE AUTO_INCREMENT PRIMARY KEY)", only: func(s *Server) bool { return maria(s) || s.Version >= 80023 }, want: "unique unseen.PRIMARY id:bytes\n", key: "id"},
		{name: "hashed", source: "(id INT PRIMARY KEY, t TEXT, UNIQUE (t))" + utf8, only: maria, want: "unique hashed.PRIMARY id:bytes\nunique hashed.t t:folded\n", key: "id"},
		{name: "overlaps", source: "(id INT, s DATE NOT NULL, e DATE NOT NULL)", target: "(id INT, s DATE, e DATE, PERIOD FOR p (s, e), UNIQUE (id, p WITHOUT OVERLAPS))", only: maria, want: "unique overlaps.id id:bytes e:bytes s:bytes\nopaque\n", key: "-"},
		{name: "versioned", source: "(id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING", only: maria, want: "unique versioned.PRIMARY id:bytes\n", key: "id"},
		{name: "net", source: "(u UUID PRIMARY KEY, i INET6 NOT NULL, UNIQUE (i))", only: maria, want: "unique net.PRIMARY u:bytes\nunique net.i i:bytes\n", key: "u"},
		{
			name: "myisam", source: "(id INT PRIMARY KEY)", target: "(id INT PRIMARY KEY) ENGINE=MyISAM",
			want: "unique myisam.PRIMARY id:bytes\nwarn: the target's engine MyISAM keeps no transactions: a crash may leave a change applied twice or in part\n", key: "id",
		},
		{name: "json", source: "(id INT PRIMARY KEY, j JSON)", only: mysql, want: "unique json.PRIMARY id:bytes\n", key: "id"},
		{name: "we`ird né", source: "(`a``b` INT PRIMARY KEY)", want: "unique we`ird né.PRIMARY a`b:bytes\n", key: "a`b"},
	}
	each(t, func(t *testing.T, s *testbed.Server) {
		source, to := testbed.FreshDB(t, s), testbed.FreshDB(t, s)
		q := over(connect(t, s, "root", ""))
		server := ask(t, q)
		for _, c := range tables {
			if c.only != nil && !c.only(server) {
				continue
			}
			name := sqltext.Name(c.name)
			testbed.MustExec(t, s, "SET NAMES utf8mb4", "CREATE TABLE "+source+"."+name+" "+c.source)
			switch c.target {
			case "-":
			case "VIEW":
				testbed.MustExec(t, s, "CREATE VIEW "+to+"."+name+" AS SELECT 1 AS id")
			case "":
				c.target = c.source
				fallthrough
			default:
				testbed.MustExec(t, s, "SET NAMES utf8mb4", "CREATE TABLE "+to+"."+name+" "+c.target)
			}
		}
		known := versions(t, s, server, source, to)
		catalog := New(server)
		for _, c := range tables {
			if c.only != nil && !c.only(server) {
				continue
			}
			plan, err := catalog.Plan(t.Context(), q, known[c.name])
			if c.fault != 0 {
				if !errors.Is(err, fault.New(c.fault, "")) {
					t.Errorf("%s: %v, not %s", c.name, err, c.fault)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if got := describe(catalog, plan); got != c.want {
				t.Errorf("%s:\n%swanted:\n%s", c.name, got, c.want)
			}
			var key []string
			for _, i := range catalog.keyOf(plan) {
				key = append(key, known[c.name].Columns[i].Name)
			}
			if got := strings.Join(key, ","); c.key != "-" && got != c.key {
				t.Errorf("%s: a row is found by %q, wanted %q", c.name, got, c.key)
			}
			if again, err := catalog.Plan(t.Context(), nil, known[c.name]); again != plan || err != nil {
				t.Errorf("%s: planned twice: %v", c.name, err)
			}
		}
	})
}

// keyOf plans the key once more.
func (c *Catalog) keyOf(plan *Plan) []int {
	p := planner{server: c.server, version: plan.Table, at: plan.Target}
	if err := p.match(); err != nil {
		return nil
	}
	return p.key()
}

func TestServersForeignKeys(t *testing.T) {
	each(t, func(t *testing.T, s *testbed.Server) {
		db, other := testbed.FreshDB(t, s), testbed.FreshDB(t, s)
		q := over(connect(t, s, "root", ""))
		server := ask(t, q)
		off := []string{}
		if s.Kind == testbed.MySQL97 { // which wants parents to be unique
			off = append(off, "SET restrict_fk_on_non_standard_key = OFF")
		}
		create := append(off,
			"USE "+db,
			"CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(9) COLLATE utf8mb4_unicode_ci NOT NULL, a INT NOT NULL, b INT NOT NULL, loose INT, UNIQUE (code), UNIQUE ab (a, b), KEY (loose)) CHARSET utf8mb4",
			"CREATE TABLE child (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES parent (id) ON DELETE CASCADE)",
			"CREATE TABLE "+other+".grandchild (id INT PRIMARY KEY, cid INT, FOREIGN KEY (cid) REFERENCES "+db+".child (id) ON UPDATE SET NULL)",
			"CREATE TABLE bystander (id INT PRIMARY KEY, cid INT, FOREIGN KEY (cid) REFERENCES child (id))",
			"CREATE TABLE texts (id INT PRIMARY KEY, code VARCHAR(9) COLLATE utf8mb4_unicode_ci, FOREIGN KEY (code) REFERENCES parent (code)) CHARSET utf8mb4",
			"CREATE TABLE pairs (id INT PRIMARY KEY, y INT, x INT, FOREIGN KEY (x, y) REFERENCES parent (a, b))",
			"CREATE TABLE loosely (id INT PRIMARY KEY, l INT, FOREIGN KEY (l) REFERENCES parent (loose))",
			"CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)",
			"CREATE TABLE extra (id INT PRIMARY KEY, pid INT, two INT DEFAULT 2, FOREIGN KEY (pid) REFERENCES parent (id), FOREIGN KEY (two) REFERENCES parent (id))",
			"CREATE TRIGGER tr BEFORE INSERT ON bystander FOR EACH ROW SET NEW.cid = NEW.cid",
		)
		testbed.MustExec(t, s, create...)
		known := versions(t, s, server, db, db)
		for n, table := range versions(t, s, server, other, other) {
			known[n] = table
		}
		extra := *known["extra"]
		extra.Columns, extra.Unique, extra.Plain = extra.Columns[:1], extra.Unique[:1], nil
		known["extra"] = &extra
		catalog := New(server)
		check := func(name, want string, databases ...string) {
			t.Helper()
			plan, err := catalog.Plan(t.Context(), q, known[name])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if got := describe(catalog, plan); got != want {
				t.Errorf("%s:\n%swanted:\n%s", name, got, want)
			}
			if slices.Sort(databases); !slices.Equal(slices.Sorted(slices.Values(plan.Schedule.Databases)), databases) {
				t.Errorf("%s reaches %v, wanted %v", name, plan.Schedule.Databases, databases)
			}
			if strings.Contains(want, "opaque") && (len(plan.Triggers) != 1 || plan.Triggers[0] != "tr (BEFORE INSERT)") {
				t.Errorf("triggers %q", plan.Triggers)
			}
		}
		check("parent", "unique parent.PRIMARY id:bytes\nunique parent.ab a:bytes b:bytes\nunique parent.code code:folded\ncascade child\ncascade grandchild\n", db, other)
		check("child", "unique child.PRIMARY id:bytes\nparent parent.PRIMARY pid:bytes\ncascade grandchild\n", db, other)
		check("grandchild", "unique grandchild.PRIMARY id:bytes\nparent child.PRIMARY cid:bytes\n", db, other)
		check("bystander", "unique bystander.PRIMARY id:bytes\nparent child.PRIMARY cid:bytes\nopaque\n", db)
		check("texts", "unique texts.PRIMARY id:bytes\nparent parent.code code:folded\n", db)
		check("pairs", "unique pairs.PRIMARY id:bytes\nparent parent.ab x:bytes y:bytes\n", db)
		check("loosely", "unique loosely.PRIMARY id:bytes\nparent parent whole\n", db)
		check("tree", "unique tree.PRIMARY id:bytes\nparent tree.PRIMARY up:bytes\ncascade tree\n", db)
		check("extra", "unique extra.PRIMARY id:bytes\nparent parent.PRIMARY whole\n", db)

		// After DDL only what it touched is read again.
		testbed.MustExec(t, s, "USE "+db, "DROP TABLE loosely", "ALTER TABLE texts ADD UNIQUE (code)", "ALTER TABLE child RENAME TO kid", "DROP TRIGGER tr")
		check("texts", "unique texts.PRIMARY id:bytes\nparent parent.code code:folded\n", db)
		in := func(names ...string) (list []schemas.Name) {
			for _, n := range names {
				list = append(list, schemas.Name{Database: db, Table: n})
			}
			return list
		}
		catalog.Forget(in("loosely", "texts", "child", "kid", "bystander")...)
		check("texts", "unique texts.PRIMARY id:bytes\nunique texts.code code:folded\nparent parent.code code:folded\n", db)
		check("bystander", "unique bystander.PRIMARY id:bytes\nparent kid.PRIMARY cid:bytes\n", db)
		check("grandchild", "unique grandchild.PRIMARY id:bytes\nparent kid.PRIMARY cid:bytes\n", db, other)
		check("parent", "unique parent.PRIMARY id:bytes\nunique parent.ab a:bytes b:bytes\nunique parent.code code:folded\ncascade kid\ncascade grandchild\n", db, other)
		if _, err := catalog.Plan(t.Context(), q, known["child"]); !errors.Is(err, fault.New(fault.TargetTableMissing, "")) {
			t.Errorf("the renamed table: %v", err)
		}
		all := New(server)
		for _, name := range []string{"texts", "bystander", "grandchild", "parent", "tree", "extra"} {
			a, err := catalog.Plan(t.Context(), q, known[name])
			if err != nil {
				t.Fatal(err)
			}
			b, err := all.Plan(t.Context(), q, known[name])
			if err != nil {
				t.Fatal(err)
			}
			if x, y := describe(catalog, a), describe(all, b); x != y {
				t.Errorf("%s: read in part:\n%sread anew:\n%s", name, x, y)
			}
		}
	})
}

// TestServersWrite writes rows as a plan says into a table that differs.
func TestServersWrite(t *testing.T) {
	each(t, func(t *testing.T, s *testbed.Server) {
		db := testbed.FreshDB(t, s)
		testbed.MustExec(t, s, "USE "+db,
			"CREATE TABLE t (id INT PRIMARY KEY, more INT DEFAULT 7, gone INT GENERATED ALWAYS AS (id * 2) STORED, kept INT, at TIMESTAMP NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP)")
		version := &schemas.Table{Database: db, Name: "t", PrimaryKey: []int{0}, Columns: []schemas.Column{
			{Name: "id", Type: schemas.Int},
			{Name: "kept", Type: schemas.Int, Nullable: true, Generated: schemas.Virtual},
			{Name: "gone", Type: schemas.Int, Nullable: true},
			{Name: "at", Type: schemas.Timestamp, Nullable: true},
		}}
		conn := connect(t, s, "root", "")
		q := over(conn)
		plan, err := New(ask(t, q)).Plan(t.Context(), q, version)
		if err != nil {
			t.Fatal(err)
		}
		row := func(id, kept int64) event.Row {
			return event.Row{Cells: []event.Cell{event.IntCell(id), event.IntCell(kept), event.IntCell(99), event.NullCell()}}
		}
		var w statement.Writer
		for _, step := range []struct {
			op            event.Op
			before, after event.Row
		}{
			{event.Insert, event.Row{}, row(1, 10)},
			{event.Insert, event.Row{}, row(2, 20)},
			{event.Update, row(1, 10), row(1, 11)},
			{event.Delete, row(2, 20), event.Row{}},
		} {
			w.Reset()
			if err := w.Change(plan.Statement, step.op, step.before, step.after); err != nil {
				t.Fatal(err)
			}
			if _, err := q(t.Context(), string(w.Text())); err != nil {
				t.Fatal(err)
			}
		}
		got := fmt.Sprint(testbed.MustQuery(t, s, "SELECT id, more, gone, kept, at FROM "+db+".t"))
		if want := "[[{1 true} {7 true} {2 true} {11 true} { false}]]"; got != want {
			t.Errorf("%s, wanted %s", got, want)
		}
	})
}
