package files_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
	"cdc/source/files"
)

const corpus = "../binlog/testdata/corpus"

// read gives a line for each change and each end of a transaction.
func read(t *testing.T, cfg files.Config) (string, error) {
	t.Helper()
	s, err := files.Open(cfg)
	if err != nil {
		return "", err
	}
	defer s.Close()
	var out strings.Builder
	for {
		b, err := s.Read(t.Context())
		if errors.Is(err, io.EOF) {
			if _, err := s.Read(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %v", err)
			}
			for _, n := range s.Unnamed() {
				fmt.Fprintln(&out, "unnamed", n)
			}
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		for i := range b.Txns {
			x := &b.Txns[i]
			for j := x.First; j < x.Last; j++ {
				c := &b.Changes[j]
				fmt.Fprintf(&out, "%s %s.%s\n", c.Op, b.Tables[c.Table].Name, b.Tables[c.Table].Columns[0].Name)
			}
			if x.End {
				fmt.Fprintf(&out, "txn %s:%d %s\n", x.File, x.Off, x.GTID)
			}
		}
		b.Release()
	}
}

func load(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(corpus, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// events takes a file apart.
func events(raw []byte) (list [][]byte) {
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		list = append(list, raw[pos:pos+int(h.Size)])
		pos += int(h.Size)
	}
	return list
}

// split writes a recording as two files of consecutive names.
func split(t *testing.T, raw []byte) []string {
	t.Helper()
	dir := t.TempDir()
	list := events(raw)
	cut := 0
	for i, e := range list {
		if binlog.EventType(e[4]) == binlog.GTIDEvent && i > len(list)/2 {
			cut = i
			break
		}
	}
	parts := [2][]byte{append([]byte(nil), raw[:4]...), append(append([]byte(nil), raw[:4]...), list[0]...)}
	for i, e := range list {
		n := 0
		if i >= cut {
			n = 1
			e = append([]byte(nil), e...) // it stands elsewhere now
			binary.LittleEndian.PutUint32(e[13:], 0)
			binary.LittleEndian.PutUint32(e[len(e)-4:], crc32.ChecksumIEEE(e[:len(e)-4]))
		}
		parts[n] = append(parts[n], e...)
	}
	var paths []string
	for i, p := range parts {
		path := filepath.Join(dir, fmt.Sprintf("binlog.%06d", i+1))
		if err := os.WriteFile(path, p, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func txns(s string) (ids []string) {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "txn ") {
			ids = append(ids, strings.TrimSpace(line[strings.LastIndex(line, " "):]))
		}
	}
	return ids
}

func TestFilesInOrder(t *testing.T) {
	whole, err := read(t, files.Config{Paths: []string{filepath.Join(corpus, "mysql97-default.binlog")}, Binlog: binlog.Config{Spool: &spool{t.TempDir()}}})
	if err != nil {
		t.Fatal(err)
	}
	paths := split(t, load(t, "mysql97-default.binlog"))
	parts, err := read(t, files.Config{Paths: paths, Binlog: binlog.Config{Spool: &spool{t.TempDir()}}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := txns(whole), txns(parts); len(a) < 30 || strings.Join(a, " ") != strings.Join(b, " ") {
		t.Errorf("%s\n%s", a, b)
	}
	if !strings.Contains(parts, "txn binlog.000001:") || !strings.Contains(parts, "txn binlog.000002:") {
		t.Error(parts)
	}
	if _, err := files.Open(files.Config{Paths: []string{paths[1], paths[0]}}); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("files out of order: %v", err)
	}
	if _, err := files.Open(files.Config{Paths: []string{paths[0], strings.Replace(paths[1], "000002", "000003", 1)}}); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("a file is missing: %v", err)
	}
}

func TestBounds(t *testing.T) {
	path := filepath.Join(corpus, "mysql97-full.binlog")
	cfg := func() files.Config {
		return files.Config{Paths: []string{path}, Binlog: binlog.Config{Spool: &spool{t.TempDir()}}}
	}
	whole, err := read(t, cfg())
	if err != nil {
		t.Fatal(err)
	}
	all := txns(whole)
	uuid, _, _ := strings.Cut(all[0], ":")
	offset := func(i int) uint64 {
		var off uint64
		for line := range strings.Lines(whole) {
			if strings.HasSuffix(line, " "+all[i]+"\n") {
				if _, err := fmt.Sscanf(line, "txn mysql97-full.binlog:%d", &off); err != nil {
					t.Fatal(err)
				}
			}
		}
		return off
	}
	set := func(text string) *gtid.Set {
		s, err := gtid.Parse(gtid.MySQL, text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	check := func(what string, c files.Config, want []string) {
		t.Helper()
		got, err := read(t, c)
		if err != nil || strings.Join(txns(got), " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v\ngot  %s\nwant %s", what, err, txns(got), want)
		}
	}
	c := cfg()
	c.Start, c.Stop = files.Bound{File: path, Offset: offset(10)}, files.Bound{File: "mysql97-full.binlog", Offset: offset(20)}
	check("offsets", c, all[10:20])
	c = cfg()
	c.Start, c.Stop = files.Bound{GTIDs: set(uuid + ":1-10")}, files.Bound{GTIDs: set(uuid + ":1-20")}
	check("gtids", c, all[10:20])
	c = cfg()
	c.Stop = files.Bound{GTIDs: set("")}
	check("nothing to wait for", c, nil)
	c = cfg()
	c.Start = files.Bound{GTIDs: set(uuid + ":1-5:7")}
	check("a gap in the start", c, append([]string{all[5]}, all[7:]...))
	c = cfg()
	c.Start = files.Bound{Time: 1 << 62}
	check("behind the end", c, nil)
	c = cfg()
	c.Stop = files.Bound{Time: 1}
	check("before the beginning", c, nil)
	c = cfg()
	c.Start = files.Bound{File: "other.000001", Offset: 4}
	if _, err := read(t, c); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("a file that is not read: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	raw := load(t, "mysql97-select.binlog")
	dir := t.TempDir()
	for name, c := range map[string]struct {
		data []byte
		code fault.Code
	}{
		"empty":            {nil, fault.BinlogNotABinlog},
		"text":             {[]byte("SELECT 1;\n"), fault.BinlogNotABinlog},
		"encrypted":        {append([]byte("\xfdbin"), make([]byte, 600)...), fault.BinlogEncrypted},
		"half a header":    {raw[:len(raw)-40], fault.BinlogTruncated},
		"half an event":    {raw[:4+60], fault.BinlogTruncated},
		"half transaction": {raw[:1314+79], fault.BinlogTruncated},
		"flipped":          {append(append(append([]byte(nil), raw[:500]...), raw[500]^4), raw[501:]...), fault.BinlogChecksum},
		"no format":        {append([]byte("\xfebin"), events(raw)[3]...), fault.BinlogMalformed},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := read(t, files.Config{Paths: []string{path}})
		if !fault.Has(err, c.code) {
			t.Errorf("%s: %v, not %s", name, err, c.code)
			continue
		}
		if f, _ := fault.As(err); !strings.HasSuffix(f.Where.File, filepath.Base(path)) {
			t.Errorf("%s: does not name the file: %v", name, err)
		}
	}
	if _, err := files.Open(files.Config{Paths: []string{filepath.Join(dir, "none")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
	if _, err := files.Open(files.Config{Paths: []string{dir}}); !fault.Has(err, fault.BinlogNotABinlog) {
		t.Errorf("a folder: %v", err)
	}
}

// TestNames: without DDL and metadata columns have no names; a dump gives them.
func TestNames(t *testing.T) {
	raw := load(t, "mysql57-select.binlog")
	list := events(raw)
	bare := append([]byte(nil), raw[:4]...)
	for i, e := range list {
		if i+1 < len(list) && binlog.EventType(e[4]) == binlog.GTIDEvent && strings.Contains(string(list[i+1]), "CREATE") || strings.Contains(string(e), "CREATE") {
			continue
		}
		bare = append(bare, e...)
	}
	path := filepath.Join(t.TempDir(), "bare.000001")
	if err := os.WriteFile(path, bare, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, files.Config{Paths: []string{path}}); !fault.Has(err, fault.SchemaUnknown) {
		t.Errorf("no names: %v", err)
	}
	got, err := read(t, files.Config{Paths: []string{path}, AllowUnnamed: true})
	if err != nil || !strings.Contains(got, "insert src.@1") || !strings.Contains(got, "unnamed shop.src") {
		t.Errorf("%v\n%s", err, got)
	}
	dump := func(table string) *schemas.Catalog {
		c := schemas.NewCatalog(gtid.MySQL, 50722)
		for _, text := range []string{"CREATE DATABASE shop", table} {
			if _, err := c.Apply(&schemas.Statement{Text: text, Database: "shop", Flavor: gtid.MySQL, Version: 50722}); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	got, err = read(t, files.Config{Paths: []string{path}, AllowUnnamed: true, Binlog: binlog.Config{Catalog: dump("CREATE TABLE src (number INT, v VARCHAR(5) CHARACTER SET latin1)")}})
	if err != nil || !strings.Contains(got, "insert src.number") || strings.Contains(got, "unnamed") {
		t.Errorf("%v\n%s", err, got)
	}
	_, err = read(t, files.Config{Paths: []string{path}, AllowUnnamed: true, Binlog: binlog.Config{Catalog: dump("CREATE TABLE src (v VARCHAR(5), number INT)")}})
	if !fault.Has(err, fault.SchemaMismatch) {
		t.Errorf("a dump that does not fit: %v", err)
	}
}

// TestLargePayload reads a compressed transaction that is too large to be held, which takes another path.
func TestLargePayload(t *testing.T) {
	raw := load(t, "mysql97-compressed.binlog")
	out := append([]byte(nil), raw[:4]...)
	padded := false
	for _, e := range events(raw) {
		if binlog.EventType(e[4]) == binlog.TransactionPayload && !padded {
			padded = true
			e = append(append([]byte(nil), e[:len(e)-4]...), make([]byte, 17<<20)...) // behind the payload: the server ignores it too
			e = append(e, 0, 0, 0, 0)
			binary.LittleEndian.PutUint32(e[9:], uint32(len(e)))
		}
		if padded {
			e = append([]byte(nil), e...)
			binary.LittleEndian.PutUint32(e[13:], 0)
			n := len(e) - 4
			binary.LittleEndian.PutUint32(e[n:], crc32.ChecksumIEEE(e[:n]))
		}
		out = append(out, e...)
	}
	path := filepath.Join(t.TempDir(), "big.000001")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := read(t, files.Config{Paths: []string{path}, Binlog: binlog.Config{Spool: &spool{t.TempDir()}, BatchBytes: 300}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := read(t, files.Config{Paths: []string{filepath.Join(corpus, "mysql97-compressed.binlog")}, Binlog: binlog.Config{Spool: &spool{t.TempDir()}}})
	if err != nil || strings.Join(txns(got), " ") != strings.Join(txns(want), " ") || strings.Count(got, "\n") != strings.Count(want, "\n") {
		t.Errorf("%v\n%s\n%s", err, got, want)
	}
	out[len(out)/2] ^= 1
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, files.Config{Paths: []string{path}}); !fault.Has(err, fault.BinlogChecksum) {
		t.Errorf("a flipped bit in a large payload: %v", err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := files.Open(files.Config{Paths: []string{filepath.Join(corpus, "mysql97-work.binlog")}, Pool: &event.Pool{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Read(t.Context()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}

// spool is a folder.
type spool struct{ dir string }

func (s *spool) Create(name string) (binlog.SpoolFile, error) {
	return os.Create(filepath.Join(s.dir, name))
}

func (s *spool) Open(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(s.dir, name)) }

func (s *spool) Remove(name string) error { return os.Remove(filepath.Join(s.dir, name)) }
