package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cdc/fault"
)

// makeDir makes a folder that nobody else can look into, durably. An existing one is made so.
func (s *Store) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		if err := os.Chmod(dir, 0o700); err != nil { // a umask may have taken bits that we need
			return err
		}
		return syncDir(filepath.Dir(dir))
	case errors.Is(err, fs.ErrNotExist):
		// The folders above are the user's: they get the usual mode.
		if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
			return err
		}
		return s.makeDir(dir)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return &os.PathError{Op: "mkdir", Path: dir, Err: errors.New("not a folder")}
	}
	s.seal(dir, fi)
	return nil
}

// seal takes the rights of group and others from a file or folder, and says so, or that it was not possible: one of another owner is no
// reason to stop.
func (s *Store) seal(path string, fi fs.FileInfo) {
	perm := fi.Mode().Perm()
	if perm&0o077 == 0 {
		return
	}
	if err := os.Chmod(path, perm&^0o077); err != nil {
		s.warn("others may read the checkpoint", "file", path, "mode", perm.String(), "error", err)
		return
	}
	s.warn("others could read the checkpoint: the mode was changed", "file", path, "mode", perm.String())
}

// sealTree takes the rights of group and others from every file and folder that is there: a restored backup may have brought them.
func (s *Store) sealTree() error {
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() || fi.Mode().IsRegular() {
			s.seal(path, fi)
		}
		return nil
	})
}

// sealFiles takes the rights of group and others from Badger's files, which it makes with 0666 less the umask, and makes the folder durable
// when it holds a new one: Badger syncs what it writes into a new write-ahead log, but not the entry that names it.
func (s *Store) sealFiles() error {
	dir := filepath.Join(s.dir, databaseDir)
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	fresh := false
	for _, e := range list {
		if !s.sealed[e.Name()] {
			fresh = true
			err := os.Chmod(filepath.Join(dir, e.Name()), 0o600)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // compaction removes files at any time
				return err
			}
		}
	}
	if !fresh && len(list) == len(s.sealed) {
		return nil
	}
	s.sealed = make(map[string]bool, len(list))
	for _, e := range list {
		s.sealed[e.Name()] = true
	}
	if !fresh {
		return nil
	}
	return syncDir(dir)
}

// replaceFile writes a file so that after any crash there is the old one or the new one, whole.
func replaceFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// lockDir keeps other processes out for as long as this one lives.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	busy, err := tryLock(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if busy {
		text := make([]byte, 32)
		n, _ := f.ReadAt(text, 0)
		pid, perr := strconv.Atoi(strings.TrimSpace(string(text[:n])))
		locked := fault.New(fault.CheckpointLocked, "the checkpoint folder is in use by another process").At(fault.Where{File: dir})
		if perr == nil {
			locked = fault.New(fault.CheckpointLocked, "the checkpoint folder is in use by process %d", pid).At(fault.Where{File: dir})
		}
		if err := f.Close(); err != nil {
			return nil, errors.Join(locked, err)
		}
		return nil, locked
	}
	// Only a help for people: the lock is the flock, which the system takes back from a process that dies. The file is never removed; a
	// process that waited for the removed one would hold a lock on nothing.
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// room refuses to go on when fewer than the configured bytes would be left behind a write of size bytes. Badger writes into memory mapped
// files with holes: where the file system has no block for such a page the process dies by SIGBUS, and dies again when it is started anew.
func (s *Store) room(size int) error {
	free, err := s.opt.free(s.dir)
	if err != nil {
		return fault.New(fault.CheckpointIO, "free space: %w", err)
	}
	// The bytes are written to the copy, to Badger's log, to its table, and once more when tables are merged.
	if need := s.opt.MinFree + 4*uint64(size); free < need {
		return fault.New(fault.CheckpointDiskFull, "%d MiB free for the checkpoint, %d MiB are needed", free>>20, (need+1<<20-1)>>20).
			At(fault.Where{File: s.dir})
	}
	return nil
}

// readFormat checks that this version may touch the folder.
func (s *Store) readFormat() error {
	path := filepath.Join(s.dir, formatFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if s.opt.ReadOnly {
			return nil
		}
		return replaceFile(path, []byte(formatMark+strconv.Itoa(formatVersion)+"\n"))
	}
	if err != nil {
		return err
	}
	v, ok := strings.CutPrefix(string(text), formatMark)
	n, err := strconv.Atoi(strings.TrimSuffix(v, "\n"))
	switch {
	case !ok || err != nil || n < 1:
		// Every record and entry says its own version: a damaged mark stops nothing.
		s.warn("the format mark of the checkpoint folder was damaged and is written anew", "file", path)
		if s.opt.ReadOnly {
			return nil
		}
		return replaceFile(path, []byte(formatMark+strconv.Itoa(formatVersion)+"\n"))
	case n > formatVersion:
		return fault.New(fault.CheckpointVersion, "the checkpoint folder has format %d, known is %d", n, formatVersion).At(fault.Where{File: path})
	}
	return nil
}

// ioFault gives errors of the file system their code; coded ones pass.
func ioFault(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.As(err); ok {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fault.New(fault.CheckpointIO, "%s: %w", what, err)
}
