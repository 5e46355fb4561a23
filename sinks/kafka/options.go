package kafka

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"cdc/broker"
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/internal/settings"
)

// Config is the `kafka:` part of a configuration, but for the format. A zero field means its default.
type Config struct {
	Brokers  []string `yaml:"brokers" jsonschema_description:"Brokers to ask for the others, as host:port (9092 where the port is left out). One that answers is enough."`
	ClientID string   `yaml:"client_id" jsonschema_description:"Name under which brokers log and limit this client. Default cdc."`
	TLS      TLS      `yaml:"tls" jsonschema_description:"Encryption of the connections."`
	SASL     SASL     `yaml:"sasl" jsonschema_description:"How to log in."`

	Topic            string   `yaml:"topic" jsonschema_description:"Topic of a table, with {database} and {table}. Default {database}.{table}. A route transform that sets a topic wins. Characters that Kafka does not allow become _."`
	PartitionBy      string   `yaml:"partition_by" jsonschema:"enum=key,enum=table,enum=columns,enum=database,enum=transaction" jsonschema_description:"What stays in order in one partition: the changes of a key (a row), of a table, of all rows with the same values of some columns (see partition_columns), of a database, or of a transaction. Default key; records without a key go by their table."`
	PartitionColumns []string `yaml:"partition_columns" jsonschema_description:"With partition_by columns: the columns, as patterns database.table.column with % and _, by whose values rows go, in this order. Names are those behind the transforms. Tables that none names go by key."`
	Headers          *bool    `yaml:"headers" jsonschema_description:"Headers gtid, row, sub and position on each record. Default true."`

	ExactlyOnce     string `yaml:"exactly_once" jsonschema:"enum=auto,enum=required,enum=off" jsonschema_description:"Each record once over restarts too: auto does it where the brokers let it and says in the status where they do not, required stops there, off writes again what an end without a stop left in doubt. Default auto."`
	TransactionalID string `yaml:"transactional_id" jsonschema_description:"Name by which the brokers know this stream over restarts, so that a process that still runs is shut out when another one starts. Default: cdc, the stream's name, and a hash of its source and topic."`

	Compression string        `yaml:"compression" jsonschema:"enum=none,enum=lz4,enum=zstd,enum=gzip,enum=snappy" jsonschema_description:"Compression of record batches. Default lz4."`
	Batch       settings.Size `yaml:"batch" jsonschema_description:"Size at which a record batch is sent also while an earlier one of its partition is under way, before compression; at most the topic's max.message.bytes. Default 512KiB."`
	MaxRecord   settings.Size `yaml:"max_record" jsonschema_description:"Largest record batch of a single record, as it is sent. Default: the topic's max.message.bytes."`
	Oversize    string        `yaml:"oversize" jsonschema:"enum=fail,enum=dead_letter" jsonschema_description:"What becomes of a larger record: fail stops the stream, dead_letter writes its name to the dead_letter topic and goes on. Default fail."`

	Create            *bool             `yaml:"create" jsonschema_description:"Create topics that do not exist. Default true."`
	Partitions        int32             `yaml:"partitions" jsonschema_description:"Partitions of topics that are created. Default: the broker's num.partitions; 1 for topics of schema changes, transactions, heartbeats and dead letters."`
	ReplicationFactor int16             `yaml:"replication_factor" jsonschema_description:"Replicas of topics that are created. Default: the broker's default.replication.factor."`
	TopicConfig       map[string]string `yaml:"topic_config" jsonschema_description:"Settings of topics that are created, such as cleanup.policy: compact. Topics of schema changes, transactions, heartbeats and dead letters are created without them."`
	Topics            []TopicRule       `yaml:"topics" jsonschema_description:"Other settings for some of the topics that are created: the first rule whose pattern fits counts, for topics of schema changes, transactions, heartbeats and dead letters too. What it leaves out is as above."`

	SchemaTopic      string        `yaml:"schema_topic" jsonschema_description:"Topic for records of DDL statements. Default: none, they are not written. It must not be a topic of rows."`
	TransactionTopic string        `yaml:"transaction_topic" jsonschema_description:"Topic for records of the begin and end of transactions, where the format has them. Default: none."`
	HeartbeatTopic   string        `yaml:"heartbeat_topic" jsonschema_description:"Topic for heartbeats, where the format has them. Default: none."`
	HeartbeatEvery   time.Duration `yaml:"heartbeat_every" jsonschema_description:"How often a heartbeat is written. Default 10s."`
	DeadLetter       DeadLetter    `yaml:"dead_letter" jsonschema_description:"Where changes go that are set aside."`

	ConnectTimeout time.Duration `yaml:"connect_timeout" jsonschema_description:"How long connecting and logging in may take. Default 10s."`
	RequestTimeout time.Duration `yaml:"request_timeout" jsonschema_description:"How long the brokers may take to replicate a batch before they say that it timed out, and it is sent again. Default 30s."`
}

