package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/source/snapshot"
	"cdc/transform"
	"cdc/verify"
)

type verifyOptions struct {
	report       string
	tables       []string
	rows, rate   int
	wait, pause  time.Duration
	looks, limit int

	repair, apply, noLog, sums, continuous, asJSON, quiet bool
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify FILE.yaml [STREAM]",
		Short: "Compare the tables of a target with the source while both are written to, and repair them",
		Long: `Verify compares the tables of a stream whose sink is mysql: the servers make checksums of ranges of keys, the target when it has reached the place at
which the source was read. What differs is narrowed to rows, and each of them is looked at again and again as the target goes on, so that changes
under way are not taken for differences. The stream must run, or the source must be quiet.

Tables of which the stream filters, masks or computes something are compared row by row: the rows of the source go through the stream's own transforms first.
--sums leaves that out. Tables that come to one at the target are compared as one.

Each differing row is a line of JSON in the report. With --repair it also has the statements that put it right, which --apply carries out: in small
transactions that lock the rows, read the source anew and wait for the stream, so that neither undoes the other.

The exit code is 0 where everything is equal, 1 where rows differ, 2 where the command or the configuration is wrong, and 3 where it is not known: a table
could not be compared, the target did not catch up, a server did not answer. With --continuous it is 0 when it is interrupted; ` + "`cdc status`" + ` and the
metrics have the outcome of each sweep.`,
		Example: `  cdc verify pipeline.yaml
  cdc verify pipeline.yaml orders --tables 'shop.%' --tables '!shop.log'
  cdc verify pipeline.yaml --repair              # print the statements that would put it right
  cdc verify pipeline.yaml --repair --apply
  cdc verify pipeline.yaml --continuous --rate 5000`,
		Args: fileAnd(0, 1, "[STREAM]"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			if err := cfg.wantsServer("cdc verify"); err != nil {
				return err
			}
			stream := ""
			if len(args) > 1 {
				stream = args[1]
			}
			return verdict(o.run(c, cfg, stream))
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.tables, "tables", nil, "tables of the source, as a pattern database.table; a leading ! takes away; may be repeated (default: those of the stream)")
	f.StringVar(&o.report, "report", "", "file for the report (default: verify-STREAM.jsonl in the checkpoint folder)")
	f.BoolVar(&o.repair, "repair", false, "print the statements that put differing rows right")
	f.BoolVar(&o.apply, "apply", false, "with --repair: carry them out")
	f.BoolVar(&o.noLog, "no-binlog", false, "with --apply: keep the repair out of the target's binlog; its replicas then stay as they are")
	f.BoolVar(&o.sums, "sums", false, "compare by the servers' checksums alone: what the stream filters, masks or computes is left out")
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

// verdict gives the errors of a comparison the exit codes that scripts ask for: that rows differ is one thing, and that it is not known another.
func verdict(err error) error {
	f, ok := fault.As(err)
	switch {
	case err == nil, fault.Has(err, fault.VerifyDiffers), ok && f.Code < 2000:
		return err
	}
	return &exitError{code: exitUnknown, error: err}
}

func (o *verifyOptions) run(c *cobra.Command, cfg *Config, stream string) error {
	if (o.apply || o.noLog) && !o.repair {
		return fault.New(fault.UsageInvalid, "--apply and --no-binlog belong to --repair")
	}
	if o.rows < 1 || o.looks < 2 || o.limit < 1 || o.rate < 0 || o.wait < 0 || o.pause < 0 {
		return fault.New(fault.UsageInvalid, "--chunk and --limit must be at least 1, --looks at least 2, and the others not negative")
	}
	if o.continuous && o.rate == 0 {
		o.rate = 20_000
	}
	s, err := cfg.mysqlStream(stream)
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
		switch {
		case ctx.Err() != nil && o.continuous:
			return nil
		case ctx.Err() != nil:
			return fault.New(fault.VerifyPart, "interrupted before all tables were compared")
		case !o.continuous:
			return err
		}
		if f, ok := fault.As(err); err != nil && (!ok || f.Code < fault.VerifyDiffers && f.Class() != fault.Retry) {
			return err
		}
		if err != nil {
			fmt.Fprintln(c.ErrOrStderr(), err)
		}
		t := time.NewTimer(o.pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
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
		return nil, fault.New(fault.UsageInvalid, "several streams have a mysql sink").Hint("name one behind the file")
	case name != "":
		return nil, fault.New(fault.UsageInvalid, "there is no stream %q with a mysql sink", name)
	}
	return nil, fault.New(fault.UsageInvalid, "no stream has a mysql sink: only its tables can be compared")
}

// sweep compares all tables once.
func (o *verifyOptions) sweep(ctx context.Context, c *cobra.Command, cfg *Config, s *StreamConfig, number int) error {
	opt := verify.Options{
		Rows: o.rows, Rate: o.rate, Wait: o.wait, Looks: o.looks, Limit: o.limit, Repair: o.repair, Apply: o.apply, NoLog: o.noLog, Sums: o.sums,
		Source: verify.Side{Flavor: cfg.Source.flavor(), Open: opener(cfg.sourceSession(), session.SourceCodes())},
	}
	opt.Reader = func(t *schemas.Table) (verify.RowReader, error) { return snapshot.NewRows(t) }
	target := cfg.mysqlOptions(s)
	opt.Target.Open = opener(target.Config.Config, session.TargetCodes())
	p := &placeOf{cfg: cfg, stream: s}
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
	if err := p.open(ctx, opt.Target.Open); err != nil {
		return err
	}
	opt.Target.Flavor = p.sink.Target

	out, err := o.openReport(cfg, s)
	if err != nil {
		return err
	}
	defer out.Close()
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	tell := newVerifyProgress(c.ErrOrStderr(), o.quiet)
	notes := newVerifyNotes(cfg, s, o.tables, number)
	opt.Step = func(p *verify.Progress) {
		tell.step(p)
		notes.step(p)
	}
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
	if ctx.Err() == nil {
		notes.end(report, err, o.continuous)
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
	tables, err := verify.ReadTables(ctx, src, cfg.Source.flavor(), sel.MatchDatabase)
	if err != nil {
		return nil, nil, err
	}
	steps, err := transform.Open(s.Transforms, s.OnError)
	if err != nil {
		return nil, nil, err
	}
	ours := s.books()
	carried := func(n schemas.Name) bool { return sel.Match(n.Database, n.Table) && !slices.Contains(ours, n) }
	var out []verify.Pair
	chosen := map[schemas.Name]bool{} // of the target: of tables that come to one, all are compared or none
	for n, t := range tables.Known {
		if !carried(n) {
			continue
		}
		p, err := verify.Map(t, steps)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case p.Dropped:
			continue
		case only.Match(n.Database, n.Table):
			chosen[p.Target] = true
		case p.Skip != "":
			continue
		}
		out = append(out, p)
	}
	out = slices.DeleteFunc(out, func(p verify.Pair) bool { return p.Skip == "" && !chosen[p.Target] })
	for n, err := range tables.Strange {
		if carried(n) && only.Match(n.Database, n.Table) {
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
		if len(t.Others) > 0 {
			name += fmt.Sprintf(" and %d more", len(t.Others))
		}
		if t.Target != "" {
			name += " -> " + t.Target
		}
		if t.Skipped != "" {
			fmt.Fprintf(tw, "%s\tnot compared\t\t\t\t\t\t\t\n", name)
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, thousands(t.Rows), t.Chunks, t.Missing, t.Extra, t.Different, t.Unsettled+t.Clash, t.Fixed)
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
		if t.Filtered > 0 || t.Kept > 0 {
			fmt.Fprintf(w, "%s: the stream's filter drops %s rows of the source; %s rows that only the target has may come from before they were dropped, and are not compared\n",
				t.Table, thousands(t.Filtered), thousands(uint64(t.Kept)))
		}
		if t.Clash > 0 {
			fmt.Fprintf(w, "%s: %d keys are in several of the tables that come to %s\n", t.Table, t.Clash, t.Target)
		}
		if len(t.LeftOut) > 0 {
			fmt.Fprintf(w, "%s: columns left out: %s\n", t.Table, strings.Join(t.LeftOut, ", "))
		}
	}
	fmt.Fprintf(w, "report: %s\n", path)
}

// snapshotRuns reports that rows are still being copied.
func snapshotRuns(s *streamStatus) bool {
	return s.Snapshot != nil && s.Snapshot.State == event.SnapshotRunning.String()
}
