// SPDX-License-Identifier: MPL-2.0

//go:build unix

package mux

import (
	"errors"
	"syscall"
)

// newSocketWriter returns nil if the socket cannot be reached.
func newSocketWriter(conn syscall.Conn) nonblockingWriter {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	w := &socketWriter{raw: raw}
	w.attempt = w.writeTo // made once: it is passed at every write
	w.prepareSeveral()
	return w
}

// socketWriter writes to a socket.
type socketWriter struct {
	raw     syscall.RawConn
	attempt func(fd uintptr) (done bool)
	data    []byte
	several several
	n       int
	err     error
}

func (w *socketWriter) writeSome(p []byte) (int, error) {
	w.data, w.n, w.err = p, 0, nil
	err := w.raw.Write(w.attempt)
	w.data = nil
	return w.n, errors.Join(err, w.err)
}

func (w *socketWriter) flush() error { return nil }

func (w *socketWriter) flushed() bool { return true }

// writeTo is called with the socket, which does not block. It always says that it
// is done: what is left over is written by others.
func (w *socketWriter) writeTo(fd uintptr) (done bool) {
	for again := true; again; {
		again = w.isInterrupted(syscall.Write(int(fd), w.data))
	}
	return true
}

// isInterrupted notes what a write came to, and reports true if it has to be tried again.
func (w *socketWriter) isInterrupted(n int, err error) bool {
	switch {
	case err == nil:
		w.n = n
	case errors.Is(err, syscall.EINTR):
		return true
	case !errors.Is(err, syscall.EAGAIN):
		w.err = err
	}
	return false
}