// TopicRule says how the topics are made that a pattern fits.
type TopicRule struct {
	Match             string            `yaml:"match" jsonschema_description:"Names of topics, as a pattern with % and _ (\\_ is _ itself)."`
	Partitions        int32             `yaml:"partitions" jsonschema_description:"Partitions. Default: those of all topics."`
	ReplicationFactor int16             `yaml:"replication_factor" jsonschema_description:"Replicas. Default: those of all topics."`
	Config            map[string]string `yaml:"config" jsonschema_description:"Settings, such as cleanup.policy: compact. They are added to topic_config, and win over it; an empty value takes one away."`
}

// TLS says how connections are encrypted, SASL how to log in.
type (
	TLS  = broker.TLS
	SASL = broker.SASL
)

// DeadLetter says where changes go that are set aside.
type DeadLetter struct {
	Topic string `yaml:"topic" jsonschema_description:"Topic for them. Default: none, and a change that has to be set aside stops the stream."`
}

// Validate lists what cannot work, with paths that begin at prefix (such as streams[0].sink.kafka).
func (c *Config) Validate(prefix string) []settings.Problem {
	var out []settings.Problem
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: prefix + "." + path, Text: fmt.Sprintf(format, args...)})
	}
	oneOf := func(path, v string, names ...string) {
		if v != "" && !slices.Contains(names, v) {
			problem(path, "%q is none of %s", v, strings.Join(names, ", "))
		}
	}
	broker.Validate(c.Brokers, &c.TLS, &c.SASL, problem)
	if c.Topic != "" {
		if _, err := parseTemplate(c.Topic); err != nil {
			problem("topic", "%v", err)
		}
	}
	oneOf("partition_by", c.PartitionBy, partitionings()...)
	if _, err := parseColumns(c.PartitionColumns); err != nil {
		problem("partition_columns", "%v", err)
	}
	if (c.PartitionBy == byColumns) != (len(c.PartitionColumns) > 0) {
		problem("partition_columns", "goes with partition_by: columns, and that with it")
	}
	oneOf("exactly_once", c.ExactlyOnce, onceAuto, onceRequired, onceOff)
	if c.ExactlyOnce == onceRequired && !on(c.Headers) {
		problem("exactly_once", "is required, and headers is false: records are told by their headers")
	}
	oneOf("compression", c.Compression, "none", "lz4", "zstd", "gzip", "snappy")
	oneOf("oversize", c.Oversize, "fail", "dead_letter")
	if c.Oversize == "dead_letter" && c.DeadLetter.Topic == "" {
		problem("oversize", "is dead_letter, and dead_letter.topic is missing")
	}
	names := map[string]string{}
	for _, t := range []struct{ path, topic string }{
		{"schema_topic", c.SchemaTopic}, {"transaction_topic", c.TransactionTopic}, {"heartbeat_topic", c.HeartbeatTopic}, {"dead_letter.topic", c.DeadLetter.Topic},
	} {
		switch {
		case t.topic == "":
			continue
		case t.topic != safe(t.topic) || t.topic == "." || t.topic == ".." || len(t.topic) > maxTopic:
			problem(t.path, "%q: a topic may have letters, digits, '.', '_' and '-' only, and %d of them", t.topic, maxTopic)
		case names[t.topic] != "":
			problem(t.path, "%q is the topic of %s too", t.topic, names[t.topic])
		}
		names[t.topic] = t.path
	}
	if c.Batch != 0 && (c.Batch < 1<<10 || c.Batch > 32<<20) {
		problem("batch", "%s is not between 1KiB and 32MiB", c.Batch)
	}
	if c.MaxRecord > 1<<30 {
		problem("max_record", "%s is more than 1GiB", c.MaxRecord)
	}
	sized := func(at string, partitions int32, replicas int16) {
		if partitions < 0 || partitions > 10000 {
			problem(at+"partitions", "%d is not between 1 and 10000", partitions)
		}
		if replicas < 0 {
			problem(at+"replication_factor", "is negative")
		}
	}
	sized("", c.Partitions, c.ReplicationFactor)
	for i := range c.Topics {
		r := &c.Topics[i]
		at := fmt.Sprintf("topics[%d].", i)
		if sized(at, r.Partitions, r.ReplicationFactor); r.Match == "" {
			problem(at+"match", "is missing")
		}
	}
	for _, d := range []struct {
		path  string
		value time.Duration
		least time.Duration
	}{
		{"heartbeat_every", c.HeartbeatEvery, 100 * time.Millisecond},
		{"connect_timeout", c.ConnectTimeout, 100 * time.Millisecond},
		{"request_timeout", c.RequestTimeout, 100 * time.Millisecond},
	} {
		if d.value != 0 && (d.value < d.least || d.value > time.Hour) {
			problem(d.path, "%s is not between %s and an hour", d.value, d.least)
		}
	}
	return out
}

