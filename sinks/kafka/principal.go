package kafka

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
)

// principal is the account as rules of brokers name it, behind "User:": who logs in, else the name in the client's certificate, else nobody. A
// broker may have rules that make other names of those in certificates (ssl.principal.mapping.rules).
func (k *cluster) principal() string {
	o := k.dialer.opt
	switch {
	case o.SASL.User != "":
		return o.SASL.User
	case o.TLS.Cert == "":
		return "ANONYMOUS"
	}
	name, err := certName(o.TLS.Cert)
	if err != nil {
		return "NAME-IN-" + o.TLS.Cert
	}
	return name
}

// quoted is an argument for a shell.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@%+=/,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// certName gives the subject of the first certificate of a PEM file, as a broker names it.
func certName(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return "", fmt.Errorf("%s holds no certificate in PEM", file)
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", err
		}
		return distinguished(c.RawSubject)
	}
}

// attribute is a part of a name. Its value stays as it is encoded, since some are printed so.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type attributesSET []attribute

// keywords are those of RFC 2253; all other types are printed by their numbers. Java has the same (X500Principal.getName).
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// distinguished prints a name by RFC 2253, the last part first.
func distinguished(der []byte) (string, error) {
	var parts []attributesSET
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return "", err
	}
	var names []string
	for _, p := range slices.Backward(parts) {
		var list []string
		for _, a := range p {
			name, known := keywords[a.Type.String()]
			var text string
			if known {
				if _, err := asn1.Unmarshal(a.Value.FullBytes, &text); err != nil {
					known = false
				}
			}
			if !known {
				if name == "" {
					name = a.Type.String()
				}
				list = append(list, name+"=#"+hex.EncodeToString(a.Value.FullBytes))
				continue
			}
			list = append(list, name+"="+escaped(text))
		}
		names = append(names, strings.Join(list, "+"))
	}
	return strings.Join(names, ","), nil
}

// escaped puts a backslash before what means something in a name.
func escaped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if strings.ContainsRune(`,=+<>#;"\`, r) || r == ' ' && (i == 0 || i == len(s)-1) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
