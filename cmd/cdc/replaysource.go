package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"cdc/checkpoint"
	"cdc/checkpoint/spool"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	again "cdc/recovery/replay"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/source/live"
)

// replaySource is the source of a replay, with how far it is.
type replaySource struct {
	source.Source
	files  *files.Source // nil for a server
	first  *event.Batch  // says where the stream begins
	byFile bool
	sizes  map[string][2]int64 // of files: bytes before it, and its own
	total  int64

	done   atomic.Int64 // bytes of files
	began  atomic.Int64 // of a server: commit time of the first transaction, microseconds
	commit atomic.Int64 // and of the last one
	until  int64        // and where it ends, about
}

// Read gives the next batch.
func (s *replaySource) Read(ctx context.Context) (*event.Batch, error) {
	if b := s.first; b != nil {
		s.first = nil
		return b, nil
	}
	b, err := s.Source.Read(ctx)
	if s.files != nil {
		at := s.files.Place()
		if z, ok := s.sizes[at.File]; ok {
			s.done.Store(z[0] + int64(at.Offset))
		}
	}
	if err != nil {
		return nil, err
	}
	if n := len(b.Txns); n > 0 {
		s.began.CompareAndSwap(0, b.Txns[0].Commit)
		s.commit.Store(b.Txns[n-1].Commit)
	}
	if s.byFile && s.files != nil {
		b.Pos.GTIDs = nil // some transactions have them and others have not
	}
	return b, nil
}

// ByFile reports that places are kept by file and offset.
func (s *replaySource) ByFile() bool {
	if s.files != nil {
		return s.byFile
	}
	f, ok := s.Source.(source.Filer)
	return ok && f.ByFile()
}

// fraction is how much was read, from 0 to 1; ok is false while it is not known.
func (s *replaySource) fraction() (f float64, ok bool) {
	if s.files != nil {
		return min(1, float64(s.done.Load())/float64(max(1, s.total))), s.total > 0
	}
	began, commit := s.began.Load(), s.commit.Load()
	if began == 0 || s.until <= began {
		return 0, false
	}
	return min(1, float64(commit-began)/float64(s.until-began)), true
}

var (
	_ source.Source = (*replaySource)(nil)
	_ source.Filer  = (*replaySource)(nil)
)

// measure finds out how many bytes there are to read.
func (s *replaySource) measure(paths []string, stop files.Bound) error {
	s.sizes = map[string][2]int64{}
	for _, p := range paths {
		size, err := files.Size(p)
		if err != nil {
			return err
		}
		base := files.Name(p)
		s.sizes[base] = [2]int64{s.total, size}
		if stop.File == p || stop.File == base {
			s.total += min(int64(stop.Offset), size)
			return nil
		}
		s.total += size
	}
	return nil
}

// openFiles reads the files from the first on in each run, since their statements say what the tables look like; what was carried is passed over.
func (r *replayRun) openFiles(rec *checkpoint.Record, pool *event.Pool, batch int64) (*replaySource, error) {
	s := &replaySource{byFile: !r.state.ByGTID}
	if err := s.measure(r.paths, r.stop); err != nil {
		return nil, err
	}
	catalog := schemas.NewCatalog(r.flavor, r.head.Server.Number())
	var entries []schemas.Entry
	next := uint64(1)
	if r.o.dump != "" {
		f, err := os.Open(r.o.dump)
		if err != nil {
			return nil, fault.New(fault.UsageInvalid, "--schema-dump: %w", err)
		}
		defer f.Close()
		if entries, err = schemas.ParseDump(f, schemas.DumpOptions{Flavor: r.flavor, Version: r.head.Server.Number()}); err != nil {
			return nil, err
		}
		next = schemas.Number(entries, 0) + 1
		for i := range entries {
			catalog.Replay(&entries[i])
		}
	}
	dir, err := os.MkdirTemp("", "cdc-xa-") // each run spools the rows of prepared transactions anew
	if err != nil {
		return nil, fault.New(fault.RecoverySpace, "make a temporary folder: %w", err)
	}
	r.clean = append(r.clean, func() { _ = os.RemoveAll(dir) })
	if r.spool, err = spool.Open(dir, nil); err != nil {
		return nil, err
	}
	r.clean = append(r.clean, func() { _ = r.spool.Close() })
	start := r.start
	if rec.Txns > 0 {
		start = files.Bound{File: rec.File, Offset: rec.Offset}
	}
	s.files, err = files.Open(files.Config{
		Paths: r.paths, Pool: pool, Start: start, Stop: r.stop, Choose: r.plan.Choose,
		Binlog: binlog.Config{
			Flavor: r.flavor, Select: r.sel.Match, SelectDatabase: r.sel.MatchDatabase, Catalog: catalog, NextSeq: next, Spool: spoolFor{r.spool},
			MaxRow: int64(r.cfg.MaxRow), BatchBytes: batch,
		},
	})
	if err != nil {
		return nil, err
	}
	s.Source = s.files
	b := pool.Get()
	b.History = append(b.History, entries...)
	if rec.Saved == 0 {
		server := r.head.Server
		b.Pos = event.Position{File: files.Name(r.paths[0]), Offset: 4, Server: &server}
		if r.state.ByGTID {
			b.Pos.GTIDs = r.plan.Behind.Clone()
			if b.Pos.GTIDs == nil {
				b.Pos.GTIDs = gtid.NewSet(r.flavor)
			}
		}
	}
	b.Received = time.Now().UnixMicro()
	s.first = b
	return s, nil
}

