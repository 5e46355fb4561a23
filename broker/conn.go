package broker

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// Dialer makes connections to brokers. It may be used from several goroutines at once.
type Dialer struct {
	Codes          Codes
	TLS            *tls.Config // nil without
	SASL           SASL
	ClientID       string
	ConnectTimeout time.Duration // for connecting and logging in
	// Net makes the connections; nil is net.Dialer.
	Net func(ctx context.Context, network, address string) (net.Conn, error)
}

// Versions are the lowest and the highest version of a kind of requests that a broker takes.
type Versions struct{ Min, Max int16 }

// Conn is a connection that is logged in. It takes one request at a time.
type Conn struct {
	Raw      net.Conn
	Proto    *protocol.Conn
	Addr     string
	Versions map[protocol.ApiKey]Versions // that the broker takes
	Fetches  int16                        // version of fetch requests, 0 where there is none that is spoken here

	client string
	seq    int32
	stop   func() bool
}

// Open connects and logs in. The connection ends with ctx.
func (d *Dialer) Open(ctx context.Context, addr string) (c *Conn, err error) {
	deadline := time.Now().Add(d.ConnectTimeout)
	opening, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	dial := d.Net
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	raw, err := dial(opening, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c = &Conn{Addr: addr, Raw: raw, client: d.ClientID, stop: context.AfterFunc(ctx, func() { _ = raw.Close() })}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	if d.TLS != nil {
		conf := d.TLS
		if conf.ServerName == "" {
			conf = conf.Clone()
			conf.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(raw, conf)
		if err := secure.HandshakeContext(opening); err != nil {
			if f := d.tlsFault(err, addr); f != nil {
				return nil, f
			}
			return nil, fmt.Errorf("TLS handshake with %s (is it a listener with TLS?): %w", addr, err)
		}
		c.Raw = secure
	}
	c.Proto = protocol.NewConn(c.Raw, d.ClientID)
	res, err := c.Proto.RoundTrip(new(apiversions.Request))
	if err != nil {
		if f := d.plainFault(err, addr); f != nil && d.TLS == nil {
			return nil, f
		}
		return nil, fmt.Errorf("first request to %s: %w", addr, err)
	}
	if err := c.choose(res); err != nil {
		return nil, err
	}
	login, err := d.SASL.Login()
	if err != nil {
		return nil, err
	}
	if login != nil {
		if err := d.authenticate(opening, c.Proto, login, addr); err != nil {
			return nil, err
		}
	}
	return c, c.Raw.SetDeadline(time.Time{})
}

// choose settles the versions of requests.
func (c *Conn) choose(res protocol.Message) error {
	m, ok := res.(*apiversions.Response)
	if !ok {
		return fmt.Errorf("ask %s for its versions: the answer is a %T", c.Addr, res)
	}
	if k := Error(m.ErrorCode); k != ErrNone {
		return fmt.Errorf("ask %s for its versions: %w", c.Addr, k)
	}
	spoken := make(map[protocol.ApiKey]int16, len(m.ApiKeys))
	c.Versions = make(map[protocol.ApiKey]Versions, len(m.ApiKeys))
	for _, r := range m.ApiKeys {
		key := protocol.ApiKey(r.ApiKey)
		spoken[key] = key.SelectVersion(r.MinVersion, r.MaxVersion)
		c.Versions[key] = Versions{r.MinVersion, r.MaxVersion}
		if key == protocol.Fetch && r.MinVersion <= MaxFetch && r.MaxVersion >= MinFetch {
			c.Fetches = min(r.MaxVersion, MaxFetch)
		}
	}
	c.Proto.SetVersions(spoken)
	return nil
}

// Ask sends a request and waits for its answer.
func (c *Conn) Ask(req protocol.Message, timeout time.Duration) (protocol.Message, error) {
	if err := c.Raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	return c.Proto.RoundTrip(req)
}

// Next numbers a request that is written past Ask.
func (c *Conn) Next() int32 {
	c.seq++
	return c.seq
}

// Fetch asks for records and gives the answer as it came, for FetchedOf, in buf where there is room.
func (c *Conn) Fetch(req *fetch.Request, timeout time.Duration, buf []byte) ([]byte, error) {
	if c.Fetches < MinFetch {
		return buf, fmt.Errorf("the broker takes no fetch requests of versions %d to %d", MinFetch, MaxFetch)
	}
	if err := c.Raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return buf, err
	}
	seq := c.Next()
	if err := protocol.WriteRequest(c.Proto, c.Fetches, seq, c.client, req); err != nil {
		return buf, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c.Proto, head[:]); err != nil {
		return buf, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:]))) - 4
	if size < 0 || size > 1<<30 {
		return buf, fmt.Errorf("an answer of %d bytes", size)
	}
	if id := int32(binary.BigEndian.Uint32(head[4:])); id != seq {
		return buf, fmt.Errorf("the answer is to request %d, not to %d", id, seq)
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err := io.ReadFull(c.Proto, buf)
	return buf, err
}

// Close ends the connection. It may be nil.
func (c *Conn) Close() {
	if c == nil {
		return
	}
	c.stop()
	_ = c.Raw.Close()
}
