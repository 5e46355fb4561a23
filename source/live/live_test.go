//go:build servers

package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cdc/event"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
)

func flavorOf(k testbed.Kind) gtid.Flavor {
	if k.MariaDB() {
		return gtid.MariaDB
	}
	return gtid.MySQL
}

// secret puts a password into a file.
func secret(t testing.TB, value string) settings.Secret {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Secret{File: file}
}

// options are those of a test's source: one database, from now on.
func options(t testing.TB, s *testbed.Server, db string) Options {
	t.Helper()
	sel, err := schemas.ParseSelector([]string{db + ".%"})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Config: Config{Config: session.Config{Address: s.Addr(), User: testbed.User, Password: secret(t, testbed.Password)}, Heartbeat: time.Second},
		Flavor: flavorOf(s.Kind), Stream: t.Name(), Select: sel,
	}
}

func open(t testing.TB, o Options) *Source {
	t.Helper()
	src, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// line is a change as tests compare it.
func line(b *event.Batch, i int) string {
	c := &b.Changes[i]
	t := b.Tables[c.Table]
	out := fmt.Sprintf("%s %s#%d", c.Op, t.Name, c.Row)
	for _, side := range []struct {
		mark string
		row  event.Row
	}{{"-", b.Before(i)}, {"+", b.After(i)}} {
		if side.row.IsZero() {
			continue
		}
		out += " " + side.mark
		for j, cell := range side.row.Cells {
			out += " " + t.Columns[j].Name + "=" + show(side.row, cell)
		}
	}
	return out
}

func show(r event.Row, c event.Cell) string {
	switch {
	case c.Kind() == event.Absent || c.Kind() == event.Null:
		return c.Kind().String()
	case c.Kind().InArena():
		b := r.Bytes(c)
		if len(b) > 40 {
			return fmt.Sprintf("%q..%d", b[:20], len(b))
		}
		return fmt.Sprintf("%q", b)
	case c.Kind() == event.Int:
		return fmt.Sprint(c.Int64())
	default:
		return fmt.Sprint(c.Uint64())
	}
}

// read collects changes until there are n of them.
func read(t testing.TB, src *Source, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out []string
	for len(out) < n {
		b, err := src.Read(ctx)
		if err != nil {
			t.Fatalf("after %d of %d changes: %v", len(out), n, err)
		}
		for i := range b.Changes {
			out = append(out, line(b, i))
		}
		b.Release()
	}
	if len(out) > n {
		t.Fatalf("%d changes where %d were made: %q", len(out), n, out[n:])
	}
	return out
}

func compare(t testing.TB, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("change %d: got %s, want %s", i, g, w)
		}
	}
}

func TestRowsOfEveryServer(t *testing.T) {
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		s := testbed.Shared(t, k)
		for _, mode := range []string{"auto", "off"} {
			t.Run("gtid "+mode, func(t *testing.T) {
				db := testbed.FreshDB(t, s)
				testbed.MustExec(t, s, "CREATE TABLE "+db+".a(id INT PRIMARY KEY, v VARCHAR(20), n BIGINT UNSIGNED)")
				o := options(t, s, db)
				o.Config.GTID = mode
				src := open(t, o)
				testbed.MustExec(t, s,
					"INSERT INTO "+db+".a VALUES (1,'x',1),(2,'y',18446744073709551615)",
					"UPDATE "+db+".a SET v='z' WHERE id=2",
					"ALTER TABLE "+db+".a ADD COLUMN w INT FIRST",
					"DELETE FROM "+db+".a WHERE id=1",
				)
				compare(t, read(t, src, 4), []string{
					`insert a#0 + id=1 v="x" n=1`,
					`insert a#1 + id=2 v="y" n=18446744073709551615`,
					`update a#0 - id=2 v="y" n=18446744073709551615 + id=2 v="z" n=18446744073709551615`,
					`delete a#0 - w=null id=1 v="x" n=1`,
				})
			})
		}
	})
}
