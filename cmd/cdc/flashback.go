package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/format/plain"
	"cdc/gtid"
	"cdc/recovery/flashback"
	"cdc/session"
	"cdc/transform"
)

func flashbackCommand() *cobra.Command {
	var o flashbackOptions
	c := &cobra.Command{
		Use:   "flashback BINLOG... | mysql://USER@HOST/ | mariadb://USER@HOST/",
		Short: "Undo chosen transactions or rows: the statements that put back what was there before",
		Long: `Flashback reads binlog files, or the binlog of a server, and writes an SQL script that undoes the chosen changes: the last one first, inserts taken
away, deleted rows put back, updates turned round. Only the columns that a change wrote are put back, and only where they still hold what it wrote:
what others have changed since stays. It needs no server, and no more memory for large transactions.

With --apply the statements are carried out at a server, in one transaction, each checked to find its row: first as a trial, which is rolled back, and
with --yes for good. A row that was changed since stops it, or is left as it is with --on-conflict.

Choose narrowly: by time or place (--from, --until), tables, GTIDs, connection, operation, changed column, or an expression over the rows. ` + "`cdc analyze`" + `
finds out which. Statements on the tables in that range stop it, for their rows cannot be put back by the old columns (CDC9101).`,
		Example: `  cdc flashback binlog.000041 --gtids 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077 --output undo.sql
  cdc flashback binlog.000041 --tables shop.orders --op delete --from '2024-05-01 14:02' --until '2024-05-01 14:04' --output undo.sql
  cdc flashback binlog.000041 --tables shop.orders --op update --changed price --where 'after.price == 0' --output undo.sql
  cdc flashback binlog.000041 --tables shop.orders --op delete --events   # for consumers of changes
  mysql shop < undo.sql
  cdc flashback binlog.000041 --gtids 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077 --apply mysql://root@db1/           # a trial
  cdc flashback binlog.000041 --gtids 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077 --apply mysql://root@db1/ --yes`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	o.flags(c)
	f.StringVar(&o.gtids, "gtids", "", "undo only these transactions: a GTID set of MySQL, GTIDs of MariaDB with commas between them")
	f.StringVar(&o.exclude, "exclude-gtids", "", "do not undo these transactions, written in the same way")
	f.Uint32Var(&o.filter.Thread, "thread", 0, "undo only what this connection did")
	f.Uint32Var(&o.filter.Server, "server-id", 0, "undo only what began on this server")
	f.StringSliceVar(&o.ops, "op", nil, "undo only these operations: insert, update, delete")
	f.StringSliceVar(&o.filter.Columns, "changed", nil, "of updates, undo only those that changed one of these columns")
	f.StringVar(&o.filter.Query, "query", "", "undo only what was done by statements that contain this text, where the server logs them")
	f.StringVar(&o.where, "where", "", "undo only changes for which this expression over before and after is true")
	f.BoolVar(&o.noGuard, "no-guard", false, "put rows back by their key, whatever became of them since")
	f.BoolVar(&o.noKeys, "no-foreign-key-checks", false, "put rows back without a check of foreign keys, as rows need that had no parent")
	f.BoolVar(&o.acrossDDL, "across-ddl", false, "go on over statements on the tables")
	f.BoolVar(&o.net, "net", false, "one statement for each row, whatever was done to it: what it was before the first of the chosen changes")
	f.BoolVar(&o.events, "events", false, "write the reversed changes as JSON lines, the last one first, in the place of SQL")
	f.StringVar(&o.output, "output", "", "file for the script, or the changes, which must not exist (default: stdout)")
	f.StringVar(&o.apply, "apply", "", "carry the statements out at this server, mysql://USER@HOST/ or mariadb://USER@HOST/, as a trial unless there is --yes")
	f.BoolVar(&o.yes, "yes", false, "with --apply: for good")
	f.StringVar(&o.conflict, "on-conflict", "stop", "with --apply, for a row that is not as the change left it: stop, skip or report, which skips and prints it")
	f.Int64Var(&o.every, "commit-every", 0, "with --apply --yes: commit after so many rows, at the end of a transaction (default: one transaction)")
	f.BoolVar(&o.triggers, "triggers", false, "with --apply: go on where tables have triggers")
	f.StringVar(&o.temp, "temp", "", "folder for a temporary file as large as the script (default: that of the system)")
	return c
}

type flashbackOptions struct {
	stretch
	gtids, exclude, where, output, temp string
	apply, conflict                     string
	ops                                 []string
	yes, triggers, events, net          bool
	every                               int64
	noGuard, noKeys, acrossDDL          bool
	filter                              flashback.Filter
}

func (o *flashbackOptions) run(c *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	sel, err := o.selector()
	if err != nil {
		return err
	}
	if err := o.choose(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	src, flavor, clean, err := o.open(ctx, args, sel, false, log)
	if err != nil {
		return err
	}
	defer clean()
	if o.filter.GTIDs, err = parseGTIDs("--gtids", flavor, o.gtids); err != nil {
		return err
	}
	if o.filter.Exclude, err = parseGTIDs("--exclude-gtids", flavor, o.exclude); err != nil {
		return err
	}
	opt := flashback.Options{Filter: o.filter, Flavor: flavor, Temp: o.temp, NoGuard: o.noGuard, NoForeignKeys: o.noKeys, AcrossDDL: o.acrossDDL, Net: o.net}
	if o.events {
		opt.Events = plain.New(plain.Options{})
	}
	u, err := flashback.Collect(ctx, src, opt)
	if err != nil {
		return err
	}
	defer u.Close()
	for _, l := range u.Listed() {
		fmt.Fprintln(c.ErrOrStderr(), "not undone:", l)
	}
	if u.Rows() == 0 {
		return fault.New(fault.RecoveryEmpty, "no change was chosen")
	}
	about := []string{"read from " + strings.Join(args, " ")}
	if f := o.filter.String(); f != "" {
		about = append(about, "chosen: "+f)
	}
	if o.noGuard {
		about = append(about, "rows are put back whatever became of them since")
	}
	if o.apply != "" {
		return o.carryOut(ctx, c, u)
	}
	if err := o.write(c.OutOrStdout(), u, about); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s transactions: %s inserts, %s updates and %s deletes to undo\n", thousands(uint64(u.Txns)), thousands(uint64(u.Inserts)), thousands(uint64(u.Updates)), thousands(uint64(u.Deletes)))
	return nil
}

// choose reads what chooses changes, as far as the flavor does not matter.
func (o *flashbackOptions) choose() error {
	for _, text := range o.ops {
		op, err := operation(text)
		if err != nil {
			return err
		}
		o.filter.Ops = append(o.filter.Ops, op)
	}
	if o.where != "" {
		cond, err := transform.ParseCondition(o.where)
		if err != nil {
			return fault.New(fault.UsageInvalid, "--where: %s", err.Error())
		}
		o.filter.Where = cond
	}
	switch {
	case o.conflict != "stop" && o.conflict != "skip" && o.conflict != "report":
		return fault.New(fault.UsageInvalid, "--on-conflict: %q is none of stop, skip, report", o.conflict)
	case o.apply == "" && (o.yes || o.every != 0 || o.triggers || o.conflict != "stop"):
		return fault.New(fault.UsageInvalid, "--yes, --on-conflict, --commit-every and --triggers go with --apply")
	case o.every < 0 || o.every > 0 && !o.yes:
		return fault.New(fault.UsageInvalid, "--commit-every wants a number of rows, and --yes")
	case o.events && (o.apply != "" || o.noGuard || o.noKeys || o.net):
		return fault.New(fault.UsageInvalid, "--events writes changes and no statements: it goes without --apply, --net, --no-guard and --no-foreign-key-checks")
	case o.apply != "" && o.output != "":
		return fault.New(fault.UsageInvalid, "want --output or --apply, not both")
	}
	return o.filter.Check()
}

// carryOut runs the statements at a server.
func (o *flashbackOptions) carryOut(ctx context.Context, c *cobra.Command, u *flashback.Undo) error {
	cfg, _, err := parseURL(o.apply)
	if err != nil {
		return err
	}
	cfg.Password = o.password()
	conn, err := session.Open(ctx, cfg.Config, session.Options{Codes: session.TargetCodes(), FoundRows: true, MultiStatements: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetPatience(0)
	opt := flashback.ApplyOptions{Commit: o.yes, CommitEvery: o.every, Triggers: o.triggers}
	if o.conflict != "stop" {
		opt.OnConflict = flashback.Skip
	}
	if o.conflict == "report" {
		opt.Conflict = func(txn, text, why string) {
			fmt.Fprintf(c.OutOrStdout(), "-- left as it is: %s: %s\n%s;\n", txn, why, text)
		}
	}
	done, err := u.Apply(ctx, conn, opt)
	what := "a trial, rolled back"
	switch {
	case err != nil && done.Commits > 0:
		what = fmt.Sprintf("committed %d times before it failed", done.Commits)
	case err != nil:
		what = "nothing was changed"
	case o.yes:
		what = "committed"
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s transactions, %s rows put back, %s left as they are: %s\n", thousands(uint64(done.Txns)), thousands(uint64(done.Rows)), thousands(uint64(done.Conflicts)), what)
	return err
}

func (o *flashbackOptions) write(stdout io.Writer, u *flashback.Undo, about []string) error {
	put := func(w io.Writer) error {
		if o.events {
			return u.Events(w)
		}
		return u.SQL(w, about...)
	}
	if o.output == "" {
		return put(stdout)
	}
	f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // rows are in it
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.UsageInvalid, "--output: %w", err).Hint("choose another file, or remove it")
	}
	if err != nil {
		return fault.New(fault.UsageInvalid, "--output: %w", err)
	}
	if err := put(f); err != nil {
		_ = f.Close()
		_ = os.Remove(o.output) // half of it must not be run
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", o.output, err)
	}
	return nil
}

// parseGTIDs reads a list of transactions. A position of MariaDB stands for all that came before it, so there each GTID is meant alone.
func parseGTIDs(flag string, flavor gtid.Flavor, text string) (*flashback.GTIDs, error) {
	if text == "" {
		return nil, nil
	}
	g, err := flashback.ParseGTIDs(flavor, text)
	if err != nil {
		return nil, fault.New(fault.UsageInvalid, "%s: %w", flag, err)
	}
	return g, nil
}
