package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// folderArchive is an Archive in a folder of this machine, or of a file system that is mounted there.
type folderArchive struct{ dir string }

// OpenFolder opens a folder as an archive, making it and those above it where they are not there.
func OpenFolder(dir string) (Archive, error) {
	if err := makeFolders(dir); err != nil {
		return nil, err
	}
	return &folderArchive{dir}, nil
}

// makeFolders makes a folder and those above it durable.
func makeFolders(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", dir)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	up := filepath.Dir(dir)
	if up != dir {
		if err := makeFolders(up); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(up)
}

func (a *folderArchive) path(name string) string {
	return filepath.Join(a.dir, filepath.FromSlash(name))
}

// Put writes a file under a name of its own, and syncs it.
func (a *folderArchive) Put(ctx context.Context, name string, body io.ReadSeeker, _ int64) error {
	at := a.path(name)
	if err := makeFolders(filepath.Dir(at)); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &during{ctx, body})
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = syncDir(filepath.Dir(at))
	}
	return err
}

// PutNew writes a small file elsewhere first: under its name it is whole.
func (a *folderArchive) PutNew(ctx context.Context, name string, body []byte) error {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	temp := path.Join(ArchiveTemp, "new-"+hex.EncodeToString(b[:]))
	err := a.Put(ctx, temp, bytes.NewReader(body), int64(len(body)))
	if err == nil {
		err = a.Publish(ctx, temp, name)
	}
	if rerr := a.Remove(ctx, temp); err == nil && rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = rerr
	}
	return err
}

// Publish links: unlike rename(2), link(2) fails where the name is taken.
func (a *folderArchive) Publish(_ context.Context, temp, final string) error {
	at := a.path(final)
	if err := makeFolders(filepath.Dir(at)); err != nil {
		return err
	}
	if err := os.Link(a.path(temp), at); err != nil {
		return err
	}
	return syncDir(filepath.Dir(at))
}

func (a *folderArchive) Open(_ context.Context, name string) (io.ReadCloser, error) {
	info, err := os.Lstat(a.path(name))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(a.path(name))
}

func (a *folderArchive) List(_ context.Context, dir string) ([]string, error) {
	entries, err := os.ReadDir(a.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (a *folderArchive) Remove(_ context.Context, name string) error { return os.Remove(a.path(name)) }

// Sweep has nothing to do: all that a process leaves is a file.
func (a *folderArchive) Sweep(context.Context) error { return nil }

func (a *folderArchive) Close() error { return nil }
