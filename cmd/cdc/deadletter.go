package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cdc/checkpoint"
	"cdc/checkpoint/memory"
	"cdc/checkpoint/spool"
	"cdc/event"
	"cdc/fault"
	"cdc/pipeline"
	"cdc/schemas"
	"cdc/sinks/kafka"
	"cdc/source"
	"cdc/source/live"
	"cdc/transform"
)

func deadletterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deadletter",
		Short: "Look at changes that were set aside, and carry them after all",
	}
	c.AddCommand(replayCommand())
	return c
}

func replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay FILE.yaml STREAM",
		Short: "List the dead letters of a stream, and with --yes carry their changes after all",
		Long: `Replay reads the topic of dead letters of a stream with a kafka sink. A letter names a change and holds no value of it: so the change is read once more
from the source's binlog, goes through the stream's transforms as they are now, and to its topic, under the name (gtid, row, sub) that it had, with a
header "replayed". A note in the topic of dead letters says that the letter is done, and the next replay passes it over.

Without --yes it only looks, and says what would become of each letter. A change whose row was changed again since is overtaken: behind the later change
it would bring an old state back, and it is left where it is unless --overtaken is given.

The stream must not run meanwhile: pause it, or stop the pipeline.`,
		Example: "  cdc pause pipeline.yaml orders\n  cdc deadletter replay pipeline.yaml orders          # look\n  cdc deadletter replay pipeline.yaml orders --yes\n  cdc resume pipeline.yaml orders",
		Args:    fileAnd(1, 1, "STREAM"),
		RunE:    func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.BoolVar(&o.yes, "yes", false, "do it")
	f.BoolVar(&o.overtaken, "overtaken", false, "also changes whose row was changed again since")
	return c
}

type replayOptions struct{ yes, overtaken bool }

func (o *replayOptions) run(c *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cfg, err := loadConfig(args[0])
	if err != nil {
		return err
	}
	if err := cfg.hasStream(args); err != nil {
		return err
	}
	r := &replay{cfg: cfg, log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for i := range cfg.Streams {
		if cfg.Streams[i].Name == args[1] {
			r.stream = &cfg.Streams[i]
		}
	}
	if !r.stream.Sink.deadLetters() {
		return fault.New(fault.UsageInvalid, "stream %q has no topic of dead letters", args[1]).
			Hint("this is for streams with sink.kafka.dead_letter.topic; a file of dead letters holds the changes themselves")
	}
	if cfg.Source.MySQL == nil && cfg.Source.MariaDB == nil {
		return fault.New(fault.UsageInvalid, "the source of stream %q is no server with a binlog, from which its changes could be read once more", args[1])
	}
	if err := r.resting(ctx); err != nil {
		return err
	}
	limitHeap(int64(cfg.Memory))
	if r.opt, err = r.stream.Sink.Kafka.options(cfg, cfg.Source.flavor(), nil); err != nil {
		return err
	}
	letters, err := kafka.Letters(ctx, r.opt)
	if err != nil {
		return err
	}
	if len(letters) == 0 {
		_, err := fmt.Fprintln(c.OutOrStdout(), "no letters: nothing was set aside that was not replayed")
		return err
	}
	r.wants = newWants(letters)
	if err := r.survey(ctx); err != nil {
		return err
	}
	r.wants.choose(o.overtaken)
	if o.yes && r.wants.count(wantChosen) > 0 {
		if err := r.carry(ctx); err != nil {
			return err
		}
	}
	if err := r.wants.print(c.OutOrStdout()); err != nil {
		return err
	}
	if n := r.wants.count(wantMissing) + r.wants.count(wantFailed); n > 0 {
		return fault.New(fault.DeadLetterLeft, "%d of %d dead letters cannot be replayed", n, len(letters))
	}
	return nil
}

// replay carries the changes of letters.
type replay struct {
	cfg    *Config
	stream *StreamConfig
	opt    kafka.Options
	log    *slog.Logger
	wants  *wants
}

// resting refuses a stream that runs: what it writes meanwhile could come before an older change of the same row.
func (r *replay) resting(ctx context.Context) error {
	report, ok, err := askStatus(ctx, r.cfg.path(r.cfg.Checkpoint.Dir))
	if err != nil || !ok {
		return err
	}
	for i := range report.Streams {
		s := &report.Streams[i]
		if s.Stream == r.stream.Name && s.State != "paused" && s.State != "failed" && s.State != "stopped" {
			return fault.New(fault.UsageInvalid, "stream %q is %s", s.Stream, s.State).Hint("cdc pause FILE.yaml %s, and cdc resume behind it", s.Stream)
		}
	}
	return nil
}

// open reads the source from before the first letter to its present end, the same tables as the stream does, so that rows have the same numbers.
func (r *replay) open(ctx context.Context, budget *event.Budget) (source.Source, func(), error) {
	sel, err := schemas.ParseSelector(r.cfg.Source.Tables)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "cdc-xa-")
	if err != nil {
		return nil, nil, fault.New(fault.RecoverySpace, "make a temporary folder: %w", err)
	}
	clean := func() { _ = os.RemoveAll(dir) }
	rows, err := spool.Open(dir, nil)
	if err != nil {
		clean()
		return nil, nil, err
	}
	src, err := live.Open(ctx, live.Options{
		Config: *r.cfg.Source.server(), Flavor: r.cfg.Source.flavor(), Stream: r.cfg.reader(r.stream.Name) + "\x00dead letters", Select: sel,
		Start: live.Start{Kind: live.StartTime, Time: r.wants.since()}, Stop: live.Stop{Now: true}, NextSeq: 1, Spool: spoolFor{rows},
		Pool: &event.Pool{Budget: budget}, MaxRow: int64(r.cfg.MaxRow), Log: r.log,
	})
	if err != nil {
		_ = rows.Close()
		clean()
		return nil, nil, err
	}
	return src, func() {
		_ = src.Close()
		_ = rows.Close()
		clean()
	}, nil
}

