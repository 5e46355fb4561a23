package topic

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"cdc/broker"
	"cdc/fault"
)

// log writes transactions to partition 0 of the topic, the only one. It belongs to one goroutine at a time.
type log struct {
	o      *Options
	coord  *broker.Conn // keeps the transactional id; nil where it is to be found
	leader *broker.Conn // of the partition; nil where it is to be found

	producer int64 // -1 before the first
	epoch    int16
	sequence int32
	doubtful bool // what the brokers have of the last transaction is not known
	fenced   error
}

// pair is a record of the topic.
type pair struct{ key, value []byte }

// batchBytes is how much of a transaction goes in one batch, so that it fits a topic with Kafka's default of a mebibyte.
const batchBytes = 512 << 10

// transactionTimeout is how long the brokers keep a transaction open whose process is gone. The next owner ends it at once.
const transactionTimeout = time.Minute

// again calls f until it has done its work, for as long as the options have patience with errors that may go.
func (l *log) again(ctx context.Context, f func(context.Context) error) error {
	if l.fenced != nil {
		return l.fenced
	}
	begun, wait := time.Now(), 20*time.Millisecond
	for {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if fault.Has(err, fault.StateFenced) {
			l.fenced = err
			return err
		}
		e, coded := fault.As(err)
		if coded && e.Class() != fault.Retry {
			return err
		}
		if !coded {
			err = fault.New(fault.StateUnreachable, "topic %s: %s", l.o.Topic, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		if time.Since(begun) > l.o.Patience {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait = min(2*wait, time.Second)
	}
}

// hangUp ends the connections.
func (l *log) hangUp() {
	l.coord.Close()
	l.leader.Close()
	l.coord, l.leader = nil, nil
}

// failed sorts a code. what is the thing that was asked for, as "write to".
func (l *log) failed(code broker.Error, what string) error {
	switch code {
	case broker.ErrNone:
		return nil
	case broker.ErrInvalidProducerEpoch, broker.ErrProducerFenced:
		return fault.New(fault.StateFenced, "another process has taken over the topic %s: %w", l.o.Topic, code)
	case broker.ErrTopicAuthorization, broker.ErrTransactionalID, broker.ErrClusterAuthorization:
		return fault.New(fault.StateTopic, "the account may not %s the topic %s by the transactional id %s: %w", what, l.o.Topic, l.o.TransactionalID, code)
	case broker.ErrMessageTooLarge, broker.ErrRecordListTooLarge:
		return fault.New(fault.StateTopic, "%s the topic %s: its max.message.bytes is below %d: %w", what, l.o.Topic, batchBytes, code)
	case broker.ErrInvalidTopic, broker.ErrUnsupportedVersion, broker.ErrTransactionTimeout:
		return fault.New(fault.StateTopic, "%s the topic %s: %w", what, l.o.Topic, code)
	case broker.ErrConcurrentTransactions: // the end of the one before is under way
	case broker.ErrNotCoordinator, broker.ErrCoordinatorUnavailable, broker.ErrCoordinatorLoading:
		l.coord.Close()
		l.coord = nil
	case broker.ErrNotLeader, broker.ErrUnknownTopic, broker.ErrLeaderNotAvailable, broker.ErrFencedLeaderEpoch, broker.ErrUnknownLeaderEpoch:
		l.leader.Close()
		l.leader = nil
	}
	return fmt.Errorf("%s it: %w", what, code)
}

// ask sends a request over one of the connections, which ends where that fails.
func ask[T protocol.Message](l *log, c *broker.Conn, req protocol.Message) (answer T, err error) {
	res, err := c.Ask(req, l.o.RequestTimeout)
	if err != nil {
		l.hangUp()
		return answer, fmt.Errorf("ask %s: %w", c.Addr, err)
	}
	answer, ok := res.(T)
	if !ok {
		l.hangUp()
		return answer, fmt.Errorf("ask %s: the answer is a %T", c.Addr, res)
	}
	return answer, nil
}

// any connects to any of the brokers that the configuration names.
func (l *log) any(ctx context.Context) (*broker.Conn, error) {
	var last error
	for _, b := range l.o.Brokers {
		c, err := l.o.Dialer.Open(ctx, broker.WithPort(b))
		if err == nil {
			return c, nil
		}
		if e, ok := fault.As(err); ok && e.Class() != fault.Retry {
			return nil, err
		}
		last = err
	}
	return nil, last
}

// connect sees to it that there are both connections.
func (l *log) connect(ctx context.Context) error {
	if l.coord != nil && l.leader != nil {
		return nil
	}
	c, err := l.any(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if l.leader == nil {
		if l.leader, err = l.findLeader(ctx, c); err != nil {
			return err
		}
	}
	if l.coord != nil {
		return nil
	}
	m, err := ask[*findcoordinator.Response](l, c, &findcoordinator.Request{Key: l.o.TransactionalID, KeyType: 1})
	if err != nil {
		return err
	}
	if err := l.failed(broker.Error(m.ErrorCode), "use"); err != nil {
		return err
	}
	l.coord, err = l.o.Dialer.Open(ctx, net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))))
	if err == nil && l.coord.Versions[protocol.InitProducerId].Max < 3 {
		// Without the producer in the request, taking it anew could not be made to depend on its being ours.
		return fault.New(fault.StateTopic, "the broker is older than Kafka 2.5, which is the first that a producer can be taken from anew").At(fault.Where{Server: l.coord.Addr})
	}
	return err
}

// findLeader connects to the leader of the partition, and makes the topic where there is none.
func (l *log) findLeader(ctx context.Context, c *broker.Conn) (*broker.Conn, error) {
	m, err := ask[*metadata.Response](l, c, &metadata.Request{TopicNames: []string{l.o.Topic}})
	if err != nil {
		return nil, err
	}
	if len(m.Topics) == 1 && broker.Error(m.Topics[0].ErrorCode) == broker.ErrUnknownTopic {
		if err := l.create(c); err != nil {
			return nil, err
		}
		return nil, broker.ErrLeaderNotAvailable // soon
	}
	return l.leaderOf(ctx, m)
}

// create makes the topic, with the brokers' default for replicas.
func (l *log) create(c *broker.Conn) error {
	m, err := ask[*createtopics.Response](l, c, &createtopics.Request{TimeoutMs: int32(l.o.RequestTimeout.Milliseconds()), Topics: []createtopics.RequestTopic{{
		Name: l.o.Topic, NumPartitions: 1, ReplicationFactor: -1, Configs: []createtopics.RequestConfig{{Name: "cleanup.policy", Value: "compact"}},
	}}})
	if err != nil {
		return err
	}
	for _, t := range m.Topics {
		switch code := broker.Error(t.ErrorCode); code {
		case broker.ErrNone, broker.ErrTopicExists, broker.ErrNotController:
		case broker.ErrTopicAuthorization, broker.ErrClusterAuthorization, broker.ErrInvalidTopic:
			return fault.New(fault.StateTopic, "the topic %s does not exist and cannot be made: %w", l.o.Topic, code)
		default:
			return code
		}
	}
	return nil
}

// take gets the producer: the first time from whoever has it, later on the condition that it is still ours.
func (l *log) take(ctx context.Context) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	req := &initproducerid.Request{
		TransactionalID: l.o.TransactionalID, TransactionTimeoutMs: int32(transactionTimeout.Milliseconds()), ProducerID: l.producer, ProducerEpoch: l.epoch,
	}
	m, err := ask[*initproducerid.Response](l, l.coord, req)
	if err != nil {
		return err
	}
	if err := l.failed(broker.Error(m.ErrorCode), "write to"); err != nil {
		return err
	}
	l.producer, l.epoch, l.sequence, l.doubtful = m.ProducerID, m.ProducerEpoch, 0, false
	return nil
}

