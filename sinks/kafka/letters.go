package kafka

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"cdc/broker"
	"cdc/fault"
)

// letterName names a letter: one for each record in whose place it stands.
type letterName struct {
	txn string
	row uint32
	sub uint16
}

// Letters reads the topic of dead letters up to its end, and gives those that were not replayed, in the order of their commit times. A change that was set
// aside again since it was replayed is among them.
func Letters(ctx context.Context, opt Options) ([]Letter, error) {
	opt = opt.withDefaults()
	name := opt.DeadLetter.Topic
	if name == "" {
		return nil, fault.New(fault.ConfigInvalid, "the stream has no dead_letter.topic")
	}
	k, err := newCluster(&opt)
	if err != nil {
		return nil, err
	}
	defer k.drop()
	s := &sender{opt: &opt, cluster: k, stalls: stalls{tell: opt.Stalled}, links: map[int32]*link{}, addrs: map[int32]string{}}
	g := &guard{s: s, mode: onceRequired}
	var parts []*stretch
	err = s.stalls.persist(ctx, "topic "+name, func() error {
		l, err := k.layout(ctx, []string{name})
		if err != nil {
			return err
		}
		s.brokers(l)
		if len(l.topics) != 1 {
			return fault.New(fault.SinkUnreachable, "the brokers say nothing about topic %s", name)
		}
		switch code := broker.Error(l.topics[0].ErrorCode); {
		case code == broker.ErrUnknownTopic:
			return nil // nothing was ever set aside
		case passing(code):
			return fault.New(fault.SinkUnreachable, "see topic %s: %w", name, code)
		case code != broker.ErrNone:
			return refused(code, "see topic "+name, "").Hint("%s", k.allow(name, "Read", "Describe"))
		}
		parts = nil
		for _, p := range l.topics[0].Partitions {
			parts = append(parts, &stretch{topic: name, id: p.PartitionIndex, leader: p.LeaderID, next: -1, until: -1, end: -1, high: -1})
		}
		return nil
	})
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	for _, at := range []int64{atEarliest, atLatest} {
		to := func(p *stretch) *int64 {
			if at == atEarliest {
				return &p.next
			}
			return &p.until
		}
		err := g.each(ctx, "find the ends of partitions", parts, func(p *stretch) bool { return *to(p) < 0 }, func(_ context.Context, c *conn, list []*stretch) error {
			return g.offsets(c, list, at, func(p *stretch, o int64) { *to(p) = o })
		})
		if err != nil {
			return nil, err
		}
	}
	for _, p := range parts {
		if p.next >= p.until {
			p.close(p.until)
		}
	}
	open := letters{}
	var mu sync.Mutex
	err = g.each(ctx, "read dead letters", parts, func(p *stretch) bool { return !p.over }, func(ctx context.Context, c *conn, list []*stretch) error {
		return open.read(ctx, g, c, slices.Clone(list), &mu)
	})
	if err != nil {
		return nil, err
	}
	out := make([]Letter, 0, len(open))
	for _, l := range open {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Letter) int {
		return compareBy(a.Commit-b.Commit, int64(len(a.Txn())-len(b.Txn())), int64(bytes.Compare([]byte(a.Txn()), []byte(b.Txn()))), int64(a.Row)-int64(b.Row), int64(a.Sub)-int64(b.Sub))
	})
	return out, nil
}

// compareBy gives the sign of the first difference that is one.
func compareBy(differences ...int64) int {
	for _, d := range differences {
		switch {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
	}
	return 0
}

// mostLetters is how many bytes of letters a record batch may hold without compression.
const mostLetters = 1 << 30

// letters are those that were not replayed. A note is in the partition of its letter, behind it.
type letters map[letterName]*Letter

// read reads partitions of one leader to their ends.
func (o letters) read(ctx context.Context, g *guard, c *conn, list []*stretch, mu *sync.Mutex) error {
	quiet := time.Now()
	for len(list) > 0 && ctx.Err() == nil {
		answer, err := c.fetch(list, 200*time.Millisecond, g.s.opt.RequestTimeout)
		if err != nil {
			return err
		}
		moved := false
		err = each(answer, func(a *broker.Fetched) error {
			i := slices.IndexFunc(list, func(p *stretch) bool { return p.id == a.Partition })
			if i < 0 || list[i].over {
				return nil
			}
			p := list[i]
			switch a.Code {
			case broker.ErrNone:
			case broker.ErrOffsetOutOfRange: // retention took what lay there
				p.next = -1
				return g.offsets(c, []*stretch{p}, atEarliest, func(p *stretch, at int64) { p.next = at })
			default:
				return g.missed(p, a.Code)
			}
			return eachStored(a.Records, func(s *broker.Stored) error {
				if s.Last < p.next {
					return nil
				}
				if !s.Control {
					mu.Lock()
					err := s.Each(mostLetters, func(r *broker.Record) error {
						if r.Value != nil {
							o.take(r.Value)
						}
						return nil
					})
					mu.Unlock()
					if err != nil {
						return fault.New(fault.SinkRefused, "topic %s, partition %d, offset %d: %w", p.topic, p.id, s.First, err)
					}
				}
				p.next, moved = s.Last+1, true
				return nil
			})
		})
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.next >= p.until {
				p.close(p.until)
			}
		}
		list = slices.DeleteFunc(list, func(p *stretch) bool { return p.over })
		switch {
		case moved:
			quiet = time.Now()
		case time.Since(quiet) > silence && len(list) > 0:
			return fault.New(fault.SinkUnreachable, "topic %s, partition %d: nothing comes behind offset %d", list[0].topic, list[0].id, list[0].next)
		}
		if len(list) > 1 {
			list = append(list[1:], list[0])
		}
	}
	return ctx.Err()
}

// take takes in a record. What is no letter is somebody else's.
func (o letters) take(value []byte) {
	var l Letter
	if json.Unmarshal(value, &l) != nil || l.Txn() == "" || l.Table == "" {
		return
	}
	name := letterName{l.Txn(), l.Row, l.Sub}
	if l.Replayed != "" {
		delete(o, name)
		return
	}
	o[name] = &l
}
