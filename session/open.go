package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"cdc/fault"
)

// Options of Open.
type Options struct {
	Codes           Codes  // of the side that the server is of
	FoundRows       bool   // UPDATE counts the rows that it found, also those that it left as they were (CLIENT_FOUND_ROWS)
	MultiStatements bool   // a text may hold several statements (CLIENT_MULTI_STATEMENTS), which Many needs
	Database        string // default database; "" is none
}

// collation of the handshake: one of utf8mb4 that every server knows. See the package comment.
const collation = "utf8mb4_general_ci"

// Open dials and logs in, with what cfg.WithDefaults gives. Its errors are faults of opt.Codes, or the cause of a context that ended.
func Open(ctx context.Context, cfg Config, opt Options) (*Session, error) {
	cfg = cfg.WithDefaults()
	network, address := cfg.Endpoint()
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
		return nil, fault.New(opt.Codes.Unreachable, "%w", causeOr(ctx, err)).At(fault.Where{Server: address})
	}
	// The library knows no context: closing the connection below it ends whatever it waits for.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	g := &gate{Conn: raw, codes: &opt.Codes, allowKey: cfg.AllowPublicKeyRetrieval || cfg.Local()}
	g.open.Store(tlsConfig != nil)
	c, err := login(ctx, &cfg, &opt, password, network, address, g, tlsConfig)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		if g.refused != nil {
			err = g.refused
		}
		return nil, loginFault(causeOr(ctx, err), &cfg, &opt.Codes, address)
	}
	g.open.Store(true)
	g.seen = nil
	s := &Session{
		Address: address, Account: "'USER'@'HOST'", Version: strings.TrimPrefix(c.GetServerVersion(), "5.5.5-"), ID: c.GetConnectionID(),
		raw: raw, codes: opt.Codes,
	}
	// The library's own buffer is empty: the server says nothing that was not asked for.
	s.wire.conn, s.wire.patience, s.wire.low = c.Conn.Conn, cfg.ReadTimeout, lowWaterOf(raw)
	return s, nil
}

// login runs the library, which panics on greetings that it does not expect.
func login(ctx context.Context, cfg *Config, opt *Options, password, network, address string, g *gate, tlsConfig *tls.Config) (c *client.Conn, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, fault.New(opt.Codes.Protocol, "the server's greeting was not understood (%v): is it older than MySQL 5.6 or MariaDB 10?", r)
		}
	}()
	dial := func(context.Context, string, string) (net.Conn, error) { return g, nil }
	return client.ConnectWithDialer(ctx, network, address, cfg.User, password, opt.Database, dial, func(c *client.Conn) error {
		c.ReadTimeout, c.WriteTimeout = cfg.ReadTimeout, cfg.ReadTimeout
		c.SetAttributes(map[string]string{"program_name": "cdc"})
		if tlsConfig != nil {
			c.SetTLSConfig(tlsConfig)
		}
		// Without these a query's packet is its text, and a result ends with an EOF packet: what wire writes and reads.
		c.UnsetCapability(mysql.CLIENT_QUERY_ATTRIBUTES)
		c.UnsetCapability(mysql.CLIENT_DEPRECATE_EOF)
		for flag, set := range map[uint32]bool{mysql.CLIENT_FOUND_ROWS: opt.FoundRows, mysql.CLIENT_MULTI_STATEMENTS: opt.MultiStatements, mysql.CLIENT_MULTI_RESULTS: opt.MultiStatements} {
			if set {
				if err := c.SetCapability(flag); err != nil {
					return err
				}
			}
		}
		return c.SetCollation(collation)
	})
}

func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// loginFault sorts an error of connecting.
func loginFault(err error, cfg *Config, codes *Codes, address string) error {
	where := fault.Where{Server: address}
	if f, ok := fault.As(err); ok {
		return f.At(where)
	}
	if my, ok := errors.AsType[*mysql.MyError](err); ok {
		switch my.Code {
		case ErAccessDenied, ErDBAccessDenied, erHostNotPrivileged, erPasswordExpired, erAccountLocked:
			f := fault.New(codes.AccessDenied, "%s", my.Message).At(where)
			if cfg.TLS.Mode == TLSDisabled && my.Code == ErAccessDenied {
				f = f.Hint("check user and password; the account must exist for the host that cdc connects from, and if it was made with REQUIRE SSL, set tls.mode")
			}
			return f
		case erSecureTransport:
			return fault.New(codes.TLSRequired, "%s", my.Message).At(where).
				Hint("the server takes encrypted connections only: set tls.mode to required, verify-ca or verify-identity")
		case erPluginNotLoaded:
			return fault.New(codes.AuthPlugin, "%s", my.Message).At(where)
		}
		return fault.New(codes.Unreachable, "error %d: %s", my.Code, my.Message).At(where)
	}
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f := fault.New(codes.TLSVerify, "%w", verify.Err).At(where)
		if _, ok := errors.AsType[x509.HostnameError](verify.Err); ok {
			f = f.Hint("set tls.server_name to a name that the certificate has, or tls.mode: verify-ca to leave the name unchecked")
		}
		return f
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "does not support TLS"):
		return fault.New(codes.TLSRequired, "the server offers no TLS, and tls.mode is %s", cfg.TLS.Mode).At(where)
	case strings.Contains(text, "tls: ") && !isTimeout(err):
		f := fault.New(codes.TLSVerify, "%w", err).At(where)
		if strings.Contains(text, "protocol version") || strings.Contains(text, "handshake failure") {
			f = f.Hint("the server speaks only old versions of TLS: set tls.legacy: true, or better renew the server")
		}
		return f
	case strings.Contains(text, "unknown auth plugin name") || strings.Contains(text, "auth plugin"):
		return fault.New(codes.AuthPlugin, "%w", err).At(where)
	case strings.Contains(text, "invalid protocol version"), strings.Contains(text, "protocol 41"), strings.Contains(text, "after scramble"):
		return fault.New(codes.Protocol, "%w", err).At(where)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.New(codes.Unreachable, "log in: %w", err).At(where)
}
