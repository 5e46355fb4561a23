package live

import (
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/internal/settings"
	"cdc/session"
)

func TestConfigProblems(t *testing.T) {
	good := Config{Config: session.Config{Address: "db1:3306", User: "cdc"}}
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
		{"tls.mode", func(c *Config) { c.TLS = session.TLS{Mode: session.TLSDisabled, CA: "ca.pem"} }},
		{"tls.cert", func(c *Config) { c.TLS.Cert = "a" }},
		{"gtid", func(c *Config) { c.GTID = "on" }},
		{"heartbeat", func(c *Config) { c.Heartbeat = time.Millisecond }},
		{"heartbeat", func(c *Config) { c.Heartbeat = 2 * time.Hour }},
		{"read_timeout", func(c *Config) { c.ReadTimeout = time.Millisecond }},
		{"backoff.first", func(c *Config) { c.Backoff = Backoff{First: time.Minute, Most: time.Second} }},
	} {
		cfg := good
		c.edit(&cfg)
		p := cfg.Validate("source.mysql")
		if len(p) != 1 || p[0].Path != "source.mysql."+c.path || p[0].Text == "" {
			t.Errorf("%s: got %v", c.path, p)
		}
	}
}

func TestVersionNumber(t *testing.T) {
	for text, want := range map[string]uint32{
		"9.7.4-2": 90704, "8.0.36-log": 80036, "5.7.22-log": 50722, "11.8.6-MariaDB-0+deb13u1 from Debian-log": 110806, "8.4": 0, "": 0, "x.y.z": 0,
	} {
		if got := (event.Server{Version: text}).Number(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Setenv("CDC_TEST_PASSWORD", "canary")
	cfg := Config{Config: session.Config{Address: "127.0.0.1:1", User: "u", Password: settings.Secret{Env: "CDC_TEST_PASSWORD"}}}
	_, err := Open(t.Context(), Options{Config: cfg})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}
