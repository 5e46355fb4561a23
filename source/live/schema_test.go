//go:build servers

package live

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/schemas"
)

// TestNamesStayTrueWhileColumnsAreSwapped starts readers at the head of a server on which two columns of a table swap their names all the time.
// A row that is read with a schema which is not that of its moment shows 1 as b.
func TestNamesStayTrueWhileColumnsAreSwapped(t *testing.T) {
	for _, c := range []struct {
		kind   testbed.Kind
		engine string
		gtid   string
	}{
		{testbed.MySQL97, "InnoDB", "auto"},
		{testbed.MySQL97, "InnoDB", "off"},
		{testbed.MySQL97, "MyISAM", "auto"},
		{testbed.MySQL57, "InnoDB", "auto"},
		{testbed.MariaDB118, "InnoDB", "auto"},
		{testbed.MariaDB1011, "InnoDB", "off"},
	} {
		t.Run(fmt.Sprint(c.kind, " ", c.engine, " gtid ", c.gtid), func(t *testing.T) {
			s := testbed.Shared(t, c.kind)
			db := testbed.FreshDB(t, s)
			testbed.MustExec(t, s, fmt.Sprintf("CREATE TABLE %s.t(id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b INT) ENGINE=%s", db, c.engine))
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer stop()
			forever := func(statements ...string) {
				wg.Go(func() {
					conn, err := s.Conn(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					for ctx.Err() == nil {
						if _, err := testbed.QueryConn(ctx, conn, statements...); err != nil {
							if ctx.Err() == nil {
								t.Error(err)
							}
							return
						}
						_ = pause(ctx, time.Millisecond)
					}
				})
			}
			insert, swap := "INSERT INTO "+db+".t(a,b) VALUES (1,2)", "ALTER TABLE "+db+".t CHANGE a b INT, CHANGE b a INT"
			if c.engine == "MyISAM" { // its table locks and the metadata lock can wait for each other for ever
				forever(insert, swap)
			} else {
				forever(insert)
				forever(swap)
			}
			o := options(t, s, db)
			o.Config.GTID = c.gtid
			for range trials(t, 8) {
				src := open(t, o)
				rows := 0
				for rows < 20 {
					b, err := src.Read(ctx)
					if err != nil {
						if f, ok := fault.As(err); ok && f.Code == fault.SchemaUnknown {
							t.Logf("stopped: %v", err) // it says that it does not know: that is not a lie
							break
						}
						t.Fatal(err)
					}
					for i := range b.Changes {
						rows++
						if l := line(b, i); !strings.Contains(l, "a=1") || !strings.Contains(l, "b=2") {
							t.Fatalf("%s at %s", l, b.Txn(&b.Changes[i]).GTID)
						}
					}
					b.Release()
				}
				if err := src.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestSchemasAreSaidFirst(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		db := testbed.FreshDB(t, s)
		testbed.MustExec(t, s, "CREATE TABLE "+db+".a(id INT PRIMARY KEY, v VARCHAR(9) UNIQUE)", "CREATE TABLE "+db+".unwanted(id INT)", "CREATE VIEW "+db+".view AS SELECT 1")
		o := options(t, s, db)
		o.NextSeq = 5
		src := open(t, o)
		b, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Release()
		var got []string
		for i, e := range b.History {
			if e.Seq != uint64(5+i) || e.File == "" {
				t.Errorf("entry %d has number %d and file %q", i, e.Seq, e.File)
			}
			got = append(got, fmt.Sprint(e.Kind, " ", e.Name.Table))
		}
		compare(t, got, []string{fmt.Sprint(schemas.PutDatabase, " "), fmt.Sprint(schemas.PutTable, " a"), fmt.Sprint(schemas.PutTable, " unwanted")})
		if e := b.History[1]; len(e.Table.Unique) != 2 || len(e.Table.PrimaryKey) != 1 {
			t.Errorf("the keys of a: %+v", e.Table.Unique)
		}
		if n := src.asm.NextSeq(); n != 8 {
			t.Errorf("the next entry would be number %d", n)
		}
	})
}

func TestTablesThatTheStreamDoesNotDescribe(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Start(t, k, testbed.Options{})
		testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.kept(id INT PRIMARY KEY)", "CREATE TABLE d.changed(id INT PRIMARY KEY)", "FLUSH BINARY LOGS",
			"INSERT INTO d.kept VALUES (1)", "INSERT INTO d.changed VALUES (2)", "ALTER TABLE d.changed ADD later INT", "INSERT INTO d.changed VALUES (3,4)")
		files := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
		from := func(pattern string, file int) Options {
			o := options(t, s, "d")
			sel, err := schemas.ParseSelector([]string{pattern})
			if err != nil {
				t.Fatal(err)
			}
			o.Select = sel
			o.Start = Start{Kind: StartFile, File: files[file][0].String, Offset: 4}
			o.Stop = Stop{Now: true}
			return o
		}
		// Nothing in the stream touches this one, so that it is today what it was.
		got := read(t, open(t, from("d.kept", 1)), 1)
		compare(t, got, []string{"insert kept#0 + id=1"})

		src := open(t, from("d.changed", 1))
		for {
			b, err := src.Read(t.Context())
			if err == nil {
				if len(b.Changes) > 0 {
					t.Fatalf("%s was read with a schema of later", line(b, 0))
				}
				b.Release()
				continue
			}
			f, ok := fault.As(err)
			if !ok || f.Code != fault.SchemaUnknown || !strings.Contains(f.Text, "ALTER TABLE d.changed") || f.Where.Table != "d.changed" {
				t.Errorf("got %v", err)
			}
			break
		}

		testbed.MustExec(t, s, "CREATE USER blind@'%' IDENTIFIED BY 'blind-pass'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO blind@'%'")
		o := from("d.kept", 1)
		o.Config.User, o.Config.Password = "blind", secret(t, "blind-pass")
		src = open(t, o)
		for {
			b, err := src.Read(t.Context())
			if err == nil {
				b.Release()
				continue
			}
			if f, ok := fault.As(err); !ok || f.Code != fault.SchemaUnknown || !strings.Contains(f.Next, "GRANT SELECT ON `d`.*") {
				t.Errorf("got %v", err)
			}
			break
		}
		if k.HasFullMetadata() {
			testbed.MustExec(t, s, "SET GLOBAL binlog_row_metadata='FULL'", "INSERT INTO d.kept VALUES (9)")
			o.Start = Start{Kind: StartNow}
			o.Stop = Stop{}
			src = open(t, o)
			testbed.MustExec(t, s, "INSERT INTO d.kept VALUES (10)")
			compare(t, read(t, src, 1), []string{"insert kept#0 + id=10"})
		}
	})
}

func TestTenThousandTables(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL57, testbed.Options{})
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 2000
	for _, q := range []string{"SET sql_log_bin=0", "CREATE DATABASE d", "CREATE DATABASE other"} {
		if _, err := conn.Execute(q); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if _, err := conn.Execute(fmt.Sprintf("CREATE TABLE d.t%d(id INT PRIMARY KEY, name VARCHAR(99), v%d INT, KEY(name)) ENGINE=MyISAM", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	src := open(t, options(t, s, "d"))
	t.Logf("%d tables read in %s", n, time.Since(began))
	if got := len(src.first.History); got != n+1 {
		t.Errorf("%d entries", got)
	}
	testbed.MustExec(t, s, "INSERT INTO d.t7 VALUES (1,'x',2)")
	compare(t, read(t, src, 1), []string{`insert t7#0 + id=1 name="x" v7=2`})
}
