package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/internal/settings"
	"cdc/schemas"
	"cdc/sinks/files"
)

func filesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "files",
		Short: "List, verify, merge and remove what a files sink has published",
		Long: `These commands are about the folder of a files sink, wherever it is: on this machine, in HDFS, or in S3. A pipeline may write there meanwhile. List and verify
change nothing and lock nothing.`,
	}
	c.AddCommand(filesList(), filesVerify(), filesCompact(), filesExpire(), filesMaterialize())
	return c
}

func filesList() *cobra.Command {
	var asJSON bool
	var tables []string
	c := &cobra.Command{
		Use:   "list FILE.yaml|DIR [STREAM]",
		Short: "List published files, with their rows and places in the binlog",
		Long: `List prints the files that were published, as the manifests tell them: number of the publication, when it was decided on (UTC), table, rows, bytes,
and where the first and the last transaction in the file begin in the binlog. The files themselves are not read.`,
		Example: "  cdc files list pipeline.yaml warehouse --tables 'shop.%'\n  cdc files list out --json",
		Args:    placeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var sel *schemas.Selector
			if len(tables) > 0 {
				var err error
				if sel, err = schemas.ParseSelector(tables); err != nil {
					return fault.New(fault.UsageInvalid, "--tables: %w", err)
				}
			}
			return eachPlace(c, args, func(ctx context.Context, name string, at files.Reader) error {
				return listFiles(ctx, c.OutOrStdout(), at, sel, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each file")
	c.Flags().StringSliceVar(&tables, "tables", nil, "files of these tables alone, in MySQL wild syntax, without statements")
	return c
}

func listFiles(ctx context.Context, out io.Writer, at files.Reader, sel *schemas.Selector, asJSON bool) error {
	w := &writeError{w: out}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(t, "PUBLICATION\tTIME\tTABLE\tROWS\tBYTES\tFIRST\tLAST\tPATH")
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	err := files.Manifests(ctx, at, func(p *files.Publication) error {
		for i := range p.Files {
			f := &p.Files[i]
			if sel != nil && !sel.Match(f.Database, f.Table) {
				continue
			}
			if asJSON {
				if err := e.Encode(f); err != nil {
					return err
				}
				continue
			}
			table := schemas.Name{Database: f.Database, Table: f.Table}.String()
			if f.Statements() {
				table = "-"
			}
			first, last := f.Places()
			fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", f.Publication, time.UnixMicro(f.Time).UTC().Format(time.DateTime), table, f.Rows, f.Bytes, first, last, f.Path)
		}
		return w.err
	})
	if err != nil {
		return err
	}
	if !asJSON {
		if err := t.Flush(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return w.err
}

func filesVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FILE.yaml|DIR [STREAM]",
		Short: "Compare published files with their manifests: presence, length, checksum",
		Long: `Verify reads every published file and compares length and CRC32C with what its manifest says, and looks for files that are in no manifest. It says all that
is not as it should be, and ends with CDC5014 where anything is not. Files that readers have moved away are missing to it.

Files that were merged, and files that were removed for their age, are counted and not missing. Files of a publication that is not finished, and those of a merge or removal that is not, are counted and not compared: a pipeline may be at work, or finishes it when it starts again.`,
		Example: "  cdc files verify pipeline.yaml\n  cdc files verify out --json",
		Args:    placeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return eachPlace(c, args, func(ctx context.Context, name string, at files.Reader) error {
				return verifyFiles(ctx, c.OutOrStdout(), name, at, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// inspection is what `cdc files verify --json` prints for each place.
type inspection struct {
	Place string `json:"place"`
	files.Totals
	Problems []problem `json:"problems"`
}

type problem struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

func verifyFiles(ctx context.Context, out io.Writer, name string, at files.Reader, asJSON bool) error {
	w := &writeError{w: out}
	r := inspection{Place: name, Problems: []problem{}}
	var err error
	r.Totals, err = files.Inspect(ctx, at, func(path, text string) {
		r.Problems = append(r.Problems, problem{path, text})
		if !asJSON {
			fmt.Fprintf(w, "%s: %s\n", path, text)
		}
	})
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	} else {
		fmt.Fprintf(w, "%s: %d publications, %d files, %d rows, %s", name, r.Publications, r.Files, r.Rows, settings.Size(r.Bytes))
		if r.Merged > 0 {
			fmt.Fprintf(w, "; %d were merged", r.Merged)
		}
		if r.Expired > 0 {
			fmt.Fprintf(w, "; %d have expired", r.Expired)
		}
		if r.Pending > 0 {
			fmt.Fprintf(w, "; %d more of a publication or an upkeep that is not finished", r.Pending)
		}
		fmt.Fprintln(w)
	}
	if n := len(r.Problems); n > 0 {
		return errors.Join(w.err, fault.New(fault.SinkAltered, "%s: %d things are not as they were published", name, n))
	}
	return w.err
}

func placeArgs(c *cobra.Command, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fault.New(fault.UsageInvalid, "want a configuration file and maybe a stream, or a folder; found %d arguments", len(args)).
			Hint("%s; see `%s --help`", c.UseLine(), c.CommandPath())
	}
	return nil
}

// eachPlace calls do for the places that the arguments name.
func eachPlace(c *cobra.Command, args []string, do func(ctx context.Context, name string, at files.Reader) error) error {
	return eachNamed(c, args, func(ctx context.Context, dir string) error {
		return lookAt(dir, func(at files.Reader) error { return do(ctx, dir, at) })
	}, func(ctx context.Context, cfg *Config, s *StreamConfig) error {
		look := func(at files.Reader) error { return do(ctx, s.Sink.Files.Dir, at) }
		if !s.Sink.Files.remote() {
			return lookAt(cfg.path(s.Sink.Files.Dir), look)
		}
		at, err := cfg.filesRemote(ctx, s)
		if err != nil {
			return err
		}
		err = look(at)
		return errors.Join(err, at.Close())
	})
}

// eachNamed calls one of two for what the arguments name: a folder, or the streams of a configuration with a files sink, one or all. All are called, whatever is wrong
// with the first.
func eachNamed(c *cobra.Command, args []string, folder func(ctx context.Context, dir string) error, stream func(context.Context, *Config, *StreamConfig) error) error {
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
		if len(args) > 1 {
			return fault.New(fault.UsageInvalid, "%s is a folder, and has no streams", args[0])
		}
		return folder(ctx, args[0])
	}
	cfg, err := loadConfig(args[0])
	if err != nil {
		return err
	}
	if err := cfg.hasStream(args); err != nil {
		return err
	}
	some := false
	var failed error
	for i := range cfg.Streams {
		s := &cfg.Streams[i]
		if s.Sink.Files == nil || len(args) > 1 && s.Name != args[1] {
			continue
		}
		some = true
		if failed = errors.Join(failed, stream(ctx, cfg, s)); ctx.Err() != nil {
			return failed
		}
	}
	if !some {
		return fault.New(fault.UsageInvalid, "%s writes no files", args[0])
	}
	return failed
}

func lookAt(dir string, do func(files.Reader) error) error {
	if _, err := os.Stat(dir); err != nil {
		return fault.New(fault.UsageInvalid, "there is no folder %s", dir)
	}
	at, err := files.OpenReader(dir)
	if err != nil {
		return fault.New(fault.UsageInvalid, "%s: %w", dir, err)
	}
	defer at.Close()
	return do(at)
}
