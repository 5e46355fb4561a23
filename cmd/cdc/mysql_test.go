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
