package kafka

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
	"cdc/gtid"
)

// partition is one that is read. What is in it belongs to the goroutine that reads from the source.
type partition struct {
	topic  string
	id     int32
	of     int    // how many partitions its topic has
	name   string // topic-id
	uuid   gtid.UUID
	leader int32
	next   int64 // offset behind what was handed over
	end    int64 // where it shall be read to
}

// layout is what the brokers say of themselves and of the topics to read.
type layout struct {
	cluster string
	brokers map[int32]string
	parts   []*partition // of the share, by topic and number
	total   int          // partitions of all shares
}

// uuidOf names a partition, or with none a cluster, in a set of GTIDs.
func uuidOf(parts ...string) gtid.UUID {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{"cdc source kafka"}, parts...), "\x00")))
	return gtid.UUID(sum[:16])
}

// connect gives a connection to any broker.
func (s *Source) connect(ctx context.Context) (*broker.Conn, error) {
	list := make([]string, 0, len(s.o.Brokers)+len(s.brokers))
	for _, b := range s.o.Brokers {
		list = append(list, broker.WithPort(b))
	}
	for _, b := range s.brokers {
		if !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var last error
	for _, addr := range list {
		c, err := s.dialer.dial(ctx, addr)
		if err == nil {
			return c, nil
		}
		if fault.ClassOf(err) != fault.Retry || ctx.Err() != nil {
			return nil, err
		}
		last = err
	}
	return nil, last
}

// layout asks which partitions there are, and who leads them.
func (s *Source) layout(ctx context.Context) (*layout, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	req := &metadata.Request{TopicNames: s.o.Topics}
	if s.o.patterns() {
		req.TopicNames = nil // all
	}
	m, err := ask[*metadata.Response](c, req, s.o.RequestTimeout)
	if err != nil {
		return nil, err
	}
	l := &layout{cluster: m.ClusterID, brokers: map[int32]string{}}
	for _, b := range m.Brokers {
		l.brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	found := map[string]bool{}
	for _, t := range m.Topics {
		if t.IsInternal || !s.o.chosen(t.Name) {
			continue
		}
		code := broker.Error(t.ErrorCode)
		switch {
		case code == broker.ErrNone:
		case code == broker.ErrTopicAuthorization:
			return nil, fault.New(fault.SourceGrantMissing, "the account may not see the topic %s", t.Name).
				Hint("kafka-acls --bootstrap-server %s --add --allow-principal User:%s --operation Read --operation Describe --topic %s", s.o.Brokers[0], s.o.SASL.User, t.Name)
		case code == broker.ErrUnknownTopic, code == broker.ErrInvalidTopic:
			return nil, fault.New(fault.SourceTopicMissing, "the topic %s: %w", t.Name, code)
		case passing(code):
			return nil, fault.New(fault.SourceTopicUnavailable, "the topic %s: %w", t.Name, code)
		default:
			return nil, fault.New(fault.SourceTopicMissing, "the topic %s: %w", t.Name, code)
		}
		found[t.Name] = true
		l.total += len(t.Partitions)
		for _, p := range t.Partitions {
			if !s.o.Share.has(p.PartitionIndex) {
				continue
			}
			if p.LeaderID < 0 || l.brokers[p.LeaderID] == "" {
				return nil, fault.New(fault.SourceTopicUnavailable, "partition %d of the topic %s has no leader", p.PartitionIndex, t.Name)
			}
			number := strconv.Itoa(int(p.PartitionIndex))
			l.parts = append(l.parts, &partition{
				topic: t.Name, id: p.PartitionIndex, of: len(t.Partitions), name: t.Name + "-" + number, uuid: uuidOf(m.ClusterID, t.Name, number), leader: p.LeaderID, next: -1,
			})
		}
	}
	for _, t := range s.o.Topics {
		if !strings.Contains(t, "*") && !found[t] {
			return nil, fault.New(fault.SourceTopicMissing, "the topic %s does not exist", t)
		}
	}
	slices.SortFunc(l.parts, func(a, b *partition) int {
		if a.topic != b.topic {
			return strings.Compare(a.topic, b.topic)
		}
		return int(a.id - b.id)
	})
	return l, nil
}

// Special timestamps of a request for offsets.
const (
	latest   = -1
	earliest = -2
)

// offsets asks where partitions begin or end, for a reader of committed records.
func (s *Source) offsets(ctx context.Context, l *layout, parts []*partition, at int64) (map[*partition]int64, error) {
	out := map[*partition]int64{}
	for id, addr := range l.brokers {
		req := &listoffsets.Request{ReplicaID: -1, IsolationLevel: 1}
		for i, p := range parts {
			if p.leader != id {
				continue
			}
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != parts[i].topic {
				req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: p.topic})
			}
			t := &req.Topics[len(req.Topics)-1]
			t.Partitions = append(t.Partitions, listoffsets.RequestPartition{Partition: p.id, CurrentLeaderEpoch: -1, Timestamp: at})
		}
		if len(req.Topics) == 0 {
			continue
		}
		c, err := s.dialer.dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		m, err := ask[*listoffsets.Response](c, protocol.Message(req), s.o.RequestTimeout)
		c.Close()
		if err != nil {
			return nil, err
		}
		for _, t := range m.Topics {
			for _, r := range t.Partitions {
				i := slices.IndexFunc(parts, func(p *partition) bool { return p.topic == t.Topic && p.id == r.Partition })
				if i < 0 {
					continue
				}
				if err := s.judge(parts[i], broker.Error(r.ErrorCode)); err != nil {
					return nil, err
				}
				out[parts[i]] = r.Offset
			}
		}
	}
	for _, p := range parts {
		if _, ok := out[p]; !ok {
			return nil, fault.New(fault.SourceTopicUnavailable, "%s: the brokers do not say where it begins and ends", p.name)
		}
	}
	return out, nil
}

