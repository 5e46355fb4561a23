//go:build servers

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
	"cdc/source/live"
)

// root may lock.
func root(s *testbed.Server) session.Config { return session.Config{Address: s.Addr(), User: "root"} }

func classicOptions(s *testbed.Server, cfg session.Config, sel *schemas.Selector, lock Lock) ClassicOptions {
	return ClassicOptions{Lock: lock, Options: Options{
		Flavor: flavorOf(s.Kind), Select: sel, Limits: Limits{Connections: 3}, ID: NewID(), ChunkBytes: 8 << 10,
		Open: func(ctx context.Context) (*session.Session, error) {
			return session.Open(ctx, cfg, session.Options{Codes: session.SourceCodes()})
		},
	}}
}

// beginClassic opens views, and a stream at their place.
func beginClassic(t testing.TB, s *testbed.Server, lock Lock, patterns ...string) *Classic {
	t.Helper()
	c, err := tryClassic(t, s, root(s), lock, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryClassic(t testing.TB, s *testbed.Server, cfg session.Config, lock Lock, patterns ...string) (*Classic, error) {
	t.Helper()
	sel := selector(t, patterns...)
	opt := classicOptions(s, cfg, sel, lock)
	for tries := 0; ; tries++ {
		var err error
		if opt.Views, err = OpenViews(t.Context(), &opt); err != nil {
			return nil, err
		}
		p := opt.Views.Place
		opt.Source, err = live.Open(t.Context(), live.Options{
			Config: live.Config{Config: login(t, s), Heartbeat: time.Second}, Flavor: opt.Flavor, Stream: t.Name(), Select: sel,
			Start: live.Start{Kind: live.StartView, GTIDs: p.GTIDs, File: p.File, Offset: p.Offset},
		})
		if fault.Has(err, fault.SnapshotDefinition) && tries < 20 {
			opt.Views.Close()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	c, err := OpenClassic(t.Context(), opt)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// A classic snapshot under load gives with the stream the tables as they are, and behind its end each change fits; with GTIDs and without.
func TestClassicUnderLoad(t *testing.T) {
	open := func(s *testbed.Server, pattern string) copier {
		return beginClassic(t, s, Lock{Wait: 30 * time.Second}, pattern)
	}
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) { underLoad(t, testbed.Shared(t, k), 500, open) })
	}
	t.Run("without GTIDs", func(t *testing.T) {
		underLoad(t, testbed.Start(t, testbed.MySQL57, testbed.Options{GTIDOff: true}), 500, open)
	})
}

// Tables without transactions are refused, or locked while they are copied.
func TestClassicLocksTables(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			db := testbed.FreshDB(t, s)
			statements := []string{"USE " + db, "CREATE TABLE inno (id int primary key, v int)"}
			names := []string{"isam", "mem"}
			statements = append(statements, "CREATE TABLE isam (id int primary key, v int) ENGINE=MyISAM", "CREATE TABLE mem (id int primary key, v int) ENGINE=MEMORY")
			if k.MariaDB() {
				names = append(names, "aria")
				statements = append(statements, "CREATE TABLE aria (id int primary key, v int) ENGINE=Aria")
			}
			for _, n := range append(names, "inno") {
				for from := 0; from < 1000; from += 500 {
					var values []string
					for i := from; i < from+500; i++ {
						values = append(values, fmt.Sprintf("(%d,%d)", i, i))
					}
					statements = append(statements, "INSERT INTO "+n+" VALUES "+strings.Join(values, ","))
				}
			}
			testbed.MustExec(t, s, statements...)
			if _, err := tryClassic(t, s, root(s), Lock{}, db+".%"); !fault.Has(err, fault.SnapshotEngine) {
				t.Fatalf("%v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var writes atomic.Int64
			for w := range 3 {
				wg.Go(func() {
					conn, err := s.Conn(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					for i := 0; ctx.Err() == nil; i++ {
						table := append(names, "inno")[(i+w)%(len(names)+1)]
						if _, err := testbed.QueryConn(t.Context(), conn, fmt.Sprintf("UPDATE %s.%s SET v=v+1 WHERE id=%d", db, table, (i*37+w)%1000),
							fmt.Sprintf("REPLACE INTO %s.%s VALUES (%d, 0)", db, table, 1000+(i*3+w)%500)); err != nil && !expected(err) {
							t.Error(err)
						}
						writes.Add(1)
					}
				})
			}
			src := beginClassic(t, s, Lock{Tables: true, Wait: 30 * time.Second}, db+".%")
			m := newModel()
			until(t, src, func(b *event.Batch) bool { m.apply(t, b); return m.over })
			after := m.batches + 100
			until(t, src, func(b *event.Batch) bool { m.apply(t, b); return m.batches > after })
			cancel()
			wg.Wait()
			testbed.MustExec(t, s, "CREATE TABLE "+db+".the_end (id int primary key)", "INSERT INTO "+db+".the_end VALUES (1)")
			until(t, src, func(b *event.Batch) bool { m.apply(t, b); return m.marker })
			want := newModel()
			until(t, beginClassic(t, s, Lock{Tables: true}, db+".%", "!"+db+".the_end"), func(b *event.Batch) bool { want.apply(t, b); return want.over })
			m.compare(t, want)
			if m.strict == 0 || len(want.rows["isam"]) < 1000 {
				t.Errorf("%d changes behind the snapshot, %d rows", m.strict, len(want.rows["isam"]))
			}
		})
	}
}

// hold reads until a table's first rows were handed over, so that the others are not read yet.
func hold(t *testing.T, src *Classic, m *model, table string) {
	t.Helper()
	until(t, src, func(b *event.Batch) bool {
		m.apply(t, b)
		return b.Mark != nil && b.Mark.Table != nil && b.Mark.Table.Name.Table == table
	})
}

// What statements do to tables between the place of the views and their copy makes these be copied again.
func TestClassicAltered(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Shared(t, k)
			db := testbed.FreshDB(t, s)
			statements := []string{"USE " + db, "CREATE TABLE big (id int primary key, v varchar(200))"}
			for from := 0; from < 4000; from += 500 {
				var values []string
				for i := from; i < from+500; i++ {
					values = append(values, fmt.Sprintf("(%d,repeat('x',150))", i))
				}
				statements = append(statements, "INSERT INTO big VALUES "+strings.Join(values, ","))
			}
			for _, n := range []string{"emptied", "added", "gone", "one", "two", "loose", "plain"} {
				key := "primary key"
				if n == "loose" {
					key = ""
				}
				statements = append(statements, "CREATE TABLE "+n+" (id int "+key+", v int)", "INSERT INTO "+n+" VALUES (1,1),(2,2),(3,3)")
			}
			statements = append(statements, "UPDATE two SET v=v+10", "ANALYZE TABLE big")
			testbed.MustExec(t, s, statements...)
			sel := selector(t, db+".%")
			opt := classicOptions(s, root(s), sel, Lock{})
			opt.Limits.Connections = 1
			var err error
			if opt.Views, err = OpenViews(t.Context(), &opt); err != nil {
				t.Fatal(err)
			}
			p := opt.Views.Place
			if opt.Source, err = live.Open(t.Context(), live.Options{
				Config: live.Config{Config: login(t, s), Heartbeat: time.Second}, Flavor: opt.Flavor, Stream: t.Name(), Select: sel,
				Start: live.Start{Kind: live.StartView, GTIDs: p.GTIDs, File: p.File, Offset: p.Offset},
			}); err != nil {
				t.Fatal(err)
			}
			src, err := OpenClassic(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			m := newModel()
			hold(t, src, m, "big")
			first := m.reads
			testbed.MustExec(t, s, "USE "+db, "TRUNCATE TABLE emptied", "INSERT INTO emptied VALUES (7,7)", "ALTER TABLE added ADD COLUMN w int NOT NULL DEFAULT 5", "DROP TABLE gone",
				"RENAME TABLE one TO three, two TO one, three TO two", "UPDATE one SET v=v+100", "UPDATE loose SET v=9 WHERE id=1", "TRUNCATE TABLE loose", "INSERT INTO loose VALUES (4,4),(4,4)",
				"UPDATE plain SET v=v*2", "CREATE TABLE the_end (id int primary key)", "INSERT INTO the_end VALUES (1)")
			m.read = map[string]bool{}
			rows := map[string]int{}
			until(t, src, func(b *event.Batch) bool {
				for i := range b.Changes {
					if b.Changes[i].Op == event.Read {
						rows[b.Tables[b.Changes[i].Table].Name]++
					}
				}
				m.read = map[string]bool{}
				m.apply(t, b)
				return m.over && m.marker
			})
			t.Logf("%d rounds, rows read: %v", src.round, rows)
			if src.round < 2 {
				t.Error("nothing was copied again")
			}
			want := newModel()
			until(t, beginClassic(t, s, Lock{}, db+".%", "!"+db+".the_end"), func(b *event.Batch) bool { want.apply(t, b); return want.over })
			m.faults = nil // of rows that came twice
			for _, n := range []string{"added", "one", "two"} {
				for key := range m.rows[n] { // versions of before
					if _, ok := want.rows[n][key]; !ok {
						t.Errorf("%s: a row that is not there", n)
					}
				}
			}
			m.compare(t, want)
			if rows["big"]+first != 4000 {
				t.Errorf("%d and %d rows of a table that nothing changed", first, rows["big"])
			}
		})
	}
}

