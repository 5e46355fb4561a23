package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cdc/admin/metrics"
)

// What others can reach is refused unless it is asked for by name.
func TestAdminListen(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:8083": true, "[::1]:8083": true, "localhost:0": true, "0.0.0.0:8083": false, ":8083": false, "db1:8083": false, "8083": false,
	} {
		c := AdminConfig{Listen: listen}
		bad := 0
		c.validate(func(string, string, ...any) { bad++ })
		if (bad == 0) != ok {
			t.Errorf("%s: %d problems", listen, bad)
		}
		c.AllowRemote = true
		bad = 0
		c.validate(func(string, string, ...any) { bad++ })
		if (bad == 0) != (listen != "8083") {
			t.Errorf("%s with allow_remote: %d problems", listen, bad)
		}
	}
}

// The manual's table of metrics is what the program collects.
func TestMetricsPage(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "metrics.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "<!-- metrics: generated -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatal("the page has no place for the table")
	}
	want := before + from + metricsTable() + to + after
	if *rewrite {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Error("docs/metrics.md is stale: go test ./cmd/cdc -run TestMetricsPage -rewrite")
	}
	if n := reflect.TypeFor[AdminConfig]().NumField(); strings.Count(before+after, "`admin.") < n {
		t.Errorf("the page does not name all %d settings", n)
	}
}

func metricsTable() string {
	var b strings.Builder
	b.WriteString("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metrics.All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.KindName(), strings.Join(append([]string{"stream"}, m.Labels...), ", "), m.Help)
	}
	b.WriteString("\n")
	return b.String()
}
