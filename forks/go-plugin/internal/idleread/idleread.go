// SPDX-License-Identifier: MPL-2.0

// Package idleread reads connections that are idle most of the time. A reader
// with a buffer of 32 KiB, which gRPC has for each connection, holds it while it
// waits. These take one out of a pool when there is something to read.
package idleread

import (
	"errors"
	"io"
	"net"
	"syscall"

	"google.golang.org/grpc/mem"
)

// Conn is what gRPC looks for in a connection that is none of package net's own.
type Conn interface {
	net.Conn
	// ReadOnReady is that of [Reader].
	ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error)
}

// Reader reads from one connection. It is used by one goroutine at a time, and
// not mixed with the connection's Read while that blocks. A type that embeds it
// has its method without another stack frame, which counts where thousands of
// goroutines wait in it.
type Reader struct {
	conn  net.Conn
	own   Conn            // conn, if it reads so by itself
	raw   syscall.RawConn // of conn, if it is a plain socket
	steps *steps          // in all other cases

	// Of one call of raw.Read.
	try    func(fd uintptr) (done bool)
	size   int
	pool   mem.BufferPool
	buffer *[]byte
	n      int
	err    error
}

// NewReader returns a reader for conn.
func NewReader(conn net.Conn) *Reader {
	r := &Reader{conn: conn}
	if reads, ok := conn.(Conn); ok {
		r.own = reads
		return r
	}
	if r.raw = rawConn(conn); r.raw == nil {
		r.steps = new(steps)
		return r
	}
	r.try = r.tryOnce
	return r
}

// rawConn returns nil if conn is not a plain stream socket. A type that merely
// has a socket inside will not do: it may change what it reads.
func rawConn(conn net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch socket := conn.(type) {
	case *net.TCPConn:
		raw, err = socket.SyscallConn()
	case *net.UnixConn:
		raw, err = socket.SyscallConn()
	}
	if err != nil || !canTry {
		return nil
	}
	return raw
}

// ReadOnReady waits until there is something to read, takes a buffer of that
// size out of the pool, and reads once. The caller gives the buffer back; it is
// nil if nothing was read. Deadlines are the connection's.
func (r *Reader) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	switch {
	case r.own != nil:
		return r.own.ReadOnReady(size, pool)
	case r.steps != nil:
		return r.steps.read(r.conn, size, pool)
	}
	// Here it waits, and not in a function of its own.
	r.size, r.pool = size, pool
	err = r.raw.Read(r.try)
	buffer, n = r.buffer, r.n
	if err == nil {
		err = r.err
	}
	r.pool, r.buffer, r.n, r.err = nil, nil, 0, nil
	if err != nil && err != io.EOF {
		err = r.explain(err)
	}
	return buffer, n, err
}

// explain gives an error the form that it has from Read.
func (r *Reader) explain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return &net.OpError{Op: "read", Net: r.conn.LocalAddr().Network(), Source: r.conn.LocalAddr(), Addr: r.conn.RemoteAddr(), Err: err}
}

// firstStep is how much steps reads before it takes a buffer: a few frames of
// HTTP/2 with short messages.
const firstStep = 512

// steps reads from a connection that cannot say whether there is something to
// read, as TLS. It waits with a small buffer of its own, and takes one out of the
// pool for the rest of what did not fit.
type steps struct {
	more  bool // the last read filled its buffer: there is more, most likely
	first [firstStep]byte
}

func (s *steps) read(conn net.Conn, size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if s.more || size <= firstStep {
		buffer = pool.Get(size)
		n, err = conn.Read(*buffer)
		s.more = false
	} else {
		n, err = conn.Read(s.first[:])
		s.more = n == firstStep
		if n > 0 {
			buffer = pool.Get(size)
			copy(*buffer, s.first[:n])
		}
	}
	if n == 0 && buffer != nil {
		pool.Put(buffer)
		buffer = nil
	}
	return buffer, n, err
}
