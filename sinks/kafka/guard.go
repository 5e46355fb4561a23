package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
	"cdc/gtid"
)

// Settings of Config.ExactlyOnce.
const (
	onceAuto     = "auto"
	onceRequired = "required"
	onceOff      = "off"
)

// guard keeps records from being written twice over restarts. Before the first record of a topic it shuts out the process that wrote there before,
// sees what that has written behind the checkpoint, and gives the encoder the names of it.
//
//	old process   ... r7 r8 r9            r10 --> refused: its epoch is old
//	checkpoint          ^ floor
//	partition     ... r7 r8 r9 [abort]    r10
//	new process        |--read--|         r7 r8 r9 come again and are passed over; r10 is written
//
// The marker does both. It carries the new epoch of the producer that the transactional id has, so that the broker refuses whatever comes from an older
// one; and what lies before it is all that the old process has written, also what was under way in the network. No sequence number of an earlier run
// is used again: brokers take a late batch of the old process for the new one with the same numbers, and one of the two is lost.
//
// All but what is guarded by sender.mu belongs to the goroutine of the encoder.
type guard struct {
	s     *sender
	mode  string
	co    coordinator
	fresh bool
	state state     // of the checkpoint
	none  bool      // there was none
	base  *gtid.Set // the place at which the stream begins
	begun chan struct{}
	once  sync.Once
	since int64 // milliseconds since 1970 at which the oldest record was made that may come again; 0 where that is not known

	blind   bool // nothing is read back
	fenced  bool // own is the producer of the transactional id
	own     producer
	known   []int64 // producer ids of this stream
	names   *names
	reading int // how often names were found
	quiet   int // transactions since something was passed over
	why     []string

	// Guarded by sender.mu.
	covered map[string]covered
	frozen  bool   // names are left, so that floors stay where reading began
	cleared uint64 // the class in which the last one went
	said    string
}

// covered is what is known of a topic that was read back, by its partitions.
type covered struct{ from, ends []int64 }

// begin says that the stream begins, at a place.
func (g *guard) start(base *gtid.Set) {
	g.once.Do(func() {
		g.base = base
		close(g.begun)
	})
}

// open is called once before the first record.
func (g *guard) open(ctx context.Context) error {
	switch {
	case g.mode == onceOff:
		g.blind = true
		g.tell("off")
		return nil
	case !on(g.s.opt.Headers):
		g.blind = true
		g.degrade("headers is false: records have no names")
		g.tell(g.verdict())
		return nil
	}
	g.since = g.state.Since
	switch {
	case g.none && !g.fresh:
		g.degrade("the checkpoint does not say what was written: what lies behind it comes again")
	case g.state.Off:
		g.degrade("the last run was with exactly_once: off, or without headers")
		g.since = 0
	case !g.none && g.state.Version < stateVersion:
		g.degrade("the checkpoint is of an older version, which did not keep what this takes")
	}
	err := error(nil)
	if g.co.id != "" {
		err = g.join(ctx)
	} else {
		g.degrade("there is no transactional id")
	}
	if err != nil {
		if f := fatal(err); f == nil || g.mode == onceRequired || g.s.opt.Fence || f.Code == fault.SinkAccessDenied || f.Code == fault.SinkTLSVerify {
			return err
		}
		g.degrade("%s", short(err))
	}
	if err := g.recover(ctx); err != nil {
		return err
	}
	g.tell(g.verdict())
	return nil
}

// join gets the producer of the transactional id.
func (g *guard) join(ctx context.Context) error {
	var first time.Time
	err := g.s.stalls.persist(ctx, "transactional id", func() error {
		p, err := g.co.producer(ctx)
		if err == nil {
			g.own, g.fenced = p, true
			return nil
		}
		// Brokers that answer and have no coordinator for long are not going to: the topic of transactions cannot be made, as where there are fewer
		// brokers than it is to have replicas.
		if code := broker.ErrNone; errors.As(err, &code) && fatal(err) == nil && g.mode == onceAuto && !g.s.opt.Fence {
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) > g.s.opt.Patience {
				return fault.New(fault.SinkRefused, "%s (see transaction.state.log.replication.factor of the brokers)", short(err))
			}
		} else {
			first = time.Time{}
		}
		return err
	})
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if g.fenced {
		if n := len(g.s.ours); n > 0 && g.s.ours[n-1] != g.own.id {
			g.degrade("the producer of the transactional id is another one than that of the checkpoint: a process that still runs is not shut out")
		}
		g.s.idle = g.own
		g.s.note(g.own.id)
	}
	return err
}

