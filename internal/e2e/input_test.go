//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"

	"cdc/internal/testbed"
)

// Tables with any name have files of their own, below the folder, and their changes are in them.
func TestTableNames(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	names := []string{"../../x", ".", "..", "a/b", `a\b`, "x;drop table y", strings.Repeat("表", 64), "A", "a", "CON", "%41", "a\nb", "-x", "_manifest", ".cdc", "'q'", `"`, "``"}
	// In the system's tablespace, since the server's own file for the longest of them would have too long a name.
	statements := []string{"SET NAMES utf8mb4", "USE " + db}
	for i, n := range names {
		q := "`" + strings.ReplaceAll(n, "`", "``") + "`"
		statements = append(statements, "CREATE TABLE "+q+" (id INT PRIMARY KEY) TABLESPACE innodb_system", fmt.Sprintf("INSERT INTO %s VALUES (%d)", q, i))
	}
	p := newPipe(t, s, settings{tables: only(db), start: "start"})
	testbed.MustExec(t, s, statements...)
	must(t, "run", p.yaml, "--until", "now")
	got := map[string]string{}
	for _, l := range p.lines(t) {
		got[l.Table] = string(l.After["id"])
	}
	for i, n := range names {
		if got[n] != fmt.Sprint(i) {
			t.Errorf("table %q: delivered row %q, want %d", n, got[n], i)
		}
	}
	if len(got) != len(names) {
		t.Errorf("%d tables, want %d", len(got), len(names))
	}
	list, err := os.ReadDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if !slices.Contains([]string{"out", "state", "cdc.yaml"}, e.Name()) {
			t.Errorf("%s was written beside the folder", e.Name())
		}
	}
}

// Binlog files that are cut off, damaged or not binlogs: a code, never a panic, and what is printed is the beginning of what is right.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := table(t, s)
	testbed.MustExec(t, s, "FLUSH BINARY LOGS")
	insert(t, s, db, 1, 40)
	rows := testbed.MustQuery(t, s, "SHOW BINARY LOGS")
	testbed.MustExec(t, s, "FLUSH BINARY LOGS")
	whole, err := os.ReadFile(filepath.Join(s.Dir, rows[len(rows)-1][0].String))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "binlog.000001")
	tail := func(data []byte) result {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return run(t, "tail", file, "--tables", db+".%", "--no-color")
	}
	right := tail(whole)
	if n := strings.Count(right.out, `"op":"insert"`); right.code != 0 || n != 40 {
		t.Fatalf("exit code %d, %d rows of the whole file\n%s", right.code, n, right.err)
	}
	n := seed(t)
	rng := rand.New(rand.NewPCG(n, 3))
	for range 12 {
		cut := 200 + rng.IntN(len(whole)-200)
		r := tail(whole[:cut])
		if !strings.HasPrefix(right.out, r.out) {
			t.Fatalf("cut at %d: printed what is not in the whole file", cut)
		}
		if r.code != 0 { // between two transactions a file may end
			r.refused(t, 1, "CDC4001", file)
		}
		flipped := slices.Clone(whole)
		at := 4 + rng.IntN(len(whole)-4)
		flipped[at] ^= 1 << rng.IntN(8)
		r = tail(flipped)
		if r.code == 0 || strings.Contains(r.err, "goroutine ") || !strings.Contains(r.err, "CDC4") || !strings.Contains(r.err, "next: ") {
			t.Fatalf("bit flipped at %d: exit code %d\n%s", at, r.code, tailOf(r.err, 30))
		}
		if !strings.HasPrefix(right.out, r.out) {
			t.Fatalf("bit flipped at %d: printed what is not in the whole file", at)
		}
	}
	tail([]byte("#!/bin/sh\necho no binlog at all, and long enough for a header of one\n")).refused(t, 1, "CDC4008", file)
	tail([]byte("\xfdbin encrypted, as its magic says, whatever follows behind it here")).refused(t, 1, "CDC4007", file)
	tail(nil).refused(t, 1, "CDC4008", file)
	run(t, "tail", filepath.Join(t.TempDir(), "binlog.000009")).refused(t, 2, "CDC1004", "binlog.000009")
}

