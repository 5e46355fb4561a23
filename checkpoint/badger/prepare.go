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

	"cdc/checkpoint"
	"cdc/fault"
)

// prepare compares the places that hold a stream, decides what is true, and makes them all say it. A call that fails leaves everything to the
// next one.
func (s *Store) prepare(ctx context.Context, name string, st *stream) error {
	if _, err := os.Stat(filepath.Join(s.streamDir(name), importFile)); err == nil {
		return fault.New(fault.CheckpointCorrupt, "an import into stream %s did not finish", name).
			At(fault.Where{File: s.streamDir(name)}).Hint("run the import again")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c, err := s.compareRecords(name)
	if err != nil {
		return err
	}
	if !c.found && s.asideExists() {
		return fault.New(fault.CheckpointCorrupt, "no record of stream %s, and a damaged database was set aside in which it may have been", name).
			At(fault.Where{File: s.dir}).Hint("restore the folder from a backup; if the stream is new, remove the folders %s* first", damagedPrefix)
	}
	h, err := s.compareHistories(ctx, name, c.rec.Record.SchemaSeq)
	if err != nil {
		return err
	}
	st.state = state{found: c.found, rec: c.rec, last: h.last, end: h.end}
	if s.opt.ReadOnly {
		st.ready = true
		return nil
	}
	if err := s.repairHistory(ctx, name, st, h); err != nil {
		return err
	}
	if c.repair {
		s.warn("a damaged or missing copy of a record was replaced from the newest whole one", "stream", name, "save", c.rec.Generation, "cause", c.why)
		for range 2 { // both slots and the database
			if err := s.save(name, st, c.rec.Record); err != nil {
				return err
			}
		}
	}
	st.ready = true
	return nil
}

func (s *Store) compareRecords(name string) (choice, error) {
	var slots [2]copyOf
	for i := range slots {
		var err error
		if slots[i], err = s.readSlot(name, uint64(i)); err != nil {
			return choice{}, err
		}
	}
	var db copyOf
	if s.kv != nil {
		b, found, err := s.kv.record(name)
		switch {
		case err != nil && environmental(err):
			return choice{}, err
		case err != nil:
			db = copyOf{present: true, err: fault.New(fault.CheckpointCorrupt, "the database: %w", err)}
		case found:
			db = inspect(name, b)
		}
	} else {
		// Without the database the slots must vouch for themselves: taken for granted, it would hold the newest of them.
		for _, p := range slots {
			if p.whole && (!db.whole || p.rec.Generation > db.rec.Generation) {
				db = p
			}
		}
		for i, p := range slots {
			if db.whole && !p.whole && (p.present || db.rec.Generation > 1) {
				return choice{}, fault.New(fault.CheckpointCorrupt, "copy %d of the record of stream %s is damaged or gone", i, name).
					At(fault.Where{File: s.slot(name, uint64(i))}).
					Hint("the database may have a whole one: open the folder for writing, by starting the pipeline")
			}
		}
	}
	c, err := choose(slots, db)
	if e, ok := fault.As(err); ok {
		return c, e.At(fault.Where{File: s.streamDir(name)})
	}
	return c, err
}

// histories is the outcome of comparing the two copies of a history.
type histories struct {
	last    uint64   // entries 1 to last are known for certain
	end     int64    // of those in the plain file
	redo    bool     // the plain file must be written anew
	cutDB   bool     // the database has entries behind last
	cutLog  bool     // the plain file has something behind end
	missing []uint64 // entries that the database does not have whole
}

// compareHistories walks both copies. Up to the record's need an entry may come from either, if its checksum holds. Behind it, entries count
// only while both have them: an append that was interrupted is in one, and a rewind that was interrupted has left one longer; neither was
// acknowledged, and no record needs them.
func (s *Store) compareHistories(ctx context.Context, name string, need uint64) (h histories, err error) {
	l, err := s.openLog(name)
	if err != nil {
		return h, err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	// step judges one number: its bytes in the database and in the file, nil where there are none.
	done := false
	step := func(dv, lv []byte) error {
		seq := h.last + 1
		dbad, lbad := checkpoint.CheckEntry(name, seq, dv), checkpoint.CheckEntry(name, seq, lv)
		for _, bad := range []error{dbad, lbad} {
			if fault.Has(bad, fault.CheckpointVersion) {
				return bad
			}
		}
		switch {
		case dbad == nil && lbad == nil && !bytes.Equal(dv, lv):
			if seq <= need {
				return fault.New(fault.CheckpointCorrupt, "the two copies of schema entry %d of stream %s differ", seq, name)
			}
			done = true
			return nil
		case dbad != nil && lbad != nil:
			if seq <= need {
				return fault.New(fault.CheckpointCorrupt, "schema entry %d of stream %s is missing or damaged, and the record needs %d", seq, name, need)
			}
			done = true // entries beyond the record: the run that wrote them was killed, and they come again
			return nil
		case seq > need && (dbad != nil && s.kv != nil || lbad != nil):
			done = true
			return nil //nolint:nilerr // as above
		}
		h.last = seq
		if dbad != nil && s.kv != nil {
			h.missing = append(h.missing, seq)
		}
		if lbad != nil {
			h.redo = true
		}
		if !h.redo {
			h.end = l.at
		}
		return nil
	}
	fileOnly := func() error {
		lv, err := l.next()
		if err != nil {
			return err
		}
		if lv == nil && h.last >= need {
			done = true
			return nil
		}
		return step(nil, lv)
	}
	if s.kv != nil {
		err = s.kv.entries(ctx, name, 1, func(seq uint64, dv []byte) error {
			for !done && seq > h.last+1 { // the database has a hole
				if err := fileOnly(); err != nil {
					return err
				}
			}
			if done {
				h.cutDB = true
				return errStop
			}
			lv, err := l.next()
			if err != nil {
				return err
			}
			if err := step(dv, lv); err != nil {
				return err
			}
			if done {
				h.cutDB = true
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			if _, ok := fault.As(err); ok || environmental(err) || ctx.Err() != nil {
				return h, err
			}
			return h, fault.New(fault.CheckpointCorrupt, "the database: %w", err)
		}
	}
	for !done {
		if err := ctx.Err(); err != nil {
			return h, err
		}
		if err := fileOnly(); err != nil {
			return h, err
		}
	}
	h.cutLog = l.size > h.end
	return h, nil
}

var errStop = errors.New("stop")

// repairHistory makes both copies hold entries 1 to h.last and nothing else.
func (s *Store) repairHistory(ctx context.Context, name string, st *stream, h histories) error {
	if len(h.missing) > 0 {
		s.warn("schema entries were missing in the database and are taken from the plain copy", "stream", name, "entries", len(h.missing))
		if err := s.refillDatabase(name, h.missing); err != nil {
			return err
		}
	}
	if h.cutDB {
		if err := s.room(0); err != nil {
			return err
		}
		if err := s.wrote(s.kv.cut(name, h.last)); err != nil {
			return err
		}
	}
	switch {
	case h.redo:
		s.warn("the plain copy of a schema history was damaged and is written anew", "stream", name, "entries", h.last)
		return s.rewriteLog(ctx, name, st)
	case h.cutLog:
		return s.cutLog(name, h.end)
	}
	return nil
}

// refillDatabase copies the given entries from the plain file.
func (s *Store) refillDatabase(name string, missing []uint64) (err error) {
	fi, err := os.Stat(s.logPath(name))
	if err != nil {
		return err
	}
	if err := s.room(int(fi.Size())); err != nil {
		return err
	}
	l, err := s.openLog(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	at, i := uint64(0), 0
	return s.wrote(s.kv.putEntries(name, func() (uint64, []byte, error) {
		if i == len(missing) {
			return 0, nil, nil
		}
		var v []byte
		for ; at < missing[i]; at++ {
			var err error
			if v, err = l.next(); err != nil {
				return 0, nil, err
			}
		}
		if err := checkpoint.CheckEntry(name, at, v); err != nil {
			return 0, nil, err
		}
		i++
		return at, slices.Clone(v), nil
	}))
}

// rewriteLog makes the plain file from the database.
func (s *Store) rewriteLog(ctx context.Context, name string, st *stream) error {
	if err := s.makeDir(s.streamDir(name)); err != nil {
		return err
	}
	tmp := s.logPath(name) + ".tmp"
	w, err := writeLog(tmp, 0)
	if err != nil {
		return err
	}
	seq := uint64(0)
	err = s.kv.entries(ctx, name, 1, func(n uint64, v []byte) error {
		if err := s.room(len(v)); err != nil {
			return err
		}
		if seq++; n != seq {
			return fmt.Errorf("entry %d follows entry %d", n, seq-1)
		}
		if err := checkpoint.CheckEntry(name, n, v); err != nil {
			return err
		}
		return w.add(v)
	})
	if err == nil && seq != st.last {
		err = fmt.Errorf("%d entries, %d are known", seq, st.last)
	}
	if err == nil {
		err = w.sync()
	}
	err = errors.Join(err, w.f.Close())
	if err == nil {
		err = os.Rename(tmp, s.logPath(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rewrite the plain copy of the history: %w", err), os.Remove(tmp))
	}
	st.end = w.end
	return syncDir(s.streamDir(name))
}
