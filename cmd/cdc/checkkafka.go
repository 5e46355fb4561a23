package main

import (
	"context"
	"regexp"
	"strings"

	"cdc/fault"
	"cdc/format/debezium"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// tombstones reports that the format writes them.
func (f *FormatConfig) tombstones() bool {
	switch f.Format {
	case "debezium", formatDebeziumAvro:
		on := f.Debezium == nil || f.Debezium.Tombstones == nil || *f.Debezium.Tombstones
		if f.Debezium == nil || f.Debezium.Unwrap == nil {
			return on
		}
		d := f.Debezium.Unwrap.Deletes
		return d == "" || d == debezium.DeleteTombstone || d == debezium.DeleteRewriteTombstone && on
	case "maxwell":
		return f.Maxwell != nil && f.Maxwell.Tombstones
	case "canal":
		return f.Canal != nil && f.Canal.Tombstones
	}
	return true
}

// checkKafka asks the brokers of a stream. tables are those that leave its transforms, state is what the sink has kept in the checkpoint.
func (c *Config) checkKafka(ctx context.Context, s *StreamConfig, tables []*schemas.Table, state []byte) []fault.Finding {
	o, err := s.Sink.Kafka.options(c, c.Source.flavor(), nil)
	if err != nil {
		return []fault.Finding{findingOf("brokers", err)}
	}
	f := s.Sink.Kafka.format()
	o.Tombstones, o.State, o.TransactionalID = f.tombstones(), state, s.Sink.Kafka.transactional(c, s.Name)
	return kafka.Check(ctx, o, tables)
}

// braces are what a route's target takes from a table's name.
var braces = regexp.MustCompile(`\{[^}]*\}`)

// kafkaGrants gives the commands that let the account of a stream write to its topics.
func (c *Config) kafkaGrants(s *StreamConfig) []string {
	var tables, topics []string
	for _, p := range c.Source.Tables {
		if !strings.HasPrefix(p, "!") {
			tables = append(tables, p)
		}
	}
	if len(tables) == 0 {
		tables = []string{"%.%"}
	}
	for i := range s.Transforms {
		if o := s.Transforms[i].Outbox; o != nil {
			topic, _, _ := strings.Cut(o.TopicTemplate(), "{")
			topics = append(topics, strings.NewReplacer("%", `\%`, "_", `\_`).Replace(topic)+"%")
		}
		r := s.Transforms[i].Route
		if r == nil {
			continue
		}
		// A route's target is a name with braces, and no pattern: what is a wildcard in one is itself in the other.
		pattern := func(target string) string {
			return braces.ReplaceAllString(strings.NewReplacer("%", `\%`, "_", `\_`).Replace(target), "%")
		}
		if r.To != "" {
			tables = append(tables, pattern(r.To))
		}
		if r.Topic != "" {
			topics = append(topics, pattern(r.Topic))
		}
	}
	o := kafka.Options{Config: s.Sink.Kafka.Config}
	o.TransactionalID = s.Sink.Kafka.transactional(c, s.Name)
	if o.TLS.Cert != "" {
		o.TLS.Cert = c.path(o.TLS.Cert) // its name is that of the account
	}
	return kafka.Grants(o, tables, topics)
}
