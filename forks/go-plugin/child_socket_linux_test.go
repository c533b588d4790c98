// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSocketClosesBesideADial closes the socket of a plugin, as the end of its
// process does, while a connection is being made that nobody answers.
func TestSocketClosesBesideADial(t *testing.T) {
	addr := silentServer(t)
	socket := &childSocket{addr: addr}
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan error, 1)
	go func() {
		_, err := socket.dial(ctx)
		dialled <- err
	}()
	eventually(t, "a connection is under way", func() bool { return isConnecting(t, addr.Port) })

	closed := make(chan struct{})
	go func() {
		socket.close()
		close(closed)
	}()
	select {
	case <-closed:
	case err := <-dialled:
		t.Errorf("the dial ended by itself: %v", err)
	case <-time.After(10 * time.Second):
		t.Error("the end of the plugin waits for the dial")
	}
	cancel()
	<-closed
	if _, err := socket.dial(t.Context()); err == nil {
		t.Error("the plugin that is gone was connected to")
	}
}

// silentServer listens with a queue that is full, so that it answers nothing.
func silentServer(t *testing.T) *net.TCPAddr {
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

// isConnecting reports whether the system has sent a SYN to the port and waits.
func isConnecting(t *testing.T, port int) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(table), fmt.Sprintf(" 0100007F:%04X 02 ", port))
}
