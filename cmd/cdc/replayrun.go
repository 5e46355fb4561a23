package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/checkpoint/memory"
	"cdc/checkpoint/spool"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/pipeline"
	again "cdc/recovery/replay"
	"cdc/schemas"
	"cdc/session"
	"cdc/sinks"
	"cdc/sinks/mysql"
	"cdc/source/files"
	"cdc/source/live"
	"cdc/transform"
)

// replayRun is one run of `cdc replay`.
type replayRun struct {
	o      *binlogReplay
	cfg    *Config
	stream *StreamConfig
	log    *slog.Logger
	out    io.Writer
	errs   io.Writer
	flavor gtid.Flavor
	sel    *schemas.Selector
	plan   *again.Plan
	asked  asked

	paths       []string // of files; empty for a server
	head        files.Head
	start, stop files.Bound
	begin       live.Start
	end         live.Stop

	dir   string    // of the replay
	name  string    // of its stream
	own   gtid.UUID // of a MySQL target
	state *replayState
	old   *replayState // of the replay that --restart ends
	store *badger.Store
	spool *spool.Dir
	clean []func()
}

func (o *binlogReplay) run(c *cobra.Command, args []string) error {
	ctx, quit := context.WithCancel(context.Background())
	defer quit()
	cfg, args, err := o.configure(args)
	if err != nil {
		return err
	}
	r := &replayRun{
		o: o, cfg: cfg, stream: &cfg.Streams[0], out: c.OutOrStdout(), errs: c.ErrOrStderr(), flavor: cfg.Source.flavor(),
		log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	defer func() {
		for i := len(r.clean) - 1; i >= 0; i-- {
			r.clean[i]()
		}
	}()
	if err := r.prepare(args); err != nil {
		return err
	}
	limitHeap(int64(cfg.Memory))
	stopped := r.signals(quit)
	if err := r.settle(ctx); err != nil {
		return err
	}
	look, err := r.checked(ctx)
	if err != nil {
		return err
	}
	if o.dry {
		return r.rehearse(ctx, look)
	}
	return r.carry(ctx, stopped)
}

// signals gives a channel that is closed by the first signal; a second one ends everything at once.
func (r *replayRun) signals(quit func()) <-chan struct{} {
	stopped, got, done := make(chan struct{}), make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	var wg sync.WaitGroup
	wg.Go(func() {
		for first := true; ; first = false {
			select {
			case <-got:
				if first {
					close(stopped)
				} else {
					quit()
				}
			case <-done:
				return
			}
		}
	})
	r.clean = append(r.clean, func() {
		signal.Stop(got)
		close(done)
		wg.Wait()
	})
	return stopped
}

// prepare reads what the flags say, as far as nobody need be asked.
func (r *replayRun) prepare(args []string) error {
	var after *gtid.Set
	var err error
	if r.sel, err = schemas.ParseSelector(r.cfg.Source.Tables); err != nil {
		return fault.New(fault.UsageInvalid, "--tables: %w", err)
	}
	r.sel = r.sel.With(r.stream.books()...)
	if r.plan, after, err = r.o.plan(r.flavor); err != nil {
		return err
	}
	r.plan.Behind = after
	if r.asked, err = r.o.asked(r.cfg, args); err != nil {
		return err
	}
	s := stretch{from: r.o.from, until: r.o.until}
	if len(args) > 0 && !strings.Contains(args[0], "://") {
		r.paths = args
		if r.start, r.stop, err = s.bounds(r.flavor); err != nil {
			return err
		}
		if r.start.GTIDs != nil {
			return fault.New(fault.UsageInvalid, "--from: a GTID set").Hint("transactions that the target has are named by --start-after-gtids")
		}
		r.head, err = files.ReadHead(r.paths[0])
		return err
	}
	if r.begin, err = parseStart(r.o.from, r.flavor); err != nil {
		return fault.New(fault.UsageInvalid, "--from: %w", err)
	}
	switch {
	case r.o.from == "now" || r.begin.Kind == live.StartGTIDs:
		return fault.New(fault.UsageInvalid, "--from: %q is no place that a replay begins at", r.o.from).Hint("transactions that the target has are named by --start-after-gtids")
	case r.o.from == "":
		r.begin = live.Start{}
	}
	if r.o.until == "" || r.o.until == "now" {
		r.end = live.Stop{Now: true}
		return nil
	}
	if r.end, err = parseStop(r.o.until, r.flavor); err != nil {
		return fault.New(fault.UsageInvalid, "--until: %w", err)
	}
	return nil
}

// settle finds out where the replay begins, or that it goes on.
func (r *replayRun) settle(ctx context.Context) error {
	r.dir = filepath.Join(r.cfg.path(r.cfg.Checkpoint.Dir), "replay-"+r.stream.Name)
	var err error
	if !r.o.dry {
		if r.state, err = readReplay(r.dir); err != nil && !r.o.restart {
			return err
		}
	}
	if r.o.restart {
		r.old, r.state = r.state, nil // which is taken away when it is clear that the new one can begin
	}
	if r.state != nil {
		switch {
		case !r.state.Asked.same(&r.asked):
			return fault.New(fault.RecoveryBegun, "the replay of %s was begun with other choices, see %s", r.stream.Name, filepath.Join(r.dir, replayFile))
		case r.state.Done:
			return fault.New(fault.RecoveryBegun, "the replay of %s has ended", r.stream.Name)
		}
		r.name = r.state.name(r.stream.Name)
		if r.plan.Behind, err = gtid.Parse(r.flavor, r.state.Behind); err != nil {
			return fault.New(fault.RecoveryBegun, "%s: %w", filepath.Join(r.dir, replayFile), err)
		}
		r.earliest() // the run before may have ended with nothing saved
		return nil
	}
	if r.state, err = newReplayState(r.dir, r.asked); err != nil {
		return err
	}
	r.name = r.state.name(r.stream.Name)
	r.state.ByGTID = len(r.paths) == 0 || r.head.Before != nil || r.flavor == gtid.MariaDB
	return r.ask(ctx)
}

// forget takes away what an earlier replay has left, here and at the target, but not while that runs.
func (r *replayRun) forget(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.dir, "state")); err == nil {
		store, err := badger.Open(ctx, filepath.Join(r.dir, "state"), badger.Options{})
		if fault.Has(err, fault.CheckpointLocked) {
			return err
		}
		if err == nil {
			_ = store.Close()
		}
	}
	if r.old != nil && r.stream.Sink.MySQL != nil {
		if err := mysql.Leave(ctx, r.target(r.old.name(r.stream.Name)), true); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return fault.New(fault.RecoverySpace, "--restart: %w", err)
	}
	return nil
}

