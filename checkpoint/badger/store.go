package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/schemas"
)

// Names in the folder.
const (
	databaseDir   = "badger"
	streamsDir    = "streams"
	lockFile      = "lock"
	formatFile    = "format"
	openingFile   = "opening"
	slotPrefix    = "record."
	logFile       = "history"
	importFile    = "importing"
	damagedPrefix = "badger.damaged-"

	formatMark    = "cdc checkpoint "
	formatVersion = 1
)

// Store keeps records and histories in one folder. It is safe for concurrent use; calls for one stream wait for each other.
type Store struct {
	dir  string
	opt  Options
	lock *os.File
	kv   *kv // nil when read-only

	mu       sync.RWMutex // held for reading by every call, for writing by Close
	closed   bool
	wmu      sync.Mutex // guards what follows
	streams  map[string]*stream
	warnings []string
	sealed   map[string]bool // Badger's files whose modes were set
	broken   error           // a write of Badger failed: what it holds is not known any more
}

// stream is what is known of one stream once its places were compared.
type stream struct {
	mu sync.Mutex
	state
}

type state struct {
	ready bool
	found bool
	rec   checkpoint.Encoded // the newest
	last  uint64             // length of the history
	end   int64              // of the plain copy of the history
}

var (
	_ checkpoint.Store = (*Store)(nil)
	_ schemas.History  = (*Store)(nil)
)

// Open opens the checkpoint folder dir, making it where it is missing. The errors are faults: CheckpointLocked, CheckpointDiskFull,
// CheckpointVersion, CheckpointCorrupt, CheckpointIO.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	s := &Store{dir: dir, opt: o.withDefaults(), streams: map[string]*stream{}}
	if err := s.open(ctx); err != nil {
		var cerr error
		if s.lock != nil {
			cerr = s.lock.Close()
		}
		return nil, errors.Join(ioFault("open checkpoint", err), cerr)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if s.opt.ReadOnly {
		fi, err := os.Stat(s.dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
			return fault.New(fault.CheckpointMissing, "there is no checkpoint folder").At(fault.Where{File: s.dir})
		}
		if err != nil {
			return err
		}
		return s.readFormat()
	}
	if err := s.makeDir(s.dir); err != nil {
		return err
	}
	var err error
	if s.lock, err = lockDir(s.dir); err != nil {
		return err
	}
	if err := s.room(0); err != nil {
		return err
	}
	if err := s.readFormat(); err != nil {
		return err
	}
	if err := s.makeDir(filepath.Join(s.dir, streamsDir)); err != nil {
		return err
	}
	if err := s.sealTree(); err != nil {
		return err
	}
	return s.openDatabase(ctx)
}

