package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"cdc/fault"
	"cdc/format"
)

// Keeper looks after published files: it makes one of several small ones, and removes old ones. It works beside a sink that writes to the same place: the two share
// nothing but files that are published for good, which no sink touches any more. Of Keepers there is one at a time: in a folder the second is refused, in HDFS and S3 the
// later one takes over from the one before, as sinks do. It is not safe for concurrent use.
//
// Each of its steps is decided by an intent like a publication, in a work folder of its own:
//
//	new files fsynced ─ intent written ─┬─ new files get their names ─ what the step did gets its name ─ old files removed ─┬─ intent renamed to place
//	                                    │                                                                                  │
//	a crash before: temps are removed   │                        a crash from here on: all of it is done at the next start ┘
//
// Whoever goes by manifests sees the whole step in one moment: when what it did gets its name. Whoever goes by folders sees rows twice from the moment a new file has
// its name until the last of the old ones is removed, and never too few.
type Keeper struct {
	w      *writer // of which it uses what writes, publishes and waits for a full disk
	base   Store   // the folder, where the sink's place is to be made durable before it is believed; nil for a remote place
	at     Reader
	ready  bool
	stream string
	done   uint64 // number of the sink's last publication that is finished
	joins  map[string]func(io.Writer) (format.Joiner, error)
}

// KeeperOptions are what a Keeper needs to know beside the place.
type KeeperOptions struct {
	// Joins make one file of several, by the extension with its dot. Files of lines need none; those of which none is known are left as they are.
	Joins   map[string]func(io.Writer) (format.Joiner, error)
	Stalled func(error) // as in Options
}

// upkeepDir is where a Keeper has what a sink has in workDir.
const upkeepDir = workDir + "/upkeep"

// OpenKeeper opens a Keeper of a folder on this machine and finishes the step that a crash left half done. Faults: SinkUpkeep where another one is at work.
func OpenKeeper(ctx context.Context, dir string, opt KeeperOptions) (*Keeper, error) {
	l, err := openLocal(dir, upkeepDir, 0o640, 0o750)
	if err != nil {
		return nil, busy(classify("open", dir, err))
	}
	return NewKeeper(ctx, l, opt)
}

// NewKeeper is OpenKeeper of a Store that is a folder. The Keeper closes it, also where this fails.
func NewKeeper(ctx context.Context, store Store, opt KeeperOptions) (*Keeper, error) {
	k := newKeeper(apart{store}, store, opt)
	k.base = store
	if err := k.begin(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return k, nil
}

// OpenRemoteKeeper opens a Keeper of a remote place; spool is a Store on this machine for files that are made. It is taken over only by the first step, and nothing is
// finished before. Both are closed with the Keeper, or when this fails.
func OpenRemoteKeeper(ctx context.Context, at Remote, spool Store, opt KeeperOptions) (*Keeper, error) {
	store, err := OpenRemote(ctx, apartRemote{at}, spool)
	if err != nil {
		return nil, busy(err)
	}
	k := newKeeper(store, at, opt)
	if err := k.look(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return k, nil
}

func newKeeper(store Store, at Reader, opt KeeperOptions) *Keeper {
	o := &Options{Stalled: opt.Stalled}
	o.setDefaults()
	w := &writer{store: store, opt: o}
	w.temps = newTemps(store, o, w.retry)
	return &Keeper{w: w, at: at, joins: opt.Joins}
}

// Close gives the lock up.
func (k *Keeper) Close() error {
	k.w.temps.drop()
	return k.w.close()
}

// busy gives the code of upkeeps to what says that there are two.
func busy(err error) error {
	if fault.Has(err, fault.SinkLocked) {
		return fault.New(fault.SinkUpkeep, "%w", errors.Unwrap(err))
	}
	if fault.Has(err, fault.SinkMoved) {
		return fault.New(fault.SinkUpkeep, "another one has worked here since this one looked at the place")
	}
	return err
}

// Unfinished reports a step that was decided on and is not finished. In a remote place it may be under way.
func (k *Keeper) Unfinished(ctx context.Context) (bool, error) {
	r, err := k.w.readRecord(ctx, intentFile)
	return r != nil, err
}

// Finish finishes a step that was decided on; it does nothing where there is none.
func (k *Keeper) Finish(ctx context.Context) error {
	if some, err := k.Unfinished(ctx); err != nil || !some {
		return err
	}
	return k.begin(ctx)
}

// look reads how far the sink is.
func (k *Keeper) look(ctx context.Context) error {
	if k.base != nil {
		// The sink may have been killed between the rename that ends a publication and the fsync behind it. A power loss would then bring its intent back, and the next
		// start publish once more what was merged and removed here.
		if err := k.base.SyncDir(ctx, workDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify("sync folder", workDir, err)
		}
	}
	r, err := placeOf(ctx, k.at)
	if err != nil || r == nil {
		return err
	}
	k.done, k.stream = r.Number, r.Stream
	return nil
}

// begin takes the place over and finishes what a crash left half done, once.
func (k *Keeper) begin(ctx context.Context) error {
	if k.ready {
		return nil
	}
	if err := k.recover(ctx); err != nil {
		return busy(k.w.why(ctx, err))
	}
	k.ready = true
	return nil
}

func (k *Keeper) recover(ctx context.Context) error {
	w := k.w
	if r, far := w.store.(*remote); far && !r.claimed {
		if err := r.claim(ctx); err != nil {
			return err
		}
	}
	if err := k.look(ctx); err != nil {
		return err
	}
	last, err := w.readRecord(ctx, placeFile)
	if err != nil {
		return err
	}
	if last != nil {
		w.number = last.Number
	}
	intent, err := w.readRecord(ctx, intentFile)
	if err != nil {
		return err
	}
	switch {
	case intent != nil:
		if intent.Number != w.number+1 || len(intent.Files) == 0 {
			return fault.New(fault.SinkIntent, "upkeep %d does not follow on %d", intent.Number, w.number)
		}
		if err := w.syncPaths(ctx, workDir); err != nil {
			return err
		}
		if err := w.there(ctx, intent); err != nil {
			return err
		}
		if err := k.carryOut(ctx, intent); err != nil {
			return err
		}
	case last == nil:
		names, err := k.at.List(ctx, manifestDir)
		if err != nil {
			return classify("list", manifestDir, err)
		}
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, upkeepPrefix) }) {
			return fault.New(fault.SinkIntent, "files were merged or removed here, but %s is missing", upkeepDir)
		}
	}
	return w.clean(ctx)
}

