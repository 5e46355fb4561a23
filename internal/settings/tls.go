package settings

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"cdc/fault"
)

// ClientTLS makes the configuration of a client that verifies whom it speaks to, of PEM files, each of which may be left out. setting is where they were named. Its errors
// are faults.
func ClientTLS(setting, ca, cert, key, serverName string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "read %s.ca: %w", setting, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.ConfigInvalid, "%s.ca: %s holds no certificate in PEM", setting, ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "read %s.cert and %s.key: %w", setting, setting, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