// openDatabase starts Badger, and where its files are damaged sets them aside and starts an empty one, which the plain copies then fill.
func (s *Store) openDatabase(ctx context.Context) error {
	dir := filepath.Join(s.dir, databaseDir)
	mark := filepath.Join(s.dir, openingFile)
	if err := ctx.Err(); err != nil {
		return err
	}
	// Badger ends the process when some of its files are damaged in certain ways, from goroutines of its own, and would do so again at each
	// start. The mark counts the processes that ended in here. One may have been killed; after the second the files are to blame.
	deaths := 0
	if text, err := os.ReadFile(mark); err == nil {
		deaths = 1 + len(text)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if deaths > 1 && s.copiesExist() {
		if err := s.setAside("processes ended while it was being opened"); err != nil {
			return err
		}
		deaths = 0
	}
	if deaths > 0 && unborn(dir) {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := s.makeDir(dir); err != nil {
		return err
	}
	if err := replaceFile(mark, bytes.Repeat([]byte{'x'}, min(deaths, 9))); err != nil {
		return err
	}
	k, err := openKV(dir, s.opt.Logger)
	if err != nil && !environmental(err) && s.copiesExist() {
		if err := s.setAside(err.Error()); err != nil {
			return err
		}
		if err := s.makeDir(dir); err != nil {
			return err
		}
		k, err = openKV(dir, s.opt.Logger)
	}
	if err != nil {
		// The process lives, so the mark has nothing to say.
		code := fault.CheckpointCorrupt
		if environmental(err) {
			code = fault.CheckpointIO
		}
		return errors.Join(fault.New(code, "open the database: %w", err).At(fault.Where{File: dir}), os.Remove(mark))
	}
	s.kv = k
	err = s.sealFiles()
	if err == nil {
		err = os.Remove(mark)
	}
	if err != nil {
		return errors.Join(err, k.close())
	}
	return nil
}

// unborn reports that the database in a folder was never opened whole, as a process leaves it that is killed while it makes it: its first value log, of
// which the making is the last step, is empty, and there are no tables. It holds nothing.
func unborn(dir string) bool {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	logs, lerr := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil || lerr != nil || len(tables) > 0 || len(logs) != 1 {
		return false
	}
	st, err := os.Stat(logs[0])
	return err == nil && st.Size() == 0
}

// setAside moves the database out of the way. It is kept for whoever wants to look into it.
func (s *Store) setAside(why string) error {
	for i := 1; ; i++ {
		to := filepath.Join(s.dir, damagedPrefix+strconv.Itoa(i))
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		err := os.Rename(filepath.Join(s.dir, databaseDir), to)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		s.warn("the checkpoint's database is damaged: it was set aside and is filled anew from the plain copies", "aside", to, "cause", why)
		return syncDir(s.dir)
	}
}

// copiesExist says whether there is a plain copy of any record.
func (s *Store) copiesExist() bool {
	list, err := filepath.Glob(filepath.Join(s.dir, streamsDir, "*", slotPrefix+"?"))
	return err == nil && len(list) > 0
}

// asideExists says whether a database was ever set aside in this folder.
func (s *Store) asideExists() bool {
	list, err := filepath.Glob(filepath.Join(s.dir, damagedPrefix+"*"))
	return err != nil || len(list) > 0
}

func (s *Store) streamDir(stream string) string { return filepath.Join(s.dir, streamsDir, stream) }
func (s *Store) logPath(stream string) string   { return filepath.Join(s.streamDir(stream), logFile) }

func (s *Store) warn(text string, args ...any) {
	s.opt.Logger.Warn("checkpoint", append([]any{"what", text}, args...)...)
	var b strings.Builder
	b.WriteString(text)
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&b, ", %v %v", args[i], args[i+1])
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.warnings = append(s.warnings, b.String())
}

// Warnings gives what was repaired since Open, a line each. All of it was logged too.
func (s *Store) Warnings() []string {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	return slices.Clone(s.warnings)
}

var errClosed = errors.New("checkpoint: closed")

// enter begins a call for a stream and gives the function that ends it. It compares the stream's places when that was not done yet.
func (s *Store) enter(ctx context.Context, name string, write bool) (*stream, func(), error) {
	st, leave, err := s.begin(ctx, name, write)
	if err != nil {
		return nil, nil, err
	}
	if !st.ready || s.opt.ReadOnly { // a reader looks anew each time: a running process may have saved
		if err := s.prepare(ctx, name, st); err != nil {
			leave()
			return nil, nil, ioFault("checkpoint of "+name, err)
		}
	}
	return st, leave, nil
}

func (s *Store) begin(ctx context.Context, name string, write bool) (*stream, func(), error) {
	if err := checkpoint.CheckStream(name); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return nil, nil, errClosed
	}
	s.wmu.Lock()
	st := s.streams[name]
	if st == nil {
		st = &stream{}
		s.streams[name] = st
	}
	broken := s.broken
	s.wmu.Unlock()
	if write {
		var err error
		switch {
		case s.opt.ReadOnly:
			err = fault.New(fault.CheckpointIO, "the checkpoint is open for reading only")
		case broken != nil:
			err = fault.New(fault.CheckpointIO, "an earlier write failed, so the checkpoint must be opened anew: %w", broken)
		}
		if err != nil {
			s.mu.RUnlock()
			return nil, nil, err
		}
	}
	st.mu.Lock()
	return st, func() { st.mu.Unlock(); s.mu.RUnlock() }, nil
}

