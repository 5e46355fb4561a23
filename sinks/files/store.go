package files

import (
	"context"
	"errors"
	"io"
	"syscall"
)

// Store is a place for files. The sink's protocol (see doc.go) is written against it: the local folder is one implementation, and its methods
// are few and plain enough for others. Names are relative and use slashes.
//
// Nothing is durable before it was synced: the bytes of a file by File.Sync, and its name by SyncDir of its folder. Errors are those of
// package fs where they fit: fs.ErrExist, fs.ErrNotExist, fs.ErrPermission. A full disk is ENOSPC, EDQUOT or ErrFull.
//
// Append, SyncDir and the methods of different Files are called by several goroutines at a time.
type Store interface {
	// Create makes a new empty file, and the folders above it. A name that is taken is fs.ErrExist.
	Create(ctx context.Context, name string) (File, error)
	// Append opens a file made by Create to go on at its end.
	Append(ctx context.Context, name string) (File, error)
	// Open reads a file from its start. Anything but a regular file is ErrNotRegular.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// List gives the names in a folder; none where there is no such folder.
	List(ctx context.Context, dir string) ([]string, error)
	// Publish gives the file temp the name final as well or instead, and makes the folders above final. It never replaces: a name that is
	// taken, by whatever, is fs.ErrExist. A link or a file where a folder is needed is ErrNotRegular.
	Publish(ctx context.Context, temp, final string) error
	// Rename renames a file and replaces atomically what had the new name. The sink uses it within one folder only.
	Rename(ctx context.Context, from, to string) error
	// Remove removes a file.
	Remove(ctx context.Context, name string) error
	// SyncDir makes the names in a folder durable. The top folder is ".".
	SyncDir(ctx context.Context, dir string) error
	// Free gives the bytes that may still be written, or the largest uint64 where nobody knows.
	Free(ctx context.Context) (uint64, error)
	Close() error
}

// File is a file being written.
type File interface {
	// Write appends. After an error n bytes of p may be there.
	Write(ctx context.Context, p []byte) (n int, err error)
	// Truncate cuts the file to size bytes, where writing goes on.
	Truncate(ctx context.Context, size int64) error
	// Sync makes all bytes durable. After an error nobody knows which bytes are: the file must not be used any more.
	Sync(ctx context.Context) error
	Close() error
}

var (
	// ErrFull is for stores whose full disk is not an error number.
	ErrFull = errors.New("no space left")
	// ErrNotRegular says that a name belongs to something that the sink does not use: a link, a folder where a file should be, a device.
	ErrNotRegular = errors.New("not a regular file or folder")
	// ErrLocked says that another process writes to the folder.
	ErrLocked = errors.New("locked by another process")
)

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, ErrFull)
}
