package live

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/fault"
)

// Error numbers of the server, from its errmsg file.
const (
	erHandshake            = 1043
	erAccessDenied         = 1045
	erDBAccessDenied       = 1044
	erShutdown             = 1053
	erTooManyConnections   = 1040
	erHostBlocked          = 1129
	erHostNotPrivileged    = 1130
	erUnknownVariable      = 1193
	erSpecificAccessDenied = 1227
	erMasterFatal          = 1236
	erQueryInterrupted     = 1317
	erConnectionKilled     = 1927
	erSecureTransport      = 3159
	erParse                = 1064
	erTableAccessDenied    = 1142
	erNoSuchTable          = 1146
	erUnknownCommand       = 1047
	erClientTimeout        = 4031
	erPasswordExpired      = 1820
	erAccountLocked        = 3118
	erPluginNotLoaded      = 1524
)

// session is a connection that is logged in and answers queries. It is used by one goroutine at a time.
type session struct {
	c       *client.Conn
	raw     net.Conn // below TLS: closing it interrupts everything
	address string
	account string // that the server took us for, as a GRANT names it
}

// connect dials and logs in. Its errors are faults.
func connect(ctx context.Context, cfg *Config) (s *session, err error) {
	network, address := cfg.endpoint()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.ConnectTimeout, fmt.Errorf("no answer within %s", cfg.ConnectTimeout))
	defer cancel()
	password, err := cfg.Password.Value()
	if err != nil {
		return nil, fault.New(fault.ConfigSecret, "%w", err)
	}
	tlsConfig, err := cfg.TLS.client(address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fault.New(fault.SourceUnreachable, "%w", causeOr(ctx, err)).At(fault.Where{Server: address})
	}
	// The library knows no context: closing the connection below it ends whatever it waits for.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	g := &gate{Conn: raw, allowKey: cfg.AllowPublicKeyRetrieval || cfg.local()}
	g.open.Store(tlsConfig != nil)
	c, err := login(ctx, cfg, password, network, address, g, tlsConfig)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		if g.refused != nil {
			err = g.refused
		}
		return nil, loginFault(causeOr(ctx, err), cfg, address)
	}
	g.open.Store(true)
	g.seen = nil
	return &session{c: c, raw: raw, address: address, account: "'USER'@'HOST'"}, nil
}

// login runs the library, which panics on greetings that it does not expect.
func login(ctx context.Context, cfg *Config, password, network, address string, g *gate, tlsConfig *tls.Config) (c *client.Conn, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, fault.New(fault.SourceProtocol, "the server's greeting was not understood (%v): is it older than MySQL 5.6 or MariaDB 10?", r)
		}
	}()
	dial := func(context.Context, string, string) (net.Conn, error) { return g, nil }
	return client.ConnectWithDialer(ctx, network, address, cfg.User, password, "", dial, func(c *client.Conn) error {
		c.ReadTimeout, c.WriteTimeout = cfg.ReadTimeout, cfg.ReadTimeout
		c.SetAttributes(map[string]string{"program_name": "cdc"})
		if tlsConfig != nil {
			c.SetTLSConfig(tlsConfig)
		}
		return nil
	})
}

