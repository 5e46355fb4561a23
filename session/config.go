package session

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cdc/internal/settings"
)

// Config is the part of a configuration that says how to reach a server. A zero field means its default.
type Config struct {
	Address  string          `yaml:"address" jsonschema_description:"Host and port of the server, as db1:3306 or [::1]:3306 (3306 where the port is left out), or the path of a Unix socket."`
	User     string          `yaml:"user" jsonschema_description:"Account to log in with; cdc check --grants prints the statements that make one with what it needs."`
	Password settings.Secret `yaml:"password" jsonschema_description:"Password of the account, by file or environment variable."`
	TLS      TLS             `yaml:"tls" jsonschema_description:"Encryption of the connection."`

	AllowPublicKeyRetrieval bool `yaml:"allow_public_key_retrieval" jsonschema_description:"Without TLS, send the password encrypted with a key that the server names (caching_sha2_password and sha256_password). Whoever can change the traffic can then learn the password. Always allowed on loopback."`

	ConnectTimeout time.Duration `yaml:"connect_timeout" jsonschema_description:"How long connecting and logging in may take. Default 10s."`
	ReadTimeout    time.Duration `yaml:"read_timeout" jsonschema_description:"How long the server may be silent while it answers a query, and before the first event of a stream, for which it may have to search many files. Default 60s."`
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

// Modes of TLS.
const (
	TLSDisabled       = "disabled"
	TLSRequired       = "required"
	TLSVerifyCA       = "verify-ca"
	TLSVerifyIdentity = "verify-identity"
)

// Validate lists what cannot work, with paths that begin at prefix (such as source.mysql).
func (c *Config) Validate(prefix string) []settings.Problem {
	var out []settings.Problem
	problem := func(path, format string, args ...any) {
		out = append(out, settings.Problem{Path: prefix + "." + path, Text: fmt.Sprintf(format, args...)})
	}
	if c.Address == "" {
		problem("address", "is missing: give host:port")
	} else if _, address := c.Endpoint(); !strings.HasPrefix(c.Address, "/") {
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
	modes := []string{"", TLSDisabled, TLSRequired, TLSVerifyCA, TLSVerifyIdentity}
	if !slices.Contains(modes, c.TLS.Mode) {
		problem("tls.mode", "%q is none of disabled, required, verify-ca, verify-identity", c.TLS.Mode)
	}
	if c.TLS.Mode == TLSDisabled && (c.TLS.CA != "" || c.TLS.Cert != "" || c.TLS.Key != "" || c.TLS.ServerName != "") {
		problem("tls.mode", "is disabled, but certificates or a server name are given")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		problem("tls.cert", "cert and key go together")
	}
	if c.ConnectTimeout != 0 && c.ConnectTimeout < 100*time.Millisecond {
		problem("connect_timeout", "%s is less than %s", c.ConnectTimeout, 100*time.Millisecond)
	}
	if c.ReadTimeout != 0 && c.ReadTimeout < time.Second {
		problem("read_timeout", "%s is less than %s", c.ReadTimeout, time.Second)
	}
	return out
}

// WithDefaults fills in what was left out.
func (c Config) WithDefaults() Config {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = time.Minute
	}
	if c.TLS.Mode == "" {
		c.TLS.Mode = TLSVerifyIdentity
		if c.Local() && c.TLS.CA == "" && c.TLS.Cert == "" && c.TLS.ServerName == "" {
			c.TLS.Mode = TLSDisabled
		}
	}
	return c
}

// Endpoint gives network and address to dial.
func (c *Config) Endpoint() (network, address string) {
	if filepath.IsAbs(c.Address) {
		return "unix", c.Address
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil && strings.Contains(err.Error(), "missing port") {
		return "tcp", net.JoinHostPort(strings.Trim(c.Address, "[]"), "3306")
	}
	return "tcp", c.Address
}

// Local reports that the traffic does not leave this machine.
func (c *Config) Local() bool {
	network, address := c.Endpoint()
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
