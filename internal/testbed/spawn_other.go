//go:build !linux

package testbed

import "syscall"

// childAttributes lets programs that only name a server of their own be built elsewhere; the servers of the test bed run on Linux.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
