//go:build servers

package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/internal/testbed"
	random "cdc/internal/traffic"
)

// pair is two servers, of which one is to become as the other.
type pair struct {
	*pipe  // its server is the source
	target *testbed.Server
	o      random.Options
	mode   string // exactly_once
}

// targetOptions are those of the target. Where the source does not log what its foreign keys do, the target's have to do the same, and those that
// MySQL 9.7 handles above the engine (its default) do not always: see target.Cascade.
func targetOptions(from, to testbed.Kind) testbed.Options {
	if from != testbed.MySQL97 && to == testbed.MySQL97 {
		return testbed.Options{Args: []string{"--innodb-native-foreign-keys=ON"}}
	}
	return testbed.Options{}
}

// applier is the account at the target.
const applier = "applier"

// newPair starts the servers, both empty.
func newPair(t testing.TB, from, to testbed.Kind, mode string, o random.Options) *pair {
	t.Helper()
	p := &pair{o: o, mode: mode}
	p.o.Server = trafficOn(t, from)
	source := testbed.Start(t, from, testbed.Options{})
	p.target = testbed.Start(t, to, targetOptions(from, to))
	rights := []string{"CREATE USER " + applier + " IDENTIFIED BY '" + testbed.Password + "'", "GRANT ALL ON *.* TO " + applier + " WITH GRANT OPTION"}
	if err := p.target.Exec(t.Context(), append([]string{"SET sql_log_bin = 0"}, rights...)...); err != nil {
		t.Fatal(err)
	}
	p.pipe = &pipe{dir: t.TempDir(), server: source}
	p.yaml = filepath.Join(p.dir, "cdc.yaml")
	p.configure(t, "")
	t.Cleanup(func() {
		if dir := os.Getenv("CDC_KEEP"); dir != "" && t.Failed() {
			p.keep(t, dir)
		}
	})
	return p
}

// keep writes all that the binlogs of both servers have of a test that failed into a folder, as lines of the plain format.
func (p *pair) keep(t testing.TB, dir string) {
	for _, x := range []struct {
		side, user string
		s          *testbed.Server
	}{{"source", testbed.User, p.server}, {"target", applier, p.target}} {
		name := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+"-"+x.side+".jsonl")
		out, err := os.Create(name)
		if err != nil {
			t.Log(err)
			return
		}
		flavor := "mysql"
		if x.s.Kind.MariaDB() {
			flavor = "mariadb"
		}
		cmd := exec.Command(binary, "tail", flavor+"://"+x.user+"@"+x.s.Addr()+"/", "--tables", p.o.Databases()[0]+".%", "--tables", p.o.Databases()[1]+".%", "--tables", "cdc.%", "--from", "start", "--until", "now")
		cmd.Env = append(os.Environ(), "CDC_PASSWORD="+testbed.Password)
		cmd.Stdout = out
		if err := cmd.Run(); err != nil {
			t.Logf("keep the binlog: %v", err)
		}
		out.Close()
		t.Logf("the changes of the %s are in %s", x.side, name)
	}
}

// trafficOn says to the traffic what a server is.
func trafficOn(t testing.TB, k testbed.Kind) random.Server {
	t.Helper()
	known := map[testbed.Kind]random.Server{
		testbed.MySQL97: {Major: 9, Minor: 7}, testbed.MySQL80: {Major: 8}, testbed.MySQL57: {Major: 5, Minor: 7},
		testbed.MariaDB118: {MariaDB: true, Major: 11, Minor: 8}, testbed.MariaDB1011: {MariaDB: true, Major: 10, Minor: 11},
	}
	s, ok := known[k]
	if !ok {
		t.Fatalf("no traffic is known for %s", k)
	}
	return s
}

// configure writes the configuration. more are settings of the sink.
func (p *pair) configure(t testing.TB, more string) {
	t.Helper()
	if more != "" {
		t.Log(more)
		more = ", " + more
	}
	var b strings.Builder
	flavor := "mysql"
	if p.server.Kind.MariaDB() {
		flavor = "mariadb"
	}
	fmt.Fprintf(&b, "source:\n  %s: {address: %q, user: %s, password: {env: CDC_PASSWORD}, backoff: {first: 20ms, most: 500ms}}\n  start: start\n  tables: [", flavor, p.server.Addr(), testbed.User)
	for i, d := range p.o.Databases() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", d+".%")
	}
	b.WriteString("]\n")
	if p.o.Cascades {
		// Those that the source does not log the target's own keys carry out.
		b.WriteString("  accept_unlogged_cascades: [\"%.%\"]\n")
	}
	fmt.Fprintf(&b, "streams:\n  - name: all\n    sink:\n      mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, exactly_once: %s%s}\n",
		p.target.Addr(), applier, p.mode, more)
	b.WriteString("checkpoint: {dir: state, every: 200ms}\nmemory: 64MiB\n")
	if err := os.WriteFile(p.yaml, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// write makes the tables at the source and has sessions write there until stop is called, which waits for them.
func (p *pair) write(t testing.TB) (stop func()) {
	t.Helper()
	dial := func(ctx context.Context) (*client.Conn, error) { return p.server.Conn(ctx) }
	if p.o.DDL {
		if err := random.Setup(t.Context(), dial, p.o); err != nil {
			t.Fatal(err)
		}
	} else {
		// Without a trace in the binlog: nothing but rows is to come through the stream.
		silent := append([]string{"SET NAMES utf8mb4", "SET sql_log_bin = 0"}, p.o.Schema()...)
		if err := random.Send(t.Context(), dial, append(append(silent, "SET sql_log_bin = 1"), p.o.FirstRows()...)); err != nil {
			t.Fatal(err)
		}
		if err := random.Send(t.Context(), func(ctx context.Context) (*client.Conn, error) { return p.target.Conn(ctx) }, silent); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	var counts *random.Counts
	go func() {
		var err error
		counts, err = random.Run(ctx, dial, p.o)
		done <- err
	}()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("traffic: %v", err)
		}
		t.Log(counts)
		if counts.Committed.Load() == 0 {
			t.Error("nothing was written")
		}
	}
}

