package kafka

import (
	"context"
	"fmt"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"cdc/broker"
	"cdc/fault"
)

// passing reports an error that goes by itself, when the brokers have settled who leads a partition, for one.
func passing(k broker.Error) bool {
	return k == broker.ErrUnknownTopic || kafkago.Error(k).Temporary() || k == broker.ErrUnknownServer
}

// dialer makes connections to brokers.
type dialer struct{ broker.Dialer }

func newDialer(o *Options) (*dialer, error) {
	conf, err := o.TLS.Client()
	if err != nil {
		return nil, err
	}
	return &dialer{broker.Dialer{
		Codes: broker.SourceCodes(), TLS: conf, SASL: o.SASL, ClientID: o.ClientID, ConnectTimeout: o.ConnectTimeout, Net: o.Dial,
	}}, nil
}

// dial connects and logs in. The connection ends with ctx. Its errors are faults.
func (d *dialer) dial(ctx context.Context, addr string) (*broker.Conn, error) {
	c, err := d.Open(ctx, addr)
	if err != nil {
		if _, ok := fault.As(err); !ok {
			err = unreachable(addr, err)
		}
		return nil, err
	}
	if c.Fetches == 0 {
		c.Close()
		return nil, fault.New(fault.SourceProtocol, "the broker takes no fetch requests of versions %d to %d", broker.MinFetch, broker.MaxFetch).At(fault.Where{Server: addr})
	}
	return c, nil
}

func unreachable(addr string, err error) error {
	return fault.New(fault.SourceUnreachable, "%s", strings.ReplaceAll(err.Error(), "\n", "; ")).At(fault.Where{Server: addr})
}

// ask sends a request and waits for its answer.
func ask[T protocol.Message](c *broker.Conn, req protocol.Message, timeout time.Duration) (answer T, err error) {
	res, err := c.Ask(req, timeout)
	if err != nil {
		return answer, unreachable(c.Addr, err)
	}
	answer, ok := res.(T)
	if !ok {
		return answer, unreachable(c.Addr, fmt.Errorf("the answer is a %T", res))
	}
	return answer, nil
}
