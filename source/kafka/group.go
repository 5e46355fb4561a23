package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"cdc/broker"
	"cdc/fault"
	"cdc/gtid"
)

// GroupOptions are those of a member of a group.
type GroupOptions struct {
	Config
	// Streams are the names of all streams that read the topics. What all of them have acknowledged is committed.
	Streams []string
	// Take is called with the numbers, from 1, of the shares that this member has from now on.
	Take func(shares []int)
	// Give is called when they may go to others, and returns when nothing of them is read or written any more. It has Patience for that.
	Give func()
	Log  *slog.Logger
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Group is a member of a consumer group. It does not read: it says which shares a process has, and until when, and commits how far they were read.
//
// A generation of the group is the time between two divisions of the work. It ends, for all members, when one comes, goes or has been silent for too
// long; each gives up all that it has before it joins the next one, in which most keep what they had.
//
//	member 1   take 1,2 ........ give | take 1,2 ......
//	member 2   take 3,4 .. (killed)   |
//	member 3                          | take 3,4 ......
//	                     ^ silent for SessionTimeout
//
// The group keeps two living members apart. It cannot keep off one that does not know yet that it was taken for dead: that is the part of the sinks, each
// of which has a lock, or a number that rises, on the place of a share.
type Group struct {
	o      GroupOptions
	source *Source // asks, and never reads

	mu    sync.Mutex
	held  []int                          // the present ones, or those of the last generation
	known map[gtid.UUID]numbered         // partitions, by their names in places
	acked map[numbered]map[string]int64  // what a stream has acknowledged of one: the next offset
	told  map[string]map[int32]committed // what was committed in this generation
	err   error                          // why there is no generation
	ids   struct {
		generation int32
		member     string
	} // of the generation
}

// numbered is a partition.
type numbered struct {
	topic string
	id    int32
	of    int // partitions of the topic
}

// OpenGroup prepares a member. It asks nobody yet.
func OpenGroup(o GroupOptions) (*Group, error) {
	own := o.Group.WithDefaults()
	o.Group = &own
	s, err := opened(Options{Config: o.Config, Log: o.Log, Dial: o.Dial})
	if err != nil {
		return nil, err
	}
	o.Config, o.Log, o.Dial = s.o.Config, s.o.Log, s.o.Dial
	return &Group{o: o, source: s, acked: map[numbered]map[string]int64{}}, nil
}

// Patience is how long Give may take before others are given the shares all the same.
func (g *Group) Patience() time.Duration { return g.o.Group.patience() }

// Err says why there is no share to be had at present; nil in a generation.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Run takes and gives up shares until ctx ends. It returns an error where the group cannot be joined for a reason that does not go away.
func (g *Group) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		topics, err := g.look(ctx)
		if err == nil {
			err = g.member(ctx, topics)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if g.failed(err); fault.ClassOf(err) != fault.Retry {
			return err
		}
		pause(ctx, time.Second)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// failed notes why there is no generation.
func (g *Group) failed(err error) {
	g.mu.Lock()
	was := g.err
	g.err = err
	g.mu.Unlock()
	if was == nil || was.Error() != err.Error() {
		g.o.Log.Warn("the consumer group cannot be joined at present", "group", g.o.Group.Name, "error", err)
	}
}

// look asks for the topics, and notes their partitions.
func (g *Group) look(ctx context.Context) (map[string]int, error) {
	l, err := g.source.layout(ctx)
	if err != nil {
		return nil, err
	}
	if len(l.parts) == 0 {
		return nil, fault.New(fault.SourceTopicUnavailable, "no topic has a name like %s yet", strings.Join(g.o.Topics, ", "))
	}
	topics, known := map[string]int{}, map[gtid.UUID]numbered{}
	for _, p := range l.parts {
		topics[p.topic] = p.of
		known[p.uuid] = numbered{p.topic, p.id, p.of}
	}
	g.mu.Lock()
	g.known = known
	g.mu.Unlock()
	return topics, nil
}

// member is one until ctx ends, or there are other topics or partitions.
func (g *Group) member(ctx context.Context, topics map[string]int) error {
	brokers := make([]string, 0, len(g.o.Brokers))
	for _, b := range g.o.Brokers {
		brokers = append(brokers, broker.WithPort(b))
	}
	dialer := &kafkago.Dialer{ClientID: g.o.ClientID, Timeout: g.o.ConnectTimeout, TLS: g.source.dialer.TLS, DialFunc: g.o.Dial}
	if g.o.SASL.Mechanism != "" {
		dialer.SASLMechanism = login{&g.o.SASL}
	}
	session := g.o.Group.SessionTimeout
	cg, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: g.o.Group.Name, Brokers: brokers, Dialer: dialer, Topics: slices.Sorted(maps.Keys(topics)),
		GroupBalancers:    []kafkago.GroupBalancer{balancer{g.o.Group.Shares, g.shares}},
		SessionTimeout:    session,
		RebalanceTimeout:  session,                     // others wait no longer for one that does not give up what it has
		HeartbeatInterval: min(session/5, time.Second), // by which members learn that another one has come
		JoinGroupBackoff:  time.Second,
		Timeout:           session / 3,
		ErrorLogger: kafkago.LoggerFunc(func(f string, args ...any) {
			g.o.Log.Debug("consumer group", "text", strings.TrimSpace(fmt.Sprintf(f, args...)))
		}),
	})
	if err != nil {
		return fault.New(fault.ConfigInvalid, "source.kafka.group: %w", err)
	}
	other := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { g.watch(watching, topics, other) })
	defer wg.Wait()
	defer stop()
	// Closing tells the generation to end, waits until its shares are given up, and leaves the group, so that others need not wait for the session's end.
	defer cg.Close()
	joining, end := context.WithCancel(ctx)
	defer end()
	wg.Go(func() {
		select {
		case <-other:
			end()
		case <-joining.Done():
		}
	})
	for {
		gen, err := cg.Next(joining)
		switch {
		case joining.Err() != nil:
			return nil
		case errors.Is(err, kafkago.RebalanceInProgress):
			continue // another one has come while this one joined
		case err != nil:
			if err = g.refused(err); fault.ClassOf(err) != fault.Retry {
				return err
			}
			g.failed(err)
			continue
		}
		gen.Start(func(life context.Context) { g.generation(life, gen) })
	}
}

