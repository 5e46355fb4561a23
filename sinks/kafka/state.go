package kafka

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
)

// state is what is kept in the checkpoint. How far the brokers have acknowledged each partition: nothing but the loss of records brings the end
// of a partition back before that, so that a topic which was deleted, made anew or truncated while no process looked shows. That a topic exists is
// not enough to know: anybody may have made it again. Its identifier would be, but brokers before Kafka 2.8 have none. And from where on records may
// lie that are written again by a run that begins at the checkpoint's place, and whose they are; see guard.
type state struct {
	Version   int                 `json:"version"`
	Topics    map[string]standing `json:"topics"`
	Producers []int64             `json:"producers,omitempty"` // ids that this stream has written with, the last one last
	Since     int64               `json:"since,omitempty"`     // milliseconds since 1970: no record that comes again is older
	Off       bool                `json:"off,omitempty"`       // exactly_once was off, or headers: floors and producers say nothing
}

// stateVersion is the version that is written. Version 1 had nothing but what was acknowledged.
const stateVersion = 2

// standing is the state of a topic, by its partitions.
type standing struct {
	Acked  []int64 `json:"acked"`            // the offset behind the last record that was acknowledged, 0 where none was
	Floors []int64 `json:"floors,omitempty"` // the offset from which on records may lie that come again
}

// any reports that something was acknowledged.
func (o standing) any() bool {
	return slices.ContainsFunc(o.Acked, func(n int64) bool { return n > 0 })
}

// beyond gives the first partition that holds something and is none of a topic with so many; -1 where there is none.
func (o standing) beyond(partitions int) int {
	for i := partitions; i < len(o.Acked); i++ {
		if o.Acked[i] > 0 {
			return i
		}
	}
	return -1
}

func parseState(b []byte) (state, error) {
	s := state{Topics: map[string]standing{}}
	if len(b) == 0 {
		return s, nil
	}
	var head struct {
		Version int             `json:"version"`
		Topics  json.RawMessage `json:"topics"`
	}
	err := json.Unmarshal(b, &head)
	switch {
	case err != nil:
	case head.Version == stateVersion:
		err = json.Unmarshal(b, &s)
	case head.Version == 1:
		s.Version = 1
		var old map[string][]int64
		if len(head.Topics) > 0 {
			err = json.Unmarshal(head.Topics, &old)
		}
		for name, acked := range old {
			s.Topics[name] = standing{Acked: acked}
		}
	default:
		return s, fault.New(fault.CheckpointVersion, "what the checkpoint keeps of topics has version %d, and this program knows %d", head.Version, stateVersion)
	}
	if err != nil {
		return s, fault.New(fault.CheckpointCorrupt, "what the checkpoint keeps of topics: %w", err)
	}
	if s.Topics == nil {
		s.Topics = map[string]standing{}
	}
	return s, nil
}

// State implements sinks.Resumer. What it says of acknowledgements may be more than what was acknowledged up to seq, which is no harm: all of it was
// acknowledged. Floors are those of the place that seq covers.
func (s *Sink) State(seq uint64) ([]byte, error) {
	s.mu.Lock()
	class := s.classes.of(seq)
	since := time.Now().UnixMilli()
	if len(s.items) > 0 {
		since = min(since, s.items[0].taken)
	}
	s.mu.Unlock()
	k := s.send
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.guard
	frozen := g.frozen || class <= g.cleared && g.cleared > 0
	if !frozen {
		for name, c := range g.covered {
			if o, ok := k.held[name]; ok && k.topics[name] == nil {
				o.Floors = c.ends
				k.held[name] = o
			}
		}
	}
	for name, t := range k.topics {
		o := k.held[name]
		for len(o.Acked) < len(t.partitions) {
			o.Acked = append(o.Acked, 0)
		}
		floors := make([]int64, len(t.partitions))
		for i, p := range t.partitions {
			o.Acked[i] = max(o.Acked[i], p.acked)
			if floors[i] = p.from; !frozen {
				floors[i] = p.floors.at(class, max(p.acked, p.end))
			}
		}
		o.Floors = floors
		k.held[name] = o
	}
	if g.frozen && g.since > 0 {
		since = min(since, g.since)
	}
	b, err := json.Marshal(state{Version: stateVersion, Topics: k.held, Producers: k.ours, Since: since, Off: g.mode == onceOff || !on(s.opt.Headers)})
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
func (c *checker) await(ctx context.Context, held map[string]standing, there map[string]*metadata.ResponseTopic) (bool, error) {
	for began, n := time.Now(), 1; ; n++ {
		var names []string
		for name, r := range there {
			if broker.Error(r.ErrorCode) == broker.ErrUnknownTopic && held[name].any() {
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
func (c *checker) gone(name string, o standing, r *metadata.ResponseTopic) bool {
	if r == nil || !o.any() {
		return false
	}
	switch far := o.beyond(len(r.Partitions)); {
	case broker.Error(r.ErrorCode) == broker.ErrUnknownTopic:
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

// clone gives a copy whose topics do not change with the original's.
func (s state) clone() state {
	topics := make(map[string]standing, len(s.Topics))
	for name, o := range s.Topics {
		topics[name] = standing{slices.Clone(o.Acked), slices.Clone(o.Floors)}
	}
	s.Topics = topics
	return s
}
