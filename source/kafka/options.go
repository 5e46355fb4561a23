package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"cdc/broker"
	"cdc/event"
	"cdc/gtid"
	"cdc/internal/settings"
)

// Config is the `kafka:` part of a source. A zero field means its default.
type Config struct {
	Brokers  []string `yaml:"brokers" jsonschema_description:"Brokers to ask for the others, as host:port (9092 where the port is left out). One that answers is enough."`
	ClientID string   `yaml:"client_id" jsonschema_description:"Name under which brokers log and limit this client. Default cdc."`
	TLS      TLS      `yaml:"tls" jsonschema_description:"Encryption of the connections."`
	SASL     SASL     `yaml:"sasl" jsonschema_description:"How to log in."`

	Topics []string `yaml:"topics" jsonschema_description:"Change topics to read, in Debezium's JSON with schemas. A * stands for any characters: topics that come later are read too."`

	Share Share `yaml:"share" jsonschema_description:"Which part of the partitions this process reads. Default: all."`

	Group *GroupConfig `yaml:"group" jsonschema_description:"Divides the partitions among all processes with this group: when one comes or goes its part moves. In place of share."`

	NewPartitions string `yaml:"new_partitions" jsonschema:"enum=stop,enum=read" jsonschema_description:"What to do when a topic gets more partitions, by which the changes of a key move to another one and may come before older ones. stop ends the stream, read goes on with all of them. Default stop."`
	Placeholder   string `yaml:"placeholder" jsonschema:"enum=stop,enum=absent" jsonschema_description:"What the placeholder of an unavailable value is: absent says that the message does not hold the column. Default stop."`
	Unavailable   string `yaml:"unavailable_value_placeholder" jsonschema_description:"The placeholder that the writer of the topics uses. Default __debezium_unavailable_value."`
	Defaults      string `yaml:"defaults" jsonschema:"enum=stop,enum=kept" jsonschema_description:"What a value is that is the default of a column which may be NULL: kept says that the writer does not put defaults in place of NULLs. Default stop."`

	ConnectTimeout time.Duration `yaml:"connect_timeout" jsonschema_description:"How long connecting and logging in may take. Default 10s."`
	RequestTimeout time.Duration `yaml:"request_timeout" jsonschema_description:"How long a broker may take to answer. Default 30s."`
}

// Share is a part of the partitions: those whose number in their topic, divided by Of, leaves Number-1. The zero Share is all of them.
type Share struct {
	Number int `yaml:"number" jsonschema_description:"Which of the parts, from 1."`
	Of     int `yaml:"of" jsonschema_description:"How many parts there are, each read by a process with another number and another name of its stream."`
}

// has reports that a partition is of the share.
func (s Share) has(id int32) bool { return s.Of == 0 || int(id)%s.Of == s.Number-1 }

// TLS says how connections are encrypted, SASL how to log in.
type (
	TLS  = broker.TLS
	SASL = broker.SASL
)

// What settings may say.
const (
	onStop   = "stop"
	onRead   = "read"
	onAbsent = "absent"
	onKept   = "kept"
)

// Validate lists what cannot work, with paths that begin at prefix (such as source.kafka).
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
	if len(c.Topics) == 0 {
		problem("topics", "is missing: name the change topics to read")
	}
	for i, t := range c.Topics {
		if t == "" || strings.Trim(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-*") != "" {
			problem(fmt.Sprintf("topics[%d]", i), "%q: a topic may have letters, digits, '.', '_' and '-' only; * stands for any of them", t)
		}
	}
	if c.Share != (Share{}) && (c.Share.Of < 2 || c.Share.Number < 1 || c.Share.Number > c.Share.Of) {
		problem("share", "number is to be between 1 and of, and of at least 2")
	}
	if c.Group != nil {
		c.Group.validate(problem)
		if c.Share != (Share{}) {
			problem("share", "goes without group, which divides the partitions by itself")
		}
	}
	oneOf("new_partitions", c.NewPartitions, onStop, onRead)
	oneOf("placeholder", c.Placeholder, onStop, onAbsent)
	oneOf("defaults", c.Defaults, onStop, onKept)
	for path, d := range map[string]time.Duration{"connect_timeout": c.ConnectTimeout, "request_timeout": c.RequestTimeout} {
		if d != 0 && (d < 100*time.Millisecond || d > time.Hour) {
			problem(path, "%s is not between 100ms and an hour", d)
		}
	}
	return out
}

// chosen reports that a topic is one of those to read.
func (c *Config) chosen(topic string) bool {
	return slices.ContainsFunc(c.Topics, func(p string) bool {
		ok, err := path.Match(p, topic)
		return ok && err == nil
	})
}

// patterns reports that topics are not all named.
func (c *Config) patterns() bool {
	return slices.ContainsFunc(c.Topics, func(p string) bool { return strings.Contains(p, "*") })
}

// Options of a source.
type Options struct {
	Config

	// From is the place of the checkpoint; nil for a stream without one, which begins where the topics do.
	From *gtid.Set
	// Begin, if set, gives the offset at which a partition begins that From does not know; without, it is the first that is there.
	Begin func(topic string, id int32) (offset int64, ok bool)
	// UntilNow ends the stream where the partitions end when it is opened.
	UntilNow bool
	// ByKey says that the order of the changes of a key matters: a record of a topic with several partitions must be in that which its key says.
	ByKey bool

	// Leave says of a record, by its name as a transaction, that it is not to be looked at: it comes without a change. nil takes all.
	Leave func(gtid.GTID) bool

	Pool       *event.Pool
	BatchBytes int64 // size at which a batch is handed over
	MaxRow     int64 // bytes of the largest record
	Log        *slog.Logger
	// Settle is how long a partition may seem to end before the place: one whose leader has just begun may not know yet what the others have. 10 s where 0.
	Settle  time.Duration
	Refresh time.Duration // how often the brokers are asked for topics and partitions that came; 10 s where 0
	// Dial, if set, makes the connections instead of net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	def(&o.ClientID, "cdc")
	def(&o.ConnectTimeout, 10*time.Second)
	def(&o.RequestTimeout, 30*time.Second)
	def(&o.BatchBytes, 2<<20)
	def(&o.MaxRow, 64<<20)
	def(&o.Refresh, 10*time.Second)
	def(&o.Settle, 10*time.Second)
	if o.Pool == nil {
		o.Pool = &event.Pool{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
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
