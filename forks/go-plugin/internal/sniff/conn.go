// SPDX-License-Identifier: MPL-2.0

package sniff

import (
	"bufio"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/mem"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// Conn is a connection some of whose bytes wait in a bufio.Reader. Reads give
// those first, then come from the connection directly. One goroutine reads at a time.
type Conn struct {
	net.Conn
	buffered *bufio.Reader    // nil once it is empty
	reader   *idleread.Reader // of Conn
}

// NewConn returns a connection that reads what br has buffered from c and then
// c itself. br must read from c and must not be used any more. When br holds
// nothing, c itself is returned, so that its own fast paths (writev, splice)
// stay reachable; use net.Conn's methods and the interfaces below, not the type.
func NewConn(c net.Conn, br *bufio.Reader) net.Conn {
	if br.Buffered() == 0 {
		return c
	}
	return &Conn{Conn: c, buffered: br, reader: idleread.NewReader(c)}
}

// Read drains the buffer first and lets it go as soon as it is empty.
func (c *Conn) Read(p []byte) (int, error) {
	if c.buffered == nil {
		return c.Conn.Read(p)
	}
	return c.readBuffered(p), nil
}

// ReadOnReady implements idleread.Conn.
func (c *Conn) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if c.buffered == nil {
		return c.reader.ReadOnReady(size, pool)
	}
	buffer = pool.Get(size)
	return buffer, c.readBuffered(*buffer), nil
}

func (c *Conn) readBuffered(p []byte) int {
	n := copy(p, peekAll(c.buffered))
	_, _ = c.buffered.Discard(n) // no more than is buffered
	if c.buffered.Buffered() == 0 {
		c.buffered = nil
	}
	return n
}

func peekAll(br *bufio.Reader) []byte {
	held, _ := br.Peek(br.Buffered())
	return held
}

// CloseWrite shuts down the writing side of the connection beneath, if it can:
// the peer reads the end, and what it still sends can be read.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("close the writing side of %T: %w", c.Conn, errors.ErrUnsupported)
	}
	return half.CloseWrite()
}

// NetConn returns the connection beneath, for settings such as keepalive.
// Reading from it would lose what is buffered.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// WritesTo returns the connection that gets what is written, as it is.
func (c *Conn) WritesTo() net.Conn { return c.Conn }
