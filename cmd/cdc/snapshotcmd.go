package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
)

func snapshotCommand() *cobra.Command {
	var tables []string
	var where string
	var cancel, wait bool
	c := &cobra.Command{
		Use:   "snapshot FILE.yaml STREAM (--tables DATABASE.TABLE,.. [--where CONDITION] | --cancel)",
		Short: "Copy the rows of chosen tables again, while the stream goes on",
		Long: `Snapshot copies the rows that are in some tables of a stream into its sink, beside the changes: in chunks, without a lock, and so that no row comes out older than
a change before it. The order is written to the checkpoint folder before it is acted on: a pipeline that is killed goes on with it, one that does not run begins it when
it is started. The stream is drained and connects anew to begin it.

A snapshot brings rows and takes none away: a row that is in the target alone stays there (see ` + "`cdc verify --repair`" + `). One at a time: while another snapshot of the
stream is not finished, this one is refused. Into a MySQL target each table needs a key.

--where takes one SQL condition over columns of the tables, as the source understands it, with times in UTC. It is looked at before anything begins.`,
		Example: `  cdc snapshot pipeline.yaml orders --tables shop.orders --wait
  cdc snapshot pipeline.yaml orders --tables shop.orders,shop.items --where 'id > 100'
  cdc snapshot pipeline.yaml orders --cancel`,
		Args: fileAnd(1, 1, "STREAM"),
		RunE: func(c *cobra.Command, args []string) error {
			if cancel == (len(tables) > 0) || cancel && (where != "" || wait) {
				return fault.New(fault.UsageInvalid, "want either --tables, or --cancel alone")
			}
			o := order{Cancel: cancel, Snapshot: snapshotOrder{Where: strings.TrimSpace(where)}}
			for _, t := range tables {
				db, name, ok := strings.Cut(t, ".")
				if !ok || db == "" || name == "" {
					return fault.New(fault.UsageInvalid, "--tables: %q is not DATABASE.TABLE", t)
				}
				o.Snapshot.Tables = append(o.Snapshot.Tables, schemas.Name{Database: db, Table: name})
			}
			if err := giveOrder(c, args, "snapshot", o, func(ctx context.Context, cfg *Config, store placeStore, all *orders, stream, by string) error {
				rec, err := recordOf(ctx, store, stream)
				if err != nil {
					return err
				}
				if o.Cancel {
					was := all.of(stream).Snapshot
					if err := all.cancel(stream, by); err != nil {
						return err
					}
					if rec.Snapshot.State == event.SnapshotRunning && rec.Snapshot.ID == was.ID {
						rec.Snapshot = rec.Snapshot.Ended()
						return store.Save(ctx, stream, rec)
					}
					return nil
				}
				x := o.Snapshot
				x.By = by
				if err := cfg.checkAsked(ctx, stream, &rec, &x); err != nil {
					return err
				}
				return all.ask(stream, x)
			}); err != nil || !wait {
				return err
			}
			return awaitSnapshot(c, args)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&tables, "tables", nil, "tables of the stream, as DATABASE.TABLE; several behind commas, or the flag repeated")
	f.StringVar(&where, "where", "", "copy only rows that meet this SQL condition")
	f.BoolVar(&wait, "wait", false, "come back when all rows are in the sink")
	f.BoolVar(&cancel, "cancel", false, "end the snapshot that was asked for; what was copied stays")
	return c
}

// awaitSnapshot waits for the end of the snapshot that was asked for last.
func awaitSnapshot(c *cobra.Command, args []string) error {
	cfg, err := loadConfig(args[0])
	if err != nil {
		return err
	}
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	id := ""
	for {
		r, ok, err := askStatus(c.Context(), cfg.path(cfg.Checkpoint.Dir))
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.ControlSocket, "no pipeline runs that could end the snapshot").Hint("it goes on when the pipeline is started: `cdc run %s`", args[0])
		}
		for i := range r.Streams {
			s := &r.Streams[i]
			if s.Stream != args[1] || s.Asked == nil {
				continue
			}
			if id == "" {
				id = s.Asked.ID
			}
			switch a := s.Asked; {
			case a.ID != id:
				return fault.New(fault.ControlSocket, "another snapshot was asked for meanwhile").Hint("`cdc status` shows it")
			case a.State == "done":
				_, err := fmt.Fprintf(c.OutOrStdout(), "done: %d rows\n", a.Rows)
				return err
			case a.State == "canceled":
				return fault.New(fault.UsageInvalid, "the snapshot was canceled by %s", a.CanceledBy).Hint("ask for it again; what was copied stays in the sink")
			case s.State == "failed":
				return fault.New(fault.ControlSocket, "the stream failed: %s", s.Error).Hint("%s", s.Hint)
			}
		}
		select {
		case <-tick.C:
		case <-c.Context().Done():
			return context.Cause(c.Context())
		}
	}
}
