package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPrincipal names the account as brokers do: the user, else the name in the client's certificate.
func TestPrincipal(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "client.pem")
	for want, subject := range map[string]pkix.Name{
		"User:CN=cdc": {CommonName: "cdc"},
		"User:CN=cdc,OU=data,O=shop,L=Bern,ST=BE,C=CH": {CommonName: "cdc", OrganizationalUnit: []string{"data"}, Organization: []string{"shop"}, Locality: []string{"Bern"}, Province: []string{"BE"}, Country: []string{"CH"}},
		`'User:CN=it'\''s\, \"cdc\"\ '`:                {CommonName: `it's, "cdc" `},
		"'User:2.5.4.5=#130137,CN=a'":                  {CommonName: "a", SerialNumber: "7"},
		"User:CN=cdc,OU=a+OU=b":                        {CommonName: "cdc", OrganizationalUnit: []string{"a", "b"}},
		"'User:DC=shop,1.2.840.113549.1.9.1=#160378407a,UID=c,CN=zürich'": {CommonName: "zürich", ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "c"},
			{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("x@z")}},
			{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: "shop"},
		}},
	} {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotAfter: time.Now().Add(time.Hour)},
			&x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS"}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Config: Config{Brokers: []string{"k1:9092"}, TLS: TLS{Cert: file, Key: file}}}
		for _, line := range Grants(o, []string{"shop.orders"}, nil) {
			if !strings.Contains(line, "--allow-principal "+want+" --operation") {
				t.Errorf("%s, want %s", line, want)
			}
		}
		o.SASL.User = "it"
		if line := Grants(o, []string{"shop.orders"}, nil)[0]; !strings.Contains(line, "--allow-principal User:it --operation") {
			t.Errorf("with a login: %s", line)
		}
	}
	k := &cluster{dialer: dialer{opt: &Options{Config: Config{TLS: TLS{Cert: "none.pem"}}}}}
	if got := k.principal(); got != "NAME-IN-none.pem" {
		t.Errorf("without the file: %s", got)
	}
}

// TestGrants gives each pattern the narrowest resource that covers it.
func TestGrants(t *testing.T) {
	no := false
	for _, c := range []struct {
		name           string
		config         Config
		tables, topics []string
		want           []string // what follows --topic
		operations     string
	}{
		{"a database", Config{}, []string{"shop.%"}, nil, []string{"shop. --resource-pattern-type prefixed"}, "Write DescribeConfigs Create Read"},
		{"a table", Config{Create: &no}, []string{"shop.orders", "!shop.%"}, nil, []string{"shop.orders"}, "Write DescribeConfigs Read"},
		{"an underscore is a wildcard", Config{}, []string{"shop.order_lines", `shop.a\_b`}, nil, []string{"shop.a_b", "shop.order --resource-pattern-type prefixed"}, ""},
		{"everything", Config{}, []string{"%.%", "shop.orders"}, nil, []string{"'*'"}, ""},
		{"a prefix", Config{Topic: "cdc.{database}.{table}"}, []string{"%.%"}, nil, []string{"cdc. --resource-pattern-type prefixed"}, ""},
		{"covered", Config{DeadLetter: DeadLetter{Topic: "shop.dead"}, SchemaTopic: "ddl"}, []string{"shop.%", "shop.o%"}, []string{"all", "all"}, []string{
			"all", "ddl", "shop. --resource-pattern-type prefixed",
		}, ""},
		{"one topic", Config{Topic: "all"}, []string{"a.%", "b.%"}, nil, []string{"all"}, ""},
		{"odd names", Config{}, []string{"a$b.c d"}, nil, []string{"a_b.c_d"}, ""},
	} {
		c.config.Brokers, c.config.SASL.User = []string{"k1:9092"}, "cdc"
		got := Grants(Options{Config: c.config}, c.tables, c.topics)
		last := got[len(got)-1]
		if !strings.HasPrefix(last, "# ") || !strings.Contains(last, "IdempotentWrite --cluster") {
			t.Errorf("%s: the last line is %s", c.name, last)
		}
		var topics []string
		for _, line := range got[:len(got)-1] {
			head, topic, ok := strings.Cut(line, " --topic ")
			if !ok || !strings.HasPrefix(head, "kafka-acls --bootstrap-server k1:9092 --add --allow-principal User:cdc --operation Write --operation DescribeConfigs") {
				t.Errorf("%s: %s", c.name, line)
			}
			if want := strings.Count(c.operations, " ") + 1; c.operations != "" && strings.Count(head, "--operation ") != want {
				t.Errorf("%s: %s, want %s", c.name, line, c.operations)
			}
			topics = append(topics, topic)
		}
		if !slices.Equal(topics, c.want) {
			t.Errorf("%s: %q, want %q", c.name, topics, c.want)
		}
	}
}