// refused sorts the errors of joining.
func (g *Group) refused(err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	k, ok := errors.AsType[kafkago.Error](err)
	switch {
	case ok && k == kafkago.GroupAuthorizationFailed:
		return fault.New(fault.SourceGrantMissing, "the account may not join the group %s", g.o.Group.Name).Hint("%s", g.o.Group.grant(g.o.Brokers[0], g.o.user()))
	case ok && (k == kafkago.InconsistentGroupProtocol || k == kafkago.InvalidGroupId || k == kafkago.InvalidSessionTimeout):
		return fault.New(fault.SourceGroup, "the group %s: %s", g.o.Group.Name, k.Title())
	}
	return fault.New(fault.SourceUnreachable, "join the group %s: %s", g.o.Group.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// user is the account's name.
func (c *Config) user() string {
	if c.SASL.User == "" {
		return "ANONYMOUS"
	}
	return c.SASL.User
}

// watch looks now and then whether there are other topics or partitions.
func (g *Group) watch(ctx context.Context, topics map[string]int, other chan<- struct{}) {
	for {
		pause(ctx, g.source.o.Refresh)
		if ctx.Err() != nil {
			return
		}
		if now, err := g.look(ctx); err == nil && !maps.Equal(now, topics) {
			g.o.Log.Info("topics or partitions have come or gone: the shares are divided anew", "group", g.o.Group.Name)
			close(other)
			return
		}
	}
}

// generation has its shares for as long as life lasts.
func (g *Group) generation(life context.Context, gen *kafkago.Generation) {
	if life.Err() != nil {
		return // it was over before it began
	}
	of, own := g.o.Group.Shares, map[int]bool{}
	for _, list := range gen.Assignments {
		for _, p := range list {
			own[shareOf(p.ID, of)] = true
		}
	}
	shares := slices.Sorted(maps.Keys(own))
	g.mu.Lock()
	g.held, g.err = shares, nil
	g.ids.generation, g.ids.member = gen.ID, gen.MemberID
	clear(g.acked)
	g.told = map[string]map[int32]committed{}
	g.mu.Unlock()
	g.o.Log.Info("shares are taken", "group", g.o.Group.Name, "generation", gen.ID, "shares", words(shares))
	g.o.Take(shares)
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := g.commit(life); err != nil && life.Err() == nil {
				g.o.Log.Debug("offsets could not be committed", "error", err)
			}
			continue
		case <-life.Done():
		}
		break
	}
	began := time.Now()
	g.o.Give()
	last, cancel := context.WithTimeout(context.Background(), g.o.Group.SessionTimeout/5)
	defer cancel()
	if err := g.commit(last); err != nil {
		g.o.Log.Debug("offsets could not be committed", "error", err)
	}
	g.o.Log.Info("shares are given up", "group", g.o.Group.Name, "generation", gen.ID, "shares", words(shares), "took", time.Since(began).Round(time.Millisecond))
}

// shares are those that this member has, or had last.
func (g *Group) shares() []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

func words(list []int) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = strconv.Itoa(n)
	}
	return strings.Join(out, ",")
}

// login has the password read at each login.
type login struct{ sasl *broker.SASL }

func (l login) Name() string { return l.sasl.Mechanism }

func (l login) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	m, err := l.sasl.Login()
	if err != nil {
		return nil, nil, err
	}
	return m.Start(ctx)
}

// Single reports that there is one partition in all, as far as is known.
func (g *Group) Single() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.known) == 1
}
