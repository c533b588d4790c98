// SPDX-License-Identifier: MPL-2.0

// Package idleread reads connections that are idle most of the time. A reader
// with a buffer of 32 KiB, which gRPC has for each connection, holds it while it
// waits. These take one out of a pool when there is something to read.
package idleread

import (
	"net"

	"google.golang.org/grpc/mem"
)

// Reader is what gRPC looks for in a connection that is none of package net's
// own. It is used by one goroutine at a time, and not mixed with Read while that
// blocks.
type Reader interface {
	// ReadOnReady waits until there is something to read, takes a buffer of that
	// size out of the pool, and reads once. The caller gives the buffer back; it
	// is nil if nothing was read. Deadlines are the connection's.
	ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error)
}

// For returns a reader for conn: conn itself if it is one.
func For(conn net.Conn) Reader {
	if r, ok := conn.(Reader); ok {
		return r
	}
	if r := newSocket(conn); r != nil {
		return r
	}
	return &stepwise{conn: conn}
}

// Lazy makes the reader of a connection when it is asked for the first time:
// only gRPC does. The zero value is ready.
type Lazy struct{ reader Reader }

// ReadOnReady reads from conn, which must be the same each time.
func (l *Lazy) ReadOnReady(conn net.Conn, size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if l.reader == nil {
		l.reader = For(conn)
	}
	return l.reader.ReadOnReady(size, pool)
}

// firstStep is how much stepwise reads before it takes a buffer: a few frames of
// HTTP/2 with short messages.
const firstStep = 512

// stepwise reads from a connection that cannot say whether there is something to
// read, as TLS. It waits with a small buffer of its own, and takes one out of
// the pool for the rest of what did not fit.
type stepwise struct {
	conn  net.Conn
	more  bool // the last read filled its buffer
	first [firstStep]byte
}

func (s *stepwise) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if s.more || size <= firstStep {
		buffer = pool.Get(size)
		n, err = s.conn.Read(*buffer)
		s.more = false
	} else {
		n, err = s.conn.Read(s.first[:])
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
