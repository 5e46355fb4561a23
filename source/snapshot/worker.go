package snapshot

import (
	"context"
	"errors"
	"slices"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// ahead is how many chunks of each worker are on their way: while one waits for the stream the next is read.
const ahead = 2

// worker reads chunks over a connection of its own, one at a time.
type worker struct {
	server server
	chunk  *chunk // that it has; nil while it is idle
}

// ask gives chunks to the workers that have none. Chunks of one table are read side by side where there are several workers: the end of a chunk is
// found first, by a query that gives no rows, and the next can be asked for from there.
func (s *Source) ask() error {
	for _, w := range s.workers {
		if w.chunk != nil || len(s.m.chunks) >= ahead*len(s.workers) || s.holds(w) {
			continue
		}
		c, err := s.next()
		if c == nil || err != nil {
			return err
		}
		c.w = w
		s.m.chunks = append(s.m.chunks, c)
		s.run(c, s.fetch)
	}
	return nil
}

// holds reports a worker whose connection has the transaction of a table in one piece.
func (s *Source) holds(w *worker) bool {
	return slices.ContainsFunc(s.m.chunks, func(c *chunk) bool { return c.w == w && c.piece })
}

// next gives the chunk to read next; nil where there is none at present.
func (s *Source) next() (*chunk, error) {
	if s.ready = s.ready || s.m.reached(s.listed) && s.caughtUp(); !s.ready {
		return nil, nil
	}
	for i := 0; ; i++ {
		if i == len(s.plan.active) {
			if len(s.plan.waiting) == 0 {
				return nil, nil
			}
			s.plan.active = append(s.plan.active, s.plan.waiting[0])
			s.plan.waiting = s.plan.waiting[1:]
		}
		t := s.plan.active[i]
		if t.asking != nil || t.version == nil && s.under(t) {
			continue // it is not known where its next chunk begins, or what is on its way was asked for with other columns
		}
		ok, err := t.prepare(&s.m, &s.opt)
		moved := errors.Is(err, errMoved)
		if err != nil && !moved {
			return nil, err
		}
		if ok && s.under(t) && t.query.r.key == nil {
			continue
		}
		c := &chunk{t: t, name: t.copy.Name, server: s.m.server, probe: moved}
		if !ok {
			s.plan.drop(t)
			if moved {
				return c, nil
			}
			s.update(func(p *Progress) { p.TablesDone++ })
			i--
			continue
		}
		c.query, c.known, c.need = t.query, s.m.done.Clone(), s.m.has()
		if t.query.r.key == nil {
			if s.opt.Once && s.opt.Asked != nil {
				return nil, twice(t.copy.Name, "it has no key, and the target may have its rows")
			}
			c.piece = true
			t.restart()
			s.plan.drop(t) // it is one chunk
			if !t.warned {
				t.warned = true
				s.opt.Log.Warn("a table without a key is copied in one piece, while the stream waits", "table", t.copy.Name.String())
			}
			return c, nil
		}
		c.from, c.until, c.limit = t.cursor, t.until, t.limit(s.opt.Limits.ChunkRows, s.opt.ChunkBytes)
		t.asking = c
		return c, nil
	}
}

// caughtUp reports that the stream has handed over all that the sink has. Rows of a server that lacks some of it would come out behind what is newer.
func (s *Source) caughtUp() bool {
	lacks := gtid.Minus(s.opt.Held, s.m.done)
	if lacks.Empty() {
		return true
	}
	if !s.waits {
		s.waits = true
		s.opt.Log.Warn("the snapshot waits until the stream has brought what the sink has of it already", "lacks", lacks.String())
	}
	return false
}

// under reports that chunks of a table are on their way.
func (s *Source) under(t *tableCopy) bool {
	return slices.ContainsFunc(s.m.chunks, func(c *chunk) bool { return c.t == t })
}

// run gives a chunk to its worker.
func (s *Source) run(c *chunk, job func(context.Context, *chunk) error) {
	c.w.chunk = c
	ctx, cancel := s.ctx()
	s.jobs.Go(func() {
		defer cancel()
		err := job(ctx, c)
		if err != nil {
			c.release()
		}
		c.err = err
		s.arrived <- c // has room: each worker has one job at a time
	})
}

// fetch reads a chunk, and connects anew where the connection broke.
func (s *Source) fetch(ctx context.Context, c *chunk) error {
	v := &c.w.server
	pause := 100 * time.Millisecond
	for tries := 0; ; tries++ {
		err := v.connect(ctx)
		if err == nil {
			err = v.throttle(ctx, &s.pace)
		}
		if err == nil && (len(s.workers) > 1 || c.query != nil && c.query.only != "") && !c.piece && !c.probe && !c.bounded {
			if err = v.bound(ctx, c); err == nil {
				c.bounded = true
				select {
				case s.bounds <- c:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		if err == nil {
			err = v.read(ctx, c)
		}
		if err == nil {
			s.pace.spend(c.rows, s.opt.Limits.RowsPerSecond)
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
		c.rows, c.cursor, c.done, c.cut = 0, nil, false, false
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
	if c.err == nil && !c.stale && !c.piece {
		s.landed(c)
	}
	return nil, nil
}

// bounded takes note of where a chunk ends whose rows are being read: of the chunk nothing else may be looked at.
func (s *Source) bounded(c *chunk) {
	if c.t.asking == c && !c.stale {
		s.goOn(c, c.bound, c.last)
	}
}

// landed takes note of where a chunk ends whose rows are there.
func (s *Source) landed(c *chunk) {
	t := c.t
	if c.rows > 0 {
		t.row = max(c.bytes/int64(c.rows), 1)
	}
	if c.cut { // it ends before its bound: what was asked for behind that leaves rows out
		behind := false
		for _, x := range s.m.chunks {
			if x.t == t {
				x.stale = x.stale || behind
				behind = behind || x == c
			}
		}
		t.cursor = c.cursor
		s.plan.first(t)
	}
	if t.asking == c {
		s.goOn(c, c.cursor, c.done)
	}
}

// goOn has the next chunk of a table begin where this one ends.
func (s *Source) goOn(c *chunk, end []string, done bool) {
	t := c.t
	t.asking, t.until = nil, c.until
	if end != nil {
		t.cursor = end
	}
	if done {
		s.plan.drop(t)
	}
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
	if t.asking != nil && t.asking.stale {
		t.asking = nil
	}
	if s.under(t) {
		return nil // those that are being read come here too
	}
	switch t.tries++; {
	case c.piece && t.tries > maxTries:
		return keyless(t)
	case c.err != nil && !was && t.tries > 5:
		return fault.New(fault.SnapshotTable, "the server refuses the query for its rows: %w", c.err).At(fault.Where{Table: t.copy.Name.String()})
	}
	t.version = nil
	t.rewind()
	s.plan.first(t)
	return nil
}

// openPiece begins to hand over a table without a key: the stream waits until all of it is there.
func (s *Source) openPiece(c *chunk) {
	s.piece = c
	c.parts = make(chan *event.Batch)
	s.run(c, func(ctx context.Context, c *chunk) error { return c.w.server.piece(ctx, c) })
}
