package session

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"cdc/internal/settings"
)

// client makes the configuration of a TLS client; nil without TLS. Its errors are faults.
func (t *TLS) client(address string) (*tls.Config, error) {
	if t.Mode == TLSDisabled {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = "localhost" // a Unix socket
	}
	if t.ServerName != "" {
		host = t.ServerName
	}
	c, err := settings.ClientTLS("tls", t.CA, t.Cert, t.Key, host)
	if err != nil {
		return nil, err
	}
	if t.Legacy {
		c.MinVersion = tls.VersionTLS10
		for _, s := range tls.CipherSuites() {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
		c.CipherSuites = append(c.CipherSuites, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA)
	}
	switch t.Mode {
	case TLSRequired:
		c.InsecureSkipVerify = true
	case TLSVerifyCA:
		// The standard library checks chain and name together: the chain alone is checked here.
		c.InsecureSkipVerify = true
		roots := c.RootCAs
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("the server showed no certificate")
			}
			o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
			for _, cert := range s.PeerCertificates[1:] {
				o.Intermediates.AddCert(cert)
			}
			if _, err := s.PeerCertificates[0].Verify(o); err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
			}
			return nil
		}
	}
	return c, nil
}