// step does one upkeep: it publishes files that were made of others, says what became of what, and removes the old ones. lines are in the order of the new files.
func (k *Keeper) step(ctx context.Context, made []pubFile, lines []upkeepLine) error {
	w := k.w
	r := &record{Stream: k.stream, Number: w.number + 1, Time: time.Now().UnixMicro(), Files: slices.Clone(made)}
	for i := range lines {
		if lines[i].Expired {
			r.Remove = append(r.Remove, lines[i].Path)
		}
		for _, p := range lines[i].Pieces {
			r.Remove = append(r.Remove, p.Path)
		}
	}
	body, err := json.Marshal(upkeepHead{Number: r.Number, Stream: r.Stream, Time: r.Time, Files: len(lines)})
	for i := 0; err == nil && i < len(lines); i++ {
		var line []byte
		l := lines[i]
		l.Temp = ""
		line, err = json.Marshal(l)
		body = append(append(body, '\n'), line...)
	}
	if err != nil {
		return fmt.Errorf("encode an upkeep: %w", err)
	}
	body = append(body, '\n')
	m := pubFile{Temp: w.temps.name(), Path: upkeepName(r.Number), Bytes: int64(len(body)), CRC: crcText(crc32.Checksum(body, castagnoli))}
	if err := w.writeFile(ctx, m.Temp, body); err != nil {
		return err
	}
	r.Files = append(r.Files, m)
	if err := w.syncDir(ctx, TempDir); err != nil {
		return err
	}
	if err := w.writeIntent(ctx, r); err != nil {
		return err
	}
	if err := k.carryOut(ctx, r); err != nil {
		return err
	}
	w.sweep(ctx)
	return nil
}

