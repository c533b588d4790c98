// SPDX-License-Identifier: MPL-2.0

//go:build unix

package rpcmux

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// tryWriter writes what a connection takes without waiting.
type tryWriter func(p []byte) (int, error)

// newTryWriter returns nil for a connection that cannot be asked not to wait:
// one that encrypts, or is none of the operating system. One writer may be used
// at a time.
func newTryWriter(conn net.Conn) tryWriter {
	for {
		if _, encrypts := conn.(*tls.Conn); encrypts {
			return nil
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapper.NetConn()
	}
	file, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := file.SyscallConn()
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
