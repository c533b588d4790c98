// SPDX-License-Identifier: MPL-2.0

package dial

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// Conn is the connection of a session. It notices its end without a
// goroutine of its own, because both protocols have a read pending as long as
// they do not close it. A write that fails is not the end: what the plugin has
// sent before it hung up is still to be read.
type Conn struct {
	net.Conn
	opened time.Time
	heard  atomic.Int64 // when a read last brought something: nanoseconds since opened
	lost   func(error)

	reader *idleread.Reader // of Conn
	// closes says that the protocol may close the connection by itself, and read no more.
	closes bool
}

// NewConn watches a connection. At its end, lost is called with the reason.
// It does not block, and may be called again.
func NewConn(conn net.Conn, lost func(error)) *Conn {
	return &Conn{Conn: conn, opened: time.Now(), lost: lost, reader: idleread.NewReader(conn)}
}

// NewHTTP2Conn does so for gRPC by HTTP/2, which may close the connection by itself.
func NewHTTP2Conn(conn net.Conn, lost func(error)) *Conn {
	c := NewConn(conn, lost)
	c.closes = true
	return c
}

// Silence is how long nothing has come.
func (c *Conn) Silence() time.Duration {
	return time.Since(c.opened) - time.Duration(c.heard.Load())
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note(n, err)
	return n, err
}

// ReadOnReady implements idleread.Conn.
func (c *Conn) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	buffer, n, err = c.reader.ReadOnReady(size, pool)
	c.note(n, err)
	return buffer, n, err
}

func (c *Conn) note(n int, err error) {
	if n > 0 {
		c.heard.Store(int64(time.Since(c.opened)))
	}
	if err != nil && !isDeadline(err) {
		c.lost(err)
	}
}

// isDeadline reports whether err says that a deadline has passed. Not every
// connection has the error of package os for that, and the system's own timeout
// is the end of a connection.
func isDeadline(err error) bool {
	var late net.Error
	var system syscall.Errno
	return errors.As(err, &late) && late.Timeout() && !errors.As(err, &system)
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	if c.closes {
		c.lost(net.ErrClosed)
	}
	return c.Conn.Close()
}

// NetConn returns the connection beneath, so that its TLS can be found.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// WritesTo returns the connection that gets what is written, as it is.
func (c *Conn) WritesTo() net.Conn { return c.Conn }
