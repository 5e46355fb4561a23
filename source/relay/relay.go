package relay

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/source"
	"cdc/source/binlog"
)

// Options of Open.
type Options struct {
	Dir     string
	Flavor  gtid.Flavor
	Retain  time.Duration // how long files stay that nobody needs any more
	MaxSize int64         // bytes that all files together may have; 0 is no limit
	MinFree int64         // free bytes on the disk below which reading waits
	// Needs says how far each reader has come that goes on here, also while it does not run; nil for one that has not begun.
	Needs func() map[string]*source.Place
	// Archive names the place to which Ship sends closed files, which none leaves before; "" is none.
	Archive string
	// Synced, where it is not nil, is called when so many bytes of a file have become durable, before anybody else is told.
	Synced func(path string, size int64)
	Log    *slog.Logger
}

// Defaults of the settings.
const (
	DefaultRetain  = 72 * time.Hour
	DefaultMinFree = 128 << 20
)

// State is what the copying does.
type State string

// States of a relay.
const (
	StateConnecting State = "connecting"
	StateStreaming  State = "streaming"
	StateWaiting    State = "waiting to reconnect"
	StateFull       State = "waiting for space"
	StatePaused     State = "paused"
	StateStopped    State = "stopped"
	StateFailed     State = "failed"
)

// Relay is a folder of binlogs that one process writes and many readers of that process follow.
type Relay struct {
	opt  Options
	log  *slog.Logger
	lock *os.File

	tidying  sync.Mutex // held while files are removed and the index is written; before mu
	waitsFor *segment   // of which was said that it holds up the removal; under tidying

	mu      sync.Mutex
	segs    []*segment
	folder  *folder // of the newest, or the next, file; nil before there is any
	done    *gtid.Set
	next    source.Place  // where the relay goes on: File and Offset
	began   bool          // done and next are known
	changed chan struct{} // closed and renewed when readers have something to look at
	head    bool
	beats   int // heartbeats at the head
	status  Status
	failure error
	free    func(path string) (uint64, error)
	paused  bool
	pausing chan struct{} // closed and renewed when paused changes
	hangUp  func()        // ends the connection that is in use
	forced  bool
	closed  bool

	id       string // of the relay's part of the archive
	shipping ArchiveStatus
}

// Status is what an operator wants to know.
type Status struct {
	State      State
	Since      time.Time
	LastError  error // why the last connection ended
	Reconnects int
	Origin     source.Origin
	Written    int64 // bytes since Open
	Syncs      int64
	Acks       int64
}

// Open takes the folder, and cuts off what a crash left behind the last whole transaction.
func Open(ctx context.Context, opt Options) (*Relay, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Needs == nil {
		opt.Needs = func() map[string]*source.Place { return nil }
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fault.New(fault.RelayWrite, "make the relay's folder: %w", err)
	}
	r := &Relay{opt: opt, log: opt.Log, changed: make(chan struct{}), pausing: make(chan struct{}), free: freeBytes}
	r.status = Status{State: StateConnecting, Since: time.Now()}
	if err := r.takeLock(); err != nil {
		return nil, err
	}
	if err := r.restore(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Relay) takeLock() error {
	path := filepath.Join(r.opt.Dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.New(fault.RelayWrite, "lock the relay's folder: %w", err)
	}
	busy, err := tryLock(f)
	if err == nil && !busy {
		r.lock = f
		return nil
	}
	_ = f.Close()
	if err != nil {
		return fault.New(fault.RelayWrite, "lock the relay's folder: %w", err)
	}
	return fault.New(fault.RelayLocked, "the relay is in use").At(fault.Where{File: path})
}

// restore reads what is there.
func (r *Relay) restore(ctx context.Context) error {
	list, last, err := load(r.opt.Dir)
	if err != nil {
		return err
	}
	if err := r.sweep(list); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(r.opt.Dir, forcedName)); err == nil {
		r.forced = true
	}
	if r.opt.Archive != "" {
		if err := r.identify(); err != nil {
			return err
		}
	}
	order, err := ReadPaused(r.opt.Dir)
	if err != nil {
		return err
	}
	r.paused = order != nil
	r.folder = last
	if len(list) == 0 {
		return nil
	}
	s := list[len(list)-1]
	was := s.size
	done := clone(s.begin)
	f, err := s.scan(ctx, was, func(o binlog.Outlined) {
		if done != nil && !o.GTID.IsZero() {
			done.Add(o.GTID)
		}
	})
	if err != nil {
		return err
	}
	if f.txns == 0 && f.why != nil { // nothing of worth is in it, and of a damaged format description nothing else would tell: it is begun again
		f.size, f.end = 0, s.from
	}
	s.size, s.end, s.last = f.size, f.end, f.last
	if f.size < was || f.size == 0 {
		why := "it ends inside of a transaction"
		if f.why != nil {
			why = f.why.Error()
		}
		r.log.Warn("relay: cut back to the last whole transaction", "file", s.path, "from", was, "to", f.size, "bytes", was-f.size, "why", why)
		if err := s.cut(); err != nil {
			return err
		}
	}
	r.next = source.Place{File: s.name, Offset: s.end}
	if s.size == 0 {
		list = list[:len(list)-1]
	}
	r.segs = list
	if len(list) > 0 { // else what it began with is known, and nothing else: it begins anew
		r.done, r.began = done, true
	}
	return writeIndex(r.opt.Dir, r.segs)
}

