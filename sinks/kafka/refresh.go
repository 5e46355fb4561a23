package kafka

import (
	"context"
	"time"

	"cdc/broker"
	"cdc/fault"
)

// quiet is the shortest time between two questions for metadata.
const quiet = 100 * time.Millisecond

// follow keeps the leaders of partitions up to date. Metadata is asked for when something failed, not by the clock.
func (s *sender) follow(ctx context.Context) {
	for {
		select {
		case <-s.kick:
		case <-ctx.Done():
			return
		}
		var whole bool
		err := s.stalls.persist(ctx, "metadata", func() error {
			var err error
			whole, err = s.update(ctx)
			return err
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.fail(err)
			return
		}
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			return
		}
		if !whole {
			s.refresh()
		}
	}
}

// update asks for the leaders of all partitions. whole says that each has one.
func (s *sender) update(ctx context.Context) (whole bool, err error) {
	s.mu.Lock()
	names := make([]string, 0, len(s.topics))
	for name := range s.topics {
		names = append(names, name)
	}
	s.mu.Unlock()
	if len(names) == 0 {
		return true, nil
	}
	l, err := s.cluster.layout(ctx, names)
	if err != nil {
		return false, err
	}
	whole = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.brokers(l)
	for i := range l.topics {
		r := &l.topics[i]
		t := s.topics[r.Name]
		if t == nil {
			continue
		}
		switch code := broker.Error(r.ErrorCode); {
		case code == broker.ErrUnknownTopic:
			// A broker that has just started may not know a topic for a moment.
			whole = false
			if t.missing.IsZero() {
				t.missing = time.Now()
			}
			if time.Since(t.missing) >= s.opt.Gone {
				return false, fault.New(fault.SinkTopicGone, "topic %s was deleted while it was written to", t.name)
			}
			continue
		case code == broker.ErrTopicAuthorization:
			return false, refused(code, "see topic "+t.name, "").Hint("%s", s.cluster.allow(t.name, "Write", "Describe"))
		case code != broker.ErrNone:
			whole = false
			continue
		}
		t.missing = time.Time{}
		for _, p := range r.Partitions {
			if int(p.PartitionIndex) < len(t.partitions) && !s.lead(t.partitions[p.PartitionIndex], p.LeaderID) {
				whole = false
			}
		}
	}
	return whole, nil
}

// brokers notes the addresses of the brokers. The caller holds mu.
func (s *sender) brokers(l *layout) {
	for id, addr := range l.brokers {
		s.addrs[id] = addr
		if k := s.links[id]; k != nil {
			k.addr = addr
		}
	}
}

// lead gives a partition to the link of its leader; it says whether it has one. The caller holds mu.
func (s *sender) lead(p *partition, broker int32) bool {
	addr, ok := s.addrs[broker]
	if broker < 0 || !ok {
		return false
	}
	l := s.links[broker]
	if l == nil {
		l = &link{s: s, id: broker, addr: addr, wake: make(chan struct{}, 1)}
		s.links[broker] = l
		if !s.closed {
			s.wg.Go(func() { l.run(s.ctx) })
		}
	}
	old := p.link
	if old == l {
		return true
	}
	if old != nil && p.offered {
		for i, q := range old.ready {
			if q == p {
				old.ready = append(old.ready[:i], old.ready[i+1:]...)
				break
			}
		}
		p.offered = false
	}
	for _, b := range p.queue {
		if !b.taken {
			l.waiting++
			if old != nil {
				old.waiting--
			}
		}
	}
	p.link = l
	s.offer(p)
	return true
}

// lookup gives a topic, which is made where it does not exist and may be.
func (s *sender) lookup(ctx context.Context, want newTopic) (*topic, error) {
	s.mu.Lock()
	t := s.topics[want.name]
	s.mu.Unlock()
	if t != nil {
		return t, nil
	}
	err := s.stalls.persist(ctx, "topic "+want.name, func() error {
		var err error
		t, err = s.find(ctx, want)
		return err
	})
	return t, err
}

// find is one try of lookup.
func (s *sender) find(ctx context.Context, want newTopic) (*topic, error) {
	l, err := s.cluster.layout(ctx, []string{want.name})
	if err != nil {
		return nil, err
	}
	if len(l.topics) != 1 {
		return nil, fault.New(fault.SinkUnreachable, "the brokers say nothing about topic %s", want.name)
	}
	r := &l.topics[0]
	if broker.Error(r.ErrorCode) == broker.ErrUnknownTopic {
		if err := s.lost(want.name); err != nil {
			return nil, err
		}
	}
	switch code := broker.Error(r.ErrorCode); {
	case code == broker.ErrUnknownTopic && !on(s.opt.Create):
		return nil, fault.New(fault.SinkTopicMissing, "the topic %s does not exist, and create is false", want.name).Hint("%s", s.cluster.command(want))
	case code == broker.ErrUnknownTopic:
		if err := s.cluster.create(ctx, l, want); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.SinkUnreachable, "the topic %s was just created", want.name)
	case passing(code):
		return nil, fault.New(fault.SinkUnreachable, "see topic %s: %w", want.name, code)
	case code == broker.ErrTopicAuthorization:
		return nil, refused(code, "see topic "+want.name, "").Hint("%s", s.cluster.allow(want.name, "Write", "Describe"))
	case code != broker.ErrNone:
		return nil, refused(code, "see topic "+want.name, "")
	case len(r.Partitions) == 0:
		return nil, fault.New(fault.SinkUnreachable, "topic %s has no partitions yet", want.name)
	}
	limit, err := s.limit(ctx, want.name)
	if err != nil {
		return nil, err
	}
	t := &topic{name: want.name, limit: limit, batch: min(int(s.opt.Batch), limit)}
	s.mu.Lock()
	s.brokers(l)
	held := s.held[want.name]
	s.mu.Unlock()
	if far := held.beyond(len(r.Partitions)); far >= 0 {
		return nil, fault.New(fault.SinkTopicGone, "topic %s was made anew: records were written to partition %d, and it has %d partition(s)", want.name, far, len(r.Partitions))
	}
	if err := s.guard.ready(ctx, r); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.guard.covered[want.name]
	for i := range r.Partitions {
		p := &partition{topic: t, id: int32(i), producer: producer{id: -1}}
		if i < len(held.Acked) {
			p.acked = held.Acked[i]
		}
		if i < len(seen.ends) {
			p.from, p.end = seen.from[i], seen.ends[i]
		}
		t.partitions = append(t.partitions, p)
	}
	s.topics[t.name] = t
	for _, p := range r.Partitions {
		if int(p.PartitionIndex) >= len(t.partitions) || p.PartitionIndex < 0 {
			return nil, fault.New(fault.SinkRefused, "topic %s: partition %d of %d", t.name, p.PartitionIndex, len(t.partitions))
		}
		if !s.lead(t.partitions[p.PartitionIndex], p.LeaderID) {
			s.refresh()
		}
	}
	return t, nil
}

// defaultLimit is Kafka's default for max.message.bytes.
const defaultLimit = 1<<20 + 12

// limit gives the size of the largest record batch that a topic takes.
func (s *sender) limit(ctx context.Context, topic string) (int, error) {
	if s.opt.MaxRecord > 0 {
		return int(s.opt.MaxRecord), nil
	}
	values, err := s.cluster.configs(ctx, []string{topic}, []string{"max.message.bytes"})
	if err != nil {
		return 0, err
	}
	return atoi(values[topic]["max.message.bytes"], defaultLimit), nil
}
