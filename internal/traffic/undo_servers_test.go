//go:build servers

package traffic_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/internal/testbed"
	"cdc/internal/traffic"
	"cdc/recovery/flashback"
	"cdc/schemas"
	"cdc/session"
	"cdc/source/binlog"
	"cdc/source/files"
)

var servers = map[testbed.Kind]traffic.Server{
	testbed.MySQL97: {Major: 9, Minor: 7}, testbed.MySQL80: {Major: 8}, testbed.MySQL57: {Major: 5, Minor: 7},
	testbed.MariaDB118: {MariaDB: true, Major: 11, Minor: 8}, testbed.MariaDB1011: {MariaDB: true, Major: 10, Minor: 11},
}

// seeds gives how many stretches of traffic are undone on each server, and the first seed.
func seeds(t *testing.T) (n int, first uint64) {
	t.Helper()
	n, first = 1, uint64(time.Now().UnixNano())
	if v := os.Getenv("CDC_FLASHBACKS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	if v := os.Getenv("CDC_SEED"); v != "" {
		var err error
		if first, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return n, first
}

// end is where the binlog of a server ends.
func end(t *testing.T, s *testbed.Server) files.Bound {
	t.Helper()
	query := "SHOW MASTER STATUS"
	if s.Kind == testbed.MySQL97 {
		query = "SHOW BINARY LOG STATUS"
	}
	row := testbed.MustQuery(t, s, query)[0]
	off, err := strconv.ParseUint(row[1].String, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return files.Bound{File: row[0].String, Offset: off}
}

// checksums gives what tells whether a table is what it was. MySQL 5.7 takes addresses in memory into the sum of a JSON column, and MariaDB what happens to
// lie in the place of generated columns (a table and its copy have different sums), so there the rows are compared.
func checksums(t *testing.T, s *testbed.Server, tables []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	var sums []string
	for _, name := range tables {
		if s.Kind != testbed.MySQL57 && (!s.Kind.MariaDB() || !strings.HasSuffix(name, ".generated")) {
			sums = append(sums, name)
			continue
		}
		var rows []string
		for _, row := range testbed.MustQuery(t, s, "SET NAMES binary", "SELECT * FROM "+name) {
			rows = append(rows, fmt.Sprint(row))
		}
		slices.Sort(rows)
		out[name] = strings.Join(rows, "\n")
	}
	if len(sums) > 0 {
		for _, row := range testbed.MustQuery(t, s, "CHECKSUM TABLE "+strings.Join(sums, ", ")) {
			out[row[0].String] = row[1].String
		}
	}
	if len(out) != len(tables) {
		t.Fatalf("%d checksums of %d tables", len(out), len(tables))
	}
	return out
}

// collect reads what a server wrote from a place on.
func collect(t *testing.T, s *testbed.Server, from files.Bound, sel func(db, table string) bool, o flashback.Options) (*flashback.Undo, error) {
	t.Helper()
	return collectUntil(t, s, from, files.Bound{}, sel, o)
}

func collectUntil(t *testing.T, s *testbed.Server, from, until files.Bound, sel func(db, table string) bool, o flashback.Options) (*flashback.Undo, error) {
	t.Helper()
	paths, err := s.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	flavor, version, err := files.Inspect(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	src, err := files.Open(files.Config{Paths: paths, Start: from, Stop: until, Binlog: binlog.Config{
		Flavor: flavor, Catalog: schemas.NewCatalog(flavor, version), NextSeq: 1, Select: sel, Spool: spool{t.TempDir()}, BatchBytes: 1 << 14,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	o.Flavor, o.Temp = flavor, t.TempDir()
	return flashback.Collect(t.Context(), src, o)
}

// carryOut runs a script as a client does.
func carryOut(t *testing.T, s *testbed.Server, script string) error {
	t.Helper()
	conn, err := client.ConnectWithContext(t.Context(), s.Addr(), "root", "", "", 10*time.Second, func(c *client.Conn) error {
		if err := c.SetCapability(mysql.CLIENT_FOUND_ROWS); err != nil {
			return err
		}
		return c.SetCapability(mysql.CLIENT_MULTI_STATEMENTS)
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	var failed error
	_, err = conn.ExecuteMultiple(script, func(_ *mysql.Result, err error) {
		if failed == nil {
			failed = err
		}
	})
	return errors.Join(failed, err)
}

func open(t *testing.T, s *testbed.Server) *session.Session {
	t.Helper()
	c, err := session.Open(t.Context(), session.Config{Address: s.Addr(), User: "root", TLS: session.TLS{Mode: "disabled"}}, session.Options{Codes: session.TargetCodes(), FoundRows: true, MultiStatements: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Random traffic over all types is undone: each table is what it was before, to the byte.
func TestServersUndo(t *testing.T) {
	n, first := seeds(t)
	kinds := os.Getenv("CDC_KINDS")
	if kinds == "" {
		kinds = "mysql97,mysql57,mariadb118"
	}
	for kind, server := range servers {
		if !slices.Contains(strings.Split(kinds, ","), kind.String()) {
			continue
		}
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			s := testbed.Start(t, kind, testbed.Options{Compress: kind.HasCompression() && first%2 == 0})
			dial := func(ctx context.Context) (*client.Conn, error) { return s.Conn(ctx) }
			for seed := first; seed < first+uint64(n) && !t.Failed(); seed++ {
				undo(t, s, dial, server, seed, int(seed-first))
			}
		})
	}
}

func undo(t *testing.T, s *testbed.Server, dial traffic.Dial, server traffic.Server, seed uint64, n int) {
	t.Logf("seed %d", seed)
	// Sessions that check no foreign keys make rows without a parent, which no session that checks them can put back.
	o := traffic.Options{Seed: seed, Prefix: fmt.Sprintf("s%d_", n), Server: server, Sessions: 3, Modes: seed%2 == 0, XA: true, Cascades: s.Kind == testbed.MySQL97, Rows: 60}
	if err := traffic.Setup(t.Context(), dial, o); err != nil {
		t.Fatal(err)
	}
	traffics := func(more uint64) {
		o := o
		o.Seed += more
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		c, err := traffic.Run(ctx, dial, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(c)
	}
	traffics(0)
	from, before := end(t, s), checksums(t, s, o.Tables())
	traffics(1 << 40)
	changed := 0
	for name, sum := range checksums(t, s, o.Tables()) {
		if before[name] != sum {
			changed++
		}
	}
	sel := func(db, _ string) bool { return db == o.Databases()[0] || db == o.Databases()[1] }
	opt := flashback.Options{NoGuard: rand.New(rand.NewPCG(seed, 9)).IntN(4) == 0, NoForeignKeys: o.Modes}
	u, err := collect(t, s, from, sel, opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Apply(t.Context(), open(t, s), flashback.ApplyOptions{}); err != nil && s.Kind != testbed.MySQL97 && strings.Contains(err.Error(), "1451") && strings.Contains(err.Error(), ".`tree`") {
		t.Log("a row refers to itself, which InnoDB deletes without a check of foreign keys only")
		u.Close()
		opt.NoForeignKeys = true
		if u, err = collect(t, s, from, sel, opt); err != nil {
			t.Fatal(err)
		}
	}
	defer u.Close()
	var script strings.Builder
	if err := u.SQL(&script); err != nil {
		t.Fatal(err)
	}
	// A trial changes nothing, and finds a row for each change: so the script does too.
	now := checksums(t, s, o.Tables())
	conn := open(t, s)
	if done, err := u.Apply(t.Context(), conn, flashback.ApplyOptions{}); err != nil || done.Rows != u.Rows() || done.Commits != 0 {
		t.Errorf("%+v of %d rows: %v", done, u.Rows(), err)
	}
	for name, sum := range checksums(t, s, o.Tables()) {
		if now[name] != sum {
			t.Errorf("a trial has changed %s", name)
		}
	}
	if n%2 == 0 {
		if err := carryOut(t, s, script.String()); err != nil {
			t.Error(err)
		}
	} else if done, err := u.Apply(t.Context(), conn, flashback.ApplyOptions{Commit: true, CommitEvery: int64(n)}); err != nil || done.Rows != u.Rows() || done.Commits < 2 {
		t.Errorf("%+v of %d rows: %v", done, u.Rows(), err)
	}
	t.Logf("%d tables changed by %d transactions, %d rows", changed, u.Txns, u.Rows())
	for name, sum := range checksums(t, s, o.Tables()) {
		if before[name] != sum {
			t.Errorf("%s is not what it was", name)
		}
	}
	if changed == 0 || u.Rows() == 0 {
		t.Error("nothing happened that could be undone")
	}
	testbed.MustExec(t, s, "SET foreign_key_checks=0", "DROP DATABASE "+o.Databases()[0], "DROP DATABASE "+o.Databases()[1])
}

type spool struct{ dir string }

func (s spool) Create(name string) (binlog.SpoolFile, error) {
	return os.Create(filepath.Join(s.dir, name))
}

func (s spool) Open(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(s.dir, name)) }

func (s spool) Remove(name string) error { return os.Remove(filepath.Join(s.dir, name)) }
