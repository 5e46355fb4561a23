package topic

import (
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/checkpoint"
	"cdc/fault"
)

// latest stands for the offset behind the last committed record.
const latest = -1

// View is what the topic held at one moment. It takes the topic from nobody.
type View struct{ s *Store }

// Peek reads the topic as it is now, beside the owner. A topic that is not there is an empty one. The errors are those of Open, but never StateFenced.
func Peek(ctx context.Context, o Options) (*View, error) {
	s := &Store{o: o.withDefaults(), streams: map[string]*stream{}, notes: map[string][]byte{}}
	s.log = log{o: &s.o, producer: -1, epoch: -1}
	defer s.log.hangUp()
	values := map[string][]byte{}
	next, end := int64(-1), int64(-1)
	for end < 0 || next < end {
		err := s.log.again(ctx, func(ctx context.Context) error {
			found, err := s.log.reach(ctx)
			switch {
			case err != nil:
				return err
			case !found:
				next, end = 0, 0
			case end < 0:
				end, err = s.log.offset(latest)
			case next < 0:
				next, err = s.log.offset(earliest)
			default:
				next, err = s.log.fetch(next, func(r *broker.Record) error {
					if r.Offset < end {
						values[string(r.Key)] = slices.Clone(r.Value)
					}
					return nil
				})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := s.sort(values); err != nil {
		return nil, err
	}
	return &View{s}, nil
}

// Owner is who began to write last; its Since is zero where nobody has.
func (v *View) Owner() Owner { return v.s.former }

// Streams lists the streams that have a record, sorted.
func (v *View) Streams(ctx context.Context) ([]string, error) { return v.s.Streams(ctx) }

// Load implements checkpoint.Store.
func (v *View) Load(ctx context.Context, name string) (checkpoint.Record, error) {
	return v.s.Load(ctx, name)
}

// Save implements checkpoint.Store: it is refused.
func (v *View) Save(context.Context, string, checkpoint.Record) error {
	return fault.New(fault.PipelineInternal, "the topic %s was opened for reading", v.s.o.Topic)
}

// Close implements checkpoint.Store.
func (v *View) Close() error { return nil }

// Note gives the text that was kept under a name; nil for none.
func (v *View) Note(name string) []byte { return v.s.Note(name) }

// reach connects to the leader of the partition; found is false where there is no topic, and none is made.
func (l *log) reach(ctx context.Context) (found bool, err error) {
	if l.leader != nil {
		return true, nil
	}
	c, err := l.any(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	m, err := ask[*metadata.Response](l, c, &metadata.Request{TopicNames: []string{l.o.Topic}})
	if err != nil {
		return false, err
	}
	if len(m.Topics) == 1 && broker.Error(m.Topics[0].ErrorCode) == broker.ErrUnknownTopic {
		return false, nil
	}
	l.leader, err = l.leaderOf(ctx, m)
	return err == nil, err
}

// leaderOf connects to the leader that an answer names.
func (l *log) leaderOf(ctx context.Context, m *metadata.Response) (*broker.Conn, error) {
	if len(m.Topics) != 1 {
		return nil, fault.New(fault.StateUnreachable, "the answer is about %d topics", len(m.Topics))
	}
	t := &m.Topics[0]
	if err := l.failed(broker.Error(t.ErrorCode), "see"); err != nil {
		return nil, err
	}
	if len(t.Partitions) != 1 {
		return nil, fault.New(fault.StateTopic, "the topic %s has %d partitions, and is to have one", l.o.Topic, len(t.Partitions))
	}
	for _, b := range m.Brokers {
		if b.NodeID == t.Partitions[0].LeaderID {
			return l.o.Dialer.Open(ctx, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
		}
	}
	return nil, broker.ErrLeaderNotAvailable
}

// offset asks for the earliest or the latest offset of what was committed.
func (l *log) offset(which int64) (int64, error) {
	m, err := ask[*listoffsets.Response](l, l.leader, &listoffsets.Request{ReplicaID: -1, IsolationLevel: 1, Topics: []listoffsets.RequestTopic{{
		Topic: l.o.Topic, Partitions: []listoffsets.RequestPartition{{CurrentLeaderEpoch: -1, Timestamp: which}},
	}}})
	if err != nil {
		return -1, err
	}
	if len(m.Topics) != 1 || len(m.Topics[0].Partitions) != 1 {
		return -1, fault.New(fault.StateUnreachable, "the answer is about %d topics", len(m.Topics))
	}
	p := &m.Topics[0].Partitions[0]
	if err := l.failed(broker.Error(p.ErrorCode), "read"); err != nil {
		return -1, err
	}
	return p.Offset, nil
}
