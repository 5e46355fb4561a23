package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadTopics counts what is in the topics whose names begin with prefix, as a consumer of the debezium format sees them: each partition from its
// first record to where it ends now.
func ReadTopics(ctx context.Context, brokers []string, prefix string) (*Delivered, error) {
	d := NewDelivered()
	err := EachMessage(ctx, brokers, func(topic string) bool { return strings.HasPrefix(topic, prefix) }, d.Message)
	return d, err
}

// EachMessage calls f for each record of the wanted topics, partition by partition, in the order of each partition, up to where it ends now.
// f must not keep the message.
func EachMessage(ctx context.Context, brokers []string, want func(topic string) bool, f func(kafka.Message) error) error {
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(brokers...), Timeout: 30 * time.Second, Transport: transport}
	answer, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return fmt.Errorf("list the topics: %w", err)
	}
	slices.SortFunc(answer.Topics, func(a, b kafka.Topic) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range answer.Topics {
		if t.Internal || !want(t.Name) {
			continue
		}
		if t.Error != nil {
			return fmt.Errorf("topic %s: %w", t.Name, t.Error)
		}
		question := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
		for _, p := range t.Partitions {
			question.Topics[t.Name] = append(question.Topics[t.Name], kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
		}
		ends, err := client.ListOffsets(ctx, question)
		if err != nil {
			return fmt.Errorf("ask where the topic %s ends: %w", t.Name, err)
		}
		if len(ends.Topics[t.Name]) != len(t.Partitions) {
			return fmt.Errorf("ask where the topic %s ends: %d of %d partitions answer", t.Name, len(ends.Topics[t.Name]), len(t.Partitions))
		}
		for _, p := range ends.Topics[t.Name] {
			err := p.Error
			if err == nil {
				err = eachOf(ctx, brokers, t.Name, p, f)
			}
			if err != nil {
				return fmt.Errorf("topic %s, partition %d: %w", t.Name, p.Partition, err)
			}
		}
	}
	return nil
}

// eachOf reads with another client than the one under test, and as consumers of committed records do. Markers of transactions are passed over.
func eachOf(ctx context.Context, brokers []string, topic string, p kafka.PartitionOffsets, f func(kafka.Message) error) error {
	if p.FirstOffset >= p.LastOffset {
		return nil
	}
	from := map[string]map[int32]kgo.Offset{topic: {int32(p.Partition): kgo.NewOffset().At(p.FirstOffset)}}
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(from), kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(100*time.Millisecond), kgo.FetchMaxBytes(16<<20))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("the end of the partition does not come"))
	defer cancel()
	for next := p.FirstOffset; next < p.LastOffset; {
		fetches := c.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), context.Cause(ctx)); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if r.Offset < next {
				return fmt.Errorf("offset %d follows %d", r.Offset, next-1)
			}
			if next = r.Offset + 1; r.Attrs.IsControl() || r.Offset >= p.LastOffset {
				continue
			}
			m := kafka.Message{Topic: topic, Partition: p.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Time: r.Timestamp}
			for _, h := range r.Headers {
				m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
			}
			if err := f(m); err != nil {
				return fmt.Errorf("offset %d: %w", r.Offset, err)
			}
		}
	}
	return nil
}

// envelope is what is read of a message of the debezium format.
type envelope struct {
	Op     string `json:"op"`
	Before *shop  `json:"before"`
	After  *shop  `json:"after"`
	Source struct {
		Table string `json:"table"`
	} `json:"source"`
}

// Message counts one record of the debezium format, without schemas.
func (d *Delivered) Message(m kafka.Message) error {
	var key shop
	if len(m.Key) > 0 {
		if err := json.Unmarshal(m.Key, &key); err != nil {
			return fmt.Errorf("%w in the key %q", err, m.Key)
		}
	}
	named := key.key()
	if m.Value == nil {
		d.tombstone(m.Topic, named)
		return nil
	}
	var e envelope
	if err := json.Unmarshal(m.Value, &e); err != nil {
		return fmt.Errorf("%w in %q", err, m.Value)
	}
	var before, after uint64
	row := e.After
	if row == nil {
		row = e.Before
	}
	if row == nil {
		return fmt.Errorf("no row in %q", m.Value)
	}
	if row.key() != named {
		return fmt.Errorf("the key %q is not that of %q", m.Key, m.Value)
	}
	if e.Before != nil {
		before = e.Before.Change
	}
	if e.After != nil {
		after = e.After.Change
	}
	var c Change
	switch e.Op {
	case "c":
		c, before = Change{'i', after}, 0
	case "u":
		c = Change{'u', after}
	case "d":
		c, after = Change{'d', before}, 0
		d.bare[m.Topic+"/"+named] = true
	default:
		return fmt.Errorf("operation %q", e.Op)
	}
	d.Add(e.Source.Table, named, c.Op, before, after)
	return d.identity(c, m.Headers)
}

// tombstone follows the delete of its key.
func (d *Delivered) tombstone(topic, key string) {
	at := topic + "/" + key
	if !d.bare[at] {
		d.fault("%s: a tombstone of %s that follows no delete", topic, key)
	}
	delete(d.bare, at)
	d.tombstones++
}

// identity holds the headers to their promise: gtid, row and sub are those of one change, always the same.
func (d *Delivered) identity(c Change, headers []kafka.Header) error {
	var name strings.Builder
	for _, want := range []string{"gtid", "row", "sub"} {
		i := slices.IndexFunc(headers, func(h kafka.Header) bool { return h.Key == want })
		if i < 0 {
			return fmt.Errorf("there is no header %s", want)
		}
		name.Write(headers[i].Value)
		name.WriteByte('/')
	}
	if was, ok := d.names[name.String()]; ok && was != c {
		d.fault("%s is the name of %c %d and of %c %d", name.String(), was.Op, was.ID, c.Op, c.ID)
	}
	d.names[name.String()] = c
	return nil
}