// note remembers a producer id of this stream. The caller holds mu.
func (s *sender) note(id int64) {
	if i := slices.Index(s.ours, id); i >= 0 {
		s.ours = slices.Delete(s.ours, i, i+1)
	}
	s.ours = append(s.ours, id)
	const most = 16
	if n := len(s.ours); n > most {
		s.ours = slices.Delete(s.ours, 0, n-most)
	}
}

// degrade notes why records may be written twice.
func (g *guard) degrade(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(g.why, text) && len(g.why) < 4 {
		g.why = append(g.why, text)
	}
}

func (g *guard) verdict() string {
	if len(g.why) == 0 {
		return "verified"
	}
	return "degraded (" + strings.Join(g.why, "; ") + ")"
}

func (g *guard) tell(state string) {
	g.s.mu.Lock()
	was := g.said
	g.said = state
	g.s.mu.Unlock()
	if was != state {
		g.s.opt.Guarded(state)
	}
}

// ExactlyOnce says whether restarts write nothing twice: "verified", "degraded" with the reason in parentheses, "off", and nothing before that is known.
func (s *Sink) ExactlyOnce() string {
	s.send.mu.Lock()
	defer s.send.mu.Unlock()
	return s.send.guard.said
}

// recover covers all topics that the checkpoint knows, at once. Those that are gone or have no leader are left to whoever writes to them.
func (g *guard) recover(ctx context.Context) error {
	var names []string
	for name, o := range g.state.Topics {
		if o.any() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var list []*metadata.ResponseTopic
	for part := range slices.Chunk(names, chunk) {
		err := g.s.stalls.persist(ctx, "metadata", func() error {
			l, err := g.s.cluster.layout(ctx, part)
			if err != nil {
				return err
			}
			g.s.mu.Lock()
			g.s.brokers(l)
			g.s.mu.Unlock()
			for i := range l.topics {
				t := &l.topics[i]
				led := !slices.ContainsFunc(t.Partitions, func(p metadata.ResponsePartition) bool { return p.LeaderID < 0 || p.ErrorCode != 0 })
				if t.ErrorCode == 0 && led && g.state.Topics[t.Name].beyond(len(t.Partitions)) < 0 {
					list = append(list, t)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return g.cover(ctx, list)
}

// cover shuts out earlier processes from topics, and reads back what they have written there.
func (g *guard) cover(ctx context.Context, topics []*metadata.ResponseTopic) error {
	if g.blind || len(topics) == 0 {
		return nil
	}
	g.s.mu.Lock()
	g.known = slices.Clone(g.s.ours)
	g.s.mu.Unlock()
	var parts []*stretch
	all := map[string][]int32{}
	for _, t := range topics {
		held, there := g.state.Topics[t.Name]
		if n := len(held.Acked); there && n > 0 && len(t.Partitions) > n {
			g.degrade("topic %s has %d partitions and had %d: keys have moved", t.Name, len(t.Partitions), n)
		}
		for _, r := range t.Partitions {
			p := &stretch{topic: t.Name, id: r.PartitionIndex, leader: r.LeaderID, next: -1, until: -1, end: -1, high: -1}
			i := int(p.id)
			if i < len(held.Acked) {
				p.acked = held.Acked[i]
			}
			if i < len(held.Floors) {
				p.next, p.known = held.Floors[i], true
			}
			parts = append(parts, p)
			all[t.Name] = append(all[t.Name], p.id)
		}
	}
	slices.SortFunc(parts, func(a, b *stretch) int { return strings.Compare(a.topic, b.topic) })
	found := g.names
	if found == nil {
		found = &names{}
	}
	if err := g.begin(ctx, parts); err != nil {
		return err
	}
	if g.fenced {
		if err := g.fence(ctx, all, parts); err != nil {
			return err
		}
	}
	if err := g.read(ctx, parts, found); err != nil {
		return err
	}
	if slices.ContainsFunc(parts, func(p *stretch) bool { return p.deny }) {
		g.degrade("the account may not read its topics (%s), so that what was written there cannot be seen", g.s.cluster.allow("TOPIC", "Read"))
	}
	if i := slices.IndexFunc(parts, func(p *stretch) bool { return p.gaps }); i >= 0 {
		g.degrade("topic %s was compacted since: records that are gone for a later one of their key are not written again", parts[i].topic)
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for _, t := range topics {
		c := covered{make([]int64, len(t.Partitions)), make([]int64, len(t.Partitions))}
		for _, p := range parts {
			if p.topic == t.Name && int(p.id) < len(c.ends) {
				c.from[p.id], c.ends[p.id] = max(p.from, 0), max(p.end, p.acked)
			}
		}
		g.covered[t.Name] = c
	}
	if !found.empty() {
		g.names, g.frozen = found, true
		g.reading++
	}
	return nil
}

// fence has a marker written into partitions: a transaction with nothing in it, that is aborted.
func (g *guard) fence(ctx context.Context, topics map[string][]int32, parts []*stretch) error {
	lost := map[string]time.Time{}
	err := g.s.stalls.persist(ctx, "transaction", func() error {
		for len(topics) > 0 {
			bad, err := g.co.add(ctx, g.own, topics)
			if err != nil {
				return err
			}
			if len(bad) == 0 {
				return g.co.abort(ctx, g.own)
			}
			for name, code := range bad {
				if lost[name].IsZero() {
					lost[name] = time.Now()
				}
				if code == broker.ErrUnknownTopic && time.Since(lost[name]) < g.s.opt.Gone {
					return fault.New(fault.SinkUnreachable, "begin a transaction in topic %s: %w", name, code)
				}
				// Who writes to it will say what is wrong with it.
				delete(topics, name)
				for _, p := range parts {
					if p.topic == name {
						p.over = true
					}
				}
			}
		}
		return nil
	})
	return err
}

// ready covers a topic before its first record, unless that was done at the start.
func (g *guard) ready(ctx context.Context, t *metadata.ResponseTopic) error {
	g.s.mu.Lock()
	c, ok := g.covered[t.Name]
	g.s.mu.Unlock()
	if g.blind || ok && len(c.ends) == len(t.Partitions) {
		return nil
	}
	if err := g.cover(ctx, []*metadata.ResponseTopic{t}); err != nil {
		return err
	}
	if g.said != "" { // what was added here came later
		g.tell(g.verdict())
	}
	return nil
}

// mostQuiet is how many transactions may pass without one that an earlier run has written, before what is left of those counts as gone: a source
// that took over may lack them.
const mostQuiet = 1 << 20

// ended forgets a transaction that has come whole, in a batch of a class.
func (g *guard) ended(name []byte, keep string, class uint64) {
	if g.quiet++; len(name) > 0 {
		g.names.forget(name, keep)
	}
	if g.names.empty() || g.quiet > mostQuiet {
		g.names = nil
		g.s.mu.Lock()
		g.frozen, g.cleared = false, class
		g.s.mu.Unlock()
	}
}

// remind has the brokers see the transactional id, which they forget where nothing is done with it for a week, and with it whom to shut out. What
// goes wrong is left to the next time, but for being shut out.
func (g *guard) remind(ctx context.Context) error {
	if !g.fenced {
		return nil
	}
	var at map[string][]int32
	g.s.mu.Lock()
	for name := range g.s.topics {
		at = map[string][]int32{name: {0}}
		break
	}
	g.s.mu.Unlock()
	if at == nil {
		return nil
	}
	bad, err := g.co.add(ctx, g.own, at)
	if code := broker.ErrNone; err != nil && errors.As(err, &code) || len(bad) > 0 { // nothing was begun
		if fault.Has(err, fault.SinkFenced) {
			return err
		}
		return nil
	}
	// It may have begun. Left open it would be ended by the brokers, and this process shut out.
	return g.fence(ctx, at, nil)
}

// close ends the connection to the coordinator.
func (g *guard) close() { g.co.hangUp() }
