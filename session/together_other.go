//go:build !linux

package session

import "syscall"

func setLowWater(syscall.RawConn) func(int) bool { return nil }
