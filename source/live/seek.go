package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source/binlog"
)

// resolve finds the place that Start means.
func (s *Source) resolve(ctx context.Context, sess *login, f *facts) (origin, error) {
	st := &s.opt.Start
	o := origin{fresh: true}
	var err error
	switch st.Kind {
	case StartCheckpoint:
		o.fresh = false
		o.at = place{st.File, st.Offset}
		if s.useGTID {
			o.gtids = st.GTIDs.Clone()
		}
		return o, nil
	case StartNow:
		o.head = true
		o.at, o.gtids, err = f.head(ctx, sess)
	case StartGTIDs:
		return s.resolveGTIDs(f)
	case StartView:
		o.at, o.gtids, o.view = place{st.File, st.Offset}, st.GTIDs.Clone(), true
		if s.useGTID && o.gtids == nil {
			o.gtids = gtid.NewSet(f.flavor)
		}
	case StartEarliest:
		var files []logFile
		if files, err = sess.binlogs(ctx); err == nil {
			o.at, o.gtids, err = s.seek(ctx, sess, f, place{files[0].name, firstEvent}, time.Time{})
		}
	case StartFile:
		var files []logFile
		if files, err = sess.binlogs(ctx); err == nil {
			if err = checkFile(place{st.File, st.Offset}, files, f.address); err == nil {
				o.at, o.gtids, err = s.seek(ctx, sess, f, place{st.File, st.Offset}, time.Time{})
			}
		}
	case StartTime:
		o.at, o.gtids, err = s.seekTime(ctx, sess, f, st.Time)
	default:
		err = fmt.Errorf("start of kind %d", st.Kind)
	}
	if !s.useGTID {
		o.gtids = nil
	}
	return o, err
}

func (s *Source) resolveGTIDs(f *facts) (origin, error) {
	st := &s.opt.Start
	o := origin{fresh: true, gtids: st.GTIDs.Clone()}
	where := fault.Where{Server: f.address}
	if !s.useGTID {
		return o, fault.New(fault.SourceGTIDMode, "a start behind a GTID set needs GTIDs, and they are off (gtid_mode is %q)", f.vars["gtid_mode"]).At(where)
	}
	if !o.gtids.Empty() && o.gtids.Flavor() != f.flavor {
		return o, fault.New(fault.SourceOtherServer, "the place to start at has GTIDs of %s, and a %s server answers", o.gtids.Flavor(), f.flavor).At(where)
	}
	if f.flavor == gtid.MariaDB && !o.gtids.Empty() {
		if missing := missingDomains(o.gtids, f.executed); len(missing) > 0 {
			return o, fault.New(fault.SourceDomainMissing, "the GTID position says nothing of %v, which the server has", missing).At(where)
		}
	}
	return o, nil
}

// prepareStop finds out what Stop means on this server.
func (s *Source) prepareStop(ctx context.Context, sess *login, f *facts) error {
	st := &s.opt.Stop
	switch {
	case st.Now && s.useGTID:
		s.stop.want = f.executed
	case st.Now:
		p, _, err := f.head(ctx, sess)
		if err != nil {
			return err
		}
		s.stop.stop.File, s.stop.stop.Offset = p.file, p.offset
	case !st.GTIDs.Empty():
		if !s.useGTID || st.GTIDs.Flavor() != f.flavor {
			return fault.New(fault.SourceGTIDMode, "an end at a GTID set needs GTIDs, and this server's are not used").At(fault.Where{Server: f.address})
		}
		s.stop.want = st.GTIDs
	}
	if s.stop.want != nil {
		s.stop.have = s.done.Clone()
	}
	return nil
}

// seekTime finds the first transaction that was committed at t or later: first the file, by the times at which files were begun, then the
// transaction in it.
func (s *Source) seekTime(ctx context.Context, sess *login, f *facts, t time.Time) (place, *gtid.Set, error) {
	files, err := sess.binlogs(ctx)
	if err != nil {
		return place{}, nil, err
	}
	var failed error
	i, _ := slices.BinarySearchFunc(files, t, func(l logFile, t time.Time) int {
		if failed != nil {
			return 1
		}
		begun, err := s.begun(ctx, f, l.name)
		if err != nil {
			failed = err
			return 1
		}
		return begun.Compare(t)
	})
	if failed != nil {
		return place{}, nil, failed
	}
	return s.seek(ctx, sess, f, place{files[max(i-1, 0)].name, firstEvent}, t)
}

// begun gives the time at which a file was begun.
func (s *Source) begun(ctx context.Context, f *facts, file string) (t time.Time, err error) {
	err = s.side(ctx, f, dumpRequest{from: place{file, firstEvent}}, func(in *incoming) error {
		if h, ok := binlog.ParseHeader(in.raw); ok && h.Type == binlog.FormatDescription {
			t = time.Unix(int64(h.Time), 0)
			return errEnough
		}
		return nil
	})
	return t, err
}

var errEnough = errors.New("nothing more is needed")

// side opens a connection of its own that reads without waiting at the end, and calls yield with each event. It has no identity, so that it
// does not drive out the main one. Large rows events are left out.
func (s *Source) side(ctx context.Context, f *facts, q dumpRequest, yield func(in *incoming) error) error {
	return s.sideAll(ctx, f, q, func(in *incoming) error {
		if in.body != nil && binlog.EventType(in.header[4]).IsRows() {
			_, err := io.Copy(io.Discard, in.body)
			return err
		}
		return yield(in)
	})
}

