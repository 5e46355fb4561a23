package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The commands that look back, as they are called, with their exit codes.
func TestLookingBack(t *testing.T) {
	full := filepath.Join("..", "..", "source", "binlog", "testdata", "corpus", "mysql97-full.binlog")
	undo := filepath.Join(t.TempDir(), "undo.sql")
	const third = "e079ff5a-e594-11f1-9a4b-02fc00000001:12"
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"analyze", full}, exitOK, "LARGEST TRANSACTIONS", ""},
		{[]string{"analyze", full, "--op", "delete"}, exitOK, "DELETE FROM orders WHERE id=2", ""},
		{[]string{"analyze", full, "--op", "drop"}, exitUsage, "", "CDC1004"},
		{[]string{"analyze"}, exitUsage, "", "CDC1004"},
		{[]string{"analyze", full, "--from", "now"}, exitUsage, "", "CDC1004"},
		{[]string{"analyze", undo}, exitUsage, "", "CDC1004"},
		{[]string{"history", "shop.orders", full, "--key", "2"}, exitOK, `state: "größe" -> "paid"`, ""},
		{[]string{"history", "shop.orders", full, "--key", "id=77"}, exitOK, "", "no change of such a row"},
		{[]string{"history", "shop.orders", full}, exitUsage, "", "--key or --where"},
		{[]string{"history", "orders", full, "--key", "2"}, exitUsage, "", "DATABASE.TABLE"},
		{[]string{"flashback", full}, exitFault, "", "CDC9101"},
		{[]string{"flashback", full, "--tables", "shop.orders", "--across-ddl", "--gtids", third}, exitOK, "INSERT INTO `shop`.`orders`", "1 deletes to undo"},
		{[]string{"flashback", full, "--tables", "shop.orders", "--across-ddl", "--gtids", third, "--output", undo}, exitOK, "", "not undone: "},
		{[]string{"flashback", full, "--tables", "shop.orders", "--across-ddl", "--gtids", third, "--output", undo}, exitUsage, "", "exists"},
		{[]string{"flashback", full, "--tables", "shop.orders", "--across-ddl", "--gtids", third, "--events"}, exitOK, `"op":"insert"`, "1 deletes to undo"},
		{[]string{"flashback", full, "--tables", "shop.orders", "--across-ddl", "--gtids", third, "--net"}, exitOK, "-- undo", "1 deletes to undo"},
		{[]string{"flashback", full, "--net", "--events"}, exitUsage, "", "--net"},
		{[]string{"flashback", full, "--events", "--apply", "mysql://u@h/"}, exitUsage, "", "--events"},
		{[]string{"flashback", full, "--tables", "shop.orders", "--thread", "4711"}, exitFault, "", "CDC9107"},
		{[]string{"flashback", full, "--where", "1 +"}, exitUsage, "", "--where"},
		{[]string{"flashback", full, "--yes"}, exitUsage, "", "--apply"},
		{[]string{"flashback", full, "--changed", "a.b"}, exitUsage, "", "a.b"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(c.args, &stdout, &stderr); code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%v: exit code %d\n%.2000s\n%.2000s", c.args, code, stdout.String(), stderr.String())
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"analyze", full, "--json"}, &stdout, &stderr); code != exitOK || !json.Valid(stdout.Bytes()) {
		t.Errorf("%d %s", code, stderr.String())
	}
	info, err := os.Stat(undo)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}
