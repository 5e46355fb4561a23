package topic

import (
	"fmt"
	"strings"
	"time"

	"cdc/broker"
	"cdc/internal/settings"
)

// Config is the `ha: {kafka: ...}` part of a configuration: the processes of one pipeline, of which one works. A zero field means its default.
type Config struct {
	Brokers  []string    `yaml:"brokers" jsonschema_description:"Brokers to ask for the others, as host:port (9092 where the port is left out). One that answers is enough."`
	ClientID string      `yaml:"client_id" jsonschema_description:"Name under which brokers log and limit this client. Default cdc."`
	TLS      broker.TLS  `yaml:"tls" jsonschema_description:"Encryption of the connections."`
	SASL     broker.SASL `yaml:"sasl" jsonschema_description:"How to log in."`

	Group          string        `yaml:"group" jsonschema_description:"Consumer group that the processes of this pipeline join, and no others: its one member with work is the owner. Its name stands for the pipeline."`
	Topic          string        `yaml:"topic" jsonschema_description:"Compacted topic with one partition where the owner keeps the places of all streams beside its checkpoint folder. It is made where there is none. Default cdc-state-GROUP."`
	SessionTimeout time.Duration `yaml:"session_timeout" jsonschema_description:"An owner that has been silent for so long is taken for gone, and another process takes over. Default 10s."`
}

const (
	defaultSession = 10 * time.Second
	leastSession   = 6 * time.Second // what brokers take by default
	mostSession    = 30 * time.Minute
	mostTopicName  = 249
)

// WithDefaults fills in what was left out.
func (c Config) WithDefaults() Config {
	if c.ClientID == "" {
		c.ClientID = "cdc"
	}
	if c.Topic == "" {
		c.Topic = "cdc-state-" + c.Group
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = defaultSession
	}
	return c
}

// Validate lists what cannot work; prefix is the path of this part in the configuration.
func (c *Config) Validate(prefix string) []settings.Problem {
	var out []settings.Problem
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: prefix + "." + path, Text: fmt.Sprintf(format, args...)})
	}
	broker.Validate(c.Brokers, &c.TLS, &c.SASL, problem)
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	switch topic := c.WithDefaults().Topic; {
	case c.Group == "":
		problem("group", "is missing: a name for this pipeline")
	case c.Topic == "" && strings.Trim(c.Group, allowed) != "":
		problem("group", "%q cannot be part of a topic's name: use letters, digits, '.', '_' and '-', or name the topic", c.Group)
	case strings.Trim(topic, allowed) != "" || len(topic) > mostTopicName || topic == "." || topic == "..":
		problem("topic", "%q is no name of a topic", topic)
	}
	if t := c.SessionTimeout; t != 0 && (t < leastSession || t > mostSession) {
		problem("session_timeout", "%s is not between %s and %s", t, leastSession, mostSession)
	}
	return out
}

// Options gives the options of the store and of the election, but for Writer and Name. Files of TLS are read: its errors are faults.
func (c Config) Options() (ElectOptions, error) {
	c = c.WithDefaults()
	conf, err := c.TLS.Client()
	if err != nil {
		return ElectOptions{}, err
	}
	o := ElectOptions{Group: c.Group, Session: c.SessionTimeout}
	o.Brokers, o.Topic, o.TransactionalID = c.Brokers, c.Topic, "cdc-ha-"+c.Group
	o.Dialer = broker.Dialer{TLS: conf, SASL: c.SASL, ClientID: c.ClientID, Codes: broker.StateCodes()}
	return o, nil
}

// Grants gives the kafka-acls commands that let the account do all that is needed, and no more.
func (c Config) Grants() []string {
	c = c.WithDefaults()
	user := c.SASL.User
	if user == "" {
		user = "ANONYMOUS"
	}
	add := "kafka-acls --bootstrap-server " + c.Brokers[0] + " --add --allow-principal User:" + user + " "
	return []string{
		add + "--operation Read --operation Write --operation Describe --operation DescribeConfigs --operation Create --topic " + c.Topic,
		add + "--operation Read --group " + c.Group,
		add + "--operation Write --operation Describe --transactional-id cdc-ha-" + c.Group,
	}
}