// sideAll is side with every event; yield reads the large ones to their end.
func (s *Source) sideAll(ctx context.Context, f *facts, q dumpRequest, yield func(in *incoming) error) error {
	sess, err := connect(ctx, &s.cfg)
	if err != nil {
		return err
	}
	defer sess.Close()
	q.nonBlock = true
	d, err := startDump(ctx, sess, f, &s.cfg, q, s.limit)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, sess.Close)
	defer stop()
	var in incoming
	for {
		var soon time.Time
		if !d.whole() {
			soon = time.Now().Add(d.patience())
		}
		err := d.take(&in, soon, func(head []byte) bool {
			t := binlog.EventType(head[4])
			return t == binlog.TransactionPayload || t.IsRows()
		})
		if err == nil {
			err = yield(&in)
		}
		switch {
		case err == nil:
		case errors.Is(err, errEnd), errors.Is(err, errEnough):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			return d.fault(err)
		}
	}
}

// seek finds, from the beginning of a file on, the place p or, if t is given, the first transaction committed at t or later. With GTIDs it
// gives the set of all transactions before, too. A place inside a transaction is an error.
func (s *Source) seek(ctx context.Context, sess *login, f *facts, p place, t time.Time) (place, *gtid.Set, error) {
	found := p
	var set *gtid.Set
	if s.useGTID && f.flavor == gtid.MySQL {
		set = gtid.NewSet(gtid.MySQL)
	}
	unfit := func(txn *event.Txn) error {
		return fault.New(fault.SourcePositionUnknown, "the place lies inside the transaction %s, which begins at %d and ends at %d", txn.GTID, txn.Off, txn.Next).
			At(fault.Where{File: p.file, Offset: p.offset, Server: f.address})
	}
	w := newWalker(f)
	err := s.side(ctx, f, dumpRequest{from: place{p.file, firstEvent}}, func(in *incoming) error {
		if h, ok := binlog.ParseHeader(in.raw); ok && h.Type == binlog.PreviousGTIDs && set != nil && set.Empty() {
			before, err := previousGTIDs(in.raw, w.asm.Format())
			if err != nil {
				return err
			}
			set = before
		}
		err := w.push(in, func(txn *event.Txn) error {
			if t.IsZero() {
				switch {
				case txn.File != p.file || txn.Off >= p.offset:
					return errEnough
				case txn.Next > p.offset:
					return unfit(txn)
				}
			} else {
				if txn.Commit >= t.UnixMicro() {
					found = place{txn.File, txn.Off}
					return errEnough
				}
				found = place{txn.File, txn.Next}
			}
			if set != nil {
				set.Add(txn.GTID)
			}
			return nil
		})
		if err != nil || !t.IsZero() {
			return err
		}
		file, offset := w.asm.Where()
		ready := set == nil || w.prior // the transactions of older files are known
		if file != "" && (file != p.file || offset >= p.offset) && ready && !w.asm.Open() {
			return errEnough
		}
		return nil
	})
	if err != nil {
		return p, nil, err
	}
	if !t.IsZero() && f.flavor == gtid.MySQL && set == nil {
		return found, nil, nil
	}
	if s.useGTID && f.flavor == gtid.MariaDB {
		set, err = f.gtidsAt(ctx, sess, found)
	}
	return found, set, err
}

// walker finds the transactions of a stream without looking at their rows.
type walker struct {
	asm   *binlog.Assembler
	batch *event.Batch
	pool  event.Pool
	seen  int
	prior bool // the event that names the transactions of older files has passed
}

func newWalker(f *facts) *walker {
	w := &walker{}
	w.asm = binlog.NewAssembler(binlog.Config{
		Flavor: f.flavor, Decrypted: true, Select: func(string, string) bool { return false }, Catalog: schemas.NewCatalog(f.flavor, f.version),
	})
	w.batch = w.pool.Get()
	return w
}

// push takes one event and calls yield with each transaction that it ended.
func (w *walker) push(in *incoming, yield func(txn *event.Txn) error) error {
	if h, ok := binlog.ParseHeader(in.raw); ok && (h.Type == binlog.PreviousGTIDs || h.Type == binlog.GTIDList) {
		w.prior = true
	}
	for {
		var again bool
		var err error
		if in.body != nil {
			again, err = w.asm.PushStream(w.batch, in.header[:], in.body, in.size)
		} else {
			again, err = w.asm.Push(w.batch, in.raw)
		}
		if err != nil {
			return err
		}
		for ; w.seen < len(w.batch.Txns); w.seen++ {
			txn := &w.batch.Txns[w.seen]
			if !txn.End {
				break
			}
			if err := yield(txn); err != nil {
				return err
			}
		}
		if again || w.asm.Full(w.batch) || len(w.batch.Txns) > 1000 && !w.asm.Open() {
			w.batch.Release()
			w.batch, w.seen = w.pool.Get(), 0
		}
		if !again {
			return nil
		}
	}
}

// previousGTIDs reads the event at the beginning of a file that names the transactions of all files before.
func previousGTIDs(raw []byte, format *binlog.Format) (*gtid.Set, error) {
	body := raw[binlog.HeaderSize:]
	if format != nil && format.Checksum {
		if len(body) < binlog.ChecksumSize {
			return nil, fault.New(fault.BinlogMalformed, "a PREVIOUS_GTIDS event of %d bytes", len(raw))
		}
		body = body[:len(body)-binlog.ChecksumSize]
	}
	set, err := gtid.ParseDump(body)
	if err != nil {
		return nil, fault.New(fault.BinlogMalformed, "PREVIOUS_GTIDS event: %w", err)
	}
	return set, nil
}
