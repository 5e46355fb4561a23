package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"cdc/checkpoint/spool"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/source/live"
)

// stretch is the part of a binlog that a command reads, of a server or of files: what tail, analyze, history and flashback have in common.
type stretch struct {
	from, until, dump, passwordFile string
	tables                          []string
	follow                          bool // a server is followed from now on, unless the flags say otherwise; else all that it has is read
}

func (o *stretch) flags(c *cobra.Command) {
	what, from, until := "look at", "where to start: a time, FILE:POSITION, or a GTID set that is left out (default: the beginning)", "where to end: a time, FILE:POSITION or a GTID set (default: the end)"
	if o.follow {
		what = "print"
		from = "where to start: now, start, a time, FILE:POSITION or a GTID set (default: now; of files their beginning)"
		until = "where to end: now, a time, FILE:POSITION or a GTID set (default: never; of files their end)"
	}
	f := c.Flags()
	f.StringArrayVar(&o.tables, "tables", nil, "tables to "+what+", as patterns with % and _ (shop.%, !shop.tmp_%); may be given more than once")
	f.StringVar(&o.from, "from", "", from)
	f.StringVar(&o.until, "until", "", until)
	f.StringVar(&o.dump, "schema-dump", "", "for binlog files: a mysqldump --no-data of the tables as they were at their beginning")
	f.StringVar(&o.passwordFile, "password-file", "", "for a server: file that holds the password (default: CDC_PASSWORD or MYSQL_PWD of the environment)")
}

// selector reads --tables.
func (o *stretch) selector() (*schemas.Selector, error) {
	for _, p := range o.tables { // one by one: a pattern that is none is named
		if _, err := schemas.ParseSelector([]string{p}); err != nil {
			return nil, fault.New(fault.UsageInvalid, "--tables: %w", err)
		}
	}
	sel, err := schemas.ParseSelector(o.tables)
	if err != nil {
		return nil, fault.New(fault.UsageInvalid, "--tables: %w", err)
	}
	return sel, nil
}

func (o *stretch) password() settings.Secret { return passwordOf(o.passwordFile) }

// isServer reports that the arguments name a server, and refuses what cannot be.
func (o *stretch) isServer(args []string) (bool, error) {
	switch {
	case len(args) == 0:
		return false, fault.New(fault.UsageInvalid, "want binlog files or a server's URL")
	case !strings.Contains(args[0], "://"):
		return false, nil
	case len(args) > 1:
		return true, fault.New(fault.UsageInvalid, "want one server, found %d arguments", len(args))
	case o.dump != "":
		return true, fault.New(fault.UsageInvalid, "--schema-dump goes with binlog files: a server is asked itself")
	}
	if o.from == "" && !o.follow {
		o.from = "start"
	}
	if o.until == "" && !o.follow {
		o.until = "now"
	}
	return true, nil
}

// server opens a live source from a URL.
func (o *stretch) server(ctx context.Context, text string, sel *schemas.Selector, log *slog.Logger) (source.Source, gtid.Flavor, error) {
	cfg, flavor, err := parseURL(text)
	if err != nil {
		return nil, flavor, err
	}
	cfg.Password = o.password()
	if bad := cfg.Validate("url"); len(bad) > 0 {
		return nil, flavor, fault.New(fault.UsageInvalid, "%s: %s", bad[0].Path, bad[0].Text)
	}
	start, err := parseStart(o.from, flavor)
	if err != nil {
		return nil, flavor, fault.New(fault.UsageInvalid, "--from: %w", err)
	}
	end, err := parseStop(o.until, flavor)
	if err != nil {
		return nil, flavor, fault.New(fault.UsageInvalid, "--until: %w", err)
	}
	limitHeap(defaultMemory)
	src, err := live.Open(ctx, live.Options{Config: *cfg, Flavor: flavor, Select: sel, Start: start, Stop: end, NextSeq: 1, Pool: &event.Pool{}, Log: log})
	if err != nil {
		return nil, flavor, err // not src: a nil *live.Source is not a nil source.Source
	}
	return src, flavor, nil
}

// looked is what the first file and the flags say of files.
type looked struct {
	paths       []string // of the files that the arguments stand for
	flavor      gtid.Flavor
	start, stop files.Bound
	catalog     *schemas.Catalog // the tables of --schema-dump
}

