//go:build linux || darwin || freebsd

package files

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile takes the lock that the system gives up when the process ends, however it ends.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	return nil
}

// freeBytes gives what an ordinary user may still write on the file system of f.
func freeBytes(f *os.File) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	return uint64(max(int64(st.Bavail), 0)) * uint64(st.Bsize), nil
}
