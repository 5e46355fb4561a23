package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"cdc/fault"
)

// kerror is an error code of the protocol (https://kafka.apache.org/protocol#protocol_error_codes).
type kerror int16

const (
	errNone               kerror = 0
	errOffsetOutOfRange   kerror = 1
	errUnknownTopic       kerror = 3
	errInvalidTopic       kerror = 17
	errTopicAuthorization kerror = 29
	errUnsupportedSASL    kerror = 33
	errSASLFailed         kerror = 58
)

func (k kerror) Error() string {
	e := kafkago.Error(k)
	return fmt.Sprintf("%s (%d)", e.Title(), int(k))
}

// passing reports an error that goes by itself, when the brokers have settled who leads a partition, for one.
func (k kerror) passing() bool {
	return k == errUnknownTopic || kafkago.Error(k).Temporary() || k == -1
}

// dialer makes connections to brokers.
type dialer struct {
	o   *Options
	tls *tls.Config
}

func newDialer(o *Options) (*dialer, error) {
	d := &dialer{o: o}
	t := &o.TLS
	if !t.on() {
		return d, nil
	}
	d.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "read tls.ca: %w", err)
		}
		d.tls.RootCAs = x509.NewCertPool()
		if !d.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.ConfigInvalid, "tls.ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fault.New(fault.ConfigSecret, "read tls.cert and tls.key: %w", err)
		}
		d.tls.Certificates = []tls.Certificate{pair}
	}
	return d, nil
}

// conn is a connection that is logged in. It takes one request at a time.
type conn struct {
	raw     net.Conn
	proto   *protocol.Conn
	addr    string
	client  string
	fetches int16 // version of fetch requests
	seq     int32
	stop    func() bool
}

// dial connects and logs in. The connection ends with ctx.
func (d *dialer) dial(ctx context.Context, addr string) (c *conn, err error) {
	deadline := time.Now().Add(d.o.ConnectTimeout)
	opening, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := d.o.Dial(opening, "tcp", addr)
	if err != nil {
		return nil, unreachable(addr, err)
	}
	c = &conn{addr: addr, client: d.o.ClientID, raw: raw, stop: context.AfterFunc(ctx, func() { _ = raw.Close() })}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, unreachable(addr, err)
	}
	if d.tls != nil {
		conf := d.tls.Clone()
		if conf.ServerName == "" {
			conf.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(raw, conf)
		if err := secure.HandshakeContext(opening); err != nil {
			return nil, tlsFault(addr, err)
		}
		c.raw = secure
	}
	c.proto = protocol.NewConn(c.raw, d.o.ClientID)
	res, err := c.proto.RoundTrip(new(apiversions.Request))
	if err != nil {
		return nil, unreachable(addr, fmt.Errorf("the first request: %w", err))
	}
	if err := c.choose(res); err != nil {
		return nil, err
	}
	if d.o.SASL.Mechanism != "" {
		if err := d.login(opening, c); err != nil {
			return nil, err
		}
	}
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return nil, unreachable(addr, err)
	}
	return c, nil
}

func unreachable(addr string, err error) error {
	return fault.New(fault.SourceUnreachable, "%s", strings.ReplaceAll(err.Error(), "\n", "; ")).At(fault.Where{Server: addr})
}

func tlsFault(addr string, err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.New(fault.SourceTLSVerify, "%w", err).At(fault.Where{Server: addr})
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fault.New(fault.SourceTLSRequired, "the broker does not speak TLS at this port").At(fault.Where{Server: addr}).
			Hint("give the port of a TLS listener, or leave tls: out if the network is trusted")
	}
	return unreachable(addr, fmt.Errorf("TLS handshake: %w", err))
}

// choose settles the versions of requests.
func (c *conn) choose(res protocol.Message) error {
	m, ok := res.(*apiversions.Response)
	if !ok || m.ErrorCode != 0 {
		return unreachable(c.addr, errors.New("the broker does not say which versions it speaks"))
	}
	versions := make(map[protocol.ApiKey]int16, len(m.ApiKeys))
	for _, r := range m.ApiKeys {
		key := protocol.ApiKey(r.ApiKey)
		versions[key] = key.SelectVersion(r.MinVersion, r.MaxVersion)
		if key == protocol.Fetch && r.MinVersion <= maxFetch && r.MaxVersion >= minFetch {
			c.fetches = min(r.MaxVersion, maxFetch)
		}
	}
	if c.fetches == 0 {
		return fault.New(fault.SourceProtocol, "the broker takes no fetch requests of versions %d to %d", minFetch, maxFetch).At(fault.Where{Server: c.addr})
	}
	c.proto.SetVersions(versions)
	return nil
}

