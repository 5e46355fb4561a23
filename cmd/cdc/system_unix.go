//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// freeSpace gives what an unprivileged process may still write on the file system of path.
func freeSpace(path string) (n uint64, ok bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), true //nolint:unconvert // their types differ between systems
}

// lockHeld reports that another process holds the lock of a checkpoint folder.
func lockHeld(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}

// mayWrite says why this process may make no file in a folder.
func mayWrite(path string) error {
	const writeAndSearch = 3
	if err := syscall.Access(path, writeAndSearch); err != nil {
		return &os.PathError{Op: "write in", Path: path, Err: err}
	}
	return nil
}
