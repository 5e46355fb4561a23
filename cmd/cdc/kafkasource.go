package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/pipeline"
	"cdc/session"
	"cdc/sinks"
	"cdc/source/binlog"
	"cdc/source/kafka"
	"cdc/source/live"
)

// validateKafka appends what is wrong with a source of change topics, and what does not go with it.
func (c *Config) validateKafka(out *[]settings.Problem, problem func(path, format string, args ...any)) {
	s := &c.Source
	*out = append(*out, s.Kafka.Validate("source.kafka")...)
	for _, x := range []struct {
		path string
		set  bool
	}{{"tables", s.Tables != nil}, {"start", s.Start != ""}, {"accept_unlogged_cascades", s.AcceptUnloggedCascades != nil}} {
		if x.set {
			problem("source."+x.path, "goes with a server and not with kafka: what is read is said by source.kafka.topics, from their beginning; a transform drops tables")
		}
	}
	if s.Kafka.Group != nil {
		c.validateGroup(problem)
	}
	for i := range c.Streams {
		at := fmt.Sprintf("streams[%d]", i)
		if n := c.Streams[i].Snapshot; n != "" && n != snapshotNever {
			problem(at+".snapshot", "goes with a server and not with kafka: the rows of a snapshot are in the topics")
		}
		if m := c.Streams[i].Sink.MySQL; m != nil && m.ExactlyOnce == "gtid_next" {
			problem(at+".sink.mysql.exactly_once", "gtid_next goes with a server and not with kafka: leave it out")
		}
		if m := c.Streams[i].Sink.MySQL; m != nil && (m.Parallel.By == "logical_clock" || m.Parallel.By == "writeset_session") {
			problem(at+".sink.mysql.parallel.by", "%s goes with a server and not with kafka, whose messages do not say what was committed together: take writeset", m.Parallel.By)
		}
	}
}

// wantsServer refuses what only a server can answer.
func (c *Config) wantsServer(what string) error {
	if c.Source.Kafka == nil {
		return nil
	}
	return fault.New(fault.UsageInvalid, "%s needs a server for source, and source.kafka is none", what).Hint("run it with the configuration that writes the topics")
}

// kafkaServer stands for the brokers where a server's settings are looked at for its name.
func kafkaServer(c *kafka.Config) *live.Config {
	return &live.Config{Config: session.Config{Address: strings.Join(c.Brokers, ",")}}
}

// topicConfig gives the settings of the source. Paths are relative to the configuration.
func (c *Config) topicConfig() kafka.Config {
	k := *c.Source.Kafka
	for _, p := range []*string{&k.TLS.CA, &k.TLS.Cert, &k.TLS.Key} {
		if *p != "" {
			*p = c.path(*p)
		}
	}
	return k
}

// topicOptions gives the options of the source of a stream that begins at rec.
func (c *Config) topicOptions(s *StreamConfig, rec *checkpoint.Record) (kafka.Options, error) {
	o := kafka.Options{Config: c.topicConfig(), MaxRow: int64(c.MaxRow), ByKey: s.Sink.MySQL != nil}
	if s.whole != "" {
		o.Share = s.share
	}
	if rec.Saved == 0 {
		return o, nil
	}
	if o.From = rec.GTIDs; o.From == nil {
		return o, fault.New(fault.CheckpointStream, "the checkpoint of stream %q is not of topics", s.Name)
	}
	return o, nil
}

// checkTopics asks the brokers for the topics of a stream, and whether they hold what comes behind its checkpoint.
func (c *Config) checkTopics(ctx context.Context, s *StreamConfig, rec *checkpoint.Record) []fault.Finding {
	o, err := c.topicOptions(s, rec)
	if err != nil {
		return []fault.Finding{findingOf("checkpoint of "+s.Name, err)}
	}
	out := kafka.Check(ctx, o)
	for i := range out {
		out[i].Check += " of " + s.Name
	}
	return out
}

// loadTopics gives the checkpoint of a stream that reads topics.
func loadTopics(ctx context.Context, store checkpoint.Store, name string) (checkpoint.Record, error) {
	rec, err := store.Load(ctx, name)
	if errors.Is(err, checkpoint.ErrNone) {
		return checkpoint.Record{}, nil
	}
	return rec, err
}

