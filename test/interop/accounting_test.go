// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// accounted returns an error unless a host has all of a flood of size bytes, or
// was told how much of it it missed.
func accounted(got hostapi.Output, size int64) error {
	if got.Missed == 0 {
		if got.Bytes != size || got.Missing != 0 || got.Torn != 0 {
			return fmt.Errorf("the host got %d bytes, %d lines missing and %d torn, and no notice of it; want all %d bytes",
				got.Bytes, got.Missing, got.Torn, size)
		}
		return nil
	}
	// A notice begins with a line break of its own if a line was cut.
	have := got.Bytes - got.NoticeBytes + got.Missed
	if have < size || have > size+got.Notices {
		return fmt.Errorf("the host got %d bytes and was told of %d missed ones, which makes %d, want %d",
			got.Bytes-got.NoticeBytes, got.Missed, have, size)
	}
	return nil
}

// fullListener returns the address of a listener that never accepts and whose
// queue is full, so that the kernel drops further attempts to connect.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("make a socket: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("bind: %v", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatalf("listen: %v", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatalf("read the address: %v", err)
	}
	to := bound.(*syscall.SockaddrInet4)
	// Connections in progress stay in the queue; two are more than it holds.
	for range 2 {
		client, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatalf("make a socket: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Close(client) })
		if err := syscall.Connect(client, to); err != nil && err != syscall.EINPROGRESS {
			t.Fatalf("connect: %v", os.NewSyscallError("connect", err))
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", to.Port)
}
