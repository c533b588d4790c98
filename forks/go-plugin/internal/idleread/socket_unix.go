// SPDX-License-Identifier: MPL-2.0

//go:build unix

package idleread

import (
	"io"
	"os"
	"syscall"
)

// canTry reports whether a socket can be read without waiting.
const canTry = true

// tryOnce reads without waiting, and reports whether it came to anything.
func (r *Reader) tryOnce(fd uintptr) (done bool) {
	buffer := r.pool.Get(r.size)
	n, err := readOnce(fd, *buffer)
	if n > 0 {
		r.buffer, r.n = buffer, n
		return true
	}
	r.pool.Put(buffer)
	switch err {
	case nil:
		r.err = io.EOF
	case syscall.EAGAIN:
		return false
	default:
		r.err = os.NewSyscallError("read", err)
	}
	return true
}

func readOnce(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
