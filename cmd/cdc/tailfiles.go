package main

import (
	"log/slog"
	"os"
	"strings"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/source/live"
)

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

// files opens binlog files from disk.
func (o *tailOptions) files(paths []string, sel *schemas.Selector, log *slog.Logger) (*fileSource, gtid.Flavor, error) {
	flavor, version, err := files.Inspect(paths[0])
	if err != nil {
		return nil, flavor, err
	}
	from, to, err := o.bounds(flavor)
	if err != nil {
		return nil, flavor, err
	}
	catalog := schemas.NewCatalog(flavor, version)
	if o.dump != "" {
		if err := loadDump(catalog, o.dump, flavor, version); err != nil {
			return nil, flavor, err
		}
	}
	limitHeap(defaultMemory)
	src, err := files.Open(files.Config{
		Paths: paths, Binlog: binlog.Config{Flavor: flavor, Select: sel.Match, Catalog: catalog, NextSeq: 1}, Pool: &event.Pool{},
		Start: from, Stop: to, AllowUnnamed: true,
	})
	if err != nil {
		return nil, flavor, err
	}
	return &fileSource{Source: src, log: log}, flavor, nil
}

func (o *tailOptions) bounds(flavor gtid.Flavor) (from, to files.Bound, err error) {
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
