package live

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cdc/internal/settings"
)

// Config is the `mysql:` or `mariadb:` part of a configuration: how to reach a server, and how to read from it. A zero field means its default.
type Config struct {
	Address  string          `yaml:"address" jsonschema_description:"Host and port of the server, as db1:3306 or [::1]:3306 (3306 where the port is left out), or the path of a Unix socket."`
	User     string          `yaml:"user" jsonschema_description:"Account to log in with; it needs REPLICATION SLAVE, REPLICATION CLIENT, and SELECT on the captured tables."`
	Password settings.Secret `yaml:"password" jsonschema_description:"Password of the account, by file or environment variable."`
	TLS      TLS             `yaml:"tls" jsonschema_description:"Encryption of the connection."`

	AllowPublicKeyRetrieval bool `yaml:"allow_public_key_retrieval" jsonschema_description:"Without TLS, send the password encrypted with a key that the server names (caching_sha2_password and sha256_password). Whoever can change the traffic can then learn the password. Always allowed on loopback."`

	ServerID  uint32        `yaml:"server_id" jsonschema_description:"Replication server id of this reader, which no server and no other replica of the topology may have; 0 chooses one that stays the same for this host and stream."`
	Heartbeat time.Duration `yaml:"heartbeat" jsonschema_description:"How often an idle server says that it is there, which is also how soon seconds behind falls to 0. After two periods of silence the connection is given up and made anew. Default 1s, with 10s of silence."`

	ConnectTimeout time.Duration `yaml:"connect_timeout" jsonschema_description:"How long connecting and logging in may take. Default 10s."`
	ReadTimeout    time.Duration `yaml:"read_timeout" jsonschema_description:"How long the server may take for the answer to a query, and for the first event of a stream, for which it may have to search many files. Default 60s."`
	Backoff        Backoff       `yaml:"backoff" jsonschema_description:"Pauses between attempts to reconnect."`

	IgnoreServerIDs []uint32      `yaml:"ignore_server_ids" jsonschema_description:"Transactions that began on these servers are left out and counted."`
	GTID            string        `yaml:"gtid" jsonschema:"enum=auto,enum=off" jsonschema_description:"auto keeps the place as a GTID set where the server has gtid_mode=ON (MariaDB: always); off keeps it as file and position of this one server."`
	MaxPayload      settings.Size `yaml:"max_payload" jsonschema_description:"Largest compressed transaction, decompressed. Default 4GiB."`

	silence time.Duration // after which the connection is given up; set by withDefaults
	watch   time.Duration // between looks at the server from outside of the stream; 0 is watchEvery
}

// TLS says how the connection is encrypted and how the server proves who it is.
type TLS struct {
	Mode       string `yaml:"mode" jsonschema:"enum=disabled,enum=required,enum=verify-ca,enum=verify-identity" jsonschema_description:"disabled: no encryption. required: encryption with whoever answers. verify-ca: the certificate must be signed by the authority. verify-identity: and be for this host name. Default: verify-identity; disabled on loopback and Unix sockets."`
	CA         string `yaml:"ca" jsonschema_description:"PEM file of the authorities that may have signed the server's certificate; the system's where left out."`
	Cert       string `yaml:"cert" jsonschema_description:"PEM file of the client's certificate, for accounts that require one."`
	Key        string `yaml:"key" jsonschema_description:"PEM file of the client certificate's key."`
	ServerName string `yaml:"server_name" jsonschema_description:"Name that the certificate must be for; the host of address where left out."`
	Legacy     bool   `yaml:"legacy" jsonschema_description:"Also speak TLS 1.0 and 1.1 and key exchange by RSA, for MySQL 5.7 and early 8.0 with their old libraries."`
}

// Backoff bounds the pauses between attempts to reconnect. They double from First to Most, and each is shortened at random by up to a half,
// so that many readers that lost one server do not come back together.
type Backoff struct {
	First time.Duration `yaml:"first" jsonschema_description:"Pause after the first failed attempt. Default 250ms."`
	Most  time.Duration `yaml:"most" jsonschema_description:"Longest pause. Default 30s."`
}

// Modes of TLS.
const (
	tlsDisabled       = "disabled"
	tlsRequired       = "required"
	tlsVerifyCA       = "verify-ca"
	tlsVerifyIdentity = "verify-identity"
)

// Validate lists what cannot work, with paths that begin at prefix (such as source.mysql).
func (c *Config) Validate(prefix string) []settings.Problem {
	var out []settings.Problem
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: prefix + "." + path, Text: fmt.Sprintf(format, args...)})
	}
	if c.Address == "" {
		problem("address", "is missing: give host:port")
	} else if _, address := c.endpoint(); !strings.HasPrefix(c.Address, "/") {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			problem("address", "%q is not host:port", c.Address)
		}
	}
	if c.User == "" {
		problem("user", "is missing")
	}
	if c.Password.File != "" && c.Password.Env != "" {
		problem("password", "give file or env, not both")
	}
	modes := []string{"", tlsDisabled, tlsRequired, tlsVerifyCA, tlsVerifyIdentity}
	if !slices.Contains(modes, c.TLS.Mode) {
		problem("tls.mode", "%q is none of disabled, required, verify-ca, verify-identity", c.TLS.Mode)
	}
	if c.TLS.Mode == tlsDisabled && (c.TLS.CA != "" || c.TLS.Cert != "" || c.TLS.Key != "" || c.TLS.ServerName != "") {
		problem("tls.mode", "is disabled, but certificates or a server name are given")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		problem("tls.cert", "cert and key go together")
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
		{"connect_timeout", c.ConnectTimeout, 100 * time.Millisecond},
		{"read_timeout", c.ReadTimeout, time.Second},
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
	def(&c.ConnectTimeout, 10*time.Second)
	def(&c.ReadTimeout, time.Minute)
	def(&c.Backoff.First, 250*time.Millisecond)
	def(&c.Backoff.Most, 30*time.Second)
	if c.Backoff.Most < c.Backoff.First {
		c.Backoff.Most = c.Backoff.First
	}
	def(&c.watch, watchEvery)
	if c.GTID == "" {
		c.GTID = "auto"
	}
	if c.TLS.Mode == "" {
		c.TLS.Mode = tlsVerifyIdentity
		if c.local() && c.TLS.CA == "" && c.TLS.Cert == "" && c.TLS.ServerName == "" {
			c.TLS.Mode = tlsDisabled
		}
	}
	return c
}

// endpoint gives network and address to dial.
func (c *Config) endpoint() (network, address string) {
	if filepath.IsAbs(c.Address) {
		return "unix", c.Address
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil && strings.Contains(err.Error(), "missing port") {
		return "tcp", net.JoinHostPort(strings.Trim(c.Address, "[]"), "3306")
	}
	return "tcp", c.Address
}

// local reports that the traffic does not leave this machine.
func (c *Config) local() bool {
	network, address := c.endpoint()
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
