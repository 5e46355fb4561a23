package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"cdc/fault"
	"cdc/source"
)

// Taps opens connections for Run.
type Taps struct {
	// First says where an empty relay begins.
	First func(ctx context.Context) (source.Place, error)
	// Open connects, so that events come from a place on; last is the commit time of the last transaction before it, microseconds since 1970, 0 where it is not
	// known.
	Open func(ctx context.Context, from source.Place, last int64) (source.Tap, error)
	// Look says whether the server that is read from still has what comes before a place; nil where that need not be asked. What it reports as a fault that is
	// not of class retry ends the connection, and the next one meets it.
	Look func(ctx context.Context, from source.Place, last int64) error
	// First pause between two attempts, and longest; zero for 250 ms and 30 s.
	Pause, Most time.Duration
}

// Run copies the binlog of a server until ctx ends, which is no error, or what happens cannot be cured by trying again. Readers learn of such an end when
// they have read all that there is.
func (r *Relay) Run(ctx context.Context, t Taps) error {
	if t.Pause == 0 {
		t.Pause = 250 * time.Millisecond
	}
	if t.Most == 0 {
		t.Most = 30 * time.Second
	}
	r.mu.Lock()
	r.failure = nil
	r.mu.Unlock()
	wait := t.Pause
	for r.rest(ctx) {
		began := time.Now()
		err := r.once(ctx, t)
		if ctx.Err() != nil || errors.Is(err, errHungUp) {
			continue // to rest, or to the end
		}
		if fault.ClassOf(err) != fault.Retry {
			r.state(StateFailed, err)
			r.mu.Lock()
			r.failure = err
			r.wake()
			r.mu.Unlock()
			return err
		}
		if time.Since(began) > 10*time.Second {
			wait = t.Pause
		}
		full := fault.Has(err, fault.RelayDiskFull)
		if full {
			if r.Status().State != StateFull {
				r.log.Warn("relay: no space is left, reading waits", "error", err)
			}
			r.state(StateFull, err)
			wait = min(wait, time.Second)
			if _, terr := r.tidy(time.Now()); terr != nil {
				r.log.Warn("relay: old files could not be removed", "error", terr)
			}
		} else {
			if r.Status().State != StateWaiting {
				r.log.Info("relay: connection to the source lost, connecting anew", "error", err)
			}
			r.state(StateWaiting, err)
		}
		r.pause(ctx, wait/2+rand.N(wait/2+1))
		wait = min(2*wait, t.Most)
	}
	r.state(StateStopped, nil)
	return nil
}

var errHungUp = errors.New("the relay's connection was ended")

// once opens one connection and copies what it gives.
func (r *Relay) once(ctx context.Context, t Taps) error {
	if s := r.Status().State; s != StateFull {
		r.state(StateConnecting, nil)
	}
	if err := r.room(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.mu.Lock()
	r.hangUp = func() { cancel(errHungUp) }
	paused, began := r.paused, r.began
	r.mu.Unlock()
	if paused {
		return errHungUp
	}
	if !began {
		first, err := t.First(ctx)
		if err != nil {
			return cause(ctx, err)
		}
		r.mu.Lock()
		r.done, r.next, r.began = clone(first.GTIDs), source.Place{File: first.File, Offset: first.Offset}, true
		r.mu.Unlock()
	}
	from, last := r.place()
	tap, err := t.Open(ctx, from, last)
	if err != nil {
		return cause(ctx, err)
	}
	defer tap.Close()
	r.mu.Lock()
	if r.status.Origin.Server.Version != "" {
		r.status.Reconnects++
	}
	r.mu.Unlock()
	r.state(StateStreaming, nil)
	r.log.Info("relay: reading", "server", tap.Origin().Server.Address, "semi_sync", tap.Origin().SemiSync)
	return cause(ctx, r.copyFrom(ctx, tap))
}

// place is where the relay goes on, and the commit time of the last transaction before.
func (r *Relay) place() (from source.Place, last int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from = source.Place{GTIDs: clone(r.done), File: r.next.File, Offset: r.next.Offset}
	if n := len(r.segs); n > 0 {
		from.Server, last = r.segs[n-1].in.origin.Server, r.segs[n-1].last
	}
	return from, last
}

// Look asks whether the server that is read from still has what was read from it, and ends the connection where it has not.
func (r *Relay) Look(ctx context.Context, t Taps) error {
	if t.Look == nil || r.Status().State != StateStreaming {
		return nil
	}
	from, last := r.place()
	err := t.Look(ctx, from, last)
	if err == nil || ctx.Err() != nil || fault.ClassOf(err) == fault.Retry || r.Status().State != StateStreaming {
		return err
	}
	r.log.Warn("relay: the source lost what was read from it, connecting anew", "error", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hangUp != nil {
		r.hangUp()
	}
	return err
}

// cause gives what ended ctx, where it did.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if _, ok := fault.As(err); !ok || fault.ClassOf(err) == fault.Retry {
			return context.Cause(ctx)
		}
	}
	return err
}

// rest waits while the reading is paused; goOn is false where ctx has ended.
func (r *Relay) rest(ctx context.Context) (goOn bool) {
	for {
		r.mu.Lock()
		paused, changed := r.paused, r.pausing
		r.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		if !paused {
			return true
		}
		if r.Status().State != StatePaused {
			r.log.Info("relay: reading is paused")
		}
		r.state(StatePaused, nil)
		t := time.NewTimer(time.Second)
		select {
		case <-changed:
		case <-t.C: // an order may have been taken back while this process began, before it could be told
			if order, err := ReadPaused(r.opt.Dir); err == nil && order == nil {
				r.Pause(false)
			}
		case <-ctx.Done():
			t.Stop()
			return false
		}
		t.Stop()
	}
}

// Obey looks for an order that was given while this process could not be told yet.
func (r *Relay) Obey() error {
	order, err := ReadPaused(r.opt.Dir)
	if err == nil && order != nil {
		r.Pause(true)
	}
	return err
}

// Pause ends the connection to the source, or lets it be made anew. Readers go on with what is there.
func (r *Relay) Pause(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = on
	close(r.pausing)
	r.pausing = make(chan struct{})
	if on && r.hangUp != nil {
		r.hangUp()
	}
}

// pause waits for d, or for an end or an order.
func (r *Relay) pause(ctx context.Context, d time.Duration) {
	r.mu.Lock()
	changed := r.pausing
	r.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
}
