package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"cdc/fault"
	"cdc/internal/settings"
)

// maxAnswer is how long an answer of the registry may be.
const maxAnswer = 16 << 20

// client makes what sends requests.
func (c *Config) client() (*http.Client, error) {
	t, err := settings.ClientTLS("schema_registry.tls", c.TLS.CA, c.TLS.Cert, c.TLS.Key, c.TLS.ServerName)
	if err != nil {
		return nil, err
	}
	hosts := map[string]bool{}
	for _, s := range c.URLs {
		if u, err := url.Parse(s); err == nil {
			hosts[u.Scheme+"://"+u.Host] = true
		}
	}
	return &http.Client{
		Timeout: c.Timeout,
		Transport: &authorized{
			cfg: c, hosts: hosts,
			next: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
			},
		},
	}, nil
}

// authorized adds the password or the token to requests, and bounds answers.
type authorized struct {
	cfg   *Config
	hosts map[string]bool
	next  *http.Transport
}

// RoundTrip sends a request. A redirect to another host gets no password.
func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.hosts[r.URL.Scheme+"://"+r.URL.Host] && (a.cfg.User != "" || !a.cfg.Token.IsZero()) {
		r = r.Clone(r.Context())
		if a.cfg.User != "" {
			password, err := a.cfg.Password.Value()
			if err != nil {
				return nil, fault.New(fault.ConfigSecret, "schema_registry.password: %w", err)
			}
			r.SetBasicAuth(a.cfg.User, password)
		} else {
			token, err := a.cfg.Token.Value()
			if err != nil {
				return nil, fault.New(fault.ConfigSecret, "schema_registry.token: %w", err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	answer, err := a.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}

// CloseIdleConnections is what http.Client calls.
func (a *authorized) CloseIdleConnections() { a.next.CloseIdleConnections() }

// fault sorts the error of a request. what says what was asked for.
func (c *Client) fault(err error, what string) error {
	at := fault.Where{Server: strings.Join(c.cfg.URLs, ", ")}
	if f, ok := fault.As(err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var e *sr.ResponseError
	if errors.As(err, &e) {
		said := e.Message
		if said == "" {
			said = http.StatusText(e.StatusCode)
		}
		switch {
		case e.StatusCode >= 500, e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusRequestTimeout:
			return fault.New(fault.RegistryUnreachable, "%s: the registry says %d: %s", what, e.StatusCode, said).At(at)
		case e.StatusCode == http.StatusUnauthorized, e.StatusCode == http.StatusForbidden:
			return fault.New(fault.RegistryAccessDenied, "%s: the registry says %d: %s", what, e.StatusCode, said).At(at)
		case e.StatusCode == http.StatusNotFound && e.ErrorCode < 40400:
			return fault.New(fault.RegistryRefused, "%s: there is no schema registry below this URL", what).At(at).
				Hint("check schema_registry.urls: that of Apicurio ends in /apis/ccompat/v7")
		}
		return fault.New(fault.RegistryRefused, "%s: the registry says %d: %s", what, e.StatusCode, said).At(at)
	}
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	if errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify) || errors.As(err, &record) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return fault.New(fault.RegistryTLSVerify, "%s: %w", what, err).At(at)
	}
	return fault.New(fault.RegistryUnreachable, "%s: %w", what, err).At(at)
}