// judge makes a fault of an error code of a partition.
func (s *Source) judge(p *partition, code broker.Error) error {
	switch {
	case code == broker.ErrNone:
		return nil
	case code == broker.ErrTopicAuthorization:
		return fault.New(fault.SourceGrantMissing, "the account may not read the topic %s", p.topic).
			Hint("kafka-acls --bootstrap-server %s --add --allow-principal User:%s --operation Read --operation Describe --topic %s", s.o.Brokers[0], s.o.SASL.User, p.topic)
	case passing(code), code == broker.ErrOffsetOutOfRange: // the latter is looked at when it is read anew
		return fault.New(fault.SourceTopicUnavailable, "%s: %w", p.name, code)
	}
	return fault.New(fault.SourceTopicMissing, "%s: %w", p.name, code)
}

// locate settles where each partition of a layout is read from. Those that are known go on where they were.
func (s *Source) locate(ctx context.Context, l *layout) error {
	first := s.parts == nil
	known := map[gtid.UUID]*partition{}
	topics := map[string]bool{}
	for _, p := range s.parts {
		known[p.uuid] = p
		topics[p.topic] = true
	}
	marks := gtid.NewSet(gtid.MySQL)
	var fresh []*partition
	for _, p := range l.parts {
		switch old := known[p.uuid]; {
		case old != nil:
			if p.of != old.of && s.o.NewPartitions != onRead {
				return fault.New(fault.SourcePartitions, "the topic %s has %d partitions, and had %d", p.topic, p.of, old.of)
			}
			p.next, p.end = old.next, old.end
			delete(known, p.uuid)
		case first && s.o.From != nil:
			n, err := placeOf(s.o.From, p)
			if err != nil {
				return err
			}
			p.next = n
			topics[p.topic] = topics[p.topic] || n >= 0
		}
		if p.next < 0 {
			fresh = append(fresh, p)
		}
	}
	for _, p := range known {
		return fault.New(fault.SourceTopicOther, "%s is there no more", p.name)
	}
	if first && s.o.From != nil {
		for _, u := range s.o.From.UUIDs() {
			if !slices.ContainsFunc(l.parts, func(p *partition) bool { return p.uuid == u }) {
				return fault.New(fault.SourceTopicOther, "the checkpoint is of a partition that is none of these topics of this cluster: one was left out, or was deleted, or the brokers are others").
					Hint("name all topics in source.kafka.topics that were read before, and check the brokers")
			}
		}
	}
	for _, p := range fresh {
		if topics[p.topic] && s.o.NewPartitions != onRead {
			return fault.New(fault.SourcePartitions, "the topic %s has %d partitions, more than before", p.topic, p.of)
		}
	}
	begin, err := s.offsets(ctx, l, l.parts, earliest)
	if err != nil {
		return err
	}
	end, err := s.offsets(ctx, l, l.parts, latest)
	if err != nil {
		return err
	}
	for _, p := range l.parts {
		if p.next < 0 {
			p.next = begin[p]
			if s.o.Begin != nil {
				if at, ok := s.o.Begin(p.topic, p.id); ok {
					p.next = at
				}
			}
			marks.AddRange(p.uuid, "", 1, uint64(p.next)+1)
		}
		switch {
		case p.next < begin[p]:
			return fault.New(fault.SourceTopicPurged, "%s begins at offset %d, and %d is the next to read", p.name, begin[p], p.next)
		case p.next > end[p]:
			return &shorter{fault.New(fault.SourceTopicOther, "%s ends at offset %d, and everything up to %d was read", p.name, end[p], p.next)}
		}
		if first {
			p.end = end[p]
		}
	}
	s.parts, s.total, s.brokers, s.cluster = l.parts, l.total, nil, l.cluster
	for _, b := range l.brokers {
		s.brokers = append(s.brokers, b)
	}
	s.marks = marks
	return nil
}