// wrote ends a write of Badger. After a failed one nobody knows what is on disk: a sync that fails once may claim success the next time.
func (s *Store) wrote(err error) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if err != nil {
		s.broken = err
		return fault.New(fault.CheckpointIO, "write: %w", err).At(fault.Where{File: filepath.Join(s.dir, databaseDir)})
	}
	return s.sealFiles()
}

// Load gives the record of a stream, or checkpoint.ErrNone. Where a copy was damaged and another is whole and certainly the newest, it is
// that one, and Warnings says so; else fault.CheckpointCorrupt.
func (s *Store) Load(ctx context.Context, name string) (checkpoint.Record, error) {
	st, leave, err := s.enter(ctx, name, false)
	if err != nil {
		return checkpoint.Record{}, err
	}
	defer leave()
	if !st.found {
		return checkpoint.Record{}, checkpoint.ErrNone
	}
	return clone(st.rec.Record), nil
}

func clone(r checkpoint.Record) checkpoint.Record {
	if r.GTIDs != nil {
		r.GTIDs = r.GTIDs.Clone()
	}
	r.XA = slices.Clone(r.XA)
	r.SinkState = slices.Clone(r.SinkState)
	return r
}

// Save replaces the record of a stream. It is durable in two places when Save returns. A record may not need more of the history than was
// appended. Saved is set where it is 0.
func (s *Store) Save(ctx context.Context, name string, r checkpoint.Record) error {
	st, leave, err := s.enter(ctx, name, true)
	if err != nil {
		return err
	}
	defer leave()
	return ioFault("save "+name, s.save(name, st, r))
}

func (s *Store) save(name string, st *stream, r checkpoint.Record) error {
	if r.SchemaSeq > st.last {
		return fault.New(fault.PipelineInternal, "a record needs schema entry %d, the history ends at %d", r.SchemaSeq, st.last)
	}
	r = clone(r)
	if len(r.SinkState) == 0 {
		r.SinkState = nil
	}
	if r.Saved == 0 {
		r.Saved = s.opt.Now().UnixMicro()
	}
	e := checkpoint.Encoded{Stream: name, Generation: st.rec.Generation + 1, Record: r}
	b := checkpoint.Encode(e)
	if err := s.room(len(b)); err != nil {
		return err
	}
	if err := s.makeDir(s.streamDir(name)); err != nil {
		return err
	}
	// The generation is not moved on by a failed save, so the next one takes the same slot and leaves the record before alone.
	if err := replaceFile(s.slot(name, e.Generation), b); err != nil {
		return err
	}
	if err := s.wrote(s.kv.putRecord(name, b, e.Generation)); err != nil {
		return err
	}
	st.rec, st.found = e, true
	return nil
}

// Streams lists the streams that have a record, sorted.
func (s *Store) Streams(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	var names []string
	if s.kv != nil {
		list, err := s.kv.streams()
		if err != nil {
			return nil, fault.New(fault.CheckpointCorrupt, "list streams: %w", err)
		}
		names = list
	}
	slots, err := filepath.Glob(filepath.Join(s.dir, streamsDir, "*", slotPrefix+"[01]"))
	if err != nil {
		return nil, ioFault("list streams", err)
	}
	for _, p := range slots {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Close ends the use of the folder. On a file system that is nearly full Badger is left as a kill would leave it, which loses nothing,
// since its closing writes.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.kv == nil {
		return nil
	}
	if !s.mayClose() {
		return nil // the lock stays with the process, as the abandoned database does
	}
	err := s.kv.close()
	s.wmu.Lock()
	serr := s.sealFiles()
	s.wmu.Unlock()
	return ioFault("close checkpoint", errors.Join(err, serr, s.lock.Close()))
}

// mayClose says whether there is space for what Badger writes when it is closed.
func (s *Store) mayClose() bool {
	free, err := s.opt.free(s.dir)
	ok := err == nil && free >= closeFree
	if !ok {
		s.warn("too little space to close the checkpoint's database: it is left as it is", "free", free, "error", err)
	}
	return ok
}