// write writes pairs in one transaction, and gives the offset of the last of them.
func (l *log) write(ctx context.Context, pairs []pair) (last int64, err error) {
	err = l.again(ctx, func(ctx context.Context) error {
		if l.doubtful {
			if err := l.take(ctx); err != nil {
				return err
			}
		}
		if err := l.connect(ctx); err != nil {
			return err
		}
		l.doubtful = true
		if last, err = l.transaction(pairs); err == nil {
			l.doubtful = false
		}
		return err
	})
	return last, err
}

func (l *log) transaction(pairs []pair) (last int64, err error) {
	begin := &addpartitionstotxn.Request{
		TransactionalID: l.o.TransactionalID, ProducerID: l.producer, ProducerEpoch: l.epoch, Topics: []addpartitionstotxn.RequestTopic{{Name: l.o.Topic, Partitions: []int32{0}}},
	}
	m, err := ask[*addpartitionstotxn.Response](l, l.coord, begin)
	if err != nil {
		return 0, err
	}
	for _, t := range m.Results {
		for _, p := range t.Results {
			if err := l.failed(broker.Error(p.ErrorCode), "write to"); err != nil {
				return 0, err
			}
		}
	}
	for len(pairs) > 0 {
		n := 0
		b := make([]byte, broker.HeaderSize)
		for n < len(pairs) && (n == 0 || len(b)+len(pairs[n].key)+len(pairs[n].value) < batchBytes) {
			b = broker.AppendRecord(b, int32(n), pairs[n].key, pairs[n].value)
			n++
		}
		broker.Header{Count: int32(n), Time: time.Now().UnixMilli(), Producer: l.producer, Epoch: l.epoch, Sequence: l.sequence, Transactional: true}.Put(b)
		if last, err = l.append(b); err != nil {
			return 0, err
		}
		last += int64(n) - 1
		l.sequence += int32(n)
		pairs = pairs[n:]
	}
	end, err := ask[*endtxn.Response](l, l.coord, &endtxn.Request{TransactionalID: l.o.TransactionalID, ProducerID: l.producer, ProducerEpoch: l.epoch, Committed: true})
	if err != nil {
		return 0, err
	}
	return last, l.failed(broker.Error(end.ErrorCode), "write to")
}

// append writes one batch, and gives the offset of its first record.
func (l *log) append(b []byte) (int64, error) {
	sized := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...)
	m, err := ask[*produce.Response](l, l.leader, &rawproduce.Request{
		TransactionalID: l.o.TransactionalID, Acks: -1, Timeout: int32(l.o.RequestTimeout.Milliseconds()), Topics: []rawproduce.RequestTopic{{
			Topic: l.o.Topic, Partitions: []rawproduce.RequestPartition{{RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(sized)}}},
		}},
	})
	if err != nil {
		return 0, err
	}
	if len(m.Topics) != 1 || len(m.Topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("the answer to a batch is about %d topics", len(m.Topics))
	}
	p := &m.Topics[0].Partitions[0]
	return p.BaseOffset, l.failed(broker.Error(p.ErrorCode), "write to")
}
