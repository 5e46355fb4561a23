package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/format"
	"cdc/format/csv"
	"cdc/format/ocf"
	"cdc/format/parquet"
	"cdc/internal/settings"
	"cdc/schemas"
	"cdc/sinks/files"
)

// keeperOptions say how files of each format become one.
func keeperOptions() files.KeeperOptions {
	return files.KeeperOptions{Joins: map[string]func(io.Writer) (format.Joiner, error){".csv": csv.Join, ".avro": ocf.Join, ".parquet": parquet.Join}}
}

// choice is which files a command is about.
type choice struct {
	tables     []string
	partitions []string
	dryRun     bool
}

func (o *choice) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&o.tables, "tables", nil, "files of these tables alone, in MySQL wild syntax")
	c.Flags().StringSliceVar(&o.partitions, "partition", nil, "files in these folders alone, below the sink's, such as shop/orders/dt=2024-02-29")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and change nothing")
}

func (o *choice) match() (func(*files.Listed) bool, error) {
	var sel *schemas.Selector
	if len(o.tables) > 0 {
		var err error
		if sel, err = schemas.ParseSelector(o.tables); err != nil {
			return nil, fault.New(fault.UsageInvalid, "--tables: %w", err)
		}
	}
	return func(f *files.Listed) bool {
		if sel != nil && !sel.Match(f.Database, f.Table) {
			return false
		}
		for _, p := range o.partitions {
			if strings.HasPrefix(f.Path, strings.Trim(p, "/")+"/") {
				return true
			}
		}
		return len(o.partitions) == 0
	}, nil
}

func filesCompact() *cobra.Command {
	var o choice
	below, into := sizeFlag(files.DefaultBelow), sizeFlag(files.DefaultInto)
	c := &cobra.Command{
		Use:   "compact FILE.yaml|DIR [STREAM]",
		Short: "Merge small published files of a partition into larger ones",
		Long: `Compact merges small files that follow on each other in the order of changes, are of one table and of one version of it, and lie in one partition. A pipeline may
write there meanwhile. Rows are not changed, nor their order in the table; statements stay as they are. Places in HDFS and S3 need the configuration.

What was merged is written beside the manifests, in one step: whoever reads by manifests sees each row once at every moment. Whoever lists folders sees the new
file for a moment beside those that it was made of, and never too few rows. A command that is killed leaves a step that the next one, or the next start of the
stream in a folder of this machine, finishes. Of these commands one at a time works in a place (CDC5015).

Files that are not as their manifest says end it, with CDC5014: nothing that is damaged is merged.`,
		Example: "  cdc files compact pipeline.yaml warehouse --dry-run\n  cdc files compact out --partition shop/orders --below 16MiB --into 256MiB",
		Args:    placeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			match, err := o.match()
			if err != nil {
				return err
			}
			if below < 1 || into < 1 {
				return fault.New(fault.UsageInvalid, "--below and --into must be more than nothing")
			}
			w := &writeError{w: c.OutOrStdout()}
			with := files.CompactOptions{Below: int64(below), Into: int64(into), Match: match}
			var merges, pieces int
			tell := func(m *files.Merge) error {
				merges, pieces = merges+1, pieces+len(m.Pieces)
				verb, name := "merged", m.Path
				if o.dryRun {
					verb, name = "would merge", m.Pieces[0].Path
				}
				fmt.Fprintf(w, "%s: %s %d files, %s\n", name, verb, len(m.Pieces), settings.Size(m.Bytes))
				return w.err
			}
			return eachKept(c, args, o.dryRun, func(ctx context.Context, name string, at files.Reader) error {
				return files.PlanCompact(ctx, at, keeperOptions(), with, tell)
			}, func(ctx context.Context, name string, k *files.Keeper) error {
				return k.Compact(ctx, with, tell)
			}, func(name string) error {
				fmt.Fprintf(w, "%s: %d files in place of %d\n", name, merges, pieces)
				merges, pieces = 0, 0
				return w.err
			})
		},
	}
	o.flags(c)
	c.Flags().Var(&below, "below", "merge files smaller than this")
	c.Flags().Var(&into, "into", "merge until the files come to this")
	return c
}