// mechanism makes what logs in. The password is read anew at each call, so that one that was changed is used.
func (d *dialer) mechanism() (sasl.Mechanism, error) {
	s := &d.o.SASL
	password, err := s.Password.Value()
	if err != nil {
		return nil, fault.New(fault.ConfigSecret, "sasl.password: %w", err)
	}
	algorithm := scram.SHA512
	switch s.Mechanism {
	case saslPlain:
		return plain.Mechanism{Username: s.User, Password: password}, nil
	case saslSCRAM256:
		algorithm = scram.SHA256
	}
	m, err := scram.Mechanism(algorithm, s.User, password)
	if err != nil {
		return nil, fault.New(fault.ConfigInvalid, "sasl.user or sasl.password has characters that SCRAM does not allow")
	}
	return m, nil
}

func (d *dialer) login(ctx context.Context, c *conn) error {
	m, err := d.mechanism()
	if err != nil {
		return err
	}
	denied := func(format string, args ...any) error {
		return fault.New(fault.SourceAccessDenied, format, args...).At(fault.Where{Server: c.addr})
	}
	res, err := c.proto.RoundTrip(&saslhandshake.Request{Mechanism: m.Name()})
	if err != nil {
		return unreachable(c.addr, fmt.Errorf("log in: %w", err))
	}
	hand, ok := res.(*saslhandshake.Response)
	if !ok || hand.ErrorCode != 0 {
		return denied("the broker does not offer %s", m.Name())
	}
	state, out, err := m.Start(ctx)
	if err != nil {
		return denied("%s: %w", m.Name(), err)
	}
	for {
		res, err := c.proto.RoundTrip(&saslauthenticate.Request{AuthBytes: out})
		if err != nil {
			return unreachable(c.addr, fmt.Errorf("log in: %w", err))
		}
		auth, ok := res.(*saslauthenticate.Response)
		if !ok || auth.ErrorCode != 0 {
			return denied("the broker refused user or password")
		}
		done, next, err := state.Next(ctx, auth.AuthBytes)
		if err != nil {
			return denied("%s: the broker did not prove that it knows the password: %w", m.Name(), err)
		}
		if done {
			return nil
		}
		out = next
	}
}

// ask sends a request and waits for its answer.
func ask[T protocol.Message](c *conn, req protocol.Message, timeout time.Duration) (answer T, err error) {
	if err := c.raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return answer, unreachable(c.addr, err)
	}
	res, err := c.proto.RoundTrip(req)
	if err != nil {
		return answer, unreachable(c.addr, err)
	}
	answer, ok := res.(T)
	if !ok {
		return answer, unreachable(c.addr, fmt.Errorf("the answer is a %T", res))
	}
	return answer, nil
}

// Versions of fetch requests that are spoken: from 4 on record batches come as they are stored, 11 is the last without flexible fields.
const (
	minFetch = 4
	maxFetch = 11
)

// fetch asks for records and gives the answer as it came, in buf where there is room.
func (c *conn) fetch(req *fetch.Request, timeout time.Duration, buf []byte) ([]byte, error) {
	if err := c.raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return buf, err
	}
	c.seq++
	if err := protocol.WriteRequest(c.proto, c.fetches, c.seq, c.client, req); err != nil {
		return buf, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c.proto, head[:]); err != nil {
		return buf, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:]))) - 4
	if size < 0 || size > 1<<30 {
		return buf, fmt.Errorf("an answer of %d bytes", size)
	}
	if id := int32(binary.BigEndian.Uint32(head[4:])); id != c.seq {
		return buf, fmt.Errorf("the answer is to request %d, not to %d", id, c.seq)
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err := io.ReadFull(c.proto, buf)
	return buf, err
}

func (c *conn) close() {
	c.stop()
	_ = c.raw.Close()
}
