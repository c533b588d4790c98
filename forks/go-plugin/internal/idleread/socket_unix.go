// SPDX-License-Identifier: MPL-2.0

//go:build unix

package idleread

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"google.golang.org/grpc/mem"
)

// socket reads from a connection of package net. The poller says when there is
// something to read.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn
	read func(fd uintptr) bool // attempt, as a value that is made once

	size   int
	pool   mem.BufferPool
	buffer *[]byte
	n      int
	err    error
}

// newSocket returns nil if conn is not a plain stream socket. A type that merely
// has a socket inside will not do: it may change what it reads.
func newSocket(conn net.Conn) Reader {
	var sys syscall.Conn
	switch c := conn.(type) {
	case *net.TCPConn:
		sys = c
	case *net.UnixConn:
		sys = c
	default:
		return nil
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{conn: conn, raw: raw}
	s.read = s.attempt
	return s
}

func (s *socket) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	s.size, s.pool = size, pool
	err = s.raw.Read(s.read)
	buffer, n = s.buffer, s.n
	if err == nil {
		err = s.err
	}
	s.pool, s.buffer, s.n, s.err = nil, nil, 0, nil
	return buffer, n, s.explain(err)
}

// explain gives an error the form that it has from Read.
func (s *socket) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return &net.OpError{Op: "read", Net: s.conn.LocalAddr().Network(), Source: s.conn.LocalAddr(), Addr: s.conn.RemoteAddr(), Err: err}
}

// attempt reads without waiting, and reports whether it came to anything.
func (s *socket) attempt(fd uintptr) (done bool) {
	buffer := s.pool.Get(s.size)
	n, err := readOnce(fd, *buffer)
	if n > 0 {
		s.buffer, s.n = buffer, n
		return true
	}
	s.pool.Put(buffer)
	switch err {
	case nil:
		s.err = io.EOF
	case syscall.EAGAIN:
		return false
	default:
		s.err = os.NewSyscallError("read", err)
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
