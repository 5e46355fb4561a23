package pipeline

import (
	"cdc/checkpoint"
	"cdc/event"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/transform"
)

// core is the pure part of a pipeline. It is not safe for concurrent use: the shell locks.
type core struct {
	rec     checkpoint.Record // of everything that was acknowledged
	ready   progress          // what of it was not collected yet
	win     window
	seq     uint64
	drops   drops
	skip    *skipper
	chain   *chain
	builder *event.Builder
	whole   uint64 // the last batch behind which no transaction is open
	err     error  // the first failed acknowledgement

	skipped uint64 // changes that the sink held already
}

func newCore(rec checkpoint.Record, steps []transform.Step, place sinks.Place, placed bool, limit int) *core {
	c := &core{rec: rec, win: window{limit: limit}}
	if rec.GTIDs != nil {
		c.rec.GTIDs = rec.GTIDs.Clone()
	}
	if placed {
		c.skip = newSkipper(place, &rec)
	}
	if len(steps) > 0 {
		c.chain = newChain(steps)
	}
	return c
}

// offer takes a batch that was just read: it numbers it, drops what the sink has, transforms the rest, and puts it in the window.
func (c *core) offer(b *event.Batch) (*slot, error) {
	c.seq++
	b.Seq = c.seq
	c.builder = c.drops.apply(b, c.builder)
	if c.skip != nil {
		var n int
		c.builder, n = c.skip.apply(b, c.builder)
		c.skipped += uint64(n)
	}
	if c.chain != nil {
		var err error
		if c.builder, err = c.chain.apply(b, c.builder); err != nil {
			return nil, err
		}
	}
	s := c.win.add(b)
	if n := len(b.Txns); n == 0 && c.whole == c.seq-1 || n > 0 && b.Txns[n-1].End {
		c.whole = c.seq
	}
	if c.skip != nil {
		c.skip.hold(b)
	}
	return s, nil
}

// began takes the place where a new stream starts.
func (c *core) began(b *event.Batch) {
	c.seq++
	c.whole = c.seq
	s := &slot{first: c.seq, last: c.seq, closed: true, pos: b.Pos, history: append([]schemas.Entry(nil), b.History...), xa: b.XA}
	if b.Mark != nil {
		s.marks = []*event.Mark{b.Mark}
	}
	c.fold(s)
	c.ready.add(s)
}

// acked notes that one batch of a slot is durable, or failed for good, and folds the acknowledged prefix of the window into the record.
func (c *core) acked(s *slot, err error) {
	if err != nil {
		if c.err == nil {
			c.err = err
		}
		return // its slot stays pending: the record never moves past it
	}
	s.pending--
	for _, s := range c.win.take() {
		c.fold(s)
		c.ready.add(s)
	}
	if c.skip != nil && c.skip.done(&c.rec) {
		c.skip = nil
	}
}

// drained reports that all was acknowledged which a flush makes durable. A sink may hold the acknowledgement of each batch that has a part of a
// transaction that has not ended, also where other transactions end in it.
func (c *core) drained() bool {
	for _, s := range c.win.slots {
		if s.closed && s.pending > 0 && s.last <= c.whole {
			return false
		}
	}
	return true
}

// progress is what may be saved: first the history, then the record, then what is no longer needed may go.
type progress struct {
	history []schemas.Entry
	rec     checkpoint.Record
	last    uint64         // sequence number of the last batch behind it; 0 where nothing moved
	done    []event.XA     // prepared transactions that ended before the record
	pos     event.Position // of all its slots together
}

func (p *progress) add(s *slot) {
	p.history = append(p.history, s.history...)
	for _, x := range s.xa {
		if x.Done {
			p.done = append(p.done, x)
		}
	}
	p.last = s.last
	p.pos = p.pos.Then(s.pos)
}

// collect gives what was acknowledged since the last time. ok is false where nothing moved.
func (c *core) collect() (p progress, ok bool) {
	if c.ready.last == 0 {
		return p, false
	}
	p, c.ready = c.ready, progress{}
	p.rec = c.rec
	p.rec.GTIDs = c.rec.GTIDs.Clone()
	p.rec.XA = append([]event.XA(nil), c.rec.XA...)
	return p, true
}

func (c *core) fold(s *slot) {
	r := &c.rec
	at := event.Position{GTIDs: r.GTIDs, File: r.File, Offset: r.Offset, Time: r.Time}.Then(s.pos)
	r.GTIDs, r.File, r.Offset, r.Time = at.GTIDs, at.File, at.Offset, at.Time
	if at.Server != nil {
		r.Server = *at.Server
	}
	if n := len(s.history); n > 0 {
		r.SchemaSeq = s.history[n-1].Seq
	}
	for _, x := range s.xa {
		if !x.Done {
			r.XA = append(r.XA, x)
			continue
		}
		kept := r.XA[:0:0]
		for _, y := range r.XA {
			if y.ID != x.ID {
				kept = append(kept, y)
			}
		}
		r.XA = kept
	}
	for _, m := range s.marks {
		r.Snapshot = r.Snapshot.Then(m)
	}
	r.Rows += s.rows
	r.Txns += s.txns
	r.ByHand = false // the first batch brought the tables of the place
}
