package live

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"sync"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
	"cdc/source/binlog"
)

// TapOptions of OpenTap.
type TapOptions struct {
	Config Config
	Flavor gtid.Flavor
	Stream string // as Options.Stream
	// From is where reading goes on; with nothing in it, at the end of the binlog.
	From source.Place
	// Last is the commit time of the last transaction before From, microseconds since 1970; 0 where nothing was read.
	Last int64
	// SemiSync has the server wait, at each commit, until Ack says that the transaction is durable. It is an error where the server is not set up for it.
	SemiSync bool
	MaxRow   int64 // of Options
	Log      *slog.Logger
}

// Tap gives the events of a server as they come, for who keeps a copy of its binlog. It is a source.Tap. Where the connection breaks it is opened anew by
// its user, who knows what was kept.
type Tap struct {
	src    *Source
	d      *dump
	origin source.Origin
	sync   bool
	closed sync.Once
}

// Framing of semi-synchronous replication (MySQL source, plugin/semisync; MariaDB source, sql/semisync.h): behind the byte that says that a packet is
// an event there are two more, the magic number and whether the server waits for an answer. The answer is a packet of the magic number, the place behind
// the event in 8 bytes, and the file's name.
const (
	semiSyncMagic = 0xef
	semiSyncHead  = 2
)

