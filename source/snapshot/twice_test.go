//go:build servers

package snapshot

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/live"
)

// elsewhere is a stream that goes on at another server when it is told so.
type elsewhere struct {
	*live.Source
	gone bool
}

func (e *elsewhere) Read(ctx context.Context) (*event.Batch, error) {
	b, err := e.Source.Read(ctx)
	if err == nil && e.gone {
		b.Pos.Server = &event.Server{Flavor: gtid.MySQL, Version: "9.7.0", UUID: gtid.UUID{1, 2, 3}, ID: 4711}
	}
	return b, err
}

// onceTables makes a table without a key, and two with one; c is the last that a classic snapshot reads.
func onceTables(t *testing.T, s *testbed.Server) (db string) {
	t.Helper()
	db = testbed.FreshDB(t, s)
	fill := func(table string, rows int) string {
		var values []string
		for i := range rows {
			values = append(values, fmt.Sprintf("(%d,repeat('x',200))", i))
		}
		return "INSERT INTO " + table + " VALUES " + strings.Join(values, ",")
	}
	testbed.MustExec(t, s, "USE "+db, "CREATE TABLE a (id int, v varchar(300))", "CREATE TABLE b (id int primary key, v varchar(300))", "CREATE TABLE c (id int primary key, v varchar(300))",
		fill("a", 2000), fill("b", 1000), fill("c", 3), "ANALYZE TABLE a, b, c")
	return db
}

// stops reads until the fault of rows that would come twice, and sees to it that no statement was handed over before: it would not be read again.
func stops(t *testing.T, src source.Source, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		b, err := src.Read(ctx)
		switch {
		case err == nil:
			if b.DDL != nil {
				t.Errorf("handed over before: %s", b.DDL.Text)
			}
			if ended(b) {
				t.Fatal("the snapshot has ended")
			}
			b.Release()
			continue
		case !fault.Has(err, fault.SnapshotTwice) || fault.ClassOf(err) != fault.Fatal || !strings.Contains(err.Error(), why):
			t.Fatalf("%v, wanted %q", err, why)
		}
		return
	}
}

// Rows of a table without a key that a target would get a second time stop a classic snapshot, and what brings them is not handed over.
func TestClassicTwice(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	for _, c := range []struct {
		name, until, why string // until the first rows of this table have come
		statements       []string
		lost, gone       bool // the view is, the server is
	}{
		{name: "altered before it was read", until: "b", why: "a statement changed it before it was read", statements: []string{"ALTER TABLE loose COMMENT 'x'"}},
		{name: "renamed", until: "b", why: "was renamed while the tables are being copied", statements: []string{"RENAME TABLE a TO d"}},
		{name: "another came under its name", until: "b", why: "was renamed while the tables are being copied", statements: []string{"RENAME TABLE a TO d, loose TO a"}},
		{name: "another server", until: "b", why: "another server answered", statements: []string{"INSERT INTO b VALUES (-1, '')"}, gone: true},
		{name: "key dropped", until: "b", why: "its key was dropped", statements: []string{"ALTER TABLE b DROP PRIMARY KEY"}, lost: true},
		{name: "key column nullable", until: "b", why: "its key was dropped", statements: []string{"ALTER TABLE b DROP PRIMARY KEY, MODIFY id int NULL, ADD UNIQUE (id)"}, lost: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := onceTables(t, s)
			testbed.MustExec(t, s, "CREATE TABLE "+db+".loose (id int)", "INSERT INTO "+db+".loose VALUES (1),(1)")
			opt := classicOptions(s, root(s), selector(t, db+".%"), Lock{})
			opt.Limits.Connections, opt.Once = 1, true
			var err error
			if opt.Views, err = OpenViews(t.Context(), &opt); err != nil {
				t.Fatal(err)
			}
			p := opt.Views.Place
			stream, err := live.Open(t.Context(), live.Options{
				Config: live.Config{Config: login(t, s), Heartbeat: time.Second}, Flavor: opt.Flavor, Stream: t.Name(), Select: opt.Select,
				Start: live.Start{Kind: live.StartView, GTIDs: p.GTIDs, File: p.File, Offset: p.Offset},
			})
			if err != nil {
				t.Fatal(err)
			}
			moves := &elsewhere{Source: stream}
			opt.Source = moves
			src, err := OpenClassic(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			until(t, src, func(b *event.Batch) bool {
				return b.Mark != nil && b.Mark.Table != nil && b.Mark.Table.Name.Table == c.until
			})
			if c.lost {
				testbed.MustExec(t, s, fmt.Sprintf("KILL %d", src.views.list[0].s.ID))
			}
			testbed.MustExec(t, s, append([]string{"USE " + db}, c.statements...)...)
			moves.gone = c.gone
			stops(t, src, c.why)
		})
	}
}

