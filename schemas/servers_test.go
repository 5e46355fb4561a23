//go:build servers

package schemas

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/gtid"
	"cdc/internal/testbed"
)

// trial runs statements on a server, notes what information_schema says behind each, then reads the binlog and compares.
type trial struct {
	t       *testing.T
	kind    testbed.Kind
	server  *testbed.Server
	flavor  gtid.Flavor
	version uint32
	control *client.Conn
	start   mysql.Position
	shots   []shot
	ran     int
	refused int
	maps    func(*replication.TableMapEvent)

	reported map[string]bool
}

// shot is what information_schema said at a place of the binlog.
type shot struct {
	pos       uint32
	databases []string
	statement string
	label     string
	tables    map[Name]*Table
	defaults  map[string]pairing
}

func newTrial(t *testing.T, k testbed.Kind) *trial {
	// Older MySQLs refuse CREATE TABLE .. SELECT where GTIDs are on.
	s := testbed.Start(t, k, testbed.Options{GTIDOff: k == testbed.MySQL57 || k == testbed.MySQL80, FullMetadata: k.HasFullMetadata()})
	tr := &trial{t: t, kind: k, server: s, reported: map[string]bool{}}
	if k.MariaDB() {
		tr.flavor = gtid.MariaDB
	}
	text := testbed.MustQuery(t, s, "SELECT @@version")[0][0].String
	tr.version = versionNumber(text)
	tr.control = tr.connect()
	tr.start = tr.position()
	return tr
}

func versionNumber(text string) uint32 {
	var v [3]uint32
	for i, f := range strings.SplitN(strings.SplitN(text, "-", 2)[0], ".", 3) {
		n, _ := strconv.Atoi(f)
		v[i] = uint32(n)
	}
	return v[0]*10000 + v[1]*100 + v[2]
}

func (tr *trial) connect() *client.Conn {
	tr.t.Helper()
	c, err := tr.server.Conn(tr.t.Context())
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() { c.Close() })
	if _, err := c.Execute("SET NAMES utf8mb4"); err != nil {
		tr.t.Fatal(err)
	}
	return c
}

func (tr *trial) query(q string) [][]sql.NullString {
	tr.t.Helper()
	rows, err := testbed.QueryConn(tr.t.Context(), tr.control, q)
	if err != nil {
		tr.t.Fatal(err)
	}
	return rows
}

func (tr *trial) position() mysql.Position {
	q := "SHOW MASTER STATUS"
	if tr.kind == testbed.MySQL97 {
		q = "SHOW BINARY LOG STATUS"
	}
	row := tr.query(q)[0]
	n, _ := strconv.ParseUint(row[1].String, 10, 32)
	return mysql.Position{Name: row[0].String, Pos: uint32(n)}
}

// run executes one statement in a session; if the server takes it and writes something, a shot is taken.
func (tr *trial) run(c *client.Conn, label, statement string, databases []string) error {
	tr.t.Helper()
	_, err := testbed.QueryConn(tr.t.Context(), c, statement)
	tr.ran++
	if err != nil {
		tr.refused++
	}
	pos := tr.position()
	if len(tr.shots) > 0 && tr.shots[len(tr.shots)-1].pos == pos.Pos {
		return err
	}
	tr.shots = append(tr.shots, tr.shoot(pos.Pos, databases, label, statement))
	return err
}

func (tr *trial) shoot(pos uint32, databases []string, label, statement string) shot {
	s := shot{pos: pos, databases: databases, statement: statement, label: label, tables: map[Name]*Table{}, defaults: map[string]pairing{}}
	var rows [4][][]sql.NullString
	for _, db := range databases {
		q := ISQueries(tr.flavor, tr.version, db)
		for i, text := range []string{q.Databases, q.Tables, q.Columns, q.Keys} {
			rows[i] = append(rows[i], tr.query(text)...)
		}
	}
	entries, err := ISEntries(tr.flavor, tr.version, rows[0], rows[1], rows[2], rows[3])
	if err != nil {
		tr.t.Fatalf("%s: %s: %v", label, statement, err)
	}
	for _, e := range entries {
		if e.Kind == PutDatabase {
			s.defaults[e.Name.Database] = pairing{e.Charset, e.Collation}
		} else {
			s.tables[e.Name] = e.Table
		}
	}
	return s
}

