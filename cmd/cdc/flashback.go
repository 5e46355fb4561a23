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
	"cdc/gtid"
	"cdc/recovery/flashback"
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

Choose narrowly: by time or place (--from, --until), tables, GTIDs, connection, operation, changed column, or an expression over the rows. ` + "`cdc analyze`" + `
finds out which. Statements on the tables in that range stop it, for their rows cannot be put back by the old columns (CDC9101).`,
		Example: `  cdc flashback binlog.000041 --gtids 3e11fa47-71ca-11e1-9e33-c80aa9429562:1077 --output undo.sql
  cdc flashback binlog.000041 --tables shop.orders --op delete --from '2024-05-01 14:02' --until '2024-05-01 14:04' --output undo.sql
  cdc flashback binlog.000041 --tables shop.orders --changed price --where 'after.price == 0' --output undo.sql
  mysql shop < undo.sql`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	o.common(c)
	f.StringVar(&o.gtids, "gtids", "", "undo only these transactions: a GTID set of MySQL, GTIDs of MariaDB with commas between them")
	f.StringVar(&o.exclude, "exclude-gtids", "", "do not undo these transactions, written in the same way")
	f.Uint32Var(&o.filter.Thread, "thread", 0, "undo only what this connection did")
	f.Uint32Var(&o.filter.Server, "server-id", 0, "undo only what began on this server")
	f.StringSliceVar(&o.ops, "op", nil, "undo only these operations: insert, update, delete")
	f.StringSliceVar(&o.filter.Columns, "changed", nil, "of updates, undo only those that changed one of these columns")
	f.StringVar(&o.filter.Query, "query", "", "undo only what was done by statements that contain this text, where the server logs them")
	f.StringVar(&o.where, "where", "", "undo only changes for which this expression over before and after is true")
	f.BoolVar(&o.noGuard, "no-guard", false, "put rows back by their key, whatever became of them since")
	f.BoolVar(&o.acrossDDL, "across-ddl", false, "go on over statements on the tables")
	f.StringVar(&o.output, "output", "", "file for the script, which must not exist (default: stdout)")
	f.StringVar(&o.temp, "temp", "", "folder for a temporary file as large as the script (default: that of the system)")
	return c
}

type flashbackOptions struct {
	readOptions
	gtids, exclude, where, output, temp string
	ops                                 []string
	noGuard, acrossDDL                  bool
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
	u, err := flashback.Collect(ctx, src, flashback.Options{Filter: o.filter, Flavor: flavor, Temp: o.temp, NoGuard: o.noGuard, AcrossDDL: o.acrossDDL})
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
	return o.filter.Check()
}

func (o *flashbackOptions) write(stdout io.Writer, u *flashback.Undo, about []string) error {
	if o.output == "" {
		return u.SQL(stdout, about...)
	}
	f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // rows are in it
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.UsageInvalid, "--output: %w", err).Hint("choose another file, or remove it")
	}
	if err != nil {
		return fault.New(fault.UsageInvalid, "--output: %w", err)
	}
	if err := u.SQL(f, about...); err != nil {
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
