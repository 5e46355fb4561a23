package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cdc/fault"
	"cdc/pipeline"
)

// orderPatience is how long a command waits for a stream to come to rest: a sink may take a while to make durable what was read.
const orderPatience = 90 * time.Second

// cycle is a time in which a stream runs, over retries: until it is told to rest, fails for good, or ends.
type cycle struct {
	stop chan struct{} // closed when it shall end cleanly
	once sync.Once
	over chan struct{} // closed when it has ended

	abort context.CancelFunc // ends it at once
}

// end asks for the end of the cycle.
func (c *cycle) end() { c.once.Do(func() { close(c.stop) }) }

// begin starts a cycle, which ends with the stream at the latest.
func (s *stream) begin(abort context.CancelFunc) *cycle {
	c := &cycle{stop: make(chan struct{}), over: make(chan struct{}), abort: abort}
	s.mu.Lock()
	s.cycle, s.resting = c, ""
	s.mu.Unlock()
	go func() {
		select {
		case <-s.halted:
			c.end()
		case <-c.over:
		}
	}()
	return c
}

// supervise runs one stream until it ends for good: cycle after cycle, with rests between them for as long as an operator wants.
func (s *stream) supervise(ctx context.Context) error {
	for {
		if !s.rest(ctx, nil) {
			s.ended(nil)
			return nil
		}
		running, abort := context.WithCancel(ctx)
		c := s.begin(abort)
		if s.elsewhere() {
			c.end() // the share was given up before there was a cycle to end
		}
		err := pipeline.Supervise(running, c.stop, s.log, func(ctx context.Context) error {
			err := s.app.ha.judge(ctx, s.cfg.Name, s.once(ctx, c.stop))
			s.failed(err)
			return err
		})
		ordered, short := closed(c.stop) && !closed(s.halted), running.Err() != nil
		abort()
		close(c.over)
		switch {
		case ctx.Err() != nil || closed(s.halted):
			s.ended(err)
			return err
		case ordered && (err == nil || short || fault.ClassOf(err) == fault.Retry):
			if err != nil {
				s.log.Warn("not all was made durable, it comes again", "error", err)
			}
			continue // to rest, or to go on by new orders
		case s.app.ha.shutOut(err):
			s.log.Warn("the stream is another process's", "error", err)
			continue // to stand by
		case err == nil, !s.app.keepsOthers():
			s.ended(err)
			return err
		}
		s.log.Error("stream failed, the others go on", "error", err)
		if !s.rest(ctx, err) {
			s.ended(err)
			return err
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// keepsOthers reports that a stream that fails leaves the others running. A run that ends by itself does not wait for an operator.
func (a *app) keepsOthers() bool { return a.cfg.OnFailure == onFailureKeep && !a.finite }

// rest holds the stream while it is paused or, after a failure, until it is resumed. It gives false where the stream is to end instead.
func (s *stream) rest(ctx context.Context, failure error) bool {
	for {
		var state string
		switch {
		case s.elsewhere():
			state = standby
		case s.app.orders.of(s.cfg.Name).Paused != nil:
			state = "paused"
		case failure != nil:
			state = "failed"
		default:
			s.setRest("", nil)
			return !closed(s.halted) || s.neverRan()
		}
		s.setRest(state, failure)
		if err := s.app.keepFaults(); err != nil {
			s.log.Warn("the fault could not be kept for status", "error", err)
		}
		select {
		case <-s.wake:
			failure = nil
		case <-s.halted:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// neverRan: a stream that is told to end before it began goes through its first run all the same, which ends at once.
func (s *stream) neverRan() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cycle == nil
}

func (s *stream) setRest(state string, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resting != state && state == "paused" {
		s.log.Info("stream paused")
	}
	s.resting, s.err = state, failure
	close(s.rested)
	s.rested = make(chan struct{})
}

// obey makes the stream look at its orders again: a running cycle ends cleanly, a rest is looked at anew.
func (s *stream) obey() {
	s.mu.Lock()
	c := s.cycle
	s.mu.Unlock()
	if c != nil {
		c.end()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// settled waits until the stream rests, runs a new cycle, or has ended.
func (s *stream) settled(ctx context.Context, state string) bool {
	for {
		s.mu.Lock()
		at, over, changed := s.resting, s.over, s.rested
		s.mu.Unlock()
		if at == state || over {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// serveOrders adds the operator's orders to the control socket.
func (a *app) serveOrders(mux *http.ServeMux) {
	for verb, do := range map[string]func(context.Context, *stream, *order) error{"pause": a.pauseStream, "resume": a.resumeStream, "skip": a.skipTransaction, "snapshot": a.askSnapshot} {
		mux.HandleFunc("POST /"+verb, func(w http.ResponseWriter, r *http.Request) {
			var o order
			var out answer
			err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&o)
			if err != nil {
				err = fault.New(fault.UsageInvalid, "an order that is not understood: %w", err)
			}
			if err == nil {
				err = a.ha.refuses()
			}
			found := false
			for _, s := range a.streams {
				if err == nil && (o.Stream == "" || o.Stream == s.cfg.Name || verb != "skip" && o.Stream == s.cfg.whole) {
					found = true
					if err = do(r.Context(), s, &o); err == nil {
						out.Streams = append(out.Streams, s.cfg.Name)
					}
				}
			}
			if err == nil && !found {
				err = fault.New(fault.UsageInvalid, "the running pipeline has no stream %q", o.Stream)
			}
			out.Text = said(verb, &o, out.Streams)
			a.respond(w, out, err)
		})
	}
}

// respond ends an order: with what was done, or with why not.
func (a *app) respond(w http.ResponseWriter, out answer, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		out.Error = err.Error()
		if f, ok := fault.As(err); ok {
			out.Code, out.Next = uint16(f.Code), f.Next
			out.Error = strings.TrimPrefix(out.Error, f.Code.String()+": ")
		}
		w.WriteHeader(http.StatusConflict)
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		a.log.Debug("control socket", "error", err)
	}
}

func said(verb string, o *order, streams []string) string {
	names := strings.Join(streams, ", ")
	switch verb {
	case "pause":
		return "paused: " + names
	case "resume":
		return "goes on: " + names
	}
	if verb == "snapshot" {
		return names + " " + o.intent()
	}
	return names + " leaves out " + o.Skip.name()
}

func (a *app) pauseStream(ctx context.Context, s *stream, o *order) error {
	if err := a.orders.pause(s.cfg.Name, o.By, o.Reason); err != nil {
		return err
	}
	s.log.Info("pausing", "by", o.By, "reason", o.Reason)
	s.obey()
	ctx, cancel := context.WithTimeout(ctx, orderPatience-5*time.Second)
	defer cancel()
	if !s.elsewhere() && !s.settled(ctx, "paused") {
		return fault.New(fault.ControlSocket, "stream %q is still making durable what was read; it pauses as soon as it can", s.cfg.Name).
			Hint("watch `cdc status`")
	}
	return nil
}

func (a *app) resumeStream(_ context.Context, s *stream, o *order) error {
	s.mu.Lock()
	was := s.resting
	s.mu.Unlock()
	if err := a.orders.resume(s.cfg.Name); err != nil {
		return err
	}
	if was != "" {
		s.log.Info("resuming", "by", o.By)
		s.app.relay.again()
		s.obey()
	}
	return nil
}

func (a *app) skipTransaction(ctx context.Context, s *stream, o *order) error {
	if o.Stream == "" {
		return fault.New(fault.UsageInvalid, "skip needs the name of a stream")
	}
	s.mu.Lock()
	failure := s.err
	if failure == nil && s.src != nil {
		failure = s.src.Status().LastError
	}
	s.mu.Unlock()
	if f, ok := fault.As(failure); ok && unreadable(f.Code.String()) && f.Class() != fault.Retry {
		o.Skip.Unread = true
	}
	rec, err := recordOf(ctx, a.store, s.cfg.Name)
	if err != nil {
		return err
	}
	o.Skip.By, o.Skip.Reason = o.By, o.Reason
	if err := a.orders.skip(s.cfg.Name, o.Skip, a.cfg.Source.flavor(), &rec); err != nil {
		return err
	}
	s.log.Warn("leaving out a transaction", "transaction", o.Skip.name(), "by", o.By, "reason", o.Reason)
	s.obey()
	return nil
}

// run runs all streams. By default the first that fails for good stops the others cleanly.
func (a *app) run(ctx context.Context) error {
	var failed []error
	leave := func() error { return nil }
	if a.members != nil {
		leave = a.join(ctx)
	} else if a.ha != nil {
		leave = a.ha.stand(ctx)
	}
	errs := make(chan error, len(a.streams))
	for _, s := range a.streams {
		go func() { errs <- s.supervise(ctx) }()
	}
	for range a.streams {
		err := <-errs
		if err == nil {
			continue
		}
		failed = append(failed, err)
		if !a.keepsOthers() && a.cfg.OnFailure != onFailureKeep {
			for _, s := range a.streams {
				s.halt()
			}
		}
	}
	if err := leave(); err != nil {
		failed = append(failed, err)
	}
	failed = slices.DeleteFunc(failed, func(err error) bool {
		return errors.Is(err, context.Canceled) // the second signal: what was not acknowledged comes again with the next run
	})
	if len(failed) == 0 {
		return nil
	}
	if len(failed) > 1 {
		a.log.Error("streams failed", "count", len(failed))
	}
	return failed[0]
}

// leftOut notes that the checkpoint lies behind a transaction which the operator wanted left out.
func (s *stream) leftOut(d pipeline.Drop, rows uint64) {
	if err := s.app.orders.done(s.cfg.Name, s.app.cfg.Source.flavor(), d, &rows); err != nil {
		s.log.Warn("the end of a skip could not be noted", "error", err)
		return
	}
	s.log.Warn("left out a transaction", "gtid", d.GTID, "file", d.File, "offset", d.Off, "changes", rows)
}