// check reads the binlog from where the trial began, interprets it, and compares with each shot. It gives the catalog at the end.
func (tr *trial) check(note func(*DDL)) *Catalog {
	t := tr.t
	t.Helper()
	cat := NewCatalog(tr.flavor, tr.version)
	cat.Replay(&Entry{Kind: PutDatabase})
	if len(tr.shots) == 0 {
		return cat
	}
	bad, last := 0, ""
	compare := func(s *shot) {
		if bad > 40 {
			return
		}
		diff := tr.compare(cat, s)
		if diff == last {
			return
		}
		last = diff
		if diff != "" {
			bad++
			t.Errorf("%s [%s]\n%s\nbehind: %s", tr.kind, s.label, diff, s.statement)
		}
	}
	if tr.maps == nil {
		tr.maps = func(m *replication.TableMapEvent) {
			if diff := compareMap(cat, m); diff != "" {
				t.Errorf("%s %s", tr.kind, diff)
			}
		}
	}
	next := 0
	tr.read(func(pos uint32, st *Statement) {
		for next < len(tr.shots) && tr.shots[next].pos < pos {
			compare(&tr.shots[next])
			next++
		}
		if st == nil {
			return
		}
		ddl, err := cat.Apply(st)
		if err != nil {
			t.Fatal(err)
		}
		if note != nil {
			note(ddl)
		}
	})
	for ; next < len(tr.shots); next++ {
		compare(&tr.shots[next])
	}
	return cat
}

// read streams the binlog up to the last shot and calls f with the end of each event, and with the statement of those which have one.
func (tr *trial) read(f func(pos uint32, st *Statement)) {
	t := tr.t
	end := tr.shots[len(tr.shots)-1].pos
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 77000 + uint32(os.Getpid()%1000), Flavor: map[bool]string{true: "mariadb", false: "mysql"}[tr.kind.MariaDB()],
		Host: "127.0.0.1", Port: uint16(tr.server.Port), User: testbed.User, Password: testbed.Password, DisableRetrySync: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	defer syncer.Close()
	stream, err := syncer.StartSync(tr.start)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		e, err := stream.GetEvent(ctx)
		if err != nil {
			t.Fatalf("read the binlog: %v", err)
		}
		var st *Statement
		if q, ok := e.Event.(*replication.QueryEvent); ok {
			st = statementOf(q, e.Header.Flags, tr.flavor, tr.version)
		}
		f(e.Header.LogPos, st)
		if m, ok := e.Event.(*replication.TableMapEvent); ok && tr.maps != nil {
			tr.maps(m)
		}
		if e.Header.LogPos >= end {
			return
		}
	}
}

func statementOf(q *replication.QueryEvent, flags uint16, flavor gtid.Flavor, version uint32) *Statement {
	st := &Statement{Text: string(q.Query), ErrorCode: q.ErrorCode, Database: string(q.Schema), Flavor: flavor, Version: version, ThreadSpecific: flags&4 != 0}
	b := q.StatusVars
	need := func(n int) []byte {
		if len(b) < n {
			n = len(b)
		}
		v := b[:n]
		b = b[n:]
		return append(slices.Clone(v), make([]byte, 8)...)
	}
	for len(b) > 0 {
		code := b[0]
		b = b[1:]
		switch code {
		case 0:
			// MariaDB: OPTION_EXPLICIT_DEF_TIMESTAMP
			if v := binary.LittleEndian.Uint32(need(4)); flavor == gtid.MariaDB && version >= 101100 {
				st.ExplicitTimestamp = uint8(v>>24&1) + 1
			}
		case 3, 10:
			need(4)
		case 1:
			st.SQLMode = binary.LittleEndian.Uint64(need(8))
		case 2:
			need(int(need(1)[0]) + 1)
		case 4:
			v := need(6)
			st.ClientCollation, st.ConnectionCollation, st.ServerCollation = binary.LittleEndian.Uint16(v), binary.LittleEndian.Uint16(v[2:]), binary.LittleEndian.Uint16(v[4:])
		case 5:
			n := int(need(1)[0])
			st.TimeZone = string(need(n)[:n])
		case 6:
			need(int(need(1)[0]))
		case 7:
			need(2)
		case 8:
			st.DatabaseCollation = binary.LittleEndian.Uint16(need(2))
		case 9, 17, 129:
			need(8)
		case 11:
			need(int(need(1)[0]))
			need(int(need(1)[0]))
		case 12:
			n := need(1)[0]
			for ; n > 0 && n != 254; n-- {
				for len(b) > 0 && need(1)[0] != 0 {
				}
			}
		case 13, 128:
			need(3)
		case 16:
			st.ExplicitTimestamp = need(1)[0] + 1
		case 18:
			st.DefaultUTF8MB4 = binary.LittleEndian.Uint16(need(2))
		case 19, 20:
			need(1)
		case 130:
			if need(1)[0]&0x80 != 0 {
				need(8)
			}
		case 131:
			for n := need(1)[0]; n > 0; n-- {
				v := need(4)
				st.CharsetCollations = append(st.CharsetCollations, [2]uint16{binary.LittleEndian.Uint16(v), binary.LittleEndian.Uint16(v[2:])})
			}
		default:
			panic(fmt.Sprintf("status variable %d in % x", code, q.StatusVars))
		}
	}
	return st
}

