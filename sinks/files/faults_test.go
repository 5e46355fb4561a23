package files_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

var shop = &schemas.Table{
	Database: "shop", Name: "orders", PrimaryKey: []int{0},
	Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt}, {Name: "v", Type: schemas.VarChar}},
}

var uuid = gtid.UUID{0xcc}

// batch makes one transaction of rows rows of a table.
func batch(pool *event.Pool, table *schemas.Table, seq uint64, rows int) *event.Batch {
	b := pool.Get()
	id := gtid.GTID{UUID: uuid, Seq: seq}
	b.Seq = seq
	b.Txns = append(b.Txns, event.Txn{GTID: id, File: "binlog.000001", Off: seq * 100, Next: seq*100 + 100, Begin: true, End: true})
	b.Groups = append(b.Groups, event.Group{})
	at, _ := b.AddTable(table)
	for row := range rows {
		cells, arena := b.Slabs()
		first := len(cells)
		text := append(append([]byte("row "), itoa(row)...), (" of " + id.String())...)
		cells = append(cells, event.IntCell(int64(row)), event.ArenaCell(event.String, len(arena), len(text), 0))
		for range len(table.Columns) - 2 {
			cells = append(cells, event.NullCell())
		}
		b.PutSlabs(cells, append(arena, text...))
		b.AddChange(event.Insert, at, uint32(row), 0, uint32(first))
	}
	b.Pos = event.Position{GTIDs: &gtid.Set{}, File: "binlog.000001", Offset: seq*100 + 100}
	b.Pos.GTIDs.Add(id)
	b.Charge()
	return b
}

func itoa(n int) []byte {
	if n < 10 {
		return []byte{byte('0' + n)}
	}
	return append(itoa(n/10), byte('0'+n%10))
}

func open(t testing.TB, opt files.Options) *files.Sink {
	t.Helper()
	if opt.Encoder == nil {
		opt.Encoder = sinktest.NewEncoder
	}
	s, err := files.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t testing.TB, s sinks.Sink, b *event.Batch) {
	t.Helper()
	if err := s.Write(t.Context(), b, func(error) {}); err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, s sinks.Sink) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull runs out of space at every number of bytes, and gives some more each time the sink says that it waits.
func TestDiskFull(t *testing.T) {
	script := sinktest.NewScript("mysql", 5, 15)
	for limit := int64(0); limit < 6000; limit += 61 {
		synctest.Test(t, func(t *testing.T) {
			disk := filestest.NewDisk(uint64(limit))
			to := &fullTarget{disk: disk}
			disk.Limit(limit)
			if _, err := script.Life(t, to, 0, 1); err != nil {
				t.Fatalf("limit %d: %v", limit, err)
			}
			script.Check(t, to)
			if to.stalls.Load() != to.resumes.Load() {
				t.Errorf("limit %d: %d pauses, %d ends of one", limit, to.stalls.Load(), to.resumes.Load())
			}
			if limit == 0 && to.stalls.Load() == 0 {
				t.Error("it never waited")
			}
		})
	}
}

// fullTarget gives some bytes more whenever the sink stalls.
type fullTarget struct {
	disk            *filestest.Disk
	stalls, resumes atomic.Int32
}

func (f *fullTarget) Open(ctx context.Context, budget *event.Budget) (sinks.Sink, error) {
	return files.Open(ctx, files.Options{
		Store: noFree{f.disk}, Encoder: sinktest.NewEncoder, Budget: budget, MaxSize: 700, Buffer: 200, OpenFiles: 2,
		Stalled: func(err error) {
			if err == nil {
				f.resumes.Add(1)
				return
			}
			f.stalls.Add(1)
			if !fault.Has(err, fault.SinkDiskFull) || fault.ClassOf(err) != fault.Retry {
				panic(err)
			}
			time.AfterFunc(2500*time.Millisecond, func() { f.disk.Limit(8000) })
		},
	})
}