// Options of a sink.
type Options struct {
	Config

	Encoder func() format.Encoder
	Budget  *event.Budget // charged for record batches; nil charges nobody

	// PeerHeaders names the headers that hold the other key where a change of a key became two records: the new key on those that delete the
	// old one, the old key on the one that creates the new one. Empty names write none.
	PeerHeaders [2]string

	// State is what State gave when the checkpoint was saved that the stream begins at; nil where there is none, or the topics shall be taken as
	// they are.
	State []byte

	// Fence refuses to write by a producer that no later process could shut out, whatever ExactlyOnce says.
	Fence bool

	// Fresh says that the stream begins for the first time: no earlier run has written anything.
	Fresh bool

	// Tombstones says that the encoder writes one behind the record of a delete. Only Check asks.
	Tombstones bool

	// CheckSchemas, if set, looks at what a registry has for schemas. Only Check asks.
	CheckSchemas func(context.Context, []format.Schema) fault.Findings

	// Stalled, if set, is called with the fault when the brokers do not take what they are sent, and with nil when they do again.
	Stalled func(error)
	// Dial, if set, makes the connections instead of net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Guarded, if set, is called once with what ExactlyOnce then gives.
	Guarded func(state string)

	// Only, if set, says which records of rows are written, by the name of their transaction, row and sub; they get a header "replayed". For replaying
	// letters.
	Only func(txn []byte, row uint32, sub uint16) bool
	// Aside, if set, is given what would go to the dead letters, in place of their topic.
	Aside func(Letter)

	// Gone is how long a topic that was there may be unknown to the brokers before it counts as deleted; 10 s where 0.
	Gone time.Duration
	// Patience is how long brokers that answer may have no coordinator of transactions before exactly_once: auto goes on without; 30 s where 0.
	Patience time.Duration
	// Remind is how often the brokers are reminded of the transactional id, which they forget after a week by default; a day where 0.
	Remind time.Duration
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	def(&o.ClientID, "cdc")
	def(&o.Topic, "{database}.{table}")
	def(&o.PartitionBy, byKey)
	def(&o.Compression, "lz4")
	def(&o.Oversize, "fail")
	def(&o.Batch, 512<<10)
	def(&o.HeartbeatEvery, 10*time.Second)
	def(&o.ConnectTimeout, 10*time.Second)
	def(&o.RequestTimeout, 30*time.Second)
	def(&o.ExactlyOnce, onceAuto)
	def(&o.Gone, 10*time.Second)
	def(&o.Patience, 30*time.Second)
	def(&o.Remind, 24*time.Hour)
	def(&o.Partitions, -1)
	def(&o.ReplicationFactor, -1)
	if o.Guarded == nil {
		o.Guarded = func(string) {}
	}
	if o.Stalled == nil {
		o.Stalled = func(error) {}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext
	}
	return o
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// guards reports that what an earlier run has written is looked at.
func (o *Options) guards() bool { return o.ExactlyOnce != onceOff && on(o.Headers) }

func on(b *bool) bool { return b == nil || *b }
