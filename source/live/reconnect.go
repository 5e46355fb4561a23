package live

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// settleAgain is how long a server that was just read from may take to show in gtid_executed what it had sent, before it counts as having lost
// it: it may be recovering, or waiting for a semi-synchronous replica.
const settleAgain = 15 * time.Second

// reconnect makes a new connection that goes on behind what was handed over and what is in b, and tries for ever where trying may help. What
// had been handed over of an unfinished transaction comes again, and the assembler drops it.
func (s *Source) reconnect(ctx context.Context, b *event.Batch, cause error) error {
	s.atHead.Store(false)
	s.mu.Lock()
	s.status.LastError, s.status.ErrorAt = cause, time.Now()
	s.mu.Unlock()
	s.log.Info("connection to the source lost, connecting anew", "server", s.server.Address, "error", cause)
	s.d.close()
	s.asm.Reconnected()
	s.in.clear()
	if s.useGTID { // what is in b stays there
		if err := s.count(b); err != nil {
			return err
		}
	}
	if err := s.losing(cause); err != nil {
		return err
	}
	wait := s.cfg.Backoff.First
	for attempt := 1; ; attempt++ {
		s.state(StateConnecting)
		err := s.again(ctx)
		if err == nil {
			s.mu.Lock()
			s.status.Reconnects++
			s.mu.Unlock()
			s.log.Info("connected to the source again", "server", s.server.Address, "attempts", attempt)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.isClosed() {
			return errClosed
		}
		if !passing(err) {
			return err
		}
		s.mu.Lock()
		s.status.LastError, s.status.ErrorAt = err, time.Now()
		s.mu.Unlock()
		if attempt == 1 {
			s.log.Info("the source does not answer yet", "server", s.server.Address, "error", err)
		}
		s.state(StateWaiting)
		if err := pause(ctx, wait/2+rand.N(wait/2+1)); err != nil {
			return err
		}
		wait = min(2*wait, s.cfg.Backoff.Most)
	}
}

// passing reports errors that may go away by themselves while a server restarts.
func passing(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Class() == fault.Retry
}

// again makes one attempt.
func (s *Source) again(ctx context.Context) error {
	if s.opt.Feed != nil {
		return s.feedAgain(ctx)
	}
	sess, f, err := s.dial(ctx)
	if err != nil {
		return err
	}
	s.own(sess)
	was := s.server
	if err := checkIdentity(was, f, s.useGTID); err != nil {
		return err
	}
	if s.useGTID && !f.gtids(&s.cfg) {
		return fault.New(fault.SourceGTIDMode, "gtid_mode is %s, and was ON before", f.vars["gtid_mode"]).At(fault.Where{Server: f.address})
	}
	o := origin{}
	if s.useGTID {
		o.gtids = s.done
	}
	o.at.file, o.at.offset = s.asm.Where()
	if err := s.check(ctx, sess, f, &o, settleAgain); err != nil {
		return err
	}
	if s.useGTID && s.newest.Load() > 0 && sameServer(was, f) { // before the first transaction there is no time to compare with
		if err := s.checkPlace(ctx, sess, f, o.at, s.done); err != nil {
			return err
		}
	}
	if f.flavor == gtid.MariaDB && s.useGTID && was.ID != f.id {
		if err := s.checkNewDomains(f); err != nil {
			return err
		}
	}
	if now := f.server(); now != was {
		if now.UUID != was.UUID || now.ID != was.ID {
			s.log.Info("another server answers, and has everything that is needed", "server", now.Address, "uuid", now.UUID.String(), "server_id", now.ID,
				"version", now.Version)
			s.horizon = nil
		}
		s.server = now
		s.unsaid = true
	}
	return s.startStream(ctx, sess, f, o.at)
}

// checkNewDomains stops at a server that has domains which the old one never sent.
func (s *Source) checkNewDomains(f *facts) error {
	if missing := missingDomains(s.done, f.executed); len(missing) > 0 {
		return fault.New(fault.SourceDomainMissing, "the place to read from says nothing of %v, which this server has", missing).
			At(fault.Where{Server: f.address})
	}
	return nil
}

// losing counts connections that end soon after they began: a reader that is driven out again and again shares its server id with another.
func (s *Source) losing(cause error) error {
	now := time.Now()
	s.mu.Lock()
	since := s.status.Since
	s.mu.Unlock()
	if now.Sub(since) > 10*time.Second || !killed(cause) {
		s.kills = 0
		return nil
	}
	if s.kills++; s.kills < 5 {
		return nil
	}
	return clash(s.self.id, "the server ended the connection five times within seconds", s.server.Address)
}

// killed reports that the server ended the connection by its own decision.
func killed(err error) bool {
	f, ok := fault.As(err)
	if !ok || f.Code != fault.SourceLost {
		return false
	}
	return errors.Is(err, errKilled)
}
