package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cdc/fault"
	"cdc/source"
)

// forcedName is a file that says that something went which a reader still needed.
const forcedName = "relay.forced"

// tidy removes what has to go by age and size.
func (r *Relay) tidy(now time.Time) (removed int, err error) {
	r.tidying.Lock()
	defer r.tidying.Unlock()
	needs := r.opt.Needs()
	for {
		r.mu.Lock()
		if len(r.segs) < 2 {
			r.mu.Unlock()
			break
		}
		var total int64
		for _, s := range r.segs {
			total += s.size
		}
		first := r.segs[0]
		who, unshipped := r.neededBy(0, needs), r.unshipped(first)
		r.mu.Unlock()
		over := r.opt.MaxSize > 0 && total > r.opt.MaxSize
		switch {
		case unshipped: // whatever the size: an archive with a hole is none
			r.overdue(first, over, total)
			return removed, r.reindex(removed)
		case over && who != "":
			if err := r.force(first, who, total); err != nil {
				return removed, err
			}
		case over:
		case who != "" || !first.older(now.Add(-r.opt.Retain)):
			return removed, r.reindex(removed)
		}
		if err := r.drop(first); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, r.reindex(removed)
}

// overdue says once of each file that the relay is larger than it may be for the archive's sake.
func (r *Relay) overdue(s *segment, over bool, total int64) {
	if !over || r.waitsFor == s {
		return
	}
	r.waitsFor = s
	r.log.Error("relay: more than max_size is kept, since the oldest file is not archived yet", "file", s.path, "mib", total>>20, "max_mib", r.opt.MaxSize>>20)
}

// Tidy removes what has to go by age and size; the relay also does it when it begins a file.
func (r *Relay) Tidy() error {
	_, err := r.tidy(time.Now())
	return err
}

func (s *segment) older(t time.Time) bool {
	info, err := os.Stat(s.path)
	return err == nil && info.ModTime().Before(t)
}

// neededBy names a reader that has not carried all of the i-th file, which is not the last; "" is none. It is called with mu held.
func (r *Relay) neededBy(i int, needs map[string]*source.Place) string {
	next := r.segs[i+1]
	for name, p := range needs {
		switch {
		case p == nil:
			return name
		case p.GTIDs != nil && next.begin != nil:
			if !p.GTIDs.ContainsSet(next.begin) {
				return name
			}
		default:
			j := len(r.segs) - 1
			for ; j >= 0; j-- {
				if s := r.segs[j]; s.name == p.File && s.in.origin.Server.UUID == p.Server.UUID {
					break
				}
			}
			if i >= j {
				return name
			}
		}
	}
	return ""
}

// force notes that something goes which is needed.
func (r *Relay) force(s *segment, who string, total int64) error {
	f := fault.New(fault.RelayPurged, "the relay has %d MiB, max_size is %d MiB: %s goes, which stream %q has not carried yet", total>>20, r.opt.MaxSize>>20, s.name, who)
	r.log.Error("relay: removing a file that is still needed", "error", f)
	r.mu.Lock()
	r.forced = true
	r.mu.Unlock()
	if err := replace(filepath.Join(r.opt.Dir, forcedName), fmt.Appendf(nil, "%s %s %s\n", time.Now().UTC().Format(time.RFC3339), s.in.name, s.name)); err != nil {
		return wrote(err)
	}
	return nil
}

// drop removes the oldest file.
func (r *Relay) drop(s *segment) error {
	if err := s.remove(); err != nil {
		return err
	}
	r.mu.Lock()
	r.segs = r.segs[1:]
	s.after = nil
	last := r.segs[0].in != s.in
	r.mu.Unlock()
	r.log.Info("relay: removed a file", "file", s.path, "bytes", s.size)
	if last { // the folder's server.json
		if err := os.RemoveAll(s.in.path(r.opt.Dir)); err != nil {
			return fault.New(fault.RelayWrite, "remove a folder: %w", err)
		}
	}
	return nil
}

func (r *Relay) reindex(removed int) error {
	if removed == 0 {
		return nil
	}
	r.mu.Lock()
	list := append([]*segment(nil), r.segs...)
	r.mu.Unlock()
	return wrote(writeIndex(r.opt.Dir, list))
}

// Purge removes the files before the one that to names, FOLDER/FILE or FILE; "" stands for the newest. One that a reader needs it leaves, and says so.
func (r *Relay) Purge(to string) (removed []string, err error) {
	r.tidying.Lock()
	defer r.tidying.Unlock()
	needs := r.opt.Needs()
	known := to == ""
	r.mu.Lock()
	for _, s := range r.segs {
		known = known || s.named(to)
	}
	r.mu.Unlock()
	if !known {
		return nil, fault.New(fault.UsageInvalid, "the relay has no file %q", to)
	}
	for {
		r.mu.Lock()
		if len(r.segs) < 2 || to != "" && r.segs[0].named(to) {
			r.mu.Unlock()
			break
		}
		first, who, unshipped := r.segs[0], r.neededBy(0, needs), r.unshipped(r.segs[0])
		r.mu.Unlock()
		if unshipped {
			if to != "" {
				err = fault.New(fault.RelayStillNeeded, "%s is not archived yet", first.name).At(fault.Where{File: first.path})
			}
			break
		}
		if who != "" {
			if to != "" {
				err = fault.New(fault.RelayStillNeeded, "stream %q has not carried %s yet", who, first.name).At(fault.Where{File: first.path})
			}
			break
		}
		if err := r.drop(first); err != nil {
			return removed, err
		}
		removed = append(removed, first.title())
	}
	if rerr := r.reindex(len(removed)); err == nil {
		err = rerr
	}
	return removed, err
}

func (s *segment) named(name string) bool { return name == s.name || name == s.title() }

// Erase removes everything from a folder that no process writes: the relay begins anew.
func Erase(dir string) error {
	r := &Relay{opt: Options{Dir: dir}}
	if err := r.takeLock(); err != nil {
		return err
	}
	defer r.lock.Close()
	// First: files of a new life never go where the archive has those of this one.
	if err := os.Remove(filepath.Join(dir, idName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.RelayWrite, "%w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.New(fault.RelayDamaged, "%w", err)
	}
	for _, e := range entries {
		if e.IsDir() && folderPattern.MatchString(e.Name()) || e.Name() == indexName || e.Name() == forcedName {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fault.New(fault.RelayWrite, "%w", err)
			}
		}
	}
	return nil
}
