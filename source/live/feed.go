package live

import (
	"context"
	"io"
	"time"

	"cdc/gtid"
	"cdc/source"
)

// Feed is a copy of a server's binlog on this machine, which somebody keeps up to date.
type Feed interface {
	// Open gives packets as the server's dump thread would send them from a place on: what begins the connection, then events, and a heartbeat at
	// the end of what the server has. Where the copy does not reach back to the place it is a fault. A read that finds no more waits for its deadline. It
	// fails with io.EOF where another server's events follow: Open then goes on with them.
	Open(ctx context.Context, from source.Place) (FeedConn, source.Origin, error)
	// Origin is the server that the events at the end of the copy came from; ok is false where there is none yet.
	Origin() (o source.Origin, ok bool)
	// Holds reports that the copy has all transactions of a set, or comes behind them.
	Holds(set *gtid.Set) bool
	// AtHead reports that the copy has all that the server had to send.
	AtHead() bool
}

// FeedConn is a reader of a Feed.
type FeedConn interface {
	io.Reader
	SetReadDeadline(t time.Time) error
	Close()
}

// feedPatience stands for no limit: a copy that does not grow is not a connection that broke.
const feedPatience = 365 * 24 * time.Hour

// factsOf are those of a server as they were when its events were copied.
func factsOf(o source.Origin, account string) *facts {
	return &facts{
		flavor: o.Server.Flavor, version: o.Server.Number(), text: o.Server.Version, uuid: o.Server.UUID, id: o.Server.ID, address: o.Server.Address,
		account: account, vars: o.Variables,
	}
}

// openFed opens a stream that goes on from a checkpoint, without the server. done is false where the server has to be asked for something.
func (s *Source) openFed(ctx context.Context) (done bool, err error) {
	known, ok := s.opt.Feed.Origin()
	if !ok || s.opt.Start.Kind != StartCheckpoint || s.opt.Catalog == nil || s.opt.Stop.Now || !s.opt.Stop.GTIDs.Empty() {
		return false, nil
	}
	f := factsOf(known, "")
	if f.flavor != s.opt.Flavor || s.opt.Start.Server.Version == "" {
		return false, nil
	}
	s.useGTID = f.gtids(&s.cfg)
	if err := s.carryOver(f); err != nil {
		return false, err
	}
	if s.useGTID && !s.opt.Feed.Holds(s.opt.Start.GTIDs) {
		return false, nil // the server says whether they were ever its own
	}
	if v := f.vars["lower_case_table_names"]; v != "" && v != "0" {
		s.opt.Select = s.opt.Select.Folded()
	}
	o, err := s.resolve(ctx, nil, f)
	if err != nil {
		return false, err
	}
	s.tune(s.opt.Catalog, f)
	if s.useGTID {
		s.done = o.gtids.Clone()
		if t := s.opt.Start.Time; !t.IsZero() {
			s.newest.Store(t.UnixMicro())
		}
	}
	s.stop = stopper{stop: s.opt.Stop}
	s.assemble(f, &o)
	if err := s.startStream(ctx, nil, f, o.at); err != nil {
		return false, err
	}
	s.flows(ctx, o, nil)
	return true, nil
}

// feed is startDump where events come from a copy.
func (s *Source) feed(ctx context.Context, f *facts, q *dumpRequest) (*dump, error) {
	from := source.Place{GTIDs: q.gtids, File: q.from.file, Offset: q.from.offset, Server: s.server}
	c, o, err := s.opt.Feed.Open(ctx, from)
	if err != nil {
		return nil, err
	}
	if now := factsOf(o, "").server(); now != s.server {
		s.server, s.unsaid = now, true
	}
	*f = *factsOf(o, f.account)
	s.own(c)
	return &dump{packets: newPackets(c, s.limit), facts: f, query: dumpRequest{gtids: q.gtids, from: q.from}, lost: feedPatience, first: feedPatience}, nil
}

// feedAgain goes on in the copy where events of another server begin.
func (s *Source) feedAgain(ctx context.Context) error {
	f := *s.d.facts
	was := s.server
	file, offset := s.asm.Where()
	if err := s.startStream(ctx, nil, &f, place{file, offset}); err != nil {
		return err
	}
	if s.server != was {
		s.horizon = nil
		s.log.Info("the relay goes on with events of another server", "server", s.server.Address, "uuid", s.server.UUID.String(), "server_id", s.server.ID)
	}
	return nil
}
