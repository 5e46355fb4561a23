package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/schemas"
	"cdc/transform"
)

const intoMySQL = `
source:
  mysql: {address: "db1:3306", user: reader, tls: {mode: disabled}}
  tables: ["shop.%", "my_crm.contacts", "!shop.tmp_%"]
streams:
  - name: copy
    transforms:
      - exclude: ["shop.log"]
      - route: {match: "shop.%", to: "copy_of_{database}.{table}"}
    sink:
      mysql: {address: "db2:3306", user: writer, exactly_once: table, ddl: ignore}
checkpoint: {dir: ./state}
`

// pipelineFile writes a configuration into a folder of the test.
func pipelineFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestMySQLGrants(t *testing.T) {
	file := pipelineFile(t, intoMySQL)
	const want = "-- for db2:3306, the target of stream copy\n" +
		"CREATE USER 'writer'@'%' IDENTIFIED BY 'choose-a-password' REQUIRE SSL;\n" +
		"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `my\\_crm`.* TO 'writer'@'%';\n" +
		"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `copy\\_of\\_%`.* TO 'writer'@'%';\n" +
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `cdc`.* TO 'writer'@'%';\n"
	code, out, errs := cdc(t, "check", file, "--grants=target")
	if code != 0 || out != want {
		t.Errorf("exit %d, %s\n%s", code, errs, out)
	}
	_, source, _ := cdc(t, "check", file, "--grants=source")
	if _, all, _ := cdc(t, "check", file, "--grants"); all != source+want {
		t.Errorf("of all:\n%s", all)
	}
}

func TestRenames(t *testing.T) {
	c := &Config{Source: SourceConfig{Tables: []string{"Shop.%", "!Shop.tmp"}}}
	s := &StreamConfig{}
	s.Transforms = []transform.Config{{Exclude: []string{"%.log"}}, {Route: &transform.RouteConfig{Match: "%.orders", To: "copy.{table}"}}}
	for _, n := range []struct {
		from schemas.Name
		fold bool
		to   string
	}{
		{schemas.Name{Database: "Shop", Table: "orders"}, false, "copy.orders"},
		{schemas.Name{Database: "Shop", Table: "items"}, false, "Shop.items"},
		{schemas.Name{Database: "Shop", Table: "tmp"}, false, ""},
		{schemas.Name{Database: "Shop", Table: "log"}, false, ""},
		{schemas.Name{Database: "shop", Table: "items"}, false, ""},
		{schemas.Name{Database: "shop", Table: "items"}, true, "shop.items"},
		{schemas.Name{Database: "other", Table: "items"}, true, ""},
		{schemas.Name{Database: "Shop"}, false, "Shop."},
		{schemas.Name{Database: "other"}, false, ""},
	} {
		rename, err := c.renames(s, n.fold)
		if err != nil {
			t.Fatal(err)
		}
		to, keep := rename(n.from)
		got := to.Database + "." + to.Table
		if !keep {
			got = ""
		}
		if got != n.to {
			t.Errorf("%s (fold %t) becomes %q, want %q", n.from, n.fold, got, n.to)
		}
	}
}

func TestMySQLSinkIsValidated(t *testing.T) {
	file := pipelineFile(t, strings.Replace(intoMySQL, "ddl: ignore", "ddl: sometimes, parallel: {by: luck}", 1))
	code, _, errs := cdc(t, "config", "check", file)
	for _, want := range []string{"streams[0].sink.mysql.ddl", "streams[0].sink.mysql.parallel.by"} {
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("exit %d, no %s in %s", code, want, errs)
		}
	}
}

