//go:build linux || darwin || freebsd

package materialize

import (
	"os"
	"syscall"
)

// lockFile takes the lock that the system gives up when the process ends, however it ends.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
