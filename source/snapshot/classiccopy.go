package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

// copying is the reading of the views: a goroutine for each, which takes tables from a list.
type copying struct {
	parts chan part
	// turn is held by who hands over: a table without a key keeps it to its end, since its rows are one transaction.
	turn   chan struct{}
	idle   chan struct{} // closed when all have ended
	cancel context.CancelFunc
	pace   *pace
	rate   int // rows per second; 0 is any
}

// part is what a view hands over.
type part struct {
	t     *classicTable
	batch *event.Batch // nil where there are no more rows, or the copy was broken off
	last  bool         // the table is whole
	end   place        // up to where a statement makes it void; where it was broken off, up to where the stream explains why
	err   error        // it was broken off
}

func (x *copying) wait() {
	x.cancel()
	for {
		select {
		case p := <-x.parts:
			if p.batch != nil {
				p.batch.Release()
			}
		case <-x.idle:
			return
		}
	}
}

// start has the views read, largest tables first.
func (c *Classic) start() error {
	c.round++
	engine := map[schemas.Name]*listedTable{}
	for i := range c.views.tables {
		engine[c.views.tables[i].name] = &c.views.tables[i]
	}
	var queue []*classicTable
	guarded := len(c.views.list) > 0 && c.views.list[0].guard != nil
	kept := c.tables[:0]
	for _, t := range c.tables {
		l := engine[t.copy.Name]
		if t.copy.Done || l != nil && l.transactional() == guarded { // tables without transactions have a round of their own
			kept = append(kept, t)
			continue
		}
		there, err := c.prepare(t, l != nil)
		if err != nil {
			return err
		}
		if !there {
			c.update(func(p *Progress) { p.TablesAll-- })
			continue
		}
		kept = append(kept, t)
		t.copy.Rows = 0
		queue = append(queue, t)
	}
	c.tables = kept
	c.opt.Log.Info("tables are read as of one place", "place", c.place().String(), "tables", len(queue), "connections", len(c.views.list), "by", c.views.Way,
		"commits_held_ms", c.views.Held.Milliseconds())
	size := func(a, b *classicTable) int { return int(max(min(int64(b.estimate)-int64(a.estimate), 1), -1)) }
	slices.SortStableFunc(queue, size)
	ctx, cancel := c.ctx()
	x := &copying{parts: make(chan part), turn: make(chan struct{}, 1), idle: make(chan struct{}), cancel: cancel, pace: &pace{}, rate: c.opt.Limits.RowsPerSecond}
	var jobs sync.WaitGroup
	list := listOf(queue)
	for _, v := range c.views.list {
		jobs.Go(func() {
			defer v.close() // and with it the locks
			v.work(ctx, list, x)
		})
	}
	go func() {
		jobs.Wait()
		close(x.idle)
	}()
	c.copying, c.phase = x, rows
	return nil
}

// listOf gives a closed channel with all tables.
func listOf(tables []*classicTable) <-chan *classicTable {
	out := make(chan *classicTable, len(tables))
	for _, t := range tables {
		out <- t
	}
	close(out)
	return out
}

// prepare makes the query for the table as it is at the place of the views. there is false where it is gone.
func (c *Classic) prepare(t *classicTable, listed bool) (there bool, err error) {
	n := t.copy.Name
	version, state := c.m.catalog.Table(n.Database, n.Table)
	switch {
	case !listed:
		return false, nil
	case state != schemas.Known:
		why := "nothing is known of its columns"
		if e := c.m.catalog.Why(n.Database, n.Table); e != nil && e.Reason != "" {
			why = e.Reason
		}
		return false, fault.New(fault.SnapshotTable, "the table cannot be copied: %s", why).At(fault.Where{Table: n.String()})
	}
	if t.query, err = queryOf(version, ""); err != nil {
		return false, err
	}
	t.copy.Key = describeKey(t.query)
	return true, nil
}

