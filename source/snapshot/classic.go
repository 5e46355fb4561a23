package snapshot

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
)

// ClassicOptions of OpenClassic. Of Limits, Connections and RowsPerSecond count.
type ClassicOptions struct {
	Options
	Lock Lock
	// Views were opened before the stream, which begins at their place. nil where the stream goes on from an earlier place: then views are opened when that is known.
	Views *Views
}

func (o *ClassicOptions) fill() {
	if o.Pool == nil {
		o.Pool = &event.Pool{}
	}
	if o.ChunkBytes <= 0 {
		o.ChunkBytes = 2 << 20
	}
	if o.Limits.Connections <= 0 {
		o.Limits.Connections = defaultConnections
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Catalog == nil {
		o.Catalog = schemas.NewCatalog(o.Flavor, 0)
	}
}

// Classic gives a stream with the rows of consistent reads in between: those of the moment at which the stream stands. It implements source.Source, source.Lag and
// source.Filer.
//
// It goes in rounds. Tables without transactions have the first, under a lock. The next is all there is unless something comes between:
//
//	                 place of the views: V                    ends of the tables
//	stream  ───follow────────┤                    ├───check──────────┤ tables that a statement changed behind V and before their end are
//	                         │                    │                  │ copied again in another round; where there are none, it is over
//	views                    └── a b c d e f ──copy┘
//
// A view brings the rows of its moment, and no statement on tables: what TRUNCATE, ALTER and RENAME did it may show half, or as they left it. A table that is being read is
// guarded by its metadata lock. Whether something came before that, but behind V, only the binlog says, and for certain: once the lock is there the end of the binlog is
// asked for. A statement that the stream brings before that end makes the copy void.
//
// A lost connection is the loss of a view. The other views go on, and what is left is for the next round; so is what a run that was killed has not copied. In a further
// round the stream is up to date when the rows come: a row that was deleted since is deleted by it, and nothing has to be emptied. A table without a key gets no
// changes before its rows, which are one transaction.
type Classic struct {
	opt    ClassicOptions
	m      merge
	tables []*classicTable
	phase  phase
	views  *Views
	round  int

	from  event.Snapshot // as it is where this run begins
	begun bool
	told  bool
	over  bool
	ended error

	copying *copying
	piece   *classicTable // without a key, whose rows are coming
	upTo    place         // every table's end lies before
	last    int64         // commit time of the last batch of rows: no two have the same, by which a target tells them apart

	ctx     func() (context.Context, context.CancelFunc) // of the goroutines, which outlive each Read
	cancel  context.CancelFunc
	scratch *event.Builder

	mu       sync.Mutex
	progress Progress
}

type phase uint8

const (
	following phase = iota // the stream comes to the place of the views
	rows                   // the views are read, and the stream waits
	checking               // the stream passes the ends of the tables
)

// classicTable is a table that is copied.
type classicTable struct {
	copy     event.TableCopy
	end      place // up to where a statement makes its copy void; "" where none can any more
	estimate uint64
	query    *query
	tries    int
	came     bool // rows of it may be at the target: this run has handed some over, or an earlier one may have that nobody has noted
}

// tableTries is how often a table is copied again since statements changed it.
const tableTries = 10

// OpenClassic checks what is left to copy. Its errors are faults. Stream and views are closed by Close, also where it fails.
func OpenClassic(ctx context.Context, opt ClassicOptions) (*Classic, error) {
	opt.fill()
	c := &Classic{
		opt: opt, views: opt.Views,
		m: merge{
			flavor: opt.Flavor, catalog: opt.Catalog, done: opt.Place.GTIDs.Clone(), at: place{opt.Place.File, opt.Place.Offset}, ended: place{opt.Place.File, opt.Place.Offset},
			dropped: map[schemas.Name]bool{}, moved: map[schemas.Name]bool{},
		},
	}
	if c.m.done == nil {
		c.m.done = gtid.NewSet(opt.Flavor)
	}
	if v := opt.Place.Server; v != nil {
		c.m.server = *v
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.ctx, c.cancel = func() (context.Context, context.CancelFunc) { return context.WithCancel(run) }, cancel
	switch opt.Snapshot.State {
	case event.SnapshotRunning:
		c.begun, c.from = true, opt.Snapshot
	case event.SnapshotDone:
		c.over = true
	default:
		c.from = event.Snapshot{State: event.SnapshotRunning, ID: opt.ID}
	}
	c.progress.ID, c.progress.Rows, c.progress.Before = c.from.ID, c.from.Rows, c.from.Rows
	if c.over {
		c.progress.State = event.SnapshotDone
		return c, nil
	}
	if err := c.plan(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	c.progress.State, c.progress.Began = event.SnapshotRunning, time.Now()
	if c.views == nil && c.left() == 0 {
		c.phase = checking
	}
	c.prompt(true)
	return c, nil
}

// plan lists the tables.
func (c *Classic) plan(ctx context.Context) error {
	var list []listedTable
	if c.views != nil {
		list = c.views.tables
	} else {
		o := &opening{opt: &c.opt.Options, lock: c.opt.Lock, want: func(schemas.Name) bool { return true }}
		v := &view{server: server{opt: &c.opt.Options}}
		defer v.close()
		if err := v.connect(ctx); err != nil {
			return err
		}
		if err := v.images(); err != nil {
			return err
		}
		o.control = v
		var err error
		if list, err = o.listed(ctx); err != nil {
			return v.sortFirst(err)
		}
	}
	for _, l := range list {
		t := &classicTable{copy: event.TableCopy{Name: l.name}, estimate: l.rows, came: c.begun}
		if was, ok := c.from.Of(l.name); ok && was.Done {
			t.copy = was
			t.end, _ = endOf(&was)
			c.until(t.end)
			c.progress.TablesDone++
			c.progress.Estimate += was.Rows
		} else {
			c.progress.Estimate += l.rows
		}
		c.tables = append(c.tables, t)
	}
	c.progress.TablesAll = len(c.tables)
	return nil
}

// until notes that the stream has to come to a place before the snapshot is over.
func (c *Classic) until(p place) {
	if p.file != "" && (c.upTo.file == "" || c.upTo.before(p)) {
		c.upTo = p
	}
}

// endOf reads the end of a table's copy from what the checkpoint keeps. ok is false for the copy of the other way, by chunks.
func endOf(t *event.TableCopy) (p place, ok bool) {
	if !t.Done || t.Cursor != nil || len(t.Until) != 1 {
		return p, false
	}
	file, offset, found := strings.Cut(t.Until[0], ":")
	n, err := strconv.ParseUint(offset, 10, 64)
	if !found || err != nil || file == "" {
		return p, false
	}
	return place{file, n}, true
}

// IsClassic reports that tables were copied as of one moment: the other way cannot finish such a snapshot, since whether their copies are good is said by statements
// that the stream has not brought yet.
func IsClassic(s *event.Snapshot) bool {
	return slices.ContainsFunc(s.Tables, func(t event.TableCopy) bool {
		_, ok := endOf(&t)
		return ok
	})
}

// left is how many tables are not copied.
func (c *Classic) left() (n int) {
	for _, t := range c.tables {
		if !t.copy.Done {
			n++
		}
	}
	return n
}

// Read gives the next batch: of the stream, or with rows.
func (c *Classic) Read(ctx context.Context) (*event.Batch, error) {
	if c.ended != nil {
		return nil, c.ended
	}
	b, err := c.read(ctx)
	if err != nil && ctx.Err() == nil {
		c.ended = err
	}
	return b, err
}

func (c *Classic) read(ctx context.Context) (*event.Batch, error) {
	if c.over {
		if c.opt.Only {
			return nil, io.EOF
		}
		return c.opt.Source.Read(ctx)
	}
	if !c.told && !c.m.open && (c.begun || !c.opt.Place.IsZero()) {
		// The first batch of a stream stays with the pipeline, and where it began earlier it is like any other: the sink is told by a batch of its own.
		c.begun, c.told = true, true
		return c.note(&event.Mark{Begin: &c.from}), nil
	}
	for {
		switch c.phase {
		case following:
			if c.begun && !c.m.open && c.left() == 0 {
				c.phase = checking
				continue
			}
			if c.begun && !c.m.open && c.views == nil {
				if err := c.open(ctx); err != nil {
					return nil, err
				}
			}
			if c.views != nil && c.begun && c.m.reached(c.place()) {
				if err := c.start(); err != nil {
					return nil, err
				}
				continue
			}
		case rows:
			b, err := c.take(ctx)
			if b != nil || err != nil {
				return b, err
			}
			continue
		case checking:
			if c.begun && (c.upTo.file == "" && !c.m.open || c.m.reached(c.upTo)) {
				if c.left() > 0 {
					c.phase = following
					continue
				}
				return c.end(), nil
			}
		}
		b, err := c.opt.Source.Read(ctx)
		if err != nil {
			return nil, err
		}
		return c.pass(b)
	}
}

func (c *Classic) place() place { return place{c.views.Place.File, c.views.Place.Offset} }

// open opens views for a further round.
func (c *Classic) open(ctx context.Context) error {
	undone := map[schemas.Name]bool{}
	for _, t := range c.tables {
		undone[t.copy.Name] = !t.copy.Done
	}
	v, err := openViews(ctx, &opening{
		opt: &c.opt.Options, lock: c.opt.Lock, need: c.m.ended, known: c.m.done,
		want: func(n schemas.Name) bool { return undone[n] },
	})
	if err != nil {
		return err
	}
	c.views = v
	if s := v.Place.Server; s.UUID != c.m.server.UUID || s.ID != c.m.server.ID {
		return fault.New(fault.SnapshotServer, "server %d answers, and the stream is of %d", s.ID, c.m.server.ID).At(fault.Where{Server: s.Address})
	}
	if x, ok := c.opt.Source.(interface {
		CutAt(file string, offset uint64)
	}); ok && !c.m.reached(c.place()) {
		x.CutAt(v.Place.File, v.Place.Offset)
	}
	return nil
}

// pass hands over a batch of the stream.
func (c *Classic) pass(b *event.Batch) (*event.Batch, error) {
	was := c.m.server
	if err := c.m.follow(b); err != nil {
		b.Release()
		return nil, err
	}
	var again []schemas.Name
	void := func(t *classicTable, why string) error {
		if t.copy.Done {
			if c.opt.Once && len(t.copy.Key) == 0 {
				return twice(t.copy.Name, "it has no key, and "+why)
			}
			again = append(again, t.copy.Name)
			c.update(func(p *Progress) { p.TablesDone-- })
		}
		if t.tries++; t.tries > tableTries {
			return fault.New(fault.SnapshotTable, "its copy was void %d times: %s", t.tries, why).At(fault.Where{Table: t.copy.Name.String()})
		}
		t.copy, t.end = event.TableCopy{Name: t.copy.Name}, place{}
		return nil
	}
	err := c.statements(b, void)
	if s := c.m.server; err == nil && was.Version != "" && (was.UUID != s.UUID || was.ID != s.ID) {
		// The places are of another server's binlog.
		c.views.Close()
		c.views, c.upTo = nil, place{}
		for _, t := range c.tables {
			if t.end.file != "" && err == nil {
				err = void(t, "another server answered before it was certain that no statement had changed it")
			}
		}
		c.phase = following
	}
	if err == nil && c.views != nil && c.phase == following {
		err = c.overshot(b, was.Version == "")
	}
	if err == nil {
		err = c.withhold(b)
	}
	if err != nil {
		b.Release()
		return nil, err
	}
	for i := range c.tables {
		if t := c.tables[i]; t.end.file != "" && c.m.reached(t.end) {
			t.end = place{}
		}
	}
	b.Copying = true
	if !c.begun {
		c.begun = true
		b.Mark = &event.Mark{ID: c.from.ID, Begin: &c.from}
	}
	if again != nil {
		if b.Mark == nil {
			b.Mark = &event.Mark{ID: c.from.ID}
		}
		b.Mark.Again = again
	}
	return b, nil
}

// overshot refuses views that the stream has passed. The first batch of a stream says whether they are of its server.
func (c *Classic) overshot(b *event.Batch, first bool) error {
	if s := c.views.Place.Server; first && (s.UUID != c.m.server.UUID || s.ID != c.m.server.ID) {
		return fault.New(fault.SnapshotServer, "server %d answers, and the stream is of %d", s.ID, c.m.server.ID).At(fault.Where{Server: s.Address})
	}
	for i := range b.Txns {
		t := &b.Txns[i]
		if !(place{t.File, t.Off}).before(c.place()) {
			c.opt.Log.Warn("the stream has passed the place of the consistent reads: they are opened anew", "place", c.place().String())
			c.views.Close()
			c.views = nil
			return nil
		}
	}
	return nil
}

// statements looks at what the batch does to tables as a whole.
func (c *Classic) statements(b *event.Batch, void func(*classicTable, string) error) error {
	same := func(a, b string) bool { return a == b || c.m.catalog.FoldNames && strings.EqualFold(a, b) }
	touch := func(n schemas.Name, at place, why string) error {
		for _, t := range c.tables {
			if (n.Database == "" || same(n.Database, t.copy.Name.Database)) && (n.Table == "" || same(n.Table, t.copy.Name.Table)) &&
				t.end.file != "" && at.before(t.end) {
				if err := void(t, why); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if d := b.DDL; d != nil && !d.Temporary && d.Kind != schemas.OtherDDL && len(b.Txns) > 0 {
		names := d.Names
		if len(names) == 0 {
			names = []schemas.Name{{}}
		}
		for _, n := range names {
			if err := touch(n, place{b.Txns[0].File, b.Txns[0].Off}, "a statement changed it before it was read"); err != nil {
				return err
			}
		}
	}
	for i := range b.Changes {
		if x := &b.Changes[i]; x.Op == event.Truncate {
			t, txn := b.Tables[x.Table], b.Txn(x)
			if err := touch(schemas.Name{Database: t.Database, Table: t.Name}, place{txn.File, txn.Off}, "it was truncated before it was read"); err != nil {
				return err
			}
		}
	}
	for _, n := range c.m.renamed {
		if version, _ := c.m.catalog.Table(n.Database, n.Table); version != nil && c.opt.Once && !hasKey(version) {
			return twice(n, "it has no key, and was renamed while the tables are being copied")
		}
		i := slices.IndexFunc(c.tables, func(t *classicTable) bool { return t.copy.Name == n })
		switch {
		case i >= 0:
			if err := void(c.tables[i], "another table came under its name"); err != nil {
				return err
			}
		case c.opt.Select.Match(n.Database, n.Table):
			c.tables = append(c.tables, &classicTable{copy: event.TableCopy{Name: n}, came: true})
			c.update(func(p *Progress) { p.TablesAll++ })
		}
	}
	for _, n := range c.m.bared {
		// Said before the statement is handed over: a run that begins behind it could not tell any more.
		if c.opt.Once && slices.ContainsFunc(c.tables, func(t *classicTable) bool { return t.copy.Name == n && t.came && !t.copy.Done }) {
			return twice(n, "its key was dropped while it was being copied")
		}
	}
	c.m.altered, c.m.renamed, c.m.bared = c.m.altered[:0], c.m.renamed[:0], c.m.bared[:0]
	return nil
}

// withhold takes out of a batch the changes of tables without a key that are not copied: their copy will hold them, and nothing would tell one row from another.
func (c *Classic) withhold(b *event.Batch) error {
	var hold []bool
	for i, t := range b.Tables {
		if key, _ := keyOf(t); key != nil || !slices.ContainsFunc(c.tables, func(x *classicTable) bool {
			return !x.copy.Done && x.copy.Name == schemas.Name{Database: t.Database, Table: t.Name}
		}) {
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
	w := event.NewBuilder(b, c.scratch)
	c.scratch = w
	for i := range b.Changes {
		w.Next(i)
		// A copy that is void may have come already: TRUNCATE takes it away.
		if x := &b.Changes[i]; !hold[x.Table] || x.Op == event.Truncate {
			w.Keep(w.Table(b.Tables[x.Table]))
		}
	}
	return w.Finish()
}

func (c *Classic) note(m *event.Mark) *event.Batch {
	b := c.opt.Pool.Get()
	m.ID = c.from.ID
	b.Mark, b.Copying = m, true
	return b
}

// end goes back to the stream alone.
func (c *Classic) end() *event.Batch {
	b := c.note(&event.Mark{End: true})
	c.over = true
	c.prompt(false)
	c.update(func(p *Progress) { p.State, p.Ended, p.Table = event.SnapshotDone, time.Now(), "" })
	c.opt.Log.Info("snapshot finished", "tables", c.progress.TablesDone, "rows", c.progress.Rows)
	return b
}

// Close ends the stream and the views.
func (c *Classic) Close() error {
	c.cancel()
	var err error
	if c.opt.Source != nil {
		err = c.opt.Source.Close()
	}
	if c.copying != nil {
		c.copying.wait()
	}
	c.views.Close()
	return err
}

func (c *Classic) prompt(on bool) {
	if p, ok := c.opt.Source.(source.Prompter); ok {
		p.Prompt(on)
	}
}

// ByFile reports that the place is kept as file and offset.
func (c *Classic) ByFile() bool {
	f, ok := c.opt.Source.(source.Filer)
	return ok && f.ByFile()
}

// ClockOffset is the server's clock minus ours.
func (c *Classic) ClockOffset() (micros int64, ok bool) {
	if l, is := c.opt.Source.(source.Lag); is {
		return l.ClockOffset()
	}
	return 0, false
}

// AtHead reports that everything the server had to send was handed over.
func (c *Classic) AtHead() bool {
	l, ok := c.opt.Source.(source.Lag)
	return ok && l.AtHead()
}

// Progress may be called at any time from any goroutine.
func (c *Classic) Progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress
}

func (c *Classic) update(do func(*Progress)) {
	c.mu.Lock()
	do(&c.progress)
	c.mu.Unlock()
}
