package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/transform"
	"cdc/verify"
)

type verifyOptions struct {
	stream, report string
	tables         []string
	rows, rate     int
	wait, pause    time.Duration
	looks, limit   int

	repair, apply, noLog, continuous, asJSON, quiet bool
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify FILE.yaml",
		Short: "Compare the tables of a target with the source while both are written to, and repair them",
		Long: `Verify compares the tables of a stream whose sink is mysql: the servers make checksums of ranges of keys, the target when it has reached the place at
which the source was read. What differs is narrowed to rows, and each of them is looked at again and again as the target goes on, so that changes
under way are not taken for differences. The stream must run, or the source must be quiet.

Columns that transforms of the stream mask, drop or compute are left out and named, and so are tables of which a filter drops rows.

Each differing row is a line of JSON in the report. With --repair it also has the statements that put it right, which --apply carries out: in small
transactions that lock the rows, read the source anew and wait for the stream, so that neither undoes the other.

The exit code is 0 where everything is equal, 1 where rows differ, or a table could not be compared.`,
		Example: `  cdc verify pipeline.yaml
  cdc verify pipeline.yaml --tables 'shop.%' --tables '!shop.log'
  cdc verify pipeline.yaml --repair              # print the statements that would put it right
  cdc verify pipeline.yaml --repair --apply
  cdc verify pipeline.yaml --continuous --rate 5000`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			return o.run(c, cfg)
		},
	}
	f := c.Flags()
	f.StringVar(&o.stream, "stream", "", "which stream, where several have a mysql sink")
	f.StringArrayVar(&o.tables, "tables", nil, "tables of the source, as a pattern database.table; a leading ! takes away; may be repeated (default: those of the stream)")
	f.StringVar(&o.report, "report", "", "file for the report (default: verify-STREAM.jsonl in the checkpoint folder)")
	f.BoolVar(&o.repair, "repair", false, "print the statements that put differing rows right")
	f.BoolVar(&o.apply, "apply", false, "with --repair: carry them out")
	f.BoolVar(&o.noLog, "no-binlog", false, "with --apply: keep the repair out of the target's binlog; its replicas then stay as they are")
	f.BoolVar(&o.continuous, "continuous", false, "begin again when the end is reached, until interrupted")
	f.DurationVar(&o.pause, "pause", time.Minute, "with --continuous: pause between two sweeps")
	f.IntVar(&o.rate, "rate", 0, "rows per second at most (default: as fast as the servers answer; 20000 with --continuous)")
	f.IntVar(&o.rows, "chunk", 10_000, "rows of a range at most")
	f.IntVar(&o.looks, "looks", 5, "how often a difference must be seen unchanged to count")
	f.IntVar(&o.limit, "limit", 10_000, "differing rows of a table after which it is left")
	f.DurationVar(&o.wait, "wait", time.Minute, "how long the target may take to reach a place of the source")
	f.BoolVar(&o.asJSON, "json", false, "print the report as JSON")
	f.BoolVar(&o.quiet, "quiet", false, "show no progress")
	return c
}