// target gives the options of a MySQL sink under a name.
func (r *replayRun) target(name string) mysql.Options {
	s := *r.stream
	s.Name = name
	return r.cfg.mysqlOptions(&s)
}

// ask asks target and source what they hold.
func (r *replayRun) ask(ctx context.Context) error {
	if r.stream.Sink.MySQL != nil {
		st, err := mysql.Stand(ctx, r.target(r.name), r.flavor, r.state.ByGTID && r.cfg.Source.server().GTID != "off")
		if err != nil {
			return err
		}
		r.state.Next, r.own = st.Why == "", st.Own
		if r.state.Next {
			has := st.GTIDs
			if len(r.paths) == 0 && !st.Own.IsZero() { // of its own it may have some that the source never saw
				has = gtid.Minus(has, has.Only(st.Own))
			}
			r.plan.Behind = gtid.Union(has, r.plan.Behind)
		} else if r.o.from == "" && r.o.after == "" && r.plan.Include == nil {
			return fault.New(fault.UsageInvalid, "where the replay begins is not known: the target does not say which transactions it has (%s)", st.Why).
				Hint("name what the backup holds by --start-after-gtids, or a place by --from; --from start for all")
		}
	}
	r.state.Behind = r.plan.Behind.String()
	if r.flavor == gtid.MySQL || len(r.paths) > 0 {
		if c := r.plan.Conflict(); c != "" {
			return fault.New(fault.RecoveryUnmet, "the target has %s already", c).Hint("restore a backup that was made before it, into an empty server; then replay")
		}
	}
	if len(r.paths) > 0 {
		return nil
	}
	r.earliest()
	return r.askSource(ctx)
}

// earliest has a replay of a server without --from begin behind what the target has.
func (r *replayRun) earliest() {
	switch {
	case len(r.paths) > 0 || r.o.from != "":
	case r.plan.Behind.Empty():
		r.begin = live.Start{Kind: live.StartEarliest}
	default:
		r.begin = live.Start{Kind: live.StartGTIDs, GTIDs: r.plan.Behind}
	}
}

