package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Address  string        `yaml:"address"`
	ServerID uint32        `yaml:"server_id"`
	Password Secret        `yaml:"password"`
	Wait     time.Duration `yaml:"wait"`
}

type outer struct {
	Source struct {
		MySQL *inner `yaml:"mysql"`
	} `yaml:"source"`
	Tables []string `yaml:"tables"`
	Memory Size     `yaml:"memory"`
	On     bool     `yaml:"on"`
	Ratio  float64  `yaml:"ratio"`
}

func TestDecode(t *testing.T) {
	var c outer
	doc, faults := Decode("c.yaml", []byte(`
source:
  mysql: {address: "db1:3306", server_id: 7, password: {env: X}, wait: 1m30s}
tables: ["shop.%", "!shop.tmp_%"]   # comment
memory: 256MiB
on: true
ratio: 0.5
`), &c)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if c.Source.MySQL.Address != "db1:3306" || c.Source.MySQL.ServerID != 7 || c.Source.MySQL.Wait != 90*time.Second || c.Memory != 256<<20 ||
		len(c.Tables) != 2 || !c.On || c.Ratio != 0.5 || c.Source.MySQL.Password.Env != "X" {
		t.Errorf("%+v %+v", c, c.Source.MySQL)
	}
	got := doc.At([]Problem{{Path: "source.mysql.wait", Text: "too long"}, {Path: "tables[1]", Text: "bad"}, {Path: "source.mysql.tls.ca", Text: "missing"}})
	for i, want := range []string{"c.yaml:3:66", "c.yaml:4:20", "c.yaml:3:3"} {
		if !strings.Contains(got[i].Error(), want) {
			t.Errorf("%v: want %s", got[i], want)
		}
	}
}

func TestDecodeInline(t *testing.T) {
	type shared struct {
		Format string `yaml:"format"`
		Depth  *inner `yaml:"depth"`
	}
	var c struct {
		Dir    string `yaml:"dir"`
		Shared shared `yaml:",inline"`
		Size   Size   `yaml:"size"`
	}
	doc, faults := Decode("c.yaml", []byte("dir: x\nformat: y\nsize: 1k\ndepth: {address: z}\n"), &c)
	if len(faults) > 0 || c.Dir != "x" || c.Shared.Format != "y" || c.Size != 1024 || c.Shared.Depth.Address != "z" {
		t.Fatal(c, faults)
	}
	if got := doc.At([]Problem{{Path: "format", Text: "bad"}})[0].Error(); !strings.Contains(got, "c.yaml:2:1") {
		t.Error(got)
	}
	if _, faults := Decode("c.yaml", []byte("formt: y\n"), &c); len(faults) != 1 || !strings.Contains(faults[0].Error(), `is it "format"?`) {
		t.Error(faults)
	}
	var names []string
	for _, f := range Fields(reflect.TypeOf(c)) {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "Dir Format Depth Size" {
		t.Error(got)
	}
}

func TestDecodeListsAllFaults(t *testing.T) {
	var c outer
	_, faults := Decode("c.yaml", []byte(`source:
  mysql:
    adress: db
    server_id: -1
    server_id: 5
    password: hunter2
    wait: soon
tables: shop.%
memory: many
on: maybe
nonsense: 1
`), &c)
	want := []string{
		`is it "address"?`, `4:16`, "from 0", `5:5`, "set twice", "6:15", "{file: PATH}", `7:11`, "duration", `8:9`, "want a list", `9:9`,
		"is not a size", "10:5", "true or false", "11:1", "unknown setting \"nonsense\"",
	}
	var all strings.Builder
	for _, f := range faults {
		all.WriteString(f.Error() + "): \n")
		if strings.Contains(f.Error(), "hunter2") {
			t.Error("a fault shows the secret")
		}
	}
	for _, w := range want {
		if !strings.Contains(all.String(), w) {
			t.Errorf("no %q in\n%s", w, all.String())
		}
	}
	if len(faults) != 9 {
		t.Errorf("%d faults:\n%s", len(faults), all.String())
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, bad := range []string{"", "a: [", "a: *x", "- 1", "source: {mysql: 3}", "memory: &a 1\non: *a", "memory: 1\n---\nmemory: 2", "\tx: 1", "{", "a: b: c"} {
		var c outer
		if _, faults := Decode("c.yaml", []byte(bad), &c); len(faults) == 0 {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("source: {mysql: {address: x}}\nmemory: 1GiB"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var c outer
		Decode("c.yaml", b, &c)
	})
}

func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CDC_TEST_SECRET", "env")
	for _, c := range []struct {
		s    Secret
		want string
		ok   bool
	}{
		{Secret{}, "", true},
		{Secret{File: path}, "geheim", true},
		{Secret{Env: "CDC_TEST_SECRET"}, "env", true},
		{Secret{Env: "CDC_TEST_NOT_SET"}, "", false},
		{Secret{File: path + "x"}, "", false},
		{Secret{File: path, Env: "X"}, "", false},
	} {
		got, err := c.s.Value()
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%v: %q, %v", c.s, got, err)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "4096": 4096, "64k": 65536, "256MiB": 256 << 20, "1.5 GiB": 3 << 29, "10MB": 1e7, "3B": 3} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, bad := range []string{"", "x", "-1", "1e300", "NaN", "5 apples"} {
		var s Size
		if err := s.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken as %d", bad, s)
		}
	}
	if s := Size(256 << 20).String(); s != "256MiB" {
		t.Error(s)
	}
}
