package session

import "syscall"

// setLowWater gives what sets SO_RCVLOWAT. Linux takes it into account in epoll, also where it is lowered while somebody waits (tcp_set_rcvlowat).
func setLowWater(raw syscall.RawConn) func(int) bool {
	return func(n int) bool {
		var bad error
		err := raw.Control(func(fd uintptr) { bad = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) })
		return err == nil && bad == nil
	}
}
