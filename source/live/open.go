package live

import (
	"context"
	"strconv"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// origin is where a stream begins.
type origin struct {
	gtids *gtid.Set // nil where places are kept by file
	at    place     // "" where only the GTIDs are known
	fresh bool      // not of a checkpoint: the first batch carries the whole of it
	head  bool      // it is the end of the binlog, as of a moment ago
	view  bool      // it is that of a consistent read, whose tables are needed
}

// open makes the first connection.
func (s *Source) open(ctx context.Context) error {
	if s.opt.Feed != nil {
		if done, err := s.openFed(ctx); done || err != nil {
			return err
		}
	}
	sess, f, err := s.dial(ctx)
	if err != nil {
		return err
	}
	s.own(sess)
	s.useGTID = f.gtids(&s.cfg)
	if v := f.vars["lower_case_table_names"]; v != "" && v != "0" {
		s.opt.Select = s.opt.Select.Folded()
	}
	if s.opt.Start.Kind == StartCheckpoint {
		if err := s.carryOver(f); err != nil {
			return err
		}
	}
	if s.self, err = s.identify(ctx, sess, f); err != nil {
		return err
	}
	o, entries, err := s.begin(ctx, sess, f)
	if err != nil {
		return err
	}
	if s.useGTID {
		s.done = o.gtids.Clone()
		if t := s.opt.Start.Time; !o.fresh && !t.IsZero() {
			s.newest.Store(t.UnixMicro())
		}
		if !o.fresh && s.newest.Load() > 0 && sameServer(s.opt.Start.Server, f) && s.opt.Feed == nil {
			if err := s.checkPlace(ctx, sess, f, o.at, s.done); err != nil {
				return err
			}
		}
	}
	s.stop = stopper{stop: s.opt.Stop}
	if err := s.prepareStop(ctx, sess, f); err != nil {
		return err
	}
	s.assemble(f, &o)
	if err := s.startStream(ctx, sess, f, o.at); err != nil {
		return err
	}
	s.flows(ctx, o, entries)
	return nil
}

// assemble makes the assembler, for a stream that begins at o.
func (s *Source) assemble(f *facts, o *origin) {
	s.server = f.server()
	s.asm = binlog.NewAssembler(binlog.Config{
		Flavor: f.flavor, Decrypted: true, Select: s.opt.Select.Match, Catalog: s.opt.Catalog, NextSeq: s.opt.NextSeq,
		SelectDatabase: s.opt.Select.MatchDatabase, MaxRow: s.opt.MaxRow, MaxPayload: int64(s.cfg.MaxPayload), BatchBytes: s.opt.BatchBytes, IgnoreServerIDs: s.cfg.IgnoreServerIDs,
		Spool: s.opt.Spool, XA: s.opt.XA, Unknown: s.unknown, Choose: s.choose,
	})
	if o.at.file != "" {
		s.asm.Seek(o.at.file, o.at.offset)
	}
}

// flows is called when the stream has begun.
func (s *Source) flows(ctx context.Context, o origin, entries []schemas.Entry) {
	if o.fresh {
		s.first = s.firstBatch(o, entries)
	} else if s.opt.Start.Server != s.server {
		s.unsaid = true
	}
	s.lastIdle = time.Now()
	s.startWatch(ctx)
}

// choose leaves out the transactions that Leave and Choose name. A transaction to stop before is passed: the source has ended when its first event is
// behind it.
func (s *Source) choose(at binlog.Place) binlog.Choice {
	switch {
	case s.opt.Leave != nil && s.opt.Leave(at):
		return binlog.Leave
	case s.opt.Choose == nil:
		return binlog.Take
	}
	choice := s.opt.Choose(at)
	switch choice {
	case binlog.Pass:
		s.stop.passing = at.GTID
	case binlog.Stop:
		s.stop.hit, choice = true, binlog.Pass
	}
	return choice
}

// dial connects, learns who answers, and checks that it is a server which can be read from.
func (s *Source) dial(ctx context.Context) (*login, *facts, error) {
	sess, err := connect(ctx, &s.cfg)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.greet(ctx, sess)
	if err != nil {
		sess.Close()
		return nil, nil, err
	}
	return sess, f, nil
}

func (s *Source) greet(ctx context.Context, sess *login) (*facts, error) {
	f, err := ask(ctx, sess)
	if err != nil {
		return nil, err
	}
	if f.flavor != s.opt.Flavor {
		return nil, fault.New(fault.SourceOtherServer, "the configuration says %s, and a %s server answers (%s)", s.opt.Flavor, f.flavor, f.text).
			At(fault.Where{Server: sess.Address}).Hint("write source.%s instead of source.%s, or check the address", f.flavor, s.opt.Flavor)
	}
	if err := f.writes(); err != nil {
		return nil, err
	}
	s.measureClock(ctx, sess)
	return f, nil
}

// measureClock compares the server's clock with ours, at the middle of a round trip.
func (s *Source) measureClock(ctx context.Context, sess *login) {
	best := time.Duration(1 << 62)
	for range 3 {
		began := time.Now()
		v, err := sess.One(ctx, "SELECT UNIX_TIMESTAMP(NOW(6))")
		trip := time.Since(began)
		if err != nil {
			return
		}
		seconds, err := strconv.ParseFloat(v, 64)
		if err != nil || trip >= best {
			continue
		}
		best = trip
		s.clock.Store(int64(seconds*1e6) - began.Add(trip/2).UnixMicro())
		s.clockOK.Store(true)
	}
}

// carryOver decides how a checkpoint's place is read on this server.
func (s *Source) carryOver(f *facts) error {
	st := &s.opt.Start
	where := fault.Where{Server: f.address}
	if !st.GTIDs.Empty() && st.GTIDs.Flavor() != f.flavor {
		return fault.New(fault.SourceOtherServer, "the checkpoint holds GTIDs of %s, and a %s server answers", st.GTIDs.Flavor(), f.flavor).At(where)
	}
	if s.useGTID && st.GTIDs == nil && st.File != "" {
		// An earlier run kept its place by file, before GTIDs were turned on. The transactions up to there have no GTIDs to be named by.
		s.useGTID = false
	}
	if !s.useGTID && !st.GTIDs.Empty() && s.cfg.GTID != "off" {
		return fault.New(fault.SourceGTIDMode, "the checkpoint holds GTIDs, and gtid_mode is %s", f.vars["gtid_mode"]).At(where).
			Hint("turn gtid_mode ON again; or set gtid: off to go on from file and position, if it is still the same server")
	}
	if !s.useGTID && st.File == "" {
		return fault.New(fault.SourceGTIDMode, "the checkpoint holds no file and position, and GTIDs cannot be used").At(where)
	}
	if s.useGTID && f.flavor == gtid.MariaDB && st.Server.ID != 0 && st.Server.ID != f.id {
		if missing := missingDomains(st.GTIDs, f.executed); len(missing) > 0 {
			return fault.New(fault.SourceDomainMissing, "the checkpoint of another server says nothing of %v, which this one has", missing).At(where)
		}
	}
	return checkIdentity(st.Server, f, s.useGTID)
}

// begin finds the place to start at, checks it, and reads the schemas where they are needed.
func (s *Source) begin(ctx context.Context, sess *login, f *facts) (origin, []schemas.Entry, error) {
	o, err := s.resolve(ctx, sess, f)
	if err != nil {
		return o, nil, err
	}
	if err := s.check(ctx, sess, f, &o, 2*time.Second); err != nil {
		return o, nil, err
	}
	if s.opt.Catalog != nil {
		s.tune(s.opt.Catalog, f)
		return o, nil, nil
	}
	s.opt.Catalog = schemas.NewCatalog(f.flavor, f.version)
	s.tune(s.opt.Catalog, f)
	var first []schemas.Entry
	if s.opt.Catalog.FoldNames {
		first = []schemas.Entry{{Kind: schemas.FoldNames, File: o.at.file, Offset: o.at.offset}}
		s.opt.NextSeq = schemas.Number(first, s.opt.NextSeq-1) + 1
	}
	o, entries, err := s.readSchemas(ctx, sess, f, o)
	return o, append(first, entries...), err
}

// tune tells the catalog what the statements themselves do not say.
func (s *Source) tune(c *schemas.Catalog, f *facts) {
	if v := f.vars["lower_case_table_names"]; v != "" && v != "0" {
		c.Fold() // the history says it too, but for those that were begun before it did
	}
	switch f.vars["explicit_defaults_for_timestamp"] {
	case "OFF":
		c.ExplicitTimestamp = 1
	case "ON":
		c.ExplicitTimestamp = 2
	}
}

// check says whether the server can go on from the place.
func (s *Source) check(ctx context.Context, sess *login, f *facts, o *origin, within time.Duration) error {
	if s.opt.Feed != nil { // the copy says whether it has the place, and may have what the server has purged
		if o.gtids == nil {
			return nil
		}
		err := s.settle(ctx, sess, f, within, func() error { return checkGTIDs(o.gtids, f) })
		if fault.Has(err, fault.SourcePurged) {
			return nil
		}
		return err
	}
	if o.gtids != nil {
		return s.settle(ctx, sess, f, within, func() error { return checkGTIDs(o.gtids, f) })
	}
	files, err := sess.binlogs(ctx)
	if err != nil {
		return err
	}
	return checkFile(o.at, files, f.address)
}

// startStream turns a session into the stream of events from a place on.
func (s *Source) startStream(ctx context.Context, sess *login, f *facts, at place) error {
	q := dumpRequest{from: at, nonBlock: s.opt.Stop.Now, self: s.self}
	if s.useGTID {
		q.gtids = s.done
	}
	s.skip, s.offset = 0, firstEvent
	if q.gtids == nil && at.offset > maxDumpOffset {
		s.skip = at.offset
	}
	var d *dump
	var err error
	if s.opt.Feed != nil {
		s.skip = 0
		d, err = s.feed(ctx, f, &q)
	} else {
		d, err = startDump(ctx, sess, f, &s.cfg, q, s.limit)
	}
	if err != nil {
		return err
	}
	s.d = d
	s.in.clear()
	s.mu.Lock()
	s.status.Server, s.status.ServerID, s.status.ByGTID = f.server(), s.self.id, s.useGTID
	s.mu.Unlock()
	s.state(StateStreaming)
	return nil
}

// closer is what Close ends: a session, or a reader of a copy.
type closer interface{ Close() }

// own makes a connection the one that Close ends.
func (s *Source) own(sess closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw != nil {
		s.raw.Close()
	}
	s.raw = sess
	if s.closed {
		sess.Close()
	}
}

// firstBatch carries the whole place that the stream starts at, so that it is saved before anything that follows.
func (s *Source) firstBatch(o origin, entries []schemas.Entry) *event.Batch {
	b := s.pool.Get()
	srv := s.server
	b.Pos = event.Position{File: o.at.file, Offset: o.at.offset, Time: time.Now().UnixMicro() + s.clock.Load(), Server: &srv}
	if o.gtids != nil {
		b.Pos.GTIDs = o.gtids.Clone()
	}
	b.History = append(b.History, entries...)
	b.Received = time.Now().UnixMicro()
	return b
}

// skipped passes over the events of a file that lie before the place where reading starts, where that place is beyond what the protocol can
// ask for: the file comes from its beginning.
func (s *Source) skipped() bool {
	if s.skip == 0 {
		return false
	}
	const artificial = 0x20
	head, size := s.in.raw, uint64(len(s.in.raw))
	if s.in.body != nil {
		head, size = s.in.header[:], uint64(s.in.size)
	}
	h, ok := binlog.ParseHeader(head)
	if !ok || h.Flags&artificial != 0 || h.LogPos == 0 && h.Type == binlog.RotateEvent || isHeartbeat(head) {
		return false // made up for this connection: the assembler needs it
	}
	at := s.offset
	s.offset += size
	if h.Type == binlog.FormatDescription {
		return false
	}
	if at >= s.skip {
		file, _ := s.asm.Where()
		s.asm.Seek(file, at)
		s.skip = 0
		return false
	}
	return true
}
