package kafka

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/fault"
)

// state is what is kept in the checkpoint: how far the brokers have acknowledged each partition. Nothing but the loss of records brings the end
// of a partition back before that, so that a topic which was deleted, made anew or truncated while no process looked shows. That a topic exists is
// not enough to know: anybody may have made it again. Its identifier would be, but brokers before Kafka 2.8 have none.
type state struct {
	Version int                `json:"version"`
	Topics  map[string]offsets `json:"topics"`
}

// offsets of a topic's partitions: each is the one behind the last record that was acknowledged, 0 where none was.
type offsets []int64

// any reports that something was acknowledged.
func (o offsets) any() bool { return slices.ContainsFunc(o, func(n int64) bool { return n > 0 }) }

// beyond gives the first partition that holds something and is none of a topic with so many; -1 where there is none.
func (o offsets) beyond(partitions int) int {
	for i := partitions; i < len(o); i++ {
		if o[i] > 0 {
			return i
		}
	}
	return -1
}

func parseState(b []byte) (map[string]offsets, error) {
	if len(b) == 0 {
		return map[string]offsets{}, nil
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fault.New(fault.CheckpointCorrupt, "what the checkpoint keeps of topics: %w", err)
	}
	if s.Version != 1 {
		return nil, fault.New(fault.CheckpointVersion, "what the checkpoint keeps of topics has version %d, and this program knows 1", s.Version)
	}
	if s.Topics == nil {
		s.Topics = map[string]offsets{}
	}
	return s.Topics, nil
}

// State implements sinks.Resumer. It may say more than what was acknowledged up to seq, which is no harm: all of it was acknowledged.
func (s *Sink) State(uint64) ([]byte, error) {
	k := s.send
	k.mu.Lock()
	for name, t := range k.topics {
		o := k.held[name]
		for len(o) < len(t.partitions) {
			o = append(o, 0)
		}
		for i, p := range t.partitions {
			o[i] = max(o[i], p.acked)
		}
		if o.any() {
			k.held[name] = o
		}
	}
	b, err := json.Marshal(state{Version: 1, Topics: k.held})
	k.mu.Unlock()
	if err != nil {
		return nil, fault.New(fault.PipelineInternal, "keep the state of topics: %w", err)
	}
	return b, nil
}

// lost gives the fault of a topic that the brokers do not know and that has held records, once they have not known it for long enough: a broker
// that has just started may not know a topic for a moment. Before, it gives an error that passes; nil for a topic that never was.
func (s *sender) lost(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held[name].any() {
		return nil
	}
	since, ok := s.missing[name]
	if !ok {
		since = time.Now()
		s.missing[name] = since
	}
	if time.Since(since) < s.opt.Gone {
		return fault.New(fault.SinkUnreachable, "the brokers do not know topic %s, which records were written to before", name)
	}
	return fault.New(fault.SinkTopicGone, "topic %s, which records were written to before, does not exist any more", name)
}

// await asks again for the topics that are gone and were written to before, until the brokers know them, or for half as long as a run would: a start
// does not wait for its check for ever. It reports that the answer stands.
func (c *checker) await(ctx context.Context, held map[string]offsets, there map[string]*metadata.ResponseTopic) (bool, error) {
	for began, n := time.Now(), 1; ; n++ {
		var names []string
		for name, r := range there {
			if kerror(r.ErrorCode) == errUnknownTopic && held[name].any() {
				names = append(names, name)
			}
		}
		if len(names) == 0 || time.Since(began) >= c.opt.Gone/2 {
			return true, nil
		}
		select {
		case <-time.After(backoff(n)):
		case <-ctx.Done():
			return false, nil
		}
		l, err := c.cluster.layoutOf(ctx, &metadata.Request{TopicNames: names, IncludeTopicAuthorizedOperations: true})
		if err != nil {
			return false, err
		}
		for i := range l.topics {
			there[l.topics[i].Name] = &l.topics[i]
		}
	}
}

// gone finds a topic of which acknowledged records are missing for certain.
func (c *checker) gone(name string, o offsets, r *metadata.ResponseTopic) bool {
	if r == nil || !o.any() {
		return false
	}
	switch far := o.beyond(len(r.Partitions)); {
	case kerror(r.ErrorCode) == errUnknownTopic:
		if !c.crowded("topics that were written to and do not exist any more") {
			c.fault("topic "+name, fault.New(fault.SinkTopicGone, "it does not exist any more, and records were written to it before"))
		}
	case r.ErrorCode == 0 && far >= 0:
		if !c.crowded("topics that were written to and have fewer partitions now") {
			c.fault("topic "+name, fault.New(fault.SinkTopicGone, "it was made anew: records were written to partition %d, and it has %d partition(s)", far, len(r.Partitions)))
		}
	default:
		return false
	}
	return true
}
