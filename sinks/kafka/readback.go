package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"cdc/broker"
	"cdc/fault"
)

// stretch is what is read back of a partition: from next to the marker that this process had written there, or, where there is none, to until.
type stretch struct {
	topic  string
	id     int32
	leader int32
	acked  int64 // the offset behind what was acknowledged in earlier runs
	known  bool  // next was in the checkpoint
	next   int64 // -1 where it is not known yet
	from   int64 // next as it was at first
	until  int64 // -1 for up to the marker
	end    int64 // behind the last offset that is read; -1 while it is not
	high   int64 // where it ended before this process wrote to it; -1 where that was not asked

	lost time.Time // since when the brokers do not know the topic
	over bool      // nothing more is to be read
	gaps bool      // compaction took records of it
	deny bool      // since the account may not read it
}

// locate gives each stretch the leader that it has now. What the brokers do not know for long is gone: that is for those to say who write to it.
func (g *guard) locate(ctx context.Context, parts []*stretch) error {
	var names []string
	for _, p := range parts {
		if !p.over && (len(names) == 0 || names[len(names)-1] != p.topic) {
			names = append(names, p.topic)
		}
	}
	slices.Sort(names)
	for some := range slices.Chunk(slices.Compact(names), chunk) {
		l, err := g.s.cluster.layout(ctx, some)
		if err != nil {
			return err
		}
		g.s.mu.Lock()
		g.s.brokers(l)
		g.s.mu.Unlock()
		leaders, unknown := map[string]map[int32]int32{}, map[string]bool{}
		for i := range l.topics {
			t := &l.topics[i]
			unknown[t.Name] = broker.Error(t.ErrorCode) == broker.ErrUnknownTopic
			of := make(map[int32]int32, len(t.Partitions))
			for _, p := range t.Partitions {
				of[p.PartitionIndex] = p.LeaderID
			}
			leaders[t.Name] = of
		}
		for _, p := range parts {
			if of := leaders[p.topic]; of != nil {
				if id, ok := of[p.id]; ok {
					p.leader = id
				}
			}
			switch {
			case !unknown[p.topic]:
				p.lost = time.Time{}
			case p.lost.IsZero():
				p.lost = time.Now()
			case time.Since(p.lost) > g.s.opt.Gone:
				p.over = true
			}
		}
	}
	return nil
}

