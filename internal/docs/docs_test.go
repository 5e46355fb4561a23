package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// pages gives all documents by their path below the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "demo-out") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) == ".md" {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			out[filepath.ToSlash(rel)] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d documents were found", len(out))
	}
	return out
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors gives the names that a page's headings have in links, as GitHub makes them.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out[strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return out
}

// Every link to a file or a heading leads there.
func TestLinks(t *testing.T) {
	all := pages(t)
	n := 0
	for page, text := range all {
		plain := code.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
		for _, m := range link.FindAllStringSubmatch(plain, -1) {
			to := m[1]
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			n++
			file, anchor, _ := strings.Cut(to, "#")
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: link to %s: no such file", page, to)
				continue
			}
			if anchor != "" && !anchors(all[target])[anchor] {
				t.Errorf("%s: link to %s: no such heading", page, to)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d links were found", n)
	}
}

// Every page of docs can be reached from README.md.
func TestReachable(t *testing.T) {
	all := pages(t)
	seen := map[string]bool{}
	var walk func(string)
	walk = func(page string) {
		if seen[page] {
			return
		}
		seen[page] = true
		for _, m := range link.FindAllStringSubmatch(all[page], -1) {
			file, _, _ := strings.Cut(m[1], "#")
			if target := path.Join(path.Dir(page), file); all[target] != "" {
				walk(target)
			}
		}
	}
	walk("README.md")
	for page := range all {
		if strings.HasPrefix(page, "docs/") && !seen[page] {
			t.Errorf("no link leads from README.md to %s", page)
		}
	}
}

// ARCHITECTURE.md names every folder with Go code.
func TestFileMap(t *testing.T) {
	text := pages(t)["ARCHITECTURE.md"]
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "demo-out") {
			return fs.SkipDir
		}
		if dir := filepath.ToSlash(filepath.Dir(rel)); filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") && !strings.Contains(text, "`"+dir+"`") {
			t.Errorf("ARCHITECTURE.md does not name %s", dir)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// README.md says how everything is tested, the way continuous integration does it.
func TestReadme(t *testing.T) {
	text := pages(t)["README.md"]
	for _, want := range []string{"make check test", "make demo"} {
		if !strings.Contains(text, want) {
			t.Errorf("README.md does not mention %s", want)
		}
	}
	if n := strings.Count(text, "\n"); n > 200 {
		t.Errorf("README.md has %d lines, at most 200 are read", n)
	}
}