// OpenTap connects, compares the server with the place to go on from, as Open does, and starts the stream. Its errors are faults; those of class retry
// may be tried again.
func OpenTap(ctx context.Context, opt TapOptions) (*Tap, error) {
	s := &Source{
		opt: Options{Config: opt.Config, Flavor: opt.Flavor, Stream: opt.Stream, MaxRow: opt.MaxRow}, cfg: opt.Config.withDefaults(), log: opt.Log,
		domains: map[uint32]bool{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opt.MaxRow <= 0 {
		s.opt.MaxRow = binlog.DefaultMaxRow
	}
	s.limit = int(2*s.opt.MaxRow) + eventSlack
	s.newest.Store(opt.Last)
	t := &Tap{src: s}
	if err := t.open(ctx, &opt); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Tap) open(ctx context.Context, opt *TapOptions) error {
	s := t.src
	sess, f, err := s.dial(ctx)
	if err != nil {
		return err
	}
	s.own(sess)
	s.useGTID = f.gtids(&s.cfg)
	from := opt.From
	o := origin{gtids: from.GTIDs, at: place{from.File, from.Offset}}
	switch {
	case from.GTIDs == nil && from.File == "":
		if o.at, o.gtids, err = f.head(ctx, sess); err != nil {
			return err
		}
		if !s.useGTID {
			o.gtids = nil
		}
	case from.GTIDs != nil && !s.useGTID:
		return fault.New(fault.SourceGTIDMode, "what was kept ends at GTIDs, and they are off (gtid_mode is %q)", f.vars["gtid_mode"]).At(fault.Where{Server: f.address})
	case from.GTIDs == nil:
		s.useGTID = false
	}
	if err := t.compare(ctx, sess, f, &o, opt); err != nil {
		return err
	}
	if t.sync = opt.SemiSync; t.sync {
		if err := s.askSemiSync(ctx, sess); err != nil {
			return err
		}
	}
	if s.self, err = s.identify(ctx, sess, f); err != nil {
		return err
	}
	s.done = o.gtids
	q := dumpRequest{gtids: o.gtids, from: o.at, self: s.self, annotate: true, semiSync: t.sync}
	if o.gtids == nil && o.at.offset > maxDumpOffset {
		return fault.New(fault.SourcePositionUnknown, "the place lies behind 4 GiB of a file, which a server without GTIDs cannot be asked for").
			At(fault.Where{File: o.at.file, Offset: o.at.offset, Server: f.address})
	}
	if t.d, err = startDump(ctx, sess, f, &s.cfg, q, s.limit); err != nil {
		return err
	}
	t.origin = source.Origin{Server: f.server(), Variables: f.vars, ByGTID: s.useGTID, SemiSync: t.sync, ServerID: s.self.id}
	return nil
}

// Look connects for a moment, and says whether the server still has what was read from it: one that is reset below a waiting reader tells it nothing.
func Look(ctx context.Context, opt TapOptions) error {
	s := &Source{
		opt: Options{Config: opt.Config, Flavor: opt.Flavor, MaxRow: opt.MaxRow}, cfg: opt.Config.withDefaults(), log: slog.New(slog.DiscardHandler), domains: map[uint32]bool{},
	}
	if s.opt.MaxRow <= 0 {
		s.opt.MaxRow = binlog.DefaultMaxRow
	}
	s.limit = int(2*s.opt.MaxRow) + eventSlack
	s.newest.Store(opt.Last)
	sess, f, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer sess.Close()
	s.useGTID = opt.From.GTIDs != nil
	t := &Tap{src: s}
	return t.compare(ctx, sess, f, &origin{gtids: opt.From.GTIDs, at: place{opt.From.File, opt.From.Offset}}, &opt)
}

// compare says whether the server can go on behind what was kept.
func (t *Tap) compare(ctx context.Context, sess *login, f *facts, o *origin, opt *TapOptions) error {
	s := t.src
	was := opt.From.Server
	if err := checkIdentity(was, f, s.useGTID); err != nil {
		return err
	}
	if o.gtids != nil && f.flavor == gtid.MariaDB && was.Version != "" && !sameServer(was, f) {
		if missing := missingDomains(o.gtids, f.executed); len(missing) > 0 {
			return fault.New(fault.SourceDomainMissing, "the place to read from says nothing of %v, which this server has", missing).At(fault.Where{Server: f.address})
		}
	}
	if err := s.check(ctx, sess, f, o, settleAgain); err != nil {
		return err
	}
	if o.gtids != nil && opt.Last > 0 && sameServer(was, f) {
		return s.checkPlace(ctx, sess, f, o.at, o.gtids)
	}
	return nil
}

// askSemiSync looks whether the server waits for replicas at all: one that does not sends packets without their framing.
func (s *Source) askSemiSync(ctx context.Context, sess *login) error {
	rows, err := sess.Query(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('rpl_semi_sync_source_enabled','rpl_semi_sync_master_enabled')")
	if err != nil {
		return sess.fault(err, "SELECT")
	}
	for _, r := range rows {
		if len(r) == 2 && string(r[1]) == "ON" {
			return nil
		}
	}
	why := "has no plugin for semi-synchronous replication"
	if len(rows) > 0 {
		why = "has semi-synchronous replication turned off"
	}
	return fault.New(fault.RelaySemiSync, "the server %s", why).At(fault.Where{Server: sess.Address})
}

// Origin is the server.
func (t *Tap) Origin() source.Origin { return t.origin }

// Next gives the next event. After an error the connection is of no more use.
func (t *Tap) Next(ctx context.Context, wait bool) (source.Raw, bool, error) {
	d := t.d
	if !wait && !d.whole() {
		err := d.fill(4, time.Now().Add(drainWait))
		if isTimeout(err) {
			return source.Raw{}, false, nil
		}
		if err != nil {
			return source.Raw{}, false, t.fail(ctx, err)
		}
	}
	if !d.whole() { // else nothing is waited for
		stop := context.AfterFunc(ctx, func() {
			d.interrupted.Store(true)
			_ = d.conn.SetReadDeadline(time.Unix(1, 0))
		})
		defer stop()
	}
	r, err := t.next()
	if err != nil {
		return r, false, t.fail(ctx, err)
	}
	return r, true, nil
}

func (t *Tap) fail(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return t.d.fault(err)
}

func (t *Tap) next() (r source.Raw, err error) {
	d := t.d
	extra := 0
	if t.sync {
		extra = semiSyncHead
	}
	var soon, late time.Time
	if !d.whole() { // asking for the time costs as much as an event
		soon, late = time.Now().Add(d.patience()), d.late()
	}
	length, head, err := d.peek(1+extra+headSize, soon)
	if err != nil {
		return r, err
	}
	if len(head) > extra && head[0] == 0 && t.sync {
		if head[1] != semiSyncMagic {
			return r, fault.New(fault.SourceProtocol, "a packet without the framing of semi-synchronous replication")
		}
		r.Ack = head[2] == 1
	}
	if length > streamFrom && len(head) == 1+extra+headSize && head[0] == 0 {
		if h, ok := binlog.ParseHeader(head[1+extra:]); ok && (h.Type == binlog.TransactionPayload || h.Type.IsRows()) {
			return t.streamed(r, 1+extra)
		}
	}
	d.trim()
	raw, err := d.event(soon, late)
	if err != nil {
		return r, err
	}
	r.Event = raw[extra:]
	t.answered(r.Ack)
	return r, nil
}

// answered follows the numbers of packets: with one that the server wants an answer to, it begins them anew.
func (t *Tap) answered(ack bool) {
	if ack {
		t.d.seq = 1
	}
}

func (t *Tap) streamed(r source.Raw, skip int) (source.Raw, error) {
	b, err := t.d.stream(t.d.late)
	if err != nil {
		return r, err
	}
	head := make([]byte, skip+binlog.HeaderSize)
	if _, err := io.ReadFull(b, head); err != nil {
		return r, broken(err)
	}
	r.Header = head[skip:]
	r.Body = &streamedBody{Reader: b, t: t, ack: r.Ack}
	t.d.started = true
	return r, nil
}

// streamedBody notices the end of an event.
type streamedBody struct {
	io.Reader
	t   *Tap
	ack bool
}

func (b *streamedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.ack { //nolint:errorlint // as io.Reader has it
		b.ack = false
		b.t.answered(true)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // the same
		err = b.t.d.fault(err)
	}
	return n, err
}

// Ack tells the server that everything up to a place is durable.
func (t *Tap) Ack(file string, offset uint64) error {
	c := t.d.s.Conn()
	if err := c.SetWriteDeadline(time.Now().Add(t.d.lost)); err != nil {
		return t.d.fault(err)
	}
	arg := append(binary.LittleEndian.AppendUint64(nil, offset), file...)
	if err := t.d.s.Send(semiSyncMagic, arg); err != nil {
		return t.d.fault(err)
	}
	return nil
}

// Close ends the connection.
func (t *Tap) Close() { t.closed.Do(t.src.close) }

// FirstPlace asks a server for a place that a configuration names by a Start: where a copy of its binlog begins.
func FirstPlace(ctx context.Context, opt TapOptions, start Start) (source.Place, error) {
	s := &Source{
		opt: Options{Config: opt.Config, Flavor: opt.Flavor, Start: start, MaxRow: opt.MaxRow}, cfg: opt.Config.withDefaults(),
		log: slog.New(slog.DiscardHandler), domains: map[uint32]bool{},
	}
	if s.opt.MaxRow <= 0 {
		s.opt.MaxRow = binlog.DefaultMaxRow
	}
	s.limit = int(2*s.opt.MaxRow) + eventSlack
	sess, f, err := s.dial(ctx)
	if err != nil {
		return source.Place{}, err
	}
	defer sess.Close()
	s.useGTID = f.gtids(&s.cfg)
	o, err := s.resolve(ctx, sess, f)
	if err != nil {
		return source.Place{}, err
	}
	return source.Place{GTIDs: o.gtids, File: o.at.file, Offset: o.at.offset, Server: f.server()}, nil
}

var _ source.Tap = (*Tap)(nil)
