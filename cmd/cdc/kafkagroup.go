package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
	"cdc/sinks"
	"cdc/sinks/mysql"
	"cdc/source/kafka"
)

// standby is the state of a stream that another process carries, or nobody yet.
const standby = "standby"

// validateGroup says what does not go with a consumer group.
func (c *Config) validateGroup(problem func(path, format string, args ...any)) {
	g := c.Source.Kafka.Group.WithDefaults()
	for i := range c.Streams {
		at, s := fmt.Sprintf("streams[%d]", i), &c.Streams[i]
		if s.Sink.Kafka != nil {
			problem(at+".sink.kafka", "does not go with source.kafka.group: where a share goes on is known to the sink, and what this one knows is in the checkpoint of one process; take source.kafka.share")
		}
		if err := checkpoint.CheckStream(shareName(s.Name, g.Shares)); s.Name != "" && err != nil {
			f, _ := fault.As(err)
			problem(at+".name", "%s", f.Text)
		}
	}
}

func shareName(stream string, number int) string { return stream + "." + strconv.Itoa(number) }

// divided gives the streams of a configuration whose work is divided through a consumer group: each share of each stream is one, with a name and a place of
// its own at the sink.
func (c *Config) divided() []StreamConfig {
	g := c.Source.Kafka.Group.WithDefaults()
	out := make([]StreamConfig, 0, len(c.Streams)*g.Shares)
	for _, s := range c.Streams {
		for n := 1; n <= g.Shares; n++ {
			own := s
			own.whole, own.share, own.Name = s.Name, kafka.Share{Number: n, Of: g.Shares}, shareName(s.Name, n)
			if s.Sink.Files != nil {
				f := *s.Sink.Files
				f.Dir = strings.TrimRight(f.Dir, "/") + "/share-" + strconv.Itoa(n)
				if f.Spool != "" {
					f.Spool = filepath.Join(f.Spool, own.Name)
				}
				own.Sink.Files = &f
			}
			out = append(out, own)
		}
	}
	return out
}

// first reports a stream that is no share, or the first one of its stream: what all shares have in common is looked at there.
func (s *StreamConfig) first() bool { return s.share.Number <= 1 }

// checkGroup asks the brokers for the topics, and what the group has not carried yet.
func (c *Config) checkGroup(ctx context.Context) []fault.Finding {
	g, err := c.openGroup(kafka.GroupOptions{})
	if err != nil {
		return []fault.Finding{findingOf("group", err)}
	}
	return g.Check(ctx)
}

// members is this process in its consumer group.
type members struct {
	group *kafka.Group

	mu      sync.Mutex
	held    map[int]bool    // numbers of the shares that are ours
	checked map[string]bool // streams whose sink was looked at, for any share
}

func (m *members) has(share int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[share]
}

func (m *members) hold(shares []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = map[int]bool{}
	for _, n := range shares {
		m.held[n] = true
	}
}

// elsewhere reports that the stream is carried by another process, or by nobody yet: all streams where this one is not the owner, or a share.
func (s *stream) elsewhere() bool {
	if h := s.app.ha; h != nil && !h.owns() {
		return true
	}
	m := s.app.members
	return m != nil && !m.has(s.cfg.share.Number)
}

// enter makes this process ready to join its group, of shares or of those of whom one is the owner.
func (a *app) enter() error {
	if err := a.enterHA(a.store); err != nil {
		return err
	}
	k := a.cfg.Source.Kafka
	if k == nil || k.Group == nil {
		return nil
	}
	if a.finite {
		return fault.New(fault.UsageInvalid, "--until: a member of a consumer group runs until it is stopped").Hint("leave --until out; `kafka-consumer-groups --describe` shows what is left to read")
	}
	a.members = &members{checked: map[string]bool{}}
	var err error
	a.members.group, err = a.cfg.openGroup(kafka.GroupOptions{Log: a.log, Take: a.takeShares, Give: a.giveShares})
	return err
}

