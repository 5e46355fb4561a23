package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"cdc/internal/settings"
)

// Each sink has an example, which is a valid configuration as it is printed.
func TestExamples(t *testing.T) {
	code, list, _ := cdc(t, "config", "example")
	if code != exitOK || strings.Count(list, "\n") != len(sinkNames()) {
		t.Errorf("%d %q", code, list)
	}
	for _, s := range sinkNames() {
		code, text, errs := cdc(t, "config", "example", s.name)
		if code != exitOK {
			t.Errorf("%s: %s", s.name, errs)
			continue
		}
		path := config(t, text)
		if code, out, errs := cdc(t, "config", "check", path); code != exitOK || !strings.Contains(out, "ok, 1 stream(s) from db1:3306") {
			t.Errorf("%s: %q %s\n%s", s.name, out, errs, text)
		}
		cfg, err := loadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if v := reflect.ValueOf(cfg.Streams[0].Sink); v.FieldByIndex(sinkField(t, s.name)).IsNil() {
			t.Errorf("the example of %s has another sink", s.name)
		}
		for i, l := range strings.Split(text, "\n") {
			if len(l) > 120 || strings.HasSuffix(l, " ") || strings.Contains(l, "\t") {
				t.Errorf("%s, line %d: %q", s.name, i+1, l)
			}
		}
	}
	if code, _, errs := cdc(t, "config", "example", "ftp"); code != exitUsage || !strings.Contains(errs, "files, stdout, kafka, mysql, null") {
		t.Errorf("%d %q", code, errs)
	}
	if code, _, errs := cdc(t, "config", "example", "files", "null"); code != exitUsage || !strings.Contains(errs, "CDC1004") {
		t.Errorf("%d %q", code, errs)
	}
}

func sinkField(t *testing.T, name string) []int {
	t.Helper()
	for _, f := range settings.Fields(reflect.TypeFor[SinkConfig]()) {
		if settingName(f) == name {
			return f.Index
		}
	}
	t.Fatalf("there is no sink %s", name)
	return nil
}

var behindHash = regexp.MustCompile(`(?m)^( *)#([a-z_0-9]+:)`)

// Every setting of a sink is in its example, in its place and with a value of its type: with every # taken away the file can be read.
func TestExamplesAreWhole(t *testing.T) {
	for _, s := range sinkNames() {
		text, err := exampleConfig(s.name)
		if err != nil {
			t.Fatal(err)
		}
		text = behindHash.ReplaceAllString(text, "$1$2")
		var c Config
		if _, bad := settings.Decode("example.yaml", []byte(text), &c); len(bad) > 0 {
			t.Errorf("%s: %v\n%s", s.name, faults(bad), text)
		}
		var missing func(t reflect.Type, text, path string) []string
		missing = func(st reflect.Type, text, path string) (out []string) {
			for _, f := range settings.Fields(st) {
				name := settingName(f)
				if name == "-" {
					continue
				}
				line := regexp.MustCompile(`(?m)^( +)` + name + `:.*\n`).FindStringSubmatchIndex(text)
				if line == nil {
					out = append(out, path+"."+name)
					continue
				}
				inner := f.Type
				if inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
				if isSection(inner) {
					rest := text[line[1]:] // the lines behind it that stand further in
					if end := regexp.MustCompile(`(?m)^ {0,` + indentOf(line) + `}[a-z]`).FindStringIndex(rest); end != nil {
						rest = rest[:end[0]]
					}
					out = append(out, missing(inner, rest, path+"."+name)...)
				}
			}
			return out
		}
		sink := regexp.MustCompile(`(?ms)^      ` + s.name + `:\n.*?^[a-z]`).FindString(text)
		st := reflect.TypeFor[SinkConfig]().FieldByIndex(sinkField(t, s.name)).Type.Elem()
		if m := missing(st, sink, s.name); len(m) > 0 {
			t.Errorf("not in the example: %s", strings.Join(m, ", "))
		}
	}
}

func indentOf(line []int) string {
	return map[int]string{8: "8", 10: "10", 12: "12"}[line[3]-line[2]]
}

