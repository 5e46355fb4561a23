package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKafkaGrants prints the rights of the kafka sinks: of tables and topics as transforms name them, as comments where SQL is around.
func TestKafkaGrants(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(file, []byte(`source:
  mysql: {address: "db1:3306", user: reader, password: {env: P}}
  tables: ["shop.%", "!shop.tmp_%"]
streams:
  - name: a
    transforms:
      - route: {match: "shop.orders_%", to: "sales.{table}_all"}
      - route: {match: "shop.customers", topic: "people-{table}"}
    sink: {kafka: {brokers: ["k1:9092"], topic: "cdc.{database}.{table}", dead_letter: {topic: dead}}}
  - name: b
    sink: {files: {dir: out}}
  - name: c
    sink: {kafka: {brokers: ["k2:9092"], create: false, tls: {enabled: true}, sasl: {mechanism: PLAIN, user: writer, password: {env: P}}}}
checkpoint: {dir: state}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	first := "kafka-acls --bootstrap-server k1:9092 --add --allow-principal User:ANONYMOUS --operation Write --operation DescribeConfigs --operation Create --operation Read --topic "
	want := `# for the kafka sink of stream a
` + first + `cdc.sales. --resource-pattern-type prefixed
` + first + `cdc.shop. --resource-pattern-type prefixed
` + first + `dead
` + first + `people- --resource-pattern-type prefixed
kafka-acls --bootstrap-server k1:9092 --add --allow-principal User:ANONYMOUS --operation Write --operation Describe --transactional-id cdc-a-b3d0a0c5
# brokers older than Kafka 2.8 need this too: kafka-acls --bootstrap-server k1:9092 --add --allow-principal User:ANONYMOUS --operation IdempotentWrite --cluster
# for the kafka sink of stream c
kafka-acls --bootstrap-server k2:9092 --add --allow-principal User:writer --operation Write --operation DescribeConfigs --operation Read --topic shop. --resource-pattern-type prefixed
kafka-acls --bootstrap-server k2:9092 --add --allow-principal User:writer --operation Write --operation Describe --transactional-id cdc-c-32defc50
# brokers older than Kafka 2.8 need this too: kafka-acls --bootstrap-server k2:9092 --add --allow-principal User:writer --operation IdempotentWrite --cluster
`
	code, out, errs := cdc(t, "check", file, "--grants=kafka")
	if code != 0 || out != want {
		t.Errorf("exit %d, %s\ngot\n%s\nwant\n%s", code, errs, out, want)
	}
	_, source, _ := cdc(t, "check", file, "--grants=source")
	if !strings.Contains(source, "CREATE USER 'reader'") || strings.Contains(source, "kafka") {
		t.Errorf("of the source:\n%s", source)
	}
	_, all, _ := cdc(t, "check", file, "--grants")
	comments := ""
	for line := range strings.Lines(want) {
		comments += "-- " + line
	}
	if all != source+comments {
		t.Errorf("of both:\n%s", all)
	}
	if code, _, errs := cdc(t, "check", file, "--grants=ftp"); code != exitUsage || !strings.Contains(errs, "want source, target, kafka or all") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