// survey finds the changes that letters name, and what came behind them.
func (r *replay) survey(ctx context.Context) error {
	src, done, err := r.open(ctx, nil)
	if err != nil {
		return err
	}
	defer done()
	for {
		b, err := src.Read(ctx)
		if err != nil {
			return ended(err)
		}
		err = r.wants.look(b)
		b.Release()
		if err != nil {
			return err
		}
	}
}

// carry has a pipeline of its own take the chosen changes to the sink, and notes the letters that are done.
func (r *replay) carry(ctx context.Context) error {
	budget := event.NewBudget(int64(r.cfg.Memory))
	o := r.opt
	// What is not of these rows was written when it happened. The stream's own producer is left alone.
	o.SchemaTopic, o.TransactionTopic, o.HeartbeatTopic = "", "", ""
	o.ExactlyOnce, o.Oversize, o.Budget, o.Fresh = "off", "dead_letter", budget, true
	o.Only, o.Aside = r.wants.written, r.wants.failed
	o.Stalled = func(err error) {
		if err != nil {
			r.log.Warn("writing waits", "error", err)
		}
	}
	sink, err := kafka.Open(o)
	if err != nil {
		return err
	}
	defer sink.Close()
	steps, err := transform.Open(r.stream.Transforms, r.stream.OnError)
	if err != nil {
		return err
	}
	for i := range steps {
		steps[i].Dead = true // it is a letter already
	}
	src, done, err := r.open(ctx, budget)
	if err != nil {
		return err
	}
	defer done()
	store := &memory.Store{} // the place of this run is of no use behind it
	pipe, err := pipeline.New(ctx, pipeline.Options{
		Stream: r.stream.Name, Source: &picked{Source: src, wants: r.wants}, Transforms: steps, Sink: sink, Store: store, History: store, Budget: budget,
		Record: checkpoint.Record{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if err := pipe.Run(ctx); err != nil {
		return err
	}
	notes := r.wants.done(time.Now())
	if len(notes) == 0 {
		return nil
	}
	if err := sink.Note(ctx, notes); err != nil {
		return err
	}
	return sink.Flush(ctx)
}

// picked gives the chosen changes of a source, and nothing else.
type picked struct {
	source.Source
	wants   *wants
	scratch *event.Builder
}

// Read gives the next batch, without what was not chosen.
func (p *picked) Read(ctx context.Context) (*event.Batch, error) {
	b, err := p.Source.Read(ctx)
	if err != nil {
		return nil, err
	}
	p.scratch = event.NewBuilder(b, p.scratch)
	tables := b.Tables
	for i := range b.Changes {
		p.scratch.Next(i)
		if p.wants.chosen(b, i) {
			p.scratch.Keep(p.scratch.Table(tables[b.Changes[i].Table]))
		}
	}
	b.DDL = nil
	if err := p.scratch.Finish(); err != nil {
		b.Release()
		return nil, err
	}
	return b, nil
}

// print writes a line for each letter.
func (w *wants) print(out io.Writer) error {
	for _, x := range w.list {
		for i := range x.letters {
			l := &x.letters[i]
			if _, err := fmt.Fprintf(out, "%s.%s  %s  %s  row %d  sub %d  %s %s\n    %s\n", l.Database, l.Table, l.Op, l.Txn(), l.Row, l.Sub, l.Code, l.Reason, x.said()); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(out, "%d letters: %d replayed, %d to be replayed (--yes), %d overtaken, %d cannot be\n", w.total,
		w.count(wantDone), w.count(wantChosen), w.count(wantOvertaken), w.count(wantMissing)+w.count(wantFailed))
	return err
}