// openGroup prepares the membership of the configuration's group.
func (c *Config) openGroup(o kafka.GroupOptions) (*kafka.Group, error) {
	o.Config = c.topicConfig()
	for i := range c.Streams {
		if n := c.Streams[i].whole; !slices.Contains(o.Streams, n) {
			o.Streams = append(o.Streams, n)
		}
	}
	return kafka.OpenGroup(o)
}

// join takes part in the group until leave is called or the process shall stop. A group that cannot be joined stops the streams.
func (a *app) join(ctx context.Context) (leave func() error) {
	life, end := context.WithCancel(ctx)
	go func() {
		select {
		case <-a.stop:
			end()
		case <-life.Done():
		}
	}()
	over := make(chan error, 1)
	go func() {
		err := a.members.group.Run(life)
		if err != nil {
			for _, s := range a.streams {
				s.halt()
			}
		}
		over <- err
	}()
	return func() error {
		end()
		return <-over
	}
}

// takeShares wakes the streams whose shares are ours from now on.
func (a *app) takeShares(shares []int) {
	a.members.hold(shares)
	for _, s := range a.streams {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// giveShares ends the streams cleanly, and returns when all of them rest. Those that take too long to make durable what was read are cut short: it comes
// again to whoever has the share next.
func (a *app) giveShares() {
	a.members.hold(nil)
	for _, s := range a.streams {
		s.obey()
	}
	patient, cancel := context.WithTimeout(context.Background(), a.members.group.Patience())
	defer cancel()
	for _, s := range a.streams {
		if s.settled(patient, standby) {
			continue
		}
		s.log.Warn("the share is given up before all was made durable; it comes again")
		s.cutShort()
		s.settled(context.Background(), standby)
	}
}

// cutShort ends the present cycle at once.
func (s *stream) cutShort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cycle != nil && s.cycle.abort != nil {
		s.cycle.abort()
	}
}

// contended makes a fault that goes by itself of one that another process causes which has not given up the share yet.
func (s *stream) contended(err error) error {
	if s.app.members == nil || !fault.Has(err, fault.SinkLocked) {
		return err
	}
	return fault.New(fault.SourceShare, "share %d is still held: %w", s.cfg.share.Number, err)
}

// takeShare opens the sink of a share, which keeps others from it, and has the source begin where the sink's place is, else where the group has committed.
// The checkpoint of this process may be of a time when it had the share before: only what a sink wants to find at the target is taken from it.
func (s *stream) takeShare(ctx, opening context.Context, budget *event.Budget, rec *checkpoint.Record, o *kafka.Options) (sinks.Sink, error) {
	m := s.app.members
	if f := s.cfg.Sink.Files; f != nil && !f.remote() {
		// The folder of all shares is made like that of a stream: only itself, since a mount that is not there must not be filled from below.
		if err := os.Mkdir(filepath.Dir(s.app.cfg.path(f.Dir)), 0o750); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fault.New(fault.SinkWrite, "make the folder of the shares: %w", err)
		}
	}
	sink, err := openSink(ctx, s.app, s.cfg, budget, rec, s.waits, !m.group.Single())
	if err != nil {
		return nil, err
	}
	place, keeps, err := s.sinkPlace(opening, sink)
	placed := !place.Empty()
	if err == nil && keeps && !placed && rec.Txns > 0 {
		err = fault.New(fault.SinkBehind, "share %d was carried up to %s, and the sink has no place", s.cfg.share.Number, rec.GTIDs)
	}
	var begin func(string, int32) (int64, bool)
	if err == nil {
		begin, err = m.group.Begin(opening, s.cfg.whole, s.cfg.share, keeps, placed)
	}
	if err != nil {
		_ = sink.Close()
		return nil, err
	}
	if !placed {
		*rec = checkpoint.Record{}
		o.From, o.Begin = nil, begin
		return sink, nil
	}
	now := time.Now().UnixMicro()
	*rec = checkpoint.Record{GTIDs: place, SinkState: rec.SinkState, Rows: rec.Rows, Txns: rec.Txns, Time: rec.Time, Saved: now}
	o.From, o.Begin = place.Clone(), nil
	return sink, nil
}

