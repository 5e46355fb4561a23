package badger

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cdc/checkpoint"
	"cdc/checkpoint/checkpointtest"
	"cdc/fault"
	"cdc/schemas"
)

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// saved makes a folder with records 1 to n, each with its entries, and closes it.
func saved(t *testing.T, dir string, from, n uint64) {
	t.Helper()
	ctx := context.Background()
	s := open(t, dir, Options{})
	seq := uint64(0)
	if from > 1 {
		seq = seqOf(from - 1)
	}
	for ; from <= n; from++ {
		for seq < seqOf(from) {
			seq++
			if err := s.Append(ctx, "a", []schemas.Entry{checkpointtest.Entry(seq, int(seq%40))}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Save(ctx, "a", checkpointtest.Record(from, seq)); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
}

func mustResume(t *testing.T, dir string, want uint64, warned bool) {
	t.Helper()
	s := open(t, dir, Options{})
	n, _, err := resume(context.Background(), s)
	if err != nil || n != want {
		t.Fatalf("record %d, %v; want %d", n, err, want)
	}
	if (len(s.Warnings()) > 0) != warned {
		t.Errorf("warnings: %q", s.Warnings())
	}
	closeStore(t, s)
}

func mustFail(t *testing.T, dir string, o Options, code fault.Code) {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err == nil {
		defer func() { closeStore(t, s) }()
		_, err = s.Load(context.Background(), "a")
	}
	if !fault.Has(err, code) {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestOnePlaceLost(t *testing.T) {
	for name, hurt := range map[string]func(dir string) error{
		"database deleted":   func(dir string) error { return os.RemoveAll(filepath.Join(dir, databaseDir)) },
		"copies deleted":     func(dir string) error { return os.RemoveAll(filepath.Join(dir, streamsDir)) },
		"one copy deleted":   func(dir string) error { return os.Remove(filepath.Join(dir, streamsDir, "a", slotPrefix+"0")) },
		"other copy deleted": func(dir string) error { return os.Remove(filepath.Join(dir, streamsDir, "a", slotPrefix+"1")) },
		"plain history gone": func(dir string) error { return os.Remove(filepath.Join(dir, streamsDir, "a", logFile)) },
		"plain history torn": func(dir string) error { return os.Truncate(filepath.Join(dir, streamsDir, "a", logFile), 1000) },
		"manifest gone":      func(dir string) error { return os.Remove(filepath.Join(dir, databaseDir, "MANIFEST")) },
		"manifest unreadable": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, databaseDir, "MANIFEST"), []byte("x"), 0o600)
		},
		"manifest of tomorrow": func(dir string) error { return flip(filepath.Join(dir, databaseDir, "MANIFEST"), 7) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			saved(t, dir, 1, 30)
			if err := hurt(dir); err != nil {
				t.Fatal(err)
			}
			mustResume(t, dir, 30, true)
			mustResume(t, dir, 30, false)
			saved(t, dir, 31, 60)
			mustResume(t, dir, 60, false)
		})
	}
}

// TestDatabaseOlder puts back a database from before the last saves: what the copies say is newer, and as true.
func TestDatabaseOlder(t *testing.T) {
	dir, old := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "old")
	saved(t, dir, 1, 20)
	if err := copyTree(filepath.Join(dir, databaseDir), old); err != nil {
		t.Fatal(err)
	}
	saved(t, dir, 21, 55)
	if err := os.RemoveAll(filepath.Join(dir, databaseDir)); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(old, filepath.Join(dir, databaseDir)); err != nil {
		t.Fatal(err)
	}
	mustResume(t, dir, 55, true)
	mustResume(t, dir, 55, false)
}

// TestCopiesOlder is the other way round.
func TestCopiesOlder(t *testing.T) {
	dir, old := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "old")
	saved(t, dir, 1, 20)
	if err := copyTree(filepath.Join(dir, streamsDir), old); err != nil {
		t.Fatal(err)
	}
	saved(t, dir, 21, 55)
	if err := os.RemoveAll(filepath.Join(dir, streamsDir)); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(old, filepath.Join(dir, streamsDir)); err != nil {
		t.Fatal(err)
	}
	mustResume(t, dir, 55, true)
	mustResume(t, dir, 55, false)
}

