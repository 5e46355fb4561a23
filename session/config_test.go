package session

import (
	"testing"
	"time"

	"cdc/internal/settings"
)

func TestConfigProblems(t *testing.T) {
	good := Config{Address: "db1:3306", User: "cdc"}
	if p := good.Validate("source.mysql"); len(p) > 0 {
		t.Errorf("nothing is wrong with it: %v", p)
	}
	for _, c := range []struct {
		path string
		edit func(*Config)
	}{
		{"address", func(c *Config) { c.Address = "" }},
		{"address", func(c *Config) { c.Address = ":3306" }},
		{"user", func(c *Config) { c.User = "" }},
		{"password", func(c *Config) { c.Password = settings.Secret{File: "a", Env: "b"} }},
		{"tls.mode", func(c *Config) { c.TLS.Mode = "prefered" }},
		{"tls.mode", func(c *Config) { c.TLS = TLS{Mode: TLSDisabled, CA: "ca.pem"} }},
		{"tls.cert", func(c *Config) { c.TLS.Cert = "a" }},
		{"connect_timeout", func(c *Config) { c.ConnectTimeout = time.Millisecond }},
		{"read_timeout", func(c *Config) { c.ReadTimeout = time.Millisecond }},
	} {
		cfg := good
		c.edit(&cfg)
		p := cfg.Validate("source.mysql")
		if len(p) != 1 || p[0].Path != "source.mysql."+c.path || p[0].Text == "" {
			t.Errorf("%s: got %v", c.path, p)
		}
	}
}

func TestDefaultsOfTLS(t *testing.T) {
	for _, c := range []struct{ address, given, want string }{
		{"db1", "", TLSVerifyIdentity},
		{"db1:3307", "", TLSVerifyIdentity},
		{"127.0.0.1:3306", "", TLSDisabled},
		{"localhost", "", TLSDisabled},
		{"[::1]:3306", "", TLSDisabled},
		{"/run/mysqld.sock", "", TLSDisabled},
		{"127.0.0.1:3306", TLSRequired, TLSRequired},
		{"db1", TLSDisabled, TLSDisabled},
		{"127.0.0.1.example.com", "", TLSVerifyIdentity},
		{"localhost.example.com:3306", "", TLSVerifyIdentity},
	} {
		cfg := Config{Address: c.address, TLS: TLS{Mode: c.given}}
		if got := cfg.WithDefaults().TLS.Mode; got != c.want {
			t.Errorf("%s with mode %q: %s, want %s", c.address, c.given, got, c.want)
		}
	}
	cfg := Config{Address: "127.0.0.1:3306", TLS: TLS{CA: "ca.pem"}}
	if got := cfg.WithDefaults().TLS.Mode; got != TLSVerifyIdentity {
		t.Errorf("on loopback with an authority: %s", got)
	}
}
