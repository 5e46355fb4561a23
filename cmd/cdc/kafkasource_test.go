package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/fault"
)

const topicSource = `source:
  kafka: {brokers: ["k1"], topics: ["cdc.shop.*"]}
streams:
  - name: copy
    sink:
      mysql: {address: "db2:3306", user: cdc, password: {env: CDC_PASSWORD}}
checkpoint: {dir: state}
`

func TestTopicSource(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cdc.yaml")
	load := func(text string) (*Config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return loadConfig(file)
	}
	c, err := load(topicSource)
	if err != nil {
		t.Fatal(err)
	}
	if o := c.mysqlOptions(&c.Streams[0]); o.ExactlyOnce != "table" {
		t.Errorf("exactly once is %q: the names of places are no GTIDs of a server", o.ExactlyOnce)
	}
	if err := c.wantsServer("cdc verify"); !fault.Has(err, fault.UsageInvalid) {
		t.Errorf("a comparison without a server: %v", err)
	}
	var out strings.Builder
	const grant = "kafka-acls --bootstrap-server k1 --add --allow-principal User:ANONYMOUS --operation Read --operation Describe --topic cdc.shop. --resource-pattern-type prefixed\n"
	if err := c.printGrants(&out, grantsSource); err != nil || !strings.HasSuffix(out.String(), grant) || strings.Contains(out.String(), "REPLICATION") {
		t.Errorf("%v, the rights are\n%s", err, out.String())
	}
	for _, x := range []struct{ old, text, says string }{
		{"source:\n", "source:\n  tables: [\"shop.%\"]\n", "source.tables: goes with a server"},
		{"source:\n", "source:\n  start: now\n", "source.start: goes with a server"},
		{"source:\n", "source:\n  mysql: {address: \"db1\", user: u, password: {env: X}}\n", "one configuration has one source"},
		{"    sink:\n", "    snapshot: initial\n    sink:\n", "snapshot: goes with a server"},
		{"user: cdc,", "user: cdc, exactly_once: gtid_next,", "exactly_once: gtid_next goes with a server"},
		{"user: cdc,", "user: cdc, parallel: {by: logical_clock},", "parallel.by: logical_clock goes with a server"},
		{`topics: ["cdc.shop.*"]`, `topics: []`, "source.kafka.topics: is missing"},
		{`topics: ["cdc.shop.*"]`, `topics: ["a b"]`, "source.kafka.topics[0]: \"a b\""},
		{`topics: ["cdc.shop.*"]`, `topics: ["a"], share: {number: 3, of: 2}`, "source.kafka.share: number is to be between 1 and of"},
		{`topics: ["cdc.shop.*"]`, `topics: ["a"], placeholder: guess`, "\"guess\" is none of stop, absent"},
		{`topics: ["cdc.shop.*"]`, `topics: ["a"], sasl: {mechanism: PLAIN, user: u, password: {env: X}}`, "refused without tls"},
	} {
		if _, err := load(strings.Replace(topicSource, x.old, x.text, 1)); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", x.says, err)
		}
	}
}
