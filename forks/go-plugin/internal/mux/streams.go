// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// streamConn is the connection of the yamux session that brokered streams use.
// Most sessions never do, so it costs nothing until then.
type streamConn struct {
	net.Conn // for its addresses
	out      *outbox
	arrived  sync.Once
	r        *io.PipeReader
	w        *io.PipeWriter
}

func newStreamConn(out *outbox, conn net.Conn) *streamConn {
	c := &streamConn{Conn: conn, out: out}
	c.r, c.w = io.Pipe()
	return c
}

// deliver gives the bytes of the message at hand to the reader of the connection.
// first is called before the first.
func (c *streamConn) deliver(in *inbox, first func()) error {
	c.arrived.Do(func() {
		if first != nil {
			first()
		}
	})
	for {
		data, err := in.chunk()
		if err != nil || len(data) == 0 {
			return err
		}
		if _, err := c.w.Write(data); err != nil {
			return in.skip() // The streams were closed.
		}
	}
}

// end makes reads fail.
func (c *streamConn) end(err error) { _ = c.w.CloseWithError(err) }

// Read implements net.Conn.
func (c *streamConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// Write implements net.Conn. It waits while the connection is full.
func (c *streamConn) Write(p []byte) (int, error) {
	if err := c.out.awaitRoom(context.Background(), nil); err != nil {
		return 0, err
	}
	b := newMessage(kindStreams)
	b.data = append(b.data, p...)
	if err := b.seal(0); err != nil {
		return 0, err
	}
	// A yamux frame comes in two writes, head and body.
	if _, err := c.out.put(b, soon); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the streams, not the session.
func (c *streamConn) Close() error { return c.r.Close() }

// Deadlines do nothing: yamux has its own, and the session's connection is not its to
// stop.
func (c *streamConn) SetDeadline(time.Time) error      { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error  { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }
