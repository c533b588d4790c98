// SPDX-License-Identifier: MPL-2.0

//go:build unix

package rpcmux

import (
	"errors"
	"net"
	"syscall"
)

// tryWriter writes what a connection takes without waiting.
type tryWriter func(p []byte) (int, error)

// transparent is a connection that writes to another what it is given, as it is.
// Neither NetConn nor an embedded connection says that: who has them may
// encrypt, compress or count.
type transparent interface{ WritesTo() net.Conn }

// newTryWriter returns nil for a connection that cannot be asked not to wait:
// one that changes what is written, or is none of the operating system. One
// writer may be used at a time.
func newTryWriter(conn net.Conn) tryWriter {
	for {
		passing, ok := conn.(transparent)
		if !ok {
			break
		}
		conn = passing.WritesTo()
	}
	var raw syscall.RawConn
	var err error
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		raw, err = conn.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	w := &socketWriter{}
	attempt := w.attempt // made once: it is passed at every write
	return func(p []byte) (int, error) {
		w.data, w.n, w.err = p, 0, nil
		err := raw.Write(attempt)
		w.data = nil
		return w.n, errors.Join(err, w.err)
	}
}

type socketWriter struct {
	data []byte
	n    int
	err  error
}

// attempt is called with the socket, which does not block. It always says that
// it is done: what is left over is written by others.
func (w *socketWriter) attempt(fd uintptr) (done bool) {
	for {
		n, err := syscall.Write(int(fd), w.data)
		switch {
		case err == nil:
			w.n = n
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EAGAIN):
			w.err = err
		}
		return true
	}
}
