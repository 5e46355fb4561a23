package broker

import (
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/sasl/scram"

	"cdc/internal/settings"
)

// A broker that asks for more rounds of the hash than any needs would keep the client busy for hours, before it has proved anything.
func TestIterations(t *testing.T) {
	for rounds, refused := range map[string]bool{"4096": false, "1048576": false, "1048577": true, "1000000000": true, "99999999999999999999": true} {
		m, err := bounded(scram.SHA256, "cdc", "secret")
		if err != nil {
			t.Fatal(err)
		}
		s, first, err := m.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, nonce, ok := strings.Cut(string(first), ",r=")
		if !ok {
			t.Fatalf("the first message is %q", first)
		}
		_, _, err = s.Next(t.Context(), []byte("r="+nonce+"more,s=c2FsdA==,i="+rounds))
		if got := err != nil && strings.Contains(err.Error(), "iterations of the hash"); got != refused {
			t.Errorf("%s rounds: %v", rounds, err)
		}
	}
}

func TestValidate(t *testing.T) {
	password := settings.Secret{Env: "SECRET"}
	for _, c := range []struct {
		name    string
		brokers []string
		tls     TLS
		sasl    SASL
		want    string
	}{
		{name: "least", brokers: []string{"k1"}},
		{name: "all", brokers: []string{"k1:9092", "[::1]"}, tls: TLS{CA: "ca.pem"}, sasl: SASL{Mechanism: "PLAIN", User: "u", Password: password}},
		{name: "none", want: "brokers "},
		{name: "no port", brokers: []string{"k1", ":1"}, want: "brokers[1] "},
		{name: "half a pair", brokers: []string{"k1"}, tls: TLS{Cert: "c.pem"}, want: "tls.cert "},
		{name: "unknown mechanism", brokers: []string{"k1"}, sasl: SASL{Mechanism: "GSSAPI", User: "u", Password: password}, want: "sasl.mechanism "},
		{name: "no mechanism", brokers: []string{"k1"}, sasl: SASL{User: "u"}, want: "sasl.mechanism "},
		{name: "no user", brokers: []string{"k1"}, sasl: SASL{Mechanism: "SCRAM-SHA-512", Password: password}, want: "sasl.user "},
		{name: "no password", brokers: []string{"k1"}, sasl: SASL{Mechanism: "SCRAM-SHA-512", User: "u"}, want: "sasl.password "},
		{name: "a password for all to see", brokers: []string{"k1"}, sasl: SASL{Mechanism: "PLAIN", User: "u", Password: password}, want: "sasl.mechanism "},
		{name: "two passwords", brokers: []string{"k1"}, sasl: SASL{Mechanism: "SCRAM-SHA-512", User: "u", Password: settings.Secret{Env: "A", File: "b"}}, want: "sasl.password "},
	} {
		got := ""
		Validate(c.brokers, &c.tls, &c.sasl, func(path, _ string, _ ...any) { got += path + " " })
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
