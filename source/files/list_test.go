package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"cdc/fault"
	"cdc/source/binlog"
	"cdc/source/files"
)

func put(t *testing.T, path string, text []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pack compresses a file, and puts the result elsewhere.
func pack(t *testing.T, from, to string) string {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return put(t, to, z.EncodeAll(raw, nil))
}

// TestPacked reads compressed files as it reads the others.
func TestPacked(t *testing.T) {
	plain := split(t, load(t, "mysql97-default.binlog"))
	dir := t.TempDir()
	packed := []string{pack(t, plain[0], filepath.Join(dir, "binlog.000001.zst")), pack(t, plain[1], filepath.Join(dir, "binlog.000002.zst"))}
	story := func(paths []string, start files.Bound) string {
		t.Helper()
		s, err := read(t, files.Config{Paths: paths, Start: start, Binlog: binlog.Config{Spool: &spool{t.TempDir()}}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := story(plain, files.Bound{})
	if got := story(packed, files.Bound{}); got != want || want == "" {
		t.Errorf("compressed files say\n%s\nthe others\n%s", got, want)
	}
	if got := story(packed, files.Bound{File: "binlog.000002", Offset: 4}); got != story(plain, files.Bound{File: "binlog.000002", Offset: 4}) {
		t.Error("from a place in a compressed file")
	}
	for i := range plain {
		a, av, err := files.Inspect(plain[i])
		b, bv, err2 := files.Inspect(packed[i])
		if a != b || av != bv || err != nil || err2 != nil {
			t.Errorf("%v %d, %v %d: %v %v", a, av, b, bv, err, err2)
		}
		h, err := files.ReadHead(plain[i])
		h2, err2 := files.ReadHead(packed[i])
		if fmt.Sprint(h.Server, h.Before) != fmt.Sprint(h2.Server, h2.Before) || err != nil || err2 != nil {
			t.Errorf("%v, %v: %v %v", h, h2, err, err2)
		}
		n, err := files.Size(plain[i])
		m, err2 := files.Size(packed[i])
		if n != m || n == 0 || err != nil || err2 != nil {
			t.Errorf("%d, compressed %d: %v %v", n, m, err, err2)
		}
	}
	all, err := os.ReadFile(packed[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, len(all) / 2, len(all) - 1} {
		put(t, packed[0], all[:n])
		if s, err := read(t, files.Config{Paths: packed[:1], Binlog: binlog.Config{Spool: &spool{t.TempDir()}}}); !fault.Has(err, fault.BinlogNotABinlog) || s != "" {
			t.Errorf("%d of %d bytes: %q %v", n, len(all), s, err)
		}
	}
	all[len(all)/2] ^= 0x10
	put(t, packed[0], all)
	if _, err := read(t, files.Config{Paths: packed[:1], Binlog: binlog.Config{Spool: &spool{t.TempDir()}}}); err == nil {
		t.Error("a file that was changed is read")
	}
}

// TestGaps takes numbers that are left out where a relay or its archive says so, and nowhere else.
func TestGaps(t *testing.T) {
	parts := split(t, load(t, "mysql97-default.binlog"))
	const folder = "000001.3e11fa47-71ca-11e1-9e33-c80aa9429562"
	relay, archive := filepath.Join(t.TempDir(), folder), filepath.Join(t.TempDir(), folder)
	bytes := func(i int) []byte {
		raw, err := os.ReadFile(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	ways := map[string][]string{
		"a relay":    {put(t, filepath.Join(relay, "binlog.000003"), bytes(0)), put(t, filepath.Join(relay, "binlog.000007"), bytes(1))},
		"an archive": {pack(t, parts[0], filepath.Join(archive, "binlog.000003.zst")), pack(t, parts[1], filepath.Join(archive, "binlog.000007.zst"))},
	}
	notes := map[string]string{"a relay": filepath.Join(relay, ".binlog.000007.json"), "an archive": filepath.Join(archive, "binlog.000007.json")}
	for name, paths := range ways {
		try := func() error {
			_, err := read(t, files.Config{Paths: paths, Binlog: binlog.Config{Spool: &spool{t.TempDir()}}})
			return err
		}
		if err := try(); !fault.Has(err, fault.UsageInvalid) {
			t.Errorf("%s, nothing noted: %v", name, err)
		}
		put(t, notes[name], fmt.Appendf(nil, `{"after": "%s/binlog.000003", "from": 4}`, folder))
		if err := try(); err != nil {
			t.Errorf("%s, noted: %v", name, err)
		}
		put(t, notes[name], fmt.Appendf(nil, `{"after": "%s/binlog.000005", "from": 4}`, folder))
		if err := try(); !fault.Has(err, fault.UsageInvalid) {
			t.Errorf("%s, another noted: %v", name, err)
		}
		put(t, notes[name], []byte(`{`))
		if err := try(); !fault.Has(err, fault.UsageInvalid) {
			t.Errorf("%s, a damaged note: %v", name, err)
		}
	}
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{
		"plain/binlog.000009", "plain/binlog.000010.zst", "plain/binlog.000010", "plain/binlog.1000000", "plain/binlog.index", "plain/.binlog.000009.json", "plain/notes.txt",
		"archive/000002.b/binlog.000001.zst", "archive/000001.a/binlog.000008.zst", "archive/000001.a/binlog.000008.json", "archive/.cdc/tmp/000001.a-binlog.000009-00",
		"relay/000001.a/binlog.000001", "relay/000001.a/binlog.000002", "empty/x",
	} {
		put(t, filepath.Join(dir, n), nil)
	}
	put(t, filepath.Join(dir, "relay/relay.index"), []byte("./000001.a/binlog.000002\n"))
	for arg, want := range map[string]string{
		"plain":               "plain/binlog.000009 plain/binlog.000010 plain/binlog.1000000",
		"archive":             "archive/000001.a/binlog.000008.zst archive/000002.b/binlog.000001.zst",
		"relay":               "relay/000001.a/binlog.000002",
		"plain/binlog.000010": "plain/binlog.000010",
		"nowhere":             "nowhere",
	} {
		list, err := files.Expand([]string{filepath.Join(dir, arg)})
		for i := range list {
			list[i] = strings.TrimPrefix(list[i], dir+"/")
		}
		if err != nil || !slices.Equal(list, strings.Fields(want)) {
			t.Errorf("%s: %q, want %s: %v", arg, list, want, err)
		}
	}
	if _, err := files.Expand([]string{filepath.Join(dir, "empty")}); !fault.Has(err, fault.BinlogNotABinlog) {
		t.Errorf("a folder without binlogs: %v", err)
	}
	if _, err := files.Open(files.Config{
		Paths: []string{filepath.Join(dir, "plain/binlog.000009"), filepath.Join(dir, "archive/000001.a/binlog.000009")}, Start: files.Bound{File: "binlog.000009"},
	}); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("two files of one name: %v", err)
	}
}