// carryOut does what an intent says. Each step may have been done before.
func (k *Keeper) carryOut(ctx context.Context, r *record) error {
	w := k.w
	var dirs []string
	publish := func(f *pubFile) error {
		if err := k.unhand(ctx, f.Path); err != nil {
			return err
		}
		dirs = append(dirs, path.Dir(f.Path))
		return w.publishFile(ctx, f)
	}
	last := len(r.Files) - 1 // what the step did: it appears when the files that it names are there for good
	for i := range r.Files[:last] {
		if err := publish(&r.Files[i]); err != nil {
			return err
		}
	}
	if err := w.syncPaths(ctx, dirs...); err != nil {
		return err
	}
	dirs = dirs[:0]
	if err := publish(&r.Files[last]); err != nil {
		return err
	}
	if err := w.syncPaths(ctx, dirs...); err != nil {
		return err
	}
	err := w.temps.each(len(r.Remove), func(i int) error {
		if err := k.remove(ctx, r.Remove[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify("remove", r.Remove[i], err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	dirs = dirs[:0]
	for _, name := range r.Remove {
		if d := path.Dir(name); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	for _, d := range dirs { // before the intent is gone: nobody would remove again what a power loss brings back
		if err := w.store.SyncDir(ctx, d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify("sync folder", d, err)
		}
	}
	if err := w.retry(ctx, "rename", intentFile, func() error { return w.store.Rename(ctx, intentFile, placeFile) }); err != nil {
		return err
	}
	if err := w.syncDir(ctx, workDir); err != nil {
		return err
	}
	w.number = r.Number
	for i := range r.Files {
		w.trash = append(w.trash, r.Files[i].Temp)
	}
	return nil
}

// remove removes a published file.
func (k *Keeper) remove(ctx context.Context, name string) error {
	if r, far := k.w.store.(*remote); far {
		return r.at.Remove(ctx, name)
	}
	return k.w.store.Remove(ctx, name)
}

// Withdrawer is a Remote in which the publication of a file by a process that stands still could end long after another one has published the file, and removed it.
type Withdrawer interface {
	// Withdraw ends what is under way to give a file the name final.
	Withdraw(ctx context.Context, final string) error
}

// unhand takes a name out of the hands of a process that was taken for dead. A sink's names need that only at its start (Sweep), as no sink removes what is published.
func (k *Keeper) unhand(ctx context.Context, final string) error {
	if r, far := k.w.store.(*remote); far {
		if h, ok := r.at.(apartRemote).Remote.(Withdrawer); ok {
			return classify("withdraw", final, h.Withdraw(ctx, final))
		}
	}
	return nil
}

// inWork gives the name that a Keeper's file has in the place: what is a sink's in workDir is in upkeepDir.
func inWork(name string) string {
	if rest, ok := strings.CutPrefix(name, workDir); ok && (rest == "" || rest[0] == '/') {
		return upkeepDir + rest
	}
	return name
}

// apart is a folder with a work folder of its own.
type apart struct{ Store }

func (a apart) Create(ctx context.Context, name string) (File, error) {
	return a.Store.Create(ctx, inWork(name))
}

func (a apart) Append(ctx context.Context, name string) (File, error) {
	return a.Store.Append(ctx, inWork(name))
}

func (a apart) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return a.Store.Open(ctx, inWork(name))
}

func (a apart) List(ctx context.Context, dir string) ([]string, error) {
	return a.Store.List(ctx, inWork(dir))
}

func (a apart) Publish(ctx context.Context, temp, final string) error {
	return a.Store.Publish(ctx, inWork(temp), inWork(final))
}

func (a apart) Rename(ctx context.Context, from, to string) error {
	return a.Store.Rename(ctx, inWork(from), inWork(to))
}

func (a apart) Remove(ctx context.Context, name string) error {
	return a.Store.Remove(ctx, inWork(name))
}

func (a apart) SyncDir(ctx context.Context, dir string) error {
	err := a.Store.SyncDir(ctx, inWork(dir))
	if err == nil && dir == workDir { // the folder's own name too
		err = a.Store.SyncDir(ctx, dir)
	}
	return err
}

// apartRemote is a remote place with a work folder of its own.
type apartRemote struct{ Remote }

func (a apartRemote) Put(ctx context.Context, name string, body io.ReadSeeker, size int64) error {
	return a.Remote.Put(ctx, inWork(name), body, size)
}

func (a apartRemote) PutNew(ctx context.Context, name string, body []byte) error {
	return a.Remote.PutNew(ctx, inWork(name), body)
}

func (a apartRemote) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return a.Remote.Open(ctx, inWork(name))
}

func (a apartRemote) List(ctx context.Context, dir string) ([]string, error) {
	return a.Remote.List(ctx, inWork(dir))
}

func (a apartRemote) Publish(ctx context.Context, temp, final string) error {
	return a.Remote.Publish(ctx, inWork(temp), inWork(final))
}

func (a apartRemote) Remove(ctx context.Context, name string) error {
	return a.Remote.Remove(ctx, inWork(name))
}

// Sweep leaves alone what a sink has under way.
func (a apartRemote) Sweep(context.Context) error { return nil }
