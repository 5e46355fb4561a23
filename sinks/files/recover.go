package files

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"cdc/fault"
)

// open makes a folder ready for writing. A remote place is only looked at: a process that writes there is disturbed no earlier than by a start that nothing refuses.
func (w *writer) open(ctx context.Context) error {
	if _, far := w.store.(*remote); far {
		return w.look(ctx)
	}
	return w.recover(ctx)
}

// look takes up the place, as it will be when the intent is finished.
func (w *writer) look(ctx context.Context) error {
	if err := w.enough(ctx); err != nil {
		return err
	}
	for _, name := range []string{intentFile, placeFile} {
		r, err := w.readRecord(ctx, name)
		if err != nil {
			return err
		}
		if r != nil {
			return w.adopt(r)
		}
	}
	if err := w.unused(ctx); err != nil {
		if numbers, again := w.store.(*remote).chain.numbers(ctx); again == nil && len(numbers) > 0 {
			return fault.New(fault.SinkMoved, "the place was empty a moment ago")
		}
		return err
	}
	return nil
}

// takeOver makes a remote place this process's own, once.
func (w *writer) takeOver(ctx context.Context) error {
	r, far := w.store.(*remote)
	if !far || r.claimed {
		return nil
	}
	if err := r.claim(ctx); err != nil {
		return err
	}
	w.number, w.durable = 0, placeJSON{} // what look took up may lie behind an intent that recover finishes
	return w.recover(ctx)
}

// recover finishes an intent, removes temps, and takes up the place.
func (w *writer) recover(ctx context.Context) error {
	if err := w.enough(ctx); err != nil {
		return err
	}
	place, err := w.readRecord(ctx, placeFile)
	if err != nil {
		return err
	}
	if place != nil {
		if err := w.adopt(place); err != nil {
			return err
		}
	}
	intent, err := w.readRecord(ctx, intentFile)
	if err != nil {
		return err
	}
	switch {
	case intent != nil:
		// The process that wrote it may have been killed before it could sync the intent's name. Were the files published on the strength of
		// a name that a power loss can still take back, nobody would know whose they are.
		if err := w.syncPaths(ctx, workDir); err != nil {
			return err
		}
		if err := w.rollForward(ctx, intent); err != nil {
			return err
		}
	case place == nil:
		if err := w.unused(ctx); err != nil {
			return err
		}
	}
	return w.clean(ctx)
}

func (w *writer) readRecord(ctx context.Context, name string) (*record, error) {
	b, err := readAll(ctx, w.store, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("read", name, err)
	}
	r, err := decodeRecord(b)
	if err != nil {
		return nil, fault.New(fault.SinkIntent, "%s: %w", name, err)
	}
	if w.opt.Stream != "" && r.Stream != "" && r.Stream != w.opt.Stream {
		return nil, fault.New(fault.SinkConflict, "the folder belongs to the stream %q", r.Stream)
	}
	return r, nil
}

func (w *writer) adopt(r *record) error {
	p, err := r.place()
	if err != nil {
		return fault.New(fault.SinkIntent, "%s: %w", placeFile, err)
	}
	w.number, w.durable, w.place, w.snapshot = r.Number, r.After, p, p.Snapshot
	w.moved(clonePlace(p))
	return nil
}

func (w *writer) rollForward(ctx context.Context, r *record) error {
	if r.Number != w.number+1 || (r.Before == nil) != (w.number == 0) || r.Before != nil && *r.Before != w.durable {
		return fault.New(fault.SinkIntent, "publication %d does not follow on %d", r.Number, w.number)
	}
	if err := w.there(ctx, r); err != nil {
		return err
	}
	if err := w.carryOut(ctx, r); err != nil {
		return err
	}
	return w.adopt(r)
}

// there makes sure of everything that is to be published, or was, before anything is done.
func (w *writer) there(ctx context.Context, r *record) error {
	for i := range r.Files {
		f := &r.Files[i]
		ok, err := w.matches(ctx, f.Temp, f)
		if errors.Is(err, fs.ErrNotExist) {
			ok, err = w.matches(ctx, f.Path, f)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.SinkIntent, "%s is neither published nor to be published", f.Path)
		}
		if err != nil {
			return classify("read", f.Path, err)
		}
		if !ok {
			return fault.New(fault.SinkIntent, "the bytes for %s are not what the intent says", f.Path)
		}
	}
	return nil
}

// unused makes sure that a folder without a place was never written to: its place was lost, and with it the knowledge of what is there.
func (w *writer) unused(ctx context.Context) error {
	names, err := w.store.List(ctx, manifestDir)
	if err != nil {
		return classify("list", manifestDir, err)
	}
	if len(names) > 0 {
		return fault.New(fault.SinkIntent, "there are published files, but %s is missing", placeFile)
	}
	return nil
}

// clean empties the folder of temps and makes sure of the names of the work folders.
func (w *writer) clean(ctx context.Context) error {
	w.trash = w.trash[:0]
	names, err := w.store.List(ctx, TempDir)
	if err != nil {
		return classify("list", TempDir, err)
	}
	for _, n := range names {
		if err := w.store.Remove(ctx, path.Join(TempDir, n)); err != nil {
			return classify("remove", n, err)
		}
	}
	if err := w.store.Remove(ctx, scratchFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("remove", scratchFile, err)
	}
	if len(names) == 0 { // make the folder of temps, if only to see that it can be made
		probe := path.Join(TempDir, "0")
		f, err := w.store.Create(ctx, probe)
		if err != nil {
			return classify("create", probe, err)
		}
		if err := errors.Join(f.Close(), w.store.Remove(ctx, probe)); err != nil {
			return classify("create", probe, err)
		}
	}
	return w.syncPaths(ctx, TempDir)
}