func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// client makes the configuration of a TLS client; nil without TLS.
func (t *TLS) client(address string) (*tls.Config, error) {
	if t.Mode == tlsDisabled {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = "localhost" // a Unix socket
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "read tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.ConfigSecret, "tls.ca: no certificate in %s", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "tls.cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
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
	case tlsRequired:
		c.InsecureSkipVerify = true
	case tlsVerifyCA:
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

// loginFault sorts an error of connecting.
func loginFault(err error, cfg *Config, address string) error {
	where := fault.Where{Server: address}
	if f, ok := fault.As(err); ok {
		return f.At(where)
	}
	if my, ok := errors.AsType[*mysql.MyError](err); ok {
		switch my.Code {
		case erAccessDenied, erDBAccessDenied, erHostNotPrivileged, erPasswordExpired, erAccountLocked:
			f := fault.New(fault.SourceAccessDenied, "%s", my.Message).At(where)
			if cfg.TLS.Mode == tlsDisabled && my.Code == erAccessDenied {
				f = f.Hint("check user and password; the account must exist for the host that cdc connects from, and if it was made with REQUIRE SSL, set tls.mode")
			}
			return f
		case erSecureTransport:
			return fault.New(fault.SourceTLSRequired, "%s", my.Message).At(where).
				Hint("the server takes encrypted connections only: set tls.mode to required, verify-ca or verify-identity")
		case erPluginNotLoaded:
			return fault.New(fault.SourceAuthPlugin, "%s", my.Message).At(where)
		}
		return fault.New(fault.SourceUnreachable, "error %d: %s", my.Code, my.Message).At(where)
	}
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f := fault.New(fault.SourceTLSVerify, "%w", verify.Err).At(where)
		if _, ok := errors.AsType[x509.HostnameError](verify.Err); ok {
			f = f.Hint("set tls.server_name to a name that the certificate has, or tls.mode: verify-ca to leave the name unchecked")
		}
		return f
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "does not support TLS"):
		return fault.New(fault.SourceTLSRequired, "the server offers no TLS, and tls.mode is %s", cfg.TLS.Mode).At(where)
	case strings.Contains(text, "tls: ") && !isTimeout(err):
		f := fault.New(fault.SourceTLSVerify, "%w", err).At(where)
		if strings.Contains(text, "protocol version") || strings.Contains(text, "handshake failure") {
			f = f.Hint("the server speaks only old versions of TLS: set tls.legacy: true, or better renew the server")
		}
		return f
	case strings.Contains(text, "unknown auth plugin name") || strings.Contains(text, "auth plugin"):
		return fault.New(fault.SourceAuthPlugin, "%w", err).At(where)
	case strings.Contains(text, "invalid protocol version"), strings.Contains(text, "protocol 41"), strings.Contains(text, "after scramble"):
		return fault.New(fault.SourceProtocol, "%w", err).At(where)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.New(fault.SourceUnreachable, "log in: %w", err).At(where)
}

// lost reports errors that say that the connection is gone, and not that something is wrong with what was asked.
func lost(err error) bool {
	if err == nil {
		return false
	}
	if my, ok := errors.AsType[*mysql.MyError](err); ok {
		switch my.Code {
		case erShutdown, erConnectionKilled, erQueryInterrupted, erClientTimeout:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, mysql.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded)
}

// query runs one statement and gives its rows as text; NULL is nil.
func (s *session) query(ctx context.Context, statement string) ([][][]byte, error) {
	var rows [][][]byte
	err := s.stream(ctx, statement, func(row [][]byte) error {
		kept := make([][]byte, len(row))
		for i, v := range row {
			if v != nil {
				kept[i] = append([]byte{}, v...)
			}
		}
		rows = append(rows, kept)
		return nil
	})
	return rows, err
}

// stream runs one statement and calls yield with each row; its values are valid during the call.
func (s *session) stream(ctx context.Context, statement string, yield func(row [][]byte) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.SourceProtocol, "the answer to a query was not understood (%v)", r).At(fault.Where{Server: s.address})
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = s.raw.Close() })
	defer stop()
	var row [][]byte
	var result mysql.Result
	err = s.c.ExecuteSelectStreaming(statement, &result, func(values []mysql.FieldValue) error {
		row = row[:0]
		for i := range values {
			row = append(row, text(&values[i]))
		}
		return yield(row)
	}, nil)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	if lost(err) {
		return fault.New(fault.SourceLost, "%w", err).At(fault.Where{Server: s.address})
	}
	return fmt.Errorf("%s: %w", abbreviate(statement), err)
}

// exec runs a statement without rows.
func (s *session) exec(ctx context.Context, statement string) error {
	_, err := s.query(ctx, statement)
	return err
}

// text gives a value as the server wrote it.
func text(v *mysql.FieldValue) []byte {
	switch v.Type {
	case mysql.FieldValueTypeNull:
		return nil
	case mysql.FieldValueTypeString:
		if b := v.AsString(); b != nil {
			return b
		}
		return []byte{}
	default:
		return fmt.Appendf(nil, "%v", v.Value())
	}
}

func abbreviate(s string) string {
	if len(s) > 120 {
		return s[:120] + "..."
	}
	return s
}

func (s *session) close() {
	if s != nil {
		_ = s.raw.Close()
	}
}

// errorNumber gives the server's error number, 0 for other errors.
func errorNumber(err error) uint16 {
	if my, ok := errors.AsType[*mysql.MyError](err); ok {
		return my.Code
	}
	return 0
}