// A run that ended in the middle is taken up by another: its views are gone, tables that were copied are not copied again, and what was deleted meanwhile does not
// stay. Also where a view's connection is lost, without a new run.
func TestClassicTakenUp(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{GTIDOff: true})
	for _, way := range []string{"a new run", "a lost view"} {
		t.Run(way, func(t *testing.T) {
			db := testbed.FreshDB(t, s)
			statements := []string{"USE " + db}
			for _, n := range []string{"a", "b", "c"} {
				statements = append(statements, "CREATE TABLE "+n+" (id int primary key, v varchar(300))")
				rows := 3000
				if n == "c" { // which is altered, and read last: the largest tables come first
					rows = 1000
				}
				for from := 0; from < rows; from += 500 {
					var values []string
					for i := from; i < from+500; i++ {
						values = append(values, fmt.Sprintf("(%d,repeat('x',200))", i))
					}
					statements = append(statements, "INSERT INTO "+n+" VALUES "+strings.Join(values, ","))
				}
			}
			statements = append(statements, "CREATE TABLE loose (id int)", "INSERT INTO loose VALUES (1),(1)", "ANALYZE TABLE a, b, c, loose")
			testbed.MustExec(t, s, statements...)
			var state event.Snapshot
			var at event.Position
			m := newModel()
			m.read = map[string]bool{}
			apply := func(b *event.Batch) {
				state = state.Then(b.Mark)
				at = at.Then(b.Pos)
				if b.Pos.Server != nil {
					at.Server = b.Pos.Server
				}
				m.read = map[string]bool{}
				m.apply(t, b)
			}
			sel := selector(t, db+".%")
			opt := classicOptions(s, root(s), sel, Lock{})
			opt.Limits.Connections = 1
			var err error
			if opt.Views, err = OpenViews(t.Context(), &opt); err != nil {
				t.Fatal(err)
			}
			catalog := schemas.NewCatalog(opt.Flavor, 0)
			seq := uint64(1)
			from := live.Options{
				Config: live.Config{Config: login(t, s), Heartbeat: time.Second}, Flavor: opt.Flavor, Stream: t.Name(), Select: sel,
				Start: live.Start{Kind: live.StartView, File: opt.Views.Place.File, Offset: opt.Views.Place.Offset},
			}
			if opt.Source, err = live.Open(t.Context(), from); err != nil {
				t.Fatal(err)
			}
			src, err := OpenClassic(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			done := 0
			until(t, src, func(b *event.Batch) bool {
				for i := range b.History {
					catalog.Replay(&b.History[i])
					seq = b.History[i].Seq + 1
				}
				apply(b)
				if b.Mark != nil && b.Mark.Table != nil && b.Mark.Table.Done {
					done++
				}
				return done == 1 && b.Mark != nil && b.Mark.Table != nil && !b.Mark.Table.Done && b.Mark.Table.Rows > 0
			})
			if way == "a lost view" {
				id := src.views.list[0].s.ID
				testbed.MustExec(t, s, fmt.Sprintf("KILL %d", id))
			}
			testbed.MustExec(t, s, "USE "+db, "DELETE FROM a WHERE id%7=1", "DELETE FROM b WHERE id%5=2", "DELETE FROM c WHERE id%11=3", "UPDATE c SET v='y' WHERE id%2=0", "UPDATE a SET v='z' WHERE id=0",
				"INSERT INTO loose VALUES (2)", "ALTER TABLE c ADD COLUMN w int", "INSERT INTO c VALUES (-1, 'w', 5)")
			if way == "a new run" {
				src.Close()
				opt.Views, opt.Catalog, opt.Snapshot, opt.Place = nil, catalog.Clone(), state, at
				from.Start = live.Start{Kind: live.StartCheckpoint, File: at.File, Offset: at.Offset, Server: *at.Server}
				from.Catalog, from.NextSeq = catalog, seq
				if opt.Source, err = live.Open(t.Context(), from); err != nil {
					t.Fatal(err)
				}
				if src, err = OpenClassic(t.Context(), opt); err != nil {
					t.Fatal(err)
				}
			}
			defer src.Close()
			reads := map[string]int{}
			until(t, src, func(b *event.Batch) bool {
				for i := range b.Changes {
					if b.Changes[i].Op == event.Read {
						reads[b.Tables[b.Changes[i].Table].Name]++
					}
				}
				apply(b)
				return m.over
			})
			testbed.MustExec(t, s, "CREATE TABLE "+db+".the_end (id int primary key)", "INSERT INTO "+db+".the_end VALUES (1)")
			until(t, src, func(b *event.Batch) bool { apply(b); return m.marker })
			t.Logf("rounds %d, rows read behind it: %v", src.round, reads)
			want := newModel()
			until(t, beginClassic(t, s, Lock{}, db+".%", "!"+db+".the_end"), func(b *event.Batch) bool { want.apply(t, b); return want.over })
			m.faults = nil
			m.compare(t, want)
			if len(reads) == 0 || len(reads) > 3 {
				t.Errorf("tables read: %v", reads)
			}
			if state.State != event.SnapshotDone {
				t.Errorf("the checkpoint says %s", state.State)
			}
		})
	}
}

