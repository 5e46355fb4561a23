package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/format/parquet"
	"cdc/internal/settings"
	"cdc/recovery/materialize"
	"cdc/schemas"
	"cdc/sinks/files"
	"cdc/transform"
)

func filesMaterialize() *cobra.Command {
	o := materializeOptions{keep: 2, bucket: "32MiB"}
	c := &cobra.Command{
		Use:   "materialize FILE.yaml|DIR [STREAM] --into DIR",
		Short: "Merge published changes into the current rows of each table, as Parquet files",
		Long: `Materialize reads the changes that a files sink has published as Parquet and makes the current rows of each table of them: one row for each key, as SELECT
gives them at the source behind the last merged transaction. Each further run merges what was published since, and writes only the files in which a row has
changed. A pipeline may write meanwhile.

Readers take DIR/current/DATABASE/TABLE/*.parquet. A run makes a new version beside the one that is there and then switches the link "current", so they see
all tables as of one place in the stream, before or after. A run that is killed leaves them what they had; the next one begins anew.

Rows that the files do not hold are not made up: a table without a key, without its beginning, or changed by a statement in a way that cannot be derived
ends the run with a reason, and the version that is there stays.`,
		Example: `  cdc files materialize pipeline.yaml --into current-rows
  cdc files materialize out --into rows --tables 'shop.%' --dry-run
  duckdb -c "SELECT count(*) FROM 'rows/current/shop/orders/*.parquet'"`,
		Args: placeArgs,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVar(&o.into, "into", "", "folder of this machine for the current rows, which is made if it is missing")
	f.StringSliceVar(&o.tables, "tables", nil, "these tables alone, in MySQL wild syntax; each run must have the same")
	f.IntVar(&o.keep, "keep", o.keep, "how many versions stay, for readers that are at work")
	f.StringVar(&o.bucket, "bucket", o.bucket, "bytes of rows in a file, before they are compressed; a run needs up to five times as much memory")
	f.BoolVar(&o.fromEmpty, "from-empty", false, "take tables whose beginning is not in the files to have been empty before")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be merged, and write nothing")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return c
}

type materializeOptions struct {
	into, bucket            string
	tables                  []string
	keep                    int
	fromEmpty, dryRun, json bool
}

// least and most are how large the rows in a file may be.
const (
	leastBucket settings.Size = 4 << 10
	mostBucket  settings.Size = 1 << 30
)

func (o *materializeOptions) run(c *cobra.Command, args []string) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.UsageInvalid, format, args...).Hint("see `%s --help`", c.CommandPath())
	}
	if o.into == "" {
		return bad("--into is missing: where shall the rows be?")
	}
	var bucket settings.Size
	if err := bucket.UnmarshalText([]byte(o.bucket)); err != nil || bucket < leastBucket || bucket > mostBucket {
		return bad("--bucket %s is not between %s and %s", o.bucket, leastBucket, mostBucket)
	}
	if o.keep < 1 {
		return bad("--keep %d: readers need at least one version", o.keep)
	}
	wanted := func(schemas.Name) bool { return true }
	if len(o.tables) > 0 {
		sel, err := schemas.ParseSelector(o.tables)
		if err != nil {
			return bad("--tables: %w", err)
		}
		wanted = func(n schemas.Name) bool { return sel.Match(n.Database, n.Table) }
	}
	// Of several places, all are counted before one is read.
	places := 0
	var into func(schemas.Name) bool
	count := func(context.Context, string) error { places++; return nil }
	err := eachNamed(c, args, count, func(_ context.Context, _ *Config, s *StreamConfig) error {
		places++
		into = routedTo(s.Transforms)
		return nil
	})
	if err != nil {
		return err
	}
	if places > 1 {
		return bad("%s has %d streams that write files: name one", args[0], places)
	}
	return eachPlace(c, args, func(ctx context.Context, name string, at files.Reader) error {
		in, err := changelog(ctx, name, at)
		if err != nil {
			return err
		}
		in.Into = into
		began := time.Now()
		shown := began
		opener := &changeFiles{at: at, into: o.into, sums: in.sums, checked: map[string]bool{}}
		report, err := materialize.Run(ctx, &in.Input, materialize.Options{
			Into: o.into, Format: parquetRows(), Open: opener.open, Wanted: wanted, Choice: strings.Join(o.tables, ","), Folder: tableFolder,
			Keep: o.keep, Bucket: int64(bucket), FromEmpty: o.fromEmpty, DryRun: o.dryRun,
			Progress: func(p materialize.Progress) {
				if time.Since(shown) > 5*time.Second {
					shown = time.Now()
					fmt.Fprintf(c.ErrOrStderr(), "%d of %d files, %d of %d changes\n", p.Files, p.OfFiles, p.Rows, p.OfRows)
				}
			},
		})
		if err != nil {
			return err
		}
		return o.show(c.OutOrStdout(), report, time.Since(began))
	})
}

var inBraces = regexp.MustCompile(`\\\{[^}]*\\\}`)

// routedTo gives what reports that a route of a stream can give a table this name; nil where there is none.
func routedTo(steps []transform.Config) func(schemas.Name) bool {
	var to []*regexp.Regexp
	for i := range steps {
		if r := steps[i].Route; r != nil && r.To != "" {
			to = append(to, regexp.MustCompile("^(?i:"+inBraces.ReplaceAllString(regexp.QuoteMeta(r.To), ".*")+")$"))
		}
	}
	if to == nil {
		return nil
	}
	return func(n schemas.Name) bool {
		return slices.ContainsFunc(to, func(r *regexp.Regexp) bool { return r.MatchString(n.String()) })
	}
}

// tableFolder is where the files of a table lie in a version.
func tableFolder(n schemas.Name) string {
	return path.Join(files.EncodeName(n.Database, 200), files.EncodeName(n.Table, 200))
}

func parquetRows() materialize.Format {
	return materialize.Format{
		Extension: ".parquet",
		Open: func(r io.ReaderAt, size int64) (materialize.Reader, error) {
			p, err := parquet.NewReader(r, size)
			if err != nil { // and no nil of a concrete type
				return nil, err
			}
			return p, nil
		},
		Create: func(w io.Writer, t *schemas.Table) (materialize.Writer, error) {
			p, err := parquet.NewWriter(parquet.Options{}, w, t)
			if err != nil {
				return nil, err
			}
			return p, nil
		},
		Convert: parquet.Convert,
		Filled:  parquet.Filled,
	}
}

func (o *materializeOptions) show(out io.Writer, r *materialize.Report, took time.Duration) error {
	w := &writeError{w: out}
	if o.json {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return w.err
	}
	if !r.New {
		fmt.Fprintf(w, "%s: nothing was published behind publication %d\n", o.into, r.Publication)
		return w.err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TABLE\tCHANGES\tROWS\tFILES\tWRITTEN")
	for _, m := range r.Tables {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", m.Table, m.Changes, m.Rows, m.Files, m.Written)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if o.dryRun {
		fmt.Fprintf(w, "%d changes in %d files up to publication %d would be merged; rows and files are those of now\n", r.Changes, r.Files, r.Publication)
		return w.err
	}
	fmt.Fprintf(w, "%s: version %d, up to publication %d: %d changes in %d files merged in %s\n", o.into, r.Version, r.Publication, r.Changes, r.Files, took.Round(time.Millisecond))
	if r.GTIDs != "" {
		fmt.Fprintf(w, "gtids: %s\n", r.GTIDs)
	}
	return w.err
}
