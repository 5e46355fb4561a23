package files

import (
	"path/filepath"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// Bound is a place in the files, given in one way. The zero Bound is none. A Start given in two ways is the later of both places.
type Bound struct {
	// File is the base name or the path of one of the files, and Offset an offset in it; a transaction belongs to the side on which its first
	// event is.
	File   string
	Offset uint64
	// GTIDs, as a Start, are the transactions that are left out; as a Stop, those after which the source ends, whatever their order.
	GTIDs *gtid.Set
	// Time is a commit time, microseconds since 1970; the first transaction at or behind it is the first one taken, or left.
	Time int64
}

// IsZero reports that there is no bound.
func (b *Bound) IsZero() bool { return b.File == "" && b.GTIDs == nil && b.Time == 0 }

// Config of a Source.
type Config struct {
	Paths []string
	// Binlog configures the assembler: what is selected, the catalog at the beginning of the first file, limits. Choose and Unknown are the
	// source's own.
	Binlog binlog.Config
	// Pool lends the batches; nil makes one.
	Pool        *event.Pool
	Start, Stop Bound
	// Choose is asked of each transaction between Start and Stop; nil takes all. One that it passes counts as read where Stop is a GTID set.
	Choose func(at binlog.Place) binlog.Choice
	// AllowUnnamed takes rows of tables whose columns are not known, under the names @1, @2, ...
	AllowUnnamed bool
}

// bounds are a Config's bounds with their files as indexes in Paths.
type bounds struct {
	start, stop         Bound
	startFile, stopFile int // -1 without a file
}

func (c *Config) bounds() (bounds, error) {
	b := bounds{start: c.Start, stop: c.Stop}
	var err error
	if b.startFile, err = c.index(&c.Start, "start"); err != nil {
		return b, err
	}
	b.stopFile, err = c.index(&c.Stop, "stop")
	return b, err
}

func (c *Config) index(b *Bound, what string) (int, error) {
	if b.File == "" {
		return -1, nil
	}
	found := -1
	for i, p := range c.Paths {
		switch {
		case p == b.File:
			return i, nil
		case Name(p) != b.File && filepath.Base(p) != b.File:
		case found >= 0: // of two servers
			return -1, fault.New(fault.UsageInvalid, "%s at %s: %s and %s are both called so, give the path", what, b.File, c.Paths[found], p)
		default:
			found = i
		}
	}
	if found >= 0 {
		return found, nil
	}
	return -1, fault.New(fault.UsageInvalid, "%s at %s: not one of the files that are read", what, b.File)
}

// choose decides about the transaction at a place in file number at.
func (s *Source) choose(p binlog.Place) binlog.Choice {
	b := &s.bounds
	switch {
	case b.stopFile >= 0 && (s.at > b.stopFile || s.at == b.stopFile && p.Offset >= b.stop.Offset),
		b.stop.Time != 0 && p.Time >= b.stop.Time,
		s.reached():
		return binlog.Stop
	case b.startFile >= 0 && (s.at < b.startFile || s.at == b.startFile && p.Offset < b.start.Offset),
		b.start.Time != 0 && !s.started && p.Time < b.start.Time,
		b.start.GTIDs.Contains(p.GTID):
		s.passed(p.GTID)
		return binlog.Pass
	}
	s.started = true // times are not always in order: the first transaction behind a time begins what is taken
	if s.cfg.Choose == nil {
		return binlog.Take
	}
	choice := s.cfg.Choose(p)
	if choice == binlog.Pass {
		s.passed(p.GTID)
	}
	return choice
}

// reached reports that the transactions of a Stop by GTIDs were all seen.
func (s *Source) reached() bool {
	return s.bounds.stop.GTIDs != nil && s.seen.ContainsSet(s.bounds.stop.GTIDs)
}

func (s *Source) passed(id gtid.GTID) {
	if s.bounds.stop.GTIDs != nil && !id.IsZero() {
		s.seen.Add(id)
	}
}

// unknown names the columns of a table that nobody knows, where that is allowed. A definition that is known and does not fit stays an error.
func (s *Source) unknown(name schemas.Name, tm *binlog.TableMap, _ binlog.Place) (*schemas.Table, error) {
	if !s.cfg.AllowUnnamed {
		return nil, nil
	}
	if known, state := s.cfg.Binlog.Catalog.Table(name.Database, name.Table); state == schemas.Known && known.Origin != schemas.FromImage {
		return nil, nil
	}
	if !s.unnamedSeen[name] {
		s.unnamedSeen[name] = true
		s.unnamed = append(s.unnamed, name)
	}
	return tm.Unnamed(), nil
}
