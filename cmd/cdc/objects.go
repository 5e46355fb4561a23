package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks/mysql"
	"cdc/source"
	"cdc/source/snapshot"
)

type objectsOptions struct {
	stream                         string
	refresh, cutOver, kept, asJSON bool
}

func objectsCommand() *cobra.Command {
	var o objectsOptions
	c := &cobra.Command{
		Use:   "objects FILE.yaml",
		Short: "Views, routines, events and triggers at the target of a stream: what became of them, and the cut-over to the target",
		Long: `Objects lists the views, routines, events and triggers that the snapshot of a stream whose sink is mysql has found at the source, and what became of each
at the target: made; there (the target had one of that name, which was left as it is); failed, with the reason; waits (a trigger, which would do
again what the source's did); gone (the source has it no more); acts (since the cut-over).

Statements that make, change or drop them are not carried by the stream. --refresh reads them at the source again, makes what the target lacks, and makes
anew what was made of an earlier definition.

--cut-over is for a target that takes the source's place: stop the writers, wait until the target has everything, stop cdc, then let the triggers and events
act. It refreshes first; with --kept it takes what was kept at the target, for a source that is gone. It is refused while cdc applies the stream.

The exit code is 1 where something could not be made.`,
		Example: `  cdc objects pipeline.yaml
  cdc objects pipeline.yaml --refresh
  cdc objects pipeline.yaml --cut-over
  cdc objects pipeline.yaml --cut-over --kept   # the source is gone`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			if err := cfg.wantsServer("cdc objects"); err != nil {
				return err
			}
			return o.run(c, cfg)
		},
	}
	f := c.Flags()
	f.StringVar(&o.stream, "stream", "", "which stream, where several have a mysql sink")
	f.BoolVar(&o.refresh, "refresh", false, "read the source again, and make what the target lacks")
	f.BoolVar(&o.cutOver, "cut-over", false, "refresh, then let triggers and events act at the target")
	f.BoolVar(&o.kept, "kept", false, "with --cut-over: do not ask the source")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

func (o *objectsOptions) run(c *cobra.Command, cfg *Config) error {
	if o.kept && !o.cutOver {
		return fault.New(fault.UsageInvalid, "--kept belongs to --cut-over")
	}
	s, err := cfg.mysqlStream(o.stream)
	if err != nil {
		return err
	}
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	to, err := cfg.mysqlApplying(s, false)
	if err != nil {
		return err
	}
	if to.Source, err = cfg.storedServer(ctx, s.Name); err != nil {
		return err
	}
	if (o.refresh || o.cutOver) && !o.kept {
		all, blind, err := cfg.sourceObjects(ctx, s, to.Groups())
		if err != nil {
			return err
		}
		for _, b := range blind {
			fmt.Fprintf(c.ErrOrStderr(), "the source's account does not see the %s; see `cdc check FILE --grants=source`\n", b)
		}
		if err := mysql.Refresh(ctx, to, all, len(blind) > 0, func(mysql.Object) {}); err != nil {
			return err
		}
	}
	if o.cutOver {
		if err := mysql.CutOver(ctx, to, func(mysql.Object) {}); err != nil {
			return err
		}
	}
	list, err := mysql.Kept(ctx, to)
	if err != nil {
		return err
	}
	if err := printObjects(c.OutOrStdout(), list, o.asJSON); err != nil {
		return err
	}
	var bad []string
	for i := range list {
		if list[i].State == mysql.ObjectFailed {
			bad = append(bad, list[i].String())
		}
	}
	if len(bad) > 0 {
		return fault.New(fault.TargetCreate, "not at the target: %s", strings.Join(bad, ", ")).Hint("see the reasons above; make them by hand, or `cdc objects FILE --refresh` when the reason is gone")
	}
	return nil
}

// storedServer gives the server that a stream was read from at last, as far as the checkpoint knows.
func (c *Config) storedServer(ctx context.Context, stream string) (event.Server, error) {
	none := event.Server{Flavor: c.Source.flavor()}
	dir := c.path(c.Checkpoint.Dir)
	if !folderExists(dir) {
		return none, nil
	}
	store, err := badger.Open(ctx, dir, badger.Options{ReadOnly: true})
	if err != nil {
		return none, err
	}
	defer store.Close()
	rec, err := store.Load(ctx, stream)
	if errors.Is(err, checkpoint.ErrNone) || err == nil && rec.Server.Address == "" {
		return none, nil
	}
	return rec.Server, err
}

// sourceObjects reads the objects of the source that a stream carries. Their texts name tables of the source, so one that a route gives another name, or the
// table of which it does, can be made by hand only, and says so.
func (c *Config) sourceObjects(ctx context.Context, s *StreamConfig, groups []string) (out []schemas.Object, blind []string, err error) {
	if len(groups) == 0 {
		return nil, nil, nil
	}
	sel, err := schemas.ParseSelector(c.Source.Tables)
	if err != nil {
		return nil, nil, err
	}
	conn, err := c.dialSource(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	all, err := snapshot.Objects(ctx, conn, c.Source.flavor(), sel, groups)
	if err != nil {
		return nil, nil, err
	}
	rename, err := c.renames(s, all.Fold)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range all.List {
		n := o.Name
		if o.Kind == schemas.Trigger {
			n = o.On
		}
		if all.Fold {
			n = schemas.Name{Database: strings.ToLower(n.Database), Table: strings.ToLower(n.Table)}
		}
		to, carried := rename(n)
		if !carried {
			continue
		}
		if to != n && o.Why == "" {
			o.Text, o.Why = "", fmt.Sprintf("a route gives %s the name %s, which its text does not have", n, to)
		}
		out = append(out, o)
	}
	return out, all.Blind, nil
}

// objectGroups lists what streams of the configuration want to make of the source's objects.
func (c *Config) objectGroups() (out []string) {
	for i := range c.Streams {
		s := &c.Streams[i]
		if !s.makesTables() {
			continue
		}
		for _, g := range s.Sink.MySQL.Groups() {
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// checkSight warns of what the source's account does not see of the objects that a stream is to make.
func checkSight(s *StreamConfig, facts *source.Facts) []fault.Finding {
	var databases []string
	for _, t := range facts.Tables {
		if !slices.Contains(databases, t.Database) {
			databases = append(databases, t.Database)
		}
	}
	var out fault.Findings
	if blind := snapshot.Blind(facts.Grants, facts.Server.Flavor, facts.Server.Number(), databases, s.Sink.MySQL.Groups()); blind != nil {
		out.Warn("source objects", "grant what `cdc check FILE --grants=source` prints; or name in sink.mysql.objects what shall be made",
			"the source's account does not see the %s: those are not made at the target", strings.Join(blind, "; the "))
	}
	return out
}

func printObjects(w io.Writer, list []mysql.Object, asJSON bool) error {
	type line struct {
		Kind   string `json:"kind"`
		Name   string `json:"name"`
		Table  string `json:"table,omitempty"`
		State  string `json:"state"`
		Reason string `json:"reason,omitempty"`
	}
	lines := []line{}
	for i := range list {
		o := &list[i]
		l := line{Kind: strings.ToLower(string(o.Kind)), Name: o.Name.String(), State: o.State, Reason: o.Reason}
		if o.On.Table != "" {
			l.Table = o.On.String()
		}
		lines = append(lines, l)
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "no snapshot of this stream has found any")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.State, l.Kind, l.Name, oneLine(l.Reason))
	}
	return t.Flush()
}
