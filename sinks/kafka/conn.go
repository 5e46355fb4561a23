package kafka

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"cdc/broker"
	"cdc/fault"
)

// dialer makes connections to brokers.
type dialer struct {
	opt *Options
	tls *tls.Config
}

// conn is a connection that is logged in. It takes one request at a time.
type conn struct {
	*broker.Conn
	produce int16 // version of produce requests
	seq     int32
	head    []byte      // of the request under way
	parts   net.Buffers // of the request under way
	answer  []byte      // to the last fetch request
}

// dial connects and logs in. The connection ends with ctx.
func (d *dialer) dial(ctx context.Context, addr string) (*conn, error) {
	o := broker.Dialer{
		Codes: broker.SinkCodes(), TLS: d.tls, SASL: d.opt.SASL, ClientID: d.opt.ClientID, ConnectTimeout: d.opt.ConnectTimeout, Net: d.opt.Dial,
	}
	c, err := o.Open(ctx, addr)
	if err != nil {
		return nil, err
	}
	v, ok := c.Versions[protocol.Produce]
	if ok && v.Max >= minProduce && v.Min <= maxProduce {
		return &conn{Conn: c, produce: min(v.Max, maxProduce)}, nil
	}
	c.Close()
	if !ok {
		return nil, fault.New(fault.SinkVersion, "the server takes no produce requests").At(fault.Where{Server: addr})
	}
	return nil, fault.New(fault.SinkVersion, "the broker takes produce requests of versions %d to %d, and not %d to %d", v.Min, v.Max, minProduce, maxProduce).At(fault.Where{Server: addr})
}

// newest is the version of produce requests that the broker knows.
func (c *conn) newest() int16 { return c.Versions[protocol.Produce].Max }

// mostFetched is how much an answer may hold, unless a single batch has more.
const mostFetched = 4 << 20

// fetch asks for what lies behind the next offset of each stretch, which all have the broker for leader, and waits a while where nothing does. The
// answer is valid until the next call.
func (c *conn) fetch(parts []*stretch, wait, timeout time.Duration) ([]broker.Fetched, error) {
	req := &fetch.Request{ReplicaID: -1, MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: mostFetched, SessionEpoch: -1}
	for i, p := range parts {
		if i == 0 || parts[i-1].topic != p.topic {
			req.Topics = append(req.Topics, fetch.RequestTopic{Topic: p.topic})
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, fetch.RequestPartition{Partition: p.id, CurrentLeaderEpoch: -1, FetchOffset: p.next, LogStartOffset: -1, PartitionMaxBytes: 1 << 20})
	}
	var err error
	if c.answer, err = c.Fetch(req, wait+timeout, c.answer); err != nil {
		return nil, err
	}
	return broker.FetchedOf(c.answer, c.Fetches)
}

func (c *conn) close() {
	if c != nil {
		c.Close()
	}
}

// each calls f for each partition of an answer.
func each(list []broker.Fetched, f func(*broker.Fetched) error) error {
	for i := range list {
		if err := f(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// eachStored calls f for each record batch that is there whole. Messages of the formats before Kafka 0.11 are passed over: they are nobody's who
// names records by headers.
func eachStored(b []byte, f func(*broker.Stored) error) error {
	list, _, err := broker.Batches(b)
	for i := range list {
		if s := &list[i]; s.Magic == broker.Magic {
			if err := f(s); err != nil {
				return err
			}
		}
	}
	return err
}
