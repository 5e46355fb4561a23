package snapshot

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
)

// Options of Open.
type Options struct {
	Source source.Source // the stream, of which nothing was read; the snapshot closes it
	// Open logs in to the stream's server.
	Open   func(context.Context) (*session.Session, error)
	Flavor gtid.Flavor
	Select *schemas.Selector // nil takes all but the system databases
	// Catalog holds the tables as of the stream's place; the snapshot keeps it up to date by what the stream says, and has it to itself. nil is an
	// empty one, for a stream whose first batch brings the tables.
	Catalog *schemas.Catalog

	// Place is what the checkpoint says of the stream's place; zero for a new stream, whose first batch says it.
	Place    event.Position
	Snapshot event.Snapshot // how far an earlier run came; where it does not run, and is not done, a snapshot begins
	Only     bool           // the source ends with io.EOF when all rows were handed over
	// Asked is what an operator wants to be copied, where the snapshot that begins is none of all tables; it begins although an earlier one is done.
	Asked *event.Asked
	ID    string // of a snapshot that begins; see NewID
	// Held is what the sink has, where Snapshot is the sink's word and may be ahead of Place: no rows are read before the stream has come there.
	Held *gtid.Set
	// Once says that the sink cannot tell a row without a key that it has from another that looks the same. What would bring such rows twice is refused.
	Once bool

	Limits     Limits
	Pool       *event.Pool // nil makes one
	ChunkBytes int64       // of rows in a chunk; 0 is 2 MiB
	MaxRow     int64       // bytes; 0 is no limit
	Log        *slog.Logger
}

// Source gives a stream with the rows of a snapshot in between. It implements source.Source, source.Lag and source.Filer.
type Source struct {
	opt    Options
	m      merge
	plan   plan
	listed place // the stream knows all listed tables from here on
	ready  bool  // and has come there

	workers []*worker
	pace    pace
	from    event.Snapshot // as it is where this run begins
	begun   bool           // the stream has come to where it begins
	told    bool           // the sink was told how it is there
	waits   bool           // for what the sink has, and somebody was told
	over    bool           // all rows were handed over
	ended   error
	piece   *chunk // whose rows are coming, while the stream waits

	jobs    sync.WaitGroup
	ctx     func() (context.Context, context.CancelFunc) // of the goroutines, which outlive each Read
	cancel  context.CancelFunc
	arrived chan *chunk
	bounds  chan *chunk // of which it is known where they end
	batches chan streamed
	finish  chan struct{} // closed when the reader of the stream is needed no more
	reading bool          // it runs

	scratch *event.Builder

	mu       sync.Mutex
	progress Progress
}

// streamed is what the stream gave.
type streamed struct {
	b   *event.Batch
	err error
}

