package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Replay as it is called, with its exit codes, into standard output.
func TestReplayBinlog(t *testing.T) {
	corpus := filepath.Join("..", "..", "source", "binlog", "testdata", "corpus")
	full, nogtid := filepath.Join(corpus, "mysql97-full.binlog"), filepath.Join(corpus, "mysql97-nogtid.binlog")
	const u = "e079ff5a-e594-11f1-9a4b-02fc00000001:"
	state := t.TempDir()
	config := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(config, []byte(`source: {mysql: {address: "db1:3306", user: cdc}, tables: ["shop.orders"]}
streams:
  - {name: a, transforms: [{filter: {where: 'op != "update"'}}], sink: {stdout: {}}}
  - {name: b, sink: {stdout: {}}}
checkpoint: {dir: `+t.TempDir()+`}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{full}, exitUsage, "", "want a configuration, or --to"},
		{[]string{"--to", "stdout", full}, exitUsage, "", "--state is missing"},
		{[]string{"--to", "ftp://h/", "--state", state, full}, exitUsage, "", "CDC1004"},
		{[]string{"--to", "stdout", "--dry-run"}, exitUsage, "", "CDC1004"},
		{[]string{"--to", "stdout", "--dry-run", full, "--excluded", "maybe"}, exitUsage, "", "--excluded"},
		{[]string{"--to", "stdout", "--dry-run", full, "--exclude-gtids", "x"}, exitUsage, "", "--exclude-gtids"},
		{[]string{"--to", "stdout", "--dry-run", full, "--stop-before", u + "1-2"}, exitUsage, "", "--stop-before"},
		{[]string{"--to", "stdout", "--dry-run", full, "--from", u + "1-2"}, exitUsage, "", "--start-after-gtids"},
		{[]string{"--to", "stdout", "--dry-run", full}, exitOK, "would be carried: 38 transactions", ""},
		{[]string{"--to", "stdout", "--dry-run", full, "--tables", "shop.orders"}, exitOK, "shop.orders  ", ""},
		{[]string{"--to", "stdout", "--dry-run", full, "--start-after-gtids", u + "1-11", "--stop-before", u + "14"}, exitOK, "would be carried: 2 transactions", ""},
		{[]string{"--to", "stdout", "--dry-run", full, "--exclude-gtids", u + "12"}, exitOK, "left out: " + u + "12", ""},
		{[]string{"--to", "stdout", "--dry-run", full, "--exclude-gtids", u + "12:99"}, exitFault, "", "CDC9109"},
		{[]string{"--to", "stdout", "--dry-run", full, "--start-after-gtids", u + "1-20", "--exclude-gtids", u + "12"}, exitFault, "", "CDC9109"},
		{[]string{"--to", "stdout", "--dry-run", full, "--include-gtids", u + "99"}, exitFault, "", "CDC9107"},
		{[]string{"--to", "stdout", "--dry-run", nogtid, "--exclude-gtids", u + "12"}, exitFault, "", "CDC9109"},
		{[]string{"--to", "stdout", "--dry-run", filepath.Join(corpus, "mariadb118-full.binlog")}, exitOK, "would be carried: ", ""},
		{[]string{"--to", "stdout", "--state", state, full, "--exclude-gtids", u + "12", "--excluded", "omit"}, exitOK, `"gtid":"` + u + `10"`, "left out: " + u + "12"},
		{[]string{"--to", "stdout", "--state", state, full, "--exclude-gtids", u + "12", "--excluded", "omit"}, exitFault, "", "CDC9111"},
		{[]string{"--to", "stdout", "--state", state, full}, exitFault, "", "other choices"},
		{[]string{"--to", "stdout", "--state", state, full, "--restart", "--exclude-gtids", u + "99"}, exitFault, "", "CDC9109"},
		{[]string{"--to", "stdout", "--state", state, full, "--exclude-gtids", u + "12", "--excluded", "omit"}, exitFault, "", "has ended"}, // the refused one has taken nothing away
		{[]string{"--to", "stdout", "--state", state, full, "--restart"}, exitOK, `"gtid":"` + u + `12"`, "replayed: "},
		{[]string{config, full, "--dry-run"}, exitUsage, "", "--stream"},
		{[]string{config, full, "--dry-run", "--stream", "c"}, exitUsage, "", "no stream"},
		{[]string{config, full, "--dry-run", "--state", state}, exitUsage, "", "--state"},
		{[]string{config, full, "--dry-run", "--stream", "a"}, exitOK, "by transforms: 2 rows dropped", ""},
		{[]string{config, full, "--stream", "b", "--exclude-gtids", u + "12"}, exitOK, `"table":"orders"`, "replayed: "},
	} {
		code, stdout, stderr := cdc(t, append([]string{"replay"}, c.args...)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%v: exit code %d\n%.2000s\n%.2000s", c.args, code, stdout, stderr)
		}
		if len(c.args) > 4 && c.args[1] == full && c.args[3] == "b" && strings.Contains(stdout, u+`12"`) {
			t.Error("what was left out is there")
		}
	}
}
