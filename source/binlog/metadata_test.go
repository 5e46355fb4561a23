package binlog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/gtid"
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

// TestEitherOfTwo takes a recording without names, of a table that can only have the columns of one of two versions: a row shows which, or it is
// asked for as if nothing were known.
func TestEitherOfTwo(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "corpus", "mariadb1011-default.binlog"))
	if err != nil {
		t.Fatal(err)
	}
	raw = withoutDDL(raw)
	name := schemas.Name{Database: "shop", Table: "orders"}
	right := &schemas.Table{}
	_, err = dump(raw, dumpOptions{config: func(c *binlog.Config) {
		c.Unknown = func(n schemas.Name, tm *binlog.TableMap, _ binlog.Place) (*schemas.Table, error) {
			if n == name {
				*right = *tm.Unnamed()
			}
			return tm.Unnamed(), nil
		}
	}})
	if err != nil || len(right.Columns) == 0 {
		t.Fatal(err)
	}
	change := func(f func(*schemas.Table)) *schemas.Table {
		c := *right
		c.Columns = slices.Clone(c.Columns)
		f(&c)
		return &c
	}
	longer := change(func(c *schemas.Table) { c.Columns = append(c.Columns, schemas.Column{Name: "more", Type: schemas.Int}) })
	shorter := change(func(c *schemas.Table) { c.Columns = c.Columns[1:] })
	other := change(func(c *schemas.Table) { c.Columns[0].Type = schemas.BigInt })
	renamed := change(func(c *schemas.Table) { c.Columns[0].Name = "another" })
	for _, c := range []struct {
		name     string
		old, now *schemas.Table
		found    string // the name of the first column; empty where nothing was
	}{
		{"the old one", renamed, longer, "another"},
		{"the new one", other, right, "@1"},
		{"only one", renamed, nil, "another"},
		{"both fit", right, renamed, ""},
		{"none fits", shorter, longer, ""},
		{"the only one does not", longer, nil, ""},
	} {
		asked := 0
		var catalog *schemas.Catalog
		_, err := dump(raw, dumpOptions{config: func(cfg *binlog.Config) {
			catalog = schemas.NewCatalog(gtid.MariaDB, 101100)
			if c.now != nil {
				catalog.Put(c.now)
			}
			catalog.Replay(&schemas.Entry{Kind: schemas.ForgetTable, Name: name, Table: c.old, Reason: "renamed"})
			cfg.Catalog = catalog
			cfg.Unknown = func(n schemas.Name, tm *binlog.TableMap, _ binlog.Place) (*schemas.Table, error) {
				if n == name {
					asked++
				}
				return tm.Unnamed(), nil
			}
		}})
		if err != nil || (asked == 0) != (c.found != "") {
			t.Errorf("%s: %v, asked %d times", c.name, err, asked)
		}
		if now, _ := catalog.Table(name.Database, name.Table); c.found != "" && (now == nil || now.Columns[0].Name != c.found) {
			t.Errorf("%s: %+v", c.name, now)
		}
	}
}

// TestVectorCollation has a table of a VECTOR and texts in several character sets: MySQL counts the vector among the columns that have one.
func TestVectorCollation(t *testing.T) {
	body := []byte("\x07\x00\x00\x00\x00\x00\x01\x00\x01d\x00\x01t\x00\x03\x0f\xf2\x0f\x05\x50\x00\x04\x14\x00\x07")
	list := "\x03\x05\xfc\xff\x00\x3f\x08"          // utf8mb4_0900_ai_ci, binary, latin1_swedish_ci
	pairs := "\x02\x07\xfc\xff\x00\x01\x3f\x02\x08" // the same: the first for all, but for two
	for _, meta := range []string{list, pairs} {
		tm, err := binlog.ParseTableMap(&binlog.Format{Flavor: gtid.MySQL, Version: 90700}, append(body[:len(body):len(body)], meta...))
		if err != nil {
			t.Fatal(err)
		}
		if c := tm.Unnamed().Columns; c[0].Charset != "utf8mb4" || c[1].Type != schemas.Vector || c[2].Charset != "latin1" || c[2].Length != 20 {
			t.Errorf("%x: %+v", meta, c)
		}
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
