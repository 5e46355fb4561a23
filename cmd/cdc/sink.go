package main

import (
	"cmp"
	"context"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/null"
	"cdc/sinks/stdout"
)

// openSink opens the one sink that a stream names. A new sink is one more case here and one more field in SinkConfig. rec is where
// the stream begins. waits is told why the target takes nothing, and nil when it does again. unordered says that changes of different rows come in any order.
func openSink(ctx context.Context, a *app, cfg *StreamConfig, budget *event.Budget, rec *checkpoint.Record, waits func(error), unordered bool) (sinks.Sink, error) {
	flavor := a.cfg.Source.flavor()
	switch {
	case cfg.Sink.Files != nil:
		f := cfg.Sink.Files
		enc, err := f.makers(flavor)
		if err != nil {
			return nil, err
		}
		store, err := a.cfg.filesStore(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return files.Open(ctx, files.Options{
			Dir: a.cfg.path(f.Dir), Store: store, Stream: cfg.Name, Encoder: enc, Budget: budget, Template: f.Path, MaxSize: int64(f.Size), MaxRows: f.Rows, Interval: f.Interval,
			AcceptGap: rec.ByHand, Stalled: waits, Retain: time.Duration(f.Retain), OpenKeeper: func(ctx context.Context) (*files.Keeper, error) { return a.cfg.keeper(ctx, cfg) },
			Kept: func(removed int, err error) {
				if err != nil {
					a.log.Warn("old files could not be removed; they are tried again within an hour", "stream", cfg.Name, "removed", removed, "error", err)
					return
				}
				a.log.Info("old files were removed", "stream", cfg.Name, "removed", removed)
			},
		})
	case cfg.Sink.Kafka != nil:
		return openKafka(a, cfg, budget, rec, waits)
	case cfg.Sink.MySQL != nil:
		return openMySQL(a, cfg, budget, rec, waits, unordered)
	case cfg.Sink.Stdout != nil:
		enc, err := cfg.Sink.Stdout.encoder(flavor, false)
		if err != nil {
			return nil, err
		}
		return stdout.New(a.out, stdout.Options{Encoder: enc, Budget: budget}), nil
	default:
		f := cfg.Sink.Null.FormatConfig
		f.Format = cmp.Or(f.Format, "none")
		enc, err := f.encoder(flavor, false)
		if err != nil {
			return nil, err
		}
		return null.New(enc), nil
	}
}
