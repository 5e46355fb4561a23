package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"

	"cdc/fault"
)

// dialer makes connections to brokers.
type dialer struct {
	opt *Options
	tls *tls.Config
}

// conn is a connection that is logged in. It takes one request at a time.
type conn struct {
	raw     net.Conn
	proto   *protocol.Conn
	addr    string
	produce int16 // version of produce requests
	newest  int16 // version of produce requests that the broker knows
	fetches int16 // version of fetch requests, 0 where there is none
	stop    func() bool
	seq     int32
	head    []byte      // of the request under way
	parts   net.Buffers // of the request under way
	answer  []byte      // to the last fetch request
}

// dial connects and logs in. The connection ends with ctx.
func (d *dialer) dial(ctx context.Context, addr string) (c *conn, err error) {
	deadline := time.Now().Add(d.opt.ConnectTimeout)
	opening, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := d.opt.Dial(opening, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c = &conn{addr: addr, raw: raw, stop: context.AfterFunc(ctx, func() { _ = raw.Close() })}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	if d.tls != nil {
		conf := d.tls
		if conf.ServerName == "" {
			conf = conf.Clone()
			conf.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(raw, conf)
		if err := secure.HandshakeContext(opening); err != nil {
			if f := tlsFault(err, addr); f != nil {
				return nil, f
			}
			return nil, fmt.Errorf("TLS handshake with %s (is it a listener with TLS?): %w", addr, err)
		}
		c.raw = secure
	}
	c.proto = protocol.NewConn(c.raw, d.opt.ClientID)
	res, err := c.proto.RoundTrip(new(apiversions.Request))
	if err != nil {
		if f := plainFault(err, addr); f != nil && d.tls == nil {
			return nil, f
		}
		return nil, fmt.Errorf("first request to %s: %w", addr, err)
	}
	if err := c.choose(res.(*apiversions.Response)); err != nil {
		return nil, err
	}
	login, err := d.opt.SASL.login()
	if err != nil {
		return nil, err
	}
	if login != nil {
		if err := authenticate(opening, c.proto, login, addr); err != nil {
			return nil, err
		}
	}
	return c, c.raw.SetDeadline(time.Time{})
}

// choose settles the versions of requests.
func (c *conn) choose(res *apiversions.Response) error {
	where := fault.Where{Server: c.addr}
	if k := kerror(res.ErrorCode); k != errNone {
		return fmt.Errorf("ask %s for its versions: %w", c.addr, k)
	}
	versions := make(map[protocol.ApiKey]int16, len(res.ApiKeys))
	for _, r := range res.ApiKeys {
		key := protocol.ApiKey(r.ApiKey)
		versions[key] = key.SelectVersion(r.MinVersion, r.MaxVersion)
		if key == protocol.Fetch && r.MinVersion <= maxFetch && r.MaxVersion >= minFetch {
			c.fetches = min(r.MaxVersion, maxFetch)
		}
		if key == protocol.Produce {
			if r.MaxVersion < minProduce || r.MinVersion > maxProduce {
				return fault.New(fault.SinkVersion, "the broker takes produce requests of versions %d to %d, and not %d to %d", r.MinVersion, r.MaxVersion, minProduce, maxProduce).At(where)
			}
			c.produce, c.newest = min(r.MaxVersion, maxProduce), r.MaxVersion
		}
	}
	if c.produce == 0 {
		return fault.New(fault.SinkVersion, "the server takes no produce requests").At(where)
	}
	c.proto.SetVersions(versions)
	return nil
}

// ask sends a request and waits for its answer.
func (c *conn) ask(req protocol.Message, timeout time.Duration) (protocol.Message, error) {
	if err := c.raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	return c.proto.RoundTrip(req)
}

func (c *conn) close() {
	if c == nil {
		return
	}
	c.stop()
	_ = c.raw.Close()
}
