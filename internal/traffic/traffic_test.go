package traffic

import (
	"slices"
	"strings"
	"testing"
)

// The seed and the number of a session decide what it sends.
func TestSameSeedSameStatements(t *testing.T) {
	all := func(seed uint64, n int) string {
		o := &Options{Seed: seed, Server: Server{Major: 9, Minor: 7}, DDL: true, Cascades: true, Modes: true, XA: true}
		s, a := NewSession(o, n), NewAlterer(o)
		list := append(o.Schema(), o.FirstRows()...)
		for range 300 {
			list = append(append(list, s.Next()...), a.Next()...)
		}
		return strings.Join(list, "\n")
	}
	if first, second := all(1, 0), all(1, 0); first != second {
		t.Error("the same seed sends other statements")
	}
	if all(1, 0) == all(2, 0) || all(1, 0) == all(1, 1) {
		t.Error("another seed or session sends the same")
	}
	for _, want := range []string{"ON DUPLICATE KEY", "REPLACE", "XA PREPARE", "ROLLBACK TO", "RENAME TABLE", "sql_mode = ''", "FOREIGN KEY", "utf8mb4_0900_ai_ci", "DESC)", "ORDER BY id DESC"} {
		if !strings.Contains(all(1, 0), want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestTables(t *testing.T) {
	for _, s := range []Server{{Major: 5, Minor: 7}, {Major: 8}, {Major: 9, Minor: 7}, {MariaDB: true, Major: 11, Minor: 8}, {MariaDB: true, Major: 10, Minor: 11}} {
		o := &Options{Server: s}
		list := o.Tables()
		if len(list) < 30 || len(slices.Compact(list)) != len(list) {
			t.Errorf("%+v: %d tables", s, len(list))
		}
	}
}