// each has do work on the stretches that are open, side by side at their leaders, again and again until none is. Leaders are asked for anew in
// between. who is named where that takes long.
func (g *guard) each(ctx context.Context, who string, parts []*stretch, open func(*stretch) bool, do func(context.Context, *conn, []*stretch) error) error {
	last := len(parts) + 1
	for n := 1; ; n++ {
		byLeader := map[int32][]*stretch{}
		left := 0
		for _, p := range parts {
			if !p.over && open(p) {
				byLeader[p.leader] = append(byLeader[p.leader], p)
				left++
			}
		}
		if left == 0 {
			g.s.stalls.over(who)
			return nil
		}
		if left < last {
			n = 1
		}
		last = left
		err := g.round(ctx, byLeader, do)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f := fatal(err); f != nil {
			return f
		}
		if n > 4 {
			g.s.stalls.begin(who, cmp.Or(err, error(fault.New(fault.SinkUnreachable, "%s: %d partitions are left", who, left))))
		}
		if n > 1 || err != nil {
			select {
			case <-time.After(backoff(n)):
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := g.locate(ctx, parts); err != nil && fatal(err) != nil {
				return err
			}
		}
	}
}

// round is one try of each, at all leaders.
func (g *guard) round(ctx context.Context, byLeader map[int32][]*stretch, do func(context.Context, *conn, []*stretch) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for leader, parts := range byLeader {
		wg.Go(func() {
			g.s.mu.Lock()
			addr, ok := g.s.addrs[leader]
			g.s.mu.Unlock()
			err := error(fault.New(fault.SinkUnreachable, "topic %s, partition %d has no leader", parts[0].topic, parts[0].id))
			if ok && leader >= 0 {
				var c *conn
				if c, err = g.s.cluster.dialer.dial(ctx, addr); err == nil {
					err = do(ctx, c, parts)
					c.close()
				}
				if _, coded := fault.As(err); err != nil && !coded {
					err = g.s.cluster.unreachable(addr, err)
				}
			}
			if err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if f := fatal(err); f != nil {
			return f
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// Times that stand for the ends of a partition.
const (
	atLatest   = -1
	atEarliest = -2
)

// offsets asks a leader for the offsets of a time, and gives them to set; -1 where there is nothing as late.
func (g *guard) offsets(c *conn, parts []*stretch, at int64, set func(*stretch, int64)) error {
	req := &listoffsets.Request{ReplicaID: -1}
	find := map[string]map[int32]*stretch{}
	for _, p := range parts {
		if find[p.topic] == nil {
			find[p.topic] = map[int32]*stretch{}
			req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: p.topic})
		}
		find[p.topic][p.id] = p
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, listoffsets.RequestPartition{Partition: p.id, CurrentLeaderEpoch: -1, Timestamp: at})
	}
	res, err := c.Ask(req, g.s.opt.RequestTimeout)
	if err != nil {
		return err
	}
	m, ok := res.(*listoffsets.Response)
	if !ok {
		return fmt.Errorf("the answer is a %T", res)
	}
	var open error
	for _, t := range m.Topics {
		for _, r := range t.Partitions {
			p := find[t.Topic][r.Partition]
			if p == nil {
				continue
			}
			switch code := broker.Error(r.ErrorCode); {
			case code == broker.ErrNone:
				set(p, r.Offset)
			default:
				if err := g.missed(p, code); err != nil {
					open = err
				}
			}
		}
	}
	return open
}

// missed handles the code of a stretch that cannot be read now. Its error is that of the whole where it does not pass.
func (g *guard) missed(p *stretch, code broker.Error) error {
	switch {
	case code == broker.ErrTopicAuthorization:
		f := refused(code, "read topic "+p.topic+", as it must to see what an earlier run has written", "").Hint("%s", g.s.cluster.allow(p.topic, "Read"))
		if g.mode == onceRequired {
			return f
		}
		p.over, p.deny = true, true
		return nil
	case passing(code), code == broker.ErrOffsetNotAvailable:
		return fault.New(fault.SinkUnreachable, "read topic %s, partition %d: %w", p.topic, p.id, code)
	}
	return refused(code, fmt.Sprintf("read topic %s, partition %d", p.topic, p.id), "")
}

// begin settles where the stretches begin that the checkpoint does not know: at the first record that an earlier run may have written there, by its
// time, else at the end. Without a marker to come it settles where all end.
func (g *guard) begin(ctx context.Context, parts []*stretch) error {
	if g.since > 0 {
		unknown := func(p *stretch) bool { return !p.known && p.next < 0 && p.from != atLatest }
		for _, p := range parts {
			p.from = 0
		}
		err := g.each(ctx, "find what an earlier run has written", parts, unknown, func(_ context.Context, c *conn, list []*stretch) error {
			return g.offsets(c, list, g.since-margin.Milliseconds(), func(p *stretch, o int64) {
				if p.next = o; o < 0 {
					p.from = atLatest
				}
			})
		})
		if err != nil {
			return err
		}
	}
	// Of a topic that was made anew the marker may lie before what is read.
	unasked := func(p *stretch) bool { return p.acked > 0 && p.high < 0 }
	err := g.each(ctx, "find the ends of partitions", parts, unasked, func(_ context.Context, c *conn, list []*stretch) error {
		return g.offsets(c, list, atLatest, func(p *stretch, o int64) { p.high = o })
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.high >= 0 && p.high < p.acked {
			return p.gone(p.high)
		}
	}
	unset := func(p *stretch) bool { return p.next < 0 }
	err = g.each(ctx, "find the ends of partitions", parts, unset, func(_ context.Context, c *conn, list []*stretch) error {
		return g.offsets(c, list, atLatest, func(p *stretch, o int64) { p.next = o })
	})
	if err == nil && !g.fenced {
		unset = func(p *stretch) bool { return p.until < 0 }
		err = g.each(ctx, "find the ends of partitions", parts, unset, func(_ context.Context, c *conn, list []*stretch) error {
			return g.offsets(c, list, atLatest, func(p *stretch, o int64) { p.until = o })
		})
	}
	for _, p := range parts {
		p.from = p.next
	}
	return err
}

// margin is how much earlier than the clock of the last run said records are looked for, for the case that it was set.
const margin = time.Hour

// read reads the stretches.
func (g *guard) read(ctx context.Context, parts []*stretch, found *names) error {
	var mu sync.Mutex // of found
	for _, p := range parts {
		if !p.over && p.until >= 0 && p.next >= p.until {
			p.close(p.until)
		}
	}
	open := func(p *stretch) bool { return !p.over }
	err := g.each(ctx, "read what an earlier run has written", parts, open, func(ctx context.Context, c *conn, list []*stretch) error {
		r := &collector{g: g, found: found, mu: &mu, sieve: sieve{done: g.base}}
		return r.read(ctx, c, slices.Clone(list))
	})
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.end >= 0 && p.end < p.acked {
			return p.gone(p.end)
		}
	}
	return nil
}

func (p *stretch) close(end int64) { p.over, p.end = true, end }

// gone is the fault of a partition that ends before what had been written.
func (p *stretch) gone(end int64) error {
	return fault.New(fault.SinkTopicGone, "topic %s, partition %d: it ends at offset %d, and offsets up to %d had been written before", p.topic, p.id, end, max(p.next, p.acked)-1)
}

// collector reads stretches of one leader.
type collector struct {
	g      *guard
	found  *names
	mu     *sync.Mutex
	sieve  sieve
	reader reader
}

// silence is how long the answers may bring nothing before the leaders are asked for again.
const silence = 5 * time.Second

// read reads until all is read, or an error.
func (r *collector) read(ctx context.Context, c *conn, list []*stretch) error {
	quiet := time.Now()
	for len(list) > 0 {
		answer, err := c.fetch(list, 200*time.Millisecond, r.g.s.opt.RequestTimeout)
		if err != nil {
			return err
		}
		find := make(map[string]map[int32]*stretch, 1)
		for _, p := range list {
			if find[p.topic] == nil {
				find[p.topic] = map[int32]*stretch{}
			}
			find[p.topic][p.id] = p
		}
		var missed error
		moved := false
		err = each(answer, func(a *broker.Fetched) error {
			p := find[a.Topic][a.Partition]
			if p == nil || p.over {
				return nil
			}
			switch a.Code {
			case broker.ErrNone:
			case broker.ErrOffsetOutOfRange:
				return r.g.outside(c, p)
			default:
				missed = errors.Join(missed, r.g.missed(p, a.Code))
				return nil
			}
			before := p.next
			err := eachStored(a.Records, func(s *broker.Stored) error { return r.batch(p, s) })
			moved = moved || p.next > before || p.over
			return err
		})
		if err == nil {
			err = missed
		}
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(p *stretch) bool { return p.over })
		switch {
		case moved:
			quiet = time.Now()
		case time.Since(quiet) > silence && len(list) > 0:
			return fault.New(fault.SinkUnreachable, "topic %s, partition %d: nothing comes behind offset %d", list[0].topic, list[0].id, list[0].next)
		}
		if len(list) > 1 { // so that each comes first once: the first is answered with a whole batch, however large
			list = append(list[1:], list[0])
		}
	}
	return ctx.Err()
}

// batch takes in a record batch.
func (r *collector) batch(p *stretch, s *broker.Stored) error {
	if p.over || s.Last < p.next {
		return nil
	}
	// Only compaction leaves gaps. What it takes is older than a record of the same key that stays, which so lies behind the gap.
	p.gaps = p.gaps || s.First > p.next || int64(s.Count) != s.Last-s.First+1
	switch own := r.g.own; {
	case s.Control && r.g.fenced && s.Producer == own.id && s.Epoch == own.epoch:
		p.close(s.Last + 1)
	case !s.Control && slices.Contains(r.g.known, s.Producer):
		r.mu.Lock()
		err := r.reader.each(s, func(l label) {
			if r.sieve.passes(l.txn) {
				key := r.g.keyIn(l.key, p.id)
				if !p.gaps {
					key = 0
				}
				r.found.add(p.topic, l.txn, l.row, l.sub, key)
			}
		})
		r.mu.Unlock()
		if err != nil {
			return fault.New(fault.SinkRefused, "topic %s, partition %d, offset %d: %w", p.topic, p.id, s.First, err)
		}
	}
	if p.next = s.Last + 1; p.until >= 0 && p.next >= p.until && !p.over {
		p.close(p.until)
	}
	return nil
}

// outside handles a stretch that begins where the partition has nothing: what it had there went by age or size, or, where the partition ends before
// that, is lost.
func (g *guard) outside(c *conn, p *stretch) error {
	first, end := int64(-1), int64(-1)
	one := []*stretch{p}
	if err := g.offsets(c, one, atEarliest, func(_ *stretch, o int64) { first = o }); err != nil {
		return err
	}
	if err := g.offsets(c, one, atLatest, func(_ *stretch, o int64) { end = o }); err != nil {
		return err
	}
	switch {
	case p.over:
	case p.next > end:
		return p.gone(end)
	case p.next < first:
		p.next = first
		if p.until >= 0 && p.next >= p.until {
			p.close(p.until)
		}
	}
	return nil
}
