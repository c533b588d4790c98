// SPDX-License-Identifier: MPL-2.0

package dial

import (
	"cmp"
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
	http2  *http2Watch      // nil: it is not spoken
}

// NewConn watches a connection. At its end, lost is called with the reason.
// It does not block, and may be called again.
func NewConn(conn net.Conn, lost func(error)) *Conn {
	return &Conn{Conn: conn, opened: time.Now(), lost: lost, reader: idleread.NewReader(conn)}
}

// NewHTTP2Conn does so for gRPC by HTTP/2, from the first byte on. gRPC may close the
// connection by itself, and read no more. leaves is called, as lost is, when the other side
// has sent a GOAWAY without an error, before gRPC acts on it. gRPC tells nobody of it, and the
// states of a ClientConn can be sampled only: a connection may have been READY in between. One
// with an error is the end, of which lost is told once gRPC has what came before.
func NewHTTP2Conn(conn net.Conn, lost func(error), leaves func()) *Conn {
	c := NewConn(conn, lost)
	c.http2 = &http2Watch{leaves: leaves}
	return c
}

// Silence is how long nothing has come.
func (c *Conn) Silence() time.Duration {
	return time.Since(c.opened) - time.Duration(c.heard.Load())
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.http2.end(); err != nil {
		c.lost(err)
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.note(p[:n], err)
	return n, err
}

// ReadOnReady implements idleread.Conn.
func (c *Conn) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if err := c.http2.end(); err != nil {
		c.lost(err)
		return nil, 0, err
	}
	buffer, n, err = c.reader.ReadOnReady(size, pool)
	var read []byte
	if n > 0 {
		read = (*buffer)[:n]
	}
	c.note(read, err)
	return buffer, n, err
}

func (c *Conn) note(read []byte, err error) {
	if len(read) > 0 {
		c.heard.Store(int64(time.Since(c.opened)))
	}
	if c.http2 != nil {
		c.http2.look(read)
	}
	if err != nil && !isDeadline(err) {
		c.lost(cmp.Or(c.http2.end(), err))
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
	if c.http2 != nil {
		c.lost(cmp.Or(c.http2.end(), net.ErrClosed))
	}
	return c.Conn.Close()
}

// NetConn returns the connection beneath, so that its TLS can be found.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// WritesTo returns the connection that gets what is written, as it is.
func (c *Conn) WritesTo() net.Conn { return c.Conn }