// Without the right to lock the server is refused, by name of the grants; LOCK TABLES does where RELOAD is lacking; and a lock that is held off is a fault that goes away.
func TestClassicLock(t *testing.T) {
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id int primary key)", "INSERT INTO "+db+".t VALUES (1)")
	cfg := login(t, s)
	if _, err := tryClassic(t, s, cfg, Lock{}, db+".%"); !fault.Has(err, fault.SourceGrantMissing) || !strings.Contains(err.Error()+hint(err), "RELOAD") {
		t.Fatalf("%v", err)
	}
	testbed.MustExec(t, s, "GRANT LOCK TABLES ON "+db+".* TO '"+testbed.User+"'@'%'")
	c, err := tryClassic(t, s, cfg, Lock{}, db+".%")
	if err != nil {
		t.Fatal(err)
	}
	if c.views.Way != "LOCK TABLES" {
		t.Errorf("by %s", c.views.Way)
	}
	until(t, c, ended)
	testbed.MustExec(t, s, "GRANT RELOAD ON *.* TO '"+testbed.User+"'@'%'")
	if c, err = tryClassic(t, s, cfg, Lock{}, db+".%"); err != nil {
		t.Fatal(err)
	}
	if c.views.Way != "FLUSH TABLES WITH READ LOCK" {
		t.Errorf("by %s", c.views.Way)
	}
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := testbed.QueryConn(t.Context(), conn, "LOCK TABLES "+db+".t WRITE"); err != nil {
		t.Fatal(err)
	}
	_, err = tryClassic(t, s, cfg, Lock{Wait: time.Second}, db+".%")
	if !fault.Has(err, fault.SnapshotLock) || fault.ClassOf(err) != fault.Retry {
		t.Fatalf("%v", err)
	}
}

