// SPDX-License-Identifier: MPL-2.0

package link

import (
	"syscall"
	"time"
	"unsafe"
)

const (
	pollIn          = 1
	pollOut         = 4
	prSetTimerSlack = 29
	leastTimerSlack = 1 // ns
)

// exactTimers has the timers of this thread end when they are to, and not up to 50 µs later.
func exactTimers() {
	_, _, _ = syscall.Syscall(syscall.SYS_PRCTL, prSetTimerSlack, leastTimerSlack, 0)
}

func unblock(fd int) error { return syscall.SetNonblock(fd, true) }

// interest is what is waited for at a file, and whether it can be read.
type interest struct {
	fd            int
	reads, writes bool
	readable      bool
}

// await waits until something can be read or written, or until wait is over; below zero it
// never is.
func await(set *[3]interest, wait time.Duration) error {
	type pollFD struct {
		fd      int32
		events  int16
		revents int16
	}
	var fds [3]pollFD
	for i, one := range set {
		fds[i].fd = int32(one.fd)
		if one.reads {
			fds[i].events |= pollIn
		}
		if one.writes {
			fds[i].events |= pollOut
		}
		if fds[i].events == 0 {
			fds[i].fd = -1
		}
	}
	var until *syscall.Timespec
	if wait >= 0 {
		t := syscall.NsecToTimespec(int64(wait))
		until = &t
	}
	for {
		_, _, failed := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), uintptr(len(fds)), uintptr(unsafe.Pointer(until)), 0, 0, 0)
		if failed == syscall.EINTR {
			continue
		}
		if failed != 0 {
			return failed
		}
		for i := range set {
			set[i].readable = fds[i].revents&^pollOut != 0
		}
		return nil
	}
}
