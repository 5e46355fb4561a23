package files

import (
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"cdc/fault"
)

// nasty are names that MySQL allows for databases and tables, and an empty one.
var nasty = []string{
	"", ".", "..", "../../x", "a/b", "a\\b", "x;drop table y", strings.Repeat("表", 64), "A", "a", "Aa", "aA", "%2e", "%2E", ".hidden", "_manifest",
	"_ddl", ".cdc", "x\ny", "$(id)", "-rf", "a.b", "a_b", "a-b", "%_", "%h", "a%h", "é", "e\u0301", " ", "con", "{table}", "~", "*", "表", "%E8%A1%A8",
	strings.Repeat("x", 64), strings.Repeat("X", 64), strings.Repeat("x", 300), strings.Repeat("x", 301), "\x00", "a\x00", "z" + strings.Repeat("表", 64),
}

func TestEncodeName(t *testing.T) {
	for _, limit := range []int{40, 67, 255} {
		seen := map[string]string{}
		for _, name := range nasty {
			s := EncodeName(name, limit)
			if len(s) > limit || s == "" || s[0] == '.' || s[0] == '_' || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_%ABCDEF") != "" {
				t.Errorf("EncodeName(%q, %d) = %q", name, limit, s)
			}
			fold := strings.ToLower(s) // as a file system would that ignores case
			if other, taken := seen[fold]; taken {
				t.Errorf("%q and %q are both %q", name, other, s)
			}
			seen[fold] = name
			if back, ok := DecodeName(s); ok && back != name || !ok && !strings.Contains(s, "%h") {
				t.Errorf("DecodeName(%q) = %q, %v, want %q", s, back, ok, name)
			}
		}
	}
	for name, want := range map[string]string{"orders": "orders", "a_b": "a_b", "_a": "%5Fa", "Orders": "%4Frders", "": "%_", "a.b": "a%2Eb"} {
		if got := EncodeName(name, 255); got != want {
			t.Errorf("EncodeName(%q) = %q, want %q", name, got, want)
		}
	}
	for _, s := range []string{"", "A", "%", "%4", "%zz", "%41%", "%61", "a%h00"} {
		if name, ok := DecodeName(s); ok {
			t.Errorf("DecodeName(%q) = %q, want refusal", s, name)
		}
	}
}

func FuzzEncodeName(f *testing.F) {
	for i, n := range nasty {
		f.Add(n, nasty[len(nasty)-1-i])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, limit := range []int{40, 72, 255} {
			x, y := EncodeName(a, limit), EncodeName(b, limit)
			if strings.EqualFold(x, y) != (a == b) {
				t.Fatalf("%q and %q become %q and %q", a, b, x, y)
			}
			if len(x) > limit {
				t.Fatalf("%q is %d bytes long", x, len(x))
			}
			if back, ok := DecodeName(x); ok && back != a {
				t.Fatalf("%q comes back as %q", a, back)
			}
		}
	})
}

// TestTemplatePaths tries all pairs of nasty names: no two tables share a path, none is a folder that another needs, none leaves the top.
func TestTemplatePaths(t *testing.T) {
	for _, text := range []string{
		DefaultTemplate, "{database}.{table}", "x-{table}@{database}/part", "{table}/{database}", "all/{database}+{table}_",
		"{database}/{table}/dt={commit_date}/hour={commit_hour}/{table}", "{commit_year}/{commit_month}-{commit_day}/{database}@{table}-{commit_hour}",
	} {
		tmpl, err := parseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string][2]string{}
		for _, db := range nasty {
			for _, table := range nasty {
				p := strings.ToLower(tmpl.path(db, table, 1709216399_000_000))
				if other, taken := seen[p]; taken {
					t.Fatalf("%s: %q.%q and %q are both at %s", text, db, table, other, p)
				}
				seen[p] = [2]string{db, table}
				full := tmpl.path(db, table, 1709216399_000_000) + suffix(1<<33, 999_999, txnRef{File: strings.Repeat("/", 300), Offset: 1 << 63},
					txnRef{File: "binlog.0123456789", Offset: 1 << 63}) + Extension
				if path.Clean(full) != full || strings.HasPrefix(full, "../") {
					t.Fatalf("%s: bad path %q", text, full)
				}
				for part := range strings.SplitSeq(full, "/") {
					if len(part) > maxPart || part[0] == '.' || part[0] == '_' {
						t.Fatalf("%s: bad part %q of %d bytes", text, part, len(part))
					}
				}
				n, ok := parseSuffix(path.Base(full), Extension)
				if want := (named{number: 1 << 33, part: 999_999, prefix: path.Base(tmpl.path(db, table, 1709216399_000_000))}); !ok || n != want {
					t.Fatalf("%s: %q reads back as %+v, %v", text, path.Base(full), n, ok)
				}
				made := n.prefix + madeOf(7, 3, 12, txnRef{}, txnRef{}) + Extension
				if got, ok := parseSuffix(made, Extension); !ok || got != (named{number: 7, part: 3, upkeep: 12, prefix: n.prefix}) {
					t.Fatalf("%s: %q reads back as %+v, %v", text, made, got, ok)
				}
			}
		}
	}
}

