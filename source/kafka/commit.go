package kafka

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"

	"cdc/broker"
	"cdc/fault"
	"cdc/gtid"
)

const (
	commitEvery = time.Second
	// commitMark begins the metadata of what a group of ours has committed.
	commitMark = "cdc"
)

// committed is what a group has committed of a partition.
type committed struct {
	offset  int64
	ours    bool     // it was committed by a group of ours, and what follows is known
	of      int      // partitions that the topic had
	streams []string // that have acknowledged everything before the offset
}

// metadata is what is committed along with an offset.
func (c *committed) metadata() string {
	return fmt.Sprintf("%s of=%d streams=%s", commitMark, c.of, strings.Join(c.streams, ","))
}

// parseCommitted reads it back. What others have written there is theirs.
func parseCommitted(offset int64, metadata string) committed {
	c := committed{offset: offset}
	words := strings.Fields(metadata)
	if len(words) != 3 || words[0] != commitMark {
		return c
	}
	of, ok := strings.CutPrefix(words[1], "of=")
	streams, named := strings.CutPrefix(words[2], "streams=")
	n, err := strconv.Atoi(of)
	if !ok || !named || err != nil {
		return c
	}
	c.ours, c.of, c.streams = true, n, strings.Split(streams, ",")
	return c
}

// Acked notes that a stream has made durable, for one share or more, everything up to a place.
func (g *Group) Acked(stream string, place *gtid.Set) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, u := range place.UUIDs() {
		p, ok := g.known[u]
		if !ok {
			continue // its topic has just come
		}
		if g.acked[p] == nil {
			g.acked[p] = map[string]int64{}
		}
		g.acked[p][stream] = int64(place.Only(u).Len()) - 1
	}
}

// due gives what is to be committed: what all streams have acknowledged, where that is new.
func (g *Group) due() map[string]map[int32]committed {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]map[int32]committed{}
	for p, by := range g.acked {
		c := committed{offset: -1, of: p.of, streams: g.o.Streams}
		for _, s := range g.o.Streams {
			n, ok := by[s]
			if !ok {
				c.offset = -1
				break
			}
			if c.offset < 0 || n < c.offset {
				c.offset = n
			}
		}
		if c.offset < 0 || g.told[p.topic][p.id].streams != nil && g.told[p.topic][p.id].offset == c.offset {
			continue
		}
		if out[p.topic] == nil {
			out[p.topic] = map[int32]committed{}
		}
		out[p.topic][p.id] = c
	}
	return out
}

// commit tells the group how far everything was acknowledged. The brokers refuse it from who is no member of the generation any more.
func (g *Group) commit(ctx context.Context) error {
	list := g.due()
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.o.RequestTimeout)
	defer cancel()
	c, err := g.coordinator(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	g.mu.Lock()
	req := &offsetcommit.Request{GroupID: g.o.Group.Name, GenerationID: g.ids.generation, MemberID: g.ids.member, RetentionTimeMs: -1}
	g.mu.Unlock()
	for topic, parts := range list {
		t := offsetcommit.RequestTopic{Name: topic}
		for id, p := range parts {
			t.Partitions = append(t.Partitions, offsetcommit.RequestPartition{
				PartitionIndex: id, CommittedOffset: p.offset, CommittedLeaderEpoch: -1, CommittedMetadata: p.metadata(),
			})
		}
		req.Topics = append(req.Topics, t)
	}
	m, err := ask[*offsetcommit.Response](c, req, g.o.RequestTimeout)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				err = fmt.Errorf("%s-%d: %w", t.Name, p.PartitionIndex, broker.Error(p.ErrorCode))
				continue
			}
			if g.told[t.Name] == nil {
				g.told[t.Name] = map[int32]committed{}
			}
			g.told[t.Name][p.PartitionIndex] = list[t.Name][p.PartitionIndex]
		}
	}
	return err
}

// coordinator connects to the broker that keeps the group.
func (g *Group) coordinator(ctx context.Context) (*broker.Conn, error) {
	conn, err := g.source.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	m, err := ask[*findcoordinator.Response](conn, &findcoordinator.Request{Key: g.o.Group.Name}, g.o.RequestTimeout)
	if err != nil {
		return nil, err
	}
	if m.ErrorCode != 0 {
		return nil, g.refused(kafkago.Error(m.ErrorCode))
	}
	return g.source.dialer.dial(ctx, net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))))
}

// Offsets gives what the group has committed of the chosen topics, by topic and partition.
func (g *Group) offsets(ctx context.Context) (map[string]map[int32]committed, error) {
	c, err := g.coordinator(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := ask[*offsetfetch.Response](c, &offsetfetch.Request{GroupID: g.o.Group.Name}, g.o.RequestTimeout)
	if err != nil {
		return nil, err
	}
	if m.ErrorCode != 0 {
		return nil, g.refused(kafkago.Error(m.ErrorCode))
	}
	out := map[string]map[int32]committed{}
	for _, t := range m.Topics {
		if !g.o.chosen(t.Name) {
			continue
		}
		out[t.Name] = map[int32]committed{}
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return nil, fault.New(fault.SourceTopicUnavailable, "what the group has committed of %s-%d: %w", t.Name, p.PartitionIndex, broker.Error(p.ErrorCode))
			}
			if p.CommittedOffset >= 0 {
				out[t.Name][p.PartitionIndex] = parseCommitted(p.CommittedOffset, p.Metadata)
			}
		}
	}
	return out, nil
}

// Begin gives where a stream begins to read the partitions of its share that its sink has no place of: where the group has committed, else where they begin.
// keeps says that the sink keeps places, and placed that it has one. What it finds is compared with what was committed along with the offsets: a topic
// that had fewer partitions (fault.SourcePartitions), and a sink that has lost the place which it had (fault.SinkBehind).
func (g *Group) Begin(ctx context.Context, stream string, share Share, keeps, placed bool) (func(topic string, id int32) (int64, bool), error) {
	now, err := g.look(ctx)
	if err != nil {
		return nil, err
	}
	all, err := g.offsets(ctx)
	if err != nil {
		return nil, err
	}
	for topic, parts := range all {
		for id, c := range parts {
			n, there := now[topic]
			switch {
			case !there || !c.ours:
			case c.of != n && g.o.NewPartitions != onRead:
				return nil, fault.New(fault.SourcePartitions, "the topic %s has %d partitions, and had %d", topic, n, c.of)
			case keeps && !placed && share.has(id) && slices.Contains(c.streams, stream):
				return nil, fault.New(fault.SinkBehind, "the group %s has carried %s-%d up to offset %d, and the sink has no place", g.o.Group.Name, topic, id, c.offset).
					Hint("the sink is another one than before, or its folder is not the same on all machines: restore it; or begin anew, with another group")
			}
		}
	}
	return func(topic string, id int32) (int64, bool) {
		c, ok := all[topic][id]
		if !ok || c.ours && !slices.Contains(c.streams, stream) {
			return 0, false
		}
		return c.offset, true
	}, nil
}
