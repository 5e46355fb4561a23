package broker

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"

	"cdc/internal/settings"
)

// TLS says how connections are encrypted. It is used where Enabled is set or a file or name is given. Brokers prove who they are, always.
type TLS struct {
	Enabled    bool   `yaml:"enabled" jsonschema_description:"Use TLS (1.2 or later). Certificates of brokers are verified, their host names too. Set by any of the settings below."`
	CA         string `yaml:"ca" jsonschema_description:"PEM file of the authorities that may have signed the brokers' certificates; the system's where left out."`
	Cert       string `yaml:"cert" jsonschema_description:"PEM file of the client's certificate, for brokers that ask for one."`
	Key        string `yaml:"key" jsonschema_description:"PEM file of the client certificate's key."`
	ServerName string `yaml:"server_name" jsonschema_description:"Name that all brokers' certificates must be for; the host that each is reached by where left out."`
}

// On reports that connections are encrypted.
func (t *TLS) On() bool { return *t != TLS{} }

// Client makes the configuration of TLS connections, nil without TLS. Its errors are faults.
func (t *TLS) Client() (*tls.Config, error) {
	if !t.On() {
		return nil, nil
	}
	return settings.ClientTLS("tls", t.CA, t.Cert, t.Key, t.ServerName)
}

// SASL says how to log in. Without a mechanism there is no login.
type SASL struct {
	Mechanism string          `yaml:"mechanism" jsonschema:"enum=PLAIN,enum=SCRAM-SHA-256,enum=SCRAM-SHA-512" jsonschema_description:"SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN, which is refused without TLS. Default: no login."`
	User      string          `yaml:"user" jsonschema_description:"Account to log in with."`
	Password  settings.Secret `yaml:"password" jsonschema_description:"Password of the account, by file or environment variable."`
}

const (
	saslPlain    = "PLAIN"
	saslSCRAM256 = "SCRAM-SHA-256"
	saslSCRAM512 = "SCRAM-SHA-512"
)

// Validate tells problem what of a configuration cannot work: the path below that of the brokers, and why.
func Validate(brokers []string, t *TLS, s *SASL, problem func(path, format string, args ...any)) {
	if len(brokers) == 0 {
		problem("brokers", "is missing: give host:port of at least one")
	}
	for i, b := range brokers {
		if host, port, err := net.SplitHostPort(WithPort(b)); err != nil || host == "" || port == "" {
			problem(fmt.Sprintf("brokers[%d]", i), "%q is not host:port", b)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		problem("tls.cert", "cert and key go together")
	}
	if names := []string{saslSCRAM512, saslSCRAM256, saslPlain}; s.Mechanism != "" && !slices.Contains(names, s.Mechanism) {
		problem("sasl.mechanism", "%q is none of %s", s.Mechanism, strings.Join(names, ", "))
	}
	switch {
	case s.Mechanism == "" && (s.User != "" || !s.Password.IsZero()):
		problem("sasl.mechanism", "is missing, but a user or password is given")
	case s.Mechanism != "" && s.User == "":
		problem("sasl.user", "is missing")
	case s.Mechanism != "" && s.Password.IsZero():
		problem("sasl.password", "is missing")
	case s.Mechanism == saslPlain && !t.On():
		problem("sasl.mechanism", "PLAIN sends the password as it is, and is refused without tls")
	}
	if s.Password.File != "" && s.Password.Env != "" {
		problem("sasl.password", "give file or env, not both")
	}
}

// WithPort gives a broker's address with Kafka's port where it names none.
func WithPort(broker string) string {
	if _, _, err := net.SplitHostPort(broker); err != nil && strings.Contains(err.Error(), "missing port") {
		return net.JoinHostPort(strings.Trim(broker, "[]"), "9092")
	}
	return broker
}