func TestWholeDatabase(t *testing.T) {
	route := []transform.Config{{Route: &transform.RouteConfig{Match: "a.b", To: "c.d"}}}
	for _, c := range []struct {
		tables []string
		steps  []transform.Config
		fold   bool
		want   bool
	}{
		{nil, nil, false, true},
		{[]string{"shop.%"}, nil, false, true},
		{[]string{"%.%"}, nil, false, true},
		{[]string{"s%.%", "!other.%"}, nil, false, true},
		{[]string{"shop.orders"}, nil, false, false},
		{[]string{"shop.%", "!shop.tmp_%"}, nil, false, false},
		{[]string{"!shop.tmp_%"}, nil, false, false},
		{[]string{"!other.%"}, nil, false, true},
		{[]string{"Shop.%"}, nil, false, false},
		{[]string{"Shop.%"}, nil, true, true},
		{[]string{"other.%"}, nil, false, false},
		{[]string{"shop.%"}, route, false, false},
		{[]string{"shop.%"}, []transform.Config{{Exclude: []string{"x.y"}}}, false, false},
		{[]string{"shop.%"}, []transform.Config{{ExcludeColumns: []string{"shop.orders.note"}}}, false, true},
	} {
		cfg, s := &Config{Source: SourceConfig{Tables: c.tables}}, &StreamConfig{}
		s.Transforms = c.steps
		if got := cfg.wholeDatabase(s, c.fold, "shop"); got != c.want {
			t.Errorf("%q, %d steps, fold %t: %t", c.tables, len(c.steps), c.fold, got)
		}
	}
	if (&Config{}).wholeDatabase(&StreamConfig{}, false, "mysql") {
		t.Error("a system database is carried whole")
	}
}

func TestSharedTable(t *testing.T) {
	route := func(match, to string) transform.Config {
		return transform.Config{Route: &transform.RouteConfig{Match: match, To: to}}
	}
	for _, c := range []struct {
		tables []string
		steps  []transform.Config
		to     string
		want   bool
	}{
		{nil, nil, "shop.orders", false},
		{nil, []transform.Config{route("shop.orders_%", "shop.orders")}, "shop.orders", true},
		{nil, []transform.Config{route("shop.orders_%", "shop.orders")}, "shop.items", false},
		{[]string{"shop.%"}, []transform.Config{route("shop.%", "copy.{table}")}, "copy.orders", false},
		{nil, []transform.Config{route("shop.%", "copy.{table}")}, "copy.orders", true}, // which the source may have too
		{[]string{"shop%.%"}, []transform.Config{route("shop%.%", "copy.{table}")}, "copy.orders", true},
		{[]string{"shop%.%"}, []transform.Config{route("shop%.%", "copy_{database}.{table}")}, "copy_shop.orders", false},
		{nil, []transform.Config{route("%.%", "copy_{database}.{table}")}, "copy_shop.orders", false},
		{[]string{"shop.%"}, []transform.Config{route("shop.orders", "copy.orders")}, "copy.orders", false},
		{[]string{"shop.%"}, []transform.Config{route("shop.orders", "shop.items")}, "shop.items", true},
		{[]string{"a.%", "b.%"}, []transform.Config{route("a.%", "all.{table}"), route("b.%", "all.{table}")}, "all.t", true},
		{[]string{"a.%", "b.%"}, []transform.Config{route("a.%", "x.{table}"), route("b.%", "y.{table}")}, "y.t", false},
		{[]string{"a.%", "b.%"}, []transform.Config{route("a.%", "b.{table}"), route("b.%", "y.{table}")}, "y.t", true},
		{[]string{"shop.%"}, []transform.Config{route("regexp:shop\\.(.*)", "copy.{1}")}, "copy.t", true},
	} {
		cfg, s := &Config{Source: SourceConfig{Tables: c.tables}}, &StreamConfig{}
		s.Transforms = c.steps
		rename, err := cfg.renames(s, false)
		if err != nil {
			t.Fatal(err)
		}
		db, table, _ := strings.Cut(c.to, ".")
		if got := sharedTable(s, rename, schemas.Name{Database: db, Table: table}); got != c.want {
			t.Errorf("%q to %s: %t", c.tables, c.to, got)
		}
	}
}
