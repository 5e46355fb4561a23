package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"cdc/event"
	"cdc/format"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/schemas"
)

// avroConfig writes a configuration whose sink has the settings.
func avroConfig(t *testing.T, settings string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte(`source:
  mysql: {address: "db1:3306", user: reader, password: {env: P}}
streams:
  - name: a
    sink: {kafka: {brokers: ["k1:9092"], `+settings+`}}
checkpoint: {dir: state}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAvroConfig has the encoders of a configuration register schemas, by the settings of the configuration.
func TestAvroConfig(t *testing.T) {
	reg := srfake.New()
	t.Cleanup(reg.Close)
	tab := &schemas.Table{Database: "shop", Name: "orders", PrimaryKey: []int{0}, Columns: []schemas.Column{{Name: "id", Type: schemas.BigInt, Unsigned: true}}}
	at := ", schema_registry: {urls: ['" + reg.URL() + "']"
	for _, x := range []struct{ settings, subject, has string }{
		{"format: debezium-avro" + at + "}", "t1", `{"name":"id","type":"long"}`},
		{"format: debezium-avro, debezium: {bigint_unsigned_handling_mode: precise, topic_prefix: prod}" + at + "}", "t2", `"connect.name":"prod.shop.orders.Envelope"`},
		{"format: debezium-avro, debezium: {bigint_unsigned_handling_mode: precise}" + at + "}", "t3", `"logicalType":"decimal"`},
		{"format: debezium-avro" + at + "}", "t4", `"io.debezium.connector.mariadb.Source"`},
		{"format: avro, avro: {namespace: lake, bigint_unsigned: string}" + at + "}", "t5", `"namespace":"lake.shop.orders","fields":[{"name":"id","type":["null","string"],"default":null}`},
		{"format: avro" + at + ", subjects: topic_record}", "t6", `"__op"`},
	} {
		cfg, err := loadConfig(avroConfig(t, x.settings))
		if err != nil {
			t.Fatal(x.settings, err)
		}
		flavor := gtid.MySQL
		if x.subject == "t4" {
			flavor = gtid.MariaDB
		}
		o, err := cfg.Streams[0].Sink.Kafka.options(cfg, flavor, nil)
		if err != nil {
			t.Fatal(x.settings, err)
		}
		if o.CheckSchemas == nil || (o.PeerHeaders[0] != "") != strings.Contains(x.settings, "debezium") {
			t.Errorf("%s: %+v", x.settings, o)
		}
		e := o.Encoder()
		if err := e.(format.Preparer).Prepare(t.Context(), tab, x.subject); err != nil {
			t.Fatal(x.settings, err)
		}
		b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Change(event.Delete, tab, []batchtest.Value{batchtest.Uint(7)}, nil).Batch()
		var out format.Out
		if err := e.Change(&out, b, 0); err != nil || len(out.Recs) != 2 || !out.Recs[1].Tombstone {
			t.Errorf("%s: %v, %d records", x.settings, err, len(out.Recs))
		}
		subject := x.subject + "-value"
		if strings.Contains(x.settings, "topic_record") {
			subject = x.subject + "-cdc.shop.orders.Row"
		}
		s, ok := reg.GetSchema(subject, 1)
		if !ok || !strings.Contains(s.Schema.Schema, x.has) {
			t.Errorf("%s: subject %s is %q, which lacks %s", x.settings, subject, s.Schema.Schema, x.has)
		}
	}
}

// TestAvroConfigFaults names what cannot work.
func TestAvroConfigFaults(t *testing.T) {
	const at = ", schema_registry: {urls: ['http://localhost:8081']}"
	for settings, fault := range map[string]string{
		"format: avro":                                                                       "schema_registry: is missing",
		"format: debezium" + at:                                                              "schema_registry: goes with format: avro or debezium-avro only",
		"format: canal, avro: {}":                                                            "avro: goes with format",
		"format: avro, debezium: {}" + at:                                                    "debezium: goes with format: debezium only",
		"format: avro, avro: {optional: all}" + at:                                           "optional: goes with format: debezium-avro only",
		"format: debezium-avro, avro: {zero_dates: 'null'}" + at:                             "here it is debezium.zero_dates",
		"format: debezium-avro, debezium: {schemas_enable: true}" + at:                       "schemas are in the registry",
		"format: debezium-avro, debezium: {absent: omit}" + at:                               "no field can be left out",
		"format: debezium-avro, debezium: {provide_transaction_metadata: true}" + at:         "provide_transaction_metadata: is not for the Avro formats",
		"format: avro, schema_topic: ddl" + at:                                               "schema_topic: nothing would be written to it",
		"format: debezium-avro, heartbeat_topic: beats" + at:                                 "heartbeat_topic: nothing would be written to it",
		"format: avro, schema_registry: {urls: ['http://r:1'], user: u, password: {env: P}}": "without encryption",
	} {
		_, err := loadConfig(avroConfig(t, settings))
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, want %q", settings, err, fault)
		}
	}
	file := avroConfig(t, "format: avro")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Replace(string(text), `kafka: {brokers: ["k1:9092"], `, "stdout: {", 1)
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(file); err == nil || !strings.Contains(err.Error(), `"avro" is none of plain`) {
		t.Errorf("Avro on standard output: %v", err)
	}
}
