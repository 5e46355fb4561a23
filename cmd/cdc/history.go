package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"cdc/event"
	"cdc/fault"
	"cdc/recovery/history"
	"cdc/schemas"
	"cdc/transform"
)

func historyCommand() *cobra.Command {
	var o historyOptions
	c := &cobra.Command{
		Use:   "history DATABASE.TABLE BINLOG... | mysql://USER@HOST/ | mariadb://USER@HOST/",
		Short: "Show each version of a row: what changed, when, and by which transaction",
		Long: `History reads binlog files, or the binlog of a server, and shows each change of the chosen rows of one table, with the statements that altered the
table in between. A row is chosen by --key: the values of its primary key in their order, or COLUMN=VALUE of any column; by --where: an expression
over before and after, as of a filter; or by both. All times are UTC.`,
		Example: `  cdc history shop.orders --key 42 binlog.000041 binlog.000042
  cdc history shop.lines --key order_id=42 --key line=3 binlog.000041 --schema-dump schema.sql
  cdc history shop.orders --where 'op == "update" && before.state == "paid" && after.state == "new"' mysql://cdc@db1/ --from 2024-05-01T14:00:00Z --json`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	o.flags(c)
	f.Lookup("tables").Hidden = true // the table is an argument
	f.StringArrayVar(&o.key, "key", nil, "value of the primary key, or COLUMN=VALUE; given once for each column")
	f.StringVar(&o.where, "where", "", "an expression that is true for the changes to show")
	f.BoolVar(&o.all, "all", false, "show all columns of updates, not only those that changed")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON line for each version")
	return c
}

type historyOptions struct {
	stretch
	key         []string
	where       string
	all, asJSON bool
}

func (o *historyOptions) run(c *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		return fault.New(fault.UsageInvalid, "want a table, and binlog files or a server's URL").Hint("cdc history DATABASE.TABLE --key VALUE BINLOG...")
	}
	db, table, ok := strings.Cut(args[0], ".")
	if !ok || db == "" || table == "" {
		return fault.New(fault.UsageInvalid, "%q is not DATABASE.TABLE", args[0])
	}
	opt := history.Options{Table: schemas.Name{Database: db, Table: table}}
	for _, k := range o.key {
		column, value, named := strings.Cut(k, "=")
		if !named {
			column, value = "", k
		}
		opt.Key = append(opt.Key, history.KeyValue{Column: column, Value: value})
	}
	if o.where != "" {
		cond, err := transform.ParseCondition(o.where)
		if err != nil {
			return fault.New(fault.UsageInvalid, "--where: %s", err.Error())
		}
		opt.Where = cond
	}
	if len(opt.Key) == 0 && opt.Where == nil {
		return fault.New(fault.UsageInvalid, "want --key or --where: `cdc tail` shows all changes")
	}
	o.tables = []string{literal(db) + "." + literal(table)}
	sel, err := o.selector()
	if err != nil {
		return err
	}
	src, _, clean, err := o.open(ctx, args[1:], sel, true, slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer clean()
	w := bufio.NewWriter(c.OutOrStdout())
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	found := false
	err = history.Read(ctx, src, opt, func(v *history.Version) error {
		found = found || v.Op != "ddl"
		if o.asJSON {
			return e.Encode(v)
		}
		o.print(w, v)
		return nil
	})
	if ferr := w.Flush(); err == nil && ferr != nil {
		err = fmt.Errorf("write: %w", ferr)
	}
	if err == nil && !found && !o.asJSON {
		fmt.Fprintln(c.ErrOrStderr(), "no change of such a row was found")
	}
	return err
}

func (o *historyOptions) print(w io.Writer, v *history.Version) {
	fmt.Fprintf(w, "%s  %s", v.Commit.Format("2006-01-02 15:04:05.000000"), v.Op)
	if v.GTID != "" {
		fmt.Fprintf(w, "  %s", v.GTID)
	}
	fmt.Fprintf(w, "  %s:%d  server %d", v.File, v.Offset, v.Server)
	if v.Thread != 0 {
		fmt.Fprintf(w, "  thread %d", v.Thread)
	}
	fmt.Fprintln(w)
	if v.Query != "" {
		fmt.Fprintf(w, "    %s\n", printable(v.Query))
	}
	for _, x := range v.Values {
		switch {
		case x.Absent == "both" || x.Absent != "" && v.Op != event.Update.String():
			continue
		case v.Op == event.Insert.String():
			fmt.Fprintf(w, "    %s = %s\n", x.Column, history.Shown(x.After))
		case v.Op != event.Update.String():
			fmt.Fprintf(w, "    %s was %s\n", x.Column, history.Shown(x.Before))
		case x.Partial:
			fmt.Fprintf(w, "    %s: %s -> %s (partial)\n", x.Column, shownOr(x, x.Before, "before"), *x.After)
		case x.Changed:
			fmt.Fprintf(w, "    %s: %s -> %s\n", x.Column, shownOr(x, x.Before, "before"), shownOr(x, x.After, "after"))
		case o.all:
			fmt.Fprintf(w, "    %s = %s\n", x.Column, history.Shown(x.Before))
		}
	}
}

// shownOr shows a value, or that the image does not hold it.
func shownOr(x history.Value, s *string, image string) string {
	if x.Absent == image {
		return "(not logged)"
	}
	return history.Shown(s)
}

// printable makes a statement fit for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}

// literal is a pattern that fits a name and no other.
func literal(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if strings.IndexByte(`\%_.!`, name[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
