package badger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"cdc/checkpoint"
	"cdc/fault"
)

// copyOf is what one place holds of a stream's record.
type copyOf struct {
	present bool // something is there
	whole   bool
	rec     checkpoint.Encoded
	err     error // why it is not whole
}

// inspect judges the bytes of a copy. A record of another stream is as good as a damaged one.
func inspect(stream string, b []byte) copyOf {
	e, err := checkpoint.Decode(b)
	if err == nil && e.Stream != stream {
		err = fault.New(fault.CheckpointCorrupt, "the record of stream %q lies in the place of %q", e.Stream, stream)
	}
	return copyOf{present: true, whole: err == nil, rec: e, err: err}
}

// slot names the plain file that holds the record of a generation. Saves take turns, so writing one never touches the one before.
func (s *Store) slot(stream string, generation uint64) string {
	return filepath.Join(s.streamDir(stream), slotPrefix+strconv.FormatUint(generation&1, 10))
}

func (s *Store) readSlot(stream string, i uint64) (copyOf, error) {
	b, err := os.ReadFile(s.slot(stream, i))
	if errors.Is(err, fs.ErrNotExist) {
		return copyOf{}, nil
	}
	if err != nil {
		return copyOf{}, err
	}
	return inspect(stream, b), nil
}

// choice is the outcome of choose.
type choice struct {
	rec    checkpoint.Encoded
	found  bool
	repair bool   // not all places hold what they should
	why    string // what was wrong with them, for the log
}

// choose finds the record to go on from. A save writes the slot of its generation, syncs it, and then the database; it is acknowledged after
// both. So each whole record that is found anywhere was true when it was written, whether or not its save was acknowledged, and the newest
// one is the right one:
//
//	slot 0      slot 1      database    newest
//	4           5           5           5, all is well
//	6           5           5           6, the process died between the two; what it says was acknowledged by the sinks
//	4           5           none        5, the database was lost
//	4           5           4           5, the database was damaged, or the process died as above
//	none        none        5           5, the copies were lost
//	4           damaged     5           5
//	4           damaged     4           refused when 5 may have been acknowledged: see below
//
// With one place damaged the newest record is always in another. When a slot is damaged and the database does not vouch for the other slot,
// what was lost may have been newer and acknowledged; going on from an older one would deliver changes twice, so that is for a person to
// decide.
func choose(slots [2]copyOf, db copyOf) (choice, error) {
	var c choice
	for _, p := range []copyOf{db, slots[0], slots[1]} {
		switch {
		case p.whole:
			if !c.found || p.rec.Generation > c.rec.Generation {
				c.rec, c.found = p.rec, true
			}
		case p.present && fault.Has(p.err, fault.CheckpointVersion):
			return choice{}, p.err // nothing may be written over what a newer version left
		}
	}
	var bad []error
	for _, p := range []copyOf{db, slots[0], slots[1]} {
		if p.present && !p.whole {
			bad = append(bad, p.err)
		}
	}
	if !c.found {
		if len(bad) > 0 {
			return choice{}, fault.New(fault.CheckpointCorrupt, "no whole copy of the record is left: %w", errors.Join(bad...))
		}
		return c, nil
	}
	g := c.rec.Generation
	inDatabase := db.whole && db.rec.Generation+1 >= g
	lost := func(p copyOf) bool { return !p.whole && (p.present || g > 1) }
	if (lost(slots[0]) || lost(slots[1])) && !inDatabase {
		return choice{}, fault.New(fault.CheckpointCorrupt, "a copy of the record is damaged or gone, and the database cannot say whether the other, save %d, is the newest", g).
			Hint("restore the folder from a backup, or import a checkpoint exported earlier: changes behind it that were delivered already would be delivered again")
	}
	switch {
	case len(bad) > 0:
		c.repair, c.why = true, errors.Join(bad...).Error()
	case !db.whole:
		c.repair, c.why = true, "the database does not hold the record"
	case db.rec.Generation > g || db.rec.Generation+1 < g:
		c.repair, c.why = true, "the database holds an older record"
	case lost(slots[0]) || lost(slots[1]):
		c.repair, c.why = true, "a copy of the record is gone"
	}
	return c, nil
}
