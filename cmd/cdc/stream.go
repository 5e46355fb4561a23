package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/checkpoint/spool"
	"cdc/event"
	"cdc/fault"
	"cdc/pipeline"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/source/binlog"
	"cdc/source/live"
)

// app is a running configuration.
type app struct {
	cfg     *Config
	store   *badger.Store
	log     *slog.Logger
	stop    chan struct{} // closed by the first signal
	until   live.Stop
	out     io.Writer
	began   time.Time
	streams []*stream
	relay   *relaying // nil where there is none

	orders  *orders    // of the operator
	finite  bool       // it ends by itself
	noCheck bool       // start without looking first
	again   bool       // it carries files into a target that was restored from a backup
	checkMu sync.Mutex // one check of the source at a time; guards warned and folds
	warned  map[string]bool
	folds   bool // the source compares names without case, as far as a check has seen

	members *members      // of its consumer group; nil without one
	ha      *availability // nil where this process is the only one

	checkSinks time.Duration // how long a stream's start waits for the check of its sink; 0 is checkTablesWithin
}

// stream is one stream of it, over all its runs.
type stream struct {
	app    *app
	cfg    *StreamConfig
	log    *slog.Logger
	once_  sync.Once
	halted chan struct{} // closed when it shall end cleanly

	mu   sync.Mutex
	pipe *pipeline.Pipeline // of the present run; stays after it ended
	src  *live.Source
	snap progressing // of the present run; nil where it has none
	sink sinks.Sink
	runs int
	err  error
	over bool

	order  string         // ID of the snapshot that was asked for and began with the present run
	copied event.Snapshot // as the checkpoint has it

	waiting      error // why the sink's target takes nothing at present
	waitingSince time.Time

	cycle   *cycle            // the present one, or the last
	resting string            // paused or failed, between two cycles
	rested  chan struct{}     // closed and renewed when resting changes
	wake    chan struct{}     // orders have changed
	codes   map[string]uint64 // faults that ended runs

	checked bool // the check before the first run has passed; of the goroutine that runs the stream
}

func newStream(a *app, cfg *StreamConfig) *stream {
	s := &stream{app: a, cfg: cfg, log: a.log.With("stream", cfg.Name), halted: make(chan struct{}), rested: make(chan struct{}), wake: make(chan struct{}, 1)}
	go func() {
		select {
		case <-a.stop:
			s.halt()
		case <-s.halted:
		}
	}()
	return s
}

// halt asks the stream to end cleanly.
func (s *stream) halt() { s.once_.Do(func() { close(s.halted) }) }

func (s *stream) ended(err error) {
	s.halt()
	s.mu.Lock()
	s.err, s.over = err, true
	close(s.rested)
	s.rested = make(chan struct{})
	s.mu.Unlock()
}

