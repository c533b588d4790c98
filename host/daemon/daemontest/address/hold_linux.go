// SPDX-License-Identifier: MPL-2.0

package address

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// hold binds a socket that never listens. Linux gives its port to no socket that does not
// ask for it by number, and lets another listen beside it because both reuse addresses, as
// every listener of Go does (socket(7), SO_REUSEADDR).
func hold() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	release = func() { _ = syscall.Close(fd) }
	defer func() {
		if err != nil {
			release()
		}
	}()
	loopback := [4]byte{127, 0, 0, 1}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback}); err != nil {
		return "", nil, os.NewSyscallError("bind", err)
	}
	// Not before: a socket that reuses addresses might be given one that is held already.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", nil, os.NewSyscallError("setsockopt", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockname", err)
	}
	v4, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		return "", nil, fmt.Errorf("getsockname gave a %T", bound)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port))).String(), release, nil
}
