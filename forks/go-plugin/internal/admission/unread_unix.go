// SPDX-License-Identifier: MPL-2.0

//go:build unix

package admission

import (
	"net"
	"syscall"
)

// hasUnread reports whether something has come on a socket that nobody has read yet. It does
// not wait, and may be called while others read.
func hasUnread(conn net.Conn) (has bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	// Not raw.Read, which would wait for whoever reads.
	_ = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		has = n > 0 && err == nil
	})
	return has
}