// noFree keeps the sink from asking beforehand.
type noFree struct{ *filestest.Disk }

func (noFree) Free(context.Context) (uint64, error) { return 1 << 40, nil }

func (f *fullTarget) Delivered(t testing.TB) []sinktest.Record { return readRecords(t, f.disk.Files()) }

func (f *fullTarget) Crash(testing.TB) sinktest.Target { return f }

// TestShortWrite cuts a write off in the middle of a row.
func TestShortWrite(t *testing.T) {
	disk := filestest.NewDisk(1)
	var once sync.Once
	store := filestest.Wrap(disk, func(_ context.Context, op, name string) (err error) {
		if op == "write" && strings.HasPrefix(name, ".cdc/tmp/") {
			once.Do(func() { err = &filestest.ShortError{N: 13, Err: syscall.EDQUOT} })
		}
		return err
	})
	s := open(t, files.Options{Store: store, Pause: time.Millisecond})
	var pool event.Pool
	write(t, s, batch(&pool, shop, 1, 3))
	flush(t, s)
	if got := len(readRecords(t, disk.Files())); got != 3 {
		t.Errorf("%d rows, want 3", got)
	}
}

// TestFaults looks at the code for each thing that a system can answer.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		op   string
		err  error
		want fault.Code
	}{
		{"create", fs.ErrPermission, fault.SinkWrite},
		{"create", syscall.EROFS, fault.SinkWrite},
		{"create", syscall.ENAMETOOLONG, fault.SinkPathTooBig},
		{"write", syscall.EIO, fault.SinkWrite},
		{"sync", syscall.EIO, fault.SinkWrite},
		{"sync", syscall.ENOSPC, fault.SinkDiskFull}, // not tried again: what was not written is forgotten by the kernel
		{"syncdir", syscall.EIO, fault.SinkWrite},
		{"publish", syscall.EXDEV, fault.SinkWrite},
		{"publish", files.ErrNotRegular, fault.SinkConflict},
		{"rename", syscall.EACCES, fault.SinkWrite},
	} {
		t.Run(c.op+" "+c.err.Error(), func(t *testing.T) {
			disk := filestest.NewDisk(1)
			var broken atomic.Bool
			s := open(t, files.Options{Store: filestest.Wrap(disk, func(_ context.Context, op, _ string) error {
				if op == c.op && broken.Load() {
					return &fs.PathError{Op: op, Path: "x", Err: c.err}
				}
				return nil
			})})
			broken.Store(true)
			var pool event.Pool
			acked := make(chan error, 1)
			if err := s.Write(t.Context(), batch(&pool, shop, 1, 3), func(err error) { acked <- err }); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(t.Context()); !fault.Has(err, c.want) || !errors.Is(err, c.err) {
				t.Errorf("flush: %v, want %v", err, c.want)
			}
			if err := <-acked; !fault.Has(err, c.want) {
				t.Errorf("acked with %v", err)
			}
			broken.Store(false)
			_ = s.Close()
			again := open(t, files.Options{Store: disk}) // and all is well again
			p, holds, err := again.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if holds && p.GTIDs.Contains(gtid.GTID{UUID: uuid, Seq: 1}) {
				want = 3
			}
			if got := len(readRecords(t, disk.Files())); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
		})
	}
}

func TestEncoderFails(t *testing.T) {
	dir := t.TempDir()
	for _, table := range []*schemas.Table{{Database: "bad", Name: "fails", Columns: shop.Columns}, {Database: "bad", Name: "feed", Columns: shop.Columns}} {
		s := open(t, files.Options{Dir: dir, Encoder: newPlain})
		var pool event.Pool
		write(t, s, batch(&pool, table, 1, 1))
		err := s.Flush(t.Context())
		f, ok := fault.As(err)
		if !ok || f.Code != fault.FormatValue || f.Where.Table != table.FullName() || f.Where.GTID == "" {
			t.Errorf("%s: %v", table.Name, err)
		}
		_ = s.Close()
	}
}

