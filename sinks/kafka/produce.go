package kafka

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"

	"cdc/broker"
)

// Versions of produce requests that are spoken: 7 is the first whose brokers read zstd (Kafka 2.1), 8 the first whose answers say what is wrong
// with a record (2.4). Later ones change nothing for a producer without transactions.
const (
	minProduce = 7
	maxProduce = 8
)

// sent is a partition's batch in a request.
type sent struct {
	topic     string
	partition int32
	batch     []byte
}

// answer is what the broker says to it.
type answer struct {
	code    broker.Error
	offset  int64 // of the first record, -1 where the broker does not say
	message string
}

// send writes a produce request with acks=all. The batches go to the connection as they lie, without a copy; they are not looked at any more
// when it has returned. Batches of one topic stand side by side.
func (c *conn) send(clientID string, batches []sent, timeout, patience time.Duration) error {
	be := binary.BigEndian
	c.seq = c.Next()
	h := append(c.head[:0], 0, 0, 0, 0)
	h = be.AppendUint16(h, uint16(protocol.Produce))
	h = be.AppendUint16(h, uint16(c.produce))
	h = be.AppendUint32(h, uint32(c.seq))
	h = appendString(h, clientID)
	h = be.AppendUint16(h, 0xffff) // no transactional id
	h = be.AppendUint16(h, 0xffff) // acks: all
	h = be.AppendUint32(h, uint32(timeout.Milliseconds()))
	topics := 0
	for i := range batches {
		if i == 0 || batches[i].topic != batches[i-1].topic {
			topics++
		}
	}
	h = be.AppendUint32(h, uint32(topics))
	size := 0
	type cut struct{ from, to, batch int }
	var few [16]cut
	cuts := few[:0]
	from := 0
	for i := range batches {
		b := &batches[i]
		if i == 0 || b.topic != batches[i-1].topic {
			n := 1
			for i+n < len(batches) && batches[i+n].topic == b.topic {
				n++
			}
			h = appendString(h, b.topic)
			h = be.AppendUint32(h, uint32(n))
		}
		h = be.AppendUint32(h, uint32(b.partition))
		h = be.AppendUint32(h, uint32(len(b.batch)))
		cuts = append(cuts, cut{from, len(h), i})
		from = len(h)
		size += len(b.batch)
	}
	be.PutUint32(h, uint32(len(h)-4+size))
	c.head = h
	parts := c.parts[:0]
	for _, k := range cuts {
		parts = append(parts, h[k.from:k.to], batches[k.batch].batch)
	}
	c.parts = parts
	if err := c.Raw.SetDeadline(time.Now().Add(timeout + patience)); err != nil {
		return err
	}
	var whole net.Buffers = parts
	_, err := whole.WriteTo(c.Raw)
	clear(c.parts) // they point to memory that others will use
	return err
}

// receive reads the answer to the last request, in the order of its batches.
func (c *conn) receive(batches []sent, answers []answer) ([]answer, error) {
	id, msg, err := protocol.ReadResponse(c.Proto, protocol.Produce, c.produce)
	if err != nil {
		return nil, err
	}
	if id != c.seq {
		return nil, fmt.Errorf("the answer is to request %d, not to %d", id, c.seq)
	}
	res, ok := msg.(*produce.Response)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", msg)
	}
	for i := range batches {
		a, ok := find(res, &batches[i])
		if !ok {
			return nil, fmt.Errorf("the answer leaves out partition %d of topic %s", batches[i].partition, batches[i].topic)
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func find(res *produce.Response, b *sent) (answer, bool) {
	for i := range res.Topics {
		if res.Topics[i].Topic != b.topic {
			continue
		}
		for _, p := range res.Topics[i].Partitions {
			if p.Partition != b.partition {
				continue
			}
			a := answer{code: broker.Error(p.ErrorCode), offset: p.BaseOffset, message: p.ErrorMessage}
			for _, r := range p.RecordErrors {
				if a.message += "; " + r.BatchIndexErrorMessage; len(a.message) > 500 {
					break
				}
			}
			return a, true
		}
	}
	return answer{}, false
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