// counter is what differs without a difference of the tables.
var counter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// same checks that both servers hold the same: tables, how they are made, their rows; and with gtid_next the same GTIDs.
func (p *pair) same(t testing.TB) {
	t.Helper()
	names := func(s *testbed.Server) (all, views []string) {
		for _, d := range p.o.Databases() {
			rows, err := s.Query(t.Context(), "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = '"+d+"'")
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				name := "`" + d + "`.`" + r[0].String + "`"
				all = append(all, name)
				if r[1].String == "VIEW" {
					views = append(views, name)
				}
			}
		}
		slices.Sort(all)
		return all, views
	}
	want, views := names(p.server)
	got, _ := names(p.target)
	if !slices.Equal(want, got) {
		t.Errorf("the tables are\n%q, want\n%q", got, want)
	}
	if len(want) < 30 {
		t.Errorf("only %d tables", len(want))
	}
	bad := 0
	for _, name := range want {
		if slices.Contains(views, name) || !slices.Contains(got, name) {
			continue
		}
		if a, b := p.definition(t, p.server, name), p.definition(t, p.target, name); a != b && p.server.Kind == p.target.Kind {
			t.Errorf("%s is\n%s, want\n%s", name, b, a)
		}
		if p.rowsDiffer(t, name) {
			if bad++; bad > 5 {
				t.Fatal("and so on")
			}
		}
	}
	if p.mode == "gtid_next" {
		a, err := p.server.ExecutedGTIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.target.ExecutedGTIDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a != b {
			t.Errorf("the target has executed\n%s, want\n%s", b, a)
		}
	}
}

func (p *pair) definition(t testing.TB, s *testbed.Server, name string) string {
	t.Helper()
	rows, err := s.Query(t.Context(), "SHOW CREATE TABLE "+name)
	if err != nil {
		t.Fatal(err)
	}
	return counter.ReplaceAllString(rows[0][1].String, "")
}

// rowsDiffer compares the rows of a table, and says which differ.
func (p *pair) rowsDiffer(t testing.TB, name string) bool {
	t.Helper()
	sum := func(s *testbed.Server) string {
		rows, err := s.Query(t.Context(), "CHECKSUM TABLE "+name)
		if err != nil {
			t.Fatal(err)
		}
		return rows[0][1].String
	}
	if p.server.Kind == p.target.Kind && sum(p.server) == sum(p.target) {
		return false
	}
	want, got := dump(t, p.server, name), dump(t, p.target, name)
	if slices.Equal(want, got) {
		// MySQL 5.7 takes addresses in memory into the sum of a JSON column, and the sums of MariaDB differ for a table and its copy where it has
		// generated columns.
		if k := p.server.Kind; k == p.target.Kind && !k.MariaDB() && k != testbed.MySQL57 {
			t.Errorf("%s has the same values and another checksum", name)
			return true
		}
		return false
	}
	var diff []string
	for i, j := 0, 0; (i < len(want) || j < len(got)) && len(diff) < 8; {
		switch {
		case j == len(got) || i < len(want) && want[i] < got[j]:
			diff = append(diff, "missing: "+want[i])
			i++
		case i == len(want) || want[i] > got[j]:
			diff = append(diff, "too many: "+got[j])
			j++
		default:
			i++
			j++
		}
	}
	t.Errorf("%s has %d rows, want %d:\n%s", name, len(got), len(want), strings.Join(diff, "\n"))
	return true
}

// apply starts the pipeline.
func (p *pair) apply(t testing.TB) *process { return p.run(t) }

// dump gives the rows of a table, invisible columns too, sorted; each value so that no two of them look alike.
func dump(t testing.TB, s *testbed.Server, name string) (out []string) {
	t.Helper()
	db, table, _ := strings.Cut(strings.Trim(name, "`"), "`.`")
	columns, err := s.Query(t.Context(), "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = '"+db+"' AND table_name = '"+table+"' ORDER BY ordinal_position")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range columns {
		col := "`" + c[0].String + "`"
		switch kind := c[1].String; {
		case kind == "float": // as text it has lost digits
			col += " + 0e0"
		case kind == "bit", kind == "geometry", kind == "point", strings.Contains(kind, "char"), strings.Contains(kind, "binary"), strings.HasSuffix(kind, "text"), strings.HasSuffix(kind, "blob"):
			col = "HEX(" + col + ")"
		}
		list = append(list, col)
	}
	rows, err := s.Query(t.Context(), "SET NAMES utf8mb4", "SELECT "+strings.Join(list, ", ")+" FROM "+name)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		var b strings.Builder
		for i, v := range r {
			fmt.Fprintf(&b, "%s=", columns[i][0].String)
			switch {
			case !v.Valid:
				b.WriteString("NULL")
			case len(v.String) > 60:
				fmt.Fprintf(&b, "%.60q and more, with the hash %x", v.String, sha256.Sum256([]byte(v.String)))
			default:
				fmt.Fprintf(&b, "%q", v.String)
			}
			b.WriteString(" ")
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}
