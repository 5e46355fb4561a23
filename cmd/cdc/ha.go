package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"cdc/checkpoint/badger"
	"cdc/checkpoint/topic"
	"cdc/fault"
	"cdc/internal/settings"
)

// HAConfig is what makes several processes of one pipeline, of which one works.
type HAConfig struct {
	Kafka *topic.Config `yaml:"kafka" jsonschema_description:"Brokers that say which process is the owner, and keep its places for the next one."`
}

// placeStore is where the places of streams are kept: the checkpoint folder, or that and a topic beside it.
type placeStore = topic.Local

// validateHA says what does not go with several processes, of which any may be the next to work.
func (c *Config) validateHA(out *[]settings.Problem, problem func(path, format string, args ...any)) {
	switch {
	case c.HA == nil:
		return
	case c.HA.Kafka == nil:
		problem("ha", "needs kafka:")
		return
	}
	*out = append(*out, c.HA.Kafka.Validate("ha.kafka")...)
	if c.Source.Relay != nil {
		problem("source.relay", "does not go with ha: the relay's files are on one machine, and another process would go on without them; leave one of the two out")
	}
	if k := c.Source.Kafka; k != nil && k.Group != nil {
		problem("source.kafka.group", "does not go with ha: its processes share the work and take over from each other already; leave ha out")
	}
	for i := range c.Streams {
		at, s := fmt.Sprintf("streams[%d].sink", i), &c.Streams[i].Sink
		if s.Files != nil && !s.Files.remote() {
			problem(at+".files.dir", "is a folder of one machine, and with ha another one may go on: give hdfs://HOST:PORT/PATH or s3://BUCKET/PREFIX")
		}
		if k := s.Kafka; k != nil {
			if k.ExactlyOnce == "off" {
				problem(at+".kafka.exactly_once", "off does not go with ha: a process that stood still could write what it had in hand behind what the next owner has written; leave it out")
			}
			if k.Headers != nil && !*k.Headers {
				problem(at+".kafka.headers", "false does not go with ha: a process that stood still could not be shut out; leave it out")
			}
		}
		if s.Stdout != nil {
			problem(at+".stdout", "is of one process, and with ha another one may go on: nobody would know what was written; take another sink")
		}
	}
}

// availability is this process among all of its pipeline: it stands by until it is the owner, and again when it is not any more.
type availability struct {
	app   *app
	o     topic.ElectOptions
	local *badger.Store

	mu     sync.Mutex
	both   *topic.Both   // of the present tenure; nil while this process stands by
	over   chan struct{} // closed when a stream has met the end of the tenure
	since  time.Time     // of the tenure
	other  topic.Owner   // who began last, as far as is known
	reason error         // why there is no election at present
	asked  bool          // this machine was looked at, as one that stands by
	clash  map[string]*clash

	wg sync.WaitGroup // of what looks around
}

// clash is how long a stream has met what a former owner holds.
type clash struct{ first, last time.Time }

// haOptions gives the options of the election and of the store.
func (c *Config) haOptions() (topic.ElectOptions, error) {
	k := *c.HA.Kafka
	for _, p := range []*string{&k.TLS.CA, &k.TLS.Cert, &k.TLS.Key} {
		if *p != "" {
			*p = c.path(*p)
		}
	}
	return k.Options()
}

// candidate adds to the options who this is. The checkpoint folder is there, and locked by this process.
func (c *Config) candidate() (topic.ElectOptions, error) {
	o, err := c.haOptions()
	if err != nil {
		return o, err
	}
	if o.Writer, err = writerID(c.path(c.Checkpoint.Dir)); err != nil {
		return o, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a host without a name"
	}
	o.Name = fmt.Sprintf("%s (pid %d)", host, os.Getpid())
	return o, nil
}

// enterHA makes this process one of those of its pipeline.
func (a *app) enterHA(store *badger.Store) error {
	if a.cfg.HA == nil {
		return nil
	}
	if a.finite {
		return fault.New(fault.UsageInvalid, "--until: with ha a process runs until it is stopped").Hint("leave --until out; `cdc status` says how far the streams have come")
	}
	o, err := a.cfg.candidate()
	if err != nil {
		return err
	}
	h := &availability{app: a, o: o, local: store, clash: map[string]*clash{}}
	h.o.Log = a.log
	a.ha = h
	return nil
}