// askSource sees whether a server has the transactions that are to be left out.
func (r *replayRun) askSource(ctx context.Context) error {
	c, err := session.Open(ctx, r.cfg.Source.server().Config, session.Options{Codes: session.SourceCodes()})
	if err != nil {
		return err
	}
	defer c.Close()
	query := "SELECT @@GLOBAL.gtid_executed"
	if r.flavor == gtid.MariaDB {
		query = "SELECT @@GLOBAL.gtid_binlog_pos"
	}
	text, err := c.One(ctx, query)
	if err != nil {
		return c.Fault(err, "REPLICATION CLIENT", "*.*")
	}
	has, err := gtid.Parse(r.flavor, strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		return fault.New(fault.SourceProtocol, "the source's GTIDs: %w", err).At(fault.Where{Server: c.Address})
	}
	if missing := r.plan.Named(has); missing != "" {
		return fault.New(fault.RecoveryUnmet, "the source has no %s that could be left out", missing).At(fault.Where{Server: c.Address})
	}
	return nil
}

// checked looks through files, and says why they must not be carried.
func (r *replayRun) checked(ctx context.Context) (*again.Look, error) {
	if len(r.paths) == 0 {
		return nil, nil
	}
	if r.o.from == "" && r.plan.Include == nil && !r.plan.Behind.Empty() && r.head.Before != nil {
		if gap := lacking(r.head.Before, r.plan.Behind); gap != "" {
			return nil, fault.New(fault.RecoveryGap, "%s begins behind %s, which the target has not", r.paths[0], gap)
		}
	}
	look, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := look.Check(); err != nil {
		return nil, err
	}
	if r.state.Next && look.Began(r.own) { // whatever it commits by itself takes a GTID that one of the transactions has
		return nil, fault.New(fault.TargetRefused, "the target has the server_uuid of the server where the transactions began, %s", r.own).
			Hint("give it one of its own: stop it, remove auto.cnf from its data folder, start it, restore the backup again; or set exactly_once: table")
	}
	if look.Nameless > 0 {
		if r.state.Next {
			return nil, fault.New(fault.TargetGTID, "%d transactions of the files have no GTID, and the target goes by GTIDs", look.Nameless).
				Hint("set exactly_once: table, and begin anew by --restart")
		}
		r.state.ByGTID = false
	}
	for _, g := range look.Gaps() {
		r.log.Warn("transactions are missing in the files", "gtids", g)
	}
	if look.Taken+look.Left == 0 {
		return nil, fault.New(fault.RecoveryEmpty, "no transaction was chosen")
	}
	return look, nil
}

// lacking gives what a set holds and another lacks, of MariaDB by the last transaction of each domain.
func lacking(set, has *gtid.Set) string {
	if set.Flavor() == gtid.MySQL {
		return gtid.Minus(set, has).String()
	}
	var out []string
	for _, d := range set.Domains() {
		last, _ := set.DomainPos(d)
		if !has.Contains(last) {
			out = append(out, last.String())
		}
	}
	return strings.Join(out, ",")
}

// open makes the pipeline of a run.
func (r *replayRun) open(ctx context.Context, rec checkpoint.Record, store checkpoint.Store, sink sinks.Sink, budget *event.Budget, steps []transform.Step, dead pipeline.DeadLetters) (*pipeline.Pipeline, *replaySource, error) {
	_, _, limit := budget.Used()
	pool, batch := &event.Pool{Budget: budget}, min(2<<20, limit/16)
	var src *replaySource
	var history schemas.History = r.store
	var err error
	if len(r.paths) > 0 {
		history = &memory.Store{} // each run reads the files from their beginning
		src, err = r.openFiles(&rec, pool, batch)
	} else {
		src, err = r.openServer(ctx, &rec, pool, batch)
	}
	if err != nil {
		return nil, nil, err
	}
	r.clean = append(r.clean, func() { _ = src.Close() })
	if len(r.paths) > 0 {
		rec.XA, rec.SchemaSeq = nil, 0
		store = filesStore{store}
	} else if r.store == nil { // a dry run
		history = &memory.Store{}
	}
	p, err := pipeline.New(ctx, pipeline.Options{
		Stream: r.name, Source: src, Transforms: steps, Dead: dead, Sink: sink, Store: store, History: history, Budget: budget, Record: rec, Spool: r.spool,
		Log: r.log, Spare: r.stream.books(), SaveEvery: r.cfg.Checkpoint.Every,
	})
	return p, src, err
}