// compare gives what differs between the catalog and a shot.
func (tr *trial) compare(cat *Catalog, s *shot) string {
	var diffs []string
	add := func(format string, args ...any) { diffs = append(diffs, fmt.Sprintf(format, args...)) }
	for db, want := range s.defaults {
		cs, coll, ok := cat.Database(db)
		if !ok || cs != want.charset || coll != want.collation {
			add("database %s: tracked %q %q %v, server %q %q", db, cs, coll, ok, want.charset, want.collation)
		}
	}
	for n, want := range s.tables {
		got, state := cat.Table(n.Database, n.Table)
		if state != Known {
			reason := ""
			if why := cat.Why(n.Database, n.Table); why != nil {
				reason = why.Reason
				if strings.HasPrefix(reason, "it is like") || strings.HasPrefix(reason, "the servers damage") || strings.HasPrefix(reason, "it was ") || strings.HasPrefix(reason, "CREATE TABLE IF NOT EXISTS of a table that was renamed") ||
					strings.HasPrefix(reason, "a key goes over") || strings.HasPrefix(reason, "COLLATE before") || strings.HasPrefix(reason, "it may be like") || strings.HasPrefix(reason, "CONVERT TO and") || strings.HasPrefix(reason, "the character set before the conversion is not known") || strings.HasPrefix(reason, "a column stands behind") || s.label == "forgets" || strings.HasPrefix(s.label, "forgets ") {
					continue
				}
			}
			add("%s is %s: %s", n, state, reason)
			continue
		}
		if got.Collation == "" { // not known: it was made like a temporary table
			unsaid := *want
			unsaid.Charset, unsaid.Collation = "", ""
			unsaid.Columns = slices.Clone(want.Columns)
			for i := range min(len(unsaid.Columns), len(got.Columns)) {
				if c := &unsaid.Columns[i]; c.Type.IsText() && got.Columns[i].Charset == "" {
					c.Charset, c.Collation = "", ""
				}
			}
			want = &unsaid
		}
		a, b := describe(got), describe(want)
		if a != b {
			if d := lineDiff(a, b); !tr.reported[d] { // each only once
				tr.reported[d] = true
				add("%s", d)
			}
		}
	}
	for _, n := range cat.Names() {
		// RENAME TABLE of a temporary table, which MariaDB logs as if it had renamed the table of that name: see renameOrNot.
		var renamed bool
		if t, state := cat.Table(n.Database, n.Table); state == Forgotten {
			renamed = strings.HasPrefix(cat.Why(n.Database, n.Table).Reason, "it was ")
		} else {
			renamed = t.Origin == FromRename
		}
		if slices.Contains(s.databases, n.Database) && s.tables[n] == nil && !(renamed && tr.kind.MariaDB()) {
			add("%s is tracked, the server has no such table", n)
		}
	}
	return strings.Join(diffs, "\n")
}