// stand takes part in the election until leave is called, which is after all streams have ended.
func (h *availability) stand(ctx context.Context) (leave func() error) {
	life, end := context.WithCancel(ctx)
	over := make(chan error, 1)
	go func() {
		err := h.live(life)
		if err != nil {
			for _, s := range h.app.streams {
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

// live is tenure after tenure. It gives nil when life ends, and else why this process cannot be an owner.
func (h *availability) live(life context.Context) error {
	h.o.StandsBy = func() { h.standsBy(life) }
	defer h.wg.Wait()
	// Who is told to stop wants no tenure any more, and ends the one it has when its streams have ended.
	seeking, cancel := context.WithCancel(life)
	defer cancel()
	go func() {
		select {
		case <-h.app.stop:
			cancel()
		case <-seeking.Done():
		}
	}()
	for {
		err := h.tenure(life, seeking)
		if seeking.Err() != nil {
			return nil
		}
		switch {
		case err == nil:
			continue
		case fault.Has(err, fault.StateFenced): // another one came at the same moment
		case fault.ClassOf(err) == fault.Retry:
			h.app.log.Warn("the owner cannot be elected, it is tried again", "error", err)
			h.mu.Lock()
			h.reason = err
			h.mu.Unlock()
		default:
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-seeking.Done():
			return nil
		}
	}
}

// tenure waits until this process is the owner, and gives nil when it is not any more and all streams rest.
func (h *availability) tenure(life, seeking context.Context) error {
	t, err := topic.Elect(seeking, h.o)
	if err != nil {
		return err
	}
	both, err := h.open(seeking)
	if err != nil {
		return errors.Join(err, t.Close())
	}
	over := h.begin(both)
	select {
	case <-t.Lost():
		h.app.log.Warn("the group has not heard this process for too long, and may have another owner: all streams end at once")
	case <-over:
		h.app.log.Warn("another process has taken over: all streams end at once")
	case <-life.Done():
		return errors.Join(both.Leave(), t.Close())
	}
	h.end()
	// No stream writes any more when the next owner is chosen, unless one takes longer to end than it would take to find this process dead.
	settled := h.settled(life, h.o.Session)
	err = errors.Join(both.Leave(), t.Close())
	if !settled {
		h.app.log.Warn("a stream takes long to end")
		h.settled(life, 0)
	}
	if err != nil {
		h.app.log.Debug("the end of a tenure", "error", err)
	}
	return nil
}

// open takes the state of the pipeline over.
func (h *availability) open(ctx context.Context) (*topic.Both, error) {
	store, err := topic.Open(ctx, h.o.Options)
	if err != nil {
		return nil, err
	}
	both, err := topic.Beside(ctx, store, h.local)
	if err == nil {
		err = h.app.orders.beside(ctx, both)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	args := []any{"group", h.o.Group}
	if f := store.Former(); !f.Since.IsZero() {
		args = append(args, "before", f.Name, "since", f.Since)
	}
	h.app.log.Info("this process is the owner now", args...)
	return both, nil
}

// begin lets the streams run.
func (h *availability) begin(both *topic.Both) (over chan struct{}) {
	h.mu.Lock()
	h.both, h.over, h.since, h.reason = both, make(chan struct{}), time.Now(), nil
	over = h.over
	h.mu.Unlock()
	for _, s := range h.app.streams {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return over
}

// end lets them run no longer, and cuts short what they do.
func (h *availability) end() {
	h.lose()
	for _, s := range h.app.streams {
		s.obey()
		s.cutShort()
	}
}

func (h *availability) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.both != nil {
		h.both, h.since = nil, time.Time{}
		close(h.over)
	}
}

// settled waits until all streams rest, for so long; without a bound where that is 0.
func (h *availability) settled(ctx context.Context, within time.Duration) bool {
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	for _, s := range h.app.streams {
		if !s.settled(ctx, standby) {
			return false
		}
	}
	return true
}

// standsBy is told that another process is the owner.
func (h *availability) standsBy(ctx context.Context) {
	h.mu.Lock()
	first := !h.asked
	h.asked, h.reason = true, nil
	h.mu.Unlock()
	h.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		h.meet(ctx)
		if first && !h.app.noCheck {
			h.rehearse(ctx)
		}
	})
}

// meet finds out who the owner is.
func (h *availability) meet(ctx context.Context) {
	v, err := topic.Peek(ctx, h.o.Options)
	if err != nil {
		h.app.log.Info("this process stands by", "group", h.o.Group)
		return
	}
	h.mu.Lock()
	h.other = v.Owner()
	h.mu.Unlock()
	h.app.log.Info("this process stands by", "group", h.o.Group, "owner", v.Owner().Name)
}

// rehearse looks whether this machine could take over: that shows now, and not when it has to.
func (h *availability) rehearse(ctx context.Context) {
	findings, err := h.app.cfg.checkAll(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		h.app.log.Warn("what this process needs to take over could not be checked", "error", err)
		return
	}
	for _, f := range findings {
		if f.Level == fault.Fail {
			h.app.log.Warn("this process could not take over now", "what", f.Check, "found", f.What, "cure", f.Cure)
		}
	}
}

// owns reports that this process is the owner, as far as it knows.
func (h *availability) owns() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.both != nil
}

// places gives where a run keeps its place, from its beginning to its end. With ha the brokers are asked first whether this process is the owner still: a stream that
// opens its sink may take it from whoever has it.
func (a *app) places(ctx context.Context) (placeStore, error) {
	h := a.ha
	if h == nil {
		return a.store, nil
	}
	h.mu.Lock()
	both := h.both
	h.mu.Unlock()
	if both == nil {
		return nil, fault.New(fault.StateFenced, "this process stands by")
	}
	return both, both.Confirm(ctx)
}

// judge says what the failure of a run means for an owner. What another owner does to the old one shows in many ways; the brokers know.
func (h *availability) judge(ctx context.Context, stream string, err error) error {
	if h == nil || err == nil || ctx.Err() != nil || fault.ClassOf(err) == fault.Retry || fault.Has(err, fault.StateFenced) {
		return err
	}
	h.mu.Lock()
	both := h.both
	h.mu.Unlock()
	if both == nil {
		return fault.New(fault.StateFenced, "this process stands by: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Session)
	defer cancel()
	if lost := both.Confirm(ctx); fault.Has(lost, fault.StateFenced) {
		return lost
	}
	if (fault.Has(err, fault.SinkLocked) || fault.Has(err, fault.SinkFenced)) && h.patient(stream) {
		return fault.New(fault.StateHandover, "%w", err)
	}
	return err
}

// patient reports that what a former owner holds may become free yet: connections of a machine that is gone are ended by a target half a minute later.
func (h *availability) patient(stream string) bool {
	bound := max(h.o.Session, 30*time.Second) + 30*time.Second
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.clash[stream]
	if c == nil || now.Sub(c.last) > bound {
		c = &clash{first: now}
		h.clash[stream] = c
	}
	c.last = now
	return now.Sub(c.first) < bound
}

// shutOut reports a failure that says that another process has taken over; the tenure is over then.
func (h *availability) shutOut(err error) bool {
	if h == nil || !fault.Has(err, fault.StateFenced) {
		return false
	}
	h.lose()
	return true
}

// refuses gives why an order cannot be carried out here.
func (h *availability) refuses() error {
	if h == nil || h.owns() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return standsBy(h.o.Group, h.other)
}

func standsBy(group string, o topic.Owner) error {
	if o.Name == "" {
		return fault.New(fault.StateStandby, "another process of the group %s is the owner", group)
	}
	return fault.New(fault.StateStandby, "the owner in the group %s is another process: %s, since %s", group, o.Name, o.Since.Format(time.RFC3339))
}
