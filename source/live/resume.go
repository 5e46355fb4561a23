package live

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
)

// checkGTIDs says whether reading can go on behind the transactions of c without a gap and without a lie. E is what the server executed, P what
// it has purged.
//
//	P - C            the server has thrown away what is still needed
//	C - E, its own   the server lost commits that were read from it
//	C - E, others    transactions that this server never had: lost in a failover. The server itself accepts them in silence.
func checkGTIDs(c *gtid.Set, f *facts) error {
	where := fault.Where{Server: f.address}
	if f.flavor == gtid.MariaDB {
		return checkDomains(c, f)
	}
	if extra := gtid.Minus(c, f.executed); !extra.Empty() {
		own := extra.Only(f.uuid)
		if !own.Empty() {
			return fault.New(fault.SourceAhead, "the place to read from holds %s of this server's own transactions, which it does not have",
				describe(own)).At(where)
		}
		return fault.New(fault.SourcePhantom, "the place to read from holds %s, which this server never had", describe(extra)).At(where)
	}
	if gone := gtid.Minus(f.purged, c); !gone.Empty() {
		return fault.New(fault.SourcePurged, "the server has purged %s, which were not read yet", describe(gone)).At(where)
	}
	return nil
}

// checkDomains is checkGTIDs for MariaDB: what was purged only the server itself can say.
func checkDomains(c *gtid.Set, f *facts) error {
	for _, d := range c.Domains() {
		last, _ := c.DomainPos(d)
		has, ok := f.executed.DomainPos(d)
		if ok && has.Seq >= last.Seq {
			continue
		}
		have := "none of that domain"
		if ok {
			have = has.String()
		}
		if last.Server == f.id {
			return fault.New(fault.SourceAhead, "the place to read from is behind %s of this server's own transactions, and it has %s", last, have).
				At(fault.Where{Server: f.address})
		}
		return fault.New(fault.SourcePhantom, "the place to read from is behind %s, and this server has %s", last, have).
			At(fault.Where{Server: f.address})
	}
	return nil
}

// missingDomains lists the domains that the server has and c says nothing of. MariaDB sends such a domain from its very first transaction on.
func missingDomains(c, has *gtid.Set) []string {
	var out []string
	for _, d := range has.Domains() {
		if _, ok := c.DomainPos(d); !ok {
			p, _ := has.DomainPos(d)
			out = append(out, p.String())
		}
	}
	return out
}

// describe prints a set by UUID, shortened where it is long.
func describe(s *gtid.Set) string {
	text := s.String()
	if len(text) <= 400 {
		return text
	}
	cut := strings.LastIndexAny(text[:400], ",:")
	return fmt.Sprintf("%s... (%d transactions of %d servers)", text[:max(cut, 1)], s.Len(), len(s.UUIDs()))
}

// checkIdentity says whether a place that belongs to another server can be carried over to this one.
func checkIdentity(was event.Server, f *facts, byGTID bool) error {
	where := fault.Where{Server: f.address}
	if was.Version != "" && was.Flavor != f.flavor {
		return fault.New(fault.SourceOtherServer, "the place to read from is of a %s server, and %s answers", was.Flavor, f.flavor).At(where)
	}
	if byGTID {
		return nil // the GTIDs themselves are compared
	}
	if !was.UUID.IsZero() && was.UUID != f.uuid {
		return fault.New(fault.SourceOtherServer, "the place to read from is of server %s, and %s answers", was.UUID, f.uuid).At(where)
	}
	if f.flavor == gtid.MariaDB && was.ID != 0 && was.ID != f.id {
		return fault.New(fault.SourceOtherServer, "the place to read from is of the server with id %d, and %d answers", was.ID, f.id).At(where)
	}
	return nil
}

// logFile is a line of SHOW BINARY LOGS.
type logFile struct {
	name string
	size uint64
}

// binlogs lists the server's binlog files, oldest first.
func (s *login) binlogs(ctx context.Context) ([]logFile, error) {
	rows, err := s.Query(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, s.fault(err, "REPLICATION CLIENT")
	}
	var files []logFile
	for _, r := range rows {
		if len(r) < 2 {
			continue
		}
		size, err := strconv.ParseUint(string(r[1]), 10, 64)
		if err != nil {
			return nil, fault.New(fault.SourceProtocol, "SHOW BINARY LOGS: %w", err).At(fault.Where{Server: s.Address})
		}
		files = append(files, logFile{string(r[0]), size})
	}
	if len(files) == 0 {
		return nil, fault.New(fault.SourceLogBinOff, "the server lists no binlogs").At(fault.Where{Server: s.Address})
	}
	return files, nil
}

// checkFile says whether the server still has a place.
func checkFile(p place, files []logFile, address string) error {
	where := fault.Where{File: p.file, Offset: p.offset, Server: address}
	i := slices.IndexFunc(files, func(f logFile) bool { return f.name == p.file })
	switch {
	case i < 0 && stem(p.file) == stem(files[0].name) && event.FileBefore(p.file, files[0].name):
		return fault.New(fault.SourcePurged, "the server has purged %s; its oldest binlog is %s", p.file, files[0].name).At(where)
	case i < 0:
		return fault.New(fault.SourcePositionUnknown, "the server has no binlog %s; it has %s to %s", p.file, files[0].name, files[len(files)-1].name).At(where)
	case p.offset > files[i].size && i == len(files)-1:
		return fault.New(fault.SourceAhead, "%s ends at %d", p.file, files[i].size).At(where)
	case p.offset > files[i].size:
		return fault.New(fault.SourcePositionUnknown, "%s ends at %d", p.file, files[i].size).At(where)
	case p.offset < firstEvent:
		return fault.New(fault.SourcePositionUnknown, "the first event of a binlog begins at 4").At(where)
	}
	return nil
}

// stem is a binlog's name without its number.
func stem(name string) string { return strings.TrimRight(name, "0123456789") }

// settle runs check, and again for a while where it finds the place ahead of the server: an event is sent before the commit that it belongs to
// is finished and shows in gtid_executed, and a semi-synchronous server may take long over that.
func (s *Source) settle(ctx context.Context, sess *login, f *facts, within time.Duration, check func() error) error {
	until := time.Now().Add(within)
	for {
		err := check()
		if !fault.Has(err, fault.SourceAhead) && !fault.Has(err, fault.SourcePhantom) || time.Now().After(until) {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if err := f.readSets(ctx, sess); err != nil {
			return err
		}
	}
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
