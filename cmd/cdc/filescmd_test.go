package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/event"
	"cdc/format"
	"cdc/format/plain"
	"cdc/schemas"
	"cdc/sinks/files"
)

// TestFilesCommands publishes two files, and lists and verifies them by their folder and by a configuration, also when one was changed.
func TestFilesCommands(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	publish(t, out)
	yaml := filepath.Join(dir, "p.yaml")
	text := "source: {mysql: {address: \"db1:3306\", user: cdc}}\ncheckpoint: {dir: state}\nstreams:\n" +
		"  - {name: a, sink: {files: {dir: out, format: plain}}}\n  - {name: b, sink: {stdout: {format: plain}}}\n"
	if err := os.WriteFile(yaml, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	good := []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"files", "list", out}, exitOK, "shop.orders", ""},
		{[]string{"files", "list", yaml}, exitOK, "shop.orders", ""},
		{[]string{"files", "list", yaml, "a", "--tables", "other.%"}, exitOK, "PUBLICATION", ""},
		{[]string{"files", "list", yaml, "b"}, exitUsage, "", "writes no files"},
		{[]string{"files", "list", yaml, "c"}, exitUsage, "", "has no stream"},
		{[]string{"files", "list", out, "a"}, exitUsage, "", "is a folder"},
		{[]string{"files", "list"}, exitUsage, "", "CDC1004"},
		{[]string{"files", "list", out, "--tables", "."}, exitUsage, "", "--tables"},
		{[]string{"files", "verify", out}, exitOK, "2 publications, 2 files, 2 rows", ""},
		{[]string{"files", "verify", yaml, "a"}, exitOK, "2 publications", ""},
		{[]string{"files", "verify", filepath.Join(dir, "nothing")}, exitUsage, "", "CDC1"},
	}
	for _, c := range good {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%q: exit code %d\n%s%s", c.args, code, stdout.String(), stderr.String())
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"files", "list", out, "--json"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("%d: %s", code, stderr.String())
	}
	var first files.Listed
	if err := json.Unmarshal(stdout.Bytes()[:bytes.IndexByte(stdout.Bytes(), '\n')], &first); err != nil || first.Publication != 1 || first.Table != "orders" || first.Rows != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if err := os.Remove(filepath.Join(out, first.Path)); err != nil {
		t.Fatal(err)
	}
	stdout.Reset()
	if code := run([]string{"files", "verify", out, "--json"}, &stdout, &stderr); code != exitFault || !strings.Contains(stderr.String(), "CDC5014") {
		t.Errorf("%d: %s", code, stderr.String())
	}
	var r inspection
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil || len(r.Problems) != 1 || r.Problems[0].Path != first.Path || r.Files != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// publish writes two publications of a row into a folder.
func publish(t *testing.T, dir string) {
	t.Helper()
	s, err := files.Open(t.Context(), files.Options{Dir: dir, Stream: "a", Encoder: func() format.Encoder { return plain.New(plain.Options{}) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if err := s.Write(t.Context(), oneRow(), func(error) {}); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// oneRow is a transaction of one insert.
func oneRow() *event.Batch {
	var pool event.Pool
	b := pool.Get()
	b.Txns = append(b.Txns, event.Txn{File: "binlog.000001", Off: 4, Next: 400, Begin: true, End: true})
	b.Groups = append(b.Groups, event.Group{})
	at, _ := b.AddTable(&schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt}}})
	cells, arena := b.Slabs()
	first := len(cells)
	b.PutSlabs(append(cells, event.IntCell(7)), arena)
	b.AddChange(event.Insert, at, 0, 0, uint32(first))
	b.Pos = event.Position{File: "binlog.000001", Offset: 400}
	b.Charge()
	return b
}