// checkStoredTopics looks at the topics from the places of the checkpoint folder on.
func (c *Config) checkStoredTopics(ctx context.Context) (out []fault.Finding, states map[string][]byte) {
	var store checkpoint.Store
	if v := c.peeked(ctx); v != nil {
		store = v // what the owner has saved last, wherever it is
	} else if dir := c.path(c.Checkpoint.Dir); folderExists(dir) {
		s, err := badger.Open(ctx, dir, badger.Options{ReadOnly: true})
		if err != nil {
			return []fault.Finding{findingOf("checkpoint", err)}, nil
		}
		defer s.Close()
		store = s
	}
	states = map[string][]byte{}
	if c.Source.Kafka.Group != nil {
		return append(out, c.checkGroup(ctx)...), states
	}
	for i := range c.Streams {
		s := &c.Streams[i]
		var rec checkpoint.Record
		if store != nil {
			var err error
			if rec, err = loadTopics(ctx, store, s.Name); err != nil {
				out = append(out, findingOf("checkpoint of "+s.Name, err))
				continue
			}
		}
		states[s.Name] = rec.SinkState
		out = append(out, c.checkTopics(ctx, s, &rec)...)
	}
	return out, states
}

// onceTopics is one run of a stream that reads change topics, see once.
func (s *stream) onceTopics(ctx context.Context, stop <-chan struct{}) (err error) {
	defer func() { err = s.contended(err) }()
	a, cfg := s.app, s.app.cfg
	if a.until != (live.Stop{}) && !a.until.Now {
		return fault.New(fault.UsageInvalid, "--until: a source of change topics ends at now, or at nothing")
	}
	store, err := a.places(ctx)
	if err != nil {
		return err
	}
	rec, err := loadTopics(ctx, store, s.cfg.Name)
	if err != nil {
		return err
	}
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-opening.Done():
		}
	}()
	if !a.noCheck && !s.judged() {
		if err := s.judge(opening, nil, nil, rec.SinkState); err != nil {
			return stoppedOr(ctx, opening, err)
		}
		s.wasJudged()
	}
	drops, unread, err := a.orders.pending(s.cfg.Name, gtid.MySQL, &rec)
	if err != nil {
		return err
	}
	budget := event.NewBudget(int64(cfg.Memory) / int64(len(cfg.Streams)))
	_, _, limit := budget.Used()
	o, err := cfg.topicOptions(s.cfg, &rec)
	if err != nil {
		return err
	}
	o.UntilNow, o.Pool, o.BatchBytes, o.Log = a.until.Now, &event.Pool{Budget: budget}, min(2<<20, limit/16), s.log
	if unread != nil {
		o.Leave = func(name gtid.GTID) bool { return unread(binlog.Place{GTID: name}) }
	}
	var sink sinks.Sink
	defer func() {
		if sink != nil {
			_ = sink.Close()
		}
		s.mu.Lock()
		s.waiting = nil
		s.mu.Unlock()
	}()
	if a.members != nil {
		opened, err := s.takeShare(ctx, opening, budget, &rec, &o)
		if err != nil {
			return stoppedOr(ctx, opening, err)
		}
		sink = opened
	}
	placed := rec.Saved != 0
	src, err := kafka.Open(opening, o)
	if err != nil {
		return stoppedOr(ctx, opening, err)
	}
	defer src.Close()
	if sink == nil {
		opened, err := openSink(ctx, a, s.cfg, budget, &rec, s.waits, !src.Single())
		if err != nil {
			return err
		}
		sink = opened
	} else if placed {
		rec.Server = src.Server()
	}
	cancel()
	steps, dead, err := s.openTransforms(&rec)
	if err != nil {
		return err
	}
	pipe, err := pipeline.New(ctx, pipeline.Options{
		Stream: s.cfg.Name, Source: src, Transforms: steps, Dead: dead, Sink: sink, Store: store, History: store, Budget: budget, Record: rec, Log: s.log,
		SaveEvery: cfg.Checkpoint.Every, Drop: drops, Dropped: s.leftOut, Saved: s.savedShare(placed),
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.pipe, s.sink = pipe, sink
	s.runs++
	s.mu.Unlock()
	ran := make(chan struct{})
	defer close(ran)
	go func() {
		select {
		case <-stop:
			pipe.Stop()
		case <-ran:
		}
	}()
	s.log.Info("stream started", "source", cfg.Source.server().Address, "topics", strings.Join(cfg.Source.Kafka.Topics, ","), "from", describe(&rec, "start"))
	err = pipe.Run(ctx)
	st := pipe.Status()
	s.log.Info("stream stopped", "rows", st.Rows, "transactions", st.Txns, "place", place(&st))
	return err
}

// stoppedOr turns the failure of an opening that was called off into nil, where another attempt would cure it: a broker that could not be reached any more
// need not say that it was called off.
func stoppedOr(ctx, opening context.Context, err error) error {
	if ctx.Err() == nil && opening.Err() != nil && (errors.Is(err, context.Canceled) || fault.ClassOf(err) == fault.Retry) {
		err = nil
	}
	return err
}
