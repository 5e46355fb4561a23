package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdc/checkpoint/badger"
	"cdc/gtid"
	"cdc/source/live"
)

// cdc runs a command line and gives what it prints.
func cdc(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func config(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cdc.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = `source:
  mysql: {address: "db1:3306", user: cdc, password: {env: CDC_TEST_UNSET}}
  tables: ["shop.%", "!shop.tmp_%"]
streams:
  - name: orders
    sink:
      files: {dir: out, format: debezium, interval: 5s, debezium: {decimal_handling_mode: string}}
  - name: screen
    sink: {stdout: {}}
checkpoint: {dir: state}
memory: 64MiB
`

func TestConfigCheck(t *testing.T) {
	path := config(t, good)
	if code, out, errs := cdc(t, "config", "check", path); code != exitOK || !strings.Contains(out, "ok, 2 stream(s) from db1:3306") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	code, _, errs := cdc(t, "config", "check", config(t, `source:
  mysql: {address: "db1:3306"}
  tables: ["shop"]
  start: yesterday
streams:
  - name: a
    sink: {files: {format: orc}, stdout: {}}
  - name: a
    sink: {null: {format: none}}
  - name: ../a
    sink: {null: {}}
memory: 1MiB
max_row: 2GiB
`))
	if code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"source.mysql.user: is missing", ":2:", `source.tables[0]: pattern "shop"`, ":3:12", "source.start", ":4:", "streams[0].sink.files.dir: is missing", ":7:",
		`"orc" is none of plain, debezium, maxwell, canal`, "needs one of files, kafka, mysql, stdout, null; it has 2", `streams[1].name: "a" is the name of an earlier stream`, ":8:", `streams[2].name: stream name "../a"`,
		"checkpoint.dir: is missing", "memory: 1MiB is less than 16MiB", ":12:", "max_row: 2GiB is more than half of memory", ":13:", "CDC1002", "next:",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	if code, _, errs := cdc(t, "run", path+"x"); code != exitUsage || !strings.Contains(errs, "CDC1006") {
		t.Errorf("%d %q", code, errs)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run"}, "want one configuration file"},
		{[]string{"nonsense"}, "unknown command"},
		{[]string{"run", "--nonsense"}, "CDC1004"},
		{[]string{"tail"}, "want a server's URL or binlog files"},
		{[]string{"tail", "mysql://u:secret@h/"}, "holds a password"},
		{[]string{"tail", "postgres://u@h/"}, "neither mysql:// nor mariadb://"},
		{[]string{"tail", "mysql://u@h/shop"}, "--tables 'shop.%'"},
		{[]string{"tail", "mysql://u@h/?tls=maybe"}, "none of disabled, required"},
		{[]string{"tail", "mysql://u@h/?nonsense=1"}, "unknown setting"},
		{[]string{"tail", "mysql://u@h/", "--from", "yesterday"}, "--from"},
		{[]string{"tail", "mysql://u@h/", "--until", "start"}, "--until"},
		{[]string{"tail", "mysql://u@h/", "--tables", "x"}, "want database.table"},
		{[]string{"tail", "mysql://u@127.0.0.1:1/", "--format", "xml"}, ""},
		{[]string{"errors", "CDC9999"}, "is no error code"},
		{[]string{"checkpoint", "set", "x.yaml", "s"}, "want one of --to"},
		{[]string{"schema", "set", "x.yaml", "s", "d.t"}, "want --ddl or --file"},
		{[]string{"status", "x.yaml"}, "CDC1006"},
	} {
		code, out, errs := cdc(t, c.args...)
		if code == exitOK || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit code %d, %q", c.args, code, errs)
		}
		if out != "" {
			t.Errorf("%q: %q on stdout", c.args, out)
		}
		if strings.Contains(errs, "secret") {
			t.Errorf("%q: the password shows: %q", c.args, errs)
		}
	}
}

func TestExplain(t *testing.T) {
	if code, out, _ := cdc(t, "errors", "cdc2008"); code != exitOK || !strings.HasPrefix(out, "CDC2008 (fatal)") {
		t.Errorf("%q", out)
	}
	if code, out, _ := cdc(t, "version"); code != exitOK || !strings.HasPrefix(out, "cdc dev go") {
		t.Errorf("%q", out)
	}
}

func TestConfigSchema(t *testing.T) {
	code, out, _ := cdc(t, "config", "schema")
	var s struct {
		Properties map[string]struct {
			Description string
		}
		AdditionalProperties *bool
	}
	if err := json.Unmarshal([]byte(out), &s); code != exitOK || err != nil {
		t.Fatal(code, err)
	}
	for _, k := range []string{"source", "streams", "checkpoint", "memory", "max_row"} {
		if s.Properties[k].Description == "" {
			t.Errorf("%s has no description", k)
		}
	}
	if s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Error("unknown settings are allowed")
	}
}

func TestPlaces(t *testing.T) {
	const set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77"
	for text, want := range map[string]live.StartKind{
		"": live.StartNow, "now": live.StartNow, "start": live.StartEarliest, "2024-05-01T12:00:00Z": live.StartTime, "2024-05-01": live.StartTime,
		set: live.StartGTIDs, "binlog.000007:4": live.StartFile, "mysql-bin.1000000:99": live.StartFile,
	} {
		if s, err := parseStart(text, gtid.MySQL); err != nil || s.Kind != want {
			t.Errorf("%q: %v, %v", text, s.Kind, err)
		}
	}
	if s, err := parseStart("0-1-5,2-3-9", gtid.MariaDB); err != nil || s.Kind != live.StartGTIDs {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"yesterday", "binlog:4", "binlog.000001", "binlog.000001:x", "binlog.000001:0", "../binlog.000001:4", "0-1-5"} {
		if s, err := parseStart(bad, gtid.MySQL); err == nil {
			t.Errorf("%q was taken as %v", bad, s)
		}
	}
	if s, err := parseStop("2024-05-01T12:00:00.5Z", gtid.MySQL); err != nil || !s.Time.Equal(time.Date(2024, 5, 1, 12, 0, 0, 5e8, time.UTC)) {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := parseStop("now", gtid.MySQL); err != nil || !s.Now {
		t.Errorf("%v, %v", s, err)
	}
}

func TestParseURL(t *testing.T) {
	cfg, flavor, err := parseURL("mariadb://repl@[::1]:3307/?tls=verify-ca&ca=/etc/ca.pem&gtid=off")
	if err != nil || flavor != gtid.MariaDB || cfg.Address != "[::1]:3307" || cfg.User != "repl" || cfg.TLS.Mode != "verify-ca" || cfg.TLS.CA != "/etc/ca.pem" || cfg.GTID != "off" {
		t.Errorf("%+v %v %v", cfg, flavor, err)
	}
}

func TestSocketPathFitsASocket(t *testing.T) {
	if p := socketPath("/tmp/state"); p != "/tmp/state/control.sock" {
		t.Error(p)
	}
	if p := socketPath("/tmp/" + strings.Repeat("long/", 40)); len(p) > 100 {
		t.Errorf("%d bytes: %s", len(p), p)
	}
}

func TestStatusOfNothing(t *testing.T) {
	code, _, errs := cdc(t, "status", config(t, good))
	if code != exitFault || !strings.Contains(errs, "CDC6006") {
		t.Errorf("%d %q", code, errs)
	}
}

// openEmpty makes a checkpoint folder.
func openEmpty(t *testing.T, dir string) (*badger.Store, error) {
	t.Helper()
	return badger.Open(t.Context(), dir, badger.Options{})
}