// sinkPlace gives what the sink of a share has; keeps is false for one that keeps no place.
func (s *stream) sinkPlace(ctx context.Context, sink sinks.Sink) (place *gtid.Set, keeps bool, err error) {
	if s.cfg.Sink.MySQL != nil {
		place, err = s.app.cfg.targetPlace(ctx, s.cfg)
		return place, true, err
	}
	if p, ok := sink.(sinks.Positioner); ok {
		at, _, err := p.Position(ctx)
		return at.GTIDs, true, err
	}
	return nil, false, nil
}

// targetPlace gives the place that the target of a stream keeps; nil where it has none.
func (c *Config) targetPlace(ctx context.Context, s *StreamConfig) (*gtid.Set, error) {
	o := c.mysqlOptions(s)
	conn, err := session.Open(ctx, o.Config.Config.WithDefaults(), session.Options{Codes: session.TargetCodes()})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	f, err := mysql.Follow(ctx, conn, o.Database, s.Name, gtid.MySQL)
	if err != nil {
		return nil, err
	}
	at, err := f.Place(ctx, conn)
	return at.GTIDs, err
}

// savedShare tells the group what was made durable. The record of a stream that has just begun says only where: the sink has no place yet.
func (s *stream) savedShare(placed bool) func(*checkpoint.Record) {
	return func(rec *checkpoint.Record) {
		s.saved(rec)
		if m := s.app.members; m != nil && (placed || rec.Txns > 0) {
			m.group.Acked(s.cfg.whole, rec.GTIDs)
		}
	}
}

// judged reports that the sink of a stream was looked at, for this share or for another.
func (s *stream) judged() bool {
	m := s.app.members
	if s.checked || m == nil {
		return s.checked
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.checked[s.cfg.whole]
}

func (s *stream) wasJudged() {
	if m := s.app.members; m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.checked[s.cfg.whole] = true
	}
}

// shareStatus adds to the status of a stream what it has to do with a group.
func (s *stream) shareStatus(out *streamStatus) {
	m := s.app.members
	if m == nil {
		return
	}
	out.Share = &shareStatus{Stream: s.cfg.whole, Group: s.app.cfg.Source.Kafka.Group.Name, Number: s.cfg.share.Number, Of: s.cfg.share.Of}
	if s.cfg.Sink.MySQL == nil && s.cfg.Sink.Files == nil {
		out.ExactlyOnce = "off: what was written since the last commit of the group comes again when the share moves"
	}
	if err := m.group.Err(); err != nil && out.State == standby {
		out.setError(err)
	}
}

// shareStatus says which part of a stream this is.
type shareStatus struct {
	Stream string `json:"stream"`
	Group  string `json:"group"`
	Number int    `json:"number"`
	Of     int    `json:"of"`
}

// standbyLines names the shares that other processes have, one line for each stream.
func standbyLines(list []streamStatus) []string {
	shares, why := map[string][]string{}, map[string]string{}
	for i := range list {
		if s := &list[i]; s.Share != nil && s.State == standby {
			key := s.Share.Stream + "\x00" + s.Share.Group
			shares[key] = append(shares[key], strconv.Itoa(s.Share.Number))
			why[key] = s.Error
		}
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(shares)) {
		stream, group, _ := strings.Cut(key, "\x00")
		line := fmt.Sprintf("stream %s: shares %s are not of this process in the group %s", stream, strings.Join(shares[key], ", "), group)
		if why[key] != "" {
			line += ": " + why[key]
		}
		out = append(out, line)
	}
	return out
}