func TestMinFree(t *testing.T) {
	disk := filestest.NewDisk(1)
	disk.Limit(1 << 20)
	_, err := files.Open(t.Context(), files.Options{Store: disk, Encoder: sinktest.NewEncoder})
	if !fault.Has(err, fault.SinkDiskFull) {
		t.Errorf("open with 1 MiB free: %v", err)
	}
	disk.Limit(-1)
	if err := open(t, files.Options{Store: disk}).Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := open(t, files.Options{Dir: dir})
	if _, err := files.Open(t.Context(), files.Options{Dir: dir, Encoder: sinktest.NewEncoder}); !fault.Has(err, fault.SinkLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, files.Options{Dir: dir})
}

func TestStreamIdentity(t *testing.T) {
	dir := t.TempDir()
	s := open(t, files.Options{Dir: dir, Stream: "a"})
	var pool event.Pool
	write(t, s, batch(&pool, shop, 1, 1))
	flush(t, s)
	_ = s.Close()
	if _, err := files.Open(t.Context(), files.Options{Dir: dir, Stream: "b", Encoder: sinktest.NewEncoder}); !fault.Has(err, fault.SinkConflict) {
		t.Errorf("open as another stream: %v", err)
	}
	open(t, files.Options{Dir: dir, Stream: "a"})
}

// TestStart compares the stream's start with the folder's place.
func TestStart(t *testing.T) {
	dir := t.TempDir()
	set := func(n uint64) *gtid.Set { g := &gtid.Set{}; g.AddRange(uuid, "", 1, n); return g }
	s := open(t, files.Options{Dir: dir})
	if err := s.Start(t.Context(), sinks.Place{GTIDs: set(4), File: "binlog.000001", Offset: 500}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), sinks.Place{}); err == nil {
		t.Error("it started twice")
	}
	var pool event.Pool
	write(t, s, batch(&pool, shop, 5, 1))
	flush(t, s)
	if p, ok, _ := s.Position(t.Context()); !ok || !p.GTIDs.Equal(set(5)) || p.Offset != 600 {
		t.Errorf("place is %v", p)
	}
	_ = s.Close()
	for _, c := range []struct {
		base sinks.Place
		gap  bool
		want fault.Code
	}{
		{sinks.Place{GTIDs: set(5)}, false, 0},
		{sinks.Place{GTIDs: set(2)}, false, 0},
		{sinks.Place{}, false, 0},
		{sinks.Place{GTIDs: set(6)}, false, fault.SinkBehind},
		{sinks.Place{GTIDs: set(6)}, true, 0},
		{sinks.Place{File: "binlog.000001", Offset: 600, ByFile: true}, false, 0},
		{sinks.Place{File: "binlog.000001", Offset: 700, ByFile: true}, false, fault.SinkBehind},
	} {
		s := open(t, files.Options{Dir: dir, AcceptGap: c.gap})
		err := s.Start(t.Context(), c.base)
		if c.want == 0 && err != nil || c.want != 0 && !fault.Has(err, c.want) {
			t.Errorf("start at %v: %v, want %v", c.base.GTIDs, err, c.want)
		}
		_ = s.Close()
	}
}

// TestStartByFile goes on by file in a folder whose place has GTIDs: they do not move on, and so must go.
func TestStartByFile(t *testing.T) {
	dir := t.TempDir()
	var pool event.Pool
	s := open(t, files.Options{Dir: dir})
	write(t, s, batch(&pool, shop, 1, 1))
	flush(t, s)
	_ = s.Close()
	s = open(t, files.Options{Dir: dir})
	if err := s.Start(t.Context(), sinks.Place{File: "binlog.000001", Offset: 200, ByFile: true}); err != nil {
		t.Fatal(err)
	}
	b := batch(&pool, shop, 2, 1)
	b.Pos.GTIDs = nil
	write(t, s, b)
	flush(t, s)
	if p, ok, _ := s.Position(t.Context()); !ok || !p.GTIDs.Empty() || p.Offset != 300 {
		t.Errorf("place is %+v", p)
	}
}

