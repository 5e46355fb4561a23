package registry

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"cdc/internal/settings"
)

// Config is the `schema_registry:` part of a configuration. A zero field means its default.
type Config struct {
	URLs     []string        `yaml:"urls" jsonschema_description:"Where the registry answers; several are tried in turn. For Apicurio they end in /apis/ccompat/v7."`
	User     string          `yaml:"user" jsonschema_description:"Account for basic authentication."`
	Password settings.Secret `yaml:"password" jsonschema_description:"Password of the account, by file or environment variable."`
	Token    settings.Secret `yaml:"token" jsonschema_description:"Bearer token instead of an account, by file or environment variable."`
	TLS      TLS             `yaml:"tls" jsonschema_description:"Encryption, for URLs that begin with https."`

	Subjects     string        `yaml:"subjects" jsonschema:"enum=topic,enum=record,enum=topic_record" jsonschema_description:"What a subject is named after: topic is TOPIC-value and TOPIC-key (TopicNameStrategy), record the full name of the schema, topic_record both. Default topic."`
	Register     *bool         `yaml:"register" jsonschema_description:"Register schemas that are not there. Where false, only those are used that somebody has registered. Default true."`
	Incompatible string        `yaml:"incompatible" jsonschema:"enum=stop,enum=new_subject" jsonschema_description:"What becomes of a schema that is not compatible with those of its subject: stop stops before its first row, new_subject registers it for SUBJECT-2, SUBJECT-3 and so on. Default stop."`
	Timeout      time.Duration `yaml:"timeout" jsonschema_description:"How long the registry may take to answer. Default 10s."`
}

// TLS says how the registry proves who it is, and this client.
type TLS struct {
	CA         string `yaml:"ca" jsonschema_description:"PEM file of the authorities that may have signed the registry's certificate; the system's where left out."`
	Cert       string `yaml:"cert" jsonschema_description:"PEM file of the client's certificate, for a registry that asks for one."`
	Key        string `yaml:"key" jsonschema_description:"PEM file of the client certificate's key."`
	ServerName string `yaml:"server_name" jsonschema_description:"Name that the registry's certificate must be for; the host of the URL where left out."`
}

const (
	byTopic       = "topic"
	byRecord      = "record"
	byTopicRecord = "topic_record"

	incompatibleStop = "stop"
	incompatibleNew  = "new_subject"
)

func (c Config) withDefaults() Config {
	c.Subjects = cmp.Or(c.Subjects, byTopic)
	c.Incompatible = cmp.Or(c.Incompatible, incompatibleStop)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	return c
}

// Validate lists what cannot work, with paths that begin at prefix.
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
	if len(c.URLs) == 0 {
		problem("urls", "is missing: give at least one, as http://HOST:8081")
	}
	secret := c.User != "" || !c.Token.IsZero()
	for i, s := range c.URLs {
		at := fmt.Sprintf("urls[%d]", i)
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			problem(at, "is no URL of a registry: http://HOST:PORT or https://HOST:PORT, and a path where there is one") // not shown: it may hold a password
		case u.User != nil:
			problem(at, "holds a user: use user and password")
		case u.RawQuery != "" || u.Fragment != "":
			problem(at, "has something behind its path")
		case u.Scheme == "http" && secret && !loopback(u.Hostname()):
			problem(at, "would send a password or token without encryption: use https")
		}
	}
	if (c.User == "") != c.Password.IsZero() {
		problem("password", "user and password go together")
	}
	if c.User != "" && !c.Token.IsZero() {
		problem("token", "goes without user and password")
	}
	for _, s := range []struct {
		path string
		v    settings.Secret
	}{{"password", c.Password}, {"token", c.Token}} {
		if s.v.File != "" && s.v.Env != "" {
			problem(s.path, "give file or env, not both")
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		problem("tls.cert", "cert and key go together")
	}
	oneOf("subjects", c.Subjects, byTopic, byRecord, byTopicRecord)
	oneOf("incompatible", c.Incompatible, incompatibleStop, incompatibleNew)
	if c.Timeout != 0 && (c.Timeout < 100*time.Millisecond || c.Timeout > time.Hour) {
		problem("timeout", "%s is not between 100ms and an hour", c.Timeout)
	}
	return out
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