// once is one run of the stream, from its checkpoint to its end or a failure. It ends cleanly when stop is closed.
func (s *stream) once(ctx context.Context, stop <-chan struct{}) error {
	a, cfg := s.app, s.app.cfg
	if cfg.Source.Kafka != nil {
		return s.onceTopics(ctx, stop)
	}
	sel, err := schemas.ParseSelector(cfg.Source.Tables)
	if err != nil {
		return err
	}
	store, err := a.places(ctx)
	if err != nil {
		return err
	}
	rec, start, err := cfg.loadPlace(ctx, store, s.cfg.Name, sel)
	if err != nil {
		return err
	}
	if err := s.checkSnapshot(&rec); err != nil {
		return err
	}
	// Before connecting, so that a clean stop need not wait for a server that does not answer.
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-opening.Done():
		}
	}()
	inspect := live.InspectPlace{Stream: cfg.reader(s.cfg.Name), Name: s.cfg.Name, Start: start}
	if s.cfg.Snapshot == snapshotNeeded {
		inspect.Start = live.Start{} // a place that the source has purged is no reason not to start
	}
	if err := s.preflight(opening, inspect, rec.SinkState); err != nil {
		if canceled(ctx, err) {
			return nil
		}
		return err
	}
	drops, unread, err := a.orders.pending(s.cfg.Name, cfg.Source.flavor(), &rec)
	if err != nil {
		return err
	}
	catalog := schemas.NewCatalog(cfg.Source.flavor(), rec.Server.Number())
	if err := store.Rewind(ctx, s.cfg.Name, rec.SchemaSeq, func(e *schemas.Entry) error {
		catalog.Replay(e)
		return nil
	}); err != nil {
		return err
	}
	if rec.SchemaSeq == 0 && (rec.ByHand || rec.Saved == 0) {
		catalog = nil // nothing is known yet: the source reads the tables from the server
	}
	keep := make([]string, 0, len(rec.XA))
	for _, x := range rec.XA {
		keep = append(keep, x.Spool)
	}
	rows, err := spool.Open(filepath.Join(cfg.path(cfg.Checkpoint.Dir), "spool-"+s.cfg.Name), keep)
	if err != nil {
		return err
	}
	defer rows.Close()

	// Every stream has an equal part of the memory.
	budget := event.NewBudget(int64(cfg.Memory) / int64(len(cfg.Streams)))
	_, _, limit := budget.Used()
	sink, err := openSink(ctx, a, s.cfg, budget, &rec, s.waits, false)
	if err != nil {
		return err
	}
	defer func() {
		_ = sink.Close()
		s.mu.Lock()
		s.waiting = nil
		s.mu.Unlock()
	}()

	asked, held, err := s.ordered(ctx, store, sink, &rec)
	if err != nil {
		return err
	}
	var tables *schemas.Catalog // a snapshot's own
	if catalog != nil && (s.cfg.copies(&rec) || asked != nil) {
		tables = catalog.Clone()
	}

	feed, err := a.feed(opening)
	if err != nil {
		if canceled(ctx, err) {
			return nil
		}
		return err
	}
	again := false
	pool, batch := &event.Pool{Budget: budget}, min(2<<20, limit/16)
	from := live.Options{
		Config: *cfg.Source.server(), Flavor: cfg.Source.flavor(), Stream: cfg.reader(s.cfg.Name), Start: start, Stop: a.until, Select: sel.With(s.cfg.books()...), Catalog: catalog,
		NextSeq: rec.SchemaSeq + 1, XA: rec.XA, Spool: spoolFor{rows}, Pool: pool,
		MaxRow: int64(cfg.MaxRow), BatchBytes: batch, Log: s.log, Leave: unread, Feed: feed,
	}
	got, err := s.openLive(opening, from, s.begins(&rec), s.cfg.classic() && rec.Saved == 0 && s.cfg.copies(&rec))
	if s.anew(&rec, err) {
		s.log.Warn("the source has purged what the stream needs: it begins anew, with all rows; rows that were deleted meanwhile stay in the target", "error", err)
		rec.Snapshot = event.Snapshot{State: event.SnapshotNone}
		from.Start, from.Catalog, tables = live.Start{}, nil, nil
		asked, held = nil, nil // it begins when all tables were copied
		again = true
		got, err = s.openLive(opening, from, s.cfg.makesTables(), s.cfg.classic())
	}
	if err != nil {
		if canceled(ctx, err) {
			return nil
		}
		return err
	}
	src, defs := got.src, got.defs
	defer src.Close()
	defer got.views.Close()
	read, err := s.withSnapshot(opening, src, &rec, asked, held, again, got.views, tables, sel, pool, batch)
	if err != nil {
		if canceled(ctx, err) {
			return nil
		}
		return err
	}
	defer read.Close()
	if defs != nil {
		if err := s.makeTables(opening, src, defs); err != nil {
			if canceled(ctx, err) {
				return nil
			}
			return err
		}
	}
	cancel()

	steps, dead, err := s.openTransforms(&rec)
	if err != nil {
		return err
	}
	pipe, err := pipeline.New(ctx, pipeline.Options{
		Stream: s.cfg.Name, Source: read, Transforms: steps, Dead: dead, Sink: sink, Store: store, History: store, Budget: budget, Record: rec, Spool: rows, Log: s.log,
		Spare: s.cfg.books(), SaveEvery: cfg.Checkpoint.Every, Drop: drops, Dropped: s.leftOut, Saved: s.saved,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.pipe, s.src, s.sink = pipe, src, sink
	s.runs++
	s.mu.Unlock()
	ran := make(chan struct{})
	defer close(ran)
	go func() {
		select {
		case <-stop:
			pipe.Stop()
		case <-ran:
		}
	}()
	s.log.Info("stream started", "source", cfg.Source.server().Address, "from", describe(&rec, cfg.Source.Start))
	err = pipe.Run(ctx)
	st := pipe.Status()
	s.log.Info("stream stopped", "rows", st.Rows, "transactions", st.Txns, "place", place(&st))
	return err
}

// waits notes that the sink waits for its target, or with nil that it does no more.
func (s *stream) waits(err error) {
	s.mu.Lock()
	was := s.waiting
	s.waiting = err
	if was == nil {
		s.waitingSince = time.Now()
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.log.Warn("writing waits", "error", err)
	case was != nil:
		s.log.Info("writing goes on")
	}
}

// reader names a stream among all on this host: streams of two configurations may have one name, and one of them would drive out the other.
func (c *Config) reader(name string) string {
	dir := c.path(c.Checkpoint.Dir)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return dir + "\x00" + name
}

// loadPlace gives the checkpoint of a stream, and where it starts.
func (c *Config) loadPlace(ctx context.Context, store checkpoint.Store, name string, sel *schemas.Selector) (checkpoint.Record, live.Start, error) {
	rec, err := store.Load(ctx, name)
	if errors.Is(err, checkpoint.ErrNone) {
		start, err := parseStart(c.Source.Start, c.Source.flavor())
		if err != nil {
			return rec, start, fault.New(fault.ConfigInvalid, "source.start: %w", err)
		}
		return checkpoint.Record{Selection: sel.Hash()}, start, nil
	}
	if err != nil {
		return rec, live.Start{}, err
	}
	if rec.Selection != "" && rec.Selection != sel.Hash() {
		return rec, live.Start{}, fault.New(fault.CheckpointStream, "the checkpoint of stream %q was made with another choice of tables", name).
			Hint("restore source.tables as it was, or accept the new choice by `cdc checkpoint set FILE %s --accept-tables`: rows of tables that are new in it begin where the stream stands", name)
	}
	if rec.Server.Flavor != c.Source.flavor() && rec.Server.Address != "" {
		return rec, live.Start{}, fault.New(fault.CheckpointStream, "the checkpoint of stream %q is of a %s server", name, rec.Server.Flavor)
	}
	rec.Selection = sel.Hash()
	if c.Source.server().GTID == "off" && rec.File != "" {
		// From here on only file and offset move on. A set that stays behind would name the wrong place once GTIDs are used again.
		rec.GTIDs = nil
	}
	if rec.ByHand {
		if rec.GTIDs != nil {
			return rec, live.Start{Kind: live.StartGTIDs, GTIDs: rec.GTIDs}, nil
		}
		return rec, live.Start{Kind: live.StartFile, File: rec.File, Offset: rec.Offset}, nil
	}
	start := live.Start{Kind: live.StartCheckpoint, GTIDs: rec.GTIDs, File: rec.File, Offset: rec.Offset, Server: rec.Server}
	if rec.Time != 0 {
		start.Time = time.UnixMicro(rec.Time)
	}
	return rec, start, nil
}

func describe(rec *checkpoint.Record, start string) string {
	switch {
	case rec.GTIDs != nil:
		return rec.GTIDs.String()
	case rec.File != "":
		return sinks.Place{File: rec.File, Offset: rec.Offset}.String()
	case start == "":
		return "now"
	}
	return start
}

func place(st *pipeline.Status) string {
	if st.ExecutedGTIDs != "" {
		return st.ExecutedGTIDs
	}
	return sinks.Place{File: st.AckFile, Offset: st.AckOffset}.String()
}

// spoolFor fits the spool folder to what the source asks for.
type spoolFor struct{ *spool.Dir }

func (s spoolFor) Create(name string) (binlog.SpoolFile, error) {
	f, err := s.Dir.Create(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}
