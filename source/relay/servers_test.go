//go:build servers

package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/source/live"
	"cdc/source/relay"
)

func flavorOf(k testbed.Kind) gtid.Flavor {
	if k.MariaDB() {
		return gtid.MariaDB
	}
	return gtid.MySQL
}

// bench is a relay of a test's server.
type bench struct {
	s     *testbed.Server
	cfg   live.Config
	dir   string
	opt   relay.Options
	start live.Start
	semi  bool
	r     *relay.Relay
	end   func()
}

func newBench(t *testing.T, s *testbed.Server, mode string) *bench {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(testbed.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bench{
		s: s, dir: filepath.Join(t.TempDir(), "relay"),
		cfg: live.Config{Config: session.Config{Address: s.Addr(), User: testbed.User, Password: settings.Secret{File: password}}, Heartbeat: 200 * time.Millisecond, GTID: mode},
	}
	b.opt = relay.Options{Dir: b.dir, Flavor: flavorOf(s.Kind), Retain: time.Hour, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	t.Cleanup(func() { b.stop() })
	return b
}

// run opens the relay and lets it read.
func (b *bench) run(t *testing.T) {
	t.Helper()
	r, err := relay.Open(t.Context(), b.opt)
	if err != nil {
		t.Fatal(err)
	}
	b.r = r
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	tap := live.TapOptions{Config: b.cfg, Flavor: flavorOf(b.s.Kind), Stream: t.Name(), SemiSync: b.semi, Log: b.opt.Log}
	go func() {
		done <- r.Run(ctx, relay.Taps{
			First: func(ctx context.Context) (source.Place, error) { return live.FirstPlace(ctx, tap, b.start) },
			Open: func(ctx context.Context, from source.Place, last int64) (source.Tap, error) {
				o := tap
				o.From, o.Last = from, last
				return live.OpenTap(ctx, o)
			},
			Pause: 5 * time.Millisecond, Most: 50 * time.Millisecond,
		})
	}()
	// Else the first stream may begin before the relay does.
	ready, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	if err := r.Ready(ready); err != nil {
		t.Error(err)
	}
	b.end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the relay: %v", err)
		}
		r.Close()
	}
}

func (b *bench) stop() {
	if b.end != nil {
		b.end()
		b.end = nil
	}
}

// feed is what a stream reads in place of the server.
type feed struct{ *relay.Relay }

func (f feed) Open(ctx context.Context, from source.Place) (live.FeedConn, source.Origin, error) {
	c, o, err := f.Follow(ctx, from)
	if err != nil {
		return nil, o, err
	}
	return c, o, nil
}

func (b *bench) options(t *testing.T, db string) live.Options {
	t.Helper()
	sel, err := schemas.ParseSelector([]string{db + ".%"})
	if err != nil {
		t.Fatal(err)
	}
	return live.Options{Config: b.cfg, Flavor: flavorOf(b.s.Kind), Select: sel, Start: b.start}
}

// story is what a source gave, in words.
type story struct{ lines []string }

// tell reads until a change of a table named over is seen.
func tell(t *testing.T, src source.Source, over string) (out story) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rows := map[string]int{}
	for {
		b, err := src.Read(ctx)
		if err != nil {
			t.Fatalf("behind %d transactions: %v", len(out.lines), err)
		}
		ended := false
		for i := range b.Txns {
			x := &b.Txns[i]
			id := fmt.Sprintf("%s %s:%d", x.GTID, x.File, x.Off)
			for j := x.First; j < x.Last; j++ {
				c := &b.Changes[j]
				table := b.Tables[c.Table]
				ended = ended || table.Name == over
				text := ""
				for _, r := range []event.Row{b.Before(int(j)), b.After(int(j))} {
					if r.IsZero() {
						continue
					}
					for k, cell := range r.Cells {
						text += " " + table.Columns[k].Name
						if cell.Kind().InArena() {
							text += fmt.Sprintf(":%d:%.9q", len(r.Bytes(cell)), r.Bytes(cell))
						} else {
							text += ":" + fmt.Sprint(cell.Kind(), cell.Uint64())
						}
					}
				}
				out.lines = append(out.lines, fmt.Sprintf("%s %s %s#%d%s", id, c.Op, table.Name, c.Row, text))
				rows[id]++
			}
			if x.End && rows[id] > 0 { // others work on the server too, and when what they do comes is not said
				out.lines = append(out.lines, fmt.Sprintf("%s ends %d %d %d %d %d %d rows", id, x.Next, x.Commit, x.ServerID, x.Sequence, x.Thread, rows[id]))
			}
		}
		b.Release()
		if ended {
			return out
		}
	}
}

func compare(t *testing.T, got, want story) {
	t.Helper()
	for i := range max(len(got.lines), len(want.lines)) {
		g, w := "nothing", "nothing"
		if i < len(got.lines) {
			g = got.lines[i]
		}
		if i < len(want.lines) {
			w = want.lines[i]
		}
		if g != w {
			t.Fatalf("line %d: by the relay\n%s\nby the server\n%s", i, g, w)
		}
	}
}

