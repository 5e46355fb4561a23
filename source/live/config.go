package live

import (
	"fmt"
	"time"

	"cdc/internal/settings"
	"cdc/session"
)

// Config is the `mysql:` or `mariadb:` part of a configuration: how to reach a server, and how to read from it. A zero field means its default.
type Config struct {
	session.Config `yaml:",inline"`

	ServerID  uint32        `yaml:"server_id" jsonschema_description:"Replication server id of this reader, which no server and no other replica of the topology may have; 0 chooses one that stays the same for this host and stream."`
	Heartbeat time.Duration `yaml:"heartbeat" jsonschema_description:"How often an idle server says that it is there, which is also how soon seconds behind falls to 0. After two periods of silence the connection is given up and made anew. Default 1s, with 10s of silence."`
	Backoff   Backoff       `yaml:"backoff" jsonschema_description:"Pauses between attempts to reconnect."`

	IgnoreServerIDs []uint32      `yaml:"ignore_server_ids" jsonschema_description:"Transactions that began on these servers are left out and counted."`
	GTID            string        `yaml:"gtid" jsonschema:"enum=auto,enum=off" jsonschema_description:"auto keeps the place as a GTID set where the server has gtid_mode=ON (MariaDB: always); off keeps it as file and position of this one server."`
	MaxPayload      settings.Size `yaml:"max_payload" jsonschema_description:"Largest compressed transaction, decompressed. Default 4GiB."`

	silence time.Duration // after which the connection is given up; set by withDefaults
	watch   time.Duration // between looks at the server from outside of the stream; 0 is watchEvery
}

// Backoff bounds the pauses between attempts to reconnect. They double from First to Most, and each is shortened at random by up to a half,
// so that many readers that lost one server do not come back together.
type Backoff struct {
	First time.Duration `yaml:"first" jsonschema_description:"Pause after the first failed attempt. Default 250ms."`
	Most  time.Duration `yaml:"most" jsonschema_description:"Longest pause. Default 30s."`
}

// Validate lists what cannot work, with paths that begin at prefix (such as source.mysql).
func (c *Config) Validate(prefix string) []settings.Problem {
	out := c.Config.Validate(prefix)
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: prefix + "." + path, Text: fmt.Sprintf(format, args...)})
	}
	if c.GTID != "" && c.GTID != "auto" && c.GTID != "off" {
		problem("gtid", "%q is neither auto nor off", c.GTID)
	}
	for _, d := range []struct {
		path  string
		value time.Duration
		least time.Duration
	}{
		{"heartbeat", c.Heartbeat, 100 * time.Millisecond},
		{"backoff.first", c.Backoff.First, time.Millisecond},
		{"backoff.most", c.Backoff.Most, time.Millisecond},
	} {
		if d.value != 0 && d.value < d.least {
			problem(d.path, "%s is less than %s", d.value, d.least)
		}
	}
	if c.Heartbeat > time.Hour {
		problem("heartbeat", "%s is more than an hour", c.Heartbeat)
	}
	if c.Backoff.First != 0 && c.Backoff.Most != 0 && c.Backoff.First > c.Backoff.Most {
		problem("backoff.first", "%s is more than backoff.most", c.Backoff.First)
	}
	return out
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	c.Config = c.Config.WithDefaults()
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	c.silence = max(2*c.Heartbeat, time.Second)
	if c.Heartbeat == 0 {
		// Often, so that an operator sees at once that nothing is behind; but a server that hangs for a moment is not given up.
		c.Heartbeat, c.silence = time.Second, 10*time.Second
	}
	def(&c.Backoff.First, 250*time.Millisecond)
	def(&c.Backoff.Most, 30*time.Second)
	if c.Backoff.Most < c.Backoff.First {
		c.Backoff.Most = c.Backoff.First
	}
	def(&c.watch, watchEvery)
	if c.GTID == "" {
		c.GTID = "auto"
	}
	return c
}