// openServer follows the source from where the replay is.
func (r *replayRun) openServer(ctx context.Context, rec *checkpoint.Record, pool *event.Pool, batch int64) (*replaySource, error) {
	start := live.Start{Kind: live.StartCheckpoint, GTIDs: rec.GTIDs, File: rec.File, Offset: rec.Offset, Server: rec.Server}
	if rec.Time != 0 {
		start.Time = time.UnixMicro(rec.Time)
	}
	catalog := schemas.NewCatalog(r.flavor, rec.Server.Number())
	if rec.Saved == 0 {
		start, catalog = r.begin, nil
	} else if err := r.store.Rewind(ctx, r.name, rec.SchemaSeq, func(e *schemas.Entry) error {
		catalog.Replay(e)
		return nil
	}); err != nil {
		return nil, err
	}
	keep := make([]string, 0, len(rec.XA))
	for _, x := range rec.XA {
		keep = append(keep, x.Spool)
	}
	dir := filepath.Join(r.dir, "spool")
	if r.o.dry {
		var err error
		if dir, err = os.MkdirTemp("", "cdc-xa-"); err != nil {
			return nil, fault.New(fault.RecoverySpace, "make a temporary folder: %w", err)
		}
		r.clean = append(r.clean, func() { _ = os.RemoveAll(dir) })
	}
	var err error
	if r.spool, err = spool.Open(dir, keep); err != nil {
		return nil, err
	}
	r.clean = append(r.clean, func() { _ = r.spool.Close() })
	src, err := live.Open(ctx, live.Options{
		Config: *r.cfg.Source.server(), Flavor: r.flavor, Stream: r.cfg.reader(r.name), Start: start, Stop: r.end, Select: r.sel, Catalog: catalog,
		NextSeq: rec.SchemaSeq + 1, XA: rec.XA, Spool: spoolFor{r.spool}, Pool: pool, MaxRow: int64(r.cfg.MaxRow), BatchBytes: batch, Log: r.log, Choose: r.plan.Choose,
	})
	if err != nil {
		return nil, err
	}
	s := &replaySource{Source: src, until: time.Now().UnixMicro()}
	if !r.end.Time.IsZero() {
		s.until = min(s.until, r.end.Time.UnixMicro())
	}
	return s, nil
}

// look goes through the files before anything is carried.
func (r *replayRun) look(ctx context.Context) (*again.Look, error) {
	l := again.NewLook(r.plan, r.plan.Behind, r.head.Before)
	err := files.Survey(ctx, files.Config{Paths: r.paths, Start: r.start, Stop: r.stop}, binlog.SurveyConfig{Select: r.sel.Match, Txn: l.Add})
	if errors.Is(err, again.ErrEnough) {
		err = nil
	}
	return l, err
}

// filesStore keeps the places of a replay of files, and not what their first event on says of tables and prepared transactions: each run reads that anew.
type filesStore struct{ checkpoint.Store }

// Save saves a place.
func (s filesStore) Save(ctx context.Context, stream string, rec checkpoint.Record) error {
	rec.SchemaSeq, rec.XA = 0, nil
	return s.Store.Save(ctx, stream, rec)
}
