package kafka

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/initproducerid"

	"cdc/broker"
	"cdc/fault"
)

// coordinator asks the broker that keeps a transactional id. It belongs to one goroutine.
type coordinator struct {
	s    *sender
	id   string
	conn *conn
}

// keyOfTransaction is the kind of coordinator that is asked for, the other being that of groups.
const keyOfTransaction = 1

// connect sees to it that there is a connection to the coordinator.
func (k *coordinator) connect(ctx context.Context) error {
	if k.conn != nil {
		return nil
	}
	addr, err := k.find(ctx)
	if err != nil {
		return err
	}
	c, err := k.s.cluster.dialer.dial(ctx, addr)
	if err != nil {
		if f := fatal(err); f != nil {
			return f
		}
		return k.s.cluster.unreachable(addr, err)
	}
	k.conn = c
	return nil
}

// find asks for the address of the coordinator.
func (k *coordinator) find(ctx context.Context) (string, error) {
	res, err := k.s.cluster.ask(ctx, &findcoordinator.Request{Key: k.id, KeyType: keyOfTransaction})
	if err != nil {
		return "", err
	}
	m, ok := res.(*findcoordinator.Response)
	if !ok {
		return "", fmt.Errorf("the answer is a %T", res)
	}
	if code := broker.Error(m.ErrorCode); code != broker.ErrNone {
		return "", k.verdict(code, "find the coordinator of")
	}
	return net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))), nil
}

// hangUp ends the connection.
func (k *coordinator) hangUp() {
	k.conn.close()
	k.conn = nil
}

// allow is what an operator types to let the account use the transactional id.
func (k *coordinator) allow() string {
	return fmt.Sprintf("kafka-acls --bootstrap-server %s --add --allow-principal %s --operation Write --operation Describe --transactional-id %s",
		k.s.opt.Brokers[0], quoted("User:"+k.s.cluster.principal()), quoted(k.id))
}

// verdict makes an error of a code. what is done with the transactional id, as "get a producer for".
func (k *coordinator) verdict(code broker.Error, what string) error {
	switch {
	case code == broker.ErrInvalidProducerEpoch, code == broker.ErrProducerFenced:
		return fenced(k.id, code)
	case code == broker.ErrTransactionalID, code == broker.ErrClusterAuthorization:
		return fault.New(fault.SinkGrantMissing, "the account may not use the transactional id %s: %w", k.id, code).Hint("%s", k.allow())
	case code == broker.ErrConcurrentTransactions, passing(code):
		return fault.New(fault.SinkUnreachable, "%s the transactional id %s: %w", what, k.id, code)
	}
	return refused(code, fmt.Sprintf("%s the transactional id %s", what, k.id), "")
}

// fenced is the fault of a process that another one has shut out.
func fenced(id string, code broker.Error) *fault.Error {
	return fault.New(fault.SinkFenced, "another process has taken over the transactional id %s: %w", id, code)
}

// ask sends a request to the coordinator once, and once more for each time that it is still busy with the transaction before.
func (k *coordinator) ask(ctx context.Context, what string, req protocol.Message, code func(protocol.Message) broker.Error) error {
	for n := 0; ; n++ {
		if err := k.connect(ctx); err != nil {
			return err
		}
		addr := k.conn.Addr
		res, err := k.conn.Ask(req, k.s.opt.RequestTimeout)
		if err != nil {
			k.hangUp()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return k.s.cluster.unreachable(addr, err)
		}
		got := code(res)
		switch {
		case got == broker.ErrNone:
			return nil
		case got == broker.ErrConcurrentTransactions && n < 100:
			select {
			case <-time.After(20 * time.Millisecond):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		case got == broker.ErrNotCoordinator, got == broker.ErrCoordinatorUnavailable, got == broker.ErrCoordinatorLoading:
			k.hangUp()
		}
		return k.verdict(got, what)
	}
}

// timeouts are how long the brokers wait for the end of a transaction whose process is gone: the first that they allow. A transaction that they end
// themselves shuts its own process out, so it should be longer than they may be away.
var timeouts = [...]time.Duration{10 * time.Minute, time.Minute, 10 * time.Second}

// producer gives the producer of the transactional id, with an epoch that shuts out all earlier ones, as soon as it meets them.
func (k *coordinator) producer(ctx context.Context) (p producer, err error) {
	for _, timeout := range timeouts {
		last := broker.ErrNone
		// Without -1 the two numbers would have to be those of the producer before, and every second request would be refused.
		req := &initproducerid.Request{TransactionalID: k.id, TransactionTimeoutMs: int32(timeout.Milliseconds()), ProducerID: -1, ProducerEpoch: -1}
		err = k.ask(ctx, "get a producer for", req, func(m protocol.Message) broker.Error {
			r, ok := m.(*initproducerid.Response)
			if !ok {
				return broker.ErrUnknownServer
			}
			p, last = producer{r.ProducerID, r.ProducerEpoch}, broker.Error(r.ErrorCode)
			return last
		})
		if last != broker.ErrTransactionTimeout {
			break
		}
	}
	return p, err
}

// add makes partitions part of the producer's transaction. It gives the topics that cannot be, each with why.
func (k *coordinator) add(ctx context.Context, p producer, topics map[string][]int32) (bad map[string]broker.Error, err error) {
	req := &addpartitionstotxn.Request{TransactionalID: k.id, ProducerID: p.id, ProducerEpoch: p.epoch}
	for name, ids := range topics {
		req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: name, Partitions: ids})
	}
	err = k.ask(ctx, "begin a transaction of", req, func(m protocol.Message) broker.Error {
		r, ok := m.(*addpartitionstotxn.Response)
		if !ok {
			return broker.ErrUnknownServer
		}
		bad = map[string]broker.Error{}
		whole := broker.ErrNone
		for _, t := range r.Results {
			for _, p := range t.Results {
				switch code := broker.Error(p.ErrorCode); code {
				case broker.ErrNone, broker.ErrNotAttempted:
				case broker.ErrUnknownTopic, broker.ErrTopicAuthorization:
					bad[t.Name] = code
				default:
					whole = code
				}
			}
		}
		return whole
	})
	return bad, err
}

// abort ends the producer's transaction, which writes a marker into each of its partitions, soon.
func (k *coordinator) abort(ctx context.Context, p producer) error {
	req := &endtxn.Request{TransactionalID: k.id, ProducerID: p.id, ProducerEpoch: p.epoch}
	return k.ask(ctx, "end a transaction of", req, func(m protocol.Message) broker.Error {
		r, ok := m.(*endtxn.Response)
		if !ok {
			return broker.ErrUnknownServer
		}
		return broker.Error(r.ErrorCode)
	})
}

// short gives the text of a fault without its code, in one line.
func short(err error) string {
	if f, ok := fault.As(err); ok {
		return strings.ReplaceAll(f.Text, "\n", "; ")
	}
	return err.Error()
}
