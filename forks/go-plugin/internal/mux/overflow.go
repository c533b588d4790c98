// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"sync"
)

// OverflowConn is a connection that goes beneath TLS, so that a session can write
// without waiting: while it is told to, it keeps what the connection does not
// take at once, and writes it in the background. Otherwise it is the connection
// itself.
type OverflowConn struct {
	net.Conn
	socket nonblockingWriter // nil: it always waits

	mu      sync.Mutex
	keeping bool
	rest    []byte     // kept, and not yet written
	changed *sync.Cond // rest was written, or cannot be
	err     error
}

// NewOverflowConn returns a connection that writes to conn.
func NewOverflowConn(conn net.Conn) *OverflowConn {
	c := &OverflowConn{Conn: conn, socket: newNonblockingWriter(conn)}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// keep says whether Write keeps what is left over, or waits.
func (c *OverflowConn) keep(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keeping = on
}

// Write implements net.Conn.
func (c *OverflowConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if !c.keeping {
		err := c.flushLocked()
		c.mu.Unlock()
		if err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	}
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	n := 0
	if len(c.rest) == 0 {
		var err error
		if n, err = c.socket.writeSome(p); err != nil {
			return n, err
		}
	}
	if n < len(p) {
		if len(c.rest) == 0 {
			go c.drain()
		}
		c.rest = append(c.rest, p[n:]...)
	}
	return len(p), nil
}

// drain writes what was kept.
func (c *OverflowConn) drain() {
	for {
		c.mu.Lock()
		rest := c.rest
		c.mu.Unlock()
		n, err := c.Conn.Write(rest)
		c.mu.Lock()
		c.rest = c.rest[n:]
		if err != nil {
			c.err, c.rest = err, nil
		}
		done := len(c.rest) == 0
		if done {
			c.rest = nil
			c.changed.Broadcast()
		}
		c.mu.Unlock()
		if done {
			return
		}
	}
}

func (c *OverflowConn) flushed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rest) == 0
}

func (c *OverflowConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushLocked()
}

func (c *OverflowConn) flushLocked() error {
	for len(c.rest) > 0 && c.err == nil {
		c.changed.Wait()
	}
	return c.err
}
