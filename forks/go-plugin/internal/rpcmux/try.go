// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"crypto/tls"
	"net"
)

// tryWriter writes what a connection takes without waiting.
type tryWriter interface {
	// try returns how much of p was written.
	try(p []byte) (int, error)
	// settle waits until all that was written has reached the operating system.
	// settled reports whether it has.
	settle() error
	settled() bool
}

// transparent is a connection that writes to another what it is given, as it is.
// Neither NetConn nor an embedded connection says that: who has them may
// encrypt, compress or count.
type transparent interface{ WritesTo() net.Conn }

// newTryWriter returns nil for a connection that cannot be asked not to wait:
// one that changes what is written, or is none of the operating system. One
// writer may be used at a time.
func newTryWriter(conn net.Conn) tryWriter {
	switch conn := beneath(conn).(type) {
	case *tls.Conn:
		if spill, ok := conn.NetConn().(*SpillConn); ok && spill.socket != nil {
			return &tlsWriter{conn, spill}
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
	conn  *tls.Conn
	spill *SpillConn
}

// tlsBatch is the most that is encrypted at once without a goroutine of its own.
const tlsBatch = 16 << 10

func (w *tlsWriter) try(p []byte) (int, error) {
	if len(p) > tlsBatch || !w.spill.settled() {
		return 0, nil
	}
	w.spill.keep(true)
	defer w.spill.keep(false)
	return w.conn.Write(p)
}

func (w *tlsWriter) settle() error { return w.spill.settle() }

func (w *tlsWriter) settled() bool { return w.spill.settled() }
