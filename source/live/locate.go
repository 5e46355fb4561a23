package live

import (
	"context"
	"io"
	"log/slog"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/binlog"
)

// LocateOptions of Locate.
type LocateOptions struct {
	Config Config
	Flavor gtid.Flavor
	Select *schemas.Selector // rows of other tables do not count; nil takes all but the system databases
	MaxRow int64             // bytes; 0 is 64 MiB
}

// Locate finds out what the place of another reader means: as a GTID set, and outside of a transaction. It reads the binlog file of the place from its
// beginning, without decoding rows, and changes nothing.
func Locate(ctx context.Context, opt LocateOptions, of source.Progress) (*source.Located, error) {
	s := &Source{
		opt: Options{Config: opt.Config, Flavor: opt.Flavor, Select: opt.Select, MaxRow: opt.MaxRow}, cfg: opt.Config.withDefaults(),
		log: slog.New(slog.DiscardHandler), domains: map[uint32]bool{},
	}
	if s.opt.MaxRow <= 0 {
		s.opt.MaxRow = binlog.DefaultMaxRow
	}
	s.limit = int(2*s.opt.MaxRow) + eventSlack
	sess, f, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer sess.Close()
	s.useGTID = f.gtids(&s.cfg)
	if v := f.vars["lower_case_table_names"]; v != "" && v != "0" {
		s.opt.Select = s.opt.Select.Folded()
	}
	out := &source.Located{Server: f.server(), Purged: f.purged}
	if of.File == "" {
		s.opt.Start = Start{Kind: StartGTIDs, GTIDs: of.GTIDs}
		o, err := s.resolveGTIDs(f)
		if err != nil {
			return nil, err
		}
		out.GTIDs = o.gtids
		return out, s.check(ctx, sess, f, &o, 2*time.Second)
	}
	p := place{of.File, of.Offset}
	files, err := sess.binlogs(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkFile(p, files, f.address); err != nil {
		return nil, err
	}
	l := &locator{at: p, of: &of, out: out}
	if s.useGTID && f.flavor == gtid.MySQL {
		l.set = gtid.NewSet(gtid.MySQL)
	}
	l.tell = binlog.NewSurvey(binlog.SurveyConfig{Select: s.opt.Select.Match, Txn: l.txn, Rows: l.rows, MaxPayload: int64(s.cfg.MaxPayload)})
	l.tell.Seek(p.file, firstEvent)
	if err := s.sideAll(ctx, f, dumpRequest{from: place{p.file, firstEvent}, annotate: true}, l.read); err != nil {
		return nil, err
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	if f.flavor == gtid.MariaDB && s.useGTID {
		if out.GTIDs, err = f.gtidsAt(ctx, sess, place{p.file, out.Offset}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// locator reads a file up to the transaction in which a place lies.
//
//	GTID BEGIN map rows map rows XID | GTID BEGIN ..
//	     ^                ^             ^
//	     begins again     it depends    behind the first
//
// Where the place is behind all rows of a transaction, the other reader took all of it, and had only not read its end.
type locator struct {
	at     place
	of     *source.Progress
	tell   *binlog.Survey
	set    *gtid.Set // nil where places have none, and of MariaDB
	format bool      // the format of the file is known
	kind   binlog.EventType

	count       uint64 // events from the place on, up to the present one
	open        bool   // a transaction
	taken, left bool   // rows of it were, and were not
	vague       bool   // which of them cannot be said
	again       int64

	done bool
	out  *source.Located
}

func (l *locator) read(in *incoming) error {
	head := in.raw
	if in.body != nil {
		head = in.header[:]
	}
	h, ok := binlog.ParseHeader(head)
	if !ok {
		return fault.New(fault.SourceProtocol, "an event of %d bytes", len(head))
	}
	const artificial = 0x20
	if l.kind = h.Type; h.Type == binlog.FormatDescription {
		l.format = true
	}
	switch {
	case h.Type == binlog.RotateEvent && l.format:
		return errEnough // the end of the file
	case !l.format || h.Flags&artificial != 0 && h.Type != binlog.FormatDescription || isHeartbeat(head):
		return nil // made up for this connection
	case h.Type == binlog.PreviousGTIDs && l.set != nil:
		before, err := previousGTIDs(in.raw, &binlog.Format{Checksum: l.tell.Checksums()})
		if err != nil {
			return err
		}
		l.set = before
	}
	if err := l.push(in); err != nil {
		return err
	}
	_, off, next := l.tell.Where()
	began := !l.open
	l.open = l.tell.Open()
	switch h.Type {
	case binlog.FormatDescription, binlog.PreviousGTIDs, binlog.GTIDList, binlog.StartEncryption:
		return nil
	}
	if off < l.at.offset {
		if l.at.offset < next && h.Type != binlog.TransactionPayload {
			return fault.New(fault.SourcePositionUnknown, "no event begins at this place").At(fault.Where{File: l.at.file, Offset: l.at.offset})
		}
		return nil
	}
	if began && l.of.Events == 0 && l.of.Rows == 0 { // the place is before this transaction
		return errEnough
	}
	l.count++
	return nil
}

func (l *locator) push(in *incoming) error {
	if in.body == nil {
		return l.tell.Push(in.raw)
	}
	if err := l.tell.PushStream(in.header[:], in.body); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in.body)
	return err
}

// rows weighs an event of n rows, -1 where they could not be counted.
func (l *locator) rows(n int64) {
	_, off, next := l.tell.Where()
	switch inside := l.kind == binlog.TransactionPayload; {
	case next <= l.at.offset:
		l.take(n)
	case inside && (off < l.at.offset || l.of.Events+l.of.Rows > 0):
		l.vague = true // the other reader counted the events that are compressed
	case off < l.at.offset || l.count < l.of.Events:
		l.take(n)
	case l.count > l.of.Events || l.of.Rows == 0:
		l.left = true
	case n >= 0 && uint64(n) <= l.of.Rows:
		l.take(n)
	default:
		l.take(int64(l.of.Rows))
		l.left = true
	}
}

func (l *locator) take(n int64) {
	l.taken = true
	if n < 0 || l.again < 0 {
		l.again = -1
		return
	}
	l.again += n
}

// txn looks at a transaction that has ended.
func (l *locator) txn(x *binlog.Surveyed) error {
	inside := x.Off < l.at.offset
	whole := !l.left && (l.taken || inside) && (!l.vague || l.at.offset >= x.Next)
	switch {
	case x.Next <= l.at.offset, whole:
		if l.set != nil {
			l.set.Add(x.GTID)
		}
		l.out.Offset = x.Next
	default:
		l.out.Offset = x.Off
		if l.out.Again = l.again; l.vague {
			l.out.Again = -1
		}
	}
	l.taken, l.left, l.vague, l.again = false, false, false, 0
	if x.Next <= l.at.offset {
		return nil
	}
	if inside || whole || l.out.Again != 0 {
		l.out.Inside, l.out.Began, l.out.Whole = x.GTID, x.Off, whole
	}
	l.done = true
	return errEnough
}

// end says where to go on, when the file was read as far as it matters.
func (l *locator) end() error {
	if !l.done {
		if l.open && l.count > 0 {
			return fault.New(fault.SourcePositionUnknown, "the transaction at this place has not ended").At(fault.Where{File: l.at.file, Offset: l.at.offset})
		}
		l.out.Offset = l.at.offset
	}
	l.out.File, l.out.GTIDs = l.at.file, l.set
	return nil
}
