package filestest

import (
	"context"
	"errors"
	"io"
	"sync"

	"cdc/sinks/files"
)

// Hook is called before each operation of a wrapped store, with the operation's name (create, append, open, list, publish, rename, remove,
// syncdir, write, truncate, sync) and the file's. An error is the operation's, which then does nothing; a write that fails with a ShortError
// writes that many bytes first.
type Hook func(ctx context.Context, op, name string) error

// ShortError is the error of a write that is cut short.
type ShortError struct {
	N   int
	Err error
}

func (e *ShortError) Error() string { return e.Err.Error() }

func (e *ShortError) Unwrap() error { return e.Err }

// Store is a wrapped store.
type Store struct {
	files.Store
	NoSync bool // leaves out what makes things durable: for tests that kill processes and not machines

	mu   sync.RWMutex // held for reading during an operation
	hook Hook
	dead bool
}

// Wrap puts a hook before each operation of s; a nil hook does nothing.
func Wrap(s files.Store, h Hook) *Store {
	if h == nil {
		h = func(context.Context, string, string) error { return nil }
	}
	return &Store{Store: s, hook: h}
}

// Kill lets running operations end and fails all that come, as if the process were gone: what the store holds now stays as it is.
func (s *Store) Kill() {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
}

func (s *Store) run(ctx context.Context, op, name string, f func() error) error {
	// Outside the lock: a hook may block, and Kill must not wait for it.
	err := s.hook(ctx, op, name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.dead {
		return ErrCrashed
	}
	if err != nil {
		return err
	}
	return f()
}

// Create and the others implement files.Store.
func (s *Store) Create(ctx context.Context, name string) (f files.File, err error) {
	err = s.run(ctx, "create", name, func() error { f, err = s.Store.Create(ctx, name); return err })
	if err != nil {
		return nil, err
	}
	return &file{f, s, name}, nil
}

// Append implements files.Store.
func (s *Store) Append(ctx context.Context, name string) (f files.File, err error) {
	err = s.run(ctx, "append", name, func() error { f, err = s.Store.Append(ctx, name); return err })
	if err != nil {
		return nil, err
	}
	return &file{f, s, name}, nil
}

// Open implements files.Store.
func (s *Store) Open(ctx context.Context, name string) (r io.ReadCloser, err error) {
	err = s.run(ctx, "open", name, func() error { r, err = s.Store.Open(ctx, name); return err })
	return r, err
}

// List implements files.Store.
func (s *Store) List(ctx context.Context, dir string) (names []string, err error) {
	err = s.run(ctx, "list", dir, func() error { names, err = s.Store.List(ctx, dir); return err })
	return names, err
}

// Publish implements files.Store.
func (s *Store) Publish(ctx context.Context, temp, final string) error {
	return s.run(ctx, "publish", final, func() error { return s.Store.Publish(ctx, temp, final) })
}

// Rename implements files.Store.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	return s.run(ctx, "rename", to, func() error { return s.Store.Rename(ctx, from, to) })
}

// Remove implements files.Store.
func (s *Store) Remove(ctx context.Context, name string) error {
	return s.run(ctx, "remove", name, func() error { return s.Store.Remove(ctx, name) })
}

// SyncDir implements files.Store.
func (s *Store) SyncDir(ctx context.Context, dir string) error {
	return s.run(ctx, "syncdir", dir, func() error {
		if s.NoSync {
			return nil
		}
		return s.Store.SyncDir(ctx, dir)
	})
}

type file struct {
	files.File
	s    *Store
	name string
}

func (f *file) Write(ctx context.Context, p []byte) (n int, err error) {
	err = f.s.run(ctx, "write", f.name, func() error { n, err = f.File.Write(ctx, p); return err })
	var cut *ShortError
	if errors.As(err, &cut) {
		n, werr := f.File.Write(ctx, p[:min(cut.N, len(p))])
		return n, errors.Join(err, werr)
	}
	return n, err
}

func (f *file) Truncate(ctx context.Context, size int64) error {
	return f.s.run(ctx, "truncate", f.name, func() error { return f.File.Truncate(ctx, size) })
}

func (f *file) Sync(ctx context.Context) error {
	return f.s.run(ctx, "sync", f.name, func() error {
		if f.s.NoSync {
			return nil
		}
		return f.File.Sync(ctx)
	})
}
