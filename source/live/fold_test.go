//go:build servers

package live

import (
	"context"
	"testing"
	"time"

	"cdc/internal/testbed"
	"cdc/schemas"
)

// A server that compares names without case is resumed with a catalog that was rebuilt from the history, whether that says so or not.
func TestFoldedNamesAfterResume(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL57, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			s := testbed.Start(t, k, testbed.Options{Args: []string{"--lower-case-table-names=1"}})
			testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.MyTable(id INT PRIMARY KEY)")
			o := options(t, s, "D")
			src := open(t, o)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			b, err := src.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			src.Close()
			history := append([]schemas.Entry(nil), b.History...)
			pos := b.Pos
			b.Release()
			if history[0].Kind != schemas.FoldNames || history[0].Seq != 1 {
				t.Fatalf("the history begins with %+v", history[0])
			}
			testbed.MustExec(t, s, "ALTER TABLE D.MYTABLE ADD w INT FIRST", "INSERT INTO D.MyTable VALUES (7, 1)")
			for _, from := range []int{0, 1} { // with the entry, and without, as an earlier program left it
				again := o
				again.Catalog = schemas.NewCatalog(o.Flavor, pos.Server.Number())
				for i := range history[from:] {
					again.Catalog.Replay(&history[from+i])
				}
				again.NextSeq = uint64(len(history)) + 1
				again.Start = Start{Kind: StartCheckpoint, GTIDs: pos.GTIDs.Clone(), File: pos.File, Offset: pos.Offset, Server: *pos.Server}
				src := open(t, again)
				compare(t, read(t, src, 1), []string{`insert mytable#0 + w=7 id=1`})
				src.Close()
			}
		})
	}
}

// A statement on a whole database is handed out where a table of it could be selected.
func TestStatementsOnDatabases(t *testing.T) {
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	o := options(t, s, db)
	var err error
	if o.Select, err = schemas.ParseSelector([]string{db + ".orders"}); err != nil {
		t.Fatal(err)
	}
	src := open(t, o)
	testbed.MustExec(t, s, "ALTER DATABASE "+db+" CHARACTER SET latin1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		b, err := src.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		found := b.DDL != nil
		b.Release()
		if found {
			return
		}
	}
}
