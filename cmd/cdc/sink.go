package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"cdc/event"
	"cdc/format"
	"cdc/format/debezium"
	"cdc/format/plain"
	"cdc/gtid"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/null"
	"cdc/sinks/stdout"
)

// openSink opens the one sink that a stream names. A new sink is one more case here and one more field in SinkConfig. byHand says that the stream
// starts at a place which an operator has set.
func openSink(ctx context.Context, a *app, cfg *StreamConfig, budget *event.Budget, byHand bool, log *slog.Logger) (sinks.Sink, error) {
	flavor := a.cfg.Source.flavor()
	switch {
	case cfg.Sink.Files != nil:
		f := cfg.Sink.Files
		enc, err := encoder(cmp.Or(f.Format, "plain"), f.Debezium, flavor)
		if err != nil {
			return nil, err
		}
		return files.Open(ctx, files.Options{
			Dir: a.cfg.path(f.Dir), Stream: cfg.Name, Encoder: enc, Budget: budget, Template: f.Path, MaxSize: int64(f.Size), Interval: f.Interval,
			AcceptGap: byHand,
			Stalled: func(err error) {
				if err != nil {
					log.Warn("writing waits for space", "error", err)
				} else {
					log.Info("writing goes on")
				}
			},
		})
	case cfg.Sink.Stdout != nil:
		enc, err := encoder(cmp.Or(cfg.Sink.Stdout.Format, "plain"), cfg.Sink.Stdout.Debezium, flavor)
		if err != nil {
			return nil, err
		}
		return stdout.New(a.out, stdout.Options{Encoder: enc, Budget: budget}), nil
	default:
		enc, err := encoder(cfg.Sink.Null.Format, cfg.Sink.Null.Debezium, flavor)
		if err != nil {
			return nil, err
		}
		return null.New(enc), nil
	}
}

// encoder makes encoders of a format; none is nil.
func encoder(name string, opt *debezium.Options, flavor gtid.Flavor) (func() format.Encoder, error) {
	switch name {
	case "debezium":
		o := debezium.Options{}
		if opt != nil {
			o = *opt
		}
		if o.Connector == "" {
			o.Connector = flavor.String()
		}
		if err := o.Validate(); err != nil {
			return nil, err
		}
		return func() format.Encoder {
			e, err := debezium.New(o)
			if err != nil {
				panic(fmt.Sprintf("valid options were refused: %v", err)) // Validate has passed them
			}
			return e
		}, nil
	case "plain":
		return func() format.Encoder { return plain.New(plain.Options{}) }, nil
	}
	return nil, nil
}