func (o *verifyOptions) run(c *cobra.Command, cfg *Config) error {
	if (o.apply || o.noLog) && !o.repair {
		return fault.New(fault.UsageInvalid, "--apply and --no-binlog belong to --repair")
	}
	if o.rows < 1 || o.looks < 2 || o.limit < 1 || o.rate < 0 || o.wait < 0 || o.pause < 0 {
		return fault.New(fault.UsageInvalid, "--chunk and --limit must be at least 1, --looks at least 2, and the others not negative")
	}
	if o.continuous && o.rate == 0 {
		o.rate = 20_000
	}
	s, err := cfg.mysqlStream(o.stream)
	if err != nil {
		return err
	}
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for sweep := 1; ; sweep++ {
		err := o.sweep(ctx, c, cfg, s, sweep)
		if !o.continuous || ctx.Err() != nil {
			return err
		}
		if f, ok := fault.As(err); err != nil && (!ok || f.Code < fault.VerifyDiffers && f.Class() != fault.Retry) {
			return err
		}
		if err != nil {
			fmt.Fprintln(c.ErrOrStderr(), err)
		}
		select {
		case <-time.After(o.pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// mysqlStream finds the stream to compare.
func (c *Config) mysqlStream(name string) (*StreamConfig, error) {
	var found []*StreamConfig
	for i := range c.Streams {
		if s := &c.Streams[i]; s.Sink.MySQL != nil && (name == "" || s.Name == name) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fault.New(fault.UsageInvalid, "several streams have a mysql sink").Hint("choose one by --stream")
	case name != "":
		return nil, fault.New(fault.UsageInvalid, "there is no stream %q with a mysql sink", name)
	}
	return nil, fault.New(fault.UsageInvalid, "no stream has a mysql sink: only its tables can be compared")
}

// sweep compares all tables once.
func (o *verifyOptions) sweep(ctx context.Context, c *cobra.Command, cfg *Config, s *StreamConfig, number int) error {
	opt := verify.Options{
		Rows: o.rows, Rate: o.rate, Wait: o.wait, Looks: o.looks, Limit: o.limit, Repair: o.repair, Apply: o.apply, NoLog: o.noLog,
		Source: verify.Side{Flavor: cfg.Source.flavor(), Open: opener(cfg.sourceSession(), session.SourceCodes())},
	}
	target := cfg.mysqlOptions(s)
	opt.Target.Open = opener(target.Config.Config, session.TargetCodes())
	p := &placeOf{cfg: cfg, stream: s.Name, flavor: cfg.Source.flavor(), database: s.books()[0].Database}
	opt.Reached = p.reached

	src, err := opt.Source.Open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	pairs, estimates, err := o.pairs(ctx, cfg, s, src)
	if err != nil {
		return err
	}
	if opt.NoGTIDs, err = cfg.noGTIDs(ctx, src); err != nil {
		return err
	}
	if opt.Target.Flavor, err = p.open(ctx, opt.Target.Open); err != nil {
		return err
	}

	out, err := o.openReport(cfg, s)
	if err != nil {
		return err
	}
	defer out.Close()
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	tell := newVerifyProgress(c.ErrOrStderr(), o.quiet)
	opt.Step = tell.step
	opt.Changed = func(d *verify.Difference) error {
		tell.clear()
		if !o.asJSON {
			printDifference(c.OutOrStdout(), d)
		}
		if err := lines.Encode(d); err != nil {
			return fault.New(fault.VerifyReport, "%w", err)
		}
		return nil
	}
	began := time.Now()
	report, err := verify.Run(ctx, opt, pairs, estimates)
	tell.clear()
	sum := verifySummary{Stream: s.Name, Sweep: number, Began: began.UTC(), Report: report, Equal: err == nil && report.Fault() == nil}
	if werr := lines.Encode(&sum); werr != nil && err == nil {
		err = fault.New(fault.VerifyReport, "%w", werr)
	}
	if werr := out.Close(); werr != nil && err == nil {
		err = fault.New(fault.VerifyReport, "%w", werr)
	}
	if o.asJSON {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		_ = e.Encode(&sum)
	} else {
		printVerify(c.OutOrStdout(), report, out.Name())
	}
	if err == nil {
		err = report.Fault()
	}
	return err
}

// verifySummary is the last line of the report.
type verifySummary struct {
	Stream string         `json:"stream"`
	Sweep  int            `json:"sweep"`
	Began  time.Time      `json:"began"`
	Equal  bool           `json:"equal"`
	Report *verify.Report `json:"report"`
}

func (o *verifyOptions) openReport(cfg *Config, s *StreamConfig) (*os.File, error) {
	path := o.report
	if path == "" {
		path = filepath.Join(cfg.path(cfg.Checkpoint.Dir), "verify-"+s.Name+".jsonl")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // keys and values of rows are in it
	if err != nil {
		return nil, fault.New(fault.VerifyReport, "%w", err)
	}
	return f, nil
}

// opener gives what opens sessions; a query may take as long as it does.
func opener(c session.Config, codes session.Codes) func(context.Context) (verify.Conn, error) {
	return func(ctx context.Context) (verify.Conn, error) {
		s, err := session.Open(ctx, c.WithDefaults(), session.Options{Codes: codes})
		if err != nil {
			return nil, err
		}
		s.SetPatience(0)
		return s, nil
	}
}

// sourceSession is the login of the source.
func (c *Config) sourceSession() session.Config { return c.Source.server().Config }

// pairs are the stream's tables as the source has them, and what its transforms make of them.
func (o *verifyOptions) pairs(ctx context.Context, cfg *Config, s *StreamConfig, src verify.Conn) ([]verify.Pair, map[schemas.Name]uint64, error) {
	sel, err := schemas.ParseSelector(cfg.Source.Tables)
	if err != nil {
		return nil, nil, fault.New(fault.ConfigInvalid, "source.tables: %w", err)
	}
	only, err := schemas.ParseSelector(o.tables)
	if err != nil {
		return nil, nil, fault.New(fault.UsageInvalid, "--tables: %w", err)
	}
	tables, err := verify.ReadTables(ctx, src, cfg.Source.flavor(), func(db string) bool { return sel.MatchDatabase(db) && only.MatchDatabase(db) })
	if err != nil {
		return nil, nil, err
	}
	steps, err := transform.Open(s.Transforms, s.OnError)
	if err != nil {
		return nil, nil, err
	}
	ours := s.books()
	wanted := func(n schemas.Name) bool {
		return sel.Match(n.Database, n.Table) && only.Match(n.Database, n.Table) && !slices.Contains(ours, n)
	}
	var out []verify.Pair
	for n, t := range tables.Known {
		if !wanted(n) {
			continue
		}
		p, err := verify.Map(t, steps)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, p)
	}
	for n, err := range tables.Strange {
		if wanted(n) {
			out = append(out, verify.Pair{Source: &schemas.Table{Database: n.Database, Name: n.Table}, Skip: "the table of the source is not understood: " + err.Error()})
		}
	}
	if len(out) == 0 {
		return nil, nil, fault.New(fault.UsageInvalid, "the stream has no table to compare").
			Hint("compare --tables and source.tables with the tables of the source; the account sees only those that it may SELECT")
	}
	slices.SortFunc(out, func(a, b verify.Pair) int { return strings.Compare(a.Source.FullName(), b.Source.FullName()) })
	return out, tables.Rows, nil
}

func printDifference(w io.Writer, d *verify.Difference) {
	var key []string
	for _, v := range d.Key {
		key = append(key, v.Column+"="+v.Value)
	}
	if d.Digest != "" {
		key = append(key, fmt.Sprintf("%d copies of the row with digest %.16s", d.Copies, d.Digest))
	}
	table := d.Table
	if d.Target != "" {
		table += " -> " + d.Target
	}
	fmt.Fprintf(w, "%s %s (%s)", d.Kind, table, strings.Join(key, ", "))
	if len(d.Columns) > 0 {
		fmt.Fprintf(w, " in %s", strings.Join(d.Columns, ", "))
	}
	switch {
	case d.Fixed:
		fmt.Fprint(w, ": repaired")
	case d.Why != "":
		fmt.Fprintf(w, ": not repaired: %s", d.Why)
	}
	fmt.Fprintln(w)
	if !d.Fixed {
		for _, s := range d.Fix {
			fmt.Fprintf(w, "  %s;\n", s)
		}
	}
}

func printVerify(w io.Writer, r *verify.Report, path string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "table\trows\tranges\tmissing\textra\tdifferent\tunsettled\trepaired\t")
	for i := range r.Tables {
		t := &r.Tables[i]
		name := t.Table
		if t.Target != "" {
			name += " -> " + t.Target
		}
		if t.Skipped != "" {
			fmt.Fprintf(tw, "%s\tnot compared\t\t\t\t\t\t\t\n", name)
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, thousands(t.Rows), t.Chunks, t.Missing, t.Extra, t.Different, t.Unsettled, t.Fixed)
	}
	_ = tw.Flush()
	for i := range r.Tables {
		t := &r.Tables[i]
		if t.Skipped != "" {
			fmt.Fprintf(w, "%s was not compared: %s\n", t.Table, t.Skipped)
		}
		if t.Stopped != "" {
			fmt.Fprintf(w, "%s was compared in part: %s\n", t.Table, t.Stopped)
		}
		if len(t.LeftOut) > 0 {
			fmt.Fprintf(w, "%s: columns left out: %s\n", t.Table, strings.Join(t.LeftOut, ", "))
		}
	}
	fmt.Fprintf(w, "report: %s\n", path)
}

// verifyProgress is one line on a terminal.
type verifyProgress struct {
	w     io.Writer
	shown bool
	tty   bool
}

func newVerifyProgress(w io.Writer, quiet bool) *verifyProgress {
	return &verifyProgress{w: w, tty: !quiet && term.IsTerminal(int(os.Stderr.Fd()))}
}

func (p *verifyProgress) step(at *verify.Progress) {
	if !p.tty {
		return
	}
	took := time.Since(at.Since).Seconds()
	rate := float64(at.AllRows) / max(took, 0.001)
	left := "?"
	if at.AllEstimate > at.AllRows && rate > 0 {
		left = (time.Duration(math.Round(float64(at.AllEstimate-at.AllRows)/rate)) * time.Second).String()
	}
	state := ""
	if at.Waiting {
		state = ", waiting for the target"
	}
	fmt.Fprintf(p.w, "\r\x1b[K%d of %d tables, %s: %s rows, %s rows/s, about %s left, %d differ%s", at.Done, at.Tables, at.Table, thousands(at.AllRows),
		thousands(uint64(rate)), left, at.Differing, state)
	p.shown = true
}

func (p *verifyProgress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// snapshotRuns reports that rows are still being copied.
func snapshotRuns(s *streamStatus) bool {
	return s.Snapshot != nil && s.Snapshot.State == event.SnapshotRunning.String()
}