// Open connects, checks that a snapshot of this server would be right, and lists the tables. Its errors are faults. The stream is closed by Close,
// also where Open fails.
func Open(ctx context.Context, opt Options) (*Source, error) {
	if opt.Pool == nil {
		opt.Pool = &event.Pool{}
	}
	if opt.ChunkBytes <= 0 {
		opt.ChunkBytes = 2 << 20
	}
	if opt.Limits.ChunkRows <= 0 {
		opt.Limits.ChunkRows = defaultChunkRows
	}
	if opt.Limits.Connections <= 0 {
		opt.Limits.Connections = defaultConnections
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Catalog == nil {
		opt.Catalog = schemas.NewCatalog(opt.Flavor, 0)
	}
	s := &Source{
		opt: opt, arrived: make(chan *chunk, opt.Limits.Connections), bounds: make(chan *chunk, opt.Limits.Connections), batches: make(chan streamed), finish: make(chan struct{}),
		m: merge{
			flavor: opt.Flavor, catalog: opt.Catalog, done: opt.Place.GTIDs.Clone(), at: place{opt.Place.File, opt.Place.Offset},
			dropped: map[schemas.Name]bool{}, moved: map[schemas.Name]bool{},
		},
	}
	if s.m.done == nil {
		s.m.done = gtid.NewSet(opt.Flavor)
	}
	if v := opt.Place.Server; v != nil {
		s.m.server = *v
	}
	for range opt.Limits.Connections {
		s.workers = append(s.workers, &worker{server: server{opt: &s.opt}})
	}
	switch opt.Snapshot.State {
	case event.SnapshotRunning:
		s.begun, s.from, s.opt.Asked = true, opt.Snapshot, opt.Snapshot.Asked
		if s.from.ID == "" { // it began under a version that gave none
			s.from.ID = opt.ID
		}
	case event.SnapshotDone:
		s.over = opt.Asked == nil
		fallthrough
	default:
		s.from = event.Snapshot{State: event.SnapshotRunning, ID: opt.ID, Asked: opt.Asked}
		if opt.Asked != nil {
			s.from.Before = opt.Snapshot.State
		}
		s.opt.Snapshot = s.from
	}
	s.progress.ID, s.progress.Asked = s.from.ID, s.opt.Asked
	s.progress.Rows, s.progress.Before = s.from.Rows, s.from.Rows
	if s.over {
		s.progress.State = event.SnapshotDone
		close(s.finish)
		return s, nil
	}
	if err := s.look(ctx); err != nil {
		s.disconnect()
		_ = opt.Source.Close()
		return nil, err
	}
	s.progress.State, s.progress.Began = event.SnapshotRunning, time.Now()
	s.progress.TablesAll, s.progress.TablesDone = s.plan.total, s.plan.over
	for _, t := range s.plan.waiting {
		s.progress.Estimate += max(t.estimate, t.copy.Rows)
	}
	for _, t := range s.from.Tables {
		if t.Done {
			s.progress.Estimate += t.Rows
		}
	}
	if a := s.opt.Asked; a != nil && a.Where != "" {
		s.progress.Estimate = 0 // nobody knows how many rows meet the condition
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.ctx = func() (context.Context, context.CancelFunc) { return context.WithCancel(run) }
	s.cancel = cancel
	s.prompt(true)
	s.reading = true
	s.jobs.Go(func() { s.follow(run) })
	return s, nil
}

// look asks the server what there is to copy.
func (s *Source) look(ctx context.Context) error {
	v := &s.workers[0].server
	if err := v.connect(ctx); err != nil {
		return err
	}
	if err := v.check(); err != nil {
		return err
	}
	tables, err := v.list(ctx, s.chosen)
	if err != nil {
		return err
	}
	if a := s.opt.Asked; a != nil && len(tables) < len(a.Tables) {
		s.opt.Log.Warn("some tables of the snapshot that was asked for are no longer there, or no longer selected", "asked", len(a.Tables), "there", len(tables))
	}
	s.plan.fill(tables, &s.opt.Snapshot)
	for _, t := range s.plan.waiting {
		t.came = s.begun || s.opt.Asked != nil
	}
	s.listed, err = v.head(ctx)
	return err
}

// chosen reports a table that is copied if the stream selects it.
func (s *Source) chosen(n schemas.Name) bool {
	return s.opt.Asked == nil || slices.Contains(s.opt.Asked.Tables, n)
}

// prompt asks the stream to say at once how far it is, also where it has no changes to hand over.
func (s *Source) prompt(on bool) {
	if p, ok := s.opt.Source.(source.Prompter); ok {
		p.Prompt(on)
	}
}

// follow reads the stream while there is a snapshot: Read waits for it and for chunks at once.
func (s *Source) follow(ctx context.Context) {
	defer close(s.batches)
	for {
		select {
		case <-s.finish:
			return
		default:
		}
		b, err := s.opt.Source.Read(ctx)
		select {
		case s.batches <- streamed{b, err}:
			if err != nil {
				return
			}
		case <-ctx.Done():
			if b != nil {
				b.Release()
			}
			return
		}
	}
}

// Read gives the next batch: of the stream, or of a chunk whose turn it is.
func (s *Source) Read(ctx context.Context) (*event.Batch, error) {
	if s.ended != nil {
		return nil, s.ended
	}
	b, err := s.read(ctx)
	if err != nil && ctx.Err() == nil {
		s.ended = err
	}
	return b, err
}

func (s *Source) read(ctx context.Context) (*event.Batch, error) {
	if s.over && s.opt.Only {
		return nil, io.EOF
	}
	if !s.reading {
		return s.opt.Source.Read(ctx)
	}
	if !s.told && !s.over && !s.m.open && (s.begun || !s.opt.Place.IsZero()) {
		// Nothing of the stream's own tells a sink of it: where it began earlier its first batch is like any other, and the first batch of a new one stays
		// with the pipeline.
		s.begun, s.told = true, true
		return s.note(&event.Mark{Begin: &s.from}), nil
	}
	for {
		if !s.over {
			if b, err := s.turn(); b != nil || err != nil {
				return b, err
			}
			if s.piece == nil {
				if err := s.ask(); err != nil {
					return nil, err
				}
				if b := s.theEnd(); b != nil {
					return b, nil
				}
			}
		}
		stream := s.batches
		if s.piece != nil || s.m.full() {
			stream = nil
		}
		var parts chan *event.Batch
		if s.piece != nil {
			parts = s.piece.parts
		}
		select {
		case x, ok := <-stream:
			if !ok {
				s.reading = false
				return s.opt.Source.Read(ctx)
			}
			if x.err != nil {
				return nil, x.err
			}
			return s.pass(x.b)
		case b := <-parts:
			return s.part(s.piece, b, false), nil
		case c := <-s.bounds:
			s.bounded(c)
		case c := <-s.arrived:
			c.w.chunk = nil
			if b, err := s.arrive(c); b != nil || err != nil {
				return b, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// pass hands over a batch of the stream.
func (s *Source) pass(b *event.Batch) (*event.Batch, error) {
	if s.over {
		return b, nil
	}
	was := s.m.server
	if err := s.m.follow(b); err != nil {
		b.Release()
		return nil, err
	}
	if was.Version != "" && (was.UUID != s.m.server.UUID || was.ID != s.m.server.ID) {
		s.listed = place{} // which was of another server's binlog
	}
	if err := s.altered(b); err != nil {
		b.Release()
		return nil, err
	}
	if s.opt.Asked != nil {
		s.copying(b)
		return b, nil
	}
	if err := s.withhold(b); err != nil {
		b.Release()
		return nil, err
	}
	b.Copying = true
	if !s.begun {
		// With the first batch of a new stream its place is saved: from then on the checkpoint knows that rows are to be copied.
		s.begun = true
		b.Mark = &event.Mark{ID: s.from.ID, Begin: &s.from}
	}
	return b, nil
}

// copying marks the changes of the tables that were asked for: a target may lack their rows. Of all others it has what it should have.
func (s *Source) copying(b *event.Batch) {
	var marked []bool
	for i, t := range b.Tables {
		if s.chosen(schemas.Name{Database: t.Database, Table: t.Name}) {
			if marked == nil {
				marked = make([]bool, len(b.Tables))
			}
			marked[i] = true
		}
	}
	if marked == nil {
		return
	}
	for i := range b.Changes {
		if c := &b.Changes[i]; marked[c.Table] {
			b.Groups[c.Group].Copying = true
		}
	}
}

// held reports a batch whose transactions the sink has: what it says of the snapshot was said behind them.
func (s *Source) held(b *event.Batch) bool {
	for i := range b.Txns {
		if g := b.Txns[i].GTID; g.IsZero() || !s.opt.Held.Contains(g) {
			return false
		}
	}
	return len(b.Txns) > 0
}

// withhold takes out of a batch the changes of tables without a key that were not copied yet: their copy holds them already, and a target could not
// tell that, since nothing tells one row of theirs from another.
func (s *Source) withhold(b *event.Batch) error {
	var hold []bool
	for i, t := range b.Tables {
		if key, _ := keyOf(t); key != nil || !s.pending(schemas.Name{Database: t.Database, Table: t.Name}) {
			continue
		}
		if hold == nil {
			hold = make([]bool, len(b.Tables))
		}
		hold[i] = true
	}
	if hold == nil {
		return nil
	}
	w := event.NewBuilder(b, s.scratch)
	s.scratch = w
	for i := range b.Changes {
		w.Next(i)
		if t := b.Changes[i].Table; !hold[t] {
			w.Keep(w.Table(b.Tables[t]))
		}
	}
	return w.Finish()
}

// pending reports a table whose copy has not begun to be handed over, or has not ended.
func (s *Source) pending(n schemas.Name) bool { return s.underWay(n) != nil }

// underWay gives the copy of such a table.
func (s *Source) underWay(n schemas.Name) *tableCopy {
	if t := s.plan.find(n); t != nil {
		return t
	}
	for _, c := range s.m.chunks {
		if c.t.copy.Name == n {
			return c.t
		}
	}
	return nil
}

// altered looks at what statements did to the tables of the plan.
func (s *Source) altered(b *event.Batch) error {
	m := &s.m
	defer func() { m.altered, m.renamed, m.bared = m.altered[:0], m.renamed[:0], m.bared[:0] }()
	for _, n := range m.altered {
		if t := s.plan.find(n); t != nil {
			t.version = nil // asked for anew when its turn comes
		}
	}
	for _, n := range m.bared {
		// Said before the statement is handed over: a run that begins behind it could not tell any more.
		if t := s.underWay(n); t != nil && t.came && s.opt.Once && !s.held(b) {
			return twice(n, "its key was dropped while it was being copied")
		}
	}
	if len(m.renamed) == 0 || s.held(b) {
		return nil
	}
	var again []schemas.Name
	for _, n := range m.renamed {
		if !s.chosen(n) {
			continue
		}
		if version, _ := m.catalog.Table(n.Database, n.Table); version != nil && s.opt.Once && !hasKey(version) {
			return twice(n, "it has no key, and was renamed while the tables are being copied")
		}
		// Its rows were those of another table, whose copy may not be whole, or that was none of ours. They are all read again.
		if t := s.plan.find(n); t != nil {
			t.restart()
			t.came = true
		} else if s.opt.Select.Match(n.Database, n.Table) {
			s.plan.waiting = append(s.plan.waiting, &tableCopy{copy: event.TableCopy{Name: n}, came: true})
			s.update(func(p *Progress) { p.TablesAll++ })
		}
		again = append(again, n)
	}
	if again != nil {
		// Saved with the place behind the statement: a run that begins there must not take the copy of the former table for that of this one.
		if b.Mark == nil {
			b.Mark = &event.Mark{ID: s.from.ID}
		}
		b.Mark.Again = again
	}
	return nil
}

// twice is the fault of a table without a key whose rows would come again to a sink that cannot tell them apart.
func twice(n schemas.Name, why string) error {
	return fault.New(fault.SnapshotTwice, "%s", why).At(fault.Where{Table: n.String()})
}

// turn gives the batch of a chunk whose turn is. Chunks of one table come in their order, those of different tables in any.
func (s *Source) turn() (*event.Batch, error) {
	if s.piece != nil {
		return nil, nil
	}
	for i := 0; i < len(s.m.chunks); i++ {
		c := s.m.chunks[i]
		if slices.ContainsFunc(s.m.chunks[:i], func(x *chunk) bool { return x.t == c.t }) || !c.arrived {
			continue
		}
		if c.stale {
			if err := s.again(c); err != nil {
				return nil, err
			}
			i = -1 // the list is another one now
			continue
		}
		if !s.m.reached(c.high) {
			continue
		}
		switch {
		case c.err != nil: // the stream did not come to a statement that explains it
			if err := s.again(c); err != nil {
				return nil, err
			}
			i = -1
		case c.piece && c.hit: // the stream has changed it since its transaction began
			if err := s.again(c); err != nil {
				return nil, err
			}
			i = -1
		case c.piece:
			s.openPiece(c)
			return nil, nil
		default:
			return s.handOver(c), nil
		}
	}
	return nil, nil
}

// handOver gives the batch of a chunk.
func (s *Source) handOver(c *chunk) *event.Batch {
	t := c.t
	c.finish()
	b := c.batch
	c.batch = nil
	if b == nil {
		b = s.opt.Pool.Get()
	}
	if len(b.Changes) == 0 {
		b.Txns, b.Groups, b.Tables = b.Txns[:0], b.Groups[:0], b.Tables[:0]
	}
	t.tries, t.came = 0, true
	t.copy.Rows += uint64(c.rows)
	t.copy.Until = c.until
	if c.cursor != nil {
		t.copy.Cursor = c.cursor
	}
	t.copy.Done = c.done
	s.remove(c)
	s.update(func(p *Progress) {
		p.Rows += uint64(c.rows)
		p.Chunks++
		p.Dropped += uint64(c.rows - c.left)
		p.Table = t.copy.Name.String()
		if c.done {
			p.TablesDone++
		}
	})
	s.stamp(b, c)
	return b
}

// remove takes a chunk off the list.
func (s *Source) remove(c *chunk) {
	s.m.chunks = slices.DeleteFunc(s.m.chunks, func(x *chunk) bool { return x == c })
}

// stamp gives a batch its mark, its place in the stream and its flag.
func (s *Source) stamp(b *event.Batch, c *chunk) {
	table := c.t.copy
	b.Mark = &event.Mark{ID: s.from.ID, Table: &table, Part: c.piece && !table.Done, Low: c.low.String(), High: c.high.String()}
	b.Copying = s.opt.Asked == nil
	b.Received = time.Now().UnixMicro()
	for i := range b.Txns {
		x := &b.Txns[i]
		x.File, x.Off, x.Next, x.ServerID = s.m.at.file, s.m.at.offset, s.m.at.offset, s.m.server.ID
	}
	if !b.Mark.Part && s.finished() {
		b.Mark.End = true
		s.end()
	}
}

// part gives a batch of a table that is read in one piece.
func (s *Source) part(c *chunk, b *event.Batch, last bool) *event.Batch {
	n := uint64(len(b.Changes))
	c.t.copy.Rows += n
	c.t.copy.Done = last
	if last {
		s.piece = nil
		s.remove(c)
	}
	s.update(func(p *Progress) {
		p.Rows += n
		p.Table = c.t.copy.Name.String()
		if last {
			p.Chunks++
			p.TablesDone++
		}
	})
	s.stamp(b, c)
	return b
}

// finished reports that nothing is left to copy.
func (s *Source) finished() bool {
	return len(s.m.chunks) == 0 && len(s.plan.waiting) == 0 && len(s.plan.active) == 0
}

// theEnd gives a batch that says that the snapshot is over, where no chunk could say it.
func (s *Source) theEnd() *event.Batch {
	if !s.begun || !s.finished() || !s.ready || s.m.open {
		return nil
	}
	s.end()
	return s.note(&event.Mark{End: true})
}

func (s *Source) note(m *event.Mark) *event.Batch {
	b := s.opt.Pool.Get()
	m.ID = s.from.ID
	b.Mark, b.Copying = m, s.opt.Asked == nil
	return b
}

// end goes back to the stream alone.
func (s *Source) end() {
	s.over = true
	close(s.finish)
	s.prompt(false)
	s.disconnect()
	s.update(func(p *Progress) { p.State, p.Ended, p.Table = event.SnapshotDone, time.Now(), "" })
	s.opt.Log.Info("snapshot finished", "tables", s.progress.TablesDone, "rows", s.progress.Rows)
}

// Close ends the stream and the snapshot.
func (s *Source) Close() error {
	if s.cancel != nil {
		s.cancel()
	}
	err := s.opt.Source.Close()
	s.jobs.Wait()
	for range len(s.arrived) {
		(<-s.arrived).release()
	}
	for _, c := range s.m.chunks {
		c.release()
	}
	s.m.chunks = nil
	s.disconnect()
	return err
}

// disconnect closes the connections of workers that have nothing to do.
func (s *Source) disconnect() {
	for _, w := range s.workers {
		w.server.close()
	}
}

// ByFile reports that the place is kept as file and offset.
func (s *Source) ByFile() bool {
	f, ok := s.opt.Source.(source.Filer)
	return ok && f.ByFile()
}

// ClockOffset is the server's clock minus ours.
func (s *Source) ClockOffset() (micros int64, ok bool) {
	if l, is := s.opt.Source.(source.Lag); is {
		return l.ClockOffset()
	}
	return 0, false
}

// AtHead reports that everything the server had to send was handed over.
func (s *Source) AtHead() bool {
	l, ok := s.opt.Source.(source.Lag)
	return ok && l.AtHead()
}

// maxTries is how often a chunk that could not be used is read again.
const maxTries = 40

// keyless is the fault of a table without a key that is never left alone.
func keyless(t *tableCopy) error {
	return fault.New(fault.SnapshotKeyless, "it has no key, and was written each of %d times that its copy was to begin", maxTries).
		At(fault.Where{Table: t.copy.Name.String()})
}