func TestTwoPlacesLostIsRefused(t *testing.T) {
	ctx := context.Background()
	for name, hurt := range map[string]func(dir string) error{
		"database and newest copy": func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, databaseDir)), flip(filepath.Join(dir, streamsDir, "a", slotPrefix+"0"), 50))
		},
		"both histories": func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, databaseDir)), os.Truncate(filepath.Join(dir, streamsDir, "a", logFile), 1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			saved(t, dir, 1, 30)
			whole := open(t, dir, Options{})
			doc, err := whole.Export(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			closeStore(t, whole)
			if err := hurt(dir); err != nil {
				t.Fatal(err)
			}
			mustFail(t, dir, Options{}, fault.CheckpointCorrupt)
			mustFail(t, dir, Options{}, fault.CheckpointCorrupt)
			// An import is the way out.
			s := open(t, dir, Options{})
			if err := s.Import(ctx, doc); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			mustResume(t, dir, 30, false)
		})
	}
}

// TestUnreadableDatabaseWithoutCopies must not become an empty checkpoint.
func TestUnreadableDatabaseWithoutCopies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	saved(t, dir, 1, 5)
	err := errors.Join(os.RemoveAll(filepath.Join(dir, streamsDir)), os.WriteFile(filepath.Join(dir, databaseDir, "MANIFEST"), []byte("x"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	mustFail(t, dir, Options{}, fault.CheckpointCorrupt)
	mustFail(t, dir, Options{}, fault.CheckpointCorrupt)
}

// TestDiesWhileOpening: after two deaths inside the opening of the database its files are to blame.
func TestDiesWhileOpening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	saved(t, dir, 1, 5)
	for deaths, aside := range []bool{0: false, 1: false, 2: true} {
		if deaths > 0 {
			if err := os.WriteFile(filepath.Join(dir, openingFile), []byte(strings.Repeat("x", deaths-1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		mustResume(t, dir, 5, aside)
		_, err := os.Stat(filepath.Join(dir, damagedPrefix+"1"))
		if (err == nil) != aside {
			t.Errorf("after %d deaths: %v", deaths, err)
		}
	}
	s := open(t, dir, Options{})
	if _, err := s.Load(context.Background(), "other"); !fault.Has(err, fault.CheckpointCorrupt) {
		t.Errorf("a stream that may have been in the database set aside: %v", err)
	}
}

func TestNewerVersionIsLeftAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	saved(t, dir, 1, 5)
	if err := os.WriteFile(filepath.Join(dir, formatFile), []byte(formatMark+"2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustFail(t, dir, Options{}, fault.CheckpointVersion)
	mustFail(t, dir, Options{ReadOnly: true}, fault.CheckpointVersion)
}

func TestLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	saved(t, dir, 1, 5)
	c := childCommand(t, "open", dir)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := out.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "open ") {
		t.Fatalf("%s %v", buf, err)
	}
	_, err = Open(context.Background(), dir, Options{})
	if !fault.Has(err, fault.CheckpointLocked) || !strings.Contains(err.Error(), "process "+strconv.Itoa(c.Process.Pid)) {
		t.Errorf("got %v", err)
	}
	ro := open(t, dir, Options{ReadOnly: true}) // beside a running process
	if r, err := ro.Load(context.Background(), "a"); err != nil || r.Txns != 5 {
		t.Errorf("a reader gets %d, %v", r.Txns, err)
	}
	if err := ro.Save(context.Background(), "a", checkpoint.Record{}); err == nil {
		t.Error("a reader saves")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Close(), c.Wait()); err == nil {
		t.Fatal("not killed")
	}
	mustResume(t, dir, 5, false)
}

// TestModes opens with a umask that takes nothing away, writes until Badger has made files of its own accord, and looks at each file.
func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "state")
	look := func() {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			}
			if fi.Mode().Perm() != want {
				t.Errorf("%s has mode %s", path, fi.Mode())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	ctx := context.Background()
	s := open(t, dir, Options{})
	look()
	r := checkpointtest.Record(1, 0)
	r.SinkState = make([]byte, 200<<10)
	for range 12 { // more than two memtables
		if err := s.Save(ctx, "a", r); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	look()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, streamsDir, "a", slotPrefix+"0"), 0o644)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if len(s.Warnings()) != 2 { // the folder and the file
		t.Errorf("warnings %q", s.Warnings())
	}
	look()
}

func TestDiskFull(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "state")
	free := uint64(1 << 30)
	o := Options{free: func(string) (uint64, error) { return free, nil }}
	s := open(t, dir, o)
	if err := s.Append(ctx, "a", []schemas.Entry{checkpointtest.Entry(1, 1), checkpointtest.Entry(2, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(ctx, "a", checkpointtest.Record(1, 1)); err != nil {
		t.Fatal(err)
	}
	free = defaultMinFree - 1
	full := func(what string, err error) {
		t.Helper()
		if e, ok := fault.As(err); !ok || e.Code != fault.CheckpointDiskFull || e.Class() != fault.Retry {
			t.Errorf("%s: %v", what, err)
		}
	}
	full("save", s.Save(ctx, "a", checkpointtest.Record(2, 1)))
	full("append", s.Append(ctx, "a", []schemas.Entry{checkpointtest.Entry(3, 1)}))
	full("rewind", s.Rewind(ctx, "a", 1, func(*schemas.Entry) error { return nil }))
	if r, err := s.Load(ctx, "a"); err != nil || r.Txns != 1 {
		t.Errorf("loaded %d, %v", r.Txns, err)
	}
	free = 1 << 30
	if err := s.Save(ctx, "a", checkpointtest.Record(3, 2)); err != nil {
		t.Fatal(err)
	}
	free = 1 << 20
	if _, err := Open(ctx, filepath.Join(t.TempDir(), "other"), o); !fault.Has(err, fault.CheckpointDiskFull) {
		t.Errorf("open: %v", err)
	}
	ro := open(t, dir, Options{ReadOnly: true, free: o.free})
	if r, err := ro.Load(ctx, "a"); err != nil || r.Txns != 3 {
		t.Errorf("a reader gets %d, %v", r.Txns, err)
	}
}

func TestExportImport(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "state")
	saved(t, dir, 1, 30)
	s := open(t, dir, Options{})
	doc, err := s.Export(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Export(ctx, "b"); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("got %v", err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var back checkpoint.Document
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	saved(t, other, 1, 7) // is replaced
	o := open(t, other, Options{})
	if _, err := o.Load(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if err := o.Import(ctx, &back); err != nil {
		t.Fatal(err)
	}
	closeStore(t, o)
	mustResume(t, other, 30, false)

	// An import that did not finish leaves nothing that could be taken for a checkpoint.
	if err := os.WriteFile(filepath.Join(other, streamsDir, "a", importFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFail(t, other, Options{}, fault.CheckpointCorrupt)
	mustFail(t, other, Options{ReadOnly: true}, fault.CheckpointCorrupt)
	o = open(t, other, Options{})
	if err := o.Import(ctx, &back); err != nil {
		t.Fatal(err)
	}
	closeStore(t, o)
	mustResume(t, other, 30, false)
	back.Record.SchemaSeq++
	if err := s.Import(ctx, &back); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("got %v", err)
	}
}

// TestBadgerValueLogStaysEmpty pins what makes collecting its garbage needless.
func TestBadgerValueLogStaysEmpty(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir, Options{})
	if err := s.Append(ctx, "a", []schemas.Entry{checkpointtest.Entry(1, 60000), checkpointtest.Entry(2, 480), checkpointtest.Entry(3, 700)}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	logs, err := filepath.Glob(filepath.Join(dir, databaseDir, "*.vlog"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, path := range logs {
		if fi, err := os.Stat(path); err != nil || fi.Size() > 20 {
			t.Errorf("%s holds values: %v", path, err)
		}
	}
}
