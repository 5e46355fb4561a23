package schemas

import (
	"slices"
	"strings"
	"testing"
)

// testCase is a run of statements from testdata/*.sql.
//
//	--@ name                     begins a case; everything up to the next is its statements, each of which ends with ; at the end of a line
//	--@ name : mysql57 mariadb   only on these servers or families (mysql, mariadb)
//	--@ name : !mysql57          not on these
//	--@ A sentence.              a remark
//	?statement;                  the server may refuse it
//
// In statements {a} stands for the default database and {b} for another one.
type testCase struct {
	name       string
	only       []string
	statements []string
}

func (c *testCase) wants(kind string) bool {
	family, _, _ := strings.Cut(kind, "0")
	family = strings.TrimRight(family, "0123456789")
	wanted := true
	for i, o := range c.only {
		if not, ok := strings.CutPrefix(o, "!"); ok {
			if not == kind || not == family {
				return false
			}
			continue
		}
		if i == 0 {
			wanted = false
		}
		wanted = wanted || o == kind || o == family
	}
	return wanted
}

func parseCases(t testing.TB, text string) []testCase {
	t.Helper()
	var cases []testCase
	var statement strings.Builder
	for line := range strings.Lines(text) {
		if head, ok := strings.CutPrefix(line, "--@ "); ok {
			name, only, _ := strings.Cut(head, " : ")
			if strings.HasSuffix(strings.TrimSpace(head), ".") {
				continue // a remark
			}
			cases = append(cases, testCase{name: strings.TrimSpace(name), only: strings.Fields(only)})
			continue
		}
		if len(cases) == 0 || statement.Len() == 0 && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, "--@")) {
			continue
		}
		statement.WriteString(line)
		if s := strings.TrimRight(statement.String(), " \n"); strings.HasSuffix(s, ";") {
			c := &cases[len(cases)-1]
			c.statements = append(c.statements, strings.TrimSuffix(s, ";"))
			statement.Reset()
		}
	}
	if statement.Len() > 0 {
		t.Fatalf("a statement has no end: %s", statement.String())
	}
	return slices.Clip(cases)
}