// cut makes the file as long as what is durable of it, and removes one with nothing.
func (s *segment) cut() error {
	if s.size == 0 {
		return s.remove()
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return fault.New(fault.RelayWrite, "cut a file back: %w", err)
	}
	err = f.Truncate(s.size)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fault.New(fault.RelayWrite, "cut a file back: %w", err)
	}
	return nil
}

// remove takes the description away first: a file without one is no part of the relay.
func (s *segment) remove() error {
	for _, p := range []string{descriptionOf(s.path), s.path} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.RelayWrite, "remove a file: %w", err)
		}
	}
	return nil
}

// sweep removes binlogs that no description names: a removal that was cut short.
func (r *Relay) sweep(list []*segment) error {
	known := map[string]bool{}
	for _, s := range list {
		known[s.path] = true
	}
	entries, err := os.ReadDir(r.opt.Dir)
	if err != nil {
		return fault.New(fault.RelayDamaged, "%w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || !folderPattern.MatchString(e.Name()) {
			continue
		}
		files, err := os.ReadDir(filepath.Join(r.opt.Dir, e.Name()))
		if err != nil {
			return fault.New(fault.RelayDamaged, "%w", err)
		}
		for _, f := range files {
			path := filepath.Join(r.opt.Dir, e.Name(), f.Name())
			if _, _, ok := number(f.Name()); !ok || known[path] || strings.HasPrefix(f.Name(), ".") {
				continue
			}
			r.log.Info("relay: removing a file whose removal had begun", "file", path)
			if err := os.Remove(path); err != nil {
				return fault.New(fault.RelayWrite, "%w", err)
			}
		}
	}
	return nil
}

// Close gives the folder back, once Run has returned. Readers fail from then on.
func (r *Relay) Close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		r.wake()
		_ = r.lock.Close()
	}
	r.mu.Unlock()
}

// wake tells readers to look again. It is called with mu held.
func (r *Relay) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Status may be called at any time.
func (r *Relay) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *Relay) state(s State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.State != s {
		r.status.State, r.status.Since = s, time.Now()
	}
	if err != nil {
		r.status.LastError = err
	}
	if s != StateStreaming {
		r.head = false
	}
}

// Origin is the server whose events come now, or came last.
func (r *Relay) Origin() (source.Origin, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.segs) == 0 {
		return source.Origin{}, false
	}
	return r.segs[len(r.segs)-1].in.origin, true
}

// Holds reports that all transactions of a set are in the relay, or came before its beginning.
func (r *Relay) Holds(set *gtid.Set) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done != nil && r.done.ContainsSet(set)
}

// AtHead reports that the relay has all that the server had to send.
func (r *Relay) AtHead() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// Config is the `relay:` part of a configuration.
type Config struct {
	Dir      string        `yaml:"dir" jsonschema_description:"Folder for the files; one pipeline has it to itself."`
	Retain   time.Duration `yaml:"retain" jsonschema_description:"How long files stay that every stream has carried. Default 72h."`
	MaxSize  settings.Size `yaml:"max_size" jsonschema_description:"Bytes that all files may have together. Beyond that the oldest go: first those that no stream needs, then, with a warning, those that one does, which stops it. Default: no limit."`
	MinFree  settings.Size `yaml:"min_free" jsonschema_description:"Free space on the disk below which reading waits. Default 128MiB."`
	SemiSync bool          `yaml:"semi_sync" jsonschema_description:"Acknowledge transactions to the server once they are durable here, as a semi-synchronous replica does. Default false: see docs/relay.md for what that means for a failover."`
}

// Validate lists what cannot work.
func (c *Config) Validate(prefix string) (out []settings.Problem) {
	problem := func(path, text string) { out = append(out, settings.Problem{Path: prefix + "." + path, Text: text}) }
	if c.Dir == "" {
		problem("dir", "is missing")
	}
	if c.Retain < 0 {
		problem("retain", "is negative")
	}
	if c.MaxSize != 0 && c.MaxSize < 1<<20 {
		problem("max_size", "is less than 1MiB")
	}
	return out
}

// WithDefaults fills in what was left out.
func (c Config) WithDefaults() Config {
	if c.Retain == 0 {
		c.Retain = DefaultRetain
	}
	if c.MinFree == 0 {
		c.MinFree = DefaultMinFree
	}
	return c
}
