package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/sinks/files"
)

// TestFilesKeep merges and removes published files by their folder and by a configuration, says what it would do before, and refuses what is no folder of a sink.
func TestFilesKeep(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	publish(t, out)
	yaml := filepath.Join(dir, "p.yaml")
	text := "source: {mysql: {address: \"db1:3306\", user: cdc}}\ncheckpoint: {dir: state}\nstreams:\n" +
		"  - {name: a, sink: {files: {dir: out, format: plain, retain: 30d}}}\n  - {name: b, sink: {stdout: {format: plain}}}\n"
	if err := os.WriteFile(yaml, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"files", "compact", out, "--dry-run"}, exitOK, "would merge 2 files", ""},
		{[]string{"files", "compact", yaml, "a", "--tables", "other.%"}, exitOK, "0 files in place of 0", ""},
		{[]string{"files", "compact", out, "--partition", "shop/other"}, exitOK, "0 files in place of 0", ""},
		{[]string{"files", "compact", out, "--below", "0"}, exitUsage, "", "more than nothing"},
		{[]string{"files", "compact", dir}, exitUsage, "", "no folder of a files sink"},
		{[]string{"files", "compact", yaml, "b"}, exitUsage, "", "writes no files"},
		{[]string{"files", "compact", yaml, "a", "--partition", "shop/orders"}, exitOK, "1 files in place of 2", ""},
		{[]string{"files", "verify", yaml, "a"}, exitOK, "2 publications, 1 files, 2 rows", ""},
		{[]string{"files", "verify", out}, exitOK, "2 were merged", ""},
		{[]string{"files", "expire", out}, exitUsage, "", "--older-than"},
		{[]string{"files", "expire", out, "--older-than", "soon"}, exitUsage, "", "no time such as"},
		{[]string{"files", "expire", out, "--older-than", "30d"}, exitOK, "removed 0 files", ""},
		{[]string{"files", "expire", out, "--older-than", "1ns", "--dry-run"}, exitOK, "would remove 0 files", ""}, // the last publication has it
	} {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%q: exit code %d\n%s%s", c.args, code, stdout.String(), stderr.String())
		}
	}
	publish(t, out)
	for _, c := range [][2]string{{"--dry-run", "would remove 2 files"}, {"--tables=shop.%", "removed 2 files"}} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{"files", "expire", yaml, "a", "--older-than", "1ns", c[0]}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), c[1]) {
			t.Errorf("%d\n%s%s", code, stdout.String(), stderr.String())
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"files", "verify", out}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), "4 publications, 1 files, 1 rows") ||
		!strings.Contains(stdout.String(), "3 have expired") {
		t.Errorf("%d\n%s%s", code, stdout.String(), stderr.String())
	}
	k, err := files.OpenKeeper(t.Context(), out, files.KeeperOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if code := run([]string{"files", "compact", out}, &stdout, &stderr); code != exitFault || !strings.Contains(stderr.String(), "CDC5015") {
		t.Errorf("%d: %s", code, stderr.String())
	}
}

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 30 * day, "1.5d": 36 * time.Hour, "36h": 36 * time.Hour, "0d": 0} {
		var a age
		if err := a.Set(text); err != nil || time.Duration(a) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(a), err)
		}
		var again age
		if err := again.Set(a.String()); err != nil || again != a {
			t.Errorf("%s: %v, %v", a.String(), again, err)
		}
	}
	for _, bad := range []string{"", "d", "-1d", "-1h", "1e30d", "NaNd", "3 weeks"} {
		var a age
		if err := a.Set(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, time.Duration(a))
		}
	}
}