// A transaction whose row another one waits for, and that is held up by the lock itself, goes on between two tries: neither a writer nor the snapshot fails.
func TestClassicLockAgain(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{})
			db := testbed.FreshDB(t, s)
			testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id int primary key, v int)", "INSERT INTO "+db+".t VALUES (1,1),(2,2)")
			first, second := exec(t, s), exec(t, s)
			first("BEGIN")
			first("UPDATE " + db + ".t SET v=10 WHERE id=1")
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() { second("UPDATE " + db + ".t SET v=v+5 WHERE id=1") })
			waiting := func(state string) {
				for n := "0"; n == "0" && t.Context().Err() == nil; {
					n, _ = s.One(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE "+state)
				}
			}
			waiting("info LIKE 'UPDATE%v+5%'")
			wg.Go(func() {
				waiting("info LIKE 'FLUSH TABLES%'")
				first("UPDATE " + db + ".t SET v=20 WHERE id=2")
				first("COMMIT")
			})
			c, err := tryClassic(t, s, root(s), Lock{Wait: 20 * time.Second}, db+".%")
			if err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			until(t, c, ended)
			if got, _ := s.One(t.Context(), "SELECT GROUP_CONCAT(v ORDER BY id) FROM "+db+".t"); got != "15,20" {
				t.Errorf("the writers left %s", got)
			}
		})
	}
}

// exec opens a session whose statements have to work.
func exec(t *testing.T, s *testbed.Server) func(string) {
	conn, err := s.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(sql string) {
		if _, err := testbed.QueryConn(t.Context(), conn, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func hint(err error) string {
	f, _ := errors.AsType[*fault.Error](err)
	if f == nil {
		return ""
	}
	return f.Next
}
