package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What belongs to one way of a snapshot is refused for the other.
func TestSnapshotWay(t *testing.T) {
	for _, c := range []struct{ source, stream, want string }{
		{"", "snapshot: initial\n    snapshot_way: classic\n    snapshot_lock: {wait: 2s, tables: true}\n    snapshot_limits: {connections: 4, rows_per_second: 10}", ""},
		{", gtid: off", "snapshot: initial\n    snapshot_way: classic", ""},
		{", gtid: off", "snapshot: initial", "snapshot_way: classic does without"},
		{"", "snapshot: initial\n    snapshot_lock: {tables: true}", "there is no lock without"},
		{"", "snapshot: initial\n    snapshot_way: classic\n    snapshot_limits: {chunk_rows: 10}", "chunk_rows"},
		{"", "snapshot: initial\n    snapshot_way: classic\n    snapshot_lock: {wait: 1ms}", "not between 1s and 1h"},
		{"", "snapshot: initial\n    snapshot_way: other", "neither chunks nor classic"},
	} {
		file := filepath.Join(t.TempDir(), "cdc.yaml")
		text := "source:\n  mysql: {address: \"127.0.0.1:1\", user: cdc" + c.source + "}\nstreams:\n  - name: s\n    " + c.stream + "\n    sink: {null: {}}\ncheckpoint: {dir: state}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadConfig(file)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s:\n%v", c.stream, err)
		}
	}
}