// traffic is work that is hard on who copies: rows and transactions of all sizes, DDL, files that end, what is not selected.
func traffic(db string, first int) []string {
	out := []string{"USE " + db}
	for i := range 40 {
		n := first + i
		out = append(out, fmt.Sprintf("INSERT INTO a VALUES (%d,REPEAT('x',%d))", n, 1+i*13%700), fmt.Sprintf("UPDATE a SET v='%d' WHERE id=%d", i, n))
		switch i {
		case 10:
			out = append(out, "FLUSH BINARY LOGS")
		case 20:
			out = append(out, fmt.Sprintf("INSERT INTO a VALUES (%d,REPEAT('y',3000000))", n+1000), "BEGIN", fmt.Sprintf("DELETE FROM a WHERE id=%d", n+1000))
			for j := range 30 {
				out = append(out, fmt.Sprintf("INSERT INTO a VALUES (%d,REPEAT('z',60000))", n+2000+j))
			}
			out = append(out, "COMMIT", "INSERT INTO other SELECT id, v FROM a")
		case 30:
			out = append(out, fmt.Sprintf("ALTER TABLE a ADD COLUMN c%d INT NOT NULL DEFAULT 7 FIRST", first), fmt.Sprintf("ALTER TABLE a DROP COLUMN c%d", first), "FLUSH BINARY LOGS")
		}
	}
	return out
}

func TestServersSameBatches(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} {
		for _, mode := range []string{"auto", "off"} {
			t.Run(k.String()+" gtid "+mode, func(t *testing.T) {
				t.Parallel()
				sameBatches(t, testbed.Shared(t, k), mode)
			})
		}
	}
}

func sameBatches(t *testing.T, s *testbed.Server, mode string) {
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "USE "+db, "CREATE TABLE a(id INT PRIMARY KEY, v LONGTEXT)", "CREATE TABLE other(id INT, v LONGTEXT)", "CREATE TABLE over1(id INT)", "CREATE TABLE over2(id INT)")
	b := newBench(t, s, mode)
	if _, err := live.OpenTap(t.Context(), live.TapOptions{Config: b.cfg, Flavor: flavorOf(s.Kind), Stream: t.Name(), SemiSync: true}); !fault.Has(err, fault.RelaySemiSync) {
		t.Errorf("a server that waits for nobody: %v", err)
	}
	b.run(t)
	o := b.options(t, db)
	direct, err := live.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	first, err := direct.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The relay began before the stream did, so that its place is there.
	server := *first.Pos.Server
	begin := live.Start{Kind: live.StartCheckpoint, GTIDs: first.Pos.GTIDs.Clone(), File: first.Pos.File, Offset: first.Pos.Offset, Server: server}
	catalog := schemas.NewCatalog(o.Flavor, server.Number())
	for i := range first.History {
		catalog.Replay(&first.History[i])
	}
	first.Release()

	testbed.MustExec(t, s, traffic(db, 0)...)
	testbed.MustExec(t, s, "INSERT INTO "+db+".over1 VALUES (1)")
	want := tell(t, direct, "over1")

	o.Feed = feed{b.r}
	o.Start = begin
	o.Catalog = catalog.Clone()
	copied, err := live.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, tell(t, copied, "over1"), want)
	copied.Close()

	// The relay stops in the middle of a file, loses what comes behind the last synced length, and goes on.
	b.stop()
	newest := relayFiles(t, b.dir)
	f, err := os.OpenFile(newest[len(newest)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half of an event"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	b.run(t)
	testbed.MustExec(t, s, traffic(db, 10000)...)
	testbed.MustExec(t, s, "INSERT INTO "+db+".over2 VALUES (1)")
	more := tell(t, direct, "over2")
	o.Feed, o.Catalog = feed{b.r}, catalog.Clone()
	if copied, err = live.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	again := tell(t, copied, "over2")
	more.lines = append(want.lines, more.lines...)
	compare(t, again, more)
	if n := strings.Count(strings.Join(again.lines, "\n"), " insert "); n < 100 {
		t.Fatalf("only %d inserts", n)
	}

	// The server's own program reads the files, and they are the server's.
	list := relayFiles(t, b.dir)
	// Not those in which a connection ended or began: a server does not send an event that names the next file where nothing else is left of one, nor MariaDB's
	// Gtid_list to a connection by GTID that begins with its file.
	cut := slices.Index(list, newest[len(newest)-1])
	if cut < 2 || cut+2 > len(list) {
		t.Fatalf("files of the relay: %q, cut in %d", list, cut)
	}
	whole := slices.Concat(list[1:cut], list[min(cut+2, len(list)-1):len(list)-1])
	theirs, err := s.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range whole {
		ours := read(t, p)
		i := slices.IndexFunc(theirs, func(q string) bool { return filepath.Base(q) == filepath.Base(p) })
		if i < 0 {
			t.Fatalf("%s is not of the server", p)
		}
		if same := read(t, theirs[i]); !bytes.Equal(ours[60:], same[60:]) {
			t.Errorf("%s: %d bytes, on the server %d", p, len(ours), len(same))
		}
	}
	if !s.Kind.MariaDB() {
		text, err := testbed.Mysqlbinlog(t.Context(), append([]string{"--verify-binlog-checksum", "--base64-output=decode-rows", "-v"}, list...)...)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "### INSERT INTO `"+db+"`.`a`"); n != 2*(40+1+30) {
			t.Errorf("mysqlbinlog reads %d inserts", n)
		}
	}
	src, err := files.Open(files.Config{Paths: list, Binlog: binlog.Config{Flavor: flavorOf(s.Kind), Select: o.Select.Match}, AllowUnnamed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if told := tell(t, src, "over2"); len(told.lines) < len(again.lines) {
		t.Errorf("files give %d lines, the relay %d", len(told.lines), len(again.lines))
	}
}

func relayFiles(t *testing.T, dir string) (out []string) {
	t.Helper()
	for line := range strings.Lines(string(read(t, filepath.Join(dir, "relay.index")))) {
		out = append(out, filepath.Join(dir, strings.TrimSpace(line)))
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
