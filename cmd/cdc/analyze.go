package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cdc/event"
	"cdc/fault"
	"cdc/recovery/analyze"
	"cdc/schemas"
	"cdc/source/binlog"
	"cdc/source/files"
)

func analyzeCommand() *cobra.Command {
	var o analyzeOptions
	c := &cobra.Command{
		Use:   "analyze BINLOG... | mysql://USER@HOST/ | mariadb://USER@HOST/",
		Short: "Say what happened in binlog files: large and long transactions, tables, minutes, hot rows",
		Long: `Analyze reads binlog files, or the binlog of a server, and says what was done in it: how many transactions of which size and duration, rows per
table and per minute, the largest and longest transactions with GTID, connection and statement, DDL, and the rows that were changed most often.
Rows of files are counted without being decoded, so no definition of any table is needed, and no server. All times are UTC.

Statements are shown where the server logs them (binlog_rows_query_log_events=ON, or binlog_annotate_row_events of MariaDB). Hot rows are named
where the primary key is known: by binlog_row_metadata=FULL, by a CREATE TABLE in the files, or by --schema-dump.`,
		Example: `  cdc analyze binlog.000041 binlog.000042
  cdc analyze binlog.000041 --op delete --tables shop.orders --from '2024-05-01 14:00' --until '2024-05-01 14:10'   # what deleted my rows?
  cdc analyze mysql://cdc@db1/ --from 2024-05-01T14:00:00Z --json`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	o.flags(c)
	f.StringVar(&o.op, "op", "", "count rows of one operation alone: insert, update or delete")
	f.Uint32Var(&o.thread, "thread", 0, "count transactions of one connection alone")
	f.IntVar(&o.top, "top", 10, "how long the lists of transactions, connections and rows are")
	f.DurationVar(&o.long, "long", time.Second, "the least duration of a long transaction")
	f.BoolVar(&o.asJSON, "json", false, "print JSON instead of tables")
	return c
}

type analyzeOptions struct {
	stretch
	op     string
	thread uint32
	top    int
	long   time.Duration
	asJSON bool
}

// operation reads --op.
func operation(text string) (event.Op, error) {
	for _, op := range []event.Op{event.Insert, event.Update, event.Delete} {
		if text == op.String() {
			return op, nil
		}
	}
	if text == "" {
		return 0, nil
	}
	return 0, fault.New(fault.UsageInvalid, "--op: %q is none of insert, update, delete", text)
}

func (o *analyzeOptions) run(c *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	sel, err := o.selector()
	if err != nil {
		return err
	}
	op, err := operation(o.op)
	if err != nil {
		return err
	}
	live, err := o.isServer(args)
	if err != nil {
		return err
	}
	limitHeap(defaultMemory)
	list := analyze.New(analyze.Options{Top: o.top, Op: op, Thread: o.thread, Long: o.long})
	if live {
		err = o.batches(ctx, args[0], sel, list)
	} else {
		err = o.survey(ctx, args, sel, list)
	}
	if err != nil {
		return err
	}
	r := list.Report()
	if o.asJSON {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		w := &writeError{w: c.OutOrStdout()}
		r.Text(w)
		err = w.err
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// survey reads files.
func (o *analyzeOptions) survey(ctx context.Context, args []string, sel *schemas.Selector, list *analyze.Collector) error {
	f, err := o.look(args)
	if err != nil {
		return err
	}
	return files.Survey(ctx, files.Config{Paths: f.paths, Start: f.start, Stop: f.stop}, binlog.SurveyConfig{Select: sel.Match, Txn: list.Survey, Key: list.Key, Catalog: f.catalog})
}

// batches reads from a server.
func (o *analyzeOptions) batches(ctx context.Context, url string, sel *schemas.Selector, list *analyze.Collector) error {
	src, _, err := o.server(ctx, url, sel, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer src.Close()
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		list.Batch(b)
		b.Release()
	}
}

// writeError remembers the first error of a writer.
type writeError struct {
	w   io.Writer
	err error
}

func (w *writeError) Write(p []byte) (int, error) {
	if w.err == nil {
		_, w.err = w.w.Write(p)
	}
	return len(p), nil
}
