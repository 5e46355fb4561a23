package history_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/recovery/history"
	"cdc/schemas"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/transform"
)

func read(t *testing.T, name string, o history.Options) (list []string, err error) {
	t.Helper()
	path := filepath.Join("../../source/binlog/testdata/corpus", name)
	flavor, version, err := files.Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	sel := func(db, table string) bool { return db == o.Table.Database && table == o.Table.Table }
	src, err := files.Open(files.Config{Paths: []string{path}, AllowUnnamed: true, Binlog: binlog.Config{
		Flavor: flavor, Catalog: schemas.NewCatalog(flavor, version), NextSeq: 1, Select: sel, SelectDatabase: func(db string) bool { return db == o.Table.Database },
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	err = history.Read(t.Context(), src, o, func(v *history.Version) error {
		if v.Commit.IsZero() || v.File == "" || v.Offset == 0 {
			t.Errorf("%+v", v)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
		line := v.Op
		for _, x := range v.Values {
			if x.Changed {
				line += " " + x.Column + " " + history.Shown(x.Before) + " -> " + history.Shown(x.After)
			}
		}
		list = append(list, line)
		return nil
	})
	return list, err
}

func TestVersionsOfARow(t *testing.T) {
	orders := schemas.Name{Database: "shop", Table: "orders"}
	for _, name := range []string{"mysql97-full.binlog", "mysql97-default.binlog", "mysql80-full.binlog", "mysql57-default.binlog", "mariadb118-full.binlog", "mariadb1011-default.binlog"} {
		got, err := read(t, name, history.Options{Table: orders, Key: []history.KeyValue{{Value: "2"}}})
		// Some recordings were made by a client that said latin1 and meant UTF-8.
		want := `insert | update total -0.01 -> 0.99 state "größe" -> "paid" | delete`
		rows := []string{}
		for _, l := range got {
			if l != "ddl" {
				rows = append(rows, l)
			}
		}
		if text := strings.Join(rows, " | "); err != nil || strings.ReplaceAll(text, "grÃ¶ÃŸe", "größe") != want || len(got) == len(rows) {
			t.Errorf("%s: %v\n%s", name, err, strings.Join(got, " | "))
		}
	}
	by := func(key ...history.KeyValue) error {
		_, err := read(t, "mysql97-full.binlog", history.Options{Table: orders, Key: key})
		return err
	}
	if err := by(history.KeyValue{Column: "nothing", Value: "1"}); !fault.Has(err, fault.UsageInvalid) || !strings.Contains(err.Error(), "nothing") {
		t.Error(err)
	}
	if err := by(history.KeyValue{Value: "1"}, history.KeyValue{Value: "1"}); !fault.Has(err, fault.UsageInvalid) {
		t.Error(err)
	}
}

func TestWhere(t *testing.T) {
	where, err := transform.ParseCondition(`op == "update" && after.total > 5`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, "mysql97-full.binlog", history.Options{Table: schemas.Name{Database: "shop", Table: "orders"}, Where: where})
	n := 0
	for _, l := range got {
		if l != "ddl" {
			n++
		}
	}
	if err != nil || n != 1 {
		t.Errorf("%v %q", err, got)
	}
	if _, err := transform.ParseCondition("1 +"); err == nil {
		t.Error("half an expression was taken")
	}
}
