package peers_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the differences into docs/formats.md anew")

// differences is a table of what is known to differ, by reason.
func differences() string {
	var out strings.Builder
	out.WriteString("| peer | writes | where (field, table of the script) |\n|---|---|---|\n")
	add := func(peer string, known ...map[string]string) {
		where := map[string][]string{}
		for _, m := range known {
			for place, why := range m {
				if !slices.Contains(where[why], place) {
					where[why] = append(where[why], place)
				}
			}
		}
		for _, why := range slices.Sorted(maps.Keys(where)) {
			slices.Sort(where[why])
			var fields []string
			for _, place := range where[why] {
				fields = append(fields, described(place))
			}
			fmt.Fprintf(&out, "| %s | %s | %s |\n", peer, why, strings.Join(fields, ", "))
		}
	}
	var all []map[string]string
	for _, c := range debeziumCases() {
		all = append(all, c.known)
	}
	add("Debezium", all...)
	all = nil
	for _, c := range maxwellCases() {
		all = append(all, c.known)
	}
	add("Maxwell", all...)
	add("Canal", canalKnown)
	return out.String()
}

// described is a place of the known differences in words.
func described(place string) string {
	table, field, _ := strings.Cut(place, " ")
	ddl, isDDL := strings.CutPrefix(table, "ddl:")
	switch {
	case table == "*" || table == "transaction":
		table = ""
	case isDDL && ddl == "*":
		table = " of DDL"
	case isDDL:
		table = " of the DDL of `" + ddl + "`"
	default:
		table = " of `" + strings.TrimPrefix(table, "peers.") + "`"
	}
	if place == "transaction value" {
		return "messages of transactions"
	}
	if field == "record" {
		return "records" + table
	}
	return "`" + field + "`" + table
}

// TestDifferencesPage sees that the manual names all differences, and no other.
func TestDifferencesPage(t *testing.T) {
	const page = "../../docs/formats.md"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)(<!-- differences: [^\n]* -->\n).*?(<!-- end -->)`)
	if !block.Match(old) {
		t.Fatal("no block of differences")
	}
	got := block.ReplaceAllStringFunc(string(old), func(s string) string {
		p := block.FindStringSubmatch(s)
		return p[1] + differences() + p[2]
	})
	if *rewrite {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != string(old) {
		t.Error("docs/formats.md names other differences: go test ./internal/peers -run TestDifferencesPage -rewrite")
	}
}
