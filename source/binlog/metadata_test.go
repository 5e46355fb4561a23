package binlog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/schemas"
	"cdc/source/binlog"
)

// withoutDDL leaves out the transactions that are DDL, so that the schema can come from elsewhere only.
func withoutDDL(raw []byte) []byte {
	out := append([]byte(nil), raw[:4]...)
	var group []byte
	ddl := false
	flush := func() {
		if !ddl {
			out = append(out, group...)
		}
		group, ddl = nil, false
	}
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		e := raw[pos : pos+int(h.Size)]
		pos += int(h.Size)
		switch h.Type {
		case binlog.GTIDEvent, binlog.AnonymousGTID, binlog.MariaGTID:
			flush()
		case binlog.QueryEvent, binlog.QueryCompressed:
			text := e[bytes.LastIndex(e, []byte("shop\x00"))+5:]
			for _, verb := range []string{"CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "\x81", "\x82"} { // the last two: compressed
				ddl = ddl || bytes.HasPrefix(text, []byte(verb))
			}
		}
		group = append(group, e...)
	}
	flush()
	return out
}

// TestFullMetadata decodes recordings with FULL metadata whose DDL was taken out: the columns come from the table maps.
func TestFullMetadata(t *testing.T) {
	for _, path := range corpus(t) {
		name := strings.TrimSuffix(filepath.Base(path), ".binlog")
		if !strings.HasSuffix(name, "-full") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := dump(withoutDDL(raw), dumpOptions{file: name})
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			compare(t, filepath.Join("testdata", "metadata", name+".txt"), got)
		})
	}
}

// TestUnknownColumns takes recordings without names: the rows are an error, or get names from a callback.
func TestUnknownColumns(t *testing.T) {
	for _, name := range []string{"mysql57-default", "mysql97-default", "mariadb1011-default"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "corpus", name+".binlog"))
		if err != nil {
			t.Fatal(err)
		}
		raw = withoutDDL(raw)
		if _, err := dump(raw, dumpOptions{}); !fault.Has(err, fault.SchemaUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		got, err := dump(raw, dumpOptions{file: name, config: func(c *binlog.Config) {
			c.Unknown = func(n schemas.Name, tm *binlog.TableMap, at binlog.Place) (*schemas.Table, error) {
				if n != tm.Name || at.Offset == 0 {
					t.Errorf("asked for %s at %+v", n, at)
				}
				return tm.Unnamed(), nil
			}
		}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		compare(t, filepath.Join("testdata", "metadata", name+"-unnamed.txt"), got)
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not what %s says:\n%s", golden, firstDifference(string(want), got))
	}
}