// placeOf gives the offset at which a partition is to be read on, -1 where the place does not know it.
func placeOf(set *gtid.Set, p *partition) (int64, error) {
	only := set.Only(p.uuid)
	n := only.Len()
	if n == 0 {
		return -1, nil
	}
	whole := gtid.NewSet(gtid.MySQL)
	whole.AddRange(p.uuid, "", 1, n)
	if !whole.Equal(only) {
		return 0, fault.New(fault.CheckpointStream, "the checkpoint has gaps in %s: %s", p.name, only)
	}
	return int64(n) - 1, nil
}

// settle connects and finds its place, again and again for a minute where that may help.
func (s *Source) settle(ctx context.Context) error {
	begun := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		l, err := s.layout(ctx)
		if err == nil && s.o.ByKey && s.total == 1 && l.total > 1 {
			return fault.New(fault.SourceLost, "partitions have come to the only one: the stream begins anew, since changes no longer come in one order")
		}
		if err == nil {
			err = s.locate(ctx, l)
		}
		switch {
		case err == nil:
			return s.start(ctx, l)
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.Has(err, fault.SourceTopicMissing) && s.parts != nil: // it is being deleted, or a broker does not know it yet
		case isShorter(err) && time.Since(begun) < s.o.Settle:
		case fault.ClassOf(err) != fault.Retry:
			return err
		}
		if time.Since(begun) > patience {
			return err
		}
		s.o.Log.Debug("topics cannot be read yet", "error", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.closed:
			timer.Stop()
			return errClosed
		}
	}
}

// shorter says that a partition ends before the place.
type shorter struct{ error }

func (s *shorter) Unwrap() error { return s.error }

func isShorter(err error) bool {
	_, ok := errors.AsType[*shorter](err)
	return ok
}

// patience is how long the brokers may be out of reach before the stream begins anew.
const patience = time.Minute

var errClosed = errors.New("the source is closed")

// where says what is read.
func (s *Source) where() string {
	return fmt.Sprintf("%d partitions at %s", len(s.parts), s.o.Brokers[0])
}