// TestTemplateTimes gives each unit of time, and no other, a path of its own.
func TestTemplateTimes(t *testing.T) {
	at := func(text string) int64 {
		t.Helper()
		v, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixMicro()
	}
	for text, want := range map[string][]string{ // of the times below
		"{database}/{table}/x": {"d/t/x", "d/t/x", "d/t/x", "d/t/x"},
		"{database}/{table}/dt={commit_date}/hour={commit_hour}/x": {
			"d/t/dt=2024-02-29/hour=23/x", "d/t/dt=2024-02-29/hour=23/x", "d/t/dt=2024-03-01/hour=00/x", "d/t/dt=1970-01-01/hour=00/x",
		},
		"{database}/{table}/{commit_date}":                             {"d/t/2024-02-29", "d/t/2024-02-29", "d/t/2024-03-01", "d/t/1970-01-01"},
		"{commit_year}/{database}.{table}":                             {"2024/d.t", "2024/d.t", "2024/d.t", "1970/d.t"},
		"{commit_year}-{commit_month}/{database}.{table}":              {"2024-02/d.t", "2024-02/d.t", "2024-03/d.t", "1970-01/d.t"},
		"{commit_year}/{commit_month}/{commit_day}/{database}.{table}": {"2024/02/29/d.t", "2024/02/29/d.t", "2024/03/01/d.t", "1970/01/01/d.t"},
	} {
		tmpl, err := parseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		paths, parts := map[string]int64{}, map[int64]string{}
		for i, commit := range []int64{at("2024-02-29 23:00:00"), at("2024-02-29 23:59:59") + 999_999, at("2024-03-01 00:00:00"), 0} {
			part := tmpl.partition(commit)
			got := tmpl.path("d", "t", part)
			if got != want[i] {
				t.Errorf("%s at %d: %s, want %s", text, commit, got, want[i])
			}
			if p, seen := paths[got]; seen && p != part {
				t.Errorf("%s: partitions %d and %d are both at %s", text, p, part, got)
			}
			if p, seen := parts[part]; seen && p != got {
				t.Errorf("%s: partition %d is at %s and %s", text, part, p, got)
			}
			paths[got], parts[part] = part, got
		}
	}
}

func TestTemplateRefusals(t *testing.T) {
	for _, text := range []string{
		"", "x", "{database}", "{table}", "{database}{table}", "{database}_{table}", "{database}x{table}", "/{database}/{table}", "{database}/{table}/",
		"{database}//{table}", "../{database}/{table}", "./{database}/{table}", ".{database}.{table}", "_{database}.{table}", "{database}/{table}/{date}",
		"{database}/{table}\\x", "{database}/{table}%", "{database}/{table}\n", "{database}/{table}/" + strings.Repeat("x", 200), "{database}/{table", "{database}/table}",
		"{database}/{table}/{commit_hour}", "{database}/{table}/{commit_year}-{commit_day}", "{database}/{table}/{commit_month}", "{database}/{table}{commit_date}",
		"{commit_date}{database}/{table}", "{database}/{table}/{commit_year}{commit_month}", "{database}/{table}/{commit_year}/{commit_day}-{commit_hour}",
	} {
		if _, err := parseTemplate(text); !fault.Has(err, fault.ConfigInvalid) {
			t.Errorf("template %q: %v", text, err)
		}
	}
}

// TestOrderOfNames sorts names as ls does.
func TestOrderOfNames(t *testing.T) {
	last := ""
	for number := uint64(1); number < 1e9; number = number*3 + 1 {
		for part := 1; part < 1e6; part = part*7 + 1 {
			s := suffix(number, part, txnRef{File: "binlog.000009", Offset: rand.Uint64()}, txnRef{File: "x"})
			if s <= last {
				t.Fatalf("%s does not follow on %s", s, last)
			}
			last = s
		}
	}
}

func TestParseSuffixRefusals(t *testing.T) {
	for _, s := range []string{
		"", "x.jsonl", "shop.orders-1-2-3.jsonl", "a-0000000001-000001-1.1-1.1.avro", "a-0000000001-000001--.jsonl", "a-00000000xx-000001-1.1-1.1.jsonl",
		"a-0000000001-000001c-1.1-1.1.jsonl", "a-0000000001-00001c1-1.1-1.1.jsonl", "a-0000000001-000001d1-1.1-1.1.jsonl",
	} {
		if _, ok := parseSuffix(s, Extension); ok {
			t.Errorf("%q was taken for a published file", s)
		}
	}
}
