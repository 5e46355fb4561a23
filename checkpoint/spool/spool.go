// Package spool keeps the rows of prepared XA transactions in a folder beside the checkpoint, until XA COMMIT or XA ROLLBACK ends them.
//
// A prepared transaction may stay open for days, over any number of restarts, and its rows come only once: with XA PREPARE. So they go to a file
// that is synced before the place behind the XA PREPARE can be saved, and the record names that file (Record.XA). A file goes away when a record
// was saved in which its transaction has ended; what a crash leaves between the two is swept when the folder is opened.
package spool

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cdc/fault"
)

// Dir is a spool folder. Its methods may be called by one goroutine at a time, but for Remove.
type Dir struct {
	root *os.Root
	path string
}

// Open opens or makes the folder (mode 0700). keep names the files that the record refers to: all others are left over from a crash and go. A
// file that is named and missing is fault.BinlogXASpool; an empty name stands for no file.
func Open(path string, keep []string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fault.New(fault.CheckpointIO, "make spool folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fault.New(fault.CheckpointIO, "open spool folder: %w", err)
	}
	d := &Dir{root: root, path: path}
	if err := d.sweep(keep); err != nil {
		root.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) sweep(keep []string) error {
	named := map[string]bool{}
	for _, k := range keep {
		if k != "" { // prepared without rows of selected tables
			named[k+suffixOf(k)] = true
		}
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fault.New(fault.CheckpointIO, "read spool folder: %w", err)
	}
	for _, e := range entries {
		if named[e.Name()] {
			delete(named, e.Name())
			continue
		}
		if strings.HasSuffix(e.Name(), suffix) {
			if err := d.root.Remove(e.Name()); err != nil {
				return fault.New(fault.CheckpointIO, "sweep spool folder: %w", err)
			}
		}
	}
	for name := range named {
		return fault.New(fault.BinlogXASpool, "the checkpoint names a prepared transaction whose rows are gone").
			At(fault.Where{File: filepath.Join(d.path, name)})
	}
	return nil
}

// suffix marks our files, so that nothing else in the folder is swept.
const suffix = ".xa"

func clean(name string) (string, error) {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return "", fmt.Errorf("spool: %q is not a file name", name)
	}
	return name + suffixOf(name), nil
}

func suffixOf(name string) string {
	if strings.HasSuffix(name, suffix) {
		return ""
	}
	return suffix
}

// Create makes an empty file, replacing one of that name: a transaction that was read in part before a crash is read again.
func (d *Dir) Create(name string) (*File, error) {
	name, err := clean(name)
	if err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fault.New(fault.CheckpointIO, "create spool file: %w", err)
	}
	return &File{File: f, dir: d}, nil
}

// Open opens a file for reading; one that is missing is fault.BinlogXASpool.
func (d *Dir) Open(name string) (io.ReadCloser, error) {
	name, err := clean(name)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fault.New(fault.BinlogXASpool, "open spool file: %w", err)
	}
	return f, nil
}

// Remove takes a file away; one that does not exist is no error.
func (d *Dir) Remove(name string) error {
	name, err := clean(name)
	if err != nil {
		return err
	}
	if err := d.root.Remove(name); err != nil && !os.IsNotExist(err) {
		return fault.New(fault.CheckpointIO, "remove spool file: %w", err)
	}
	return nil
}

// Close frees the folder.
func (d *Dir) Close() error { return d.root.Close() }

// File is a spool file that is being written.
type File struct {
	*os.File
	dir *Dir
}

// Sync makes the contents durable, and the file's name in the folder too.
func (f *File) Sync() error {
	if err := f.File.Sync(); err != nil {
		return fault.New(fault.CheckpointIO, "sync spool file: %w", err)
	}
	d, err := f.dir.root.Open(".")
	if err != nil {
		return fault.New(fault.CheckpointIO, "sync spool folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fault.New(fault.CheckpointIO, "sync spool folder: %w", err)
	}
	return nil
}
