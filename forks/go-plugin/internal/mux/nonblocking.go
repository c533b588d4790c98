// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"crypto/tls"
	"net"
)

// nonblockingWriter writes what a connection takes without waiting.
type nonblockingWriter interface {
	// writeSome returns how much of p was written.
	writeSome(p []byte) (int, error)
	// flush waits until all that was written has reached the operating system.
	// flushed reports whether it has.
	flush() error
	flushed() bool
}

// gatherWriter writes what a connection takes of several pieces of memory at once, without
// waiting. It returns how many bytes were written.
type gatherWriter interface {
	writeSomeOf(list [][]byte) (int, error)
}

// transparent is a connection that writes to another what it is given, as it is.
// Neither NetConn nor an embedded connection says that: what wraps them may
// encrypt, compress or count.
type transparent interface{ WritesTo() net.Conn }

// newNonblockingWriter returns nil for a connection that cannot be asked not to wait:
// one that changes what is written, or is none of the operating system. One
// writer may be used at a time.
func newNonblockingWriter(conn net.Conn) nonblockingWriter {
	switch conn := beneath(conn).(type) {
	case *tls.Conn:
		if overflow, ok := conn.NetConn().(*OverflowConn); ok && overflow.socket != nil {
			return &tlsWriter{conn, overflow}
		}
	case *net.TCPConn:
		return newSocketWriter(conn)
	case *net.UnixConn:
		return newSocketWriter(conn)
	}
	return nil
}

// beneath returns the connection to which everything goes unchanged.
func beneath(conn net.Conn) net.Conn {
	for {
		passing, ok := conn.(transparent)
		if !ok {
			return conn
		}
		conn = passing.WritesTo()
	}
}

// tlsWriter writes to a TLS connection, which waits for the one beneath it in
// the middle of a record. So that one keeps what is left over.
type tlsWriter struct {
	conn     *tls.Conn
	overflow *OverflowConn
}

// tlsBatch is the most that is encrypted at once without a goroutine of its own.
const tlsBatch = 16 << 10

func (w *tlsWriter) writeSome(p []byte) (int, error) {
	if len(p) > tlsBatch || !w.overflow.flushed() {
		return 0, nil
	}
	w.overflow.keep(true)
	defer w.overflow.keep(false)
	return w.conn.Write(p)
}

func (w *tlsWriter) flush() error { return w.overflow.flush() }

func (w *tlsWriter) flushed() bool { return w.overflow.flushed() }
