package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/source/live"
)

func checkpointCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Show, set, import or export the place of a stream",
		Long:  "The checkpoint is the place behind which everything was acknowledged, with the tables as they were there. show works beside a running pipeline.",
	}
	c.AddCommand(checkpointShow(), checkpointSet(), checkpointImport(), checkpointExport())
	return c
}

func checkpointShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "show FILE.yaml [STREAM]",
		Short:   "Print the place of each stream",
		Example: "  cdc checkpoint show pipeline.yaml\n  cdc checkpoint show pipeline.yaml orders --json",
		Args:    fileAnd(0, 1, "STREAM"),
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c.Context(), args[0], true, func(cfg *Config, store placeStore) error {
				all, err := readOrders(cfg.path(cfg.Checkpoint.Dir))
				if err != nil {
					return err
				}
				for _, s := range cfg.Streams {
					if len(args) == 2 && s.Name != args[1] {
						continue
					}
					rec, err := store.Load(c.Context(), s.Name)
					if errors.Is(err, checkpoint.ErrNone) {
						err = fault.New(fault.CheckpointMissing, "stream %q has no checkpoint", s.Name)
					}
					if err != nil {
						return err
					}
					if asJSON {
						e := json.NewEncoder(c.OutOrStdout())
						e.SetIndent("", "  ")
						if err := e.Encode(rec); err != nil {
							return err
						}
						continue
					}
					printRecord(c.OutOrStdout(), s.Name, &rec)
					o := all.of(s.Name)
					if o.Paused != nil {
						fmt.Fprintf(c.OutOrStdout(), "paused     by %s at %s%s\n", o.Paused.By, o.Paused.At.Format(time.RFC3339), because(o.Paused.Reason))
					}
					if o.Snapshot != nil {
						fmt.Fprintf(c.OutOrStdout(), "asked      %s\n", o.Snapshot)
					}
					for i := range o.Skips {
						fmt.Fprintf(c.OutOrStdout(), "skipped    %s\n", o.Skips[i].String())
					}
				}
				return cfg.hasStream(args)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printRecord(w io.Writer, name string, r *checkpoint.Record) {
	fmt.Fprintf(w, "stream     %s\nsource     %s %s\n", name, r.Server.Address, r.Server.Version)
	if r.GTIDs != nil {
		fmt.Fprintf(w, "gtid set   %s\n", r.GTIDs)
	}
	if r.File != "" {
		fmt.Fprintf(w, "position   %s:%d\n", r.File, r.Offset)
	}
	if r.Time != 0 {
		fmt.Fprintf(w, "committed  %s\n", time.UnixMicro(r.Time).UTC().Format(time.RFC3339Nano))
	}
	if r.Saved != 0 {
		fmt.Fprintf(w, "saved      %s\n", time.UnixMicro(r.Saved).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, "rows       %d in %d transactions\nschemas    up to entry %d\n", r.Rows, r.Txns, r.SchemaSeq)
	if n := r.Snapshot; n.State != event.SnapshotNone {
		fmt.Fprintf(w, "snapshot   %s, %d rows\n", n.State, n.Rows)
		for _, t := range n.Tables {
			what := "behind (" + strings.Join(t.Cursor, ", ") + ")"
			switch {
			case t.Done:
				what = "done"
			case t.Cursor == nil:
				what = "begun"
			}
			fmt.Fprintf(w, "           %s: %d rows, %s\n", t.Name, t.Rows, what)
		}
	}
	for _, x := range r.XA {
		fmt.Fprintf(w, "prepared   %s in %s\n", x.ID, x.Spool)
	}
}

func checkpointSet() *cobra.Command {
	var to, from string
	var accept, target, yes bool
	c := &cobra.Command{
		Use:   "set FILE.yaml STREAM (--to PLACE | --accept-tables | --accept-target | --from FILE.json) --yes",
		Short: "Put a stream at another place, while no pipeline runs",
		Long: `Set changes where the next run starts. Behind --to it starts with the tables as the source has them, where it can be proven that they looked so
at that place; otherwise it stops and says what to do. Without --yes it says what it would do and changes nothing.

A place ahead of the stream leaves changes out; one behind it delivers changes again, except to sinks that keep their own place.`,
		Example: `  cdc checkpoint set pipeline.yaml orders --to 3E11FA47-71CA-11E1-9E33-C80AA9429562:1-77 --yes
  cdc checkpoint set pipeline.yaml orders --to binlog.000007:4 --yes
  cdc checkpoint set pipeline.yaml orders --accept-tables --yes
  cdc checkpoint set pipeline.yaml orders --accept-target --yes
  cdc checkpoint set pipeline.yaml orders --from saved.json --yes`,
		Args: fileAnd(1, 1, "STREAM"),
		RunE: func(c *cobra.Command, args []string) error {
			n := 0
			for _, b := range []bool{to != "", from != "", accept, target} {
				if b {
					n++
				}
			}
			if n != 1 {
				return fault.New(fault.UsageInvalid, "want one of --to, --accept-tables, --accept-target, --from; found %d", n)
			}
			return withStore(c.Context(), args[0], false, func(cfg *Config, store placeStore) error {
				if err := cfg.hasStream(args); err != nil {
					return err
				}
				doc, err := cfg.newDocument(c.Context(), store, args[1], placeOrder{to: to, from: from, acceptTables: accept, acceptTarget: target})
				if err != nil {
					return err
				}
				printRecord(c.OutOrStdout(), doc.Stream, &doc.Record)
				if !yes {
					fmt.Fprintln(c.OutOrStdout(), "nothing was changed: add --yes to do it")
					return nil
				}
				return store.Import(c.Context(), doc)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "a GTID set, or FILE:POSITION where the source has no GTIDs")
	f.StringVar(&from, "from", "", "a file written by `cdc checkpoint export`")
	f.BoolVar(&accept, "accept-tables", false, "keep the place and take over the configuration's present choice of tables")
	f.BoolVar(&target, "accept-target", false, "keep the place and take the target as it is now, though it has lost what was acknowledged, as a deleted topic has")
	f.BoolVar(&yes, "yes", false, "do it")
	return c
}

// placeOrder says what is to become of a checkpoint: one of them.
type placeOrder struct {
	to, from                   string
	acceptTables, acceptTarget bool
}

// newDocument is what the stream's checkpoint is to become.
func (c *Config) newDocument(ctx context.Context, store placeStore, name string, o placeOrder) (*checkpoint.Document, error) {
	sel, err := schemas.ParseSelector(c.Source.Tables)
	if err != nil {
		return nil, err
	}
	doc, err := store.Export(ctx, name)
	switch {
	case o.from != "":
		data, err := os.ReadFile(o.from)
		if err != nil {
			return nil, fault.New(fault.UsageInvalid, "--from: %w", err)
		}
		doc = &checkpoint.Document{}
		if err := json.Unmarshal(data, doc); err != nil {
			return nil, fault.New(fault.UsageInvalid, "--from %s: %w", o.from, err).Hint("give a file that `cdc checkpoint export` wrote")
		}
		doc.Stream = name
		return doc, nil
	case o.acceptTables, o.acceptTarget:
		if errors.Is(err, checkpoint.ErrNone) {
			return nil, fault.New(fault.CheckpointMissing, "stream %q has no checkpoint", name)
		}
		if err != nil {
			return nil, err
		}
		if o.acceptTarget {
			doc.Record.SinkState = nil
		} else {
			doc.Record.Selection = sel.Hash()
		}
		return doc, nil
	}
	if err := c.wantsServer("cdc checkpoint set --to"); err != nil {
		return nil, err
	}
	// With --to the old checkpoint does not matter, also if it is damaged. Only the counts are taken over.
	start, perr := parseStart(o.to, c.Source.flavor())
	if perr != nil {
		return nil, fault.New(fault.UsageInvalid, "--to: %w", perr)
	}
	rec := checkpoint.Record{Selection: sel.Hash(), ByHand: true}
	rec.Server.Flavor = c.Source.flavor()
	if err == nil {
		rec.Rows, rec.Txns = doc.Record.Rows, doc.Record.Txns
		rec.Server = doc.Record.Server
		if len(doc.Record.XA) > 0 {
			return nil, fault.New(fault.UsageInvalid, "stream %q waits for the end of %d prepared XA transactions, whose rows would be lost", name, len(doc.Record.XA)).
				Hint("let the stream run until XA RECOVER on the source is empty, then set the place")
		}
	}
	switch start.Kind {
	case live.StartGTIDs:
		rec.GTIDs = start.GTIDs
	case live.StartFile:
		rec.File, rec.Offset = start.File, start.Offset
	default:
		return nil, fault.New(fault.UsageInvalid, "--to: %q is no place that can be kept", o.to).Hint("give a GTID set, or FILE:POSITION")
	}
	return &checkpoint.Document{Stream: name, Record: rec}, nil
}

func checkpointExport() *cobra.Command {
	return &cobra.Command{
		Use:     "export FILE.yaml STREAM",
		Short:   "Print all that is kept of a stream, schema history included, as JSON",
		Example: "  cdc checkpoint export pipeline.yaml orders > saved.json",
		Args:    fileAnd(1, 1, "STREAM"),
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c.Context(), args[0], true, func(cfg *Config, store placeStore) error {
				doc, err := cfg.export(c.Context(), store, args)
				if err != nil {
					return err
				}
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(doc)
			})
		},
	}
}

// withStore opens the checkpoint of a configuration. With ha what is changed is changed for all of its processes.
func withStore(ctx context.Context, file string, readOnly bool, do func(*Config, placeStore) error) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	dir := cfg.path(cfg.Checkpoint.Dir)
	if _, err := os.Stat(dir); readOnly && err != nil {
		return fault.New(fault.CheckpointMissing, "there is no checkpoint folder %s", dir)
	}
	store, err := badger.Open(ctx, dir, badger.Options{ReadOnly: readOnly, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer store.Close()
	if cfg.HA != nil && !readOnly {
		return cfg.asOwner(ctx, store, func(both placeStore) error { return do(cfg, both) })
	}
	return do(cfg, store)
}

// export gives all that is kept of the STREAM argument.
func (c *Config) export(ctx context.Context, store placeStore, args []string) (*checkpoint.Document, error) {
	if err := c.hasStream(args); err != nil {
		return nil, err
	}
	doc, err := store.Export(ctx, args[1])
	if errors.Is(err, checkpoint.ErrNone) {
		return nil, fault.New(fault.CheckpointMissing, "stream %q has no checkpoint", args[1])
	}
	return doc, err
}

// hasStream checks the STREAM argument, where there is one.
func (c *Config) hasStream(args []string) error {
	if len(args) < 2 {
		return nil
	}
	var names []string
	for _, s := range c.Streams {
		if s.Name == args[1] || s.whole == args[1] {
			return nil
		}
		names = append(names, s.Name)
	}
	return fault.New(fault.UsageInvalid, "%s has no stream %q; it has %q", args[0], args[1], names)
}

// fileAnd wants a configuration file and from least to most arguments more.
func fileAnd(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if n := len(args) - 1; n < least || n > most {
			return fault.New(fault.UsageInvalid, "want FILE.yaml %s, found %d arguments", names, len(args)).
				Hint("%s; see `%s --help`", c.UseLine(), c.CommandPath())
		}
		return nil
	}
}