func filesExpire() *cobra.Command {
	var o choice
	var older age
	c := &cobra.Command{
		Use:   "expire FILE.yaml|DIR [STREAM] --older-than AGE",
		Short: "Remove published files that are old",
		Long: `Expire removes files that were published longer ago than AGE, such as 30d or 36h; of a file that was merged, the youngest of its pieces counts. What was removed is written
beside the manifests first: verify counts it as expired, and not as missing. Statements, manifests, and the files of the last publication stay. A pipeline may write there meanwhile. A stream does
the same by itself with the setting retain. Places in HDFS and S3 need the configuration.`,
		Example: "  cdc files expire pipeline.yaml warehouse --older-than 30d --dry-run\n  cdc files expire out --older-than 36h --tables 'shop.log_%'",
		Args:    placeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			match, err := o.match()
			if err != nil {
				return err
			}
			if older <= 0 {
				return fault.New(fault.UsageInvalid, "--older-than must say how old, such as 30d")
			}
			before := time.Now().Add(-time.Duration(older))
			w := &writeError{w: c.OutOrStdout()}
			n, bytes := 0, int64(0)
			verb := "removed"
			if o.dryRun {
				verb = "would remove"
			}
			tell := func(f *files.Listed) error {
				n, bytes = n+1, bytes+f.Bytes
				fmt.Fprintf(w, "%s: %s\n", f.Path, verb)
				return w.err
			}
			return eachKept(c, args, o.dryRun, func(ctx context.Context, name string, at files.Reader) error {
				return files.PlanExpire(ctx, at, before, match, tell)
			}, func(ctx context.Context, name string, k *files.Keeper) error {
				return k.Expire(ctx, before, match, tell)
			}, func(name string) error {
				fmt.Fprintf(w, "%s: %s %d files, %s\n", name, verb, n, settings.Size(bytes))
				n, bytes = 0, 0
				return w.err
			})
		},
	}
	o.flags(c)
	c.Flags().Var(&older, "older-than", "files published longer ago than this, such as 30d")
	return c
}

// eachKept calls do with a Keeper for each place that the arguments name, or in a dry run plan with what reads it; and after it, whatever came of it, end.
func eachKept(c *cobra.Command, args []string, dryRun bool, plan func(context.Context, string, files.Reader) error, do func(context.Context, string, *files.Keeper) error,
	end func(name string) error,
) error {
	if dryRun {
		return eachPlace(c, args, func(ctx context.Context, name string, at files.Reader) error {
			return errors.Join(plan(ctx, name, at), end(name))
		})
	}
	with := func(ctx context.Context, name string, k *files.Keeper, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(do(ctx, name, k), k.Close(), end(name))
	}
	return eachNamed(c, args, func(ctx context.Context, dir string) error {
		if err := isKept(dir); err != nil {
			return err
		}
		k, err := files.OpenKeeper(ctx, dir, keeperOptions())
		return with(ctx, dir, k, err)
	}, func(ctx context.Context, cfg *Config, s *StreamConfig) error {
		if !s.Sink.Files.remote() {
			if err := isKept(cfg.path(s.Sink.Files.Dir)); err != nil {
				return err
			}
		}
		k, err := cfg.keeper(ctx, s)
		return with(ctx, s.Sink.Files.Dir, k, err)
	})
}

// isKept makes sure that a folder is one of a files sink before anything is written into it.
func isKept(dir string) error {
	return lookAt(dir, func(at files.Reader) error {
		names, err := at.List(context.Background(), ".cdc")
		if err == nil && len(names) == 0 {
			return fault.New(fault.UsageInvalid, "%s is no folder of a files sink: it has no .cdc", dir)
		}
		return err
	})
}

// keeper opens the Keeper of a stream's place.
func (c *Config) keeper(ctx context.Context, s *StreamConfig) (*files.Keeper, error) {
	if !s.Sink.Files.remote() {
		return files.OpenKeeper(ctx, c.path(s.Sink.Files.Dir), keeperOptions())
	}
	dir := c.spool(s) + "-upkeep"
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fault.New(fault.SinkWrite, "make the spool: %w", err)
	}
	spool, err := files.OpenLocal(dir, 0o640, 0o750)
	if errors.Is(err, files.ErrLocked) {
		return nil, fault.New(fault.SinkUpkeep, "the spool %s: %w", dir, err)
	}
	if err != nil {
		return nil, fault.New(fault.SinkWrite, "open the spool: %w", err)
	}
	at, err := c.filesRemote(ctx, s)
	if err != nil {
		return nil, errors.Join(err, spool.Close())
	}
	return files.OpenRemoteKeeper(ctx, at, spool, keeperOptions())
}

// sizeFlag is a size on the command line.
type sizeFlag settings.Size

func (s *sizeFlag) Set(text string) error { return (*settings.Size)(s).UnmarshalText([]byte(text)) }

func (s *sizeFlag) String() string { return settings.Size(*s).String() }

func (s *sizeFlag) Type() string { return "size" }
