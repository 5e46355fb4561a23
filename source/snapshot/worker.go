package snapshot

import (
	"context"
	"errors"
	"slices"
	"time"

	"cdc/event"
	"cdc/fault"
)

// ahead is how many chunks are on their way: while one waits for the stream the next is read.
const ahead = 2

// ask has the worker read the next chunk, unless it has one.
func (s *Source) ask() error {
	for s.inflight == nil && len(s.m.chunks) < ahead {
		if n := len(s.m.chunks); n > 0 && s.m.chunks[n-1].piece {
			return nil // its transaction has the connection
		}
		t := s.plan.current
		if t == nil {
			if len(s.plan.waiting) == 0 || !s.m.reached(s.listed) {
				return nil
			}
			t, s.plan.waiting = s.plan.waiting[0], s.plan.waiting[1:]
			s.plan.current = t
		}
		if t.version == nil && s.under(t) {
			return nil // what is on its way was asked for with other columns: that first
		}
		ok, err := t.prepare(&s.m)
		if errors.Is(err, errMoved) {
			c := &chunk{t: t, probe: true, server: s.m.server}
			s.m.chunks = append(s.m.chunks, c)
			s.plan.current = nil
			s.run(c, s.fetch)
			return nil
		}
		if err != nil {
			return err
		}
		if !ok {
			s.plan.current = nil
			s.update(func(p *Progress) { p.TablesDone++ })
			continue
		}
		piece := t.query.r.key == nil
		if piece && !t.warned {
			t.warned = true
			s.opt.Log.Warn("a table without a key is copied in one piece, while the stream waits", "table", t.copy.Name.String())
		}
		if piece {
			t.restart()
		}
		c := &chunk{
			t: t, query: t.query, piece: piece, server: s.m.server, known: s.m.done.Clone(), need: s.m.has(),
			limit: t.limit(s.opt.Limits.ChunkRows, s.opt.ChunkBytes),
		}
		if piece {
			s.plan.current = nil // it is one chunk
		}
		s.m.chunks = append(s.m.chunks, c)
		s.run(c, s.fetch)
	}
	return nil
}

// under reports that chunks of a table are on their way.
func (s *Source) under(t *tableCopy) bool {
	for _, c := range s.m.chunks {
		if c.t == t {
			return true
		}
	}
	return false
}

// run gives a chunk to the worker, of which there is one at a time.
func (s *Source) run(c *chunk, job func(context.Context, *chunk) error) {
	s.inflight = c
	ctx, cancel := s.ctx()
	s.jobs.Go(func() {
		defer cancel()
		err := job(ctx, c)
		if err != nil {
			c.release()
		}
		c.err = err
		s.arrived <- c // has room: there is one job at a time
	})
}

// fetch reads a chunk, and connects anew where the connection broke.
func (s *Source) fetch(ctx context.Context, c *chunk) error {
	v := &s.server
	pause := 100 * time.Millisecond
	for tries := 0; ; tries++ {
		err := v.connect(ctx)
		if err == nil {
			err = v.throttle(ctx)
		}
		if err == nil {
			err = v.read(ctx, c)
		}
		if err == nil {
			v.spend(c.rows)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if v.s != nil {
			err = v.sort(err)
		}
		if gone, ok := errors.AsType[notAsKnownError](err); ok {
			// The statement that explains it is in the binlog by now, or the stream has passed it when the chunk's turn comes.
			high, herr := v.head(ctx)
			if herr == nil {
				c.high = high
				v.close() // and with it the transaction
				return gone
			}
			err = herr
		}
		v.close()
		if fault.ClassOf(err) != fault.Retry || fault.Has(err, fault.SnapshotServer) && tries >= maxTries {
			return err
		}
		c.release()
		c.rows, c.cursor, c.done = 0, nil, false
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 10*time.Second)
	}
}

// arrive takes a chunk from the worker. b is the last batch of a table that was read in one piece.
func (s *Source) arrive(c *chunk) (b *event.Batch, err error) {
	if c == s.piece {
		if c.err != nil {
			return nil, c.err
		}
		b, c.batch = c.batch, nil
		return s.part(c, b, true), nil
	}
	if _, ok := errors.AsType[notAsKnownError](c.err); c.err != nil && !ok {
		return nil, c.err
	}
	if c.probe {
		s.m.chunks = slices.DeleteFunc(s.m.chunks, func(x *chunk) bool { return x == c })
		if c.err == nil {
			return nil, fault.New(fault.SnapshotTable, "the table cannot be copied: %w", errMoved).At(fault.Where{Table: c.t.copy.Name.String()})
		}
		s.update(func(p *Progress) { p.TablesDone++ })
		return nil, nil
	}
	if c.batch != nil {
		c.batch.Charge()
	}
	if c.err == nil {
		c.arrive()
	} else {
		c.arrived, c.touched, c.size = true, nil, 0
	}
	if t := c.t; c.err == nil && !c.stale && !c.piece {
		t.until = c.until
		if c.cursor != nil {
			t.cursor = c.cursor
		}
		if c.done && s.plan.current == t {
			s.plan.current = nil
		}
	}
	return nil, nil
}

// again drops a chunk that cannot be used, with those of its table behind it, and has its rows read again.
func (s *Source) again(c *chunk) error {
	t, was := c.t, c.stale
	for _, x := range s.m.chunks {
		if x.t == t {
			x.stale = true
		}
	}
	kept := s.m.chunks[:0]
	for _, x := range s.m.chunks {
		if x.t == t && x.arrived {
			x.release()
			continue
		}
		kept = append(kept, x)
	}
	clear(s.m.chunks[len(kept):])
	s.m.chunks = kept
	if s.under(t) {
		return nil // the one that is being read comes here too
	}
	switch t.tries++; {
	case c.piece && t.tries > maxTries:
		return keyless(t)
	case c.err != nil && !was && t.tries > 5:
		return fault.New(fault.SnapshotTable, "the server refuses the query for its rows: %w", c.err).At(fault.Where{Table: t.copy.Name.String()})
	}
	t.version = nil
	t.rewind()
	if s.plan.current != nil && s.plan.current != t {
		s.plan.waiting = append([]*tableCopy{s.plan.current}, s.plan.waiting...)
	}
	s.plan.current = t
	return nil
}

// openPiece begins to hand over a table without a key: the stream waits until all of it is there.
func (s *Source) openPiece(c *chunk) error {
	if c.hit { // the stream has changed it since the transaction began
		return s.again(c)
	}
	s.piece = c
	c.parts = make(chan *event.Batch)
	s.run(c, func(ctx context.Context, c *chunk) error { return s.server.piece(ctx, c) })
	return nil
}