func (o *stretch) look(args []string) (l looked, err error) {
	if l.paths, err = files.Expand(args); err != nil {
		return l, err
	}
	flavor, version, err := files.Inspect(l.paths[0])
	if err != nil {
		return l, err
	}
	l.flavor, l.catalog = flavor, schemas.NewCatalog(flavor, version)
	if l.start, l.stop, err = o.bounds(flavor); err != nil || o.dump == "" {
		return l, err
	}
	return l, loadDump(l.catalog, o.dump, flavor, version)
}

// open opens files or a server. unnamed takes tables of files whose columns nothing names. clean closes what was opened and takes away what was spooled.
func (o *stretch) open(ctx context.Context, args []string, sel *schemas.Selector, unnamed bool, log *slog.Logger) (src source.Source, flavor gtid.Flavor, clean func(), err error) {
	server, err := o.isServer(args)
	if err != nil {
		return nil, 0, nil, err
	}
	if server {
		if src, flavor, err = o.server(ctx, args[0], sel, log); err != nil {
			return nil, flavor, nil, err
		}
		return src, flavor, func() { _ = src.Close() }, nil
	}
	l, err := o.look(args)
	if err != nil {
		return nil, l.flavor, nil, err
	}
	dir, err := os.MkdirTemp("", "cdc-xa-") // rows of prepared transactions, which only this run needs
	if err != nil {
		return nil, l.flavor, nil, fault.New(fault.RecoverySpace, "make a temporary folder: %w", err)
	}
	rows, err := spool.Open(dir, nil)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, l.flavor, nil, err
	}
	limitHeap(defaultMemory)
	opened, err := files.Open(files.Config{
		Paths: l.paths, Pool: &event.Pool{}, Start: l.start, Stop: l.stop, AllowUnnamed: unnamed,
		Binlog: binlog.Config{Flavor: l.flavor, Select: sel.Match, SelectDatabase: sel.MatchDatabase, Catalog: l.catalog, NextSeq: 1, Spool: spoolFor{rows}},
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, l.flavor, nil, err
	}
	f := &fileSource{Source: opened, log: log}
	return f, l.flavor, func() {
		_ = f.Close()
		_ = os.RemoveAll(dir)
	}, nil
}

// fileSource warns about columns without names when it is done.
type fileSource struct {
	*files.Source
	log *slog.Logger
}

func (s *fileSource) Close() error {
	if names := s.Unnamed(); len(names) > 0 {
		list := make([]string, len(names))
		for i, n := range names {
			list[i] = n.String()
		}
		s.log.Warn("columns are called @1, @2, ...: nothing says their names; give a dump by --schema-dump", "tables", strings.Join(list, " "))
	}
	return s.Source.Close()
}

func (o *stretch) bounds(flavor gtid.Flavor) (from, to files.Bound, err error) {
	if o.from != "" && o.from != "start" {
		s, err := parseStart(o.from, flavor)
		if err != nil {
			return from, to, fault.New(fault.UsageInvalid, "--from: %w", err)
		}
		if s.Kind == live.StartNow {
			return from, to, fault.New(fault.UsageInvalid, "--from now: a file has no now").Hint("leave --from out to read the files from their beginning")
		}
		from = files.Bound{File: s.File, Offset: s.Offset, GTIDs: s.GTIDs}
		if !s.Time.IsZero() {
			from.Time = s.Time.UnixMicro()
		}
	}
	if o.until != "" && o.until != "now" {
		s, err := parseStop(o.until, flavor)
		if err != nil {
			return from, to, fault.New(fault.UsageInvalid, "--until: %w", err)
		}
		to = files.Bound{File: s.File, Offset: s.Offset, GTIDs: s.GTIDs}
		if !s.Time.IsZero() {
			to.Time = s.Time.UnixMicro()
		}
	}
	return from, to, nil
}

// loadDump puts the tables of a mysqldump into the catalog.
func loadDump(catalog *schemas.Catalog, path string, flavor gtid.Flavor, version uint32) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.New(fault.UsageInvalid, "--schema-dump: %w", err)
	}
	defer f.Close()
	entries, err := schemas.ParseDump(f, schemas.DumpOptions{Flavor: flavor, Version: version})
	if err != nil {
		return err
	}
	for i := range entries {
		catalog.Replay(&entries[i])
	}
	return nil
}
