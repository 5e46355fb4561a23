package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the generated pages of docs anew")

// The generated pages in docs are what the program would write now.
func TestDocsFresh(t *testing.T) {
	root := filepath.Join("..", "..", "docs")
	pages := generatedPages()
	if len(pages) < 10 {
		t.Fatalf("only %d pages are generated", len(pages))
	}
	for name, want := range pages {
		path := filepath.Join(root, filepath.FromSlash(name))
		if *rewrite {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("docs/%s is stale: go test ./cmd/cdc -run TestDocsFresh -rewrite", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "commands", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := pages["commands/"+filepath.Base(f)]; !ok {
			t.Errorf("%s is of no command", f)
		}
	}
}

// Every setting says what it means.
func TestSettingsDescribed(t *testing.T) {
	for line := range strings.SplitSeq(configPage(), "\n") {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |") {
			t.Errorf("no description: %s", line)
		}
	}
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// Every whole pipeline that a page shows is a valid one.
func TestDocsPipelines(t *testing.T) {
	seen := 0
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && path != filepath.Join(root, "docs") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, m := range yamlBlock.FindAllSubmatch(text, -1) {
			if !strings.Contains(string(m[1]), "streams:") {
				continue // a part of a file
			}
			seen++
			file := filepath.Join(t.TempDir(), fmt.Sprintf("%s-%d.yaml", filepath.Base(path), i))
			if err := os.WriteFile(file, m[1], 0o600); err != nil {
				return err
			}
			if _, err := loadConfig(file); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 3 {
		t.Errorf("only %d pipelines were found", seen)
	}
}