// compareMap compares a table map with the version that the catalog has at its place.
func compareMap(cat *Catalog, m *replication.TableMapEvent) string {
	n := Name{string(m.Schema), string(m.Table)}
	table, state := cat.Table(n.Database, n.Table)
	if either := cat.Either(n.Database, n.Table); len(either) > 0 {
		for _, t := range either {
			c := NewCatalog(cat.flavor, cat.version)
			c.Put(t)
			if compareMap(c, m) == "" {
				return ""
			}
		}
		return fmt.Sprintf("rows of %s have %d columns %v, and fit none of those that are possible", n, m.ColumnCount, m.ColumnNameString())
	}
	if state != Known {
		return ""
	}
	var got, want []string
	for i := range table.Columns {
		got = append(got, table.Columns[i].Name)
	}
	want = m.ColumnNameString()
	if len(want) == 0 {
		if int(m.ColumnCount) != len(got) {
			return fmt.Sprintf("rows of %s have %d columns, tracked are %v", n, m.ColumnCount, got)
		}
		return ""
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("rows of %s have the columns %v, tracked are %v", n, want, got)
	}
	return ""
}

// lineDiff gives the lines of two texts that are not in both: - tracked, + server.
func lineDiff(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	out := []string{la[0]}
	for _, l := range la {
		if !slices.Contains(lb, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range lb {
		if !slices.Contains(la, l) {
			out = append(out, "+ "+l)
		}
	}
	if len(out) == 1 {
		return a + "in another order:\n" + b
	}
	return strings.Join(out, "\n")
}

// TestServersStatements compares the tracked schema with information_schema behind each statement of testdata/*.sql.
func TestServersStatements(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no statements", err)
	}
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		t.Parallel()
		tr := newTrial(t, k)
		prefix := "s" + strconv.FormatInt(time.Now().UnixNano()%1e9, 36)
		n := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range parseCases(t, string(text)) {
				if !c.wants(string(k)) {
					continue
				}
				n++
				tr.runCase(c, fmt.Sprintf("%s%da", prefix, n), fmt.Sprintf("%s%db", prefix, n))
			}
		}
		tr.check(nil)
		t.Logf("%s: %d cases, %d statements, %d refused, %d compared", k, n, tr.ran, tr.refused, len(tr.shots))
	})
}

// runCase runs a case in two databases of its own, {a} and {b}.
func (tr *trial) runCase(c testCase, a, b string) {
	t := tr.t
	conn := tr.connect()
	defer conn.Close()
	both := []string{a, b}
	for _, q := range []string{"CREATE DATABASE " + a, "CREATE DATABASE " + b, "USE " + a} {
		if err := tr.run(conn, c.name, q, both); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range c.statements {
		may := strings.HasPrefix(q, "?")
		q = strings.NewReplacer("{a}", a, "{b}", b).Replace(strings.TrimPrefix(q, "?"))
		if err := tr.run(conn, c.name, q, both); err != nil && !may {
			t.Errorf("%s [%s] refused: %v", tr.kind, c.name, err)
		}
	}
	for _, q := range []string{"DROP DATABASE IF EXISTS " + a, "DROP DATABASE IF EXISTS " + b} {
		if err := tr.run(conn, c.name, q, both); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServersRandom does the same over random statements. CDC_SEEDS is the number of runs of 120 statements per server, 3 where it is not
// set; CDC_SEED is the first.
func TestServersRandom(t *testing.T) {
	number := func(name string, unset uint64) uint64 {
		if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
			return n
		}
		return unset
	}
	seeds, first := number("CDC_SEEDS", 3), number("CDC_SEED", 1)
	testbed.Each(t, func(t *testing.T, k testbed.Kind) {
		tr := newTrial(t, k)
		forgotten := 0
		for seed := first; seed < first+seeds; seed++ {
			a, b := fmt.Sprintf("r%da", seed), fmt.Sprintf("r%db", seed)
			g := newGenerator(seed, string(k), a, b)
			conn := tr.connect()
			for _, q := range []string{"CREATE DATABASE " + a, "CREATE DATABASE " + b, "USE " + a} {
				if err := tr.run(conn, "random", q, []string{a, b}); err != nil {
					t.Fatal(err)
				}
			}
			for range 120 {
				_ = tr.run(conn, fmt.Sprintf("seed %d", seed), g.statement(), []string{a, b}) // refused ones leave no trace
				g.observe(tr.shots[len(tr.shots)-1].tables)
			}
			conn.Close()
		}
		tr.check(func(d *DDL) {
			for _, e := range d.Entries {
				if e.Kind == ForgetTable {
					forgotten++
					t.Logf("forgot %s: %s", e.Name, e.Reason)
				}
			}
		})
		t.Logf("%s: %d statements, %d refused, %d compared, %d forgotten", k, tr.ran, tr.refused, len(tr.shots), forgotten)
	})
}