// rehearse goes through everything and carries nothing.
func (r *replayRun) rehearse(ctx context.Context, look *again.Look) error {
	steps, err := transform.Open(r.stream.Transforms, r.stream.OnError)
	if err != nil {
		return err
	}
	tally := &again.Tally{}
	p, _, err := r.open(ctx, checkpoint.Record{}, &memory.Store{}, tally, event.NewBudget(int64(r.cfg.Memory)), steps, noLetters{})
	if err != nil {
		return err
	}
	if err := p.Run(ctx); err != nil {
		return err
	}
	counts := tally.Counts()
	st := p.Status()
	return r.rehearsed(look, &counts, &st)
}

// carry carries what was chosen.
func (r *replayRun) carry(ctx context.Context, stopped <-chan struct{}) error {
	if r.o.restart {
		if err := r.forget(ctx); err != nil {
			return err
		}
	}
	if err := r.state.save(); err != nil {
		return err
	}
	var err error
	if r.store, err = badger.Open(ctx, filepath.Join(r.dir, "state"), badger.Options{MinFree: uint64(r.cfg.Checkpoint.MinFree), Logger: r.log}); err != nil {
		return err
	}
	r.clean = append(r.clean, func() { _ = r.store.Close() })
	rec, err := r.store.Load(ctx, r.name)
	if errors.Is(err, checkpoint.ErrNone) {
		rec, err = checkpoint.Record{Selection: r.sel.Hash()}, nil
	}
	if err != nil {
		return err
	}
	if err := r.standing(ctx, &rec); err != nil {
		return err
	}
	budget := event.NewBudget(int64(r.cfg.Memory))
	named := *r.stream
	named.Name = r.name
	a := &app{cfg: r.cfg, store: r.store, log: r.log, out: r.out, warned: map[string]bool{}, again: len(r.paths) > 0}
	sink, err := openSink(ctx, a, &named, budget, &rec, r.waits, false)
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			_ = sink.Close()
		}
	}()
	steps, dead, err := (&stream{app: a, cfg: &named}).openTransforms(&rec)
	if err != nil {
		return err
	}
	p, src, err := r.open(ctx, rec, r.store, sink, budget, steps, dead)
	if err != nil {
		return err
	}
	show := r.show(p, src)
	ran := make(chan struct{})
	interrupted := false
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-stopped:
			interrupted = true
			p.Stop()
		case <-ran:
		}
	})
	err = p.Run(ctx)
	close(ran)
	wg.Wait()
	show()
	if err == nil && interrupted {
		err = fault.New(fault.RecoveryStopped, "the replay was stopped before its end")
	}
	if err != nil {
		return err
	}
	closed = true
	if err := sink.Close(); err != nil {
		return err
	}
	if err := r.finish(ctx); err != nil {
		return err
	}
	st := p.Status()
	return r.carried(&st)
}

// standing refuses to go on at a target that does not know the stream any more: it was restored again, and lacks what was carried.
func (r *replayRun) standing(ctx context.Context, rec *checkpoint.Record) error {
	m := r.stream.Sink.MySQL
	if m == nil || rec.Txns == 0 || r.state.Next {
		return nil
	}
	c, err := session.Open(ctx, m.Config, session.Options{Codes: session.TargetCodes()})
	if err != nil {
		return err
	}
	defer c.Close()
	follow, err := mysql.Follow(ctx, c, m.Database, r.name, r.flavor)
	if err != nil {
		return c.Fault(err, "SELECT", "*.*")
	}
	at, err := follow.Place(ctx, c)
	if err != nil {
		return c.Fault(err, "SELECT", "*.*")
	}
	if at.IsZero() {
		return fault.New(fault.SinkBehind, "the target knows nothing of what this replay has carried into it").At(fault.Where{Server: c.Address}).
			Hint("was it restored again? Then begin the replay anew by --restart")
	}
	return nil
}

// finish notes that the replay is done, and gives the target free for another stream of the source.
func (r *replayRun) finish(ctx context.Context) error {
	r.state.Done = true
	if err := r.state.save(); err != nil {
		return err
	}
	if !r.state.Next {
		return nil
	}
	return mysql.Leave(ctx, r.target(r.name), false)
}

func (r *replayRun) waits(err error) {
	if err != nil {
		r.log.Warn("writing waits", "error", err)
	}
}

// noLetters drops what a dry run sets aside; it is counted.
type noLetters struct{}

func (noLetters) Write(context.Context, *event.Batch) error { return nil }
