package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strings"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/format/avro"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/sinks"
	"cdc/sinks/kafka"
	"cdc/sinks/kafka/registry"
)

// KafkaConfig is topics of Kafka.
type KafkaConfig struct {
	FormatConfig `yaml:",inline"`
	kafka.Config `yaml:",inline"`

	Avro           *avro.Options    `yaml:"avro" jsonschema_description:"Settings of the formats debezium-avro and avro. The envelope of debezium-avro and how its values are written are set by debezium."`
	SchemaRegistry *registry.Config `yaml:"schema_registry" jsonschema_description:"Where the formats debezium-avro and avro have their schemas."`
}

// validate appends what is wrong at the path at.
func (k *KafkaConfig) validate(out *[]settings.Problem, at string) {
	f := k.format()
	k.validateFormat(out, at)
	*out = append(*out, k.Config.Validate(at)...)
	for _, t := range [...]struct {
		setting, topic string
		makes          func() (bool, string)
	}{
		{"transaction_topic", k.TransactionTopic, f.marks},
		{"schema_topic", k.SchemaTopic, f.tellsDDL},
		{"heartbeat_topic", k.HeartbeatTopic, f.beats},
	} {
		if t.topic == "" {
			continue
		}
		if ok, cure := t.makes(); !ok {
			*out = append(*out, settings.Problem{Path: at + "." + t.setting, Text: "nothing would be written to it: " + cure})
		}
	}
}

// marks reports that the format writes the begin and end of transactions as it is set, or what would have it do so.
func (f *FormatConfig) marks() (bool, string) {
	if f.Format != "debezium" {
		return false, "of the formats only debezium has records for the begin and end of transactions"
	}
	return f.Debezium != nil && f.Debezium.Transaction, "set debezium: {provide_transaction_metadata: true}"
}

// tellsDDL reports that the format writes DDL statements as it is set.
func (f *FormatConfig) tellsDDL() (bool, string) {
	if f.isAvro() {
		return false, "the Avro formats have no records for DDL statements"
	}
	return f.Format != "maxwell" || f.Maxwell != nil && f.Maxwell.DDL, "set maxwell: {output_ddl: true}"
}

// beats reports that the format writes heartbeats as it is set.
func (f *FormatConfig) beats() (bool, string) {
	if f.Format == "maxwell" {
		return f.Maxwell != nil && f.Maxwell.Heartbeats, "set maxwell: {heartbeats: true}"
	}
	return f.Format == "debezium", "of the formats debezium has heartbeats, and maxwell with maxwell: {heartbeats: true}"
}

// format is the format with the default of this sink.
func (k *KafkaConfig) format() FormatConfig {
	f := k.FormatConfig
	f.Format = cmp.Or(f.Format, "debezium")
	return f
}

// options gives the options of the sink. Paths are relative to the configuration.
func (k *KafkaConfig) options(c *Config, flavor gtid.Flavor, budget *event.Budget) (kafka.Options, error) {
	o := kafka.Options{Config: k.Config, Budget: budget}
	if err := k.encoding(&o, c, flavor); err != nil {
		return kafka.Options{}, err
	}
	for _, p := range []*string{&o.TLS.CA, &o.TLS.Cert, &o.TLS.Key} {
		if *p != "" {
			*p = c.path(*p)
		}
	}
	return o, nil
}

// transactional gives the transactional id of a stream. Streams of one name that read elsewhere, or write elsewhere, are others.
func (k *KafkaConfig) transactional(c *Config, stream string) string {
	if k.TransactionalID != "" {
		return k.TransactionalID
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.Source.server().Address + "\x00" + k.Topic))
	return fmt.Sprintf("cdc-%s-%08x", stream, h.Sum32())
}

// openKafka opens the sink of a stream, whose checkpoint is rec.
func openKafka(a *app, s *StreamConfig, budget *event.Budget, rec *checkpoint.Record, waits func(error)) (*kafka.Sink, error) {
	k := s.Sink.Kafka
	o, err := k.options(a.cfg, a.cfg.Source.flavor(), budget)
	if err != nil {
		return nil, err
	}
	o.Stalled, o.State, o.Fresh = waits, rec.SinkState, rec.Saved == 0 && !rec.ByHand
	o.TransactionalID, o.Fence = k.transactional(a.cfg, s.Name), a.cfg.HA != nil
	o.Guarded = func(state string) {
		switch {
		case strings.HasPrefix(state, "degraded"):
			a.log.Warn("records may be written twice", "stream", s.Name, "exactly_once", state)
		case state == "verified":
			a.log.Info("what earlier runs have written is known", "stream", s.Name, "exactly_once", state)
		}
	}
	return kafka.Open(o)
}

// exactlyOnce says of a sink for Kafka whether restarts write nothing twice.
func exactlyOnce(s sinks.Sink) string {
	if k, ok := s.(*kafka.Sink); ok {
		return k.ExactlyOnce()
	}
	return ""
}