// take gives the next batch of rows; nil where the phase has ended.
func (c *Classic) take(ctx context.Context) (*event.Batch, error) {
	select {
	case p := <-c.copying.parts:
		if p.err != nil {
			return nil, c.broken(p)
		}
		return c.handOver(p), nil
	case <-c.copying.idle:
		c.copying.cancel()
		c.views.Close()
		c.views, c.copying, c.phase = nil, nil, checking
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// broken leaves a table for another round, where that can help.
func (c *Classic) broken(p part) error {
	t := p.t
	_, moved := errors.AsType[notAsKnownError](p.err)
	if !moved && fault.ClassOf(p.err) != fault.Retry || c.piece == t {
		// A part of a transaction was handed over: only a new start takes it back.
		return p.err
	}
	if t.tries++; t.tries > tableTries {
		return fault.New(fault.SnapshotTable, "its copy was broken off %d times: %w", t.tries, p.err).At(fault.Where{Table: t.copy.Name.String()})
	}
	c.opt.Log.Warn("the copy of a table was broken off, and begins again", "table", t.copy.Name.String(), "error", p.err)
	c.until(p.end)
	return nil
}

// handOver gives the batch of a part.
func (c *Classic) handOver(p part) *event.Batch {
	t, b := p.t, p.batch
	if b == nil {
		b = c.opt.Pool.Get()
	}
	n := uint64(len(b.Changes))
	t.copy.Rows += n
	t.came = true
	whole := t.query.r.key == nil
	if p.last {
		t.copy.Done, t.end = true, p.end
		t.copy.Until = []string{p.end.String()}
		c.until(p.end)
	}
	if c.piece == nil {
		c.last = max(c.last+1, time.Now().UnixMicro())
	}
	for i := range b.Txns {
		x := &b.Txns[i]
		x.File, x.Off, x.Next, x.ServerID, x.Commit = c.m.at.file, c.m.at.offset, c.m.at.offset, c.m.server.ID, c.last
		if whole {
			x.Begin, x.End = c.piece == nil, p.last
		}
	}
	c.piece = nil
	if whole && !p.last {
		c.piece = t
	}
	done := t.copy
	b.Mark = &event.Mark{ID: c.from.ID, Table: &done, Part: c.piece != nil, Low: c.place().String(), High: c.place().String()}
	b.Copying, b.Received = true, time.Now().UnixMicro()
	if whole {
		// A target that writes down that it has the table must not take another round's copy for this one's: changes between the two are in neither.
		h := fnv.New64a()
		_, _ = h.Write([]byte(c.place().String()))
		b.Mark.ID = fmt.Sprintf("%s-%016x", b.Mark.ID, h.Sum64())
	}
	c.update(func(pr *Progress) {
		pr.Rows += n
		pr.Chunks++
		pr.Table = t.copy.Name.String()
		if p.last {
			pr.TablesDone++
		}
	})
	return b
}

// work reads tables until there are none, or the connection breaks.
func (v *view) work(ctx context.Context, list <-chan *classicTable, x *copying) {
	for t := range list {
		end, err := v.table(ctx, t, x)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if v.s.Usable() {
				err = v.sort(err)
			}
			select {
			case x.parts <- part{t: t, err: err, end: end}:
			case <-ctx.Done():
				return
			}
			if !v.s.Usable() || v.guard != nil {
				return // what is left on the list is for others, or another round
			}
		}
	}
}

// table reads a table. end is where the binlog ended when nothing could alter the table any more.
func (v *view) table(ctx context.Context, t *classicTable, x *copying) (end place, err error) {
	n := t.copy.Name
	if err = v.s.Exec(ctx, v.first("SELECT 1 FROM "+identifier(n.Database)+"."+identifier(n.Table)+" LIMIT 0")); err == nil {
		end, err = v.head(ctx)
	}
	if err == nil {
		err = v.send(ctx, t, x, end)
	}
	if err == nil || !v.s.Usable() {
		return end, err
	}
	if at, herr := v.head(ctx); herr == nil {
		end = at // the statement that explains it lies before
	}
	if v.guard == nil {
		if rerr := v.s.Exec(ctx, "ROLLBACK TO SAVEPOINT "+savepoint); rerr != nil {
			return end, rerr
		}
	}
	return end, err
}

// first lets a query of a table that guard has locked go before the writers who wait for it: a server gives them the next lock otherwise, also before readers.
func (v *view) first(query string) string {
	if v.guard == nil {
		return query
	}
	return "SELECT HIGH_PRIORITY" + strings.TrimPrefix(query, "SELECT")
}

// send reads the rows and hands them over.
func (v *view) send(ctx context.Context, t *classicTable, x *copying, end place) error {
	q := t.query
	whole, mine := q.r.key == nil, false
	give := func(p part) error {
		if !mine {
			select {
			case x.turn <- struct{}{}:
				mine = true
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		select {
		case x.parts <- p:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !whole {
			<-x.turn
			mine = false
		}
		return nil
	}
	defer func() {
		if mine {
			<-x.turn
		}
	}()
	b := v.opt.Pool.Get()
	index := v.start(b, q.r.table)
	number, spent := uint32(0), 0
	err := v.s.Stream(ctx, v.first(q.chunk(nil, nil, 0)), func(row [][]byte) error {
		if err := q.r.append(b, index, number, row); err != nil {
			return err
		}
		number++
		spent++
		if err := v.tooLong(q, row); err != nil || b.Size() < v.opt.ChunkBytes && (x.rate == 0 || spent < x.rate/4+1) {
			return err
		}
		if err := x.slow(ctx, spent); err != nil {
			return err
		}
		if err := give(part{t: t, batch: b}); err != nil {
			return err
		}
		b, number, spent = v.opt.Pool.Get(), 0, 0
		index = v.start(b, q.r.table)
		return nil
	})
	// What comes behind the rows belongs to the copy: it is whole only if the locks were there to its end.
	switch {
	case err != nil:
	case v.guard != nil:
		err = v.guard.s.Exec(ctx, "DO 1")
	case !v.s.InTransaction():
		err = fault.New(fault.SourceLost, "the transaction of the consistent read has ended").At(fault.Where{Server: v.s.Address})
	default:
		err = v.s.Exec(ctx, "ROLLBACK TO SAVEPOINT "+savepoint)
	}
	if err != nil {
		b.Release()
		return err
	}
	if number == 0 && !whole {
		b.Release()
		b = nil
	}
	if err := x.slow(ctx, spent); err != nil {
		return err
	}
	return give(part{t: t, batch: b, last: true, end: end})
}

// slow waits as the rate wants it.
func (x *copying) slow(ctx context.Context, rows int) error {
	if x.rate == 0 {
		return nil
	}
	if d := x.pace.left(); d > 0 {
		if err := wait(ctx, d); err != nil {
			return err
		}
	}
	x.pace.spend(rows, x.rate)
	return nil
}
