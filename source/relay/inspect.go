package relay

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/source/binlog"
)

// File is what is to be said of one file.
type File struct {
	Folder string    `json:"folder"`
	Name   string    `json:"name"`
	Path   string    `json:"path"`
	Bytes  int64     `json:"bytes"`
	Before string    `json:"gtids_before,omitempty"` // transactions before its first
	From   uint64    `json:"from"`                   // offset in the source's file at which it begins
	Time   time.Time `json:"time"`                   // of the last write
	Needed string    `json:"needed_by,omitempty"`    // a stream that has not carried it, or the archive

	Archived string `json:"archived,omitempty"` // the part of an archive that has it
}

func (s *segment) file() File {
	f := File{Folder: s.in.name, Name: s.name, Path: s.path, Bytes: s.size, From: s.from, Archived: s.shipped}
	if s.begin != nil {
		f.Before = s.begin.String()
	}
	if info, err := os.Stat(s.path); err == nil {
		f.Time = info.ModTime()
	}
	return f
}

// Files lists the files, oldest first.
func (r *Relay) Files() []File {
	needs := r.opt.Needs()
	r.mu.Lock()
	list := append([]*segment(nil), r.segs...)
	out := make([]File, len(list))
	for i := range list {
		if i+1 < len(list) {
			out[i].Needed = r.neededBy(i, needs)
			if r.unshipped(list[i]) && out[i].Needed == "" {
				out[i].Needed = archiveName
			}
		}
	}
	r.mu.Unlock()
	for i, s := range list {
		needed := out[i].Needed
		r.mu.Lock()
		out[i] = s.file()
		r.mu.Unlock()
		out[i].Needed = needed
	}
	return out
}

// End is where the relay's own reading goes on.
func (r *Relay) End() (gtids, file string, offset uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done != nil {
		gtids = r.done.String()
	}
	return gtids, r.next.File, r.next.Offset
}

// List gives the files of a folder, whether a process writes it or not.
func List(dir string) ([]File, error) {
	list, _, err := load(dir)
	out := make([]File, len(list))
	for i, s := range list {
		out[i] = s.file()
	}
	return out, err
}

// Verified is what was found in a file.
type Verified struct {
	File
	Transactions int
	Whole        int64 // bytes up to the end of the last whole transaction
	Err          error // why the rest is not whole; nil where it is
	Last         bool  // it is the newest file, to which a running process still writes
}

// Verify reads every file of a folder through: checksums, transactions that begin and end, and GTIDs that follow from one file to the next.
func Verify(ctx context.Context, dir string, yield func(Verified) error) error {
	list, _, err := load(dir)
	if err != nil {
		return err
	}
	var done *gtid.Set
	for i, s := range list {
		v := Verified{File: s.file(), Last: i == len(list)-1}
		if done != nil && s.begin != nil && !done.Equal(s.begin) {
			v.Err = damaged(s.path, "the file was begun behind %s, and those before it end at %s", s.begin, done)
		}
		done = clone(s.begin)
		f, err := s.scan(ctx, s.size, func(o binlog.Outlined) {
			if done != nil && !o.GTID.IsZero() {
				done.Add(o.GTID)
			}
		})
		if err != nil {
			return err
		}
		v.Transactions, v.Whole = f.txns, f.size
		if v.Err == nil {
			v.Err = f.why
		}
		if err := yield(v); err != nil {
			return err
		}
	}
	return nil
}

// Busy reports that a process writes the folder.
func Busy(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer f.Close()
	busy, err := tryLock(f)
	return err == nil && busy
}

// Paused is an order to hold the reading, which stays over restarts.
type Paused struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

const pausedName = "relay.paused"

// ReadPaused gives the order that a folder has; nil where there is none.
func ReadPaused(dir string) (*Paused, error) {
	path := filepath.Join(dir, pausedName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var p Paused
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return nil, damaged(path, "%w", err)
	}
	return &p, nil
}

// KeepPaused makes an order durable; nil takes it back.
func KeepPaused(dir string, p *Paused) error {
	path := filepath.Join(dir, pausedName)
	if p == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.RelayWrite, "%w", err)
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.New(fault.RelayWrite, "%w", err)
	}
	return wrote(writeJSON(path, p))
}

// Ready waits until the relay has a beginning.
func (r *Relay) Ready(ctx context.Context) error {
	for {
		r.mu.Lock()
		changed, ready, failure := r.changed, len(r.segs) > 0, r.failure
		r.mu.Unlock()
		switch {
		case ready:
			return nil
		case failure != nil:
			return failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
