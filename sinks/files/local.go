package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// local is the Store in a folder of this machine. Everything goes through os.Root, so that no name and no link leads out of the folder; links
// inside it are refused too, since two tables could meet behind one.
type local struct {
	root     *os.Root
	lock     *os.File
	dirMode  fs.FileMode
	fileMode fs.FileMode
}

// OpenLocal opens a folder as a Store, making it if it is not there (its parent must be), and locks it until Close. A folder that another
// process has locked is ErrLocked. The umask is applied to both modes.
func OpenLocal(dir string, fileMode, dirMode fs.FileMode) (Store, error) {
	l, err := openLocal(dir, workDir, fileMode, dirMode)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// openLocal is OpenLocal with the folder below that in which the lock is.
func openLocal(dir, work string, fileMode, dirMode fs.FileMode) (*local, error) {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if up, err := os.Open(filepath.Dir(filepath.Clean(dir))); err == nil { // the folder's own name should survive too, where we may see to it
		_ = up.Sync()
		up.Close()
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	l := &local{root: root, dirMode: dirMode, fileMode: fileMode}
	if err := l.takeLock(work); err != nil {
		root.Close()
		return nil, err
	}
	return l, nil
}

func (l *local) takeLock(work string) error {
	name := path.Join(work, "lock")
	if err := l.folders(work); err != nil {
		return err
	}
	if err := l.regular(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := l.root.OpenFile(name, os.O_RDWR|os.O_CREATE, l.fileMode)
	if err != nil {
		return fmt.Errorf("open lock: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return err
	}
	l.lock = f
	return nil
}

// folders makes dir and what is above it, and refuses anything there that is not a folder.
func (l *local) folders(dir string) error {
	err := l.folder(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := l.folders(path.Dir(dir)); err != nil {
		return err
	}
	if err := l.root.Mkdir(dir, l.dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return l.folder(dir)
}

// regular reports whether a name is that of a regular file, reached without a link.
func (l *local) regular(name string) error {
	if err := l.folder(path.Dir(name)); err != nil {
		return err
	}
	info, err := l.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", name, ErrNotRegular)
	}
	return nil
}

// folder reports whether a name is that of a folder, reached without a link.
func (l *local) folder(name string) error {
	if name == "." {
		return nil
	}
	if err := l.folder(path.Dir(name)); err != nil {
		return err
	}
	info, err := l.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: %w", name, ErrNotRegular)
	}
	return nil
}

func (l *local) Create(_ context.Context, name string) (File, error) {
	if err := l.folders(path.Dir(name)); err != nil {
		return nil, err
	}
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, l.fileMode)
	if err != nil {
		return nil, err
	}
	return localFile{f}, nil
}

func (l *local) Append(_ context.Context, name string) (File, error) {
	if err := l.regular(name); err != nil {
		return nil, err
	}
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return localFile{f}, nil
}

func (l *local) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if err := l.regular(name); err != nil { // before it is opened: opening a pipe would wait for its writer
		return nil, err
	}
	return l.root.Open(name)
}

func (l *local) List(_ context.Context, dir string) ([]string, error) {
	if err := l.folder(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	d, err := l.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// Publish uses link(2), which unlike rename(2) fails where the name is taken. The temporary name is removed later, when nothing needs it.
func (l *local) Publish(_ context.Context, temp, final string) error {
	if err := l.folders(path.Dir(final)); err != nil {
		return err
	}
	return l.root.Link(temp, final)
}

func (l *local) Rename(_ context.Context, from, to string) error { return l.root.Rename(from, to) }

func (l *local) Remove(_ context.Context, name string) error { return l.root.Remove(name) }

func (l *local) SyncDir(_ context.Context, dir string) error {
	d, err := l.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (l *local) Free(context.Context) (uint64, error) { return freeBytes(l.lock) }

func (l *local) Close() error {
	return errors.Join(l.lock.Close(), l.root.Close()) // closing the file gives up the lock
}

type localFile struct{ f *os.File }

func (f localFile) Write(_ context.Context, p []byte) (int, error) { return f.f.Write(p) }

// Truncate needs no seek: the file is open for appending.
func (f localFile) Truncate(_ context.Context, size int64) error { return f.f.Truncate(size) }

func (f localFile) Sync(context.Context) error { return f.f.Sync() }

func (f localFile) Close() error { return f.f.Close() }