// A chunk of a table that loses its key behind it would be there twice.
func TestKeyDroppedTwice(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	db := onceTables(t, s)
	src := begin(t, s, db+".%", "!"+db+".a")
	src.opt.Limits.ChunkRows, src.opt.Once = 20, true
	chunks := 0
	until(t, src, func(b *event.Batch) bool {
		if b.Mark != nil && b.Mark.Table != nil && b.Mark.Table.Name.Table == "b" {
			chunks++
		}
		return chunks > 1
	})
	testbed.MustExec(t, s, "ALTER TABLE "+db+".b DROP PRIMARY KEY")
	stops(t, src, "its key was dropped")
}

// A run that was killed may have handed over rows that no checkpoint tells of: the next one stops at a statement that drops their key.
func TestKeyDroppedBetweenRuns(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	for _, way := range []string{"chunks", "classic"} {
		t.Run(way, func(t *testing.T) {
			db := onceTables(t, s)
			sel := selector(t, db+".%")
			opt := classicOptions(s, root(s), sel, Lock{})
			opt.Limits.Connections, opt.Once = 1, true
			from := live.Options{Config: live.Config{Config: login(t, s), Heartbeat: time.Second}, Flavor: opt.Flavor, Stream: t.Name(), Select: sel}
			open := func() source.Source {
				var err error
				if way == "classic" && opt.Place.IsZero() {
					if opt.Views, err = OpenViews(t.Context(), &opt); err != nil {
						t.Fatal(err)
					}
					from.Start = live.Start{Kind: live.StartView, GTIDs: opt.Views.Place.GTIDs, File: opt.Views.Place.File, Offset: opt.Views.Place.Offset}
				}
				if opt.Source, err = live.Open(t.Context(), from); err != nil {
					t.Fatal(err)
				}
				var src source.Source
				if way == "classic" {
					src, err = OpenClassic(t.Context(), opt)
				} else {
					src, err = Open(t.Context(), opt.Options)
				}
				if err != nil {
					t.Fatal(err)
				}
				return src
			}
			src := open()
			// All that the checkpoint gets to know: the snapshot has begun.
			catalog, seq := schemas.NewCatalog(opt.Flavor, 0), uint64(1)
			until(t, src, func(b *event.Batch) bool {
				for i := range b.History {
					catalog.Replay(&b.History[i])
					seq = b.History[i].Seq + 1
				}
				opt.Snapshot = opt.Snapshot.Then(b.Mark)
				opt.Place = opt.Place.Then(b.Pos)
				if b.Pos.Server != nil {
					opt.Place.Server = b.Pos.Server
				}
				return b.Mark != nil && b.Mark.Begin != nil
			})
			src.Close()
			testbed.MustExec(t, s, "ALTER TABLE "+db+".b DROP PRIMARY KEY")
			opt.Views, opt.Catalog = nil, catalog.Clone()
			from.Start = live.Start{Kind: live.StartCheckpoint, GTIDs: opt.Place.GTIDs, File: opt.Place.File, Offset: opt.Place.Offset, Server: *opt.Place.Server}
			from.Catalog, from.NextSeq = catalog, seq
			src = open()
			defer src.Close()
			stops(t, src, "its key was dropped")
		})
	}
}
