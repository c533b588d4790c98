// SPDX-License-Identifier: MPL-2.0

package testkit

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// SilentServer listens with a queue that is full, so that it answers nothing.
func SilentServer(t testing.TB) *net.TCPAddr {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port}
	conn, err := net.DialTCP("tcp", nil, addr) // A queue of length 0 holds one.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return addr
}

// AwaitSYN waits until the system has sent a SYN to the port and has no answer.
func AwaitSYN(t testing.TB, port int) {
	t.Helper()
	syn := fmt.Sprintf(" 0100007F:%04X 02 ", port)
	Eventually(t, fmt.Sprintf("a SYN to port %d", port), func() bool {
		table, err := os.ReadFile("/proc/self/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(table), syn)
	})
}
