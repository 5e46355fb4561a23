package files

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"cdc/fault"
)

// lookEvery is how often a sink looks for files that are old enough to be removed: often enough for any time that people set, and rarely enough for a listing of
// all manifests.
const lookEvery = time.Hour

// retain begins to remove old files, now and every hour, until the sink is closed.
func (s *Sink) retain() {
	if s.opt.Retain == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	s.stop = func() { cancel(); wait.Wait() }
	wait.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			removed, err := s.expire(ctx)
			if ctx.Err() != nil {
				return
			}
			if (removed > 0 || err != nil) && !fault.Has(err, fault.SinkUpkeep) { // somebody else is at it: the next time
				s.opt.Kept(removed, err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// expire removes what is too old.
func (s *Sink) expire(ctx context.Context) (removed int, err error) {
	k, err := s.opt.OpenKeeper(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	return removed, k.Expire(ctx, time.Now().Add(-s.opt.Retain), nil, func(*Listed) error { removed++; return nil })
}

// finishUpkeep finishes what a Keeper in a folder was killed in: until then readers of folders see rows twice. One that is at work is left alone.
func finishUpkeep(ctx context.Context, store Store, open func(context.Context) (*Keeper, error)) error {
	if _, err := readAll(ctx, store, inWork(intentFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	k, err := open(ctx)
	if fault.Has(err, fault.SinkUpkeep) {
		return nil
	}
	if err != nil {
		return err
	}
	return k.Close()
}
