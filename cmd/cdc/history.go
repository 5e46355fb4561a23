package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"cdc/checkpoint/spool"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/recovery/history"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
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
	o.window(c)
	f.StringArrayVar(&o.key, "key", nil, "value of the primary key, or COLUMN=VALUE; given once for each column")
	f.StringVar(&o.where, "where", "", "an expression that is true for the changes to show")
	f.BoolVar(&o.all, "all", false, "show all columns of updates, not only those that changed")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON line for each version")
	return c
}

type historyOptions struct {
	readOptions
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

// window are the flags of what is read, without those that choose tables.
func (o *readOptions) window(c *cobra.Command) {
	o.common(c)
	c.Flags().Lookup("tables").Hidden = true
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

// open opens files or a server. unnamed takes tables of files whose columns nothing names. clean closes what was opened and takes away what was spooled.
func (o *readOptions) open(ctx context.Context, args []string, sel *schemas.Selector, unnamed bool, log *slog.Logger) (src source.Source, flavor gtid.Flavor, clean func(), err error) {
	live, err := o.isServer(args)
	if err != nil {
		return nil, 0, nil, err
	}
	if live {
		src, flavor, err = o.server(ctx, args[0], sel, log)
		if err != nil {
			return nil, flavor, nil, err
		}
		return src, flavor, func() { _ = src.Close() }, nil
	}
	flavor, version, err := files.Inspect(args[0])
	if err != nil {
		return nil, flavor, nil, err
	}
	from, to, err := o.bounds(flavor)
	if err != nil {
		return nil, flavor, nil, err
	}
	catalog := schemas.NewCatalog(flavor, version)
	if o.dump != "" {
		if err := loadDump(catalog, o.dump, flavor, version); err != nil {
			return nil, flavor, nil, err
		}
	}
	dir, err := os.MkdirTemp("", "cdc-xa-") // rows of prepared transactions, which only this run needs
	if err != nil {
		return nil, flavor, nil, fault.New(fault.RecoverySpace, "make a temporary folder: %w", err)
	}
	rows, err := spool.Open(dir, nil)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, flavor, nil, err
	}
	limitHeap(defaultMemory)
	opened, err := files.Open(files.Config{
		Paths: args, Pool: &event.Pool{}, Start: from, Stop: to, AllowUnnamed: unnamed,
		Binlog: binlog.Config{Flavor: flavor, Select: sel.Match, SelectDatabase: sel.MatchDatabase, Catalog: catalog, NextSeq: 1, Spool: spoolFor{rows}},
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, flavor, nil, err
	}
	f := &fileSource{Source: opened, log: log}
	return f, flavor, func() {
		_ = f.Close()
		_ = os.RemoveAll(dir)
	}, nil
}
