package topic

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"cdc/broker"
	"cdc/fault"
)

// ElectOptions are those of a candidate.
type ElectOptions struct {
	Options        // of the topic, whose only partition belongs to the owner
	Group   string // the consumer group of all candidates
	// Session is how long the group waits for a sign of life before it gives the ownership to another; 10 s where 0.
	Session time.Duration
	// StandsBy, if set, is called when another process is the owner, once until this one has been it.
	StandsBy func()
	Log      *slog.Logger
}

// Tenure is the time in which this process is the owner.
type Tenure struct {
	group *kafkago.ConsumerGroup
	owns  *atomic.Int64 // see sticky
	lost  chan struct{}
	once  sync.Once
	end   context.CancelFunc
	done  chan struct{}
}

// Elect waits until this process is the owner: the member of the group that has the topic's partition. It makes the topic where there is none. It returns
// ctx.Err() when that is canceled, and else faults: StateTopic, or StateUnreachable where the brokers have not answered for as long as the options have
// patience, and this process was not told yet that another is the owner.
//
// The group keeps living processes apart and finds the dead. It does not keep off one that does not know yet that it was taken for dead: Open does.
//
//	A  owner ......... stands still ............... goes on: its save is refused, StateFenced
//	B  stands by ......... Session passes | Elect, Open shuts A out, reads, begins
func Elect(ctx context.Context, o ElectOptions) (*Tenure, error) {
	o.Options = o.withDefaults()
	if o.Session == 0 {
		o.Session = defaultSession
	}
	if o.StandsBy == nil {
		o.StandsBy = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &log{o: &o.Options, producer: -1, epoch: -1}
	err := l.again(ctx, l.connect) // makes the topic, and says what is wrong with the login
	l.hangUp()
	if err != nil {
		return nil, err
	}
	login, err := o.Dialer.SASL.Login()
	if err != nil {
		return nil, err
	}
	owns := &atomic.Int64{}
	brokers := make([]string, len(o.Brokers))
	for i, b := range o.Brokers {
		brokers[i] = broker.WithPort(b)
	}
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: o.Group, Brokers: brokers, Topics: []string{o.Topic}, GroupBalancers: []kafkago.GroupBalancer{sticky{owns}},
		Dialer:            &kafkago.Dialer{ClientID: o.Dialer.ClientID, Timeout: o.Dialer.ConnectTimeout, TLS: o.Dialer.TLS, SASLMechanism: login, DialFunc: o.Dialer.Net},
		HeartbeatInterval: o.Session / 10, SessionTimeout: o.Session, RebalanceTimeout: o.Session, JoinGroupBackoff: o.Session / 20, Timeout: o.Session / 3,
	})
	if err != nil {
		return nil, fault.New(fault.StateTopic, "group %s: %w", o.Group, err)
	}
	told := false
	var failing time.Time // since when, with nothing good in between
	for {
		g, err := group.Next(ctx)
		switch {
		case err == nil && len(g.Assignments[o.Topic]) > 0:
			owns.Store(int64(g.ID) + 1)
			t := &Tenure{group: group, owns: owns, lost: make(chan struct{}), done: make(chan struct{})}
			var life context.Context
			life, t.end = context.WithCancel(context.WithoutCancel(ctx))
			go t.watch(life, g, o)
			return t, nil
		case err == nil:
			if !told {
				told = true
				o.StandsBy()
			}
			continue
		case ctx.Err() != nil:
			group.Close()
			return nil, ctx.Err()
		}
		o.Log.Debug("the group does not let this process in", "group", o.Group, "error", err)
		if refusedBy(err) {
			group.Close()
			return nil, fault.New(fault.StateTopic, "the group %s cannot be used: %w", o.Group, err)
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		if !told && time.Since(failing) > o.Patience {
			group.Close()
			return nil, fault.New(fault.StateUnreachable, "group %s: %w", o.Group, err)
		}
	}
}

func refusedBy(err error) bool {
	return errors.Is(err, kafkago.GroupAuthorizationFailed) || errors.Is(err, kafkago.TopicAuthorizationFailed) || errors.Is(err, kafkago.InvalidSessionTimeout) ||
		errors.Is(err, kafkago.InvalidGroupId)
}

// watch follows the generations of the group for as long as this process has the partition. Between two of them it may be the owner still: it is not any
// more when the next one says so, or when none came within the session, by when another may have been chosen.
func (t *Tenure) watch(ctx context.Context, g *kafkago.Generation, o ElectOptions) {
	defer close(t.done)
	defer t.lose()
	for {
		over := make(chan struct{})
		g.Start(func(ctx context.Context) {
			<-ctx.Done()
			close(over)
		})
		select {
		case <-over:
		case <-ctx.Done():
			return
		}
		until, cancel := context.WithTimeout(ctx, o.Session)
		for {
			next, err := t.group.Next(until)
			if err == nil {
				g = next
				break
			}
			if until.Err() != nil {
				cancel()
				return
			}
			o.Log.Debug("the group does not let this process in again", "group", o.Group, "error", err)
		}
		cancel()
		if len(g.Assignments[o.Topic]) == 0 {
			return
		}
	}
}

func (t *Tenure) lose() {
	t.once.Do(func() {
		t.owns.Store(0)
		close(t.lost)
	})
}

// Lost is closed when another process may be the owner.
func (t *Tenure) Lost() <-chan struct{} { return t.lost }

// Close leaves the group, so that another is the owner at once. Nothing may be written any more.
func (t *Tenure) Close() error {
	t.end()
	err := t.group.Close()
	<-t.done
	return err
}

// sticky gives the partition to the member that has it, else to the first by its id. A process that comes must not take it from one that works.
// owns is one more than the number of the group's generation in which this member was chosen, and 0 for one that stands by.
type sticky struct{ owns *atomic.Int64 }

func (sticky) ProtocolName() string { return "cdc-owner" }

// UserData says since when this member has the partition.
func (s sticky) UserData() ([]byte, error) {
	return strconv.AppendInt(nil, s.owns.Load(), 10), nil
}

// AssignGroups is called at the member that leads the group. Of those that say that they have it the one that was chosen last keeps it: there are two where one has lost it
// and does not know yet.
func (sticky) AssignGroups(members []kafkago.GroupMember, partitions []kafkago.Partition) kafkago.GroupMemberAssignments {
	chosen := func(m *kafkago.GroupMember) int64 {
		n, err := strconv.ParseInt(string(m.UserData), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b kafkago.GroupMember) int {
		return cmp.Or(cmp.Compare(chosen(&b), chosen(&a)), cmp.Compare(a.ID, b.ID))
	})
	out := kafkago.GroupMemberAssignments{}
	for i, m := range members {
		out[m.ID] = map[string][]int{}
		for _, p := range partitions {
			if i == 0 {
				out[m.ID][p.Topic] = append(out[m.ID][p.Topic], p.ID)
			}
		}
	}
	return out
}
