package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/checkpoint"
	"cdc/fault"
)

const groupSource = `source:
  kafka: {brokers: ["k1"], topics: ["cdc.shop.*"], group: {name: copies, shares: 3}}
streams:
  - name: copy
    sink:
      mysql: {address: "db2:3306", user: cdc, password: {env: CDC_PASSWORD}}
  - name: lake
    sink:
      files: {dir: lake}
checkpoint: {dir: state}
`

func TestGroupConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cdc.yaml")
	load := func(text string) (*Config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return loadConfig(file)
	}
	c, err := load(groupSource)
	if err != nil {
		t.Fatal(err)
	}
	var names, dirs []string
	for i := range c.Streams {
		s := &c.Streams[i]
		names = append(names, s.Name)
		if s.Sink.Files != nil {
			dirs = append(dirs, s.Sink.Files.Dir)
		}
		if o, err := c.topicOptions(s, new(checkpoint.Record)); err != nil || o.Share != s.share || o.Share.Of != 3 {
			t.Errorf("%s reads the share %v (%v)", s.Name, o.Share, err)
		}
	}
	if want := []string{"copy.1", "copy.2", "copy.3", "lake.1", "lake.2", "lake.3"}; !slices.Equal(names, want) {
		t.Errorf("streams %q", names)
	}
	if want := []string{"lake/share-1", "lake/share-2", "lake/share-3"}; !slices.Equal(dirs, want) {
		t.Errorf("folders %q", dirs)
	}
	if err := c.hasStream([]string{file, "copy"}); err != nil {
		t.Error(err)
	}
	var out strings.Builder
	if err := c.printGrants(&out, grantsSource); err != nil || !strings.Contains(out.String(), "--operation Read --group copies\n") {
		t.Errorf("%v, the rights are\n%s", err, out.String())
	}
	for _, x := range []struct{ old, text, says string }{
		{"shares: 3", "shares: 3, session_timeout: 1s", "session_timeout: 1s is not between"},
		{"shares: 3", "shares: 5000", "5000 is not between"},
		{"name: copies, ", "", "group.name: is missing"},
		{"group:", "share: {number: 1, of: 2}, group:", "share: goes without group"},
		{"files: {dir: lake}", `kafka: {brokers: ["k1"]}`, "does not go with source.kafka.group"},
		{"name: lake", "name: " + strings.Repeat("l", 63), "at most 64"},
	} {
		if _, err := load(strings.Replace(groupSource, x.old, x.text, 1)); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", x.says, err)
		}
	}
	a := &app{cfg: c, finite: true}
	if err := a.enter(); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("a run with an end: %v", err)
	}
}

func TestStandbyLines(t *testing.T) {
	share := func(stream string, n int, state, why string) streamStatus {
		s := streamStatus{Share: &shareStatus{Stream: stream, Group: "g", Number: n, Of: 3}}
		s.State, s.Error = state, why
		return s
	}
	got := standbyLines([]streamStatus{
		share("copy", 1, standby, ""), share("copy", 2, "running", ""), share("copy", 3, standby, ""), share("lake", 1, standby, "no broker answers"), {},
	})
	want := []string{
		"stream copy: shares 1, 3 are not of this process in the group g",
		"stream lake: shares 1 are not of this process in the group g: no broker answers",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
