// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hashicorp/go-plugin/internal/child"
)

// TestSocketClosesBesideADial closes the socket of a plugin that has ended while a
// connection to it is being made that nobody answers.
func TestSocketClosesBesideADial(t *testing.T) {
	r := play(t, "crash")
	if _, err := r.Run(t.Context(), r.runner, false); err != nil {
		t.Fatal(err)
	}
	<-r.Context().Done()
	addr := silentServer(t)
	socket := child.NewSocket(addr, net.Dialer{})
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan error, 1)
	go func() {
		_, err := socket.Dial(ctx)
		dialled <- err
	}()
	awaitSYN(t, addr.Port)

	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.OwnSocket(socket)
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
	if _, err := socket.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a dial after the end: %v", err)
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

// awaitSYN waits until the system has sent a SYN to the port and waits for an answer.
func awaitSYN(t *testing.T, port int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		table, err := os.ReadFile("/proc/self/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(table), fmt.Sprintf(" 0100007F:%04X 02 ", port)) {
			return
		}
	}
	t.Fatal("no connection is under way")
}