// All that is wrong with a configuration is said at once, with the place.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "bad.yaml")
	check := func(text string, says ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{{"config", "check", file}, {"run", file}, {"status", file}, {"checkpoint", "show", file}} {
			r := run(t, command...)
			if r.code != 2 || !strings.Contains(r.err, "next: ") {
				t.Errorf("%v: exit code %d\n%s", command, r.code, r.err)
			}
			for _, s := range says {
				if !strings.Contains(r.err, s) {
					t.Errorf("%v does not say %q:\n%s", command, s, r.err)
				}
			}
		}
	}
	check("source: {mysql: {address: x, user: a}\n", "CDC1001")
	check("source:\n  mysql: {adress: db1, user: 7, password: {file: x}}\nstreems: []\nmemory: lots\n", "CDC1001", file+":2:", "adress", file+":3:", "streems", file+":4:", "lots")
	check("source:\n  mysql: {address: 'db1:3306'}\n  tables: ['no_dot']\n  start: yesterday\nstreams:\n  - name: a\n    sink: {files: {dir: o}, stdout: {}}\n  - name: a\n    sink: {}\nmemory: 1KiB\n",
		"CDC1002", "user", "yesterday", "streams[1]", "memory", "checkpoint")
	if _, err := os.Stat(filepath.Join(dir, "o")); err == nil {
		t.Error("a wrong configuration has made folders")
	}
	run(t, "run", filepath.Join(dir, "none.yaml")).refused(t, 2, "CDC1006", "none.yaml")
	run(t, "run").refused(t, 2, "CDC1004")
	run(t, "run", file, "--no-such-flag").refused(t, 2, "CDC1004", "no-such-flag")
	run(t, "tail", "mysql://a:secret@db1/").refused(t, 2, "CDC1004", "CDC_PASSWORD")

	var schema map[string]any
	if err := json.Unmarshal([]byte(must(t, "config", "schema")), &schema); err != nil || schema["properties"] == nil {
		t.Errorf("config schema: %v", err)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out := must(t, "completion", shell); !strings.Contains(out, "cdc") || len(out) < 1000 {
			t.Errorf("completion %s: %.200q", shell, out)
		}
	}
	if out := must(t, "errors", "CDC2008"); !strings.Contains(out, "purged") {
		t.Errorf("errors CDC2008: %s", out)
	}
}

// small is a file system of a few megabytes.
func small(t *testing.T, dir string, megabytes int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatalf("a small file system cannot be mounted (this test wants root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// fill takes what is left of a file system and more, and gives a function that frees it.
func fill(t *testing.T, dir string, leave int64) (free func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "filler")
	if err := os.WriteFile(name, make([]byte, max(0, int64(st.Bavail)*st.Bsize-leave)), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// The JSON Schema knows every key of a configuration that works, and refuses others.
func TestConfigSchemaFitsTheConfiguration(t *testing.T) {
	t.Parallel()
	var schema map[string]any
	if err := json.Unmarshal([]byte(must(t, "config", "schema")), &schema); err != nil {
		t.Fatal(err)
	}
	p := newPipe(t, testbed.Shared(t, testbed.MySQL97), settings{
		tables: `"shop.%"`, start: "now", memory: "64MiB", source: ", tls: {mode: disabled}, heartbeat: 1s, server_id: 7, ignore_server_ids: [1]",
	})
	must(t, "config", "check", p.yaml)
	text, err := os.ReadFile(p.yaml)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(at string, value any, s map[string]any)
	walk = func(at string, value any, s map[string]any) {
		switch v := value.(type) {
		case map[string]any:
			properties, ok := s["properties"].(map[string]any)
			if !ok || s["additionalProperties"] != false {
				t.Errorf("%s: the schema allows any key", at)
				return
			}
			for k, inner := range v {
				keys++
				sub, ok := properties[k].(map[string]any)
				if !ok {
					t.Errorf("%s.%s: not in the schema", at, k)
					continue
				}
				if d, _ := sub["description"].(string); d == "" {
					t.Errorf("%s.%s: no description", at, k)
				}
				walk(at+"."+k, inner, sub)
			}
		case []any:
			items, ok := s["items"].(map[string]any)
			if !ok {
				t.Errorf("%s: the schema has no items", at)
				return
			}
			for _, inner := range v {
				walk(at+"[]", inner, items)
			}
		}
	}
	walk("", doc, schema)
	if keys < 15 {
		t.Errorf("%d keys", keys)
	}
}