// TestServerInsideATransaction names another server in batches in which nothing ends: with changes and, after them, without.
func TestServerInsideATransaction(t *testing.T) {
	for _, empty := range []bool{false, true} {
		s := open(t, files.Options{Dir: t.TempDir()})
		var pool event.Pool
		b := batch(&pool, shop, 1, 2)
		b.Txns[0].End = false
		b.Pos = event.Position{}
		if empty {
			write(t, s, b)
			b = pool.Get()
		}
		b.Pos = event.Position{Server: &event.Server{UUID: uuid, ID: 9}}
		write(t, s, b)
		b = batch(&pool, shop, 1, 2)
		b.Txns[0].Begin = false
		write(t, s, b)
		flush(t, s)
		if p, ok, _ := s.Position(t.Context()); !ok || p.Server == nil || p.Server.ID != 9 {
			t.Errorf("place is %+v of %+v", p, p.Server)
		}
	}
}

// TestTamper damages what the protocol relies on.
func TestTamper(t *testing.T) {
	prepared := func(t *testing.T, stop string) string { // a folder that was left between intent and place
		dir := t.TempDir()
		local, err := files.OpenLocal(dir, 0o640, 0o750)
		if err != nil {
			t.Fatal(err)
		}
		var broken atomic.Bool
		s := open(t, files.Options{Store: filestest.Wrap(local, func(_ context.Context, op, name string) error {
			if op == "rename" && name == ".cdc/place" && broken.Load() {
				return syscall.EIO
			}
			return nil
		})})
		var pool event.Pool
		write(t, s, batch(&pool, shop, 1, 3))
		flush(t, s)
		broken.Store(stop != "")
		write(t, s, batch(&pool, shop, 2, 3))
		_ = s.Flush(t.Context())
		_ = s.Close()
		return dir
	}
	second := "shop/orders/shop.orders-0000000002-000001-000001.200-000001.200.jsonl"
	temp := func(dir string) string {
		list, _ := filepath.Glob(filepath.Join(dir, ".cdc/tmp/*"))
		for _, name := range list {
			if b, _ := os.ReadFile(name); bytes.Contains(b, []byte(`"t":"orders"`)) {
				return name
			}
		}
		t.Fatal("no temp")
		return ""
	}
	flip := func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		do   func(dir string)
		want fault.Code
	}{
		"nothing":       {func(string) {}, 0},
		"bit in intent": {func(dir string) { flip(filepath.Join(dir, ".cdc/intent")) }, fault.SinkIntent},
		"intent cut":    {func(dir string) { must(t, os.Truncate(filepath.Join(dir, ".cdc/intent"), 100)) }, fault.SinkIntent},
		"intent empty":  {func(dir string) { must(t, os.Truncate(filepath.Join(dir, ".cdc/intent"), 0)) }, fault.SinkIntent},
		"bit in place":  {func(dir string) { flip(filepath.Join(dir, ".cdc/place")) }, fault.SinkIntent},
		"place gone":    {func(dir string) { os.Remove(filepath.Join(dir, ".cdc/place")) }, fault.SinkIntent},
		"bit in temp":   {func(dir string) { flip(temp(dir)) }, fault.SinkIntent},
		"temps gone":    {func(dir string) { os.RemoveAll(filepath.Join(dir, ".cdc/tmp")) }, 0}, // they are published
		"final gone":    {func(dir string) { os.Remove(filepath.Join(dir, second)) }, 0},        // the temp is there
		"both gone":     {func(dir string) { os.Remove(temp(dir)); os.Remove(filepath.Join(dir, second)) }, fault.SinkIntent},
		"another's final": {func(dir string) {
			os.Remove(filepath.Join(dir, second))
			must(t, os.WriteFile(filepath.Join(dir, second), []byte("x\n"), 0o640))
		}, fault.SinkConflict},
		"a folder instead": {func(dir string) {
			os.Remove(filepath.Join(dir, second))
			must(t, os.Mkdir(filepath.Join(dir, second), 0o750))
		}, fault.SinkConflict},
		"a pipe instead": {func(dir string) {
			os.Remove(filepath.Join(dir, second))
			must(t, syscall.Mkfifo(filepath.Join(dir, second), 0o640))
		}, fault.SinkConflict},
		"a link instead": {func(dir string) {
			os.Remove(filepath.Join(dir, second))
			must(t, os.Symlink(temp(dir), filepath.Join(dir, second)))
		}, fault.SinkConflict},
	} {
		t.Run(name, func(t *testing.T) {
			dir := prepared(t, "place")
			c.do(dir)
			s, err := files.Open(t.Context(), files.Options{Dir: dir, Encoder: sinktest.NewEncoder})
			if c.want != 0 {
				if !fault.Has(err, c.want) {
					t.Errorf("open: %v, want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			if got := len(readRecords(t, os.DirFS(dir))); got != 6 {
				t.Errorf("%d rows, want 6", got)
			}
			noLeftovers(t, dir)
		})
	}
	t.Run("work folder gone", func(t *testing.T) {
		dir := prepared(t, "")
		os.RemoveAll(filepath.Join(dir, ".cdc"))
		if _, err := files.Open(t.Context(), files.Options{Dir: dir, Encoder: sinktest.NewEncoder}); !fault.Has(err, fault.SinkIntent) {
			t.Errorf("open: %v", err)
		}
	})
}

// TestLinksInTheWay puts links where the sink wants folders; nothing may appear behind them.
func TestLinksInTheWay(t *testing.T) {
	for _, at := range []string{"shop", "shop/orders", "_manifest", ".cdc", ".cdc/tmp", ".cdc/lock"} {
		for _, inside := range []bool{false, true} {
			dir, outside := t.TempDir(), t.TempDir()
			if inside {
				outside = filepath.Join(dir, "elsewhere")
				if err := os.Mkdir(outside, 0o750); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.MkdirAll(filepath.Join(dir, path.Dir(at)), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, filepath.Join(dir, at)); err != nil {
				t.Fatal(err)
			}
			s, err := files.Open(t.Context(), files.Options{Dir: dir, Encoder: sinktest.NewEncoder})
			if err == nil {
				var pool event.Pool
				write(t, s, batch(&pool, shop, 1, 1))
				err = s.Flush(t.Context())
				_ = s.Close()
			}
			if !fault.Has(err, fault.SinkConflict) {
				t.Errorf("a link at %s: %v, want %v", at, err, fault.SinkConflict)
			}
			if list, _ := os.ReadDir(outside); len(list) > 0 {
				t.Errorf("a link at %s: something was written behind it", at)
			}
		}
	}
}

// TestPermissions looks at the modes under the umask of this process, and at a folder that may not be written.
func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := open(t, files.Options{Dir: dir})
	var pool event.Pool
	write(t, s, batch(&pool, shop, 1, 1))
	flush(t, s)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if limit := map[bool]fs.FileMode{true: 0o750, false: 0o640}[d.IsDir()]; info.Mode().Perm()&^limit != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = files.Open(t.Context(), files.Options{Dir: filepath.Join(dir, "not", "there"), Encoder: sinktest.NewEncoder})
	if !fault.Has(err, fault.SinkWrite) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder without parent: %v", err)
	}
	for _, opt := range []files.Options{{}, {Dir: dir}, {Encoder: sinktest.NewEncoder}, {Dir: dir, Encoder: sinktest.NewEncoder, FileMode: 0o111}} {
		if _, err := files.Open(t.Context(), opt); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("options %+v: %v", opt, err)
		}
	}
}

// must ends the test where preparing it fails.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
