package layers

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "cdc"

// The layers, lowest first; the packages of one do not import each other.
var order = [][]string{
	{"fault"},
	{"gtid", "session", "broker"},
	{"schemas"},
	{"event"},
	{"format"},
	{"source", "transform", "sinks", "checkpoint"},
	{"pipeline"},
	{"recovery", "topology", "verify", "admin"},
	{"cmd"},
}

// What only tests, and programs below internal, may import.
var forTests = []string{"internal/batchtest", "internal/testbed", "sinks/sinktest"}

// Where a third party's modules stop. Tests may use them as an oracle.
var leaves = map[string][]string{
	"github.com/go-mysql-org/go-mysql": {"session", "internal"},
	"github.com/dgraph-io/badger":      {"checkpoint/badger"},
	"github.com/segmentio/kafka-go":    {"broker", "checkpoint/topic", "sinks/kafka", "source/kafka", "internal"},
	"github.com/linkedin/goavro":       {"format/avro", "sinks/files"},
	"github.com/twmb/franz-go":         {"sinks/kafka/registry", "internal"},
	"github.com/spf13/cobra":           {"cmd/cdc", "internal"},
	"github.com/colinmarc/hdfs":        {"sinks/files/hdfs"},
	"github.com/parquet-go/parquet-go": {"format/parquet"},
	"github.com/aws":                   {"sinks/files/s3"},
}

func level(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.IndexFunc(order, func(l []string) bool { return slices.Contains(l, top) })
}

func below(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// objection says what is wrong with package from importing the path to, "" if
// nothing is; test tells whether a test file does.
func objection(from, to string, test bool) string {
	for client, where := range leaves {
		if !test && below(to, client) && !slices.ContainsFunc(where, func(d string) bool { return below(from, d) }) {
			return fmt.Sprintf("%s stops at %v", client, where)
		}
	}
	to, ours := strings.CutPrefix(to, module+"/")
	if !ours || from == to {
		return ""
	}
	if below(from, "internal") && from != "internal/settings" && from != "internal/batchtest" && from != "internal/testbed" {
		return "" // programs and documentation about the whole
	}
	if slices.ContainsFunc(forTests, func(d string) bool { return below(to, d) }) {
		if test || path.Base(from) == "gen" || slices.ContainsFunc(forTests, func(d string) bool { return below(from, d) && below(to, d) }) {
			return ""
		}
		return to + " is for tests"
	}
	switch from {
	case "internal/settings":
		if to != "fault" {
			return "settings knows fault only"
		}
		return ""
	case "internal/batchtest":
		if level(to) > level("event") || level(to) < 0 {
			return "batchtest knows what flows, event and below"
		}
		return ""
	}
	if below(from, "internal/testbed") {
		return "testbed knows none of our packages, which it tests"
	}
	switch {
	case to == "internal/settings":
		if level(from) == 0 {
			return "fault stands at the bottom"
		}
		return ""
	case below(to, "internal"):
		return to + " is a program or a test's"
	case level(to) < 0:
		return to + " has no place among the layers"
	}
	fromTop, _, _ := strings.Cut(from, "/")
	toTop, _, _ := strings.Cut(to, "/")
	switch {
	case fromTop == toTop:
		return ""
	case level(from) == level(to):
		return "neighbours do not import each other"
	case level(from) < level(to):
		return "against the direction"
	}
	implementation := slices.Contains([]string{"format", "source", "sinks", "checkpoint"}, toTop) && to != toTop && to != "source/binlog" && to != "sinks/mysql/statement"
	if implementation && !below(from, "cmd") && !test {
		return "only cmd/cdc picks an implementation"
	}
	return ""
}

// goFiles calls f for each Go file of the module, by its path below the root.
func goFiles(t *testing.T, f func(rel string, file *ast.File)) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			base := d.Name()
			if rel != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if path.Ext(rel) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		seen++
		f(rel, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Errorf("only %d files seen below %s", seen, root)
	}
}

