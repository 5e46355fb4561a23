package live

import (
	"context"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// watchEvery is how often a reader looks at its server from outside of the stream.
const watchEvery = time.Minute

// placeEvents is how many events behind a place are looked at for a transaction of the server's own.
const placeEvents = 1000

// checkPlace notices a server that was told to forget its binlogs and GTIDs (RESET BINARY LOGS AND GTIDS, RESET MASTER): it counts its transactions
// anew from 1, and as soon as it has as many as were read, its set of GTIDs says that it can go on, and the new ones count as those that were
// read. Its files begin anew too. So on a server that was read from before, the place must still be one, and no transaction behind it may be
// both among those that were read and younger than all of them:
//
//	before    binlog.000007 ... :41 :42 | place; read: 1-42, until 12:00
//	reset     binlog.000001 :1 :2 ...     no such file yet, or shorter, or no event begins there, or one of 1-42, of 12:01
//
// Only the server's own transactions are looked at, since the times of others may be those of another clock. A file that was purged says nothing,
// nor does one that a reset within the same second made, where an event happens to begin at the place.
func (s *Source) checkPlace(ctx context.Context, sess *login, f *facts, at place, read *gtid.Set) error {
	if at.file == "" || at.offset > maxDumpOffset || at.offset < firstEvent {
		return nil
	}
	files, err := sess.binlogs(ctx)
	if err != nil {
		return err
	}
	reset := func(format string, args ...any) error {
		return fault.New(fault.SourceReset, format, args...).At(fault.Where{File: at.file, Offset: at.offset, Server: f.address})
	}
	newest := files[len(files)-1]
	if stem(newest.name) != stem(at.file) {
		return nil
	}
	if event.FileBefore(newest.name, at.file) {
		return reset("its newest binlog is %s, and %s was read", newest.name, at.file)
	}
	here := -1
	for i := range files {
		if files[i].name == at.file {
			here = i
		}
	}
	switch {
	case here < 0:
		return nil // purged
	case at.offset > files[here].size:
		return reset("%s ends at %d, and more of it was read", at.file, files[here].size)
	case at.offset == files[here].size && here == len(files)-1:
		return nil // nothing lies behind it
	}
	skim := binlog.NewSkimmer(int64(s.cfg.MaxPayload))
	skim.Seek(at.file, at.offset)
	seen := 0
	err = s.side(ctx, f, dumpRequest{from: at}, func(in *incoming) error {
		if seen++; seen > placeEvents || in.body != nil || binlog.EventType(in.raw[4]) == binlog.TransactionPayload {
			return errEnough
		}
		if err := skim.Push(in.raw, func(*schemas.Statement, binlog.Place) error { return nil }); err != nil {
			return err
		}
		id := skim.Place().GTID
		if id.IsZero() || f.flavor == gtid.MySQL && id.UUID != f.uuid || f.flavor == gtid.MariaDB && id.Server != f.id {
			return nil
		}
		if when := skim.Place().Time; read.Contains(id) && when > s.newest.Load() {
			return reset("a transaction %s was read, and this one was committed later, at %s", id, time.UnixMicro(when).UTC().Format(time.RFC3339))
		}
		return errEnough
	})
	switch f, ok := fault.As(err); {
	case !ok:
	case f.Code == fault.SourcePositionUnknown, f.Code == fault.SourceProtocol, f.Code == fault.BinlogChecksum, f.Code == fault.BinlogMalformed,
		f.Code == fault.BinlogUnknownEvent:
		files, again := sess.binlogs(ctx)
		switch {
		case again != nil:
			return again
		case event.FileBefore(at.file, files[0].name):
			err = nil // it was purged meanwhile, which the stream itself will say
		default:
			return reset("no event that was read begins there any more: %v", err)
		}
	}
	return err
}

// sameServer reports that the server is the one that was read from before.
func sameServer(was event.Server, f *facts) bool {
	now := f.server()
	return was.Version != "" && was.UUID == now.UUID && was.ID == now.ID
}

// startWatch begins to look at the server from outside of the stream.
func (s *Source) startWatch(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	s.mu.Lock()
	s.endWatch = func() {
		cancel()
		<-done
	}
	s.mu.Unlock()
	go func() {
		defer close(done)
		s.watch(ctx)
	}()
}

// watch measures the clock of the server from time to time, and looks whether it still has what was read from it: one that is reset below a waiting
// reader tells it nothing.
func (s *Source) watch(ctx context.Context) {
	t := time.NewTicker(s.cfg.watch)
	defer t.Stop()
	if _, known := s.ClockOffset(); !known {
		if err := s.glance(ctx); err != nil {
			s.log.Debug("the source could not be looked at", "error", err)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !s.streaming() {
			continue // who connects anew looks itself
		}
		err := s.glance(ctx)
		switch {
		case err == nil || ctx.Err() != nil || !s.streaming():
		case fault.Has(err, fault.SourceReset), fault.Has(err, fault.SourceAhead):
			// The reader connects anew, looks itself, and says it.
			s.log.Warn("the source lost what was read from it, connecting anew", "error", err)
			s.mu.Lock()
			if s.raw != nil {
				s.raw.Close()
			}
			s.mu.Unlock()
		default:
			s.log.Debug("the source could not be looked at", "error", err)
		}
	}
}

func (s *Source) streaming() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.State == StateStreaming
}

// glance connects for a moment, which also measures the clock, and compares the server with what was read from it.
func (s *Source) glance(ctx context.Context) error {
	s.mu.Lock()
	was, at := s.status.Server, place{s.status.File, s.status.Offset}
	s.mu.Unlock()
	sess, f, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer sess.Close()
	if s.opt.Feed != nil || !sameServer(was, f) {
		return nil
	}
	if !s.useGTID {
		files, err := sess.binlogs(ctx)
		if err != nil || at.file == "" {
			return err
		}
		return checkFile(at, files, f.address)
	}
	s.doneMu.Lock()
	read := s.done.Clone()
	s.doneMu.Unlock()
	if err := s.settle(ctx, sess, f, settleAgain/5, func() error { return checkGTIDs(read, f) }); err != nil {
		return err
	}
	return s.checkPlace(ctx, sess, f, at, read)
}

// explain says what is behind a refusal of the server that says little: it may have been reset.
func (s *Source) explain(ctx context.Context, err error) error {
	if !fault.Has(err, fault.SourceProtocol) || !s.useGTID {
		return err
	}
	if why := s.glance(ctx); fault.Has(why, fault.SourceReset) || fault.Has(why, fault.SourceAhead) {
		return why
	}
	return err
}
