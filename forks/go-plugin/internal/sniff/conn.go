// SPDX-License-Identifier: MPL-2.0

package sniff

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// Conn is a connection some of whose bytes wait in a bufio.Reader. Reads give
// those first, then come from the connection directly.
type Conn struct {
	net.Conn

	// mu serialises readers while there is a buffer. Afterwards buffer is nil
	// and reads take no lock.
	mu     sync.Mutex
	buffer atomic.Pointer[bufio.Reader]
	reader *idleread.Reader // of Conn
}

// NewConn returns a connection that reads what br has buffered from c and then
// c itself. br must read from c and must not be used any more. When br holds
// nothing, c itself is returned, so that its own fast paths (writev, splice)
// stay reachable; use net.Conn's methods and the interfaces below, not the type.
func NewConn(c net.Conn, br *bufio.Reader) net.Conn {
	if br.Buffered() == 0 {
		return c
	}
	conn := &Conn{Conn: c, reader: idleread.NewReader(c)}
	conn.buffer.Store(br)
	return conn
}

// Read drains the buffer first and lets it go as soon as it is empty.
func (c *Conn) Read(p []byte) (int, error) {
	if c.buffer.Load() == nil {
		return c.Conn.Read(p)
	}
	if n, drained := c.readBuffer(p); !drained {
		return n, nil
	}
	return c.Conn.Read(p)
}

// ReadOnReady implements idleread.Conn.
func (c *Conn) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	if c.buffer.Load() != nil {
		buffer = pool.Get(size)
		if n, drained := c.readBuffer(*buffer); !drained {
			return buffer, n, nil
		}
		pool.Put(buffer)
	}
	return c.reader.ReadOnReady(size, pool)
}

func (c *Conn) readBuffer(p []byte) (n int, drained bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	br := c.buffer.Load()
	if br == nil {
		return 0, true
	}
	n = copy(p, peekAll(br))
	br.Discard(n) //nolint:errcheck // no more than is buffered
	if br.Buffered() == 0 {
		c.buffer.Store(nil)
	}
	return n, false
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
