package pipeline

import (
	"context"
	"time"

	"cdc/fault"
	"cdc/sinks"
	"cdc/source"
)

// commitLoop saves the checkpoint at intervals. A save that fails for want of space is tried again, and reading waits for it; any other
// failure ends the run.
func (p *Pipeline) commitLoop(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(p.opt.SaveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := p.commit(ctx)
		p.mu.Lock()
		was := p.held
		p.held = err != nil
		p.stats.hold(err)
		if was != p.held {
			p.wake()
		}
		p.mu.Unlock()
		switch {
		case err == nil && was:
			p.opt.Log.Info("checkpoint saved again", "stream", p.opt.Stream)
		case err != nil && fault.ClassOf(err) != fault.Retry:
			cancel(err)
			return
		case err != nil && !was:
			p.opt.Log.Warn("checkpoint not saved, reading waits", "stream", p.opt.Stream, "error", err)
		}
	}
}

// commit saves what was acknowledged since the last time: the history first, then the record that refers to it. Only then may go what the
// record no longer needs. Each step that succeeded is not done again when a later one fails.
func (p *Pipeline) commit(ctx context.Context) error {
	p.commitMu.Lock()
	defer p.commitMu.Unlock()
	p.mu.Lock()
	next, ok := p.core.collect()
	p.mu.Unlock()
	if ok {
		p.pending = merge(p.pending, next)
	}
	g := p.pending
	if g == nil {
		return nil
	}
	if len(g.history) > 0 {
		if err := p.opt.History.Append(ctx, p.opt.Stream, g.history); err != nil {
			return err
		}
		g.history = nil
	}
	if s, ok := p.opt.Sink.(sinks.Resumer); ok {
		state, err := s.State(g.last)
		if err != nil {
			return err
		}
		g.rec.SinkState = state
	}
	g.rec.Saved = time.Now().UnixMicro()
	if err := p.opt.Store.Save(ctx, p.opt.Stream, g.rec); err != nil {
		return err
	}
	p.pending = nil
	p.mu.Lock()
	p.stats.saved(&g.rec)
	left := p.core.drops.behind(g.last)
	p.mu.Unlock()
	if p.opt.Saved != nil {
		p.opt.Saved(&g.rec)
	}
	for _, d := range left {
		if p.opt.Dropped != nil {
			p.opt.Dropped(d.Drop, d.rows)
		}
	}
	for _, x := range g.done {
		if p.opt.Spool != nil && x.Spool != "" {
			if err := p.opt.Spool.Remove(x.Spool); err != nil {
				p.opt.Log.Warn("spool file not removed", "stream", p.opt.Stream, "file", x.Spool, "error", err)
			}
		}
	}
	if c, ok := p.opt.Source.(source.Committer); ok {
		if err := c.Commit(ctx, g.pos); err != nil {
			return err
		}
	}
	return nil
}

// merge puts newer progress on top of what could not be saved.
func merge(old *progress, p progress) *progress {
	if old == nil {
		return &p
	}
	p.history = append(old.history, p.history...)
	p.done = append(old.done, p.done...)
	p.pos = old.pos.Then(p.pos)
	return &p
}