// Each command has a man page of valid requests, in which nothing of the text is one by chance.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if code, _, errs := cdc(t, "man", dir); code != exitOK {
		t.Fatal(errs)
	}
	if code, _, errs := cdc(t, "man"); code != exitUsage || !strings.Contains(errs, "next:") {
		t.Errorf("%d %q", code, errs)
	}
	pages := manPages()
	for _, c := range []string{"cdc", "cdc-run", "cdc-config-example", "cdc-checkpoint-set", "cdc-tail", "cdc-man"} {
		if pages[c+".1"] == "" {
			t.Errorf("no page %s", c)
		}
	}
	for name := range generatedPages() {
		if c, ok := strings.CutPrefix(strings.TrimSuffix(name, ".md"), "commands/"); ok && c != "README" && pages["cdc-"+c+".1"] == "" {
			t.Errorf("no page for %s", c)
		}
	}
	request := regexp.MustCompile(`^\.(TH [A-Z0-9\\-]+ 1 "" "[^"]+" "[^"]+"|SH [A-Z ]+|TP|PP|nf|fi|B .+|BR [a-z\\-]+ \(1\),?)$`)
	escape := regexp.MustCompile(`\\(-|e|&|fB|fI|fR)`)
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %v", name, err)
		}
		for _, section := range []string{".TH CDC", ".SH NAME\n", ".SH SYNOPSIS\n", ".SH EXIT STATUS\n"} {
			if !strings.Contains(want, section) {
				t.Errorf("%s has no %q", name, section)
			}
		}
		filled := true
		for i, l := range strings.Split(strings.TrimSuffix(want, "\n"), "\n") {
			switch {
			case l == ".nf" || l == ".fi":
				if filled != (l == ".nf") {
					t.Errorf("%s:%d: %s twice", name, i+1, l)
				}
				filled = l == ".fi"
			case strings.HasPrefix(l, "'"), strings.HasPrefix(l, ".") && !request.MatchString(l):
				t.Errorf("%s:%d: no request: %s", name, i+1, l)
			case l == "" && filled:
				t.Errorf("%s:%d: an empty line", name, i+1)
			}
			if strings.Contains(escape.ReplaceAllString(l, ""), `\`) || strings.Contains(l, "`") {
				t.Errorf("%s:%d: %s", name, i+1, l)
			}
			if strings.Count(l, `\fB`)+strings.Count(l, `\fI`) != strings.Count(l, `\fR`) {
				t.Errorf("%s:%d: a font does not end: %s", name, i+1, l)
			}
		}
		if !filled {
			t.Errorf("%s: .nf without .fi", name)
		}
	}
	if got := roff(".a\\b-c `d`"); got != `\&.a\eb\-c \fBd\fR` {
		t.Error(got)
	}
}

// What the shell is offered: files of configurations, streams in them, sinks, codes, values of flags.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := cdc(t, "completion", shell); code != exitOK || !strings.Contains(out, "__complete") || len(out) < 1000 {
			t.Errorf("completion %s: %d bytes", shell, len(out))
		}
	}
	path := config(t, good)
	const noFiles, yamlFiles, anyFile, folders = ":4", ":8", ":0", ":16"
	for _, c := range []struct {
		args  string
		want  []string
		files string
	}{
		{"run ", []string{"yaml", "yml"}, yamlFiles},
		{"check ", []string{"yaml", "yml"}, yamlFiles},
		{"run x.yaml ", nil, noFiles},
		{"pause FILE ", []string{"orders", "screen"}, noFiles},
		{"checkpoint set FILE ", []string{"orders", "screen"}, noFiles},
		{"schema show FILE orders ", nil, noFiles},
		{"config example ", []string{"files\tFiles in a folder, local or in HDFS or S3: JSON lines, CSV, Avro or Parquet.", "kafka\t"}, noFiles},
		{"errors CDC1004 ", []string{"CDC2008\t"}, noFiles},
		{"tail ", nil, anyFile},
		{"tail a b ", nil, anyFile},
		{"tail --format ", []string{"plain", "maxwell", "none"}, noFiles},
		{"tail --from ", []string{"now", "start"}, noFiles},
		{"tail --schema-dump ", nil, anyFile},
		{"run --log-level ", []string{"debug", "error"}, noFiles},
		{"checkpoint set FILE orders --from ", nil, anyFile},
		{"skip FILE orders --gtid ", nil, noFiles},
		{"man ", nil, folders},
		{"config ", []string{"check", "example", "schema"}, noFiles},
	} {
		args := append([]string{"__complete"}, strings.Split(strings.ReplaceAll(c.args, "FILE", path), " ")...)
		code, out, errs := cdc(t, args...)
		if code != exitOK || !strings.HasSuffix(strings.TrimSpace(out), c.files) {
			t.Errorf("%q: %d %q %q", c.args, code, out, errs)
		}
		for _, w := range c.want {
			if !strings.Contains("\n"+out, "\n"+w) {
				t.Errorf("%q: no %q in %q", c.args, w, out)
			}
		}
		if len(c.want) == 0 && strings.Count(out, "\n") > 1 {
			t.Errorf("%q: %q is offered", c.args, out)
		}
	}
}