func imports(t *testing.T, file *ast.File) (paths []string) {
	t.Helper()
	for _, imp := range file.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

func TestImports(t *testing.T) {
	goFiles(t, func(rel string, file *ast.File) {
		from := path.Dir(rel)
		if level(from) < 0 && !below(from, "internal") {
			t.Errorf("%s: the folder has no place among the layers", rel)
		}
		for _, to := range imports(t, file) {
			if o := objection(from, to, strings.HasSuffix(rel, "_test.go")); o != "" {
				t.Errorf("%s imports %s: %s", rel, to, o)
			}
		}
	})
}

// Tests do not sleep, but for those which move a fake clock by it.
func TestNoSleep(t *testing.T) {
	goFiles(t, func(rel string, file *ast.File) {
		if !strings.HasSuffix(rel, "_test.go") || slices.Contains(imports(t, file), "testing/synctest") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
				if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "time" {
					t.Errorf("%s: time.Sleep in a test: poll with a deadline, or use testing/synctest", rel)
				}
			}
			return true
		})
	})
}

// The rules, by example.
func TestObjection(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"gtid", "cdc/fault", false, true},
		{"fault", "cdc/gtid", false, false},
		{"fault", "cdc/internal/settings", false, false},
		{"schemas", "cdc/event", false, false},
		{"schemas", "cdc/schemas/charset", false, true},
		{"schemas/charset", "cdc/gtid", false, true},
		{"event", "cdc/event", true, true}, // an external test of the package itself
		{"source/live", "cdc/source/binlog", false, true},
		{"source/live", "cdc/internal/settings", false, true},
		{"source/live", "cdc/checkpoint", false, false},
		{"source/live", "cdc/checkpoint", true, false},
		{"sinks/files", "cdc/format", false, true},
		{"sinks/files", "cdc/format/debezium", false, false},
		{"sinks/files", "cdc/format/debezium", true, true},
		{"sinks/files", "cdc/sinks/sinktest", true, true},
		{"sinks/files", "cdc/sinks/sinktest", false, false},
		{"pipeline", "cdc/sinks", false, true},
		{"pipeline", "cdc/sinks/files", false, false},
		{"pipeline", "cdc/sinks/files", true, true},
		{"pipeline", "cdc/recovery", false, false},
		{"recovery", "cdc/source/binlog", false, true},
		{"recovery", "cdc/topology", false, false},
		{"cmd/cdc", "cdc/sinks/files", false, true},
		{"cmd/cdc", "cdc/internal/testbed", false, false},
		{"cmd/cdc", "cdc/internal/testbed", true, true},
		{"cmd/cdc", "cdc/helpers", false, false},
		{"internal/demo", "cdc/internal/testbed", false, true},
		{"schemas/charset/gen", "cdc/internal/testbed", false, true},
		{"schemas/charset/gen", "cdc/event", false, false},
		{"internal/bench", "cdc/source/binlog", false, true},
		{"internal/testbed", "cdc/gtid", false, false},
		{"internal/testbed/cmd/provision", "cdc/internal/testbed", false, true},
		{"internal/batchtest", "cdc/event", false, true},
		{"internal/batchtest", "cdc/pipeline", false, false},
		{"internal/settings", "cdc/gtid", false, false},
		{"session", "github.com/go-mysql-org/go-mysql/client", false, true},
		{"source/live", "github.com/go-mysql-org/go-mysql/client", false, false},
		{"source/binlog", "github.com/go-mysql-org/go-mysql/replication", false, false},
		{"source/binlog", "github.com/go-mysql-org/go-mysql/replication", true, true},
		{"pipeline", "github.com/dgraph-io/badger/v4", false, false},
		{"checkpoint/badger", "github.com/dgraph-io/badger/v4", false, true},
		{"pipeline", "github.com/spf13/cobra", false, false},
		{"pipeline", "log/slog", false, true},
	} {
		if o := objection(c.from, c.to, c.test); (o == "") != c.ok {
			t.Errorf("%s imports %s (test: %t): %q", c.from, c.to, c.test, o)
		}
	}
}
